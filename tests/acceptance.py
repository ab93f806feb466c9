"""Runs one of ../shared's acceptance scripts as a test: skipped where it or the Python packages are absent.  Not a test itself."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"


def has_vnni():
    """The shared scripts compare levels up to AVX-512 VNNI and expect INT8 to be the faster choice: that is so on processors that have it."""
    return "avx512_vnni" in Path("/proc/cpuinfo").read_text()


def no_reference(text):
    """How many failures stand against integer kernels of ONNX Runtime that give wrong sums here."""
    from ort_saturates import saturates
    return len(re.findall(r"^FAIL (?:QLinearConv|MatMulInteger) u8 ", text, re.M)) if saturates() else 0


def modes(part):
    """accept/modes.py --part PART with the octavo program of the command line. Ends the process."""
    script = SHARED / "accept" / "modes.py"
    if not script.exists():
        print("skipped: the shared acceptance script is not here")
        sys.exit(0)
    if part == "calibrated" and not has_vnni():
        print("skipped: the shared acceptance script is for processors with AVX-512 VNNI")
        sys.exit(0)
    try:
        import numpy, onnx, onnxruntime, PIL  # noqa: F401, E401
    except ImportError as e:
        print(f"skipped: {e}")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="octavo-modes-") as work:
        p = subprocess.run([sys.executable, str(script), "--octavo", str(Path(sys.argv[1]).resolve()), "--part", part, "--work", work], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    print(p.stdout)
    m = re.search(r"^(?:all )?(\d+) hold(?:, (\d+) fall short)?$", p.stdout, re.M)
    passed, failed = (int(m[1]), int(m[2] or 0)) if m else (0, 1)
    skipped = len(re.findall(r"^skip ", p.stdout, re.M))
    if saturated := no_reference(p.stdout):
        print(f"{saturated} of these compare with ONNX Runtime's products of u8 and s8 codes, which saturate on this processor")
        failed, skipped = failed - saturated, skipped + saturated
    elif p.returncode:
        failed = max(failed, 1)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed != 0)
