"""Pictures of a prepared model (needs matplotlib): histograms, ranges, errors."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from .calibrate import all_off, evaluating, run
from .layers import _Weighted
from .prepare import quantizers
from .quantizer import ActivationQuantizer, Quantizer

BINS = 120


@dataclass
class _Seen:
    """Of one quantizer: a histogram over its own limits, widened by a quarter, and the power of values and errors."""

    quantizer: Quantizer
    counts: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(BINS))
    signal: float = 0.0
    noise: float = 0.0

    def edges(self) -> np.ndarray[Any, Any]:
        low, high = (float(limit) for limit in self.quantizer.limits())
        room = (high - low) / 4
        return np.linspace(low - (room if low < 0 else 0), high + room, BINS + 1)

    def add(self, x: Tensor) -> None:
        values = x.detach().float()
        error = values - self.quantizer.quantize(values).detach()
        self.signal += float(values.double().square().sum())
        self.noise += float(error.double().square().sum())
        if self.quantizer.scale.dim() == 0:
            edges = self.edges()
            self.counts += np.histogram(np.clip(values.cpu().numpy(), edges[0], edges[-1]), edges)[0]

    @property
    def decibels(self) -> float:
        """Signal over rounding and clipping error."""
        return 10 * math.log10(self.signal / self.noise) if self.noise > 0 and self.signal > 0 else float("nan")


def _watch(model: nn.Module, data: Iterable[Any], forward: Callable[[nn.Module, Any], Any]) -> dict[str, _Seen]:
    seen = {name: _Seen(q) for name, q in quantizers(model, ActivationQuantizer).items() if q.ready}

    def watcher(record: _Seen) -> Any:
        return lambda module, args: record.add(args[0])

    hooks = [record.quantizer.register_forward_pre_hook(watcher(record)) for record in seen.values()]
    try:
        with evaluating(model), all_off(model):
            for batch in data:
                forward(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _weights(model: nn.Module) -> dict[str, _Seen]:
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, _Weighted):
            found[f"{name}.weight_quantizer"] = record = _Seen(module.weight_quantizer)
            with torch.no_grad():
                record.add(module.weight)
    return found


def plot_ranges(model: nn.Module, path: Optional[Any] = None, data: Iterable[Any] = (), forward: Callable[[nn.Module, Any], Any] = run) -> Any:
    """Ranges, histograms and errors of a prepared and calibrated model, as one figure of three parts.

    Left: the real limits of every activation quantizer, with the histogram of its float values where data are given: what lies outside of the
    bar is clipped. Middle: how far the scales of a layer's channels lie apart. Right: signal over quantization error in decibels, of every weight
    and, with data, of every activation; 6 dB are one bit.

    Args:
        path: a file to write (its ending says which kind); None = the figure is only returned.
        data: batches as calibrate takes them; a few suffice.
    """
    from matplotlib.figure import Figure

    activations, weights = _watch(model, data, forward), _weights(model)
    rows = max(len(activations), len(weights), 1)
    figure = Figure(figsize=(15, max(3.0, 0.22 * rows + 1)), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for row, seen in enumerate(activations.values()):
        low, high = (float(v) for v in seen.quantizer.limits())
        left.barh(row, high - low, left=low, color="#aaccee", height=0.8)
        if seen.counts.any():
            edges = seen.edges()
            heights = np.log1p(seen.counts) / np.log1p(seen.counts.max())
            left.fill_between(edges[:-1], row + 0.4, row + 0.4 - 0.8 * heights, step="post", color="#224466")
    left.set_yticks(range(len(activations)), list(activations), fontsize=6)
    left.set_title("limits and histograms of activations")
    middle.boxplot([s.quantizer.scale.detach().reshape(-1).cpu().numpy() for s in weights.values()] or [[1.0]], orientation="horizontal", widths=0.6)
    middle.set_yticks(range(1, max(len(weights), 1) + 1), list(weights) or [""], fontsize=6)
    middle.set_xscale("log")
    middle.set_title("scales of weights, one a channel")
    errors = {n: s.decibels for n, s in {**activations, **weights}.items() if not math.isnan(s.decibels)}
    order = sorted(errors, key=errors.__getitem__)[:rows]
    right.barh(range(len(order)), [errors[n] for n in order], color=["#cc6677" if n in weights else "#4477aa" for n in order])
    right.set_yticks(range(len(order)), order, fontsize=6)
    right.set_title("signal over error, dB (red: weights)")
    for axes in (left, middle, right):
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
    if path is not None:
        figure.savefig(path)
    return figure
