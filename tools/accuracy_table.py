#!/usr/bin/env python3
"""Accuracy of PTQ for each solver x scheme x weight granularity, as a Markdown table (docs/accuracy.md).

    tools/accuracy_table.py OCTAVO [MODEL-SUBSTRING...] [--limit N]     default: the mobile and the transformer models of ../shared

Calibrates on 512 training images (seed 0) and measures on all 10,000 test images, or on N of them. Needs ../shared and, for unpacking it once, numpy and Pillow.
"""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
args = sys.argv[1:]
limit = []
if "--limit" in args:
    at = args.index("--limit")
    limit = args[at:at + 2]
    del args[at:at + 2]
octavo, wanted = args[0], args[1:] or ["mobilenetv2_cifar10.onnx", "vit_"]
images = ROOT / "build" / "accuracy" / "cifar10"
if not (SHARED / "models" / "models.json").exists():
    sys.exit("skipped: the shared models and images are not here")
if not (images / "done").exists():
    sys.path.insert(0, str(SHARED / "data"))
    import cifar10
    cifar10.unpack(images)
    (images / "done").write_text("ok")


def run(*args):
    p = subprocess.run([octavo, *map(str, args), "--quiet"], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(map(str, args))}: {p.stderr.strip()}")
    return p.stdout


SOLVERS = {"auto": [], "max": [], "percentile 99.9": ["--percentile", "99.9"], "percentile 99.99": ["--percentile", "99.99"],
           "percentile 99.999": ["--percentile", "99.999"], "entropy": [], "mse": []}
print("| model | solver | activations | weights | top-1 % | of float | same answer % | 95 % interval |\n|---|---|---|---|---|---|---|---|")
for m in json.loads((SHARED / "models" / "models.json").read_text()):
    if m["dataset"] != "cifar10" or not any(w in m["file"] for w in wanted):
        continue
    model, q = SHARED / "models" / m["file"], images.parent / "q.onnx"
    pre = ["--mean", ",".join(map(str, m["mean"])), "--std", ",".join(map(str, m["std"]))]
    for solver, extra in SOLVERS.items():
        for scheme in ("affine", "symmetric"):
            for granularity in ("per channel", "per tensor"):
                run("quantize", model, "--data", images / "train", "--limit", 512, *pre, "--solver", solver.split()[0], *extra, "--scheme", scheme,
                    *(["--per-tensor"] if granularity == "per tensor" else []), "-o", q)
                e = json.loads(run("eval", model, q, "--data", images / "test", *pre, "--batch", 16, *limit, "--json"))
                a, b, v = *e["models"], e["verdict"]
                print(f"| {m['file'].removesuffix('.onnx')} | {solver} | {'u8 affine' if scheme == 'affine' else 's8 symmetric'} | {granularity} | {b['top1']:.2f} | "
                      f"{b['top1'] - a['top1']:+.2f} | {v['agree']:.2f} | {v['ci95'][0]:+.2f} to {v['ci95'][1]:+.2f} |", flush=True)
