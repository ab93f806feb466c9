#!/usr/bin/env python3
"""The two INT8 modes as a user meets them: build with ranges, constraints, the search, tactics and timing caches, and the roads between the modes.
Usage: run_modes.py OCTAVO

Makes its own model and samples; needs numpy and onnx. Prints one line a failed test and ends with "N passed, N failed, N skipped".
"""
import struct
import sys

try:
    import numpy as np
    from onnx import helper
except ImportError as e:
    print(f"skipped: {e}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)
from harness import *

M, C, X = WORK / "m.onnx", WORK / "m.cache", WORK / "x.npz"
LAYERS = ["first", "branch: one", "sum", "head"]  # names with colons and blanks are names


def make_model(path, seed=1):
    """conv relu [conv + ] relu mean conv: a residual block of 16 channels on 12 x 12."""
    r = np.random.default_rng(seed)
    w = {"w0": r.standard_normal((16, 3, 3, 3)) * .3, "w1": r.standard_normal((16, 16, 3, 3)) * .1, "w2": r.standard_normal((5, 16, 1, 1)) * .3}
    n = [helper.make_node("Conv", ["x", "w0"], ["c0"], name="first", pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c0"], ["r: 0"], name="relu"),
         helper.make_node("Conv", ["r: 0", "w1"], ["c1"], name="branch: one", pads=[1, 1, 1, 1]), helper.make_node("Add", ["c1", "r: 0"], ["s"], name="sum"),
         helper.make_node("Relu", ["s"], ["t"], name="relu2"), helper.make_node("GlobalAveragePool", ["t"], ["p"], name="pool"), helper.make_node("Conv", ["p", "w2"], ["y"], name="head")]
    return save(path, n, [("x", ["N", 3, 12, 12])], [("y", ["N", 5, 1, 1])], {k: v.astype(np.float32) for k, v in w.items()})


def material():
    make_model(M)
    np.savez(X, x=np.random.default_rng(2).standard_normal((12, 3, 12, 12)).astype(np.float32))
    ok("calibrate", M, "--data", X, "-o", C, "--quiet")


def steps(plan):
    return js("inspect", plan)["steps"]


def int8_layers(plan):
    return {s for step in steps(plan) if step["precision"] == "int8" for s in step["sources"]}


def answer(subject, *options):
    """Bytes of the answer to all samples."""
    out = WORK / "out"
    ok("run", subject, "--input", f"x={WORK / 'x.npy'}", "--output-dir", out, "--quiet", *options)
    return np.load(out / "y.npy").tobytes()


def build(name, *options):
    plan = WORK / name
    ok("build", M, *options, "-o", plan, "--quiet", "--batch", "4", "--threads", "1")
    return plan


@test
def build__calibrated__says_what_was_raced_and_accounts_for_every_node():
    r = js("build", M, "--calib", C, "-o", WORK / "a.plan", "--threads", "1")["report"]
    names = [c["name"] for c in r["candidates"]]
    assert r["mode"] == "calibrated" and "int8" in names and "float" in names and r["chosen"] in names
    assert min(r["candidates"], key=lambda c: c["ms"])["name"] == r["chosen"]
    assert [n["layer"] for n in r["layers"]] == ["first", "relu", "branch: one", "sum", "relu2", "pool", "head"]
    assert all(n["precision"] == "int8" or n["reason"] for n in r["layers"])
    assert all("int8_us" in n for n in r["layers"] if n["layer"] in LAYERS)


@test
def build__from_samples__is_calibrate_and_build_in_one():
    a = build("one.plan", "--data", X, "--int8")
    b = build("two.plan", "--calib", C, "--int8")
    np.save(WORK / "x.npy", np.load(X)["x"])
    assert answer(a) == answer(b)


@test
def build__int8_and_float__take_all_or_nothing():
    assert set(LAYERS) <= int8_layers(build("i.plan", "--calib", C, "--int8"))
    assert not int8_layers(build("f.plan", "--calib", C, "--float"))


@test
def build__ranges_alone__missing_ones_are_named():
    plan = build("r.plan", "--range", "x=-3,3", "--range", "r: 0=0,4", "--int8")
    assert "first" in int8_layers(plan) and "branch: one" not in int8_layers(plan)
    reason = next(s["reason"] for s in steps(plan) if "branch: one" in s["sources"] and s["precision"] == "float")
    assert "tensor 't' has no range" in reason, reason


@test
def build__range_by_hand__wins_over_the_cache():
    for options in (["--calib", C, "--range", "r: 0=0,25.5"], ["--range", "r: 0=0,25.5", "--calib", C]):
        plan = build("w.plan", *options, "--int8")
        out = next(s for s in steps(plan) if "first" in s["sources"] and s["precision"] == "int8")["outputs"][0]
        assert abs(out["scale"] - .1) < 1e-6 and out["zero"] == 0, out


@test
def build__precision__holds_or_demands():
    plan = build("p.plan", "--calib", C, "--int8", "--precision", "branch: one=float")
    assert "branch: one" not in int8_layers(plan) and "first" in int8_layers(plan)
    assert any("by request" in s["reason"] for s in steps(plan))
    p = ok("build", M, "--range", "x=-3,3", "--precision", "head=int8", "-o", WORK / "n.plan")
    assert "layer 'head' does not run in INT8: tensor 'p' has no range" in p.stderr, p.stderr
    out = WORK / "no.plan"
    fails(1, "build", M, "--range", "x=-3,3", "--precision", "head=int8", "--obey", "-o", out, says=["'head'", "tensor 'p' has no range"])
    assert not out.exists()


@test
def build__bad_options__status_and_name():
    out = WORK / "no.plan"
    for status, options, says in ((2, ["--range", "x=nan,1"], "finite"), (2, ["--range", "x=2,1"], "min <= max"), (2, ["--range", "x=1"], "NAME=MIN,MAX"),
                                  (2, ["--range", "nosuch=0,1"], "nosuch"), (2, ["--range", "w0=0,1"], "w0"), (2, ["--precision", "nosuch=int8"], "nosuch"),
                                  (2, ["--precision", "first=int4"], "LAYER=int8"), (2, ["--int8", "--float"], "--int8"), (2, ["--level", "4"], "0 to 3"),
                                  (2, ["--tactic", "best"], "random:SEED"), (5, ["--calib", WORK / "none"], "none")):
        fails(status, "build", M, "--calib", C, *options, "-o", out, says=says)
    fails(2, "build", M, "--int8", "-o", out, says="none are ever made up")
    assert not out.exists()


@test
def build__cache_of_another_model__refused():
    other = make_model(WORK / "other.onnx", seed=9)
    fails(3, "build", other, "--calib", C, "-o", WORK / "no.plan", says="another model")


@test
def build__ranges_for_a_quantized_model__refused():
    q = WORK / "q.onnx"
    ok("quantize", M, "--ranges", C, "-o", q, "--quiet")
    fails(3, "build", q, "--calib", C, "-o", WORK / "no.plan", says="quantized already")
    fails(3, "build", q, "--range", "x=0,1", "-o", WORK / "no.plan", says="quantized already")


@test
def roads__cache_qdq_and_back__same_bytes():
    np.save(WORK / "x.npy", np.load(X)["x"])
    for scheme in "affine", "symmetric":
        c, q, back = WORK / f"{scheme}.cache", WORK / f"{scheme}.onnx", WORK / f"{scheme}.back"
        ok("calibrate", M, "--data", X, "--scheme", scheme, "--solver", "max", "-o", c, "--quiet")
        ok("quantize", M, "--ranges", c, "-o", q, "--quiet")
        ok("calibrate", "--from", q, "-o", back, "--quiet")
        assert len({answer(build("a.plan", "--calib", c, "--int8")), answer(q), answer(build("b.plan", "--calib", back, "--int8"))}) == 1
        tensors = [{k: {t["name"]: (t["scale"], t["zero"]) for t in json.loads(f.read_text())["tensors"]} for k, f in (("c", c), ("b", back))}]
        assert all(tensors[0]["c"][name] == v for name, v in tensors[0]["b"].items())
    fails(3, "calibrate", "--from", M, "-o", WORK / "no", says="no quantization")
    fails(2, "calibrate", M, "--from", WORK / "affine.onnx", "-o", WORK / "no", says="--from")


@test
def tensorrt_cache__by_hand_and_back__honoured_and_identical():
    np.save(WORK / "x.npy", np.load(X)["x"])
    t = WORK / "hand.trt"
    t.write_text("TRT-8602-EntropyCalibration2\nx: 3cc00000\nr: 0: 3d000000\nt: 3d400000\np: 3d000000\nnot in this model: 3f800000\n")
    plan = build("t.plan", "--calib", t, "--int8")
    scales = {o["scale"] for s in steps(plan) for o in s["inputs"] + s["outputs"] if "scale" in o and o["dtype"] == "int8"}
    want = {struct.unpack(">f", bytes.fromhex(h))[0] for h in ("3cc00000", "3d000000", "3d400000")}
    assert scales == want, (scales, want)
    a, b = WORK / "a.trt", WORK / "b.trt"
    ok("calibrate", M, "--data", X, "--scheme", "symmetric", "--format", "tensorrt", "-o", a, "--quiet")
    q = WORK / "trt.onnx"
    ok("quantize", M, "--ranges", a, "-o", q, "--quiet")
    ok("calibrate", "--from", q, "--format", "tensorrt", "-o", b, "--quiet")
    first, second = (dict(line.rsplit(": ", 1) for line in f.read_text().splitlines()[1:]) for f in (a, b))
    assert second and all(first[k] == v for k, v in second.items())


@test
def deterministic__twice__same_plan_and_answer():
    np.save(WORK / "x.npy", np.load(X)["x"])
    a, b = build("d1.plan", "--calib", C, "--deterministic"), build("d2.plan", "--calib", C, "--deterministic")
    assert a.read_bytes() == b.read_bytes() and answer(a) == answer(b)


@test
def tactics__at_random__same_bytes():
    np.save(WORK / "x.npy", np.load(X)["x"])
    q = WORK / "q.onnx"
    ok("quantize", M, "--ranges", C, "-o", q, "--quiet")
    want, kernels = answer(q), set()
    for seed in range(8):
        plan = WORK / "random.plan"
        ok("build", q, f"--tactic=random:{seed}", "-o", plan, "--batch", "4", "--quiet")
        kernels |= {s["tactic"] for s in steps(plan) if s["op"] == "Conv"}
        assert answer(plan) == want
    vnni = "avx512_vnni" in Path("/proc/cpuinfo").read_text()
    assert len(kernels) > (2 if vnni else 1), kernels  # without it there are the portable kernel and the reference


@test
def timing_cache__written_read_merged_and_refused():
    cache, other = WORK / "times", WORK / "times2"
    build("1.plan", "--calib", C, "--timing-cache", cache)
    text = cache.read_text()
    assert len(text.splitlines()) > 5
    build("2.plan", "--calib", C, "--timing-cache", cache)
    assert {line.split("\t")[0] for line in text.splitlines()} <= {line.split("\t")[0] for line in cache.read_text().splitlines()}
    a, b = (build(f"{n}.plan", "--calib", C, "--timing-cache", cache, "--deterministic") for n in (3, 4))
    assert a.read_bytes() == b.read_bytes()
    build("5.plan", "--calib", C, "--timing-cache", other, "--timing-merge", cache)
    assert len(other.read_text().splitlines()) >= len(text.splitlines())
    lines = text.splitlines()
    for broken in (lines[:1] + ["x" + lines[1]] + lines[2:], ["nothing"] + lines[1:], lines[:-1] + [lines[-1] + "x"]):
        other.write_text("\n".join(broken) + "\n")
        fails(3, "build", M, "--calib", C, "--timing-cache", other, "-o", WORK / "no.plan", says="times2")
    fails(5, "build", M, "--calib", C, "--timing-merge", WORK / "absent", "-o", WORK / "no.plan", says="absent")


@test
def plans__of_another_cpu_level_or_version__refused():
    plan = build("v.plan", "--calib", C, "--int8")
    isa = js("inspect", plan)["isa"]
    if isa == "portable":
        raise Skip("this CPU has no level above portable")
    fails(3, "run", plan, "--input", f"x={WORK / 'x.npy'}", says="CPU level", env={"OCTAVO_ISA": "portable"})
    data = bytearray(plan.read_bytes())
    data[8] ^= 64
    (WORK / "old.plan").write_bytes(data)
    fails(3, "inspect", WORK / "old.plan", says="plan format")


run(material)
