"""Helpers of training: frozen BatchNorm, keeping the better state, and the cost of single layers."""
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .prepare import quantizers
from .quantizer import Quantizer, WeightQuantizer


class _Frozen:
    def train(self, mode: bool = True) -> Any:
        return super().train(False)  # type: ignore[misc]


class FrozenBatchNorm1d(_Frozen, nn.BatchNorm1d):
    """BatchNorm that stays in inference whatever the model's mode."""


class FrozenBatchNorm2d(_Frozen, nn.BatchNorm2d):
    """BatchNorm that stays in inference whatever the model's mode."""


class FrozenBatchNorm3d(_Frozen, nn.BatchNorm3d):
    """BatchNorm that stays in inference whatever the model's mode."""


_FROZEN = {nn.BatchNorm1d: FrozenBatchNorm1d, nn.BatchNorm2d: FrozenBatchNorm2d, nn.BatchNorm3d: FrozenBatchNorm3d}


def freeze_bn(model: nn.Module, frozen: bool = True) -> nn.Module:
    """Every BatchNorm keeps its statistics from now on, in place, also after model.train(); False undoes it. Its weights go on learning."""
    swaps = _FROZEN if frozen else {ours: theirs for theirs, ours in _FROZEN.items()}
    for module in model.modules():
        if type(module) in swaps:
            module.__class__ = swaps[type(module)]
            module.train(not frozen and model.training)
    return model


@dataclass(frozen=True)
class Outcome:
    """before, after: of training, by the caller's measure; kept: "before" or "after"."""

    before: float
    after: float
    kept: str


def never_worse(model: nn.Module, train: Callable[[nn.Module], Any], evaluate: Callable[[nn.Module], float]) -> Outcome:
    """Train a model, and put its state back when that did not help.

    evaluate: larger is better; measure on data that are neither trained on nor the final test. An exception of train also puts the state back.
    """
    state = copy.deepcopy(model.state_dict())
    before = evaluate(model)
    try:
        train(model)
    except BaseException:
        model.load_state_dict(state)
        raise
    after = evaluate(model)
    if not after >= before:  # NaN is worse
        model.load_state_dict(state)
        return Outcome(before, after, "before")
    return Outcome(before, after, "after")


@dataclass(frozen=True)
class LayerCost:
    """name: of the quantizer. kind: "weight" or "activation". bits. score: of the model with this one alone quantized; drop: against float."""

    name: str
    kind: str
    bits: int
    score: float
    drop: float


class Sensitivity(list[LayerCost]):
    """The table of analyze, most expensive first; prints as one. `float_score`, `quantized_score`: of the model without and with all of them."""

    float_score: float
    quantized_score: float

    def __str__(self) -> str:
        width = max([len("quantizer"), *(len(row.name) for row in self)])
        lines = [f"{'quantizer':{width}}  {'kind':10}  bits      score       drop"]
        lines += [f"{row.name:{width}}  {row.kind:10}  {row.bits:4d}  {row.score:9.4g}  {row.drop:9.4g}" for row in self]
        lines.append(f"float {self.float_score:.4g}, all quantized {self.quantized_score:.4g}")
        return "\n".join(lines)


def analyze(model: nn.Module, evaluate: Callable[[nn.Module], float]) -> Sensitivity:
    """What each quantizer costs alone: all off, one on, evaluate. The quantizers are afterwards as they were.

    evaluate: larger is better; it is called once a quantizer and twice more, so give it a small set.
    """
    found: dict[str, Quantizer] = quantizers(model)
    states = {name: q.enabled for name, q in found.items()}
    table = Sensitivity()
    try:
        table.quantized_score = evaluate(model)
        for q in found.values():
            q.enabled = False
        table.float_score = evaluate(model)
        for name, q in found.items():
            if not states[name]:
                continue
            q.enabled = True
            score = evaluate(model)
            q.enabled = False
            table.append(LayerCost(name, "weight" if isinstance(q, WeightQuantizer) else "activation", q.bits, score, table.float_score - score))
    finally:
        for name, q in found.items():
            q.enabled = states[name]
    table.sort(key=lambda row: -row.drop)
    return table
