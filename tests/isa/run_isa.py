#!/usr/bin/env python3
"""The same bits on every processor (DESIGN 3.5, 3.7). Usage: run_isa.py OCTAVO

Native: the INT8 CNNs of ../shared/models (the demo's model where they are not there), 8 images, over the CPU levels of this machine, 1, 2 and 4
threads, batch 1 and 8, and random kernels: one SHA-256. 64-bit Arm: the runtime is cross-compiled, its unit tests run under user-mode emulation,
and plans that `build --target neon` makes here give the same numbers there. Without the cross compiler that part is skipped."""
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from harness import OCTAVO, WORK, Skip, call, js, ok, run, test  # noqa: E402

SHARED = ROOT.parent / "shared"
EMULATOR = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"]
IMAGES = 8
models = {}  # name -> (Q/DQ model, float32 images [IMAGES, ...])


def images_for(path, rng):
    import numpy as np
    port = js("info", path)["inputs"][0]
    shape = [d if isinstance(d, int) and d > 0 else 1 for d in port["dims"]][1:]
    side = 1
    while side < max(shape):  # patches and noise, nearer to photographs than white noise alone
        side *= 2
    x = 0.3 * rng.standard_normal((64, *shape))
    return (x + rng.standard_normal((64, *[1] * len(shape)))).astype(np.float32)


def material():
    try:
        import numpy as np
    except ImportError:
        return
    rng = np.random.default_rng(5)
    found = sorted((SHARED / "models").glob("*.onnx")) if (SHARED / "models").is_dir() else sorted((ROOT / "models").glob("*.onnx"))
    for path in found:
        if not any(kind in path.name for kind in ("resnet", "mobilenet", "dscnn", "demo")):
            continue
        x = images_for(path, rng)
        np.save(WORK / "x.npy", x)
        q = WORK / f"{path.stem}.onnx"
        ok("quantize", path, "--data", WORK / "x.npy", "--batch", 1, "-o", q)
        models[path.stem] = q, x[:IMAGES]


def digest(*build_options, model, x, env=None, threads=1):
    """SHA-256 of the first output for all images."""
    import numpy as np
    plan = WORK / "p.plan"
    ok("build", model, "-o", plan, *build_options, env=env)
    port = js("info", model)
    np.save(WORK / "x8.npy", x)
    ok("run", plan, "--input", f"{port['inputs'][0]['name']}={WORK / 'x8.npy'}", "--threads", threads, "-o", WORK / "y", env=env)
    array = np.load(WORK / "y" / f"{port['outputs'][0]['name'].replace('/', '_').replace(':', '_')}.npy")
    assert array.shape[0] == len(x) and array.dtype == np.float32, array.shape
    return hashlib.sha256(array.tobytes()).hexdigest(), array


def levels():
    return [isa for isa in ("portable", "avx2", "avx512vnni") if call("bench", next(iter(models.values()))[0], "--runs", 1, env={"OCTAVO_ISA": isa}).returncode == 0]


@test
def cnns__levels_threads_batches_and_kernels__one_sha256():
    if not models:
        raise Skip("numpy is not here")
    for name, (model, x) in models.items():
        seen = {}
        for isa in levels():
            env = {"OCTAVO_ISA": isa}
            ways = [((), 1), ((), 2), ((), 4), (("--batch", 8), 1), (("--batch", 8), 4)] + [(("--tactic", f"random:{seed}"), 2) for seed in (1, 2)]
            for options, threads in ways:
                sha, _ = digest("--level", 0, *options, model=model, x=x, env=env, threads=threads)
                seen.setdefault(sha, []).append((isa, *options, threads))
        assert len(seen) == 1, f"{name}: {seen}"


def cross_build():
    p = subprocess.run([ROOT / "tools" / "setup", "neon"], capture_output=True, text=True)
    if p.returncode:
        raise Skip(f"the cross compiler cannot be installed: {p.stderr.strip().splitlines()[-1:]}")
    for command in (["cmake", "--preset", "neon"], ["cmake", "--build", "build/neon", "-j", str(os.cpu_count())]):
        p = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert p.returncode == 0, p.stdout[-3000:] + p.stderr[-3000:]


@test
def neon__unit_tests_of_the_runtime__pass_emulated():
    cross_build()
    # unit_kernels_test_nd_math takes minutes there; its functions are the portable ones, which unit_rt_test_exec_float runs as well
    p = subprocess.run(["ctest", "--test-dir", "build/neon", "-j", "2", "-E", "nd_math", "--output-on-failure", "--timeout", "600"], cwd=ROOT,
                       capture_output=True, text=True, env=dict(os.environ, OCTAVO_ISA="neon"))
    assert p.returncode == 0 and "tests passed" in p.stdout, p.stdout[-5000:]


@test
def neon__plans_built_here__the_same_numbers_there():
    if not models:
        raise Skip("numpy is not here")
    cross_build()
    for name, (model, x) in models.items():
        _, here = digest("--level", 0, model=model, x=x)
        for options in ((), ("--tactic", "random:3")):
            plan = WORK / "neon.plan"
            ok("build", model, "--target", "neon", *options, "-o", plan)
            for i in range(IMAGES if not options else 1):
                (WORK / "x.bin").write_bytes(x[i].tobytes())
                p = subprocess.run([*EMULATOR, ROOT / "build" / "neon" / "example_minimal", plan, WORK / "x.bin"], capture_output=True, text=True)
                assert p.returncode == 0, p.stderr
                there = b"".join(struct.pack("<f", float(line)) for line in p.stdout.split())
                assert there == here[i].tobytes(), f"{name}, image {i}, {options}"


@test
def targets__wrong_name_or_not_runnable_here__clear():
    if not models:
        raise Skip("numpy is not here")
    model, _ = next(iter(models.values()))
    p = call("build", model, "--target", "sse9", "-o", WORK / "no.plan")
    assert p.returncode == 2 and "sse9" in p.stderr and not (WORK / "no.plan").exists(), p.stderr
    other = "avx2" if os.uname().machine == "aarch64" else "neon"
    ok("build", model, "--target", other, "-o", WORK / "other.plan")
    p = call("bench", WORK / "other.plan", "--runs", 1)
    assert p.returncode == 3 and f"CPU level {other}" in p.stderr and "build it again" in p.stderr, p.stderr


assert OCTAVO
run(material)
