#!/usr/bin/env python3
"""Several processes by mpirun on one machine: train, calibrate, eval.  Usage: run_peers.py OCTAVO
Needs numpy, pillow, onnx, mpirun and a build with MPI. Ends with "N passed, N failed, N skipped"."""
import os
import shutil
import subprocess
import sys

try:
    from trainset import COMMON, network, pictures
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

from harness import *

if not shutil.which("mpirun") or not (Path(OCTAVO).parent / "liboctavo_mpi.so").exists():
    print("skipped: mpirun, or a build with MPI, is not there")
    sys.exit(0)

SET, NET = WORK / "set", WORK / "net.onnx"


def material():
    pictures(SET, 24, 1)
    network(NET)


def together(*args, processes=2):
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", str(processes), OCTAVO, *map(str, args)]
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:exitcode=99")  # the MPI library keeps what it takes
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=env)


@test
def two_processes_train_as_one_does():
    args = ["train", NET, "--data", SET, "--val", SET, *COMMON, "--float", "--init", "kaiming", "--lr", 0.05, "--epochs", 3, "--micro-batch", 4, "--threads", 1, "--json"]
    curves, results = [], []
    for name, run_it in (("one", lambda a: ok(*a)), ("two", lambda a: together(*a))):
        log = WORK / f"{name}.jsonl"
        p = run_it([*args, "--log", log, "-o", WORK / f"{name}.onnx"])
        assert p.returncode == 0, p.stderr
        results.append(json.loads(p.stdout))
        curves.append([json.loads(line)["loss"] for line in log.read_text().splitlines() if '"event"' not in line])
    assert len(curves[0]) == len(curves[1]) == 21
    for i, (a, b) in enumerate(zip(*curves)):
        assert abs(a - b) < 2e-3 * (1 + i), (i, a, b)
    assert results[1]["epochs"] == 3 and (WORK / "two.onnx").exists()


@test
def two_processes_train_with_quantizers():
    p = together("train", NET, "--data", SET, "--val", SET, *COMMON, "--wbits", 4, "--abits", 4, "--epochs", 1, "--threads", 1, "--scale-mode", "ema", "-o", WORK / "q.onnx", "--json")
    assert p.returncode == 0, p.stderr
    j = json.loads(p.stdout)
    assert j["best_top1"] >= j["ptq_top1"]


@test
def shards_of_a_calibration_give_the_same_bytes():
    one, two, three = (WORK / f"c{i}.json" for i in (1, 2, 3))
    ok("calibrate", NET, "--data", SET, *COMMON, "-o", one)
    for processes, cache in ((2, two), (3, three)):
        p = together("calibrate", NET, "--data", SET, *COMMON, "-o", cache, processes=processes)
        assert p.returncode == 0, p.stderr
        assert cache.read_bytes() == one.read_bytes()
    assert not list(WORK.glob("*.tmp"))


@test
def shards_of_an_evaluation_count_as_one():
    other = network(WORK / "other.onnx", seed=3)
    args = ["eval", NET, other, "--data", SET, *COMMON, "--json"]
    one, p = js(*args[:-1]), together(*args)
    assert p.returncode == 0, p.stderr
    two = json.loads(p.stdout)
    assert two["models"] == one["models"]
    for key in ("flips_better", "flips_worse", "mcnemar_p", "ci95", "agree"):
        assert two["verdict"][key] == one["verdict"][key], key
    assert abs(two["verdict"]["sqnr_db"] - one["verdict"]["sqnr_db"]) < 1e-6


@test
def one_process_that_fails_ends_all():
    p = together("train", NET, "--data", WORK / "nothing", *COMMON, "-o", WORK / "x.onnx")
    assert p.returncode == 5 and "nothing" in p.stderr, (p.returncode, p.stderr)


run(material)
