#!/usr/bin/env python3
"""The whole road on real models and images: the shared acceptance script, its quick form. Usage: run_accuracy.py OCTAVO [--full]

Float accuracy, PTQ accuracy and agreement, equality with ONNX Runtime on the written Q/DQ file, same bytes over ISA levels, threads and batch
sizes, and the runtime library's size and dependencies. Skipped where ../shared or the Python packages are absent.
"""
import re
import subprocess
import sys
from pathlib import Path

octavo = Path(sys.argv[1]).resolve()
root = Path(__file__).resolve().parents[2]
script = root.parent / "shared" / "accept" / "foundation.py"
if not script.exists():
    print("skipped: the shared models and images are not here")
    sys.exit(0)
sys.path.insert(0, str(root / "tests"))
from acceptance import has_vnni  # noqa: E402

if not has_vnni():
    print("skipped: the shared acceptance script is for processors with AVX-512 VNNI")
    sys.exit(0)
try:
    import numpy, onnx, onnxruntime, PIL  # noqa: F401, E401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

command = [sys.executable, str(script), "--octavo", str(octavo), "--runtime-lib", str(octavo.parent / "liboctavo_rt.so"), "--part", "accuracy",
           "--work", str(root / "build" / "accept")]
command += [] if "--full" in sys.argv else ["--quick"]
p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(p.stdout)
passed = len(re.findall(r"^ok  ", p.stdout, re.M))
failed = len(re.findall(r"^FAIL", p.stdout, re.M)) + (p.returncode != 0 and "fall short" not in p.stdout)
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0 or passed == 0)
