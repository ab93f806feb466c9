"""BatchNorm into the convolution before it."""
from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn

from .graph import Kind, Tracer, kind_of, module_of, trace
from .quantizer import WeightQuantizer

_FOLDS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)


def _factor(norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """y = factor * x + shift of a BatchNorm in inference."""
    gamma = norm.weight if norm.affine else torch.ones_like(norm.running_mean)
    beta = norm.bias if norm.affine else torch.zeros_like(norm.running_mean)
    factor = gamma / torch.sqrt(norm.running_var + norm.eps)
    return factor, beta - norm.running_mean * factor


@torch.no_grad()
def _fold_into(layer: nn.Module, norm: nn.Module) -> None:
    """Codes of a quantized weight stay what they are: the factor goes into its scales, its sign into the codes' sign."""
    factor, shift = _factor(norm)
    axis = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0
    shape = [1] * layer.weight.dim()
    shape[axis] = -1
    if axis == 1 and layer.groups > 1:
        weight = layer.weight.unflatten(0, (layer.groups, -1)) * factor.reshape(layer.groups, 1, -1, *[1] * (layer.weight.dim() - 2))
        layer.weight.copy_(weight.flatten(0, 1))
    else:
        layer.weight.mul_(factor.reshape(shape))
    if layer.bias is None:
        layer.bias = nn.Parameter(shift.to(layer.weight.dtype).clone())
    else:
        layer.bias.copy_(layer.bias * factor + shift)
    quantizer = getattr(layer, "weight_quantizer", None)
    if isinstance(quantizer, WeightQuantizer):
        if quantizer.axis is None:
            quantizer.calibrate(layer.weight)
        else:
            quantizer.scale.mul_(factor.abs().clamp(min=1e-30))


def _pairs(traced: fx.GraphModule) -> list[tuple[fx.Node, fx.Node]]:
    """(layer, BatchNorm) where nobody else reads the layer's result, and each is called once."""
    calls: dict[Any, int] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            calls[node.target] = calls.get(node.target, 0) + 1
    found = []
    for node in traced.graph.nodes:
        source = node.args[0] if node.args else None
        if kind_of(traced, node) is not Kind.NORM or not isinstance(source, fx.Node) or source.op != "call_module":
            continue
        layer, norm = module_of(traced, source), module_of(traced, node)
        if isinstance(layer, _FOLDS) and norm.track_running_stats and len(source.users) == 1 and calls[source.target] == calls[node.target] == 1:
            found.append((source, node))
    return found


def fold_bn(model: nn.Module, example_inputs: Any = None) -> fx.GraphModule:
    """A copy of a model (prepared or not) in which every BatchNorm behind a convolution or linear layer has gone into it. For inference:
    running statistics count. example_inputs: needed for a model that is no graph yet.

    A layer with per-channel weight scales keeps its codes exactly.
    """
    if isinstance(model, fx.GraphModule):
        traced = copy.deepcopy(model)
        for old, new in zip(model.graph.nodes, traced.graph.nodes):
            new.meta.update(old.meta)
    elif example_inputs is not None:
        traced = trace(copy.deepcopy(model), example_inputs if isinstance(example_inputs, tuple) else (example_inputs,))
    else:
        traced = fx.GraphModule(model, Tracer().trace(copy.deepcopy(model)))
    for source, node in _pairs(traced):
        _fold_into(module_of(traced, source), module_of(traced, node))
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced
