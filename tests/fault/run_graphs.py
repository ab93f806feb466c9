#!/usr/bin/env python3
"""Hostile ONNX graphs: cycles, very many nodes, very many dimensions, dimensions of length 0, sizes whose products overflow, tensors shorter than their shape: a named error
or the right answer, in reasonable time. Usage: run_graphs.py OCTAVO"""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from harness import WORK, Skip, call, fails, js, ok, run, test  # noqa: E402

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

node, info = helper.make_node, helper.make_tensor_value_info


def write(name, nodes, x=(2, 3), outputs=("y",), consts=None, raw=()):
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in (consts or {}).items()] + list(raw)
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, x)], [info(n, TensorProto.FLOAT, None) for n in outputs], tensors)
    path = WORK / f"{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def every_command_fails(status, path, says):
    for command in (("info", path), ("build", path, "-o", WORK / "no.plan"), ("run", path, "--input", WORK / "x.npy", "-o", WORK / "no")):
        fails(status, *command, says=says)
    assert not (WORK / "no.plan").exists()


def answer(path, x, **options):
    np.save(WORK / "in.npy", x)
    ok("run", path, "--input", WORK / "in.npy", "-o", WORK / "out", **options)
    return np.load(WORK / "out" / "y.npy")


def material():
    np.save(WORK / "x.npy", np.zeros((2, 3), np.float32))


@test
def cycle__named_node():
    path = write("cycle", [node("Add", ["x", "b"], ["a"], "first"), node("Relu", ["a"], ["b"], "second"), node("Relu", ["a"], ["y"], "third")])
    every_command_fails(3, path, "first")
    path = write("self", [node("Add", ["x", "y"], ["y"], "own tail")])
    every_command_fails(3, path, "own tail")


@test
def hundred_thousand_nodes__loads_builds_and_runs():
    count = 100_000
    nodes = [node("Relu" if i % 2 else "Neg", [f"t{i}" if i else "x"], [f"t{i + 1}" if i < count - 1 else "y"]) for i in range(count)]
    path, began = write("long", nodes), time.monotonic()
    assert js("info", path)["ops"]["Neg"] == count // 2
    x = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    want = x
    for i in range(6):  # after the first pair everything is 0
        want = np.maximum(want, 0) if i % 2 else -want
    np.testing.assert_array_equal(np.abs(answer(path, x)), np.abs(want))
    assert time.monotonic() - began < 100, "too slow"


@test
def wide_fan__loads_and_runs():
    count = 20_000
    nodes = [node("Neg", ["x"], [f"t{i}"]) for i in range(count)] + [node("Sum", [f"t{i}" for i in range(count)], ["y"], "sum")]
    p = call("run", write("wide", nodes), "--input", WORK / "x.npy", "-o", WORK / "out")
    assert p.returncode in (0, 4), p.stderr
    assert p.returncode == 0 or "sum" in p.stderr


@test
def dimensions__sixty_four_refused_by_name():
    every_command_fails(4, write("rank", [node("Relu", ["x"], ["y"], "deep")], x=[1] * 64), "x")
    p = call("info", write("reshape64", [node("Reshape", ["x", "s"], ["y"], "to 64")], consts={"s": np.array([1] * 63 + [6], np.int64)}))
    assert p.returncode in (3, 4) and "to 64" in p.stderr, p.stderr


@test
def dimensions__zero_length():
    x = np.zeros((0, 3), np.float32)
    assert answer(write("empty", [node("Relu", ["x"], ["y"])], x=(0, 3)), x).shape == (0, 3)
    w = np.ones((3, 4), np.float32)
    assert answer(write("emptymm", [node("MatMul", ["x", "w"], ["y"])], x=(0, 3), consts={"w": w}), x).shape == (0, 4)
    y = answer(write("emptyk", [node("MatMul", ["x", "w"], ["y"])], x=(2, 0), consts={"w": np.ones((0, 4), np.float32)}), np.zeros((2, 0), np.float32))
    np.testing.assert_array_equal(y, np.zeros((2, 4), np.float32))
    p = call("build", write("emptyconv", [node("Conv", ["x", "w"], ["y"], "no channels")], x=(1, 0, 4, 4), consts={"w": np.ones((2, 0, 1, 1), np.float32)}), "-o", WORK / "e.plan")
    assert p.returncode in (0, 3, 4) and (p.returncode == 0 or "no channels" in p.stderr), p.stderr


@test
def sizes__products_that_overflow():
    big = np.array([1 << 31, 1 << 31, 1 << 31], np.int64)
    for name, nodes, consts in (
        ("expand", [node("Expand", ["c", "s"], ["y"], "grow")], {"c": np.float32(1), "s": big}),
        ("constant", [node("ConstantOfShape", ["s"], ["y"], "grow")], {"s": big}),
        ("tile", [node("Tile", ["x", "s"], ["y"], "grow")], {"s": np.array([1 << 40, 1 << 40], np.int64)}),
        ("pad", [node("Pad", ["x", "s"], ["y"], "grow")], {"s": np.array([1 << 62, 0, 1 << 62, 0], np.int64)}),
        ("resize", [node("Resize", ["x", "", "s"], ["y"], "grow")], {"s": np.array([1e30, 1e30], np.float32)}),
        ("range", [node("Range", ["a", "b", "d"], ["y"], "grow")], {"a": np.float32(0), "b": np.float32(3e38), "d": np.float32(1e-38)}),
    ):
        p = call("build", write(name, nodes, consts=consts), "-o", WORK / "no.plan")
        assert p.returncode in (3, 4, 70) and "grow" in p.stderr and not (WORK / "no.plan").exists(), (name, p.returncode, p.stderr)


@test
def tensors__shorter_than_their_shape():
    t = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20], raw_data=b"abcd")
    every_command_fails(3, write("short", [node("MatMul", ["x", "w"], ["y"])], raw=[t]), "w")
    t = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 40], raw_data=b"")
    every_command_fails(3, write("overflow", [node("MatMul", ["x", "w"], ["y"])], raw=[t]), "w")
    t = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-1, 3], raw_data=b"")
    every_command_fails(3, write("negative", [node("MatMul", ["x", "w"], ["y"])], raw=[t]), "w")
    t = TensorProto(name="w", data_type=77, dims=[3, 3], raw_data=b"\0" * 36)
    p = call("info", write("type", [node("MatMul", ["x", "w"], ["y"])], raw=[t]))
    assert p.returncode in (3, 4) and "w" in p.stderr, p.stderr


run(material)
