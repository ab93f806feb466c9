#!/usr/bin/env python3
"""The n-th allocation, and the n-th step of writing a file, fail once, in every command: a clear error or the whole result, never a crash, a file that is not whole
or a temporary file left behind. Usage: run_failing.py OCTAVO [--all]    (--all: every n; else the first 150 and a sample of the rest)"""
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from harness import OCTAVO, WORK, Skip, ok, run, save, test  # noqa: E402

EVERY = "--all" in sys.argv
FIRST, SAMPLE = 150, 150
SHIM = WORK / "failing.so"
STATUSES = {0, 1, 2, 3, 4, 5, 70}


def material():
    try:
        import numpy as np
        from onnx import helper
    except ImportError:
        return
    rng = np.random.default_rng(1)

    def w(*shape):
        return rng.standard_normal(shape).astype(np.float32)
    node = helper.make_node
    save(WORK / "m.onnx", [node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]), node("Conv", ["r", "w2"], ["d"], pads=[1, 1, 1, 1]),
                           node("Add", ["d", "r"], ["a"]), node("GlobalAveragePool", ["a"], ["p"]), node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "g"], ["y"], transB=1)],
         [("x", ["N", 3, 8, 8])], [("y", ["N", 3])], {"w": w(8, 3, 3, 3), "b": w(8), "w2": w(8, 8, 3, 3), "g": w(3, 8)})
    np.save(WORK / "x.npy", w(6, 3, 8, 8))
    np.savez(WORK / "set.npz", x=w(6, 3, 8, 8), labels=np.array([0, 1, 2, 0, 1, 2]))
    ok("calibrate", WORK / "m.onnx", "--data", WORK / "x.npy", "-o", WORK / "cache.json")
    ok("quantize", WORK / "m.onnx", "--calib", WORK / "cache.json", "-o", WORK / "q.onnx") if "--calib" in ok("quantize", "--help").stdout else \
        ok("quantize", WORK / "m.onnx", "--data", WORK / "x.npy", "-o", WORK / "q.onnx")
    ok("build", WORK / "q.onnx", "--level", 0, "-o", WORK / "q.plan")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", SHIM, Path(__file__).with_name("failing.c"), "-ldl"], check=True)


whole = {}  # command -> the bytes of its file
COMMANDS = {
    "info": ["info", "m.onnx", "--json"],
    "calibrate": ["calibrate", "m.onnx", "--data", "x.npy", "-o", "OUT", "--threads", "1"],
    "quantize": ["quantize", "m.onnx", "--data", "x.npy", "-o", "OUT", "--threads", "1"],
    "build calibrated": ["build", "m.onnx", "--calib", "cache.json", "--level", "0", "-o", "OUT", "--threads", "1"],
    "build explicit": ["build", "q.onnx", "--level", "0", "--refit", "-o", "OUT"],
    "run": ["run", "q.plan", "--data", "x.npy", "-o", "OUT", "--threads", "1"],
    "eval": ["eval", "m.onnx", "q.onnx", "--data", "set.npz", "--json", "--threads", "1"],
    "compare": ["compare", "m.onnx", "q.onnx", "--data", "x.npy", "--json", "--threads", "1"],
    "bench": ["bench", "q.plan", "--runs", "2", "--json", "--threads", "2"],
    "inspect": ["inspect", "q.onnx", "--lint", "--json"],
    "train": ["train", "m.onnx", "--data", "set.npz", "--val", "set.npz", "--epochs", "1", "--batch", "3", "--threads", "1", "-o", "OUT"],
}


def once(name, what, n, folder):
    """One run with a failure; what is wrong with it, or None. Also how many allocations and writes there were."""
    folder.mkdir(exist_ok=True)
    out = folder / "out"
    arguments = [str(out) if a == "OUT" else str(WORK / a) if a.endswith((".onnx", ".npy", ".npz", ".plan", ".json")) and a != "--json" else a for a in COMMANDS[name]]
    read, write = os.pipe()
    env = dict(os.environ, LD_PRELOAD=str(SHIM), OCTAVO_FAIL=f"{what}:{n}", OCTAVO_FAIL_FD=str(write))
    p = subprocess.run([OCTAVO, *arguments], capture_output=True, text=True, errors="replace", env=env, pass_fds=(write,), timeout=120)
    os.close(write)
    with os.fdopen(read) as f:
        counts = [int(v) for v in f.read().split()] or [0, 0]
    wrong = None
    left = sorted(path.name for path in folder.iterdir())
    if p.returncode not in (STATUSES if n else {0}):
        wrong = f"status {p.returncode}"
    elif p.returncode and not p.stderr.strip():
        wrong = f"status {p.returncode} without a message"
    elif any(".tmp" in path for path in left):
        wrong = f"left {left}"
    elif out.is_file() and whole.setdefault(name, out.read_bytes()) != out.read_bytes():
        wrong = f"status {p.returncode}, and a file that is not whole"
    elif p.returncode == 0 and "OUT" in COMMANDS[name] and not left:
        wrong = "no failure, and no file"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return wrong and f"{name}, {what} {n}: {wrong}: {p.stderr.strip()[-300:]}", counts


def numbers(count):
    if EVERY or count <= FIRST + SAMPLE:
        return list(range(1, count + 1))
    return list(range(1, FIRST + 1)) + sorted(random.Random(count).sample(range(FIRST + 1, count + 1), SAMPLE))


def check(what):
    if not SHIM.exists():
        raise Skip("numpy and onnx are not here")
    if "libasan" in subprocess.run(["ldd", OCTAVO], capture_output=True, text=True).stdout:
        raise Skip("the address sanitizer has its own allocator")
    problems = []
    for name in COMMANDS:
        wrong, counts = once(name, what, 0, WORK / "f")
        assert wrong is None, wrong
        tried = numbers(counts[what == "write"])
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda n: once(name, what, n, WORK / f"f{n % 16}-{n}")[0], tried))  # noqa: B023
        problems += [f for f in found if f]
    assert not problems, f"{len(problems)} of them:\n" + "\n".join(problems[:20])


@test
def allocations__each_may_fail():
    check("alloc")


@test
def writes__each_may_fail():
    check("write")


run(material)
