"""Quantizer modules: the fake-quant layers that hold the scales."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from .._errors import DemandError
from .._observe import Observer, Range
from ._fake_quant import along_axis, fake_quant


def code_limits(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """[0, 2^bits - 1], or signed [-2^(bits-1), 2^(bits-1) - 1], less its lowest code when narrow."""
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + int(narrow), 2 ** (bits - 1) - 1


class Quantizer(nn.Module):
    """Base of both kinds. Buffers and parameters: scale, zero (codes, as floats), calibrated.

    State dicts save and restore the ranges on any device; the shapes never change.

    Attributes:
        bits, qmin, qmax: of the codes. axis: of the scales, None = one for the tensor.
        enabled: False lets values pass unchanged.
    """

    def __init__(self, bits: int, signed: bool, narrow: bool, axis: Optional[int], count: int, scales: str) -> None:
        super().__init__()
        self.bits, self.axis, self.enabled, self.scales = bits, axis, True, scales
        self.qmin, self.qmax = code_limits(bits, signed, narrow)
        shape = () if axis is None else (count,)
        self.scale = nn.Parameter(torch.ones(shape), requires_grad=scales != "calibrated")
        self.register_buffer("zero", torch.zeros(shape))
        self.register_buffer("calibrated", torch.tensor(False))
        self.ready = False  # the same for Python, so that no device is asked

    zero: Tensor
    calibrated: Tensor

    def set_scale(self, scale: Any, zero: Any = 0) -> None:
        """Take a scale (> 0, a number or one a channel) and zero point."""
        with torch.no_grad():
            self.scale.copy_(torch.as_tensor(scale, dtype=torch.float32).expand_as(self.scale))
            self.zero.copy_(torch.as_tensor(zero, dtype=torch.float32).expand_as(self.zero))
            self.calibrated.fill_(True)
        self.ready = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.ready = bool(self.calibrated)

    @property
    def acts(self) -> bool:
        """Whether values come out on the grid."""
        return self.enabled and self.ready

    def positive_scale(self) -> Tensor:
        """The scale, kept above 0 where it is learned."""
        return self.scale if not self.scale.requires_grad else self.scale.clamp(min=1e-9)

    def quantize(self, x: Tensor) -> Tensor:
        return fake_quant(x, self.positive_scale(), self.zero, self.qmin, self.qmax, self.axis, self.scales != "clip")

    def codes(self, x: Tensor) -> Tensor:
        """The integer codes of x, as int32."""
        s, z = along_axis(self.scale, x.dim(), self.axis), along_axis(self.zero, x.dim(), self.axis)
        return (torch.round(x.float() / s) + z).clamp(self.qmin, self.qmax).to(torch.int32)

    def limits(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest real value that the codes reach."""
        return (self.qmin - self.zero) * self.scale.detach(), (self.qmax - self.zero) * self.scale.detach()

    def extra_repr(self) -> str:
        state = f"scale={self.scale.item():.4g}, zero={int(self.zero.item())}" if self.scale.dim() == 0 else f"{self.scale.numel()} scales"
        if not self.ready:
            state = "not calibrated"
        return f"{self.bits} bits [{self.qmin}, {self.qmax}], {state}, {self.scales}{'' if self.enabled else ', disabled'}"


class ActivationQuantizer(Quantizer):
    """Of an activation: one scale, a zero point unless symmetric. Call sites that share it share the range.

    While observing, values pass unchanged and are counted; `root=False` marks call sites whose values only move there.
    """

    def __init__(self, bits: int = 8, symmetric: bool = False, scales: str = "calibrated") -> None:
        super().__init__(bits, symmetric, False, None, 1, scales)
        self.symmetric = symmetric
        self.observer: Optional[Observer] = None
        self.kept: Optional[list[Tensor]] = None

    def observe(self, start: bool = True) -> None:
        """Begin (forgetting what was seen) or end counting."""
        self.observer = Observer() if start else None
        self.kept = None

    def forward(self, x: Tensor, root: bool = True) -> Tensor:
        if self.observer is not None:
            if root:
                self.observer.push(np.ascontiguousarray(x.detach().float().cpu().numpy()))
            return x
        if not self.enabled:
            return x
        if not self.ready:
            raise DemandError("a quantizer has no range yet: run octavo.torch.calibrate, or load a state dict")
        return self.quantize(x)

    @property
    def acts(self) -> bool:
        return super().acts and self.observer is None

    def take(self, found: Range) -> None:
        """Take a range from an observer."""
        self.qmin, self.qmax = found.lo, found.hi
        self.set_scale(found.scale, found.zero)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.qmin, self.qmax])

    def set_extra_state(self, state: Tensor) -> None:
        self.qmin, self.qmax = (int(v) for v in state)


class WeightQuantizer(Quantizer):
    """Of a weight: symmetric codes without the lowest, one scale an output channel or one a tensor; zero point 0."""

    def __init__(self, weight: Tensor, bits: int = 8, axis: Optional[int] = 0, scales: str = "calibrated") -> None:
        super().__init__(bits, True, True, axis, 1 if axis is None else weight.shape[axis], "learned" if scales == "learned" else "calibrated")
        self.to(weight.device)
        self.calibrate(weight)

    def calibrate(self, weight: Tensor) -> None:
        """Scales of 8 bits: the largest magnitude at the last code. Of fewer bits: of least square error, found by a scan."""
        w = weight.detach().float()
        rows = w.reshape(1, -1) if self.axis is None else w.transpose(0, self.axis).reshape(w.shape[self.axis], -1)
        top = rows.abs().amax(1)
        best = torch.where(top > 0, top / self.qmax, torch.ones_like(top))
        if self.bits < 8:
            least = torch.full_like(top, torch.inf)
            start = best.clone()
            for share in torch.linspace(0.2, 1, 81, device=w.device):
                s = (start * share)[:, None]
                error = (((rows / s).round().clamp(self.qmin, self.qmax) * s - rows) ** 2).sum(1)
                better = error < least
                least, best = torch.where(better, error, least), torch.where(better, start * share, best)
            best = torch.where(top > 0, best, torch.ones_like(best))
        self.set_scale(best if self.axis is not None else best[0])

    def forward(self, weight: Tensor) -> Tensor:
        return self.quantize(weight) if self.enabled else weight


def round_through(x: Tensor) -> Tensor:
    """Rounded, with the gradient of x itself."""
    return x + (torch.round(x) - x).detach()
