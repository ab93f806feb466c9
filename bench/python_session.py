#!/usr/bin/env python3
"""What Python costs: octavo.Session.run against the C calls under it, and a model's throughput from Python against `octavo bench`.

    bench/python_session.py OCTAVO MODEL [--rounds N] [--batch B]
MODEL is an ONNX file, INT8 or float. Needs the package octavo (make python) and onnx. Both sides take turns in one run, one thread; medians over the rounds.
Overhead: a model of one Relu on 16 numbers, whose run takes next to no time, so that what remains is checking, binding, and new arrays.
"""
import argparse
import json
import statistics
import subprocess
import time

import numpy as np
from onnx import TensorProto, helper

import octavo
from octavo._native import core


def tiny():
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "tiny", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def times_of(session, feed, runs):
    out = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        session.run(None, feed)
        out.append((time.perf_counter_ns() - start) / 1e3)
    return out


def overhead(rounds):
    session = octavo.Session(tiny(), threads=1)
    feed = {"x": np.zeros((1, 16), np.float32)}
    times_of(session, feed, 1000)
    python, c = [], []
    for _ in range(rounds):
        python.append(statistics.median(times_of(session, feed, 2000)))
        room = core.ffi.new("double[]", 2000)
        core.check(core.lib.oct_bridge_time(session._last.context, 2000, room))
        c.append(statistics.median(room) * 1e6)
    print(f"one Relu on 16 numbers: Session.run {statistics.median(python):.2f} us, C run {statistics.median(c):.2f} us, "
          f"beyond it {statistics.median(python) - statistics.median(c):.2f} us")


def throughput(program, path, batch, rounds):
    session = octavo.Session(path, threads=1)
    port = session.get_inputs()[0]
    shape = [batch if axis == 0 else length for axis, length in enumerate(port.shape)]
    feed = {port.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    times_of(session, feed, 50)
    python, c = [], []
    for _ in range(rounds):
        command = [program, "bench", path, "--threads", "1", "--batch", str(batch), "--seconds", "0.5", "--json"]
        c.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["latency_ms"]["p50"] * 1e3)
        runs = max(int(0.5e6 / c[-1]), 10)
        python.append(statistics.median(times_of(session, feed, runs)))
    ratio = statistics.median(a / b for a, b in zip(python, c))
    print(f"{path}, batch {batch}: Session.run {statistics.median(python):.1f} us, octavo bench {statistics.median(c):.1f} us, ratio {ratio:.3f} "
          f"(best round {min(a / b for a, b in zip(python, c)):.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("octavo")
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=1)
    a = parser.parse_args()
    overhead(a.rounds)
    throughput(a.octavo, a.model, a.batch, a.rounds)


main()
