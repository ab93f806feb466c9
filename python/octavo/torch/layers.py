"""Weighted layers that quantize their weight; and attention in a form that can be traced and quantized."""
from __future__ import annotations

import math
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._fake_quant import along_axis, is_exporting
from .config import LayerConfig
from .quantizer import ActivationQuantizer, WeightQuantizer, round_through


class _Weighted:
    """What the layers below share: made of a float layer in place of it, with the same names in the state dict."""

    weight_quantizer: WeightQuantizer
    # Set where the graph around the layer could not be traced; else the graph quantizes the input.
    input_quantizer: Optional[ActivationQuantizer] = None

    def _read(self, input: Tensor) -> Tensor:
        return input if self.input_quantizer is None else self.input_quantizer(input)

    def read_from(self, quantizer: ActivationQuantizer) -> None:
        """Say which quantizer the input comes from (a reference, not a part of this layer)."""
        object.__setattr__(self, "_source", (quantizer,))

    def _operands(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> tuple[Tensor, Tensor, Optional[Tensor], Optional[Tensor]]:
        """Input, weight, bias, and the factor of the result, None = 1.

        On quantized inputs these are codes (less zero points), the bias on the engine's grid: sums of whole numbers, exact in float32 below 2^24,
        so that the engine's sums are met. Gradients are those of the real values.
        """
        weight = self.weight_quantizer(weight)
        quantizer = self.input_quantizer or getattr(self, "_source", (None,))[0]
        if quantizer is None or not quantizer.acts or not self.weight_quantizer.enabled or is_exporting() or torch.is_autocast_enabled(x.device.type):
            return x, weight, bias, None
        sx, sw = quantizer.positive_scale().detach(), self.weight_quantizer.positive_scale().detach()
        axis = self.weight_quantizer.axis
        factor = sx * sw
        if bias is not None:
            steps = bias / factor
            bias = round_through(steps) if bool((steps.detach().abs() < 2**31).all()) else steps
        return round_through(x / sx), round_through(weight / along_axis(sw, weight.dim(), axis)), bias, factor

    def _scaled(self, y: Tensor, factor: Optional[Tensor]) -> Tensor:
        """factor: a number, or one for each channel of y's axis 1 (a linear layer's last)."""
        if factor is None:
            return y
        return y * (factor if factor.dim() == 0 or isinstance(self, nn.Linear) else factor.reshape(-1, *[1] * self.weight[0, 0].dim()))

    @classmethod
    def of(cls, layer: nn.Module, config: LayerConfig, scales: str) -> Any:
        """The layer itself, of this class from now on."""
        weight = layer.weight
        axis = (1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0) if config.per_channel else None
        if isinstance(layer, nn.modules.conv._ConvTransposeNd) and layer.groups > 1:
            axis = None  # the channels of a group lie on two axes
        layer.__class__ = cls
        layer.weight_quantizer = WeightQuantizer(weight, config.weight_bits, axis, scales)
        return layer


class Conv1d(_Weighted, nn.Conv1d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        x, weight, bias, factor = self._operands(self._read(input), weight, bias)
        return self._scaled(super()._conv_forward(x, weight, bias), factor)


class Conv2d(_Weighted, nn.Conv2d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        x, weight, bias, factor = self._operands(self._read(input), weight, bias)
        return self._scaled(super()._conv_forward(x, weight, bias), factor)


class Conv3d(_Weighted, nn.Conv3d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        x, weight, bias, factor = self._operands(self._read(input), weight, bias)
        return self._scaled(super()._conv_forward(x, weight, bias), factor)


class _ConvTranspose(_Weighted):
    function: Any
    axes: int

    def forward(self, input: Tensor, output_size: Optional[list[int]] = None) -> Tensor:
        padding = self._output_padding(input, output_size, self.stride, self.padding, self.kernel_size, self.axes, self.dilation)
        x, weight, bias, factor = self._operands(self._read(input), self.weight, self.bias)
        return self._scaled(type(self).function(x, weight, bias, self.stride, self.padding, padding, self.groups, self.dilation), factor)


class ConvTranspose1d(_ConvTranspose, nn.ConvTranspose1d):
    function, axes = staticmethod(F.conv_transpose1d), 1


class ConvTranspose2d(_ConvTranspose, nn.ConvTranspose2d):
    function, axes = staticmethod(F.conv_transpose2d), 2


class ConvTranspose3d(_ConvTranspose, nn.ConvTranspose3d):
    function, axes = staticmethod(F.conv_transpose3d), 3


class Linear(_Weighted, nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        x, weight, bias, factor = self._operands(self._read(input), self.weight, self.bias)
        return self._scaled(F.linear(x, weight, bias), factor)


QUANTIZED: dict[type[nn.Module], Any] = {
    nn.Conv1d: Conv1d, nn.Conv2d: Conv2d, nn.Conv3d: Conv3d, nn.ConvTranspose1d: ConvTranspose1d, nn.ConvTranspose2d: ConvTranspose2d,
    nn.ConvTranspose3d: ConvTranspose3d, nn.Linear: Linear, nn.modules.linear.NonDynamicallyQuantizableLinear: Linear,
}  # fmt: skip


class Attention(nn.Module):
    """nn.MultiheadAttention as linear layers and products, with its parameters' values; what tracing can see into.

    Takes what torch's forward takes, but key_padding_mask and attn_mask as float or bool tensors only, and gives (output, None): the
    averaged weights are not computed.
    """

    def __init__(self, source: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads, self.size, self.batch_first, self.dropout = source.num_heads, source.head_dim, source.batch_first, source.dropout
        embed = source.embed_dim
        weights = source.in_proj_weight.chunk(3) if source._qkv_same_embed_dim else (source.q_proj_weight, source.k_proj_weight, source.v_proj_weight)
        biases = [None] * 3 if source.in_proj_bias is None else source.in_proj_bias.chunk(3)
        for name, weight, bias in zip("qkv", weights, biases):
            layer = nn.Linear(weight.shape[1], embed, bias is not None, weight.device, weight.dtype)
            with torch.no_grad():
                layer.weight.copy_(weight)
                if bias is not None:
                    layer.bias.copy_(bias)
            setattr(self, f"{name}_proj", layer)
        self.out_proj = nn.Linear(embed, embed, source.out_proj.bias is not None, weights[0].device, weights[0].dtype)
        self.out_proj.load_state_dict(source.out_proj.state_dict())
        self.train(source.training)

    def _split(self, x: Tensor) -> Tensor:
        """[batch, sequence, embed] to [batch, heads, sequence, size]"""
        return x.unflatten(-1, (self.heads, self.size)).transpose(1, 2)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Optional[Tensor] = None, need_weights: bool = True,
        attn_mask: Optional[Tensor] = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, None]:  # fmt: skip
        if not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        q, k, v = self._split(self.q_proj(query)), self._split(self.k_proj(key)), self._split(self.v_proj(value))
        scores = torch.matmul(q * (1 / math.sqrt(self.size)), k.transpose(-2, -1))
        if attn_mask is not None:
            scores = scores.masked_fill(attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        if key_padding_mask is not None:
            mask = key_padding_mask.unsqueeze(1).unsqueeze(1)
            scores = scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        shares = F.dropout(torch.softmax(scores, -1), self.dropout, self.training)
        out = self.out_proj(torch.matmul(shares, v).transpose(1, 2).flatten(2))
        return (out if self.batch_first else out.transpose(0, 1)), None


class EncoderLayer(nn.Module):
    """nn.TransformerEncoderLayer without its fast path, which tracing cannot see into."""

    def __init__(self, source: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        self.self_attn = source.self_attn if isinstance(source.self_attn, Attention) else Attention(source.self_attn)
        for name in ("linear1", "linear2", "norm1", "norm2", "dropout", "dropout1", "dropout2"):
            setattr(self, name, getattr(source, name))
        self.norm_first, self.activation = source.norm_first, source.activation
        self.train(source.training)

    def _attend(self, x: Tensor, mask: Optional[Tensor], padding: Optional[Tensor]) -> Tensor:
        return self.dropout1(self.self_attn(x, x, x, key_padding_mask=padding, attn_mask=mask)[0])

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

    def forward(
        self, src: Tensor, src_mask: Optional[Tensor] = None, src_key_padding_mask: Optional[Tensor] = None, is_causal: bool = False
    ) -> Tensor:
        if self.norm_first:
            src = src + self._attend(self.norm1(src), src_mask, src_key_padding_mask)
            return src + self._feed(self.norm2(src))
        src = self.norm1(src + self._attend(src, src_mask, src_key_padding_mask))
        return self.norm2(src + self._feed(src))


class Encoder(nn.Module):
    """nn.TransformerEncoder likewise."""

    def __init__(self, source: nn.TransformerEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer if isinstance(layer, EncoderLayer) else EncoderLayer(layer) for layer in source.layers)
        self.norm = source.norm
        self.train(source.training)

    def forward(
        self, src: Tensor, mask: Optional[Tensor] = None, src_key_padding_mask: Optional[Tensor] = None, is_causal: Optional[bool] = None
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


def open_up(module: nn.Module) -> None:
    """Replace torch's attention and encoder modules inside by those above, which have the same weights."""
    for name, child in list(module.named_children()):
        open_up(child)
        for kind, ours in ((nn.MultiheadAttention, Attention), (nn.TransformerEncoderLayer, EncoderLayer), (nn.TransformerEncoder, Encoder)):
            if type(child) is kind:
                setattr(module, name, ours(child))
