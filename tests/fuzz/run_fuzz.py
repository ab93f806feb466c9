#!/usr/bin/env python3
"""Every fuzz target on its seeds, made anew from the program, on what fuzzing has found before (fuzz/corpus), and on damaged copies of both: each ends with a status,
never a crash. Usage: run_fuzz.py OCTAVO"""
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
octavo = Path(sys.argv[1]).resolve()
COPIES = 60  # damaged ones of each file

try:
    import numpy, onnx, PIL  # noqa: F401, E401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

passed = failed = 0
with tempfile.TemporaryDirectory(prefix="octavo-fuzz-test-") as t:
    folder = Path(t)
    subprocess.run([sys.executable, str(ROOT / "fuzz" / "seeds.py"), str(octavo), str(folder)], check=True)
    for target in sorted(p.stem[5:] for p in (ROOT / "fuzz").glob("fuzz_*.c")):
        rng = random.Random(target)
        files = sorted((folder / target).iterdir()) + sorted((ROOT / "fuzz" / "corpus" / target).glob("*"))
        damaged = folder / f"{target}-damaged"
        damaged.mkdir()
        for n, path in enumerate(files):
            data = path.read_bytes()
            for i in range(COPIES):
                copy = bytearray(data)
                for _ in range(rng.randint(1, 4)):
                    at = rng.randrange(len(copy) + 1)
                    copy[at:at + rng.choice([0, 1, 1, 1, 8])] = rng.choice([b"", b"\x00", b"\xff", rng.randbytes(1), rng.randbytes(8), b"\xff" * 8])
                (damaged / f"{n}-{i}").write_bytes(copy[:rng.randrange(len(copy) + 1)] if i % 7 == 0 else copy)
        p = subprocess.run([str(octavo.parent / f"fuzz_{target}"), *map(str, files), str(damaged)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if p.returncode == 0 and p.stdout.endswith(f"{len(files) * (COPIES + 1)} files\n"):
            passed += 1
        else:
            failed += 1
            print(f"FAIL fuzz_{target}: status {p.returncode}\n{p.stdout[-4000:]}")
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
