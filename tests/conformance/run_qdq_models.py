#!/usr/bin/env python3
"""Single-operator Q/DQ models and integer operators against ONNX Runtime: the shared acceptance script's explicit part.  Usage: run_qdq_models.py OCTAVO

Some 390 models: operator x signedness x zero point x weights per tensor or per channel; 8-bit codes may differ by 1 on at most 1 % of the elements, and
the step must be INT8 where Octavo has a kernel.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import acceptance  # noqa: E402

acceptance.modes("explicit")
