#!/usr/bin/env python3
"""inspect, bench --profile, inspect --lint and compare as a user meets them.  Usage: run_inspect.py OCTAVO

Makes its own models and samples; needs numpy and onnx (onnxruntime for compare --against-onnxruntime). Timing is never judged, only
that figures agree with each other. Prints one line a failed test and ends with "N passed, N failed, N skipped".
"""
import sys

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

from harness import *

M, Q, P, X = WORK / "m.onnx", WORK / "q.onnx", WORK / "q.plan", WORK / "x.npy"
SAMPLES = 21


# --- material ---

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


# --- compare ---

KEYS = {"name", "elements", "max_abs", "rel_l2", "cosine", "sqnr_db", "clipped_a", "clipped_b", "departs"}


def row(j, name):
    return next(t for t in j["tensors"] if t["name"] == name)


@test
def compare__float_against_int8__row_per_tensor_over_all_samples():
    j = js("compare", M, Q, "--data", X)
    names = [t["name"] for t in j["tensors"]]
    assert all(set(t) == KEYS for t in j["tensors"]) and len(set(names)) == len(names)
    assert names == [n for n in ("c1", "r1", "c2", "a", "r2", "g", "f", "y") if n in names] and {"r1", "r2", "y"} <= set(names), names
    assert j["samples"] == SAMPLES and j["first"] is None and j["a"] == {"path": str(M), "mode": "float"} and j["b"]["mode"] == "int8"
    assert row(j, "r1")["elements"] == SAMPLES * 16 * 36 and row(j, "y")["elements"] == SAMPLES * 5
    assert all(t["cosine"] > 0.98 and 0 < t["rel_l2"] < 0.1 and not t["departs"] for t in j["tensors"]), j
    assert row(j, "r1")["clipped_a"] is None and 0 <= row(j, "r1")["clipped_b"] < 0.05
    assert abs(row(j, "y")["sqnr_db"] + 20 * np.log10(row(j, "y")["rel_l2"])) < 1e-6


@test
def compare__batches_and_sources__same_sums():
    want = js("compare", M, Q, "--data", X)["tensors"]
    for args in (["--data", X, "--batch", 4], ["--data", X, "--batch", 21], ["--input", X], ["--input", f"x={X}", "--batch", 5]):
        for a, b in zip(want, js("compare", M, Q, *args)["tensors"]):
            assert a["name"] == b["name"] and a["elements"] == b["elements"] and a["max_abs"] == b["max_abs"], (args, a, b)
            assert abs(a["rel_l2"] - b["rel_l2"]) < 1e-9 and a["clipped_b"] == b["clipped_b"]
    assert js("compare", M, Q, "--data", X, "--limit", 6)["samples"] == 6


@test
def compare__same_model__no_difference():
    j = js("compare", M, M, "--data", X)
    assert all(t["max_abs"] == 0 and t["rel_l2"] == 0 and t["sqnr_db"] is None and abs(t["cosine"] - 1) < 1e-9 for t in j["tensors"]) and j["first"] is None
    assert js("compare", Q, Q, "--data", X)["tensors"]


@test
def compare__one_model_in_two_modes__differs_a_little():
    j = js("compare", Q, Q, "--a", "float", "--data", X)
    assert (j["a"]["mode"], j["b"]["mode"]) == ("float", "int8")
    assert row(j, "y")["rel_l2"] < 0.02 and row(j, "r1")["clipped_a"] is not None
    fails(2, "compare", Q, Q, "--b", "double", "--data", X, says="--b is float or int8")
    fails(2, "compare", Q, P, "--b", "float", "--data", X, says="plan")


@test
def compare__threshold__names_the_first_that_departs():
    other = residual_model(WORK / "tanh.onnx", second="Tanh")
    j = js("compare", M, other, "--data", X)
    assert j["first"] == "r2" and row(j, "r2")["departs"] and not row(j, "a")["departs"]
    assert "departs (relative error above 0.1): r2" in ok("compare", M, other, "--data", X).stdout
    j = js("compare", M, Q, "--data", X, "--threshold", 0)
    assert j["first"] == j["tensors"][0]["name"] and j["threshold"] == 0
    fails(2, "compare", M, Q, "--data", X, "--threshold", "-1", says="--threshold")


@test
def compare__plans__outputs_of_any_batch():
    p8 = WORK / "q8.plan"
    ok("build", Q, "-o", p8, "--batch", 8, "--quiet")
    j = js("compare", P, p8, "--data", X)
    assert [t["name"] for t in j["tensors"]] == ["y"] and row(j, "y")["max_abs"] == 0 and row(j, "y")["elements"] == SAMPLES * 5
    a, b = row(js("compare", M, P, "--data", X), "y"), row(js("compare", M, Q, "--data", X), "y")
    assert a["max_abs"] == b["max_abs"] and abs(a["rel_l2"] - b["rel_l2"]) < 1e-9
    assert js("compare", P, M, "--input", X)["samples"] == SAMPLES
    fixed = residual_model(WORK / "fixed.onnx", batch=5)
    assert row(js("compare", M, fixed, "--data", X), "y")["max_abs"] < 1e-5


@test
def compare__other_tool_qdq__is_matched_by_structure():
    if not onnxruntime:
        raise Skip("no onnxruntime")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rest = iter([{"x": x[None]} for x in np.load(X)])

        def get_next(self):
            return next(self.rest, None)
    quantize_static(str(M), str(WORK / "ort.onnx"), Reader(), quant_format=QuantFormat.QDQ, weight_type=QuantType.QInt8, per_channel=True)
    j = js("compare", M, WORK / "ort.onnx", "--data", X)
    assert {"r1", "r2", "y"} <= {t["name"] for t in j["tensors"]} and row(j, "y")["cosine"] > 0.98 and row(j, "r1")["clipped_b"] is not None


@test
def compare__against_onnxruntime__tensor_by_tensor():
    if not onnxruntime:
        raise Skip("no onnxruntime")
    how = ["--against-onnxruntime", "--python", sys.executable, "--data", X]
    j = js("compare", M, *how)
    assert j["a"]["mode"] == "onnxruntime" and j["b"]["mode"] == "float" and j["samples"] == SAMPLES
    assert [t["name"] for t in j["tensors"]] == ["c1", "r1", "c2", "a", "r2", "g", "f", "y"]
    assert all(t["rel_l2"] < 1e-5 for t in j["tensors"])
    j = js("compare", Q, *how, "--batch", 4)
    assert row(j, "r1")["cosine"] > 0.999 and row(j, "y")["rel_l2"] < 0.05 and row(j, "r1")["clipped_a"] is not None
    fixed = residual_model(WORK / "fixed5.onnx", batch=5)
    assert all(t["rel_l2"] < 1e-5 for t in js("compare", fixed, *how)["tensors"])
    assert row(js("compare", Q, *how, "--b", "float"), "r2")["rel_l2"] < 0.02
    both = save(WORK / "two.onnx", [helper.make_node("Add", ["x", "z"], ["s"], name="add"), helper.make_node("Relu", ["s"], ["y"], name="relu")],
                [("x", ["N", 3]), ("z", ["N", 3])], [("y", ["N", 3])], {})
    r = np.random.default_rng(9)
    np.savez(WORK / "two.npz", x=r.standard_normal((7, 3)).astype(np.float32), z=r.standard_normal((7, 3)).astype(np.float32))
    j = js("compare", both, *how[:-1], WORK / "two.npz")
    assert [t["name"] for t in j["tensors"]] == ["s", "y"] and all(t["max_abs"] == 0 for t in j["tensors"])


@test
def compare__against_onnxruntime__missing_is_4_with_the_reason():
    fails(4, "compare", M, "--against-onnxruntime", "--python", WORK / "no-such-python", "--data", X, says="no-such-python")
    fake = WORK / "fake-python"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    fails(4, "compare", M, "--against-onnxruntime", "--python", fake, "--data", X, says="without an answer")
    (WORK / "hidden" / "onnxruntime").mkdir(parents=True)
    (WORK / "hidden" / "onnxruntime" / "__init__.py").write_text("raise ImportError('not today')\n")
    fails(4, "compare", M, "--against-onnxruntime", "--python", sys.executable, "--data", X, env={"PYTHONPATH": str(WORK / "hidden")}, says="not today")
    fails(2, "compare", P, "--against-onnxruntime", "--data", X, says="plan")
    fails(2, "compare", M, Q, "--against-onnxruntime", "--data", X, says="one MODEL")
    fails(2, "compare", M, "--data", X, says="two models")


@test
def compare__mistakes__have_their_status():
    fails(2, "compare", M, Q, says="--input")
    fails(2, "compare", M, Q, "--input", X, "--data", X, says="--input")
    nothing = save(WORK / "nothing.onnx", [helper.make_node("Relu", ["x"], ["other"], name="r")], [("x", ["N", 8, 6, 6])], [("other", ["N", 8, 6, 6])], {})
    fails(3, "compare", M, nothing, "--data", X, says="no tensor of the same name")
    renamed = save(WORK / "renamed.onnx", [helper.make_node("Relu", ["z"], ["y"], name="r")], [("z", ["N", 8, 6, 6])], [("y", ["N", 8, 6, 6])], {})
    fails(2, "compare", M, renamed, "--data", X, says="'z'")

@test
def inspect__time__every_step_has_one_and_products_their_share_of_the_peak():
    plan = js("inspect", P, "--time", "--threads", "1")
    assert all(s["ms"] > 0 for s in plan["steps"])
    shares = [s["percent_of_peak"] for s in plan["steps"] if s["macs"]]
    assert shares and all(v is None for v in shares) or all(0 < v <= 150 for v in shares), shares
    assert all(s["percent_of_peak"] is None for s in plan["steps"] if not s["macs"])
    assert "% peak" in ok("inspect", P, "--time").stdout and "% peak" not in ok("inspect", P).stdout


run(material)
