#!/usr/bin/env python3
"""Is the precision that the builder chooses never slower than all INT8 or all float?  Three plans of each model, timed interleaved in one run.

    bench/modes.py OCTAVO [--models zoo,shared] [--threads 1,2] [--rounds 5] [--again 3] [--json FILE]

--models takes `zoo` (bench/zoo.py), `shared` (../shared/models), names of the zoo and paths of float ONNX files. A model is calibrated once, on made-up
data (speed does not depend on the values), then built as `--calib CACHE --int8`, `--float` and `--calib CACHE` (chosen). A round benches each plan once and takes
the median latency; the table shows the minimum (median) over rounds. Where the chosen plan's minimum is above 1.02 x the better of the other two, the
rounds are repeated, --again times at most, for all three: minima of a shared machine need time to settle. Then exit status 1. Plans of the same bytes share their times.

The report of the chosen plan is checked too: each step that is not INT8 has a reason, and every node of the ONNX file is among some step's sources. Apart from
these are counted constants, nodes folded away (their inputs are constants or shapes), and nodes that only move values and left no step (views).
"""
import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import zoo

SHARED = Path(__file__).resolve().parents[2] / "shared" / "models"
FORMS = {"int8": ["--calib", "CACHE", "--int8"], "float": ["--float"], "chosen": ["--calib", "CACHE"]}
VIEWS = {"Concat", "Dropout", "Expand", "Flatten", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
LIMIT = 1.02


def octavo(*cmd):
    p = subprocess.run([args.octavo, *map(str, cmd)], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(map(str, cmd))}: {p.stderr.strip()}")
    return p.stdout


def chosen_models(text, work):
    for word in text.split(","):
        if word == "shared":
            yield from sorted(SHARED.glob("*.onnx"))
        elif word == "zoo" or word in zoo.ZOO:
            for name in zoo.ZOO if word == "zoo" else [word]:
                path = work / f"{name}.onnx"
                zoo.make(name, path)
                yield path
        elif Path(word).exists():
            yield Path(word)
        else:
            sys.exit(f"no model '{word}'")


def calibration_data(model, path):
    arrays = {}
    known = {i.name for i in model.graph.initializer}
    for port in model.graph.input:
        if port.name not in known:
            shape = [8] + [d.dim_value or 1 for d in port.type.tensor_type.shape.dim][1:]
            pictures = len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]
            arrays[port.name] = zoo.pictures(8, shape[2], 1) if pictures else np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    np.savez(path, **arrays)


def accounted(model, steps):
    """Which nodes of the file the report names: (in a step, constants, folded, views, [the rest])."""
    seen = {s for step in steps for s in step["sources"]}
    known = {i.name for i in model.graph.initializer}  # constants and what follows from shapes alone
    count, rest = Counter(), []
    for n in model.graph.node:
        fixed = n.op_type in ("Constant", "Shape", "Size") or all(i in known for i in n.input if i)
        known.update(n.output if fixed else ())
        if n.name in seen:
            count["steps"] += 1
        elif n.op_type == "Constant":
            count["constants"] += 1
        elif fixed:
            count["folded"] += 1
        elif n.op_type in VIEWS:
            count["views"] += 1
        else:
            rest.append(f"{n.op_type} {n.name}")
    return count, rest


def measure(plans, threads, rounds, times):
    for k in range(rounds):
        order = list(plans)[k % len(plans):] + list(plans)[:k % len(plans)]
        for form in order:
            times[form].append(json.loads(octavo("bench", plans[form], "--threads", threads, "--seconds", args.seconds, "--json"))["latency_ms"]["p50"])


def one(path, threads, work):
    """Builds, checks and times a model; returns its row and what is wrong."""
    model, wrong = onnx.load(str(path)), []
    cache = work / f"{path.stem}.json"
    if not cache.exists():
        calibration_data(model, work / "calib.npz")
        octavo("calibrate", path, "--data", work / "calib.npz", "--solver", "max", "-o", cache, "--quiet")
    plans = {form: work / f"{form}.plan" for form in FORMS}
    for form, options in FORMS.items():
        octavo("build", path, *[cache if o == "CACHE" else o for o in options], "--threads", threads, "-o", plans[form], "--quiet")
    steps = json.loads(octavo("inspect", plans["chosen"], "--json"))["steps"]
    mute = [s["name"] for s in steps if s["precision"] != "int8" and not s.get("reason")]
    if mute:
        wrong.append(f"{len(mute)} steps are not INT8 without a reason: {', '.join(mute[:4])}")
    count, rest = accounted(model, steps)
    if rest:
        wrong.append(f"{len(rest)} nodes are in no step: {', '.join(rest[:4])}")
    times = {form: [] for form in FORMS}
    same = [f for f in ("int8", "float") if plans[f].read_bytes() == plans["chosen"].read_bytes()]
    for form in same:
        times[form] = times["chosen"]
    for _ in range(1 + args.again):
        measure(plans, threads, args.rounds, times)
        best = {form: min(t) for form, t in times.items()}
        ratio = best["chosen"] / min(best["int8"], best["float"])
        if ratio <= LIMIT:
            break
    if ratio > LIMIT:
        wrong.append(f"chosen is {ratio:.3f} x the better of INT8 and float")
    kinds = Counter(s["precision"] for s in steps)
    row = {"model": path.stem, "threads": threads, "ms": {f: {"min": best[f], "median": float(np.median(times[f]))} for f in FORMS}, "same plan as": same,
           "chosen / best": ratio, "float / chosen": best["float"] / best["chosen"], "steps": dict(kinds), "nodes": {**count, "unaccounted": len(rest)}}
    cells = "".join(f"{best[f]:10.3f} ({row['ms'][f]['median']:8.3f})" for f in FORMS)
    nodes = f"{count['steps']} of {count['steps'] + len(rest)}, {count['constants']} constant, {count['folded']} folded, {count['views']} views{'; the plan is that of ' + same[0] if same else ''}"
    print(f"{path.stem:26} {threads:3}{cells}{ratio:9.3f}{row['float / chosen']:8.2f}   {kinds['int8']:3} / {kinds['float']:3} / {kinds['convert']:3}   {nodes}", flush=True)
    return row, wrong


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("octavo")
ap.add_argument("--models", default="zoo,shared")
ap.add_argument("--threads", default="1,2")
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--again", type=int, default=3)
ap.add_argument("--seconds", type=float, default=0.5, help="length of one measurement")
ap.add_argument("--json", type=Path)
args = ap.parse_args()
rows, failures = [], []
with tempfile.TemporaryDirectory(prefix="octavo-modes-") as d:
    print(f"{'model':26} thr" + "".join(f"{f + ' ms':>21}" for f in FORMS) + f"{'/ best':>9}{'speedup':>8}   INT8/float/conv   nodes in steps")
    for path in chosen_models(args.models, Path(d)):
        for threads in map(int, args.threads.split(",")):
            row, wrong = one(path, threads, Path(d))
            rows.append({**row, "wrong": wrong})
            failures += [f"{path.stem}, {threads} threads: {w}" for w in wrong]
if args.json:
    args.json.write_text(json.dumps(rows, indent=1))
print("\n".join(f"FAIL {f}" for f in failures) or f"all {len(rows)} hold: chosen <= {LIMIT} x the better, every node and every reason reported")
sys.exit(bool(failures))
