#!/usr/bin/env python3
"""Single-operator Q/DQ models and integer operators against ONNX Runtime: the shared acceptance script's explicit part. Usage: run_qdq_models.py OCTAVO

Some 390 models: operator x signedness x zero point x weights per tensor or per channel; 8-bit codes may differ by 1 on at most 1 % of the elements, and
the step must be INT8 where Octavo has a kernel. Skipped where ../shared or the Python packages are absent.
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
    import numpy, onnx, onnxruntime  # noqa: F401, E401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

with tempfile.TemporaryDirectory(prefix="octavo-qdq-models-") as work:
    p = subprocess.run([sys.executable, str(script), "--octavo", str(octavo), "--part", "explicit", "--work", work], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(p.stdout)
m = re.search(r"^(?:all )?(\d+) hold(?:, (\d+) fall short)?$", p.stdout, re.M)
passed, failed = (int(m[1]), int(m[2] or 0)) if m else (0, 1)
no_verdict = len(re.findall(r"^skip ", p.stdout, re.M))
print(f"{passed} passed, {max(failed, p.returncode != 0)} failed, {no_verdict} skipped")
sys.exit(failed != 0 or p.returncode != 0 or passed == 0)
