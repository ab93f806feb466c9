#!/usr/bin/env python3
"""Damaged ONNX files must end in exit status 3, 4 or 5 with a message, or be read after all; never in a crash or a hang.

    run_corrupt.py OCTAVO [--rounds N] [--seed S]

Damage: bit flips, truncation, zeroed and repeated stretches, random bytes, spliced halves of two models; on small models of all
operators and on one real one.  `octavo info` reads each; every third one is run as well (there status 2 is fine: the damage may have
renamed the input)."""
import argparse
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import numpy as np
    from run_onnx import CASES, ROOT, build
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)


def damage(r, a, b):
    a = bytearray(a)
    kind = r.randrange(6)
    at = r.randrange(len(a))
    n = min(len(a) - at, 1 + r.randrange(16))
    if kind == 0:
        for _ in range(1 + r.randrange(8)):
            a[r.randrange(len(a))] ^= 1 << r.randrange(8)
    elif kind == 1:
        del a[at:]
    elif kind == 2:
        a[at:at + n] = bytes(n)
    elif kind == 3:
        a[at:at] = a[at:at + n] * (1 + r.randrange(4))
    elif kind == 4:
        a[at:at + n] = r.randbytes(n)
    else:
        a = a[:at] + bytearray(b[r.randrange(len(b)):])
    return bytes(a)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("octavo")
    p.add_argument("--rounds", type=int, default=400)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    seeds = []
    for case in CASES:
        model, xs = build(case, max(case.first, min(13, case.last)))
        if model is not None:
            seeds.append((model.SerializeToString(), xs))
    real = ROOT.parent / "shared" / "models" / "kws_dscnn.onnx"
    if real.exists():
        seeds += [(real.read_bytes(), {"input": np.zeros((1, 1, 49, 10), np.float32)})] * 20
    print(f"seed {args.seed}, {args.rounds} damaged files from {len(seeds)} models")

    def one(i):
        r = random.Random(args.seed * 1000003 + i)
        (a, xs), (b, _) = r.choice(seeds), r.choice(seeds)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "damaged.onnx"
            path.write_bytes(damage(r, a, b))
            command, allowed = [args.octavo, "info", str(path), "--json"], {0, 3, 4, 5}
            if i % 3 == 0:
                command, allowed = [args.octavo, "run", str(path), "--output-dir", folder, "--quiet", "--threads", "1"], {0, 2, 3, 4, 5}
                for k, v in xs.items():
                    np.save(f"{folder}/{k}.npy", v)
                    command += ["--input", f"{k}={folder}/{k}.npy"]
            try:
                p = subprocess.run(command, capture_output=True, timeout=120)
            except subprocess.TimeoutExpired:
                return f"round {i}: {command[1]} hangs"
            if p.returncode not in allowed:
                return f"round {i}: {command[1]}: exit status {p.returncode}: {p.stderr.decode(errors='replace').strip()[-1500:]}"
            if p.returncode and not p.stderr.strip():
                return f"round {i}: {command[1]}: exit status {p.returncode} without a message"
        return None

    with ThreadPoolExecutor(2) as pool:
        bad = [text for text in pool.map(one, range(args.rounds)) if text]
    print("\n".join(bad))
    print(f"{args.rounds - len(bad)} passed, {len(bad)} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
