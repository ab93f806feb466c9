"""Histogram of |x| over all tensors seen, and weights' ranges from histograms. The solvers are in _solvers.py."""

from __future__ import annotations

import logging
from typing import Any, Optional

import numpy as np
import torch

from ..utils.reduce_amax import amax_except, channel_shape, kept_axes
from . import _solvers
from .calibrator import _Calibrator

__all__ = ["HistogramCalibrator", "calibrate_weights"]

logger = logging.getLogger(__name__)

MAX_GROWTH = 128  # the histogram may grow to this many times num_bins, then pairs of bins are merged


def _bin_counts(x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Counts (int64) of the flat tensor `x`, none above the last edge, in bins [edge, next edge), the last one closed."""
    bins = edges.numel() - 1
    index = (x * (bins / edges[-1])).long().clamp_(0, bins - 1)
    index -= (x < edges[index]).long()  # the product may round across an edge
    index += ((x >= edges[index + 1]) & (index < bins - 1)).long()
    return torch.bincount(index, minlength=bins)


class HistogramCalibrator(_Calibrator):
    """Collects a histogram of |x| per tensor; `compute_amax` solves it for a range by entropy, MSE or percentile.

    num_bits, axis, unsigned: as in `QuantDescriptor`; an axis raises NotImplementedError.
    num_bins: bins over the range of the first tensor; a later, larger value appends bins of the same width.
    grow_method: ignored, as in the original.
    skip_zeros: leave exact zeros out.
    torch_hist: count on the tensor's device; False counts with NumPy. Both give the same counts.
    """

    def __init__(
        self,
        num_bits: Any,
        axis: Any,
        unsigned: bool,
        num_bins: int = 2048,
        grow_method: Optional[str] = None,
        skip_zeros: bool = False,
        torch_hist: bool = True,
    ) -> None:
        super().__init__(num_bits, axis, unsigned)
        if axis is not None:
            raise NotImplementedError("Calibrator histogram collection only supports per tensor scaling")
        if grow_method is not None:
            logger.warning("grow_method is deprecated. Got %s, ignored!", grow_method)
        self._num_bins = num_bins
        self._skip_zeros = skip_zeros
        self._torch_hist = torch_hist
        self.reset()

    def reset(self) -> None:
        """Forget all tensors."""
        self._calib_bin_edges: Any = None  # [bins + 1], fp32, equally wide from 0
        self._calib_hist: Any = None  # [bins], int64
        self._zeros = 0  # zeros seen before the first other value
        self._device = torch.empty(0).device

    @torch.no_grad()
    def collect(self, x: torch.Tensor) -> None:
        """Count |x|. Raises ValueError for NaN or infinity."""
        x = x.detach().abs().float().flatten()
        if self._skip_zeros:
            x = x[x != 0]
        if x.numel() == 0:
            return
        self._device = x.device
        if not self._torch_hist:
            x = x.cpu()
        largest = x.max()
        if not bool(torch.isfinite(largest)):
            raise ValueError("HistogramCalibrator: the tensor holds NaN or infinity")
        if self._calib_hist is None:
            if largest == 0:
                self._zeros += x.numel()
                return
            self._start(largest)
        self._grow_to(float(largest))
        edges = torch.as_tensor(self._calib_bin_edges, device=x.device)
        counts = _bin_counts(x, edges) if self._torch_hist else torch.from_numpy(np.histogram(x.numpy(), bins=edges.numpy())[0])
        hist = counts + torch.as_tensor(self._calib_hist, device=x.device)
        self._calib_hist = hist if self._torch_hist else hist.numpy()

    def _start(self, largest: torch.Tensor) -> None:
        """Empty bins over [0, largest], the zeros seen so far in the first."""
        edges = torch.linspace(0.0, float(largest), self._num_bins + 1, device=largest.device)
        edges[-1] = largest
        hist = torch.zeros(self._num_bins, dtype=torch.int64, device=largest.device)
        hist[0] = self._zeros
        self._store(edges, hist)

    def _store(self, edges: torch.Tensor, hist: torch.Tensor) -> None:
        self._calib_bin_edges, self._calib_hist = (edges, hist) if self._torch_hist else (edges.numpy(), hist.numpy())

    def _grow_to(self, largest: float) -> None:
        """Append bins until the last edge reaches `largest`; too many are halved by merging pairs, so that memory stays bounded."""
        end = float(self._calib_bin_edges[-1])
        if largest <= end:
            return
        hist = torch.as_tensor(self._calib_hist)
        width = end / hist.numel()
        while largest > width * MAX_GROWTH * self._num_bins:
            hist = torch.nn.functional.pad(hist, (0, hist.numel() % 2)).reshape(-1, 2).sum(dim=1)
            width *= 2
        bins = max(hist.numel(), int(np.ceil(largest / width)))
        bins += int(np.float32(bins * width) < largest)
        edges = (torch.arange(bins + 1, dtype=torch.float64) * width).float().to(hist.device)
        self._store(edges, torch.nn.functional.pad(hist, (0, bins - hist.numel())))

    def compute_amax(
        self, method: str, *, stride: int = 1, start_bin: int = 128, percentile: float = 99.99
    ) -> Optional[torch.Tensor]:
        """The range by "entropy" (smallest KL divergence), "mse" (smallest squared error) or "percentile" (of the values inside).

        stride, start_bin: which bins' ends are tried, by entropy and mse.
        Returns a scalar on the device of the tensors, None if there were none. Raises TypeError for another method, ValueError for
        a percentile outside [0, 100]. The histogram is not changed.
        """
        if method not in ("entropy", "mse", "percentile"):
            raise TypeError(f"Unknown calibration method {method}")
        if method == "percentile" and not 0 <= percentile <= 100:
            raise ValueError(f"Invalid percentile {percentile}. Must be in range 0 <= percentile <= 100.")
        if self._calib_hist is None:
            return torch.zeros((), device=self._device) if self._zeros else None
        hist, edges = (torch.as_tensor(value).cpu().numpy() for value in (self._calib_hist, self._calib_bin_edges))
        if method == "percentile":
            amax = _solvers.percentile(hist, edges, percentile)
        elif method == "entropy":
            amax = _solvers.entropy(hist, edges, self._num_bits, self._unsigned, stride, start_bin)
        else:
            amax = _solvers.mse(hist, edges, self._num_bits, self._unsigned, stride, start_bin)
        return torch.tensor(amax, dtype=torch.float32, device=self._device)

    def __str__(self) -> str:
        edges = self._calib_bin_edges
        text = "None" if edges is None else f"[{float(edges[0]):.3f}, ..., {float(edges[-1]):.3f}]({len(edges)})"
        return f"HistogramCalibrator(calib_bin_edges={text})"

    def __repr__(self) -> str:
        return f"HistogramCalibrator({super().__repr__()} calib_bin_edges={self._calib_bin_edges} calib_hist={self._calib_hist})"


def _weight_amax(weight: torch.Tensor, quantizer: Any, method: str, percentile: float, num_bins: int) -> float:
    """Range of one weight tensor or channel from its own histogram."""
    magnitude = weight.detach().abs().float().cpu().numpy().reshape(-1)
    largest = float(magnitude.max())
    if largest == 0.0:
        return 0.0
    hist, edges = np.histogram(magnitude, bins=num_bins, range=(0.0, largest))
    if method == "mse":
        return _solvers.mse(hist, edges, quantizer.num_bits, quantizer.unsigned)
    return _solvers.percentile(hist, edges, percentile)


@torch.no_grad()
def calibrate_weights(
    model: torch.nn.Module, method: str = "percentile", perchannel: bool = True, percentile: float = 99.99, num_bins: int = 2048
) -> None:
    """Set the range of every weight quantizer in `model` from its weight.

    method: "max", "mse" or "percentile", whatever calibrator the quantizers have; TypeError for another.
    perchannel: one range per output channel (axis 1 of transposed convolutions, else 0), shaped to broadcast; else one range.
    percentile, num_bins: of the histogram of each channel (or tensor).
    """
    if method not in ("max", "mse", "percentile"):
        raise TypeError(f"Unsupported calibration method {method}")
    for name, module in model.named_modules():
        if not hasattr(module, "quantized_weights"):
            continue
        logger.info("Calibrate weight of %s", name)
        for quantizer, parameters in module.quantized_weights():
            weight = torch.cat(parameters, dim=1) if len(parameters) > 1 else parameters[0]
            axis = (1 if getattr(module, "transposed", False) else 0) if perchannel else None
            if method == "max":
                amax = amax_except(weight, axis).float()
            else:
                channels = weight.unbind(kept_axes(axis, weight.dim())[0]) if perchannel else (weight,)
                values = [_weight_amax(channel, quantizer, method, percentile, num_bins) for channel in channels]
                shape = channel_shape(axis, weight.shape) if perchannel else ()
                amax = torch.tensor(values, device=weight.device).reshape(shape)
            quantizer.register_buffer("_amax", amax)
