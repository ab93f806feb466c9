"""The module that quantizes one tensor: collects its range, clips it, quantizes it."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any, Optional

import numpy as np
import torch

from ... import calib
from ...tensor_quant import (
    QUANT_DESC_8BIT_PER_TENSOR,
    QuantDescriptor,
    code_limits,
    fake_tensor_quant,
    is_traced,
    maxbound,
    scaled_e4m3,
    step_size,
    tensor_quant,
)
from ...utils.reduce_amax import amax_except
from .. import functional as QF
from .clip import Clip

__all__ = ["TensorQuantizer"]

logger = logging.getLogger(__name__)

_BUFFERS = ("_amax", "_pre_quant_scale")  # created on demand, hence also when a state dict brings them


def _channel_axis(amax: torch.Tensor, dim: int) -> Optional[int]:
    """Axis of a `dim`-dimensional tensor along which `amax` varies; None for one range. Raises TypeError for several axes."""
    if amax.numel() == 1:
        return None
    long_axes = [index for index, size in enumerate(amax.shape) if size != 1]
    if len(long_axes) != 1:
        raise TypeError(f"amax of shape {tuple(amax.shape)} varies along several axes; QuantizeLinear of ONNX has one")
    return dim - amax.dim() + long_axes[0]


def _graph_fake_quant(
    inputs: torch.Tensor, amax: torch.Tensor, is_fixed: bool, num_bits: int, unsigned: bool, narrow_range: bool
) -> torch.Tensor:
    """Fake quantization that both ONNX exporters translate into QuantizeLinear and DequantizeLinear."""
    from ..._fake_quant import fake_quant

    smallest, largest = code_limits(num_bits, unsigned, narrow_range)
    full = (0, 255) if unsigned else (-128, 127)
    if largest <= 0 or smallest < full[0] or largest > full[1]:
        raise NotImplementedError(f"a quantizer of {num_bits} bits has no ONNX export: its codes must fit 8 bits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # the range's shape and values are constants indeed
        axis = _channel_axis(amax, inputs.dim())
        step = step_size(amax.reshape(() if axis is None else (-1,)).float(), largest)
        parts = (step, torch.zeros_like(step), smallest * step, largest * step)
        if is_fixed and torch.jit.is_tracing():
            # torch.jit would record the arithmetic, and the scale would be no initializer.
            parts = tuple(torch.tensor(part.tolist(), dtype=torch.float32, device=part.device) for part in parts)
    step, zero, low, high = parts
    values = inputs.float()
    if axis is None and (smallest, largest) != full:
        # Clipped to the narrow grid, values get the same codes on the 8-bit one; said by QF.clip, which survives shared inputs.
        values, (smallest, largest) = QF.clip(values, low, high), full
    return fake_quant(values, step, zero, smallest, largest, axis).to(inputs.dtype)


class TensorQuantizer(torch.nn.Module):
    """Quantizes a tensor as a `QuantDescriptor` says, in three stages that can be switched: calibrate, clip, quantize.

    quant_desc: bits, range, axis and calibrator.
    disabled: return the input untouched, without calibration.
    if_quant, if_clip, if_calib: which stages run at first; `learn_amax` in the descriptor turns the clip stage on.

    The range is the buffer `_amax` (fp32 even in a half model), a scalar or broadcastable against the input, set by the descriptor,
    by `amax =`, by `load_calib_amax` or by a state dict; without it the range is taken from each input (dynamic).
    Raises ValueError for an unknown calibration method, or `if_clip` without `learn_amax`.
    """

    use_fb_fake_quant = False  # True: full-range codes [-128, 127], as ONNX has them, whatever narrow_range says
    _enable_onnx_export = False  # True: record Q/DQ even when no exporter is known to be running

    def __init__(
        self,
        quant_desc: QuantDescriptor = QUANT_DESC_8BIT_PER_TENSOR,
        disabled: bool = False,
        if_quant: bool = True,
        if_clip: bool = False,
        if_calib: bool = False,
    ) -> None:
        super().__init__()
        self._device = torch.empty(0).device
        self._num_bits = quant_desc.num_bits
        self._fake_quant = quant_desc.fake_quant
        self._axis = quant_desc.axis
        self._scale_amax = quant_desc.scale_amax
        self._learn_amax = quant_desc.learn_amax
        self._unsigned = quant_desc.unsigned
        self._narrow_range = quant_desc.narrow_range
        self._scale: Any = 1.0 if quant_desc.fake_quant else None
        self._disabled = disabled
        self._if_quant = if_quant
        self._if_clip = False
        self._if_calib = if_calib
        if quant_desc.amax is not None:
            self.register_buffer("_amax", torch.tensor(quant_desc.amax))
        if self._learn_amax:
            bound = 1.0 if quant_desc.amax is None else quant_desc.amax
            self.clip = Clip(-bound, bound, learn_min=True, learn_max=True)
        if self._learn_amax or if_clip:
            self.enable_clip()
        calibrators = {"max": calib.MaxCalibrator, "histogram": calib.HistogramCalibrator}
        if quant_desc.calib_method not in calibrators:
            raise ValueError(f"calib_method must be one of {sorted(calibrators)}, not {quant_desc.calib_method!r}")
        self._calibrator = calibrators[quant_desc.calib_method](num_bits=self._num_bits, axis=self._axis, unsigned=self._unsigned)

    @property
    def num_bits(self) -> Any:
        """Bits of the codes, or (4, 3)."""
        return self._num_bits

    @num_bits.setter
    def num_bits(self, value: Any) -> None:
        self._num_bits = value

    @property
    def maxbound(self) -> float:
        """Largest code."""
        return maxbound(self._num_bits, self._unsigned)

    @property
    def unsigned(self) -> bool:
        """Codes start at 0."""
        return self._unsigned

    @unsigned.setter
    def unsigned(self, value: bool) -> None:
        self._unsigned = value

    @property
    def narrow_range(self) -> bool:
        """The lowest signed code is left out."""
        return self._narrow_range

    @narrow_range.setter
    def narrow_range(self, value: bool) -> None:
        self._narrow_range = value

    @property
    def axis(self) -> Any:
        """Axis or axes with a range each; None for one range."""
        return self._axis

    @property
    def fake_quant(self) -> bool:
        """Dequantizes at once."""
        return self._fake_quant

    @property
    def scale(self) -> Any:
        """maxbound / amax of the last tensor quantized to codes; 1.0 in fake-quant mode, None before the first tensor."""
        if self._fake_quant:
            logger.error("Fake quantize mode doesn't use scale explicitly!")
        elif self._scale is None:
            logger.critical("Accessing scale before quantizing any tensor!")
        return self._scale

    @property
    def step_size(self) -> Optional[torch.Tensor]:
        """Distance between neighbouring codes, amax / maxbound; None while the range is dynamic."""
        if self.amax is None:
            logger.error("step_size is undefined under dynamic amax mode!")
            return None
        return self.amax / torch.full_like(self.amax, self.maxbound)

    @property
    def amax(self) -> Optional[torch.Tensor]:
        """The range; None while it is dynamic. Assigning keeps the shape of an existing range (TypeError otherwise)."""
        return self._buffers.get("_amax")

    @amax.setter
    def amax(self, value: Any) -> None:
        if value is None:
            logger.error("Setting amax to None is meaningless.")
            return
        self._assign("_amax", value)

    @property
    def pre_quant_scale(self) -> Optional[torch.Tensor]:
        """Factor applied to the input ahead of calibration and quantization (SmoothQuant), broadcast; None if there is none."""
        return self._buffers.get("_pre_quant_scale")

    @pre_quant_scale.setter
    def pre_quant_scale(self, value: Any) -> None:
        if value is None:
            self._buffers.pop("_pre_quant_scale", None)
            return
        self._assign("_pre_quant_scale", value)

    def _assign(self, name: str, value: Any) -> None:
        """Set a buffer from a number, array or tensor, creating it on this module's device."""
        buffer = self._buffers.get(name)
        device = self._device if buffer is None else buffer.device
        if not isinstance(value, torch.Tensor):
            value = np.asarray(value, dtype=np.float32)
        value = torch.as_tensor(value, dtype=torch.float32, device=device).detach().clone()
        if buffer is None:
            self.register_buffer(name, value)
        elif buffer.shape != value.shape:
            raise TypeError(f"Changing shape when setting {name[1:]} is not allowed.")
        else:
            buffer.copy_(value)

    def disable(self) -> None:
        """Return inputs untouched from now on."""
        self._disabled = True

    def enable(self) -> None:
        """Undo `disable`."""
        self._disabled = False

    def disable_clip(self) -> None:
        """Turn the clip stage off and freeze its bounds."""
        self._set_clip(False)

    def enable_clip(self) -> None:
        """Turn the clip stage on and learn its bounds. Raises ValueError without `learn_amax`."""
        if not self._learn_amax:
            raise ValueError("learn_amax is False. Cannot enable clip.")
        self._set_clip(True)

    def _set_clip(self, enabled: bool) -> None:
        self._if_clip = enabled
        if self._learn_amax:
            self.clip.clip_value_min.requires_grad_(enabled)
            self.clip.clip_value_max.requires_grad_(enabled)

    def disable_calib(self) -> None:
        """Stop collecting statistics."""
        self._if_calib = False

    def enable_calib(self) -> None:
        """Collect statistics of every input. Raises ValueError without a calibrator."""
        if self._calibrator is None:
            raise ValueError("Calibrator was not created, cannot enable calibration.")
        self._if_calib = True

    def disable_quant(self) -> None:
        """Turn the quantize stage off."""
        self._if_quant = False

    def enable_quant(self) -> None:
        """Turn the quantize stage on."""
        self._if_quant = True

    def load_calib_amax(self, *args: Any, strict: bool = True, **kwargs: Any) -> None:
        """Set the range to what the calibrator computes; arguments go to its `compute_amax`.

        Raises RuntimeError without a calibrator, or if it has seen no tensor; with strict=False the range becomes NaN then.
        """
        if self._calibrator is None:
            raise RuntimeError("Calibrator not created.")
        amax = self._calibrator.compute_amax(*args, **kwargs)
        if amax is None:
            message = "Calibrator returned None. This usually happens when calibrator hasn't seen any tensor."
            if strict:
                raise RuntimeError(f"{message} Passing 'strict=False' to `load_calib_amax()` will ignore the error.")
            logger.warning("%s Set amax to NaN!", message)
            amax = torch.tensor(math.nan, device=self._device)
        if self.amax is not None and self.amax.shape == amax.shape:
            self.amax.copy_(amax)
        else:
            self.register_buffer("_amax", amax.detach().float().clone())

    def init_learn_amax(self) -> None:
        """Start the learned bounds at ±amax, the largest one if there are several.

        Raises RuntimeError without `learn_amax` or while no range is set.
        """
        if not self._learn_amax:
            raise RuntimeError("Called init_learn_amax with learn_amax=False.")
        if self.amax is None:
            raise RuntimeError("Called init_learn_amax without amax. Calibrate and call load_calib_amax first.")
        bound = self.amax.max()
        with torch.no_grad():
            self.clip.clip_value_min.copy_(-bound)
            self.clip.clip_value_max.copy_(bound)

    def _get_amax(self, inputs: torch.Tensor) -> torch.Tensor:
        """The range for `inputs`: learned, fixed or dynamic, times `scale_amax`."""
        if self._learn_amax:
            return torch.max(-self.clip.clip_value_min, self.clip.clip_value_max).detach()
        amax = amax_except(inputs, self._axis) if self.amax is None else self.amax
        return amax if self._scale_amax is None else amax * self._scale_amax

    def _quant_forward(self, inputs: torch.Tensor) -> torch.Tensor:
        amax = self._get_amax(inputs)
        narrow = self._narrow_range and not TensorQuantizer.use_fb_fake_quant
        exporting = TensorQuantizer._enable_onnx_export or torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting()
        if isinstance(self._num_bits, tuple):
            if exporting:
                raise NotImplementedError("FP8 E4M3 is simulated only; it has no ONNX export. Use integer num_bits.")
            return scaled_e4m3(inputs, amax, *self._num_bits)
        if not self._fake_quant:
            outputs, self._scale = tensor_quant(inputs, amax, self._num_bits, self._unsigned, narrow)
            return outputs
        if exporting:
            is_fixed = self._learn_amax or self.amax is not None
            return _graph_fake_quant(inputs, amax, is_fixed, self._num_bits, self._unsigned, narrow)
        return fake_tensor_quant(inputs, amax, self._num_bits, self._unsigned, narrow)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`inputs` after the enabled stages: same shape and dtype."""
        if self._disabled:
            return inputs
        if self.pre_quant_scale is not None:
            inputs = (inputs * self.pre_quant_scale).to(inputs.dtype)
        if not is_traced() and inputs.numel() == 0:
            return inputs
        if self._if_calib and not is_traced():
            self._calibrator.collect(inputs)
        if self._if_clip or (self._if_quant and self._learn_amax):
            inputs = self.clip(inputs)
        return self._quant_forward(inputs) if self._if_quant else inputs

    def _short_amax(self, fmt: str = ".4f") -> str:
        """'dynamic', the range, or '[smallest, largest](count)'."""
        if self.amax is None:
            return "dynamic"
        if self.amax.numel() == 1:
            return f"{self.amax.item():{fmt}}"
        return f"[{self.amax.min().item():{fmt}}, {self.amax.max().item():{fmt}}]({self.amax.numel()})"

    def extra_repr(self) -> str:
        if self._disabled:
            return "disabled"
        parts = ["unsigned"] if self._unsigned else []
        parts += [f"{self._num_bits}bit"]
        parts += ["narrow"] if self._narrow_range else []
        parts += ["fake"] if self._fake_quant else []
        parts += ["per-tensor" if self._axis is None else f"axis={self._axis}", f"amax={self._short_amax()}"]
        parts += [f"*{self._scale_amax}"] if self._scale_amax else []
        parts += ["pre_quant_scale"] if self.pre_quant_scale is not None else []
        parts += ["learned"] if self._learn_amax else []
        parts += [f"calibrator={type(self._calibrator).__name__}"] if self._calibrator is not None else []
        parts += [f"scale={self._scale}"] if self._scale is not None else []
        parts += [name for name, on in (("quant", self._if_quant), ("clip", self._if_clip), ("calib", self._if_calib)) if on]
        return " ".join(parts)

    def _apply(self, fn: Any, recurse: bool = True) -> TensorQuantizer:
        """Follow .to() and the like, but keep ranges in fp32: half precision would move them."""
        ranges = {name: self._buffers[name] for name in _BUFFERS if name in self._buffers}
        super()._apply(fn, recurse)
        for name, before in ranges.items():
            after = self._buffers[name]
            if after.dtype != torch.float32:
                self._buffers[name] = before.to(after.device)
        self._device = fn(torch.empty(0, device=self._device)).device
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Creates the buffers a state dict brings, on this module's device, before the values are copied."""
        for name in _BUFFERS:
            value = state_dict.get(prefix + name)
            if value is not None and name not in self._buffers:
                self.register_buffer(name, torch.zeros(value.shape, device=self._device))
            elif value is None and name in self._buffers:
                logger.error("%s: no %s in state_dict.", prefix[:-1], name[1:])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
