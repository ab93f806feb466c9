"""Clipping with fixed or learned bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .. import functional as QF

__all__ = ["Clip"]


def _scalar_parameter(value: Any) -> torch.nn.Parameter:
    """A 0-d fp32 parameter; ValueError unless `value` holds exactly one number."""
    array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value, dtype=np.float32)
    if array.size != 1:
        raise ValueError("clip_value_min/clip_value_max must be scalar for initializing learnable range.")
    return torch.nn.Parameter(torch.tensor(float(array.reshape(-1)[0])))


class Clip(torch.nn.Module):
    """Limits a tensor to [clip_value_min, clip_value_max].

    clip_value_min, clip_value_max: numbers or tensors that broadcast against the input.
    learn_min, learn_max: make that bound a parameter, which must then be a scalar (ValueError otherwise).
    """

    def __init__(self, clip_value_min: Any, clip_value_max: Any, learn_min: bool = False, learn_max: bool = False) -> None:
        super().__init__()
        for name, value, learned in (("clip_value_min", clip_value_min, learn_min), ("clip_value_max", clip_value_max, learn_max)):
            if learned:
                setattr(self, name, _scalar_parameter(value))
            elif isinstance(value, torch.Tensor):
                self.register_buffer(name, value, persistent=False)  # so that .to() moves it
            else:
                setattr(self, name, value)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The clipped tensor, same shape and dtype."""
        return QF.clip(inputs, self.clip_value_min, self.clip_value_max)
