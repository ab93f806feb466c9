"""Descriptors of quantized tensors and the functions that quantize them, by the names of NVIDIA's pytorch-quantization.

A range is given as `amax`: codes cover [-amax, amax] (or [0, amax] when unsigned) in steps of amax / maxbound, where
maxbound = 2^(bits-1+unsigned) - 1. Codes are round_half_even(x / step) by true division, as Octavo's engine computes them
(docs/numerics.md); the deviations from the original are listed in docs/python-manual.md. Nothing here needs the compiled library.
"""

from __future__ import annotations

import dataclasses
import logging
import numbers
from typing import Any, Optional, Union

import numpy as np
import torch

logger = logging.getLogger(__name__)

EPSILON = 2.0**-24  # the smallest positive number of fp16: a smaller amax means "all zero"
E4M3_MAX = 448.0
NumBits = Union[int, tuple[int, int]]


def maxbound(num_bits: NumBits, unsigned: bool = False) -> float:
    """Largest code: 2^(num_bits-1+unsigned) - 1 for integers, 448 for the E4M3 float format (4, 3)."""
    return E4M3_MAX if isinstance(num_bits, tuple) else 2.0 ** (num_bits - 1 + int(unsigned)) - 1.0


def code_limits(num_bits: int, unsigned: bool, narrow_range: bool) -> tuple[int, int]:
    """Smallest and largest code: [0, 255] unsigned, [-127, 127] narrow, [-128, 127] full range for 8 bits."""
    largest = int(maxbound(num_bits, unsigned))
    if unsigned:
        return 0, largest
    return (-largest if narrow_range else -largest - 1), largest


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ScaledQuantDescriptor:
    """How a tensor is to be quantized. Immutable.

    num_bits: bits of the codes (0 turns every value into zero, for debugging), or (4, 3) for FP8 E4M3.
    name: free text, shown by `str`.
    fake_quant: dequantize at once (True), or return integer codes and keep `scale` (False).
    axis: None for one range per tensor, else the axis or axes that keep a range each.
    amax: range fixed in advance, a number, list or array.
    learn_amax: clip by learned bounds before quantizing; per tensor only.
    scale_amax: factor on amax, for experiments.
    calib_method: "max" or "histogram".
    unsigned: codes start at 0.
    narrow_range: leave out the lowest signed code.

    Raises TypeError for a wrong type, an unknown key or `learn_amax` with an axis; ValueError for negative `num_bits`.
    """

    num_bits: NumBits = 8
    name: Optional[str] = None
    fake_quant: bool = True
    axis: Any = None
    amax: Any = None
    learn_amax: bool = False
    scale_amax: Optional[float] = None
    calib_method: str = "max"
    unsigned: bool = False
    narrow_range: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.num_bits, int):
            if self.num_bits < 0:
                raise ValueError(f"num_bits must be > 0, not {self.num_bits}.")
            if self.num_bits == 0:
                logger.error("num_bits is 0: every value becomes zero.")
        elif self.num_bits != (4, 3):
            raise TypeError(f"num_bits must be a positive integer or the tuple (4, 3), not {self.num_bits!r}.")
        if self.name is not None and not isinstance(self.name, str):
            raise TypeError(f"name must be a string or None, not {type(self.name)}.")
        if self.learn_amax and self.axis is not None:
            raise TypeError(f"axis is ignored and must be None when learn_amax is true, got {self.axis!r}.")
        if self.amax is not None:
            if not isinstance(self.amax, (numbers.Real, list, np.ndarray)):
                raise TypeError(f"amax must be float, list or ndarray, not {type(self.amax)}")
            object.__setattr__(self, "amax", np.array(self.amax, dtype=np.float32))

    def dict(self) -> dict[str, Any]:
        """`num_bits`, `name` and every key whose value is not the default: `QuantDescriptor(**desc.dict()) == desc`."""
        keep = {"num_bits": self.num_bits, "name": self.name}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in keep and (isinstance(value, np.ndarray) or value != field.default):
                keep[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
        return keep

    def to_yaml(self) -> str:
        """YAML text of `dict()`, with tuples as lists."""
        import yaml

        values = {key: list(value) if isinstance(value, tuple) else value for key, value in self.dict().items()}
        return yaml.safe_dump(values, width=120)

    @classmethod
    def from_yaml(cls, yaml_str: str) -> ScaledQuantDescriptor:
        """Descriptor from the text of `to_yaml`; TypeError for an unknown key."""
        import yaml

        values = yaml.safe_load(yaml_str)
        for key in ("axis", "num_bits"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        return cls(**values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScaledQuantDescriptor):
            return NotImplemented
        mine, theirs = self.dict(), other.dict()
        return all(np.array_equal(mine.get(key), theirs.get(key)) for key in mine.keys() | theirs.keys())

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        text = f"{self.name}: (" if self.name is not None else "QuantDescriptor("
        text += ("unsigned " if self.unsigned else "") + f"{self.num_bits}bit"
        text += " fake" if self.fake_quant else " real"
        text += f" axis={self.axis}" if self.axis is not None else " per-tensor"
        if self.amax is not None:
            text += f" amax={np.array2string(self.amax, precision=4, threshold=4, edgeitems=1)}"
        text += " narrow_range" if self.narrow_range else ""
        text += " learn_amax" if self.learn_amax else ""
        text += f" scale_amax={self.scale_amax}" if self.scale_amax else ""
        return text + ")"

    __repr__ = __str__


QuantDescriptor = ScaledQuantDescriptor

QUANT_DESC_8BIT_PER_TENSOR = QuantDescriptor(num_bits=8)
QUANT_DESC_UNSIGNED_8BIT_PER_TENSOR = QuantDescriptor(num_bits=8, unsigned=True)
QUANT_DESC_8BIT_CONV1D_WEIGHT_PER_CHANNEL = QuantDescriptor(num_bits=8, axis=0)
QUANT_DESC_8BIT_CONV2D_WEIGHT_PER_CHANNEL = QuantDescriptor(num_bits=8, axis=0)
QUANT_DESC_8BIT_CONV3D_WEIGHT_PER_CHANNEL = QuantDescriptor(num_bits=8, axis=0)
QUANT_DESC_8BIT_LINEAR_WEIGHT_PER_ROW = QuantDescriptor(num_bits=8, axis=0)
# A transposed convolution's weight is [in, out / groups, …]: its output channels are on axis 1.
QUANT_DESC_8BIT_CONVTRANSPOSE1D_WEIGHT_PER_CHANNEL = QuantDescriptor(num_bits=8, axis=1)
QUANT_DESC_8BIT_CONVTRANSPOSE2D_WEIGHT_PER_CHANNEL = QuantDescriptor(num_bits=8, axis=1)
QUANT_DESC_8BIT_CONVTRANSPOSE3D_WEIGHT_PER_CHANNEL = QuantDescriptor(num_bits=8, axis=1)


def is_traced() -> bool:
    """True while a graph is recorded: checks that read values of tensors cannot run then."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def _single(tensor: torch.Tensor) -> torch.Tensor:
    """Half-precision tensors in fp32, where all arithmetic of quantization is done; others as they are."""
    return tensor.float() if tensor.dtype in (torch.half, torch.bfloat16) else tensor


def _as_range(value: Any, inputs: torch.Tensor) -> torch.Tensor:
    """`value` (tensor, array or number) as a tensor on the device of `inputs`, without gradient, at least fp32."""
    if isinstance(value, torch.Tensor):
        return _single(value.detach().to(inputs.device))
    return torch.as_tensor(value, dtype=torch.float32, device=inputs.device)


def _checked_range(amax: Any, inputs: torch.Tensor, unsigned: bool) -> torch.Tensor:
    """`_as_range`; ValueError for a negative range, TypeError for negative values of a tensor said to be unsigned."""
    amax = _as_range(amax, inputs)
    if not is_traced():
        if unsigned and inputs.numel() and inputs.min() < 0:
            raise TypeError("Negative values encountered in unsigned quantization.")
        if amax.min() < 0:
            raise ValueError("Negative values in amax")
    return amax


def step_size(amax: torch.Tensor, largest: float) -> torch.Tensor:
    """amax / largest by a true division (by a Python number torch may multiply by the inverse); 1 where amax is ~0."""
    return torch.where(amax <= EPSILON, torch.ones_like(amax), amax / torch.full_like(amax, largest))


def _codes(
    inputs: torch.Tensor, amax: torch.Tensor, num_bits: int, unsigned: bool, narrow_range: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of `inputs`, as fp32 or double, and the step between them; amax broadcasts. Where amax is ~0: code 0, step 1."""
    smallest, largest = code_limits(num_bits, unsigned, narrow_range)
    values = _single(inputs)
    if largest <= 0:
        return torch.zeros_like(values), torch.ones_like(amax)
    is_zero = amax <= EPSILON
    step = step_size(amax, largest)
    codes = torch.clamp(torch.round(values / step), smallest, largest)
    return torch.where(is_zero, torch.zeros_like(codes), codes), step


def _pass_inside(inside: torch.Tensor, grad_outputs: torch.Tensor) -> torch.Tensor:
    """The straight-through gradient: unchanged where `inside`, zero elsewhere."""
    return torch.where(inside, grad_outputs, torch.zeros_like(grad_outputs))


class TensorQuantFunction(torch.autograd.Function):
    """Behind `tensor_quant`."""

    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, amax: Any, num_bits: int = 8, unsigned: bool = False, narrow_range: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        amax = _checked_range(amax, inputs, unsigned)
        ctx.save_for_backward(inputs.abs() <= amax)
        codes, _ = _codes(inputs, amax, num_bits, unsigned, narrow_range)
        scale = torch.where(amax <= EPSILON, torch.ones_like(amax), torch.full_like(amax, maxbound(num_bits, unsigned)) / amax)
        if inputs.dtype == torch.half and not is_traced() and scale.max() > torch.finfo(torch.half).max:
            raise ValueError(f"scale is too large for FP16 with amax={amax}")
        scale = scale.to(inputs.dtype)
        ctx.mark_non_differentiable(scale)
        return codes.to(inputs.dtype), scale

    @staticmethod
    def backward(ctx: Any, grad_outputs: torch.Tensor, grad_scale: Any) -> Any:
        return _pass_inside(*ctx.saved_tensors, grad_outputs), None, None, None, None


class FakeTensorQuantFunction(torch.autograd.Function):
    """Behind `fake_tensor_quant`."""

    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, amax: Any, num_bits: int = 8, unsigned: bool = False, narrow_range: bool = True
    ) -> torch.Tensor:
        amax = _checked_range(amax, inputs, unsigned)
        ctx.save_for_backward(inputs.abs() <= amax)
        codes, step = _codes(inputs, amax, num_bits, unsigned, narrow_range)
        return (codes * step).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, grad_outputs: torch.Tensor) -> Any:
        return _pass_inside(*ctx.saved_tensors, grad_outputs), None, None, None, None


class FakeAffineTensorQuantFunction(torch.autograd.Function):
    """Behind `fake_affine_tensor_quant`."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, min_range: Any, max_range: Any, num_bits: int = 8) -> torch.Tensor:
        low, high = _as_range(min_range, inputs), _as_range(max_range, inputs)
        if not is_traced() and not bool((low < high).all()):
            raise ValueError(f"fake_affine_tensor_quant: min_range {min_range} must be below max_range {max_range}")
        ctx.save_for_backward((inputs >= low) & (inputs <= high))
        step = (high - low) / (2.0**num_bits - 1)
        lowest, largest = -(2.0 ** (num_bits - 1)), 2.0 ** (num_bits - 1) - 1
        offset = torch.round(low / step) - lowest
        codes = torch.clamp(torch.round(_single(inputs) / step) - offset, lowest, largest)
        return ((codes + offset) * step).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, grad_outputs: torch.Tensor) -> Any:
        return _pass_inside(*ctx.saved_tensors, grad_outputs), None, None, None


class ScaledE4M3Function(torch.autograd.Function):
    """Behind `scaled_e4m3`."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, amax: Any = None, E: int = 4, M: int = 3) -> torch.Tensor:
        if (E, M) != (4, 3):
            raise NotImplementedError(f"only E=4, M=3 is supported, not E={E}, M={M}")
        amax = _checked_range(E4M3_MAX if amax is None else amax, inputs, False)
        ctx.save_for_backward(inputs.abs() <= amax)
        values = _single(inputs)
        is_zero = amax <= EPSILON
        scale = E4M3_MAX / torch.where(is_zero, torch.ones_like(amax), amax)
        rounded = torch.clamp(values * scale, -E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn).to(values.dtype) / scale
        return torch.where(is_zero | (values.abs() < EPSILON), torch.zeros_like(rounded), rounded).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, grad_outputs: torch.Tensor) -> Any:
        return _pass_inside(*ctx.saved_tensors, grad_outputs), None, None, None


def tensor_quant(
    inputs: torch.Tensor, amax: Any, num_bits: int = 8, unsigned: bool = False, narrow_range: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Integer codes of `inputs`, in its dtype, and `scale` = maxbound / amax: codes / scale dequantizes.

    amax: range, broadcast against `inputs`; 2^-24 or less gives code 0 and scale 1.
    Raises ValueError for a negative amax or a scale beyond fp16 when inputs are half, TypeError for negative values when unsigned.
    """
    return TensorQuantFunction.apply(inputs, amax, num_bits, unsigned, narrow_range)


def fake_tensor_quant(
    inputs: torch.Tensor, amax: Any, num_bits: int = 8, unsigned: bool = False, narrow_range: bool = True
) -> torch.Tensor:
    """Quantized and dequantized `inputs`, same shape and dtype; computed in fp32 for half and bfloat16.

    amax: range, broadcast against `inputs`; 2^-24 or less gives 0. Gradient: straight through where |x| <= amax, zero elsewhere,
    none to amax.
    Raises ValueError for a negative amax, TypeError for negative values when unsigned.
    """
    return FakeTensorQuantFunction.apply(inputs, amax, num_bits, unsigned, narrow_range)


legacy_fake_tensor_quant = fake_tensor_quant
LegacyFakeTensorQuantFunction = FakeTensorQuantFunction


def fake_affine_tensor_quant(inputs: torch.Tensor, min_range: Any, max_range: Any, num_bits: int = 8) -> torch.Tensor:
    """`inputs` on the 2^num_bits levels that span [min_range, max_range], with a zero point; per tensor.

    Gradient: straight through inside the range, zero outside. Raises ValueError unless min_range < max_range.
    """
    return FakeAffineTensorQuantFunction.apply(inputs, min_range, max_range, num_bits)


def scaled_e4m3(inputs: torch.Tensor, amax: Any = None, E: int = 4, M: int = 3) -> torch.Tensor:
    """`inputs` rounded to FP8 E4M3 with amax scaled to 448 (unscaled if None); simulation only, it has no ONNX export.

    Raises NotImplementedError for other formats, ValueError for a negative amax.
    """
    return ScaledE4M3Function.apply(inputs, amax, E, M)
