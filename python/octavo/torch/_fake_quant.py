"""Fake quantization: quantize and dequantize, with gradients, and as QuantizeLinear and DequantizeLinear in both ONNX exporters.

codes = clip(round_half_even(x / scale) + zero, qmin, qmax) by true division in fp32, as the engine computes them (docs/numerics.md 1); torch's
own fake_quantize multiplies by 1 / scale instead, which gives other codes now and then.
"""
from __future__ import annotations

import math
from typing import Any, Optional

import torch
from torch import Tensor

from .._errors import UnsupportedError


def along_axis(values: Tensor, rank: int, axis: Optional[int]) -> Tensor:
    """A list of values shaped so that it broadcasts along an axis of a tensor of this rank."""
    if axis is None or values.dim() == 0:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


class _FakeQuant(torch.autograd.Function):
    """Gradient to x: straight through inside the range, zero outside. To scale: LSQ's (Esser et al. 2020, equation 3), times 1/sqrt(N qmax);
    with rounding=False PACT's, which counts clipped values only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, qmin: int, qmax: int, axis: Optional[int], rounding: bool) -> Tensor:
        values = x.float()
        s, z = along_axis(scale, x.dim(), axis).float(), along_axis(zero, x.dim(), axis).float()
        steps = values / s
        codes = torch.round(steps) + z
        # NaN quantizes to the zero point.
        clipped = torch.where(torch.isnan(codes), z, codes.clamp(qmin, qmax))
        if any(ctx.needs_input_grad[:2]):
            ctx.save_for_backward(steps if ctx.needs_input_grad[1] else None, codes, clipped, scale)
            ctx.limits, ctx.axis, ctx.rounding, ctx.zero = (qmin, qmax), axis, rounding, z
        return ((clipped - z) * s).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Optional[Tensor], ...]:
        steps, codes, clipped, scale = ctx.saved_tensors
        qmin, qmax = ctx.limits
        inside = (codes >= qmin) & (codes <= qmax)
        to_x = torch.where(inside, grad, torch.zeros_like(grad)) if ctx.needs_input_grad[0] else None
        to_scale = None
        if ctx.needs_input_grad[1]:
            levels = clipped - ctx.zero
            within = levels - steps if ctx.rounding else torch.zeros_like(levels)
            each = grad.float() * torch.where(inside, within, levels)
            per = 1 if scale.dim() == 0 else scale.numel()
            factor = 1 / math.sqrt(max(grad.numel() / per * max(qmax, 1), 1))
            if scale.dim() == 0:
                to_scale = each.sum() * factor
            else:
                to_scale = each.sum([d for d in range(each.dim()) if d != ctx.axis % each.dim()]) * factor
            to_scale = to_scale.to(scale.dtype)
        return to_x, to_scale, None, None, None, None, None


class _QuantDequant(torch.autograd.Function):
    """What the TorchScript exporter sees: one pair of nodes. Only 8-bit codes; narrower limits are clipped before."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, axis: Optional[int]) -> Tensor:
        low, high = (0, 255) if zero.dtype == torch.uint8 else (-128, 127)
        return _FakeQuant.forward(ctx, x, scale, zero, low, high, axis, True)

    @staticmethod
    def symbolic(g: Any, x: Any, scale: Any, zero: Any, axis: Optional[int]) -> Any:
        attributes = {} if axis is None else {"axis_i": axis}
        codes = g.op("QuantizeLinear", x, scale, zero, **attributes)
        return g.op("DequantizeLinear", codes, scale, zero, **attributes).setType(x.type())


def _is_dynamo_export() -> bool:
    return torch.compiler.is_exporting()


def is_exporting() -> bool:
    """True while an ONNX exporter records the graph."""
    return torch.onnx.is_in_onnx_export() or _is_dynamo_export()


def _export(x: Tensor, scale: Tensor, zero: Tensor, qmin: int, qmax: int, axis: Optional[int]) -> Tensor:
    if qmax - qmin > 255:
        raise UnsupportedError(f"codes {qmin} to {qmax} have no 8-bit form in ONNX")
    if x.dtype != torch.float32:
        return _export(x.float(), scale, zero, qmin, qmax, axis).to(x.dtype)
    signed = qmin < 0
    codes = torch.int8 if signed else torch.uint8
    scale = scale.detach().float()
    zero = zero.detach().to(codes)
    full = (-128, 127) if signed else (0, 255)
    if (qmin, qmax) != full:
        # Clip to the real limits of the narrow grid: any engine then gives its codes on the 8-bit grid of the same scale.
        low = (qmin - zero.float()) * scale
        high = (qmax - zero.float()) * scale
        if scale.dim() == 0:
            # Not as minimum and maximum: dynamo's optimizer loses a limit where two of them share an input.
            if _is_dynamo_export():
                x = torch.onnx.ops.symbolic("Clip", (x, low, high), dtype=x.dtype, shape=x.shape)
            else:
                x = torch.clamp(x, low.item(), high.item())
        else:
            x = torch.minimum(torch.maximum(x, along_axis(low, x.dim(), axis)), along_axis(high, x.dim(), axis))
    if scale.dim() == 0:
        axis = None
    if not _is_dynamo_export():
        return _QuantDequant.apply(x, scale, zero, axis)
    attributes = {} if axis is None else {"axis": axis}
    shape = x.shape
    quantized = torch.onnx.ops.symbolic("QuantizeLinear", (x, scale, zero), attributes, dtype=codes, shape=shape)
    return torch.onnx.ops.symbolic("DequantizeLinear", (quantized, scale, zero), attributes, dtype=torch.float32, shape=shape)


def fake_quant(
    x: Tensor, scale: Tensor, zero: Tensor, qmin: int, qmax: int, axis: Optional[int] = None, rounding_gradient: bool = True
) -> Tensor:
    """x on the grid of its codes: (clip(round(x / scale) + zero, qmin, qmax) - zero) * scale, in x's shape and type.

    Args:
        scale, zero: scalars, or lists of x.shape[axis] values; scale > 0 in real units a code, zero a code.
        qmin, qmax: smallest and largest code.
        rounding_gradient: False leaves the rounding error out of the scale's gradient (PACT); True is LSQ.
    Gradients: to x straight through inside the range, zero outside; to scale where it requires one.
    In an ONNX export: QuantizeLinear and DequantizeLinear, of uint8 where qmin >= 0, else int8.
    """
    if is_exporting():
        return _export(x, scale, zero, qmin, qmax, axis)
    return _FakeQuant.apply(x, scale, zero, qmin, qmax, axis, rounding_gradient)
