"""Convolutions and transposed convolutions with quantized input and weight.

Each class takes the arguments of the class in torch.nn it derives from, plus `quant_desc_input` and `quant_desc_weight`; the bias
and the output stay float. Un-prefixed names are aliases.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

import torch
import torch.nn.functional as F

from ... import tensor_quant
from ._utils import QuantMixin, take_quant_desc

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "QuantConv1d", "QuantConv2d", "QuantConv3d", "QuantConvTranspose1d", "QuantConvTranspose2d", "QuantConvTranspose3d",
]  # fmt: skip


class _QuantConvNd(QuantMixin):
    """Constructor and forward pass of the convolutions; the float class comes next in the method resolution order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        descriptors = take_quant_desc(type(self), kwargs)
        super().__init__(*args, **kwargs)
        self.init_quantizer(*descriptors)

    def _quant(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quantized input and quantized weight."""
        return self._input_quantizer(input), self._weight_quantizer(self.weight)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolution of the quantized input with the quantized weight; shapes as in torch.nn."""
        quant_input, quant_weight = self._quant(input)
        return self._conv_forward(quant_input, quant_weight, self.bias)


class _QuantConvTransposeNd(_QuantConvNd):
    """Forward pass of the transposed convolutions."""

    _conv_transpose: Any
    _spatial_dims: int

    def forward(self, input: torch.Tensor, output_size: Optional[Sequence[int]] = None) -> torch.Tensor:
        """Transposed convolution; shapes as in torch.nn. Raises ValueError for padding other than zeros."""
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for {type(self).__name__}")
        padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, self._spatial_dims, self.dilation
        )
        quant_input, quant_weight = self._quant(input)
        return self._conv_transpose(
            quant_input, quant_weight, self.bias, self.stride, self.padding, padding, self.groups, self.dilation
        )


class QuantConv1d(_QuantConvNd, torch.nn.Conv1d):
    """torch.nn.Conv1d with quantizers."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_CONV1D_WEIGHT_PER_CHANNEL


class QuantConv2d(_QuantConvNd, torch.nn.Conv2d):
    """torch.nn.Conv2d with quantizers."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_CONV2D_WEIGHT_PER_CHANNEL


class QuantConv3d(_QuantConvNd, torch.nn.Conv3d):
    """torch.nn.Conv3d with quantizers."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_CONV3D_WEIGHT_PER_CHANNEL


class QuantConvTranspose1d(_QuantConvTransposeNd, torch.nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d with quantizers."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_CONVTRANSPOSE1D_WEIGHT_PER_CHANNEL
    _conv_transpose = staticmethod(F.conv_transpose1d)
    _spatial_dims = 1


class QuantConvTranspose2d(_QuantConvTransposeNd, torch.nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d with quantizers."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_CONVTRANSPOSE2D_WEIGHT_PER_CHANNEL
    _conv_transpose = staticmethod(F.conv_transpose2d)
    _spatial_dims = 2


class QuantConvTranspose3d(_QuantConvTransposeNd, torch.nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d with quantizers."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_CONVTRANSPOSE3D_WEIGHT_PER_CHANNEL
    _conv_transpose = staticmethod(F.conv_transpose3d)
    _spatial_dims = 3


Conv1d = QuantConv1d
Conv2d = QuantConv2d
Conv3d = QuantConv3d
ConvTranspose1d = QuantConvTranspose1d
ConvTranspose2d = QuantConvTranspose2d
ConvTranspose3d = QuantConvTranspose3d
