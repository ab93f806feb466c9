#!/usr/bin/env python3
"""Plans at run time: profiles of shapes, codes and pixels at the ports, refit, taps, one file in several processes.  Usage: run_runtime.py OCTAVO

Makes its own models; needs numpy and onnx. Prints one line a failed test and ends with "N passed, N failed, N skipped".
"""
import ctypes
import os
import re
import shutil
import subprocess
import sys

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

from harness import *


def array(name, a):
    np.save(WORK / f"{name}.npy", np.asarray(a, order="C"))
    return WORK / f"{name}.npy"


def outputs(subject, *inputs, more=()):
    """name -> array of a run."""
    folder = WORK / "out"
    shutil.rmtree(folder, ignore_errors=True)
    ok("run", subject, *[x for i in inputs for x in ("-i", i)], "-o", folder, "--quiet", *more)
    return {f.stem: np.load(f) for f in folder.glob("*.npy")}


def same(a, b):
    assert a.keys() == b.keys(), (a.keys(), b.keys())
    for k in a:
        assert a[k].dtype == b[k].dtype and a[k].shape == b[k].shape, (k, a[k].shape, b[k].shape)
        assert a[k].tobytes() == b[k].tobytes(), f"{k}: {np.abs(a[k].astype(float) - b[k].astype(float)).max()}"


class Net:
    def __init__(self, seed):
        self.rng, self.inits, self.nodes = np.random.default_rng(seed), [], []

    def const(self, name, a):
        self.inits.append(numpy_helper.from_array(np.asarray(a), name))
        return name

    def random(self, name, *shape):
        return self.const(name, (self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def op(self, kind, ins, out, **attrs):
        self.nodes.append(helper.make_node(kind, ins, [out], name=f"n_{out}", **attrs))
        return out

    def qdq(self, v, scale, zero):
        """A pair behind v; scale and zero are initializers called <v>_s and <v>_z."""
        s, z = self.const(f"{v}_s", np.float32(scale)), self.const(f"{v}_z", np.asarray(zero))
        return self.op("DequantizeLinear", [self.op("QuantizeLinear", [v, s, z], f"{v}_q"), s, z], f"{v}_dq")

    def save(self, name, inputs, outputs):
        def infos(ports):
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in ports.items()]
        g = helper.make_graph(self.nodes, "net", infos(inputs), infos(outputs), self.inits)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(m)
        onnx.save(m, WORK / name)
        return WORK / name


def conv_net(name="conv.onnx", seed=1):
    """Fully convolutional with a residual and a global pool: batch, height and width are free."""
    n = Net(seed)
    r1 = n.op("Relu", [n.op("Conv", ["x", n.random("w1", 8, 3, 3, 3), n.random("b1", 8)], "c1", pads=[1] * 4)], "r1")
    r2 = n.op("Relu", [n.op("Conv", [r1, n.random("w2", 8, 8, 3, 3)], "c2", pads=[1] * 4)], "r2")
    p = n.op("GlobalAveragePool", [n.op("Add", [r1, r2], "a")], "p")
    n.op("Gemm", [n.op("Flatten", [p], "f"), n.random("w3", 8, 5)], "y")
    return n.save(name, {"x": ["N", 3, "H", "W"]}, {"y": ["N", 5]})


def attention_net():
    """One attention block on [N, S, 16] and a mask input of the same N and S: batch and length are free."""
    n = Net(2)
    heads = n.const("heads", np.array([0, 0, 2, 8], np.int64))
    parts = []
    for k in "qkv":
        v = n.op("Reshape", [n.op("MatMul", ["x", n.random("w" + k, 16, 16)], "m" + k), heads], "h" + k)
        parts.append(n.op("Transpose", [v], "t" + k, perm=[0, 2, 3, 1] if k == "k" else [0, 2, 1, 3]))
    s = n.op("Add", [n.op("MatMul", parts[:2], "s"), n.op("Unsqueeze", ["mask", n.const("ax", np.array([1, 2], np.int64))], "mu")], "sm")
    a = n.op("Transpose", [n.op("MatMul", [n.op("Softmax", [s], "p", axis=-1), parts[2]], "av")], "at", perm=[0, 2, 1, 3])
    o = n.op("MatMul", [n.op("Reshape", [a, n.const("flat", np.array([0, 0, 16], np.int64))], "ar"), n.random("wo", 16, 16)], "o")
    n.op("LayerNormalization", [n.op("Add", [o, "x"], "res"), n.const("g", np.ones(16, np.float32)), n.const("bb", np.zeros(16, np.float32))], "y", axis=-1)
    return n.save("attention.onnx", {"x": ["N", "S", 16], "mask": ["N", "S"]}, {"y": ["N", "S", 16]})


def ranges(model, **arrays):
    """Calibration cache of a model, made once."""
    cache = model.with_suffix(".json")
    if not cache.exists():
        np.savez(WORK / "cal.npz", **arrays)
        ok("calibrate", model, "--data", WORK / "cal.npz", "-o", cache, "--quiet")
    return cache


def images(n, h, w, seed=9):
    return np.random.default_rng(seed).standard_normal((n, 3, h, w)).astype(np.float32)


def conv_int8(*more, out="conv.plan"):
    m = conv_net()
    c = ranges(m, x=images(16, 16, 16))
    ok("build", m, "--calib", c, "--int8", "-o", WORK / out, "--quiet", *more)
    return WORK / out


# --- profiles ---

@test
def profile__any_shape_within__equals_a_build_for_that_shape():
    for kind in (["--int8"], ["--float"]):
        m = conv_net()
        ranged = ["--calib", ranges(m, x=images(16, 16, 16))] if kind == ["--int8"] else []
        p = WORK / "p.plan"
        ok("build", m, *ranged, *kind, "--profile", "x=1x3x16x16,2x3x24x24,4x3x40x32", "-o", p, "--quiet")
        for n, h, w in ((2, 24, 24), (1, 16, 16), (4, 40, 32), (3, 17, 29), (1, 40, 16)):
            x = array("x", images(n, h, w))
            ok("build", m, *ranged, *kind, "--batch", n, "--dim", f"H={h}", "--dim", f"W={w}", "-o", WORK / "fixed.plan", "--quiet")
            same(outputs(p, x), outputs(WORK / "fixed.plan", x))


@test
def profile__two_inputs_that_share_axes__transformer_runs_at_any_batch_and_length():
    m, rng = attention_net(), np.random.default_rng(4)
    c = ranges(m, x=rng.standard_normal((16, 6, 16)).astype(np.float32), mask=np.zeros((16, 6), np.float32))
    p = WORK / "t.plan"
    for kind in (["--float"], ["--calib", c, "--int8"]):
        ok("build", m, *kind, "--profile", "x=1x2x16,2x6x16,4x12x16", "-o", p, "--quiet")
        for n, s in ((2, 6), (1, 2), (3, 9), (4, 12)):
            x, mask = array("x", rng.standard_normal((n, s, 16)).astype(np.float32)), array("mask", np.where(rng.random((n, s)) < 0.3, -1e4, 0).astype(np.float32))
            ok("build", m, *kind, "--batch", n, "--dim", f"S={s}", "-o", WORK / "fixed.plan", "--quiet")
            same(outputs(p, f"x={x}", f"mask={mask}"), outputs(WORK / "fixed.plan", f"x={x}", f"mask={mask}"))
    fails(2, "run", p, "-i", f"x={array('x', np.zeros((2, 4, 16), np.float32))}", "-i", f"mask={array('mask', np.zeros((2, 5), np.float32))}", says="must be equal")


@test
def profile__shape_outside__usage_that_names_the_axis():
    p = conv_int8("--profile", "x=1x3x16x16,2x3x24x24,4x3x32x32")
    fails(2, "run", p, "-i", array("x", images(1, 16, 33)), says="axis 3 is 33, the plan's profile allows 16 to 32")
    fails(2, "run", p, "-i", array("x", images(5, 16, 16)), says="axis 0 is 5")


@test
def profile__that_the_model_cannot_have__usage():
    m = conv_net()
    for text, says in (("x=1x3x16x16,2x3x8x24,4x3x32x32", "axis 2"), ("x=1x4x16x16,1x4x16x16,1x4x16x16", "fixes axis 1 to 3"), ("z=1x3x16x16,1x3x16x16,1x3x16x16", "no input 'z'"),
                       ("x=1x3x16,1x3x16,1x3x16", "4 axes"), ("x=1x3x16x16", "--profile wants"), ("x=0x3x16x16,1x3x16x16,1x3x16x16", "axis 0")):
        fails(2, "build", m, "--profile", text, "-o", WORK / "no.plan", says=says)
    a = attention_net()
    fails(2, "build", a, "--profile", "x=1x2x16,2x6x16,4x12x16", "--profile", "mask=1x2,2x6,4x13", "-o", WORK / "no.plan", says="both 'S'")


# --- codes and pixels ---

def codes_net(signed):
    """Q/DQ at input, inside and at the output."""
    n = Net(5)
    t = np.int8 if signed else np.uint8
    x = n.qdq("x", 0.03, t(0 if signed else 120))
    w = n.const("w", n.rng.integers(-100, 100, (6, 3, 3, 3)).astype(np.int8))
    wd = n.op("DequantizeLinear", [w, n.const("ws", np.full(6, 0.01, np.float32)), n.const("wz", np.zeros(6, np.int8))], "wd", axis=0)
    n.qdq(n.op("Conv", [x, wd], "c", pads=[1] * 4), 0.05, t(3))
    n.nodes[-1].output[0] = "y"
    return n.save("codes.onnx", {"x": ["N", 3, 8, 8]}, {"y": ["N", 6, 8, 8]})


@test
def codes__in_and_out__equal_the_float_road_and_no_conversion_is_left():
    for signed in (False, True):
        m, x = codes_net(signed), np.random.default_rng(6).standard_normal((2, 3, 8, 8)).astype(np.float32) * 2
        ok("build", m, "--batch", 2, "-o", WORK / "f.plan", "--quiet")
        ok("build", m, "--batch", 2, "--input-type", "x=codes", "--output-type", "y=codes", "-o", WORK / "c.plan", "--quiet")
        t = np.int8 if signed else np.uint8
        lo, hi, z = (-128, 127, 0) if signed else (0, 255, 120)
        q = np.clip(np.rint(x / np.float32(0.03)) + z, lo, hi).astype(t)
        want, got = outputs(WORK / "f.plan", array("x", x))["y"], outputs(WORK / "c.plan", array("q", q))["y"]
        assert got.dtype == t and got.shape == want.shape
        assert (((got.astype(np.int32) - 3) * np.float32(0.05)).astype(np.float32) == want).all()
        kinds = {s["op"] for s in json.loads(ok("inspect", WORK / "c.plan", "--json").stdout)["steps"]}
        assert not kinds & {"QuantizeLinear", "DequantizeLinear"}, kinds


@test
def codes__of_an_output_with_a_range__in_calibrated_mode():
    m, x = conv_net(), images(16, 16, 16)
    calibrated = ["build", m, "--calib", ranges(m, x=x), "--range", "y=-0.5,0.52", "--int8", "--dim", "H=16", "--dim", "W=16", "--batch", x.shape[0], "--quiet"]
    ok(*calibrated, "-o", WORK / "f.plan")
    said = ok(*calibrated[:-1], "--output-type", "y=codes", "-o", WORK / "c.plan").stderr
    assert "not used" not in said, said
    want, got = (outputs(WORK / p, array("x", x))["y"] for p in ("f.plan", "c.plan"))
    scale, zero = np.float32(1.02 / 255), 125
    codes = np.clip(np.rint(want / scale) + zero, 0, 255)
    assert got.dtype == np.uint8 and np.abs(codes - got).max() <= 1 and len(np.unique(got)) > 5, (codes, got)
    last = json.loads(ok("inspect", WORK / "c.plan", "--json").stdout)["steps"][-1]
    assert last["op"] == "Gemm" and last["precision"] == "int8", last


@test
def codes__of_a_tensor_that_is_not_quantized__demand_that_names_it():
    m = conv_net()
    shape = ["--dim", "H=16", "--dim", "W=16"]
    fails(1, "build", m, "--float", *shape, "--input-type", "x=codes", "-o", WORK / "no.plan", says="input 'x' cannot be codes")
    fails(1, "build", m, "--range", "x=-3,3", "--int8", *shape, "--output-type", "y=codes", "-o", WORK / "no.plan", says="output 'y'")
    fails(2, "build", m, "--input-type", "z=codes", "-o", WORK / "no.plan", says="'z'")
    fails(2, "build", m, "--output-type", "y=pixels", "-o", WORK / "no.plan", says="pixels go into inputs")
    fails(2, "build", m, "--input-type", "x=words", "-o", WORK / "no.plan", says="--input-type wants")
    fails(3, "build", attention_net(), "--input-type", "x=pixels", "--dim", "S=4", "-o", WORK / "no.plan", says="takes no images")


@test
def pixels__in_both_layouts__equal_normalised_floats_byte_for_byte():
    pre = ["--mean", "0.4,0.5,0.3", "--std", "0.2,0.25,0.3"]
    pixels = np.random.default_rng(7).integers(0, 256, (2, 3, 20, 24)).astype(np.uint8)
    pixels.reshape(-1)[:512] = np.tile(np.arange(256, dtype=np.uint8), 2)
    mean, std = np.array([0.4, 0.5, 0.3], np.float32), np.array([0.2, 0.25, 0.3], np.float32)
    floats = array("f", (pixels.astype(np.float32) / np.float32(255) - mean.reshape(1, 3, 1, 1)) / std.reshape(1, 3, 1, 1))
    m = conv_net()
    cal = ranges(m, x=images(16, 16, 16))
    for kind in (["--calib", cal, "--int8"], ["--float"]):
        shape = ["--batch", 2, "--dim", "H=20", "--dim", "W=24"]
        ok("build", m, *kind, *shape, "-o", WORK / "f.plan", "--quiet")
        want = outputs(WORK / "f.plan", floats)
        for name, data, profile in (("pixels", pixels, "x=1x3x8x8,2x3x20x24,2x3x24x24"), ("pixels-nhwc", pixels.transpose(0, 2, 3, 1), "x=1x3x8x8,1x3x24x24,2x3x24x30")):
            ok("build", m, *kind, *pre, *shape, "--input-type", f"x={name}", "-o", WORK / "p.plan", "--quiet")
            same(outputs(WORK / "p.plan", array("p", data)), want)
            ok("build", m, *kind, *pre, "--profile", profile, "--input-type", f"x={name}", "-o", WORK / "p.plan", "--quiet")
            same(outputs(WORK / "p.plan", array("p", data)), want)


@test
def codes_and_pixels__fed_with_images__agree_with_the_float_road_on_every_sample():
    try:
        from PIL import Image
    except ImportError as e:
        raise Skip(str(e))
    rng = np.random.default_rng(13)
    for k in range(12):
        (WORK / "set" / f"class{k % 3}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(WORK / "set" / f"class{k % 3}" / f"{k}.png")
    m = conv_net()
    common = ["--calib", ranges(m, x=images(16, 16, 16)), "--int8", "--dim", "H=16", "--dim", "W=16", "--mean", "0.5,0.4,0.6", "--std", "0.25,0.3,0.2", "--quiet"]
    ok("build", m, *common, "--batch", 4, "-o", WORK / "f.plan")
    for kind in ("codes", "pixels", "pixels-nhwc"):
        ok("build", m, *common, "--batch", 3, "--input-type", f"x={kind}", "-o", WORK / "i.plan")
        r = json.loads(ok("eval", WORK / "f.plan", WORK / "i.plan", "--data", WORK / "set", "--json").stdout)
        assert r["verdict"]["agree"] == 100 and r["verdict"]["cosine"] > 0.9999999, r
        for p in ("f.plan", "i.plan"):
            ok("run", WORK / p, "--data", WORK / "set", "-o", WORK / f"{p}.out", "--quiet")
        same({"y": np.load(WORK / "f.plan.out" / "y.npy")}, {"y": np.load(WORK / "i.plan.out" / "y.npy")})


# --- refit and taps ---

def initializers(model):
    return {i.name: numpy_helper.to_array(i) for i in onnx.load(model).graph.initializer}


def replaced(model, name, **arrays):
    m = onnx.load(model)
    for i in m.graph.initializer:
        if i.name in arrays:
            i.CopyFrom(numpy_helper.from_array(arrays[i.name], i.name))
    onnx.save(m, WORK / name)
    return WORK / name


@test
def refit__the_same_weights__the_same_bytes():
    for more in ([], ["--profile", "x=1x3x16x16,2x3x24x24,4x3x32x32"]):
        p = conv_int8("--refit", *([] if more else ["--dim", "H=16", "--dim", "W=16"]), *more)
        w = array("w2", initializers(conv_net())["w2"])
        ok("build", p, "--weights", f"w2={w}", "-o", WORK / "again.plan", "--quiet")
        assert (WORK / "again.plan").read_bytes() == p.read_bytes()


@test
def refit__other_weights_and_a_range__equals_a_build_of_the_changed_model():
    p = conv_int8("--refit", "--batch", 2, "--dim", "H=16", "--dim", "W=16")
    w = initializers(conv_net("other.onnx", seed=8))
    ok("build", p, "--weights", f"w2={array('w2', w['w2'])}", "--weights", f"b1={array('b1', w['b1'])}", "--range", "r1=0,2.5", "-o", WORK / "refit.plan", "--quiet")
    changed = replaced(conv_net(), "changed.onnx", w2=w["w2"], b1=w["b1"])
    cache = json.loads(ranges(conv_net(), x=images(16, 16, 16)).read_text())
    cache["model_hash"] = ""
    (WORK / "free.json").write_text(json.dumps(cache))
    ok("build", changed, "--calib", WORK / "free.json", "--range", "r1=0,2.5", "--int8", "--batch", 2, "--dim", "H=16", "--dim", "W=16", "-o", WORK / "fresh.plan", "--quiet")
    x = array("x", images(2, 16, 16))
    same(outputs(WORK / "refit.plan", x), outputs(WORK / "fresh.plan", x))
    assert (outputs(p, x)["y"] != outputs(WORK / "refit.plan", x)["y"]).any()


@test
def refit__numbers_that_need_other_steps__demand_that_names_the_step():
    n = Net(11)
    v = n.op("MaxPool", [n.qdq("x", 0.05, np.uint8(128))], "m", kernel_shape=[2, 2])
    v = n.qdq(v, 0.05, np.uint8(128))
    wd = n.op("DequantizeLinear", [n.const("w", n.rng.integers(-100, 100, (4, 3, 1, 1)).astype(np.int8)), n.const("ws", np.float32(0.01)), n.const("wz", np.int8(0))], "wd")
    n.op("Conv", [v, wd], "y")
    m = n.save("equal.onnx", {"x": [1, 3, 8, 8]}, {"y": [1, 4, 4, 4]})
    ok("build", m, "--refit", "-o", WORK / "e.plan", "--quiet")
    fails(1, "build", WORK / "e.plan", "--weights", f"m_s={array('s', np.float32(0.07))}", "-o", WORK / "no.plan", says="step")
    both = ["--weights", f"m_s={array('s', np.float32(0.07))}", "--weights", f"x_s={array('s', np.float32(0.07))}"]
    ok("build", WORK / "e.plan", *both, "-o", WORK / "e2.plan", "--quiet")
    ok("build", replaced(m, "equal2.onnx", m_s=np.float32(0.07), x_s=np.float32(0.07)), "-o", WORK / "fresh.plan", "--quiet")
    x = array("x", images(1, 8, 8))
    same(outputs(WORK / "e2.plan", x), outputs(WORK / "fresh.plan", x))


@test
def refit__bad_names_types_and_plans__named():
    p = conv_int8("--refit", "--dim", "H=16", "--dim", "W=16")
    w = initializers(conv_net())["w2"]
    out = ["-o", WORK / "no.plan"]
    fails(2, "build", p, "--weights", f"nothing={array('w', w)}", *out, says="'nothing'")
    fails(3, "build", p, "--weights", f"w2={array('w', w[:4])}", *out, says="'w2'")
    fails(3, "build", p, "--weights", f"w2={array('w', w.astype(np.float64))}", *out, says="'w2'")
    fails(2, "build", p, "--range", "nothing=0,1", *out, says="'nothing'")
    fails(2, "build", p, "--range", "r1=2,1", *out, says="min <= max")
    fails(2, "build", p, "--int8", *out, says="keeps how it was built")
    plain = conv_int8("--dim", "H=16", "--dim", "W=16", out="plain.plan")
    fails(2, "build", plain, "--range", "r1=0,1", *out, says="--refit")
    fails(2, "build", conv_net(), "--weights", f"w2={array('w', w)}", *out, says="--weights is for a plan")


@test
def tap__of_model_plan_and_refittable_plan__the_same_values():
    m, x = conv_net(), array("x", images(3, 16, 16))
    shape = ["--batch", 3, "--dim", "H=16", "--dim", "W=16"]
    want = outputs(m, x, more=["--tap", "c1", "--tap", "a"])
    assert want["c1"].shape == (3, 8, 16, 16) and (want["c1"] < 0).any() and (want["a"] >= 0).all()
    ok("build", m, *shape, "--tap", "c1", "-o", WORK / "tapped.plan", "--quiet")
    same(outputs(WORK / "tapped.plan", x, more=["--tap", "c1"]), {k: want[k] for k in ("c1", "y")})
    ok("build", m, *shape, "--refit", "-o", WORK / "r.plan", "--quiet")
    same(outputs(WORK / "r.plan", x, more=["--tap", "c1", "--tap", "a"]), want)
    ok("build", WORK / "r.plan", "--tap", "a", "-o", WORK / "ra.plan", "--quiet")
    same(outputs(WORK / "ra.plan", x, more=["--tap", "a"]), {k: want[k] for k in ("a", "y")})
    fails(2, "run", WORK / "tapped.plan", "-i", x, "--tap", "a", says="'a'")
    fails(2, "run", WORK / "r.plan", "-i", x, "--tap", "nothing", says="'nothing'")
    ok("build", m, "--profile", "x=1x3x8x8,2x3x16x16,4x3x16x16", "-o", WORK / "pr.plan", "--quiet")
    same(outputs(WORK / "pr.plan", x, more=["--tap", "c1", "--tap", "a"]), want)


# --- liboctavo_rt, without Python's help: one file, mapped ---

DRIVER = r"""
import ctypes, sys
rt = ctypes.CDLL(sys.argv[1])
class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char_p)]
rt.oct_last_error.restype = ctypes.POINTER(Error)
plan, context = ctypes.c_void_p(), ctypes.c_void_p()
assert rt.oct_plan_load(sys.argv[2].encode(), ctypes.byref(plan)) == 0, rt.oct_last_error().contents.message
assert rt.oct_context_create(plan, 1, ctypes.byref(context)) == 0
def shape(*dims):
    return rt.oct_context_set_shape(context, b"x", len(dims), (ctypes.c_int64 * len(dims))(*dims))
"""


def driver(name, text, plan):
    lib = Path(OCTAVO).parent / name
    if "asan" in str(lib):
        raise Skip("a sanitized library does not load into Python")
    p = subprocess.run([sys.executable, "-c", DRIVER + text, str(lib), str(plan)], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return p.stdout


@test
def runtime_library__shape_between__says_who_can_make_it():
    p = conv_int8("--profile", "x=1x3x16x16,2x3x24x24,4x3x32x32")
    text = "print(shape(1, 3, 16, 16), shape(4, 3, 32, 32), shape(2, 3, 24, 24), shape(3, 3, 20, 20), rt.oct_last_error().contents.message.decode())"
    said = driver("liboctavo_rt.so", text, p)
    assert said.startswith("0 0 0 4 ") and "min, opt and max" in said and "liboctavo" in said, said
    assert driver("liboctavo.so", "print(shape(3, 3, 20, 20))", p).strip() == "0"


@test
def plan_file__read_only_and_in_two_processes__pages_are_the_files_own():
    n = Net(12)
    n.op("Conv", ["x", n.random("w", 256, 256, 3, 3)], "y")
    m = n.save("large.onnx", {"x": [1, 256, 8, 8]}, {"y": [1, 256, 6, 6]})
    p = WORK / "large.plan"
    ok("build", m, "-o", p, "--quiet")
    p.chmod(0o444)
    text = r"""
import re
import os
x = (ctypes.c_float * (256 * 64))(*[1.0] * (256 * 64))
class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int32), ("dims", ctypes.c_int64 * 8)]
t = Tensor(ctypes.cast(x, ctypes.c_void_p), 1, 4, (ctypes.c_int64 * 8)(1, 256, 8, 8))
assert rt.oct_context_set_input(context, b"x", ctypes.byref(t)) == 0 and rt.oct_context_run(context) == 0
print("ready", flush=True)
sys.stdin.readline()
maps = re.split(r"\n(?=[0-9a-f]+-)", open("/proc/self/smaps").read())
mine = [m for m in maps if m.splitlines()[0].endswith(os.path.realpath(sys.argv[2]))]
for m in mine:
    f = dict(re.findall(r"(\w+): +(\d+) kB", m))
    print(m.split()[1], f["Rss"], f["Private_Dirty"], f["Shared_Dirty"], f["Pss"], f["Anonymous"])
"""
    lib = Path(OCTAVO).parent / "liboctavo_rt.so"
    if "asan" in str(lib):
        raise Skip("a sanitized library does not load into Python")
    two = [subprocess.Popen([sys.executable, "-c", DRIVER + text, str(lib), str(p)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for q in two:
        assert q.stdout.readline() == "ready\n", q.communicate()[1]
    for q in two:
        said, wrong = q.communicate("go\n", timeout=60)
        lines = [line.split() for line in said.splitlines()]
        assert lines and q.returncode == 0, wrong
        for mode, rss, *rest in lines:
            assert mode.startswith("r--") and int(rss) > 1000, lines
            private_dirty, shared_dirty, _, anonymous = map(int, rest)
            assert private_dirty == shared_dirty == anonymous == 0, lines


os.environ.pop("OCTAVO_ISA", None)
run()
