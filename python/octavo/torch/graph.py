"""A model as a graph: traced, with the shapes of its values, and every node named by what quantization has to know of it."""
from __future__ import annotations

import enum
import operator
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .layers import QUANTIZED


class Kind(enum.Enum):
    WEIGHTED = enum.auto()     # a convolution or linear layer
    ACTIVATION = enum.auto()   # ReLU or clip, which fuses with the product before it
    NORM = enum.auto()         # BatchNorm, which folds into the convolution before it
    ADD = enum.auto()
    MUL = enum.auto()
    MATMUL = enum.auto()       # of two activations
    AVERAGE = enum.auto()      # average pool, or mean over the spatial axes
    CONCAT = enum.auto()
    MOVE = enum.auto()         # values pass unchanged, perhaps fewer
    PARTS = enum.auto()        # the same, into a tuple
    SAME = enum.auto()         # nothing at all, once exported
    OTHER = enum.auto()


_MODULES: dict[type, Kind] = {
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.Hardtanh), Kind.ACTIVATION),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), Kind.AVERAGE),
    **dict.fromkeys(
        (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Unflatten, nn.Upsample,
         nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, nn.PixelShuffle, nn.PixelUnshuffle, nn.ReflectionPad1d, nn.ReflectionPad2d,
         nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ZeroPad2d), Kind.MOVE),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Identity), Kind.SAME),
}  # fmt: skip
_FUNCTIONS: dict[Any, Kind] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d, F.linear), Kind.WEIGHTED),
    **dict.fromkeys((F.relu, F.relu_, F.relu6, F.hardtanh, torch.relu, torch.relu_, torch.clamp), Kind.ACTIVATION),
    **dict.fromkeys((operator.add, operator.iadd, torch.add), Kind.ADD),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul), Kind.MUL),
    **dict.fromkeys((operator.matmul, torch.matmul, torch.bmm), Kind.MATMUL),
    **dict.fromkeys((F.avg_pool1d, F.avg_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, torch.mean), Kind.AVERAGE),
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), Kind.CONCAT),
    **dict.fromkeys(
        (F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool2d, F.adaptive_max_pool2d, F.interpolate, F.pixel_shuffle, F.pad, torch.flatten, torch.reshape,
         torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze, torch.narrow, torch.unflatten), Kind.MOVE),
    **dict.fromkeys((torch.chunk, torch.split, torch.tensor_split), Kind.PARTS),
    **dict.fromkeys((F.dropout, F.dropout2d), Kind.SAME),
}  # fmt: skip
_METHODS: dict[str, Kind] = {
    **dict.fromkeys(("relu", "relu_", "clamp", "clamp_"), Kind.ACTIVATION),
    **dict.fromkeys(("add", "add_"), Kind.ADD),
    **dict.fromkeys(("mul", "mul_"), Kind.MUL),
    **dict.fromkeys(("matmul", "bmm"), Kind.MATMUL),
    "mean": Kind.AVERAGE,
    **dict.fromkeys(("flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "unflatten", "narrow"), Kind.MOVE),
    **dict.fromkeys(("chunk", "split"), Kind.PARTS),
    **dict.fromkeys(("contiguous", "clone", "float"), Kind.SAME),
}


class Tracer(fx.Tracer):
    """Layers of torch are leaves, all others are traced into; so are quantized layers and quantizers of a model that was prepared before."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        from .quantizer import Quantizer

        return isinstance(m, (Quantizer, *QUANTIZED.values())) or (super().is_leaf_module(m, module_qualified_name))


class _Shapes(fx.Interpreter):
    """Runs the graph once and keeps what kind of value each node gives: node.meta["shape"] is None where it is no float tensor."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        is_value = isinstance(result, Tensor) and result.dtype in (torch.float32, torch.float16, torch.bfloat16)
        n.meta["shape"] = tuple(result.shape) if is_value else None
        return result


def trace(model: nn.Module, example_inputs: tuple[Any, ...]) -> fx.GraphModule:
    """The model as a graph with shapes. Raises whatever tracing raises."""
    graph = Tracer().trace(model)
    traced = fx.GraphModule(model, graph, type(model).__name__)
    was_training = traced.training
    traced.eval()
    with torch.no_grad():
        _Shapes(traced).run(*example_inputs)
    traced.train(was_training)
    return traced


def module_of(traced: fx.GraphModule, node: fx.Node) -> Optional[nn.Module]:
    return traced.get_submodule(node.target) if node.op == "call_module" else None


def _is_spatial_mean(node: fx.Node) -> bool:
    source = node.args[0]
    shape = source.meta.get("shape") if isinstance(source, fx.Node) else None
    axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    if shape is None or len(shape) < 3 or axes is None:
        return False
    axes = (axes,) if isinstance(axes, int) else axes
    return sorted(axis % len(shape) for axis in axes) == list(range(2, len(shape)))


def _is_plain_pad(node: fx.Node) -> bool:
    mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
    value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value", 0)
    return mode != "constant" or not value


def kind_of(traced: fx.GraphModule, node: fx.Node) -> Kind:
    module = module_of(traced, node)
    if module is not None:
        if type(module) in QUANTIZED or type(module) in QUANTIZED.values():
            return Kind.WEIGHTED
        if type(module).__name__ == "StochasticDepth":
            return Kind.SAME
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return Kind.NORM
        found = next((kind for known, kind in _MODULES.items() if type(module) is known or (kind is Kind.ACTIVATION and isinstance(module, known))), None)
        return found or Kind.OTHER
    if node.op == "call_function":
        if node.target is operator.getitem:
            source = node.args[0]
            return Kind.MOVE if isinstance(source, fx.Node) and source.meta.get("shape") is not None and len(source.meta["shape"]) >= 4 else Kind.OTHER
        found = _FUNCTIONS.get(node.target, Kind.OTHER)
        if getattr(node.target, "__name__", "") == "boolean_dispatch" or getattr(node.target, "__name__", "") in ("max_pool2d", "adaptive_max_pool2d"):
            found = Kind.MOVE
        if getattr(node.target, "__name__", "") == "stochastic_depth":
            found = Kind.SAME
    elif node.op == "call_method":
        found = _METHODS.get(str(node.target), Kind.OTHER)
    else:
        return Kind.OTHER
    if found is Kind.AVERAGE and node.target in (torch.mean, "mean") and not _is_spatial_mean(node):
        return Kind.OTHER
    if node.target is F.pad and not _is_plain_pad(node):
        return Kind.OTHER
    if found is Kind.PARTS or node.target in (torch.narrow, "narrow"):
        source = node.args[0]
        shape = source.meta.get("shape") if isinstance(source, fx.Node) else None
        return found if shape is not None and len(shape) >= 4 else Kind.OTHER
    if found is Kind.WEIGHTED and not (isinstance(node.args[1], fx.Node) and node.args[1].op == "get_attr"):
        return Kind.OTHER
    return found
