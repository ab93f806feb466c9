"""Functions behind the modules of `octavo.torch.nn`."""

from __future__ import annotations

import numbers
from typing import Any

import torch

from ..tensor_quant import is_traced


class ClipFunction(torch.autograd.Function):
    """min(max(x, low), high) with PACT's gradient: to x strictly inside, to a bound from the values it clips."""

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(input, low, high)
        return torch.max(torch.min(input, high), low)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> Any:
        input, low, high = ctx.saved_tensors
        below, above = input <= low, input >= high
        for bound, needed in ((low, ctx.needs_input_grad[1]), (high, ctx.needs_input_grad[2])):
            if needed and bound.numel() != 1:
                raise ValueError(f"Learnable min/max can only be scalar, got sizes {tuple(low.shape)} and {tuple(high.shape)}.")
        grad_input = grad_output.masked_fill(below | above, 0.0) if ctx.needs_input_grad[0] else None
        grad_low = (grad_output * below).sum().to(low.dtype).reshape(low.shape) if ctx.needs_input_grad[1] else None
        grad_high = (grad_output * above).sum().to(high.dtype).reshape(high.shape) if ctx.needs_input_grad[2] else None
        return grad_input, grad_low, grad_high


def _bound(value: Any, input: torch.Tensor) -> torch.Tensor:
    """`value` (tensor, number or array) as a tensor of the dtype and on the device of `input`."""
    if isinstance(value, torch.Tensor):
        return value.to(input)
    if isinstance(value, numbers.Real):
        return input.new_full((), float(value))
    return torch.as_tensor(value, dtype=input.dtype, device=input.device)


def clip(input: torch.Tensor, clip_value_min: Any, clip_value_max: Any) -> torch.Tensor:
    """`input` limited to [clip_value_min, clip_value_max]; bounds are numbers or tensors that broadcast against it.

    Gradient: to the input strictly inside the bounds; to a bound, the sum over the values it clips. Raises ValueError in the
    backward pass if a bound that requires a gradient is not a scalar.
    """
    low, high = _bound(clip_value_min, input), _bound(clip_value_max, input)
    if is_traced() and torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export() and low.dim() == high.dim() == 0:
        # Said outright: the exporter's own fusion of min and max leaves a bound undefined if two clips share their input.
        return torch.onnx.ops.symbolic("Clip", (input, low, high), dtype=input.dtype, shape=input.shape)
    if is_traced():
        return torch.clamp(input, low, high)
    return ClipFunction.apply(input, low, high)


__all__ = ["ClipFunction", "clip"]
