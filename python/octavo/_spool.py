"""Iterables of arrays for what reads its data several times, in its own order: they are collected in a temporary .npz."""
from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ._data import is_path
from ._errors import ContentError
from ._ports import Port, to_numpy


def _labels_of(batch: Any, inputs: int) -> Any:
    if isinstance(batch, Mapping):
        return batch.get("labels")
    return batch[inputs] if isinstance(batch, (list, tuple)) and len(batch) > inputs else None


@contextlib.contextmanager
def as_path(data: Any, ports: list[Port]) -> Iterator[Any]:
    """A path as it is; anything else as the path of a .npz with the arrays of all batches, gone afterwards.

    Labels are what stands behind the inputs in a tuple, or "labels" in a mapping. ContentError when only some batches have them.
    """
    if is_path(data):
        yield data
        return
    columns: list[list[np.ndarray[Any, Any]]] = [[] for _ in ports]
    labels = []
    for batch in data:
        for i, port in enumerate(ports):
            if isinstance(batch, Mapping):
                if port.name not in batch:
                    raise ContentError(f"a batch of the data has no '{port.name}'", node=port.name)
                item = batch[port.name]
            else:
                item = batch[i] if isinstance(batch, (list, tuple)) else batch
            columns[i].append(to_numpy(item).astype(port.numpy_type(), copy=False))
        found = _labels_of(batch, len(ports))
        if found is not None:
            labels.append(to_numpy(found).astype(np.int64, copy=False).reshape(-1))
    if not columns or not columns[0]:
        raise ContentError("the data have no batch")
    if labels and len(labels) != len(columns[0]):
        raise ContentError("some batches of the data have labels, some have none")
    arrays = {port.name: np.concatenate(column) for port, column in zip(ports, columns)}
    if labels:
        arrays["labels"] = np.concatenate(labels)
    with tempfile.TemporaryDirectory(prefix="octavo-") as folder:
        path = os.path.join(folder, "data.npz")
        np.savez(path, **arrays)  # type: ignore[arg-type]
        yield path
