#!/usr/bin/env python3
"""What the Q/DQ on the residual inputs of Adds are worth: ResNet-18 with them and without, interleaved in one run.

    bench/residual_qdq.py OCTAVO [--model resnet18] [--threads 1,2] [--rounds 7]

NVIDIA's advice for explicit quantization is to quantize the residual input of an Add, so that convolution, Add and Relu fuse into one INT8 step. The model (bench/zoo.py,
or any float ONNX file) is quantized by Octavo, which places them; in the second form each such Add reads the tensor before the pair, and nothing
else changes. Figures: minimum (median) over rounds of the median latency. Exit status 1 when the form with the pairs is not the faster one.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import zoo


def octavo(*cmd):
    p = subprocess.run([args.octavo, *map(str, cmd)], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(map(str, cmd))}: {p.stderr.strip()}")
    return p.stdout


def bypass(source, target):
    """Writes the model with its Adds reading past Q/DQ pairs; returns how many inputs changed. A pair that nothing reads any more is dropped."""
    model = onnx.load(str(source))
    g = model.graph
    made_by = {o: n for n in g.node for o in n.output}
    changed = 0
    for add in (n for n in g.node if n.op_type == "Add"):
        for i, name in enumerate(add.input):
            dq = made_by.get(name)
            q = made_by.get(dq.input[0]) if dq is not None and dq.op_type == "DequantizeLinear" else None
            if q is not None and q.op_type == "QuantizeLinear":
                add.input[i], changed = q.input[0], changed + 1
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        read = {i for n in g.node for i in n.input} | {o.name for o in g.output}
        for n in [n for n in g.node if n.op_type == kind and n.output[0] not in read]:
            g.node.remove(n)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return changed


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("octavo")
ap.add_argument("--model", default="resnet18")
ap.add_argument("--threads", default="1,2")
ap.add_argument("--rounds", type=int, default=7)
args = ap.parse_args()
slower = 0
with tempfile.TemporaryDirectory(prefix="octavo-residual-") as d:
    work, path = Path(d), Path(args.model)
    if args.model in zoo.ZOO:
        path = work / f"{args.model}.onnx"
        zoo.make(args.model, path)
    port = onnx.load(str(path)).graph.input[0]
    image = port.type.tensor_type.shape.dim[2].dim_value
    np.savez(work / "calib.npz", **{port.name: zoo.pictures(8, image, 1)})
    onnxes = {"with": work / "with.onnx", "without": work / "without.onnx"}
    octavo("quantize", path, "--data", work / "calib.npz", "--solver", "max", "-o", onnxes["with"], "--quiet")
    changed = bypass(onnxes["with"], onnxes["without"])
    if not changed:
        sys.exit(f"{args.model}: no Add reads a Q/DQ pair")
    plans = {}
    for form, model in onnxes.items():
        plans[form] = work / f"{form}.plan"
        octavo("build", model, "-o", plans[form], "--quiet")
        steps = json.loads(octavo("inspect", plans[form], "--json"))["steps"]
        print(f"{form:8} Q/DQ on residuals: {len(steps)} steps, {sum(s['precision'] == 'int8' for s in steps)} INT8, {sum(s['precision'] == 'float' for s in steps)} float")
    print(f"{changed} Add inputs differ")
    for threads in map(int, args.threads.split(",")):
        times = {form: [] for form in plans}
        for k in range(args.rounds):
            for form in sorted(plans, reverse=k % 2):
                times[form].append(json.loads(octavo("bench", plans[form], "--threads", threads, "--seconds", 0.5, "--json"))["latency_ms"]["p50"])
        best = {form: min(t) for form, t in times.items()}
        ratio = best["without"] / best["with"]
        slower += ratio <= 1
        print(f"{path.stem}, {threads} threads: with {best['with']:.3f} ({np.median(times['with']):.3f}) ms, without {best['without']:.3f} ({np.median(times['without']):.3f}) ms, "
              f"without / with {ratio:.3f}{'' if ratio > 1 else '  FAIL'}", flush=True)
sys.exit(slower != 0)
