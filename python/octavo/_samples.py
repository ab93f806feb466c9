"""Iterables of arrays as the library's data: what calibrate, compare and evaluate take."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ._errors import ContentError
from ._native import Native
from ._ports import Port, fill_tensor, to_numpy


def _pick(batch: Any, ports: list[Port]) -> list[np.ndarray[Any, Any]]:
    """The arrays of one batch, in the order of the ports; what stands behind them (labels) is left out."""
    if isinstance(batch, Mapping):
        missing = [p.name for p in ports if p.name not in batch]
        if missing:
            raise ContentError(f"a batch of the data has no '{missing[0]}' (it has {', '.join(map(repr, batch))})", node=missing[0])
        return [to_numpy(batch[p.name]) for p in ports]
    if isinstance(batch, (list, tuple)):
        if len(batch) < len(ports):
            raise ContentError(f"a batch of the data has {len(batch)} arrays, the model {len(ports)} inputs")
        return [to_numpy(item) for item in batch[: len(ports)]]
    if len(ports) != 1:
        raise ContentError(f"a batch of the data is one array, the model has {len(ports)} inputs")
    return [to_numpy(batch)]


def batches(native: Native, data: Iterable[Any], ports: list[Port]) -> Iterator[tuple[Any, int]]:
    """Each batch as an array of oct_tensor (alive until the next one) and its number of samples.

    A batch is a mapping by input name, a list or tuple in the model's order (anything behind the inputs, such as labels, is left
    out: a PyTorch DataLoader works), or one array. Arrays are converted to the inputs' types where that loses nothing.
    """
    for batch in [data] if isinstance(data, np.ndarray) else data:
        tensors = native.ffi.new("oct_tensor[]", len(ports))
        kept = []
        arrays = _pick(batch, ports)
        for i, (port, array) in enumerate(zip(ports, arrays)):
            if array.ndim != len(port.dims) or array.ndim == 0:
                raise ContentError(f"input '{port.name}': an array has {array.ndim} axes, the model wants {len(port.dims)}", node=port.name)
            if array.dtype != port.dtype:
                if not np.can_cast(array.dtype, port.numpy_type(), "same_kind"):
                    raise ContentError(f"input '{port.name}': an array is {array.dtype}, the model wants {port.dtype}", node=port.name)
                array = array.astype(port.numpy_type())
            kept.append(fill_tensor(native, tensors[i], array, port.name))
        count = len(kept[0]) if kept else 0
        if any(len(array) != count for array in kept):
            raise ContentError("the inputs of a batch have different numbers of samples")
        if count:
            yield tensors, count
        del kept
