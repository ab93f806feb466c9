"""Quantized modules in place of torch.nn's: for models built from now on (`initialize`), or for a model that exists (`convert`).

State of `initialize` is global to the process, as in NVIDIA's pytorch-quantization; `deactivate`, or leaving the `with` block,
restores torch.nn.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Iterator, NamedTuple, Optional, Sequence

import torch

from . import nn as quant_nn

__all__ = ["QuantModuleReplacementHelper", "convert", "deactivate", "enable_onnx_export", "initialize", "revert"]


class QuantEntry(NamedTuple):
    """A class to replace: attribute `mod_name` of the Python module `orig_mod`, and its quantized form."""

    orig_mod: Any
    mod_name: str
    replace_mod: Any


_DEFAULT_QUANT_MAP = [
    QuantEntry(torch.nn, name, getattr(quant_nn, f"Quant{name}"))
    for name in (
        "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear", "LSTM", "LSTMCell",
        "AvgPool1d", "AvgPool2d", "AvgPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
    )
]  # fmt: skip


def _select_entries(float_module_list: Optional[Sequence[str]], custom_map: Optional[Sequence[Any]]) -> list[QuantEntry]:
    """Default entries but those named in `float_module_list`, then the custom ones, which win."""
    left_out = set(float_module_list or ())
    entries = [entry for entry in _DEFAULT_QUANT_MAP if entry.mod_name not in left_out]
    return entries + [QuantEntry(*entry) for entry in custom_map or ()]


class QuantModuleReplacementHelper:
    """Replaces classes and puts them back.

    default_quant_map: entries replaced by default. quant_map: entries selected by `prepare_state`.
    orginal_func_map: what each replaced attribute was before (the name is the original's).
    """

    def __init__(self) -> None:
        self.default_quant_map = list(_DEFAULT_QUANT_MAP)
        self.quant_map: dict[tuple[int, str], QuantEntry] = {}  # by identity of the Python module, and name
        self.orginal_func_map: dict[tuple[int, str], QuantEntry] = {}

    def prepare_state(
        self, float_module_list: Optional[Sequence[str]] = None, custom_map: Optional[Sequence[tuple[Any, str, Any]]] = None
    ) -> None:
        """Select what to replace, besides earlier calls. Raises AttributeError if a custom entry's attribute does not exist."""
        selected = {(id(entry.orig_mod), entry.mod_name): entry for entry in _select_entries(float_module_list, custom_map)}
        originals = {key: entry._replace(replace_mod=getattr(entry.orig_mod, entry.mod_name)) for key, entry in selected.items()}
        self.quant_map.update(selected)
        self.orginal_func_map = {**originals, **self.orginal_func_map}  # a second call must not take our class for the original

    def apply_quant_modules(self) -> None:
        """Replace the selected classes: all of them, or none if one cannot be replaced."""
        try:
            for entry in self.quant_map.values():
                setattr(*entry)
        except BaseException:
            self.restore_float_modules()
            raise

    def restore_float_modules(self) -> None:
        """Put every replaced class back and forget the selection."""
        originals = list(self.orginal_func_map.values())
        self.quant_map, self.orginal_func_map = {}, {}
        for entry in originals:
            if getattr(entry.orig_mod, entry.mod_name) is not entry.replace_mod:
                setattr(*entry)


_helper = QuantModuleReplacementHelper()


class _Active:
    """Result of `initialize`: as a context manager it deactivates at the end of the block, also after an exception."""

    def __enter__(self) -> _Active:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        deactivate()


def initialize(
    float_module_list: Optional[Sequence[str]] = None, custom_quant_modules: Optional[Sequence[tuple[Any, str, Any]]] = None
) -> _Active:
    """Replace classes of torch.nn by quantized ones, so that models constructed afterwards are quantized.

    float_module_list: names, e.g. "Linear", that stay float.
    custom_quant_modules: (Python module, attribute, quantized class) to replace as well; they win over `float_module_list`.
    Calls accumulate until `deactivate`. `with initialize(): …` deactivates by itself. If a replacement fails, none is left behind.
    """
    _helper.prepare_state(float_module_list, custom_quant_modules)
    _helper.apply_quant_modules()
    return _Active()


def deactivate() -> None:
    """Restore torch.nn. Does nothing if `initialize` was not called."""
    _helper.restore_float_modules()


@contextlib.contextmanager
def enable_onnx_export() -> Iterator[None]:
    """While active, quantizers record QuantizeLinear and DequantizeLinear whatever runs them; the switch is restored on exceptions.

    torch.onnx.export needs it no longer, scripts may keep it.
    """
    before = quant_nn.TensorQuantizer._enable_onnx_export
    quant_nn.TensorQuantizer._enable_onnx_export = True
    try:
        yield
    finally:
        quant_nn.TensorQuantizer._enable_onnx_export = before


def _float_class(entry: QuantEntry) -> Any:
    """The class `entry` replaces, also while `initialize` has it replaced."""
    replaced = _helper.orginal_func_map.get((id(entry.orig_mod), entry.mod_name))
    return replaced.replace_mod if replaced is not None else getattr(entry.orig_mod, entry.mod_name)


def _check_convertible(name: str, module: torch.nn.Module, target: Any) -> None:
    """TypeError unless instances can become `target` by changing their class; ValueError for what it does not support."""
    is_known = issubclass(target, (quant_nn.QuantMixin, quant_nn.QuantInputMixin))
    if not (is_known and issubclass(target, type(module))):
        raise TypeError(
            f"module '{name}': {target.__name__} must derive from {type(module).__name__} and QuantMixin or QuantInputMixin"
        )
    if isinstance(module, torch.nn.LSTM) and module.proj_size > 0:
        raise ValueError(f"module '{name}': proj_size is not supported by {target.__name__}")


def _add_quantizers(module: Any, desc_input: Any, desc_weight: Any) -> None:
    """Give a module whose class was changed the quantizers its constructor would have made."""
    desc_input = desc_input or module.default_quant_desc_input
    if isinstance(module, quant_nn.QuantInputMixin):
        module._add_quantizers(desc_input)
    else:
        count = module.num_quantizers() if isinstance(module, quant_nn.QuantLSTM) else None
        module._add_quantizers(desc_input, desc_weight or module.default_quant_desc_weight, count)


def convert(
    model: torch.nn.Module,
    float_module_list: Optional[Sequence[str]] = None,
    custom_quant_modules: Optional[Sequence[tuple[Any, str, Any]]] = None,
    quant_desc_input: Any = None,
    quant_desc_weight: Any = None,
) -> torch.nn.Module:
    """Quantize the modules of an existing model in place, e.g. a pretrained one, without touching torch.nn. The original has none.

    The same modules are quantized as after `initialize` with the same arguments; parameters, hooks, mode, device and sharing stay.
    Only modules of exactly the float class are converted: a subclass may have a forward pass of its own.
    quant_desc_input, quant_desc_weight: descriptors instead of the quantized classes' defaults.
    Returns `model`. Raises TypeError for a custom class that does not fit, ValueError for what is not supported, before any change.
    """
    targets = {_float_class(entry): entry.replace_mod for entry in _select_entries(float_module_list, custom_quant_modules)}
    found = [(name, module, targets[type(module)]) for name, module in model.named_modules() if type(module) in targets]
    for name, module, target in found:
        _check_convertible(name, module, target)
    for _, module, target in found:
        reference = next(module.parameters(), None)
        module.__class__ = target
        _add_quantizers(module, quant_desc_input, quant_desc_weight)
        for child in module.children():
            child.train(module.training)
            if reference is not None:
                child.to(reference.device)
    for module in model.modules():
        if isinstance(module, torch.nn.TransformerEncoderLayer) and isinstance(module.linear1, quant_nn.QuantLinear):
            module.activation_relu_or_gelu = 0  # its fast path would read the weights past the quantizers
    return model


def revert(model: torch.nn.Module) -> torch.nn.Module:
    """Undo `convert` in place: quantized modules become their float class again and lose their quantizers. Returns `model`."""
    for module in list(model.modules()):
        if not isinstance(module, (quant_nn.QuantMixin, quant_nn.QuantInputMixin)):
            continue
        mixins = (quant_nn.QuantMixin, quant_nn.QuantInputMixin)
        float_class = next(
            base for base in type(module).__mro__ if issubclass(base, torch.nn.Module) and not issubclass(base, mixins)
        )
        if float_class is torch.nn.Module:
            raise TypeError(f"{type(module).__name__} does not derive from a float module")
        for name in ("_input_quantizer", "_weight_quantizer", "_input_quantizers", "_weight_quantizers"):
            module._modules.pop(name, None)
        del module._fake_quant
        module.__class__ = float_class
    return model
