"""Mixins that give a float module its quantizers; also for custom quantized modules."""

from __future__ import annotations

import copy
import sys
from typing import Any, Optional, Union

import torch

from ...tensor_quant import QUANT_DESC_8BIT_PER_TENSOR, QuantDescriptor
from .tensor_quantizer import TensorQuantizer

__all__ = ["QuantInputMixin", "QuantMixin", "pop_quant_desc_in_kwargs"]


def _check_descriptor(value: Any) -> QuantDescriptor:
    """A copy of `value`; ValueError unless it is a descriptor."""
    if not isinstance(value, QuantDescriptor):
        raise ValueError(f"{value!r} is not an instance of QuantDescriptor!")
    return copy.deepcopy(value)


def _check_fake(*descriptors: QuantDescriptor) -> None:
    """Layers compute in float: ValueError for a descriptor of integer codes."""
    if not all(descriptor.fake_quant for descriptor in descriptors):
        raise ValueError("Only fake quantization is supported!")


def _check_caller() -> None:
    """TypeError unless the method that calls this was itself called by an `__init__`."""
    if sys._getframe(2).f_code.co_name != "__init__":
        raise TypeError("init_quantizer should be only called by __init__ of quantized module.")


class QuantInputMixin:
    """A module with one input quantizer."""

    default_quant_desc_input = QUANT_DESC_8BIT_PER_TENSOR
    _input_quantizer: TensorQuantizer

    @classmethod
    def set_default_quant_desc_input(cls, value: QuantDescriptor) -> None:
        """Descriptor for modules of this class made from now on. Raises ValueError for another type."""
        cls.default_quant_desc_input = _check_descriptor(value)

    def init_quantizer(self, quant_desc_input: QuantDescriptor) -> None:
        """Create the input quantizer; only for `__init__` (TypeError otherwise). Raises ValueError unless fake quantization."""
        _check_caller()
        self._add_quantizers(quant_desc_input)

    def _add_quantizers(self, quant_desc_input: QuantDescriptor) -> None:
        _check_fake(quant_desc_input)
        self._fake_quant = True
        self._input_quantizer = TensorQuantizer(quant_desc_input)

    @property
    def input_quantizer(self) -> TensorQuantizer:
        """Quantizer of the input."""
        return self._input_quantizer


class QuantMixin:
    """A module with quantizers of its input and its weight, or one pair per layer of a recurrent network."""

    default_quant_desc_input = QUANT_DESC_8BIT_PER_TENSOR
    default_quant_desc_weight = QUANT_DESC_8BIT_PER_TENSOR
    _input_quantizer: TensorQuantizer
    _weight_quantizer: TensorQuantizer

    @classmethod
    def set_default_quant_desc_input(cls, value: QuantDescriptor) -> None:
        """Descriptor for inputs of modules of this class made from now on. Raises ValueError for another type."""
        cls.default_quant_desc_input = _check_descriptor(value)

    @classmethod
    def set_default_quant_desc_weight(cls, value: QuantDescriptor) -> None:
        """Descriptor for weights of modules of this class made from now on. Raises ValueError for another type."""
        cls.default_quant_desc_weight = _check_descriptor(value)

    def init_quantizer(
        self, quant_desc_input: QuantDescriptor, quant_desc_weight: QuantDescriptor, num_layers: Optional[int] = None
    ) -> None:
        """Create the quantizers, `num_layers` pairs in lists if given; to be called by `__init__` (TypeError otherwise).

        Raises ValueError unless both descriptors say fake quantization.
        """
        _check_caller()
        self._add_quantizers(quant_desc_input, quant_desc_weight, num_layers)

    def _add_quantizers(
        self, quant_desc_input: QuantDescriptor, quant_desc_weight: QuantDescriptor, num_layers: Optional[int] = None
    ) -> None:
        _check_fake(quant_desc_input, quant_desc_weight)
        self._fake_quant = True
        if num_layers is None:
            self._input_quantizer = TensorQuantizer(quant_desc_input)
            self._weight_quantizer = TensorQuantizer(quant_desc_weight)
        else:
            self._input_quantizers = torch.nn.ModuleList(TensorQuantizer(quant_desc_input) for _ in range(num_layers))
            self._weight_quantizers = torch.nn.ModuleList(TensorQuantizer(quant_desc_weight) for _ in range(num_layers))

    @property
    def input_quantizer(self) -> TensorQuantizer:
        """Quantizer of the input."""
        return self._input_quantizer

    @property
    def weight_quantizer(self) -> TensorQuantizer:
        """Quantizer of the weight."""
        return self._weight_quantizer

    def quantized_weights(self) -> list[tuple[TensorQuantizer, list[torch.nn.Parameter]]]:
        """Each weight quantizer with the parameters it quantizes as one tensor (joined along axis 1 if several)."""
        return [(self._weight_quantizer, [self.weight])]  # type: ignore[attr-defined]


def take_quant_desc(quant_cls: Any, kwargs: dict[str, Any], input_only: bool = False) -> list[QuantDescriptor]:
    """Removes the descriptors (by default the class's) from `kwargs`, which keeps what the float module's constructor takes."""
    names = ["quant_desc_input"] if input_only else ["quant_desc_input", "quant_desc_weight"]
    return [kwargs.pop(name, getattr(quant_cls, f"default_{name}")) for name in names]


def pop_quant_desc_in_kwargs(
    quant_cls: Any, input_only: bool = False, **kwargs: Any
) -> Union[QuantDescriptor, tuple[QuantDescriptor, ...]]:
    """`quant_desc_input` and, unless `input_only`, `quant_desc_weight` from the keywords, by default those of the class.

    For constructors of custom modules. Raises TypeError if other keywords are left.
    """
    descriptors = take_quant_desc(quant_cls, kwargs, input_only)
    if kwargs:
        raise TypeError(f"Unused keys: {list(kwargs)}")
    return descriptors[0] if input_only else tuple(descriptors)


class QuantInputModule(QuantInputMixin):
    """Constructor and forward pass; the float class comes next in the method resolution order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        descriptors = take_quant_desc(type(self), kwargs, input_only=True)
        super().__init__(*args, **kwargs)
        self.init_quantizer(*descriptors)

    def forward(self, input: torch.Tensor) -> Any:
        """What the float module makes of the quantized input."""
        return super().forward(self._input_quantizer(input))  # type: ignore[misc]
