#!/usr/bin/env python3
"""inspect, bench --profile, inspect --lint and compare as a user meets them.  Usage: run_inspect.py OCTAVO

Makes its own models and samples; needs numpy and onnx (onnxruntime for compare --against-onnxruntime). Timing is never judged, only
that figures agree with each other. Prints one line a failed test and ends with "N passed, N failed, N skipped".
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)
try:
    import onnxruntime
except ImportError:
    onnxruntime = None

OCTAVO = str(Path(sys.argv[1]).resolve())
WORK = Path(tempfile.mkdtemp(prefix="octavo-inspect-"))
M, Q, P, X = WORK / "m.onnx", WORK / "q.onnx", WORK / "q.plan", WORK / "x.npy"
SAMPLES = 21
tests = []


class Skip(Exception):
    pass


def test(f):
    tests.append(f)
    return f


def call(*args, env=None):
    p = subprocess.run([OCTAVO, *map(str, args)], capture_output=True, text=True, env=dict(os.environ, **(env or {})), timeout=120)
    assert p.returncode >= 0, f"killed by signal {-p.returncode}: {args}\n{p.stderr}"
    assert "Sanitizer" not in p.stderr and "runtime error" not in p.stderr, p.stderr
    return p


def ok(*args, **kw):
    p = call(*args, **kw)
    assert p.returncode == 0, f"{args} -> {p.returncode}\n{p.stderr}"
    return p


def js(*args, **kw):
    return json.loads(ok(*args, "--json", **kw).stdout)


def fails(status, *args, says, **kw):
    p = call(*args, **kw)
    assert p.returncode == status, f"{args} -> {p.returncode}, not {status}\n{p.stderr}"
    assert says in p.stderr, f"'{says}' is not in: {p.stderr}"
    return p


# --- material ---

def save(path, nodes, inputs, outputs, weights, opset=13):
    g = helper.make_graph(nodes, "t", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
                          [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
                          [numpy_helper.from_array(a, n) for n, a in weights.items()])
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def residual_model(path, batch="N", second="Conv"):
    """conv1 relu1 conv2 (+ relu1) add relu2 gap flatten fc on 8x6x6."""
    r = np.random.default_rng(5)
    w = {n: (r.standard_normal(s) / np.sqrt(np.prod(s[1:]))).astype(np.float32) for n, s in
         (("w1", (16, 8, 3, 3)), ("w2", (16, 16, 3, 3)), ("w3", (5, 16)))}
    n = [helper.make_node("Conv", ["x", "w1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
         helper.make_node("Conv", ["r1", "w2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]), helper.make_node("Add", ["c2", "r1"], ["a"], name="add"),
         helper.make_node("Relu" if second == "Conv" else second, ["a"], ["r2"], name="relu2"),
         helper.make_node("GlobalAveragePool", ["r2"], ["g"], name="gap"), helper.make_node("Flatten", ["g"], ["f"], name="flat"),
         helper.make_node("Gemm", ["f", "w3"], ["y"], name="fc", transB=1)]
    return save(path, n, [("x", [batch, 8, 6, 6])], [("y", [batch, 5])], w)


def material():
    residual_model(M)
    np.save(X, np.random.default_rng(6).standard_normal((SAMPLES, 8, 6, 6)).astype(np.float32))
    ok("quantize", M, "--data", X, "-o", Q, "--quiet")
    ok("build", Q, "-o", P, "--batch", 4, "--quiet")


# --- inspect ---

@test
def inspect__summary__agrees_with_the_steps():
    j = js("inspect", Q)
    s, steps = j["summary"], j["steps"]
    assert sum(s["steps"].values()) == len(steps) and s["steps"]["int8"] == sum(x["precision"] == "int8" for x in steps)
    assert s["macs"] == sum(x["macs"] for x in steps) == js("info", M)["macs"]
    assert s["int8_share"] == s["int8_macs"] / s["macs"] and s["int8_macs"] == sum(x["macs"] for x in steps if x["precision"] == "int8")
    assert sum(x["steps"] for x in s["reasons"]) == sum(x["reason"] != "" for x in steps)
    for x in steps:
        assert x["fused"] == " + ".join(x["sources"]) and x["bytes"] >= x["weight_bytes"] >= 0
    conv2 = next(x for x in steps if x["name"] == "conv2")
    assert "add" in conv2["sources"] and "relu2" in conv2["sources"] and conv2["weight_bytes"] >= 16 * 16 * 9


@test
def inspect__text__has_the_summary():
    out = ok("inspect", Q).stdout
    assert "% of" in out and "arena" in out and "why not INT8" in out and "scale" in out
    assert ok("inspect", P).stdout.splitlines()[0] == str(P)


@test
def lint__clean_model__has_no_leftovers_and_exit_0():
    j = js("inspect", Q, "--lint")
    assert j["lint"] == [] and "steps" in j and "summary" in j, j["lint"]
    assert "lint" not in js("inspect", Q) and "lint: 0 findings" in ok("inspect", Q, "--lint").stdout


@test
def lint__float_operator_between__is_named_in_model_and_plan():
    odd, q, p = residual_model(WORK / "odd.onnx", second="Erf"), WORK / "odd.q.onnx", WORK / "odd.plan"
    ok("quantize", odd, "--data", X, "-o", q, "--quiet")
    g = onnx.load(str(q))  # a tensor of one dead channel: its weights become zero codes
    for i in g.graph.initializer:
        a = numpy_helper.to_array(i)
        if a.dtype == np.int8 and a.shape == (16, 8, 3, 3):
            a = a.copy()
            a[3] = 0
            i.CopyFrom(numpy_helper.from_array(a, i.name))
        elif a.dtype == np.float32 and a.shape == (16, 8, 3, 3):
            a = a.copy()
            a[3] = 0
            i.CopyFrom(numpy_helper.from_array(a, i.name))
    onnx.save(g, str(q))
    ok("build", q, "-o", p, "--quiet")
    for f in js("inspect", q, "--lint")["lint"]:
        assert set(f) in ({"rule", "step", "message", "hint"}, {"rule", "tensor", "message", "hint"})
    rules = {f["rule"] for f in js("inspect", q, "--lint")["lint"]}
    assert "dead-channel" in rules, rules
    assert {f["rule"] for f in js("inspect", p, "--lint")["lint"]} == rules - {"dead-channel", "clipped-weights", "unused-codes"}
    assert "dead-channel" in ok("inspect", q, "--lint").stdout


# --- bench --profile ---

@test
def bench_profile__json__adds_up():
    for model, threads in ((Q, 1), (M, 2)):
        j = js("bench", model, "--runs", 40, "--threads", threads, "--profile")
        p, steps = j["profile"], j["steps"]
        close = lambda a, b: abs(a - b) < 1e-9 + 1e-6 * abs(b)
        assert close(sum(s["ms"] for s in steps), p["sum_ms"]) and close(sum(s["percent"] for s in steps), 100)
        assert close(p["sum_ms"] + p["unaccounted_ms"], p["run_ms"]) and close(p["run_ms"] - p["clock_ms"], p["latency_ms"])
        assert p["unaccounted_ms"] >= 0 and j["latency_ms"]["min"] <= p["latency_ms"] <= j["latency_ms"]["p99"]
        for key in ("by_op", "by_precision"):
            assert close(sum(g["ms"] for g in p[key].values()), p["sum_ms"]) and sum(g["steps"] for g in p[key].values()) == len(steps)
            assert sum(g["macs"] for g in p[key].values()) == sum(s["macs"] for s in steps)
        assert set(p["by_precision"]) == {s["precision"] for s in steps}
        for s in steps:
            assert (s["gmac_per_s"] is None) == (s["macs"] == 0) == (s["gb_per_s"] is not None), s
            peak = p["peak_int8_gmac_per_s" if s["precision"] == "int8" else "peak_float_gmac_per_s"]
            assert (s["peak_percent"] is not None) == (s["macs"] > 0 and peak is not None and s["precision"] in ("int8", "float")), s


@test
def bench_profile__portable_plan__has_no_peak():
    j = js("bench", Q, "--runs", 3, "--profile", env={"OCTAVO_ISA": "portable"})
    assert j["profile"]["peak_int8_gmac_per_s"] is None and all(s["peak_percent"] is None for s in j["steps"])


@test
def bench_profile__text__says_how_the_steps_add_up():
    out = ok("bench", Q, "--runs", 8, "--profile").stdout
    assert all(w in out for w in ("sum of the steps", "in no step", "without the clock", "by operator", "by precision", "GB/s"))
    assert "by operator" not in ok("bench", Q, "--runs", 8).stdout
    fails(5, "bench", WORK / "none.onnx", "--profile", says="none.onnx")


def main():
    passed = failed = skipped = 0
    material()
    for f in tests:
        try:
            f()
            passed += 1
        except Skip as e:
            skipped += 1
            print(f"skip {f.__name__}: {e}")
        except Exception:
            failed += 1
            print(f"FAIL {f.__name__}\n{traceback.format_exc()}", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


sys.exit(main())
