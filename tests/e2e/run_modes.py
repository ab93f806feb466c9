#!/usr/bin/env python3
"""Calibrated mode on a real model and images: the shared acceptance script's calibrated part.  Usage: run_modes.py OCTAVO

Ranges from a cache and by hand, precision constraints, TensorRT's cache, both roads, refusals, accuracy on all test images.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import acceptance  # noqa: E402

acceptance.modes("calibrated")
