"""What calibrators have in common."""

from __future__ import annotations

from typing import Any, Optional

import torch


class _Calibrator:
    """Base class. num_bits, unsigned: the codes the range is for; axis: the axes with a range each, None for one range."""

    def __init__(self, num_bits: Any, axis: Any, unsigned: bool) -> None:
        self._num_bits = num_bits
        self._axis = axis
        self._unsigned = unsigned

    def collect(self, x: torch.Tensor) -> None:
        """Add the statistics of a tensor."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget all statistics."""
        raise NotImplementedError

    def compute_amax(self, *args: Any, **kwargs: Any) -> Optional[torch.Tensor]:
        """The range, on the device of the tensors collected; None if there was none."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"num_bits={self._num_bits} axis={self._axis} unsigned={self._unsigned}"
