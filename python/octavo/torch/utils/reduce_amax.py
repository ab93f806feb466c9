"""Largest absolute values of a tensor, whole or along axes."""

from __future__ import annotations

from typing import Sequence, Union

import torch

Axis = Union[int, Sequence[int], None]


def kept_axes(axis: Axis, dim: int) -> tuple[int, ...]:
    """`axis` (None, one or several, negative ones counted from the end) as sorted non-negative axes of a tensor of `dim`
    dimensions.

    Raises ValueError for an axis outside [-dim, dim) or named twice.
    """
    if axis is None:
        return ()
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for index in axes:
        if not -dim <= index < dim:
            raise ValueError(f"axis {index} is out of range for a tensor of {dim} dimensions")
    positive = sorted(index % dim for index in axes)
    if len(set(positive)) != len(positive):
        raise ValueError(f"axis {axis} names a dimension twice")
    return tuple(positive)


def channel_shape(axis: Axis, shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of per-channel ranges that broadcast against a tensor of `shape`: its size on the kept axes, 1 elsewhere."""
    kept = kept_axes(axis, len(shape))
    return tuple(size if index in kept else 1 for index, size in enumerate(shape))


@torch.no_grad()
def reduce_amax(input: torch.Tensor, axis: Axis = None, keepdims: bool = True) -> torch.Tensor:
    """max(|input|) over the dimensions in `axis`; without gradient.

    axis: None reduces every dimension to a scalar, an int or several ints reduce those.
    keepdims: keep reduced dimensions with length 1; a result of one element over several axes is a scalar nonetheless.
    Raises ValueError for an axis the tensor does not have, for more axes than dimensions and for a tensor without elements.
    """
    if input.numel() == 0:
        raise ValueError("amax of a tensor without elements is not defined")
    if axis is None:
        return input.abs().max()
    if not isinstance(axis, int) and len(axis) > input.dim():
        raise ValueError("Cannot reduce more axes than tensor's dim.")
    axes = kept_axes(axis, input.dim())
    if not axes:
        return input.abs()
    output = input.abs().amax(dim=axes, keepdim=keepdims)
    return output.reshape(()) if output.numel() == 1 and not isinstance(axis, int) else output


def amax_except(input: torch.Tensor, axis: Axis) -> torch.Tensor:
    """max(|input|) for every index of the kept `axis` (shape `channel_shape`), a scalar if `axis` is None."""
    kept = kept_axes(axis, input.dim())
    if not kept:
        return reduce_amax(input)
    reduced = tuple(index for index in range(input.dim()) if index not in kept)
    return reduce_amax(input, axis=reduced)
