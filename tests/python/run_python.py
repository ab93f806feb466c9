#!/usr/bin/env python3
"""The Python package: installs it into a virtual environment over the one that runs this, then its own tests (python/tests).

    run_python.py OCTAVO [pytest's options]

The program is not used: the package builds its own library from this checkout. Exit 1 when a test fails or the package does not install."""
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install():
    """One command from the checkout, as the README says it."""
    return subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT / "python")]).returncode == 0


def main():
    if sys.prefix == sys.base_prefix:
        print("skipped: no virtual environment (tools/setup python makes one)")
        return 0
    if importlib.util.find_spec("pytest") is None:
        print("skipped: pytest is not installed")
        return 0
    if not install():
        print("pip install ./python failed\n0 passed, 1 failed, 0 skipped")
        return 1
    # Not from python/, whose package has no compiled modules.
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--durations=10", "-W", "ignore", str(ROOT / "python" / "tests"), *sys.argv[2:]]
    p = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "build")
    print(p.stdout[-15000:], p.stderr[-5000:])
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", p.stdout.strip().rsplit("\n", 1)[-1])}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    print(f"{counts.get('passed', 0)} passed, {max(failed, 1) if p.returncode else failed} failed, {counts.get('skipped', 0)} skipped")
    return p.returncode


sys.exit(main())
