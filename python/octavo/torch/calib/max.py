"""Range = the largest absolute value seen."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch

from ..utils.reduce_amax import amax_except
from .calibrator import _Calibrator

__all__ = ["MaxCalibrator"]


class MaxCalibrator(_Calibrator):
    """Running maximum of |x|, per tensor or for each index of `axis` (negative axes count from the end).

    num_bits, axis, unsigned: as in `QuantDescriptor`.
    track_amax: keep every tensor's own maximum in `amaxs`, to plot.
    """

    def __init__(self, num_bits: Any, axis: Any, unsigned: bool, track_amax: bool = False) -> None:
        super().__init__(num_bits, axis, unsigned)
        self._track_amax = track_amax
        self._amaxs: list[np.ndarray] = []
        self._calib_amax: Optional[torch.Tensor] = None

    @property
    def amaxs(self) -> list[np.ndarray]:
        """Maximum of each tensor collected, if `track_amax`."""
        return self._amaxs

    def collect(self, x: torch.Tensor) -> None:
        """Take a tensor into account. Raises RuntimeError if its range has another shape than before."""
        amax = amax_except(x.detach(), self._axis).float()
        if self._calib_amax is None:
            self._calib_amax = amax
        elif amax.shape != self._calib_amax.shape:
            raise RuntimeError(f"amax shape changed from {tuple(self._calib_amax.shape)} to {tuple(amax.shape)}!")
        else:
            self._calib_amax = torch.maximum(self._calib_amax.to(amax.device), amax)
        if self._track_amax:
            self._amaxs.append(amax.cpu().numpy())

    def reset(self) -> None:
        """Forget all tensors."""
        self._calib_amax = None
        self._amaxs = []

    def compute_amax(self) -> Optional[torch.Tensor]:
        """The maximum, fp32; shape () per tensor, else broadcastable against the tensors. None if no tensor was collected."""
        return self._calib_amax

    def __str__(self) -> str:
        return f"MaxCalibrator(track_amax={self._track_amax})"

    def __repr__(self) -> str:
        tracked = f" amaxs={self._amaxs}" if self._track_amax else ""
        return f"MaxCalibrator({super().__repr__()} calib_amax={self._calib_amax} track_amax={self._track_amax}{tracked})"
