#!/usr/bin/env python3
"""Damaged and hostile plan files: exit status 3 with a message, never a crash.  Usage: run_plan.py OCTAVO [--rounds N] [--seed S]

Part one damages a plan as disks and transfers do: cut at every section boundary and in between, flipped bits, wrong magic, version,
CPU level and kernel hash. Part two is an attacker: bytes change and every checksum is made right again, so that only the check of
the contents stands between the file and the memory; such a plan may also run, since a changed weight is a valid plan.
Both are done to a plan for one shape and to one with a profile, which holds plans for other shapes and the recipe for still others: those run
at a shape that is in the file or at one that the recipe makes.
Needs numpy and onnx. Ends with "N passed, N failed, N skipped"."""
import argparse
import random
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

SECTIONS = 13
META, STRINGS, CONST, RECIPE, PROFILE, SHAPES = range(7, 13)
HEADER = struct.Struct("<8sIIQQq" + "QQQ" * SECTIONS + "Q")
M64 = (1 << 64) - 1
P1, P2, P3, P4, P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotl(x, r):
    return (x << r | x >> (64 - r)) & M64


def xxh64(data):
    """XXH64 with seed 0, as its specification says."""
    n, at = len(data), 0
    if n >= 32:
        v = [(P1 + P2) & M64, P2, 0, -P1 & M64]
        while at + 32 <= n:
            for i in range(4):
                v[i] = rotl((v[i] + int.from_bytes(data[at:at + 8], "little") * P2) & M64, 31) * P1 & M64
                at += 8
        h = (rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18)) & M64
        for x in v:
            h = ((h ^ rotl(x * P2 & M64, 31) * P1 & M64) * P1 + P4) & M64
    else:
        h = P5
    h = (h + n) & M64
    while at + 8 <= n:
        h = (rotl(h ^ rotl(int.from_bytes(data[at:at + 8], "little") * P2 & M64, 31) * P1 & M64, 27) * P1 + P4) & M64
        at += 8
    if at + 4 <= n:
        h = (rotl(h ^ int.from_bytes(data[at:at + 4], "little") * P1 & M64, 23) * P2 + P3) & M64
        at += 4
    for b in data[at:]:
        h = rotl(h ^ b * P5 & M64, 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def sections(plan):
    f = HEADER.unpack_from(plan)
    return [f[6 + 3 * i:8 + 3 * i] for i in range(SECTIONS)]


def blocks(plan):
    """(offset, size) of the plans for other shapes, as far as their headers make sense."""
    at, size = sections(plan)[SHAPES]
    end = at + size
    while at + HEADER.size <= end <= len(plan):
        total = HEADER.unpack_from(plan, at)[4]
        if total < HEADER.size or total > end - at:
            return
        yield at, total
        at += total


def resign(plan, inner=False):
    """All checksums right again."""
    for at, size in [] if inner else list(blocks(plan)):
        plan[at:at + size] = resign(plan[at:at + size], True)
    f = list(HEADER.unpack_from(plan))
    for i in range(SECTIONS):
        at, size = f[6 + 3 * i], f[7 + 3 * i]
        if at + size <= len(plan):
            f[8 + 3 * i] = xxh64(bytes(plan[at:at + size]))
    f[4] = len(plan)
    f[-1] = 0
    HEADER.pack_into(plan, 0, *f)
    f[-1] = xxh64(bytes(plan[:HEADER.size]))
    HEADER.pack_into(plan, 0, *f)
    return plan


def model():
    """Small, with many step kinds: INT8 and float convolutions, depthwise, residual, pools, tables, products, moves."""
    rng = np.random.default_rng(5)
    inits, nodes = [], []

    def const(name, a):
        inits.append(numpy_helper.from_array(np.asarray(a), name))
        return name

    def op(kind, ins, **attrs):
        out = f"v{len(nodes)}"
        nodes.append(helper.make_node(kind, ins, [out], **attrs))
        return out

    s, z = const("s", np.float32(0.05)), const("z", np.uint8(120))
    def qdq(v):
        return op("DequantizeLinear", [op("QuantizeLinear", [v, s, z]), s, z])

    def weights(name, *shape):
        return op("DequantizeLinear", [const(name, rng.integers(-100, 100, shape).astype(np.int8)), const(name + "s", np.full(shape[0], 0.01, np.float32)),
                                       const(name + "z", np.zeros(shape[0], np.int8))], axis=0)

    v = qdq("x")
    v = qdq(op("Relu", [op("Conv", [v, weights("w1", 8, 3, 3, 3)], pads=[1, 1, 1, 1])]))
    r = v
    v = qdq(op("Conv", [v, weights("w2", 8, 1, 3, 3)], pads=[1, 1, 1, 1], group=8))
    v = qdq(op("Add", [op("Conv", [v, weights("w3", 8, 8, 1, 1)]), r]))
    v = qdq(op("Sigmoid", [v]))
    v = qdq(op("MaxPool", [v], kernel_shape=[2, 2], strides=[2, 2]))
    v = op("Conv", [v, const("w4", rng.standard_normal((6, 8, 3, 3)).astype(np.float32))], pads=[1, 1, 1, 1], strides=[2, 2])
    v = op("Concat", [v, op("Tanh", [v])], axis=1)
    v = op("Conv", [v, const("w5", rng.standard_normal((12, 1, 3, 3)).astype(np.float32))], pads=[1, 1, 1, 1], group=12)
    nodes.append(helper.make_node("DynamicQuantizeLinear", [v], ["dq", "ds", "dz"]))
    v = op("ConvInteger", ["dq", const("w7", rng.integers(-9, 9, (12, 12, 3, 3)).astype(np.int8)), "dz"], pads=[1, 1, 1, 1])
    v = op("Mul", [op("Cast", [v], to=TensorProto.FLOAT), "ds"])
    nodes.append(helper.make_node("DynamicQuantizeLinear", [v], ["eq", "es", "ez"]))
    v = op("Cast", [op("MatMulInteger", ["eq", op("Transpose", ["eq"], perm=[0, 1, 3, 2]), "ez", "ez"])], to=TensorProto.FLOAT)
    v = op("AveragePool", [op("Mul", [v, const("tiny", np.float32(1e-4))])], kernel_shape=[2, 2])
    v = op("Resize", [v, "", const("up", np.array([1, 1, 2, 2], np.float32))], mode="linear")
    v = op("Pad", [v, const("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))], mode="reflect")
    v = op("Reshape", [v, const("shape", np.array([1, 12, -1], np.int64))])
    v = op("MatMul", [v, op("Transpose", [v], perm=[0, 2, 1])])
    v = op("Softmax", [v], axis=-1)
    v = op("LayerNormalization", [v, const("g", np.ones(12, np.float32)), const("b", np.zeros(12, np.float32))], axis=-1)
    v = op("ReduceMean", [op("Gather", [v, const("i", np.array([0, 3, 5], np.int64))], axis=1)], axes=[1], keepdims=0)
    nodes.append(helper.make_node("Gemm", [v, const("w6", rng.standard_normal((12, 5)).astype(np.float32))], ["y"]))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])], inits)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(m)
    return m


def shape_model():
    """Batch, height and width are free."""
    rng = np.random.default_rng(7)
    w = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32) / 4, n) for n, s in (("w1", (6, 3, 3, 3)), ("w2", (6, 6, 3, 3)), ("w3", (6, 5)))]
    nodes = [helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4), helper.make_node("Relu", ["c1"], ["r1"]), helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1] * 4),
             helper.make_node("Add", ["c2", "r1"], ["a"]), helper.make_node("GlobalAveragePool", ["a"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node("MatMul", ["f", "w3"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])], w)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class Trial:
    """inputs: arrays that runs take in turn; status: exits that a plan with right checksums may have."""
    def __init__(self, octavo, folder, inputs, status):
        self.octavo, self.folder, self.passed, self.failed, self.inputs, self.status = octavo, folder, 0, 0, inputs, status

    def run(self, number, plan, what, allowed):
        path = self.folder / f"{number}.plan"
        path.write_bytes(plan)
        try:
            p = subprocess.run([self.octavo, "run", path, "--input", f"x={self.inputs[number % len(self.inputs)]}", "--output-dir", self.folder / f"o{number}", "--threads", "2"],
                               capture_output=True, text=True, errors="replace", timeout=120)
            good = p.returncode in allowed and (p.returncode == 0 or len(p.stderr) > 10)
            text = p.stderr[-600:]
            good = good and "Sanitizer" not in p.stderr and "runtime error" not in p.stderr
            status = p.returncode
        except subprocess.TimeoutExpired:
            good, status, text = False, "timeout", ""
        path.unlink()
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what}: status {status} {text}", flush=True)


def accidents(r, plan, rounds):
    """(bytes, what): every one must be refused."""
    cuts = {0, 1, 7, 8, HEADER.size - 1, HEADER.size, len(plan) - 1}
    for at, size in sections(plan) + list(blocks(plan)):
        cuts |= {at, at + size // 2, at + size}
    for cut in sorted(c for c in cuts if c < len(plan)):
        yield plan[:cut], f"cut at {cut}"
    yield plan + bytes(64), "64 bytes appended"
    for at, what in ((0, "magic"), (8, "version"), (12, "CPU level"), (16, "kernel hash")):
        bad = bytearray(plan)
        bad[at] ^= 0x40
        yield bytes(bad), f"wrong {what}"
        if at:
            yield bytes(resign(bad)), f"wrong {what}, signed"
    used = [(0, HEADER.size)] + [(at, size) for at, size in sections(plan) if size]
    for _ in range(rounds):
        at, size = r.choice(used)
        bad = bytearray(plan)
        bit = r.randrange(8 * size)
        bad[at + bit // 8] ^= 1 << bit % 8
        yield bytes(bad), f"bit {bit % 8} of byte {at + bit // 8}"


def attacks(r, plan, rounds):
    """(bytes, what): signed changes of everything but names and weights; refused, or harmless."""
    spots = [s for i, s in enumerate(sections(plan)) if s[1] and i not in (META, STRINGS, CONST, SHAPES)]
    for block, size in blocks(plan):
        spots += [(block, HEADER.size)] + [(block + at, n) for i, (at, n) in enumerate(sections(plan[block:block + size])) if n and i < META]
    values = [0, 1, 2, 3, 7, 16, 255, 256, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 62), (1 << 63) - 1, 1 << 63, M64, M64 - 7]
    for _ in range(rounds):
        bad = bytearray(plan)
        said = []
        for _ in range(r.choice((1, 1, 1, 2, 4))):
            at, size = r.choice(spots)
            width = r.choice((1, 4, 4, 8))
            spot = at + r.randrange(max(1, size // width)) * width
            if spot + width > at + size:
                continue
            old = int.from_bytes(bad[spot:spot + width], "little")
            new = r.choice(values + [old + 1, old - 1, old * 2, old ^ 1 << r.randrange(8 * width), r.getrandbits(8 * width)]) & (1 << 8 * width) - 1
            bad[spot:spot + width] = new.to_bytes(width, "little")
            said.append(f"{old:#x} -> {new:#x} at {spot} ({width} bytes)")
        yield bytes(resign(bad)), "; ".join(said)


def attempt(trial, plan, r, rounds):
    assert bytes(resign(bytearray(plan))) == plan, "the checksums here differ from the program's"
    cases = [(b, w, (3,)) for b, w in accidents(r, plan, rounds)] + [(b, w, trial.status) for b, w in attacks(r, plan, rounds)]
    print(f"{len(cases)} plans made of one of {len(plan)} bytes", flush=True)
    for i in range(len(trial.inputs)):
        trial.run(len(cases) + i, plan, "the plan itself", (0,))
    with ThreadPoolExecutor(2) as pool:
        for f in [pool.submit(trial.run, i, *case) for i, case in enumerate(cases)]:
            f.result()
    return trial


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("octavo")
    p.add_argument("--rounds", type=int, default=300)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="octavo-plan-") as folder:
        d = Path(folder)
        onnx.save(model(), d / "m.onnx")
        np.save(d / "x.npy", np.random.default_rng(6).standard_normal((1, 3, 16, 16)).astype(np.float32))
        octavo = Path(args.octavo).resolve()
        r = random.Random(args.seed)
        subprocess.run([octavo, "build", d / "m.onnx", "-o", d / "m.plan", "--quiet"], check=True)
        one = attempt(Trial(octavo, d, [d / "x.npy"], (0, 2, 3)), (d / "m.plan").read_bytes(), r, args.rounds)
        onnx.save(shape_model(), d / "s.onnx")
        for name, shape in (("least", (1, 3, 8, 8)), ("between", (2, 3, 12, 10))):
            np.save(d / f"{name}.npy", np.random.default_rng(6).standard_normal(shape).astype(np.float32))
        subprocess.run([octavo, "build", d / "s.onnx", "-o", d / "s.plan", "--quiet", "--int8", "--profile", "x=1x3x8x8,1x3x16x16,4x3x24x24"] +
                       [x for t in ("x", "r1", "c2", "a", "p", "y") for x in ("--range", f"{t}=-2,3")], check=True)
        several = attempt(Trial(octavo, d, [d / "between.npy", d / "least.npy"], (0, 1, 2, 3, 4)), (d / "s.plan").read_bytes(), r, args.rounds)
    print(f"{one.passed + several.passed} passed, {one.failed + several.failed} failed, 0 skipped")
    return one.failed + several.failed != 0


sys.exit(main())
