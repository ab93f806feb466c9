"""Pooling with quantized input. Each class takes the arguments of the one in torch.nn plus `quant_desc_input`."""

from __future__ import annotations

import torch

from ._utils import QuantInputModule

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "QuantAdaptiveAvgPool1d", "QuantAdaptiveAvgPool2d", "QuantAdaptiveAvgPool3d",
    "QuantAvgPool1d", "QuantAvgPool2d", "QuantAvgPool3d", "QuantMaxPool1d", "QuantMaxPool2d", "QuantMaxPool3d",
]  # fmt: skip


class QuantMaxPool1d(QuantInputModule, torch.nn.MaxPool1d):
    """torch.nn.MaxPool1d with an input quantizer."""


class QuantMaxPool2d(QuantInputModule, torch.nn.MaxPool2d):
    """torch.nn.MaxPool2d with an input quantizer."""


class QuantMaxPool3d(QuantInputModule, torch.nn.MaxPool3d):
    """torch.nn.MaxPool3d with an input quantizer."""


class QuantAvgPool1d(QuantInputModule, torch.nn.AvgPool1d):
    """torch.nn.AvgPool1d with an input quantizer."""


class QuantAvgPool2d(QuantInputModule, torch.nn.AvgPool2d):
    """torch.nn.AvgPool2d with an input quantizer."""


class QuantAvgPool3d(QuantInputModule, torch.nn.AvgPool3d):
    """torch.nn.AvgPool3d with an input quantizer."""


class QuantAdaptiveAvgPool1d(QuantInputModule, torch.nn.AdaptiveAvgPool1d):
    """torch.nn.AdaptiveAvgPool1d with an input quantizer."""


class QuantAdaptiveAvgPool2d(QuantInputModule, torch.nn.AdaptiveAvgPool2d):
    """torch.nn.AdaptiveAvgPool2d with an input quantizer."""


class QuantAdaptiveAvgPool3d(QuantInputModule, torch.nn.AdaptiveAvgPool3d):
    """torch.nn.AdaptiveAvgPool3d with an input quantizer."""


MaxPool1d = QuantMaxPool1d
MaxPool2d = QuantMaxPool2d
MaxPool3d = QuantMaxPool3d
AvgPool1d = QuantAvgPool1d
AvgPool2d = QuantAvgPool2d
AvgPool3d = QuantAvgPool3d
AdaptiveAvgPool1d = QuantAdaptiveAvgPool1d
AdaptiveAvgPool2d = QuantAdaptiveAvgPool2d
AdaptiveAvgPool3d = QuantAdaptiveAvgPool3d
