#!/usr/bin/env python3
"""The command line as a user meets it: exit statuses, JSON keys, help, hints, chunking, files.  Usage: run_cli.py OCTAVO

Makes its own small model and images; needs numpy, pillow and onnx (onnxruntime where outputs are compared).
Prints one line a failed test and ends with "N passed, N failed, N skipped".
"""
import os
import shutil
import sys

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from PIL import Image
except ImportError as e:
    np = None
    missing = str(e)
try:
    import onnxruntime
except ImportError:
    onnxruntime = None

import harness
from harness import *

COMMANDS = ["info", "calibrate", "quantize", "build", "run", "eval", "bench", "compare", "inspect"]
COMMON = ["--threads", "--batch", "--data", "--preset", "--resize", "--crop", "--mean", "--std", "--layout", "--color", "--limit", "--seed", "--quiet", "--json"]


def test(needs_model=False):
    """Tests without a model run also where the Python packages are absent."""
    def keep(f):
        def run_it():
            if needs_model and np is None:
                raise Skip(missing)
            f()
        run_it.__name__ = f.__name__
        harness.test(run_it)
        return f
    return keep


# --- material ---

def small_model(path, op=None, batch="N"):
    """Conv Relu MaxPool Conv Relu GlobalAveragePool Flatten Gemm on 3x16x16, four classes; op puts an unknown operator in."""
    r = np.random.default_rng(1)
    def weight(name, *shape):
        return numpy_helper.from_array((r.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)
    w = [weight("w1", 8, 3, 3, 3), weight("b1", 8), weight("w2", 12, 8, 3, 3), weight("b2", 12), weight("w3", 4, 12), weight("b3", 4)]
    n = [helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
         helper.make_node("MaxPool", ["r1"], ["p1"], name="pool1", kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
         helper.make_node("GlobalAveragePool", ["r2"], ["g"], name="gap"), helper.make_node("Flatten", ["g"], ["f"], name="flat"),
         helper.make_node("Gemm", ["f", "w3", "b3"], ["out/y:0"], name="fc", transB=1)]
    if op:
        n[1] = helper.make_node(op, ["c1"], ["r1"], name="odd")
    g = helper.make_graph(n, "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 16, 16])],
                          [helper.make_tensor_value_info("out/y:0", TensorProto.FLOAT, [batch, 4])], w)
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def images(root, per_class=12):
    r = np.random.default_rng(2)
    for k, name in enumerate(["ant", "bee", "cat", "dog"]):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            a = r.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            a[:, :, k % 3] //= 1 + k
            Image.fromarray(a).save(root / name / f"{i:03}.png")
    return root


def material():
    small_model(WORK / "m.onnx")
    images(WORK / "set")
    np.save(WORK / "x.npy", np.random.default_rng(3).standard_normal((10, 3, 16, 16)).astype(np.float32))
    (WORK / "empty").write_bytes(b"")
    (WORK / "junk").write_bytes(bytes(range(1, 250)) * 9)


M, SET, X, Q = WORK / "m.onnx", WORK / "set", WORK / "x.npy", WORK / "q.onnx"


def quantized():
    if not Q.exists():
        ok("quantize", M, "--data", SET, "--mean", "0.5", "--std", "0.25", "-o", Q, "--quiet")
    return Q


def plan():
    path = WORK / "q.plan"
    if not path.exists():
        ok("build", quantized(), "-o", path, "--batch", 4, "--quiet")
    return path


# --- the program itself ---

@test()
def no_command__prints_help_and_fails():
    p = call()
    assert p.returncode == 2 and not p.stdout and all(c in p.stderr for c in COMMANDS)


@test()
def help__all_commands__explained_on_stdout():
    assert all(c in ok("--help").stdout for c in COMMANDS)
    assert ok("--version").stdout.startswith("octavo ")
    for c in COMMANDS:
        for flag in ("--help", "-h"):
            p = ok(c, flag)
            assert p.stdout.startswith(f"usage: octavo {c}") and not p.stderr
            assert all(o in p.stdout for o in COMMON), c


@test()
def usage__mistakes__are_2_with_a_hint():
    fails(2, "frobnicate", says="unknown command")
    for c in COMMANDS:
        fails(2, c, "m.onnx", "--dta", "x", says=["unknown option '--dta'", "--data"])
        fails(2, c, "m.onnx", "-Z", says="unknown option")
        fails(2, c, "a", "b", "c", says="unexpected argument")
        fails(2, c, says="usage" if c != "calibrate" else "MODEL")
        fails(2, c, "m.onnx", "--threads", "many", says="--threads")
        fails(2, c, "m.onnx", "--threads=-1", says="--threads")
        fails(2, c, "m.onnx", "--limit", "0", says="--limit")
        fails(2, c, "m.onnx", "--limit", "9" * 30, says="--limit")
        fails(2, c, "m.onnx", "--quiet=yes", says="takes no value")
        fails(2, c, "m.onnx", "--seed", says="wants a value")


@test()
def json__error__is_one_value_on_stdout():
    p = fails(5, "info", WORK / "none.onnx", "--json")
    e = json.loads(p.stdout)["error"]
    assert e["status"] == "io" and "none.onnx" in e["message"]
    assert json.loads(fails(2, "info", "--json").stdout)["error"]["status"] == "usage"


@test()
def missing_file__is_5_and_named():
    for c, more in (("info", []), ("build", ["-o", WORK / "p"]), ("inspect", []), ("bench", []), ("run", ["--input", "x=y.npy"]), ("eval", ["--data", "."]),
                    ("quantize", ["--data", ".", "-o", WORK / "o"]), ("calibrate", ["--data", ".", "-o", WORK / "o"]), ("compare", ["none2.onnx", "--input", "x=y"])):
        fails(5, c, WORK / "none.onnx", *more, says="none.onnx")
    fails(5, "info", WORK, says=str(WORK))


@test(True)
def stdout_full__is_5():
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with open("/dev/full", "w") as full:
        for args in (["--help"], ["info", "--help"], ["info", M], ["info", M, "--json"], ["inspect", M, "--json"]):
            p = call(*args, stdout=full)
            assert p.returncode == 5, (args, p.returncode)


@test(True)
def corrupt_model__is_3():
    fails(3, "info", WORK / "empty")
    fails(3, "info", WORK / "junk", says="junk")
    whole = M.read_bytes()
    for n in (1, 10, len(whole) // 2, len(whole) - 1):
        (WORK / "cut.onnx").write_bytes(whole[:n])
        fails(3, "info", WORK / "cut.onnx")
        fails(3, "bench", WORK / "cut.onnx")


@test(True)
def unknown_operator__is_4_and_named():
    small_model(WORK / "odd.onnx", op="DeformConv")
    fails(4, "info", WORK / "odd.onnx", says=["DeformConv", "odd"])
    fails(4, "bench", WORK / "odd.onnx", says="DeformConv")


@test(True)
def isa__bad_environment__is_2():
    fails(2, "bench", M, "--runs", 1, env={"OCTAVO_ISA": "sse9"}, says="OCTAVO_ISA")
    ok("bench", M, "--runs", 1, env={"OCTAVO_ISA": "portable"})


# --- info, build, inspect ---

@test(True)
def info__small_model__keys_and_figures():
    j = js("info", M)
    assert j["ops"] == {"Conv": 2, "Relu": 2, "MaxPool": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}, j["ops"]
    assert j["params"] == 8 * 27 + 8 + 12 * 72 + 12 + 48 + 4
    assert j["macs"] == 256 * 8 * 27 + 64 * 12 * 72 + 48
    assert j["inputs"][0]["name"] == "x" and j["outputs"][0]["name"] == "out/y:0"
    text = ok("info", M, "--passes").stdout
    assert "Conv" in text and "input" in text
    json.loads(ok("info", M, "--passes", "--json").stdout)


@test(True)
def build__plan__is_shown_by_inspect_and_refused_by_info():
    j = js("inspect", plan())
    for s in j["steps"]:
        assert {"name", "sources", "op", "precision", "tactic", "shapes", "scales", "macs", "reason"} <= set(s), s
        assert s["reason"] == "" or s["precision"] != "int8"
    assert sum(s["precision"] == "int8" for s in j["steps"]) >= 3
    assert {c for s in j["steps"] for c in s["sources"]} >= {"conv1", "conv2", "fc"}
    assert "int8" in ok("inspect", plan()).stdout
    fails(2, "info", plan(), says="inspect")
    f = js("inspect", M)
    assert all(s["precision"] != "int8" for s in f["steps"])
    assert any(s["reason"] for s in f["steps"])
    b = js("build", quantized(), "-o", WORK / "again.plan")
    assert b["bytes"] == os.path.getsize(WORK / "again.plan") and b["int8_steps"] >= 3


@test(True)
def build__bad_target__is_5_and_bad_option_2():
    fails(2, "build", M, says="-o")
    fails(5, "build", M, "-o", WORK / "none" / "p", says="none")
    if os.path.exists("/dev/full"):
        fails(5, "build", M, "-o", "/dev/full", says="/dev/full")
    fails(2, "build", M, "-o", WORK / "p", "--dim", "Q=3", says="Q")
    assert not (WORK / "p").exists()


@test(True)
def plan__damaged__is_3():
    whole = plan().read_bytes()
    bad = WORK / "bad.plan"
    for at in (9, 40, len(whole) // 3, len(whole) // 2):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        fails(3, "inspect", bad)
    for n in (8, 9, 100, len(whole) - 1):
        bad.write_bytes(whole[:n])
        fails(3, "run", bad, "--input", f"x={X}")


# --- run ---

def outputs(model, *more, x=X):
    d = WORK / "out"
    shutil.rmtree(d, ignore_errors=True)
    ok("run", model, "--input", f"x={x}", "--output-dir", d, *more)
    assert [p.name for p in d.iterdir()] == ["out_y_0.npy"]
    return np.load(d / "out_y_0.npy")


@test(True)
def run__float__equals_onnxruntime():
    if not onnxruntime:
        raise Skip("no onnxruntime")
    want = onnxruntime.InferenceSession(str(M), providers=["CPUExecutionProvider"]).run(None, {"x": np.load(X)})[0]
    got = outputs(M)
    assert got.shape == want.shape and got.dtype == np.float32
    assert np.abs(got - want).max() < 1e-5 * max(1, np.abs(want).max())


@test(True)
def run__any_batch_threads_and_form__same_bytes():
    q = quantized()
    want = outputs(q, "--batch", 1, "--threads", 1)
    assert want.shape == (10, 4)
    for more in (["--batch", 3], ["--batch", 8, "--threads", 4], ["--batch=64"], [], ["--threads", 2]):
        assert outputs(q, *more).tobytes() == want.tobytes(), more
    assert outputs(plan()).tobytes() == want.tobytes()
    one = WORK / "one.npy"
    np.save(one, np.load(X)[:1])
    assert outputs(plan(), x=one).tobytes() == want[:1].tobytes()
    fixed = small_model(WORK / "fixed.onnx", batch=4)
    assert np.abs(outputs(fixed) - outputs(M)).max() < 1e-5


@test(True)
def run__json__names_files_and_shapes():
    j = js("run", M, "--input", X, "--output-dir", WORK / "deep")
    assert j["samples"] == 10 and j["outputs"] == [{"name": "out/y:0", "dtype": "float32", "dims": [10, 4], "file": str(WORK / "deep" / "out_y_0.npy")}]
    assert "out/y:0" in ok("run", M, "--input", f"x={X}").stdout


@test(True)
def run__images__same_as_arrays():
    files = sorted((SET / c / f) for c in os.listdir(SET) for f in os.listdir(SET / c))
    x = np.stack([((np.asarray(Image.open(f), np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)).transpose(2, 0, 1) for f in files])
    np.save(WORK / "imgs.npy", x)
    want = outputs(M, x=WORK / "imgs.npy")
    d = WORK / "from-images"
    ok("run", M, "--data", SET, "--mean", "0.5,0.5,0.5", "--std=0.25", "--output-dir", d)
    got = np.load(d / "out_y_0.npy")
    assert got.shape == want.shape and np.abs(got - want).max() < 1e-4, np.abs(got - want).max()


@test(True)
def run__bad_inputs__name_what_is_wrong():
    fails(2, "run", M, "--output-dir", WORK / "o", says="--input")
    fails(2, "run", M, "--input", f"y={X}", says="'x'")
    fails(2, "run", M, "--input", f"x={X}", "--input", f"x={X}", says="twice")
    fails(5, "run", M, "--input", f"x={WORK / 'none.npy'}", says="none.npy")
    fails(3, "run", M, "--input", f"x={WORK / 'junk'}", says="junk")
    for a, word in ((np.zeros((2, 3, 16, 16)), "float64"), (np.zeros((2, 3, 16), np.float32), "axes"), (np.zeros((2, 3, 16, 15), np.float32), "["),
                    (np.zeros((0, 3, 16, 16), np.float32), "")):
        np.save(WORK / "bad.npy", a)
        fails(3, "run", M, "--input", f"x={WORK / 'bad.npy'}", says=word)
        fails(3, "run", plan(), "--input", f"x={WORK / 'bad.npy'}", says=word)
    fails(5, "run", M, "--input", f"x={X}", "--output-dir", M / "below", says="below")


# --- quantize, calibrate ---

@test(True)
def quantize__result__passes_the_checker_and_keeps_preprocessing():
    j = js("quantize", M, "--data", SET, "--limit", 20, "--mean", "0.5", "--std", "0.25", "-o", WORK / "q2.onnx")
    assert j["samples"] == 20 and j["tensors"] > 3 and j["skipped"] == 0 and j["bytes"]["after"] == os.path.getsize(WORK / "q2.onnx")
    m = onnx.load(str(WORK / "q2.onnx"))
    onnx.checker.check_model(m)
    assert {n.op_type for n in m.graph.node} >= {"QuantizeLinear", "DequantizeLinear", "Conv"}
    assert "octavo.preprocess" in {p.key for p in m.metadata_props}
    with_options = js("eval", WORK / "q2.onnx", "--data", SET, "--mean", "0.5", "--std", "0.25")
    assert js("eval", WORK / "q2.onnx", "--data", SET)["models"][0]["top1"] == with_options["models"][0]["top1"]


@test(True)
def quantize__functions__codes_make_tables_and_stay_in_the_metadata():
    rng = np.random.default_rng(3)
    w = {f"w{i}": (rng.standard_normal((8, c, 3, 3)) / 4).astype(np.float32) for i, c in enumerate((3, 8))}
    nodes = [helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1] * 4), helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"]),
             helper.make_node("Conv", ["b", "w1"], ["y"], pads=[1] * 4)]
    save(WORK / "silu.onnx", nodes, [("x", [1, 3, 8, 8])], [("y", [1, 8, 8, 8])], w)
    np.savez(WORK / "silu.npz", x=rng.standard_normal((16, 3, 8, 8)).astype(np.float32))
    kernels = {}
    for functions in ("float", "codes"):
        q, plan = WORK / f"silu-{functions}.onnx", WORK / "silu.plan"
        ok("quantize", WORK / "silu.onnx", "--data", WORK / "silu.npz", "--functions", functions, "-o", q, "--quiet")
        assert ("octavo.functions", functions) in {(p.key, p.value) for p in onnx.load(str(q)).metadata_props}
        ok("build", q, "-o", plan, "--quiet")
        kernels[functions] = ok("bench", plan, "--profile", "--seconds", "0.05").stdout
    assert " table_" in kernels["codes"] and " table_" not in kernels["float"]
    fails(2, "quantize", WORK / "silu.onnx", "--data", WORK / "silu.npz", "--functions", "x", "-o", WORK / "z", says="--functions is float or codes, not 'x'")


@test(True)
def quantize__quiet__says_nothing():
    p = ok("quantize", M, "--data", SET, "--quiet", "-o", WORK / "q3.onnx")
    assert not p.stdout and not p.stderr, (p.stdout, p.stderr)
    p = ok("quantize", M, "--data", SET, "--json", "-o", WORK / "q3.onnx")
    json.loads(p.stdout)
    assert "48 samples" in p.stderr


@test(True)
def quantize__bad_requests__have_their_status():
    o = ["-o", WORK / "never.onnx"]
    fails(2, "quantize", M, *o, says="--data")
    fails(2, "quantize", M, "--data", SET, says="-o")
    fails(2, "quantize", M, "--data", SET, "--solver", "magic", *o, says="--solver")
    fails(2, "quantize", M, "--data", SET, "--scheme", "magic", *o, says="--scheme")
    fails(2, "quantize", M, "--data", SET, "--percentile", "nan", *o, says="--percentile")
    fails(2, "quantize", M, "--data", SET, "--percentile", "101", *o, says="--percentile")
    for bad in ("nan", "1,2,3,4,5", "1,,2", "a", ""):
        fails(2, "quantize", M, "--data", SET, f"--mean={bad}", *o, says="--mean")
    for bad in ("0", "-1", "inf", "0.5,0,0.5"):
        fails(2, "quantize", M, "--data", SET, "--std", bad, *o, says="--std")
    for bad in ("0", "-3", "10x", "ax3", "3x0"):
        fails(2, "quantize", M, "--data", SET, f"--resize={bad}", *o, says="--resize")
    fails(2, "quantize", M, "--data", SET, "--layout", "chw", *o, says="--layout")
    fails(2, "quantize", M, "--data", SET, "--color", "blue", *o, says="--color")
    fails(2, "quantize", M, "--data", SET, "--preset", "none", *o, says="none")
    fails(5, "quantize", M, "--data", WORK / "none", *o, says="none")
    fails(3, "quantize", quantized(), "--data", SET, *o)
    fails(5, "quantize", M, "--data", SET, "-o", WORK / "none" / "q.onnx", says="none")
    assert not (WORK / "never.onnx").exists()


@test(True)
def calibrate__shards_and_merge__same_bytes_as_one_run():
    pre = ["--mean", "0.5", "--std", "0.25"]
    j = js("calibrate", M, "--data", SET, *pre, "-o", WORK / "c.json")
    assert j["samples"] == 48 and j["tensors"] > 3 and sum(j["solvers"].values()) == j["tensors"]
    states = []
    for i in (1, 2, 3):
        states.append(WORK / f"s{i}")
        p = js("calibrate", M, "--data", SET, *pre, "--shard", f"{i}/3", "--state", states[-1])
        assert p["samples"] == 16, p
    ok("calibrate", "--merge", *states[::-1], "-o", WORK / "merged.json", "--quiet")
    assert (WORK / "merged.json").read_bytes() == (WORK / "c.json").read_bytes()
    ok("quantize", M, "--ranges", WORK / "c.json", *pre, "-o", WORK / "qr.onnx", "--quiet")
    assert outputs(WORK / "qr.onnx").tobytes() == outputs(quantized()).tobytes()


@test(True)
def calibrate__tensorrt_format__is_written_and_read():
    ok("calibrate", M, "--data", SET, "--scheme", "symmetric", "--format", "tensorrt", "-o", WORK / "c.trt", "--quiet")
    lines = (WORK / "c.trt").read_text().splitlines()
    assert lines[0].startswith("TRT-") and all(len(l.rsplit(":", 1)[1].strip()) == 8 for l in lines[1:])
    p = ok("quantize", M, "--ranges", WORK / "c.trt", "-o", WORK / "qt.onnx")
    assert "c.trt" in p.stderr


@test(True)
def calibrate__bad_requests__have_their_status():
    o = ["-o", WORK / "never.json"]
    fails(2, "calibrate", M, "--data", SET, says="-o")
    fails(2, "calibrate", *o, says="MODEL")
    fails(2, "calibrate", M, *o, says="--data")
    for bad in ("0/3", "4/3", "1", "a/b", "1/3x"):
        fails(2, "calibrate", M, "--data", SET, "--shard", bad, "--state", WORK / "s", *o, says="--shard")
    fails(2, "calibrate", M, "--data", SET, "--shard", "1/2", *o, says="--state")
    fails(2, "calibrate", M, "--merge", WORK / "s1", *o, says="--merge")
    fails(2, "calibrate", M, "--data", SET, "--format", "xml", *o, says="--format")
    fails(5, "calibrate", "--merge", WORK / "none", *o, says="none")
    fails(3, "calibrate", "--merge", WORK / "junk", *o, says="junk")
    fails(3, "quantize", M, "--ranges", WORK / "junk", "-o", WORK / "never.onnx", says="junk")
    small_model(WORK / "other.onnx", op="Sigmoid")
    ok("calibrate", M, "--data", SET, "-o", WORK / "hash.json", "--quiet")
    fails(3, "quantize", WORK / "other.onnx", "--ranges", WORK / "hash.json", "-o", WORK / "never.onnx")


# --- eval, bench; inspect and compare stand in run_inspect.py ---

@test(True)
def eval__two_models__keys_and_verdict():
    j = js("eval", M, quantized(), "--data", SET)
    assert [m["path"] for m in j["models"]] == [str(M), str(Q)]
    assert all(m["n"] == 48 and 0 <= m["top1"] <= m["top5"] == 100 for m in j["models"])
    v = j["verdict"]
    assert {"flips_better", "flips_worse", "mcnemar_p", "ci95", "agree"} <= set(v) and len(v["ci95"]) == 2
    assert v["ci95"][0] <= j["models"][1]["top1"] - j["models"][0]["top1"] <= v["ci95"][1]
    assert abs((v["flips_better"] - v["flips_worse"]) / 48 * 100 - (j["models"][1]["top1"] - j["models"][0]["top1"])) < 1e-9
    assert v["agree"] >= 90 and v["sqnr_db"] > 15
    j = js("eval", M, "--data", SET)
    assert j["verdict"] is None and len(j["models"]) == 1
    same = js("eval", M, M, "--data", SET)["verdict"]
    assert same["agree"] == 100 and same["mcnemar_p"] == 1 and same["sqnr_db"] is None
    assert "McNemar" in ok("eval", M, Q, "--data", SET).stdout


@test(True)
def eval__plan_batch_and_limit__same_figures():
    a = js("eval", quantized(), "--data", SET, "--batch", 1)["models"][0]["top1"]
    assert js("eval", quantized(), "--data", SET, "--batch", 7)["models"][0]["top1"] == a
    assert js("eval", plan(), "--data", SET)["models"][0]["top1"] == a
    v = js("eval", plan(), quantized(), "--data", SET, "--batch", 6)["verdict"]
    assert v["agree"] == 100 and v["sqnr_db"] is None
    l = [js("eval", M, "--data", SET, "--limit", 17, "--seed", s)["models"][0] for s in (1, 1, 2)]
    assert all(m["n"] == 17 for m in l) and l[0] == dict(l[1])


@test(True)
def eval__unlabelled_arrays__agreement_only():
    j = js("eval", M, quantized(), "--data", X)
    assert j["models"][0]["top1"] is None and j["verdict"]["mcnemar_p"] is None and j["verdict"]["agree"] >= 80


@test(True)
def eval__bad_data__has_its_status():
    fails(2, "eval", M, says="--data")
    fails(5, "eval", M, "--data", WORK / "none", says="none")
    (WORK / "hole").mkdir(exist_ok=True)
    fails(3, "eval", M, "--data", WORK / "hole")
    many = WORK / "many"
    for i in range(6):
        (many / f"c{i}").mkdir(parents=True)
        shutil.copy(SET / "ant" / "000.png", many / f"c{i}" / "a.png")
    fails(3, "eval", M, "--data", many, says="label")
    np.savez(WORK / "wrong.npz", y=np.zeros((3, 3, 16, 16), np.float32))
    assert call("eval", M, "--data", WORK / "wrong.npz").returncode in (2, 3)


@test(True)
def eval__corrupt_image__is_named_and_skipped_or_fatal():
    d = WORK / "broken"
    shutil.copytree(SET, d)
    (d / "bee" / "zzz.png").write_bytes((SET / "bee" / "000.png").read_bytes()[:60])
    p = ok("eval", M, "--data", d, "--json")
    j = json.loads(p.stdout)
    assert j["models"][0]["n"] == 48 and j["skipped"] == 1 and "zzz.png" in p.stderr
    fails(3, "eval", M, "--data", d, "--strict", says="zzz.png")


@test(True)
def bench__json__has_the_fixed_keys():
    j = js("bench", quantized(), "--runs", 20, "--warmup", 2, "--threads", 1, "--batch", 2)
    assert (j["model"], j["threads"], j["batch"], j["warmup"], j["runs"]) == (str(Q), 1, 2, 2, 20)
    t = j["latency_ms"]
    assert 0 < t["min"] <= t["p50"] <= t["p90"] <= t["p99"] and t["mean"] > 0 and j["throughput_per_s"] > 0
    assert j["steps"] and all({"name", "op", "precision", "tactic", "ms", "macs"} <= set(s) for s in j["steps"])
    assert sum(s["macs"] for s in j["steps"]) == 2 * js("info", M)["macs"]
    assert js("bench", plan(), "--seconds", "0.05")["batch"] == 4
    assert all(s["precision"] != "int8" for s in js("bench", quantized(), "--float", "--runs", 3)["steps"])
    assert "latency" in ok("bench", M, "--data", SET, "--runs", 5).stdout
    ok("bench", M, "--input", X, "--batch", 4, "--runs", 5, "--json")


run(material if np else lambda: None)
