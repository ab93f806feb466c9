"""Prepare a model for PTQ and QAT, by itself: `prepare` gives a new model, `prepare_` changes the one it is given."""
from __future__ import annotations

import copy
import warnings
from typing import Any

from torch import fx, nn

from .._errors import UsageError
from .config import LayerConfig, QuantConfig, as_config
from .fold import fold_bn
from .graph import Kind, kind_of, trace
from .layers import QUANTIZED, _Weighted, open_up
from .placement import Point, place
from .quantizer import ActivationQuantizer, Quantizer, WeightQuantizer


def _weighted_modules(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if type(module) in QUANTIZED]


def _weighted_nodes(traced: fx.GraphModule) -> list[fx.Node]:
    """In order of execution, each layer once."""
    found: dict[str, fx.Node] = {}
    for node in traced.graph.nodes:
        if kind_of(traced, node) is Kind.WEIGHTED:
            found.setdefault(_name_of(node), node)
    return list(found.values())


def _name_of(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


def _configs(config: QuantConfig, names: list[str]) -> dict[str, LayerConfig]:
    """Of every weighted layer, by name."""
    stray = config.unmatched(names)
    if stray:
        raise UsageError(f"layers['{stray[0]}'] matches no layer of the model (there are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''})")
    return {name: config.of(name, is_edge=i in (0, len(names) - 1)) for i, name in enumerate(names)}


def _quantize_functional_weight(traced: fx.GraphModule, node: fx.Node, config: LayerConfig, scales: str) -> None:
    """F.linear(x, self.w) and the like: the quantizer is a call in the graph."""
    source = node.args[1]
    weight: Any = traced
    for part in str(source.target).split("."):
        weight = getattr(weight, part)
    axis = (1 if "transpose" in node.target.__name__ else 0) if config.per_channel else None
    name = f"{node.name}_weight_quantizer"
    traced.add_submodule(name, WeightQuantizer(weight, config.weight_bits, axis, scales))
    with traced.graph.inserting_before(node):
        quantized = traced.graph.call_module(name, (source,))
    node.replace_input_with(source, quantized)


def _activation_config(point_group: list[Point], configs: dict[str, LayerConfig], default: LayerConfig) -> LayerConfig:
    """The widest of the layers that read it; of sums and pools alone the default."""
    readers = [configs[_name_of(reader)] for point in point_group for reader, _ in point.edges if _name_of(reader) in configs]
    return max(readers, key=lambda c: c.activation_bits, default=default)


def _insert(traced: fx.GraphModule, points: list[Point], configs: dict[str, LayerConfig], config: QuantConfig) -> None:
    groups: dict[int, list[Point]] = {}
    for point in points:
        groups.setdefault(point.group, []).append(point)
    for members in groups.values():
        chosen = _activation_config(members, configs, config.default)
        name = f"{members[0].value.name}_quantizer"
        traced.add_submodule(name, ActivationQuantizer(chosen.activation_bits, chosen.symmetric, config.scales))
        for point in members:
            made: dict[fx.Node, fx.Node] = {}
            for reader, read in point.edges:
                if read not in made:
                    with traced.graph.inserting_after(read):
                        made[read] = traced.graph.call_module(name, (read,), {} if point.root else {"root": False})
                        made[read].meta["shape"] = read.meta["shape"]
                reader.replace_input_with(read, made[read])


def _link(traced: fx.GraphModule) -> None:
    """Tell every layer which quantizer gives its input."""
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        source = node.args[0] if node.args else None
        if isinstance(layer, _Weighted) and isinstance(source, fx.Node) and source.op == "call_module":
            quantizer = modules.get(str(source.target))
            if isinstance(quantizer, ActivationQuantizer):
                layer.read_from(quantizer)


def prepare(model: nn.Module, config: QuantConfig | str = "int8", example_inputs: Any = None) -> nn.Module:
    """A quantized copy of a model: weights and activations pass through fake quantization where the engine runs on codes.

    The model itself and torch.nn are left alone. The copy is an ordinary module: train it with any loop, save its state dict, deepcopy it.

    Args:
        model: float, pretrained as a rule.
        config: a QuantConfig, or "int8", "int8_symmetric", "w4a8", "w4a4".
        example_inputs: a tensor or tuple of tensors that the model takes; placement depends on shapes.
    Returns:
        A torch.fx.GraphModule. Where tracing fails (control flow that depends on values), a copy with quantized layers and inputs of layers
        instead, with a warning: sums, pools and concatenations then stay float.
    Raises:
        UsageError: no example_inputs, a layer pattern that matches nothing.
    """
    config = as_config(config)
    if example_inputs is None:
        raise UsageError("prepare needs example_inputs: where quantizers go depends on shapes")
    inputs = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    copied = copy.deepcopy(model)
    open_up(copied)
    try:
        traced = trace(copied, inputs)
    except Exception as error:  # noqa: BLE001  (torch raises many kinds)
        warnings.warn(f"the model cannot be traced ({type(error).__name__}: {error}): layers are quantized one by one", stacklevel=2)
        return prepare_(copied, config)
    if config.fold_bn:
        traced = fold_bn(traced, inputs)
    nodes = _weighted_nodes(traced)
    configs = _configs(config, [_name_of(node) for node in nodes])
    points = place(traced, {name for name, c in configs.items() if not c.enabled}, config.matmul)
    _insert(traced, points, configs, config)
    for node in nodes:
        chosen = configs[_name_of(node)]
        if chosen.enabled and node.op == "call_function":
            _quantize_functional_weight(traced, node, chosen, config.scales)
        elif chosen.enabled:
            layer = traced.get_submodule(str(node.target))
            QUANTIZED[type(layer)].of(layer, chosen, config.scales)
    _link(traced)
    traced.graph.lint()
    traced.recompile()
    traced.train(model.training)
    return traced


def prepare_(model: nn.Module, config: QuantConfig | str = "int8") -> nn.Module:
    """Quantize the layers of a model in place, each with its input; the names in its state dict stay. Gives the model.

    For models that cannot be traced, and for checkpoints of models that were prepared so. Sums, pools and concatenations stay float.
    """
    config = as_config(config)
    names = _weighted_modules(model)
    configs = _configs(config, names)
    for name, chosen in configs.items():
        if chosen.enabled:
            layer = model.get_submodule(name)
            quantized: _Weighted = QUANTIZED[type(layer)].of(layer, chosen, config.scales)
            quantized.input_quantizer = ActivationQuantizer(chosen.activation_bits, chosen.symmetric, config.scales).to(layer.weight.device)
    return model


def quantizers(model: nn.Module, kind: type[Quantizer] = Quantizer) -> dict[str, Quantizer]:
    """All quantizers of a model by name, of one kind if asked."""
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}


def enable(model: nn.Module, weights: bool = True, activations: bool = True) -> None:
    """Turn all quantizers on or off."""
    for module in quantizers(model).values():
        module.enabled = weights if isinstance(module, WeightQuantizer) else activations


