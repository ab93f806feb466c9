#!/usr/bin/env python3
"""Calibrated mode on a real model and images: the shared acceptance script's calibrated part.  Usage: run_modes.py OCTAVO

Ranges from a cache and by hand, precision constraints, TensorRT's cache, both roads, refusals, accuracy on all test images. Skipped where ../shared or
the Python packages are absent.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

octavo = Path(sys.argv[1]).resolve()
script = Path(__file__).resolve().parents[2].parent / "shared" / "accept" / "modes.py"
if not script.exists():
    print("skipped: the shared acceptance script is not here")
    sys.exit(0)
try:
    import numpy, onnx, onnxruntime, PIL  # noqa: F401, E401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

with tempfile.TemporaryDirectory(prefix="octavo-modes-") as work:
    p = subprocess.run([sys.executable, str(script), "--octavo", str(octavo), "--part", "calibrated", "--work", work], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(p.stdout)
m = re.search(r"^(?:all )?(\d+) hold(?:, (\d+) fall short)?$", p.stdout, re.M)
passed, failed = (int(m[1]), int(m[2] or 0)) if m else (0, 1)
print(f"{passed} passed, {max(failed, p.returncode != 0)} failed, 0 skipped")
sys.exit(failed != 0 or p.returncode != 0)
