"""A prepared model as ONNX, through either exporter of torch, checked against the engine."""
from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, fx, nn

from .._errors import DemandError, UsageError
from .calibrate import _first, evaluating
from .fold import fold_bn
from .layers import _Weighted
from .prepare import quantizers
from .quantizer import ActivationQuantizer, WeightQuantizer, along_axis

Path = Any


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how the engine's answer compares with the simulation's on the example inputs.

    Attributes:
        path: of the file. nodes: of the graph. pairs: QuantizeLinear in it.
        checked: elements compared (0 = not checked). max_abs: largest difference. worst_share: that over the largest result.
        same_answer: share of rows with the same arg-max.
    """

    path: str
    nodes: int
    pairs: int
    checked: int
    max_abs: float
    worst_share: float
    same_answer: float

    def __str__(self) -> str:
        text = f"{self.path}: {self.nodes} nodes, {self.pairs} QuantizeLinear"
        if self.checked:
            text += f"; engine against simulation on {self.checked} numbers: largest difference {self.max_abs:.3g} ({100 * self.worst_share:.2g} % of the "
            text += f"largest), same answer {100 * self.same_answer:.4g} %"
        return text


def _ready(model: nn.Module, fold: bool) -> nn.Module:
    """A copy in inference form: BatchNorm folded, weights within their grid, so that 8-bit codes need no clip of their own."""
    for name, q in quantizers(model, ActivationQuantizer).items():
        if q.enabled and not q.ready:
            raise DemandError(f"the quantizer '{name}' has no range: run octavo.torch.calibrate first")
    copied: nn.Module = fold_bn(model) if fold and isinstance(model, fx.GraphModule) else copy.deepcopy(model)
    copied.eval()
    for module in copied.modules():
        if isinstance(module, _Weighted) and module.weight_quantizer.enabled:
            q = module.weight_quantizer
            weight = module.weight.detach()
            low, high = (along_axis(limit, weight.dim(), q.axis) for limit in q.limits())
            module.weight = nn.Parameter(torch.minimum(torch.maximum(weight, low), high), requires_grad=False)
    for q in quantizers(copied).values():
        if isinstance(q, WeightQuantizer):
            q.qmin, q.qmax = -128, 127
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return copied


def _drop_copies(proto: Any) -> None:
    """TorchScript writes a constant that is used twice once, with Identity nodes for the other uses: these go."""
    constants = {t.name for t in proto.graph.initializer}
    outputs = {port.name for port in proto.graph.output}
    same: dict[str, str] = {}
    for node in list(proto.graph.node):
        source = same.get(node.input[0], node.input[0]) if node.input else ""
        if node.op_type == "Identity" and source in constants and node.output[0] not in outputs:
            same[node.output[0]] = source
            proto.graph.node.remove(node)
    for node in proto.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)


def _fold_weights(proto: Any) -> None:
    """QuantizeLinear of constants become int8 constants; the DequantizeLinear behind them stay."""
    from onnx import numpy_helper

    constants = {t.name: t for t in proto.graph.initializer}
    used: dict[str, int] = {}
    for node in proto.graph.node:
        for name in node.input:
            used[name] = used.get(name, 0) + 1
    gone = []
    for node in proto.graph.node:
        if node.op_type != "QuantizeLinear" or not all(name in constants for name in node.input[:3]):
            continue
        weight, scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input[:3])
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [1] * weight.ndim
        if scale.ndim:
            shape[axis] = -1
        limits = np.iinfo(zero.dtype)
        codes = np.rint(weight.astype(np.float32) / scale.reshape(shape).astype(np.float32)) + zero.reshape(shape).astype(np.float32)
        made = numpy_helper.from_array(np.clip(codes, limits.min, limits.max).astype(zero.dtype), node.output[0])
        proto.graph.initializer.append(made)
        used[node.input[0]] -= 1
        gone.append(node)
    for node in gone:
        proto.graph.node.remove(node)
    for name, count in used.items():
        if count == 0 and name in constants:
            proto.graph.initializer.remove(constants[name])


def _arguments(dynamo: bool, inputs: tuple[Any, ...], names: list[str], outputs: list[str], opset: int, dynamic_batch: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"dynamo": dynamo, "input_names": names, "output_names": outputs, "opset_version": opset}
    if dynamo:
        options["verbose"] = False
        options["external_data"] = False
        if dynamic_batch:
            batch = torch.export.Dim("batch")
            options["dynamic_shapes"] = tuple({0: batch} if isinstance(item, Tensor) and item.dim() else None for item in inputs)
    elif dynamic_batch:
        options["dynamic_axes"] = {name: {0: "batch"} for name in [*names, *outputs]}
    return options


def export_onnx(
    model: nn.Module,
    args: Any,
    path: Path,
    *,
    dynamo: bool = False,
    opset_version: Optional[int] = None,
    weights: str = "float",
    dynamic_batch: bool = True,
    input_names: Sequence[str] = ("input",),
    output_names: Sequence[str] = ("output",),
    fold: bool = True,
    verify: bool = True,
) -> ExportReport:
    """Write a prepared and calibrated model (or one made by hand with octavo.torch.nn) as an ONNX file with QuantizeLinear and DequantizeLinear.

    Args:
        args: a tensor or tuple of tensors: example inputs. dynamic_batch: the first dimension of all of them may change.
        dynamo: which exporter: False TorchScript's (opset 13 to 20; default 17), True dynamo's (opset 18 to 23; default 21).
        weights: "float": float32 with Q/DQ behind; "int8": codes with DQ behind, a quarter of the size.
        fold: BatchNorm goes into the convolutions before it.
        verify: run the file in the engine on args and compare with the simulation.
    Returns:
        An ExportReport, which prints.
    Raises:
        DemandError: a quantizer without range. UsageError: opset or weights. UnsupportedError, naming node and operator: verify, where the
        engine does not have one (layers with recurrent or 3-d operators; pass verify=False and run the file elsewhere).
    """
    import onnx

    opset = opset_version or (21 if dynamo else 17)
    if not (18 <= opset <= 23 if dynamo else 13 <= opset <= 20):
        raise UsageError(f"opset_version {opset}: {'dynamo' if dynamo else 'TorchScript'} exports {'18 to 23' if dynamo else '13 to 20'}")
    if weights not in ("float", "int8"):
        raise UsageError(f"weights is float or int8, not '{weights}'")
    inputs = args if isinstance(args, tuple) else (args,)
    names = [*input_names, *(f"input{i}" for i in range(len(input_names), len(inputs)))][: len(inputs)]
    ready = _ready(model, fold)
    folder = os.path.dirname(os.path.abspath(os.fspath(path)))
    with tempfile.TemporaryDirectory(dir=folder, prefix=".octavo-") as work:
        raw = os.path.join(work, "model.onnx")
        options = _arguments(dynamo, inputs, names, list(output_names), opset, dynamic_batch)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(ready, inputs, raw, **options)
        proto = onnx.load(raw)
        _drop_copies(proto)
        if weights == "int8":
            _fold_weights(proto)
        onnx.checker.check_model(proto)
        onnx.save(proto, raw)
        os.replace(raw, path)
    pairs = sum(node.op_type == "QuantizeLinear" for node in proto.graph.node)
    compared = _compare(model, inputs, names, path) if verify else (0, 0.0, 0.0, 1.0)
    return ExportReport(os.fspath(path), len(proto.graph.node), pairs, *compared)


def _compare(model: nn.Module, inputs: tuple[Any, ...], names: list[str], path: Path) -> tuple[int, float, float, float]:
    from .._session import Session

    with evaluating(model):
        wanted = _first(model(*inputs)).float().cpu().numpy()
    found = Session(path).run(None, {name: item.detach().cpu().numpy() for name, item in zip(names, inputs)})[0]
    difference = float(np.abs(found - wanted).max()) if wanted.size else 0.0
    rows = wanted.reshape(-1, wanted.shape[-1]) if wanted.ndim else wanted.reshape(1, 1)
    same = float((rows.argmax(-1) == found.reshape(rows.shape).argmax(-1)).mean())
    return wanted.size, difference, difference / max(float(np.abs(wanted).max()), 1e-30), same
