#!/usr/bin/env python3
"""The example programs beside the octavo program give what the program itself gives.  Usage: run_examples.py OCTAVO

Needs numpy and onnx. Ends with "N passed, N failed, N skipped"."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

OCTAVO = Path(sys.argv[1]).resolve()
MINIMAL = OCTAVO.parent / "example_minimal"


def model(path):
    rng = np.random.default_rng(3)
    w = numpy_helper.from_array(rng.standard_normal((8, 3, 3, 3)).astype(np.float32), "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("GlobalAveragePool", ["r"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 12, 12])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8, 1, 1])], [w])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def minimal(plan, data):
    return subprocess.run([str(MINIMAL), str(plan), str(data)], capture_output=True, text=True, timeout=60)


def train(d):
    program = MINIMAL.with_name("example_train")
    if not program.exists():
        return []
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
    from trainset import network, pictures
    pictures(d / "set", 24, 1)
    network(d / "net.onnx")
    p = subprocess.run([str(program), str(d / "net.onnx"), str(d / "set"), str(d / "trained.onnx"), "4"], capture_output=True, text=True, timeout=60)
    quantized = p.returncode == 0 and any(n.op_type == "QuantizeLinear" for n in onnx.load(d / "trained.onnx").graph.node)
    return [("train: writes a Q/DQ model and says how good it is", quantized and "by PTQ" in p.stdout)]


def main():
    results = []
    with tempfile.TemporaryDirectory(prefix="octavo-examples-") as folder:
        d = Path(folder)
        x = np.random.default_rng(4).standard_normal((2, 3, 12, 12)).astype(np.float32)
        model(d / "m.onnx")
        np.save(d / "x.npy", x)
        (d / "x.bin").write_bytes(x.tobytes())
        subprocess.run([OCTAVO, "build", d / "m.onnx", "-o", d / "m.plan", "--batch", "2", "--quiet"], check=True)
        subprocess.run([OCTAVO, "run", d / "m.plan", "--input", f"x={d / 'x.npy'}", "--output-dir", d / "out", "--quiet"], check=True)
        p = minimal(d / "m.plan", d / "x.bin")
        got = np.array([float(v) for v in p.stdout.split()], np.float32)
        results.append(("minimal: same values as octavo run", p.returncode == 0 and np.array_equal(got, np.load(d / "out" / "y.npy").ravel())))
        c = subprocess.run([str(MINIMAL.with_name("example_calibrated")), str(d / "m.onnx"), str(d / "c.plan"), "x=-3,3", "r=0,9"], capture_output=True, text=True, timeout=60)
        layers = {n["layer"]: n for n in json.loads(c.stdout)["layers"]} if c.returncode == 0 else {}
        results.append(("calibrated: every layer reported, those without range with the reason", set(layers) == {"c", "r", "y"} and all(n["precision"] == "int8" or n["reason"] for n in layers.values())))
        results.append(("calibrated: its plan runs", subprocess.run([OCTAVO, "run", d / "c.plan", "--input", f"x={d / 'x.npy'}", "--output-dir", d / "out", "--quiet"]).returncode == 0))
        p = minimal(d / "x.bin", d / "x.bin")
        results.extend(train(d))
        results.append(("minimal: no plan is status 3 with a message", p.returncode == 3 and "plan" in p.stderr))
    for what, good in results:
        if not good:
            print(f"FAIL {what}")
    failed = sum(not good for _, good in results)
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    return failed != 0


sys.exit(main())
