"""Statistics of one tensor, and the range that follows from them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._errors import ContentError, UsageError
from ._native import Native, core
from ._ports import fill_tensor, to_numpy

METHODS = {"auto": 0, "max": 1, "percentile": 2, "entropy": 3, "mse": 4}
SCHEMES = {"affine": 0, "symmetric": 1}


def number_of(table: dict[str, int], name: str, what: str) -> int:
    """The C number of a name; UsageError lists what there is."""
    if name not in table:
        raise UsageError(f"{what} is one of {', '.join(table)}, not '{name}'")
    return table[name]


def quant_options(
    native: Native, method: str = "auto", percentile: float = 0, scheme: str = "affine", per_tensor: bool = False, threads: int = 0, batch: int = 0
) -> Any:
    """An oct_quant_options."""
    options = native.ffi.new("oct_quant_options *")
    options.solver = number_of(METHODS, method, "method")
    options.percentile = percentile
    options.scheme = number_of(SCHEMES, scheme, "scheme")
    options.per_tensor = per_tensor
    options.threads = threads
    options.batch = batch
    return options


@dataclass(frozen=True)
class Range:
    """A tensor's range in real units and its grid: code = clip(round(x / scale) + zero, lo, hi).

    Attributes:
        min, max: limits, min <= 0 <= max.
        scale: real units of one code, > 0.
        zero: the code of 0.0.
        solver: how it was found; "user" when set by hand.
        lo, hi: smallest and largest code.
    """

    min: float
    max: float
    scale: float
    zero: int
    solver: str = "user"
    lo: int = 0
    hi: int = 255


class Observer:
    """Streaming statistics in fixed memory (72 kB): extrema, exact sums, a histogram that grows.

    Any order, batching and split of the same samples gives the same state, to the byte. It pickles.

    Args:
        channels: 0, or the length of the second axis, to also keep each channel's largest magnitude.
    """

    def __init__(self, channels: int = 0) -> None:
        self._handle = core.make("observer", core.lib.oct_observer_create, channels)

    def push(self, array: Any) -> None:
        """Add samples: float32, the first axis counts them. Values that are not finite are left out. ContentError for another type."""
        array = to_numpy(array)
        if array.dtype != np.float32:
            raise ContentError(f"an observer takes float32, not {array.dtype}")
        tensor = core.ffi.new("oct_tensor *")
        kept = fill_tensor(core, tensor, array, "samples")
        core.check(core.lib.oct_observer_add(self._handle, tensor))
        del kept

    def merge(self, other: Observer) -> None:
        """Add what another observer of the same tensor has seen."""
        core.check(core.lib.oct_observer_merge(self._handle, other._handle))

    @property
    def sample_count(self) -> int:
        return int(core.lib.oct_observer_sample_count(self._handle))

    def solve(self, method: str = "max", percentile: float = 99.99, scheme: str = "affine", bits: int = 8) -> Range:
        """The range by a method: max, percentile, entropy or mse; below 8 bits always that of least square error.

        scheme: "affine" (codes from 0 up, with zero point) or "symmetric" (signed codes, zero 0).
        Raises UsageError for "auto", which needs the tensor's reader: use octavo.calibrate on the model.
        """
        out = core.ffi.new("oct_grid *")
        core.check(core.lib.oct_observer_solve(self._handle, quant_options(core, method, percentile, scheme), bits, out))
        if bits < 8:
            name = "mse"
        else:
            name = f"percentile {percentile:g}" if method == "percentile" else method
        return Range(out.min, out.max, out.scale, out.zero, name, out.lo, out.hi)

    def state(self) -> bytes:
        """Canonical bytes of all statistics."""
        data, size = core.ffi.new("char **"), core.ffi.new("size_t *")
        core.check(core.lib.oct_observer_save(self._handle, data, size))
        try:
            return bytes(core.ffi.buffer(data[0], size[0]))
        finally:
            core.lib.oct_string_free(data[0])

    @classmethod
    def from_state(cls, state: bytes) -> Observer:
        """The observer whose state() these bytes are. ContentError when they are damaged."""
        self = cls.__new__(cls)
        self._handle = core.make("observer", core.lib.oct_observer_load, core.ffi.from_buffer(state), len(state))
        return self

    def __reduce__(self) -> Any:
        return Observer.from_state, (self.state(),)
