#!/usr/bin/env python3
"""Is any step slower in INT8 than in float?  Times both forms of each model step by step, interleaved.

    bench/int8_vs_float.py OCTAVO [--models DIR] [--only SUBSTR] [--threads 1] [--rounds 7]

The float model is quantized by Octavo (random data, solver max: speed does not depend on the ranges). Steps are paired by name; conversions
(quantize, dequantize, layout) belong to no float step and are counted in the sums. The figure of a step is its minimum over rounds of the
mean over a run's repetitions. A step counts as slower above 1.05 and 0.2 us: below that the clock decides.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

ap = argparse.ArgumentParser()
ap.add_argument("octavo")
ap.add_argument("--models", default=str(Path(__file__).resolve().parents[2] / "shared" / "models"))
ap.add_argument("--only", default="")
ap.add_argument("--threads", type=int, default=1)
ap.add_argument("--rounds", type=int, default=7)
args = ap.parse_args()
work = Path(tempfile.mkdtemp(prefix="octavo-steps-"))


def octavo(*cmd):
    p = subprocess.run([args.octavo, *map(str, cmd)], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(map(str, cmd))}: {p.stderr.strip()}")
    return p.stdout


slower_steps = 0
for path in sorted(Path(args.models).glob("*.onnx")):
    if args.only not in path.name:
        continue
    port = onnx.load(str(path), load_external_data=False).graph.input[0]
    shape = [d.dim_value or 8 for d in port.type.tensor_type.shape.dim]
    np.savez(work / "c.npz", **{port.name: np.random.default_rng(1).standard_normal(shape).astype(np.float32)})
    q = work / path.name
    octavo("quantize", path, "--data", work / "c.npz", "--solver", "max", "-o", q, "--quiet")
    best = {"float": {}, "int8": {}}
    total = {"float": [], "int8": []}
    kind = {}
    for _ in range(args.rounds):
        for which, model in (("float", path), ("int8", q)):
            b = json.loads(octavo("bench", model, "--threads", args.threads, "--batch", 1, "--json"))
            total[which].append(b["latency_ms"]["min"])
            sums = {}  # a node may be several steps: a layout copy belongs to the convolution that asks for it
            for s in b["steps"]:
                key = s["name"], s["op"]
                sums[key] = sums.get(key, 0) + s["ms"] * 1e3
                if which == "int8":
                    kind[key] = s["precision"]
            for key, us in sums.items():
                best[which][key] = min(best[which].get(key, 1e9), us)
    pairs = [(k, best["int8"][k], best["float"][k]) for k in best["int8"] if k in best["float"] and kind[k] == "int8"]
    slow = [(k, i, f) for k, i, f in pairs if i > 1.05 * f and i - f > 0.2]
    slower_steps += len(slow)
    print(f"{path.stem:32} int8 {min(total['int8']):.3f} ms, float {min(total['float']):.3f} ms, ratio {min(total['float']) / min(total['int8']):.2f}; "
          f"{len(pairs)} steps paired, {len(slow)} slower in INT8", flush=True)
    for (name, op), i, f in slow:
        print(f"    {op} {name}: int8 {i:.2f} us, float {f:.2f} us")
sys.exit(slower_steps != 0)
