"""Instance normalization with quantized input. Each class takes the arguments of the one in torch.nn plus `quant_desc_input`."""

from __future__ import annotations

import torch

from ._utils import QuantInputModule

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "QuantInstanceNorm1d",
    "QuantInstanceNorm2d",
    "QuantInstanceNorm3d",
]


class QuantInstanceNorm1d(QuantInputModule, torch.nn.InstanceNorm1d):
    """torch.nn.InstanceNorm1d with an input quantizer."""


class QuantInstanceNorm2d(QuantInputModule, torch.nn.InstanceNorm2d):
    """torch.nn.InstanceNorm2d with an input quantizer."""


class QuantInstanceNorm3d(QuantInputModule, torch.nn.InstanceNorm3d):
    """torch.nn.InstanceNorm3d with an input quantizer."""


InstanceNorm1d = QuantInstanceNorm1d
InstanceNorm2d = QuantInstanceNorm2d
InstanceNorm3d = QuantInstanceNorm3d
