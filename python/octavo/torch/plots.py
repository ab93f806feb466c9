"""Pictures of ranges (needs matplotlib)."""
from __future__ import annotations

from typing import Any, Optional

from torch import nn

from .prepare import quantizers
from .quantizer import ActivationQuantizer


def plot_ranges(model: nn.Module, path: Optional[Any] = None) -> Any:
    """The real limits of every activation quantizer, and the spread of the weight scales of every layer, as one figure.

    path: a file to write (its ending says which kind); None = it is only returned. Gives the matplotlib figure.
    """
    from matplotlib.figure import Figure

    found = quantizers(model)
    activations = {n: q for n, q in found.items() if isinstance(q, ActivationQuantizer) and q.ready}
    weights = {n: q for n, q in found.items() if not isinstance(q, ActivationQuantizer)}
    figure = Figure(figsize=(11, max(3.0, 0.22 * max(len(activations), len(weights)) + 1)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row, (name, q) in enumerate(activations.items()):
        low, high = (float(v) for v in q.limits())
        left.barh(row, high - low, left=low, color="#4477aa", height=0.7)
    left.set_yticks(range(len(activations)), list(activations), fontsize=6)
    left.set_title("limits of activations")
    right.boxplot([q.scale.detach().reshape(-1).cpu().numpy() for q in weights.values()] or [[0.0]], orientation="horizontal", widths=0.6)
    right.set_yticks(range(1, len(weights) + 1), list(weights), fontsize=6)
    right.set_xscale("log")
    right.set_title("scales of weights, one a channel")
    for axes in (left, right):
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
    if path is not None:
        figure.savefig(path)
    return figure
