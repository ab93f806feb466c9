"""Inputs and outputs of a model or plan, and arrays as the library takes them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from ._errors import ContentError, UnsupportedError
from ._native import Native

# ONNX's number: (name in numpy, name in ONNX's type strings)
_TYPES = {
    1: ("float32", "float"), 2: ("uint8", "uint8"), 3: ("int8", "int8"), 4: ("uint16", "uint16"), 5: ("int16", "int16"),
    6: ("int32", "int32"), 7: ("int64", "int64"), 9: ("bool", "bool"), 10: ("float16", "float16"), 11: ("float64", "double"),
    12: ("uint32", "uint32"), 13: ("uint64", "uint64"),
}
_NAMES_ONLY = {8: "string", 16: "bfloat16", 21: "uint4", 22: "int4"}
_NUMPY = {number: np.dtype(name) for number, (name, _) in _TYPES.items()}
_NUMBERS = {dtype: number for number, dtype in _NUMPY.items()}


@dataclass(frozen=True)
class NodeArg:
    """An input or output.

    Attributes:
        name: its name in the model.
        shape: lengths of its axes; a free one is its symbol, or None when it has no name.
        type: as ONNX Runtime says it, "tensor(float)".
    """

    name: str
    shape: list[Union[int, str, None]]
    type: str


class Port:
    """An oct_port in Python's words. dims of a free axis are -1."""

    __slots__ = ("name", "c_name", "number", "dtype", "dims", "symbols", "scale", "zero")

    def __init__(self, native: Native, port: Any) -> None:
        self.name = native.text(port.name)
        self.c_name = native.ffi.new("char[]", self.name.encode())
        self.number = int(port.dtype)
        self.dtype = _NUMPY.get(self.number)
        self.dims = tuple(max(int(port.dims[k]), -1) for k in range(port.rank))
        self.symbols = tuple(native.text(port.dim_names[k]) for k in range(port.rank))
        self.scale = float(port.scale)
        self.zero = int(port.zero)

    def numpy_type(self) -> np.dtype[Any]:
        if self.dtype is None:
            raise UnsupportedError(f"'{self.name}' holds {_NAMES_ONLY.get(self.number, 'none')}, which numpy has no type for")
        return self.dtype

    def describe(self) -> NodeArg:
        kind = _TYPES[self.number][1] if self.number in _TYPES else _NAMES_ONLY.get(self.number, "none")
        shape = [d if d >= 0 else s or None for d, s in zip(self.dims, self.symbols)]
        return NodeArg(self.name, shape, f"tensor({kind})")


def ports_of(native: Native, handle: Any, what: str, side: str) -> list[Port]:
    """what: "model" or "plan"; side: "input" or "output"."""
    out = native.ffi.new("oct_port *")
    ports = []
    for index in range(getattr(native.lib, f"oct_{what}_{side}_count")(handle)):
        native.check(getattr(native.lib, f"oct_{what}_get_{side}")(handle, index, out))
        ports.append(Port(native, out[0]))
    return ports


def to_numpy(value: Any) -> np.ndarray[Any, Any]:
    """An array of what speaks numpy's protocol; a tensor that is part of a gradient or on another device is brought over first."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):
        value = value.detach()
        if hasattr(value, "cpu"):
            value = value.cpu()
    return np.asarray(value)


def fill_tensor(native: Native, tensor: Any, array: np.ndarray[Any, Any], name: str) -> Any:
    """An oct_tensor over an array's memory. Gives what must live as long: a dense copy where the array is none."""
    number = _NUMBERS.get(array.dtype)
    if number is None:
        raise ContentError(f"'{name}': arrays of {array.dtype} are no tensors", node=name)
    if array.ndim > native.lib.OCT_MAX_RANK:
        raise ContentError(f"'{name}': an array has {array.ndim} axes, at most {native.lib.OCT_MAX_RANK} are possible", node=name)
    dense = array if array.flags.c_contiguous else np.ascontiguousarray(array)
    tensor.dtype = number
    tensor.rank = dense.ndim
    tensor.dims[0:dense.ndim] = dense.shape
    tensor.data = native.ffi.cast("void *", native.ffi.from_buffer(dense))
    return dense
