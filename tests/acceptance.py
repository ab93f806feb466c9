"""Runs one of ../shared's acceptance scripts as a test: skipped where it or the Python packages are absent.  Not a test itself."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"


def modes(part):
    """accept/modes.py --part PART with the octavo program of the command line. Ends the process."""
    script = SHARED / "accept" / "modes.py"
    if not script.exists():
        print("skipped: the shared acceptance script is not here")
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
    failed = max(failed, p.returncode != 0)
    print(f"{passed} passed, {failed} failed, {len(re.findall(r'^skip ', p.stdout, re.M))} skipped")
    sys.exit(failed != 0)
