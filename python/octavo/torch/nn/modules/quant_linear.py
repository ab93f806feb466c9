"""Linear layer with quantized input and weight."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ... import tensor_quant
from ._utils import QuantMixin, take_quant_desc

__all__ = ["Linear", "QuantLinear"]


class QuantLinear(QuantMixin, torch.nn.Linear):
    """torch.nn.Linear with quantizers; takes its arguments, `quant_desc_input` and `quant_desc_weight`. The bias stays float."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_LINEAR_WEIGHT_PER_ROW

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        descriptors = take_quant_desc(type(self), kwargs)
        super().__init__(*args, **kwargs)
        self.init_quantizer(*descriptors)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[…, in_features] → […, out_features]."""
        return F.linear(self._input_quantizer(input), self._weight_quantizer(self.weight), self.bias)


Linear = QuantLinear
