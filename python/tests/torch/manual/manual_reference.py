"""Independent NumPy definitions the manual toolkit is compared with; written from the formulas, loops included."""

from __future__ import annotations

import numpy as np


def limits(num_bits=8, unsigned=False, narrow=False):
    largest = 2 ** (num_bits - 1 + int(unsigned)) - 1
    return (0 if unsigned else -largest if narrow else -largest - 1), largest


def codes(x, amax, num_bits=8, unsigned=False, narrow=True):
    smallest, largest = limits(num_bits, unsigned, narrow)
    step = np.float32(amax) / np.float32(largest)
    return np.clip(np.rint(np.asarray(x, np.float32) / step), smallest, largest), step


def fake_quant(x, amax, num_bits=8, unsigned=False, narrow=True):
    code, step = codes(x, amax, num_bits, unsigned, narrow)
    return (code * step).astype(np.float32)


def percentile(values, edges, percent):
    """Upper edge of the first bin whose cumulated count reaches `percent` % of the values."""
    hist = np.histogram(values, bins=edges)[0]
    seen = 0
    for index, count in enumerate(hist):
        seen += count
        if seen >= percent / 100 * hist.sum():
            return edges[index + 1]
    raise AssertionError("percentile above 100")


def entropy(hist, edges, num_bits=8, unsigned=False, start_bin=128, stride=1):
    """KL divergence of every candidate by the definition, bin by bin."""
    hist = hist.astype(np.float64).copy()
    hist[0] = hist[1]
    groups = 2 ** (num_bits - 1 + int(unsigned))
    best, best_divergence = None, np.inf
    for size in range(start_bin, len(hist) + 1, stride):
        reference = hist[:size].copy()
        reference[-1] += hist[size:].sum()
        which = np.floor(np.arange(size) * groups / size).astype(int)
        quantized = np.zeros(size)
        for group in range(groups):
            members = np.flatnonzero((which == group) & (hist[:size] > 0))
            if len(members):
                quantized[members] = hist[members].sum() / len(members)
        p, q = reference / reference.sum(), quantized / max(quantized.sum(), 1e-300)
        on = p > 0
        divergence = np.inf if (q[on] == 0).any() else np.sum(p[on] * np.log(p[on] / q[on]))
        if divergence < best_divergence - 1e-12:
            best, best_divergence = size, divergence
    return edges[-1] if best is None else edges[best]  # -1: outliers beyond an empty last bin in every candidate


def mse(hist, edges, num_bits=8, unsigned=False, start_bin=128, stride=1):
    """Squared error of every candidate range, each bin quantized by the definition."""
    width = np.float64(edges[-1]) / len(hist)
    centres = (np.arange(len(hist)) + 0.5) * width
    largest = limits(num_bits, unsigned)[1]
    errors = []
    candidates = range(start_bin, len(hist), stride)
    for index in candidates:
        step = centres[index] / largest
        quantized = np.clip(np.rint(centres / step), 0, largest) * step
        errors.append(np.sum(hist * (quantized - centres) ** 2))
    return centres[candidates[int(np.argmin(errors))]]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, weight, bias, quantize):
    """One LSTM step: x [N, I], h and c [N, H], weight [4H, I + H] already quantized, gates i, f, g, o."""
    gates = quantize(np.concatenate((x, h), axis=1)) @ weight.T + bias
    i, f, g, o = np.split(gates, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c
