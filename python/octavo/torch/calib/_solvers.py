"""Ranges from a histogram of magnitudes: `hist` [bins] counts values between equally wide `edges` [bins + 1] that start at 0.

All return a float, the smallest candidate among equally good ones, and leave the histogram as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..tensor_quant import maxbound, scaled_e4m3

TIE = 1e-12  # divergences this close are equal: the sums carry rounding errors of this order


def percentile(hist: np.ndarray, edges: np.ndarray, percent: float) -> float:
    """Upper edge of the first bin by which `percent` % of the values are counted."""
    counted = np.cumsum(hist)
    index = int(np.searchsorted(counted, percent / 100.0 * counted[-1]))
    return float(edges[min(index, hist.size - 1) + 1])


def _xlogx(x: np.ndarray) -> np.ndarray:
    """x * log(x), 0 at 0."""
    return x * np.log(np.where(x > 0, x, 1.0))


def entropy(hist: np.ndarray, edges: np.ndarray, num_bits: Any, unsigned: bool, stride: int = 1, start_bin: int = 128) -> float:
    """Range with the smallest Kullback-Leibler divergence between the clipped histogram and its quantized form.

    Candidate i keeps the first i bins; what lies beyond is added to the last one (reference P). Quantized form Q: the i bins in
    2^(bits-1+unsigned) groups, each group's count spread evenly over its non-empty bins. The first bin takes the count of the
    second, so that a peak at zero does not dominate. The whole range if no candidate has a finite divergence. Sums over groups come
    from cumulative sums: KL = Σ P log P - Σ P log Q costs one step per group.
    Raises TypeError for a float format.
    """
    if not isinstance(num_bits, int):
        raise TypeError(f"entropy calibration needs integer num_bits, not {num_bits}")
    counts = hist.astype(np.float64)
    counts[0] = counts[1] if counts.size > 1 else counts[0]
    total = counts.sum()
    if total == 0:  # everything lies in the first bin
        return float(edges[1])
    groups = 1 << (num_bits - 1 + int(unsigned))
    mass = np.concatenate(([0.0], np.cumsum(counts)))
    filled = np.concatenate(([0], np.cumsum(counts > 0)))
    log_mass = np.concatenate(([0.0], np.cumsum(_xlogx(counts))))
    candidates = np.arange(min(start_bin, counts.size), counts.size + 1, stride)
    divergence = np.full(candidates.size, np.inf)
    for position, size in enumerate(candidates):
        kept, last = mass[size], counts[size - 1]
        outside = total - kept
        if kept == 0 or (outside > 0 and last == 0):
            continue  # Q is zero where P is not
        bounds = -(-np.arange(groups + 1) * size // groups)
        sums = mass[bounds[1:]] - mass[bounds[:-1]]
        means = sums / np.maximum(filled[bounds[1:]] - filled[bounds[:-1]], 1)
        own = log_mass[size] - _xlogx(last) + _xlogx(last + outside)
        cross = np.sum(sums * np.log(np.where(means > 0, means, 1.0))) - total * np.log(kept)
        cross += outside * np.log(means[(size - 1) * groups // size]) if outside > 0 else 0.0
        divergence[position] = (own - total * np.log(total) - cross) / total
    if np.isinf(divergence).all():
        return float(edges[-1])
    best = np.flatnonzero(divergence <= divergence.min() + TIE)[0]
    return float(edges[candidates[best]])


def mse(hist: np.ndarray, edges: np.ndarray, num_bits: Any, unsigned: bool, stride: int = 1, start_bin: int = 128) -> float:
    """Range with the smallest squared error of quantization, each value taken at its bin's centre; candidates are bin centres.

    The error of all bins that get code k is a quadratic in the code's value, so three cumulative sums give it at once.
    """
    bins = hist.size
    width = float(edges[-1]) / bins
    centres = np.arange(bins) + 0.5  # in units of the width
    candidates = np.arange(min(start_bin, bins - 1), bins, stride)
    if isinstance(num_bits, tuple):
        errors = _e4m3_errors(hist, centres * width, candidates)
        return float(centres[candidates[int(np.argmin(errors))]] * width)
    largest = int(maxbound(num_bits, unsigned))
    if largest <= 0:
        return float(centres[candidates[0]] * width)
    weights = hist.astype(np.float64)
    power0, power1, power2 = (np.concatenate(([0.0], np.cumsum(weights * centres**power))) for power in (0, 1, 2))
    errors = np.empty(candidates.size)
    codes = np.arange(largest + 1)
    for position, index in enumerate(candidates):
        step = centres[index] / largest
        # Bin j gets code k >= 1 from centre >= (k - 1/2) step on; centres are odd halves and never fall on a tie.
        first = np.ceil((codes - 0.5) * step - 0.5).astype(np.int64)
        bounds = np.concatenate((np.clip(first, 0, bins), [bins]))
        sums = [power[bounds[1:]] - power[bounds[:-1]] for power in (power0, power1, power2)]
        values = codes * step
        errors[position] = np.sum(sums[2] - 2.0 * values * sums[1] + values * values * sums[0])
    best = np.flatnonzero(errors <= errors.min() + TIE * power2[-1])[0]
    return float(centres[candidates[best]] * width)


def _e4m3_errors(hist: np.ndarray, centres: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Squared error of rounding to FP8 E4M3 for each candidate range."""
    values, weights = torch.from_numpy(centres), torch.from_numpy(hist.astype(np.float64))
    return np.array([float(((scaled_e4m3(values, values[index]) - values) ** 2 * weights).sum()) for index in candidates])
