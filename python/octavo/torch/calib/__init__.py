"""Calibrators: they collect statistics of tensors and compute the range `amax`."""

from .histogram import HistogramCalibrator, calibrate_weights
from .max import MaxCalibrator

__all__ = ["HistogramCalibrator", "MaxCalibrator", "calibrate_weights"]
