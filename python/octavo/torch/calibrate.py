"""Ranges of a prepared model from samples, by the C library's observers and solvers."""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Optional

import torch
from torch import Tensor, fx, nn

from .._errors import DemandError, UsageError
from .._observe import METHODS, Observer, Range
from .layers import _Weighted
from .prepare import quantizers
from .quantizer import ActivationQuantizer

KEPT = 32
_CANDIDATES = (("max", 0.0), ("percentile", 99.9999), ("percentile", 99.999), ("percentile", 99.99), ("mse", 0.0), ("entropy", 0.0))
# A plain configuration replaces the tensor-by-tensor choice when its error is below this part of the choice's.
_KEEP = 0.97


def inputs_of(model: nn.Module, batch: Any) -> tuple[Any, ...]:
    """What of a batch the model takes: as many leading tensors as a graph has inputs (else one); labels behind are left out."""
    if isinstance(batch, Tensor):
        return (batch,)
    if isinstance(batch, dict):
        return tuple(batch.values())
    count = sum(node.op == "placeholder" for node in model.graph.nodes) if isinstance(model, fx.GraphModule) else 1
    return tuple(batch[:count])


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def run(model: nn.Module, batch: Any) -> Any:
    """The model on a batch, on the model's device."""
    device = _device_of(model)
    return model(*(item.to(device) if isinstance(item, Tensor) else item for item in inputs_of(model, batch)))


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inference mode of the whole model, its modes restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _merge_ranks(observers: Iterable[Observer]) -> None:
    """Statistics of all ranks in every rank: the same bytes, hence the same ranges."""
    dist = torch.distributed
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return
    observers = list(observers)
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, [o.state() for o in observers])
    for rank, theirs in enumerate(states):
        if rank != dist.get_rank():
            for mine, state in zip(observers, theirs):
                mine.merge(Observer.from_state(state))


def calibrate(
    model: nn.Module,
    loader: Iterable[Any],
    method: str = "auto",
    percentile: float = 99.99,
    batches: Optional[int] = None,
    forward: Optional[Callable[[nn.Module, Any], Any]] = None,
) -> nn.Module:
    """Find the range of every activation of a prepared model; weights have theirs already.

    Statistics and solvers are those of `octavo calibrate`: the same tensors give the same ranges, bit for bit. In a process group every rank
    gives its part of the data, and all get the ranges of the whole.

    Args:
        loader: batches: a tensor, or a tuple whose first items are the model's inputs (labels behind are left out).
        method: "max", "percentile", "entropy", "mse"; or "auto", which chooses for every tensor the candidate with the least error at the
            results of the layers that read it, on the first 32 samples, and keeps plain max or mse for all where the whole model is closer to
            float with that. (`octavo calibrate` chooses in the same way, on a random 32.)
        batches: at most so many. forward: runs the model on a batch where it takes more than leading tensors.
    Raises:
        DemandError: no sample. UsageError: an unknown method.
    """
    if method not in METHODS:
        raise UsageError(f"method is one of {', '.join(METHODS)}, not '{method}'")
    call = forward or run
    activations = {name: q for name, q in quantizers(model, ActivationQuantizer).items() if isinstance(q, ActivationQuantizer)}
    kept: list[Any] = []
    samples = 0
    for q in activations.values():
        q.observe()
    try:
        with evaluating(model), _weights_off(model):
            for index, batch in enumerate(loader):
                if batches is not None and index >= batches:
                    break
                if samples < KEPT:
                    kept.append(batch)
                samples += len(inputs_of(model, batch)[0])
                call(model, batch)
        if activations and not samples:
            raise DemandError("no sample was given: there is nothing to calibrate from")
        observers = {name: q.observer for name, q in activations.items()}
        _merge_ranks(o for o in observers.values() if o is not None)
    finally:
        for q in activations.values():
            q.observe(False)
    seen = {name: o for name, o in observers.items() if o is not None and o.sample_count}
    if method == "auto":
        _choose(model, activations, seen, kept, call)
    else:
        for name, observer in seen.items():
            activations[name].take(_solve(observer, activations[name], method, percentile))
    return model


def _solve(observer: Observer, q: ActivationQuantizer, method: str, percentile: float) -> Range:
    return observer.solve(method, percentile=percentile or 99.99, scheme="symmetric" if q.symmetric else "affine", bits=q.bits)


@contextlib.contextmanager
def _weights_off(model: nn.Module) -> Iterator[None]:
    """Statistics are those of the float model."""
    weights = [q for q in quantizers(model).values() if not isinstance(q, ActivationQuantizer) and q.enabled]
    for q in weights:
        q.enabled = False
    try:
        yield
    finally:
        for q in weights:
            q.enabled = True


@contextlib.contextmanager
def all_off(model: nn.Module) -> Iterator[None]:
    """All quantizers pass values unchanged, for a while."""
    states = [(q, q.enabled) for q in quantizers(model).values()]
    for q, _ in states:
        q.enabled = False
    try:
        yield
    finally:
        for q, was in states:
            q.enabled = was


# --- auto ---


def _readers(model: nn.Module) -> dict[str, list[list[nn.Module]]]:
    """Weighted layers that read each activation quantizer: by the quantizer's name, a list for each of its calls in order."""
    found: dict[str, list[list[nn.Module]]] = {}
    if isinstance(model, fx.GraphModule):
        modules = dict(model.named_modules())
        for node in model.graph.nodes:
            if node.op == "call_module" and isinstance(modules[node.target], ActivationQuantizer):
                readers = [modules[user.target] for user in node.users if user.op == "call_module" and isinstance(modules[user.target], _Weighted)]
                found.setdefault(node.target, []).append(readers)
    for name, module in model.named_modules():
        if isinstance(module, _Weighted) and module.input_quantizer is not None:
            found[f"{name}.input_quantizer"] = [[module]]
    return found


def _candidates(observer: Observer, q: ActivationQuantizer) -> list[Range]:
    """Widest first; those that hardly differ are one."""
    found: list[Range] = []
    for method, percentile in _CANDIDATES[: 1 if q.bits < 8 else None]:
        r = _solve(observer, q, method, percentile)
        if not any(0.98 < r.scale / other.scale < 1.02 and abs(r.zero - other.zero) <= 2 for other in found):
            found.append(r)
    return found


def _linear_part(layer: nn.Module, x: Tensor) -> Tensor:
    """The layer's result without its bias."""
    bias, layer.bias = layer.bias, None
    try:
        own, layer.input_quantizer = layer.input_quantizer, None
        return layer(x)
    finally:
        layer.bias = bias
        layer.input_quantizer = own


class _Scores:
    """Error of every candidate, added up while the kept samples pass."""

    def __init__(self, candidates: list[Range], readers: list[list[nn.Module]]) -> None:
        self.candidates, self.readers = candidates, readers or [[]]
        self.calls = 0
        self.errors = [0.0] * len(candidates)

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        readers = self.readers[self.calls % len(self.readers)]
        self.calls += 1
        if len(self.candidates) < 2:
            return
        x = args[0].detach().float()
        for i, r in enumerate(self.candidates):
            rounded = ((torch.round(x / r.scale) + r.zero).clamp(r.lo, r.hi) - r.zero) * r.scale
            difference = rounded - x
            results = [_linear_part(layer, difference) for layer in readers] or [difference]
            self.errors[i] += sum(float(y.double().square().sum()) for y in results)

    def best(self) -> Range:
        return self.candidates[min(range(len(self.errors)), key=self.errors.__getitem__)]


def _model_error(model: nn.Module, kept: list[Any], wanted: list[Any], call: Callable[[nn.Module, Any], Any]) -> float:
    return sum(float((_first(call(model, batch)).double() - y.double()).square().sum()) for batch, y in zip(kept, wanted))


def _first(result: Any) -> Tensor:
    while not isinstance(result, Tensor):
        result = next(iter(result.values())) if isinstance(result, dict) else result[0]
    return result


def _choose(
    model: nn.Module, activations: dict[str, ActivationQuantizer], seen: dict[str, Observer], kept: list[Any], call: Callable[[nn.Module, Any], Any]
) -> None:
    readers = _readers(model)
    scores = {name: _Scores(_candidates(observer, activations[name]), readers.get(name, [])) for name, observer in seen.items()}
    with evaluating(model), all_off(model):
        hooks = [activations[name].register_forward_pre_hook(score) for name, score in scores.items()]
        try:
            wanted = [_first(call(model, batch)) for batch in kept]
        finally:
            for hook in hooks:
                hook.remove()
    plans = [{name: score.best() for name, score in scores.items()}]
    plans += [{name: _solve(seen[name], activations[name], method, 0) for name in scores} for method in ("max", "mse")]
    best, least = plans[0], float("inf")
    with evaluating(model):
        for number, plan in enumerate(plans):
            for name, r in plan.items():
                activations[name].take(r)
            error = _model_error(model, kept, wanted, call)
            if number == 0 or error < _KEEP * least:
                best, least = plan, error
    for name, r in best.items():
        activations[name].take(r)
