"""Models, plans and calibration ranges as objects of Python."""
from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Union

from ._errors import UsageError
from ._native import Native, Path, core, encode_path
from ._observe import Range
from ._ports import NodeArg, ports_of

MODES = {"fastest": 0, "int8": 1, "float": 2}
PLAN_MAGIC = b"OCTPLAN"


class Model:
    """An ONNX model: a path, the bytes of a file, or an onnx.ModelProto. Raises IoError, ContentError, UnsupportedError."""

    def __init__(self, source: Any, _native: Native = core) -> None:
        if hasattr(source, "SerializeToString"):
            source = source.SerializeToString()
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._handle = _native.make("model", _native.lib.oct_model_load_memory, _native.ffi.from_buffer(source), len(source), b"model")
        else:
            self._handle = _native.make("model", _native.lib.oct_model_load, encode_path(source))
        self._native = _native

    @classmethod
    def _of(cls, handle: Any, native: Native = core) -> Model:
        self = cls.__new__(cls)
        self._handle, self._native = handle, native
        return self

    def save(self, path: Path) -> None:
        """Write an ONNX file (under a temporary name, then renamed)."""
        self._native.check(self._native.lib.oct_model_save(self._handle, encode_path(path)))

    def to(self, native: Native) -> Model:
        """The same model for the other extension module, by way of a file."""
        with tempfile.TemporaryDirectory(prefix="octavo-") as folder:
            path = os.path.join(folder, "model.onnx")
            self.save(path)
            return Model(path, native)

    def get_inputs(self) -> list[NodeArg]:
        return [p.describe() for p in ports_of(self._native, self._handle, "model", "input")]

    def get_outputs(self) -> list[NodeArg]:
        return [p.describe() for p in ports_of(self._native, self._handle, "model", "output")]

    def get_metadata(self, key: str) -> str | None:
        value = self._native.lib.oct_model_get_metadata(self._handle, key.encode())
        return self._native.text(value) if value else None

    def set_metadata(self, key: str, value: str) -> None:
        self._native.check(self._native.lib.oct_model_set_metadata(self._handle, key.encode(), value.encode()))

    @property
    def is_quantized(self) -> bool:
        """Whether it holds QuantizeLinear, DequantizeLinear or integer operators."""
        return bool(self._native.lib.oct_model_is_quantized(self._handle))

    def info(self, passes: bool = False) -> dict[str, Any]:
        """What `octavo info --json` tells: inputs, outputs, ops, params, macs, opset, layers."""
        found: dict[str, Any] = json.loads(self._native.take_text(self._native.lib.oct_model_info_json, self._handle, passes))
        return found

    def lint(self, batch: int = 0) -> list[dict[str, Any]]:
        """What is wrong or wasteful, as `octavo inspect --lint` tells it; [] when nothing is."""
        options = core.ffi.new("oct_build_options *")
        options.batch = batch
        found: list[dict[str, Any]] = json.loads(core.take_text(core.lib.oct_model_lint_json, self._handle, options))
        return found


class Plan:
    """A model built for this machine: load one from a file, or make one with octavo.build.

    Attributes:
        report: of a plan that was just built: what was chosen and why (mode, candidates, layers, notes).
    """

    report: dict[str, Any] | None = None

    def __init__(self, path: Path) -> None:
        self._handle = core.make("plan", core.lib.oct_plan_load, encode_path(path))

    @classmethod
    def _of(cls, handle: Any) -> Plan:
        self = cls.__new__(cls)
        self._handle = handle
        return self

    def save(self, path: Path) -> None:
        """Write a plan file (under a temporary name, then renamed)."""
        core.check(core.lib.oct_plan_save(self._handle, encode_path(path)))

    def get_inputs(self) -> list[NodeArg]:
        return [p.describe() for p in ports_of(core, self._handle, "plan", "input")]

    def get_outputs(self) -> list[NodeArg]:
        return [p.describe() for p in ports_of(core, self._handle, "plan", "output")]

    def inspect(self) -> dict[str, Any]:
        """Steps, precisions, reasons and memory, as `octavo inspect --json` tells them."""
        found: dict[str, Any] = json.loads(core.take_text(core.lib.oct_plan_inspect_json, self._handle))
        return found

    def lint(self) -> list[dict[str, Any]]:
        """What is wrong or wasteful; [] when nothing is."""
        found: list[dict[str, Any]] = json.loads(core.take_text(core.lib.oct_plan_lint_json, self._handle))
        return found


class Ranges(Mapping[str, Range]):
    """Ranges of a model's tensors, by name: a calibration cache, Octavo's JSON or TensorRT's text."""

    def __init__(self, path: Path) -> None:
        self._take(core.make("ranges", core.lib.oct_ranges_load, encode_path(path)))

    @classmethod
    def _of(cls, handle: Any) -> Ranges:
        self = cls.__new__(cls)
        self._take(handle)
        return self

    @classmethod
    def from_model(cls, model: Any) -> Ranges:
        """The ranges that a Q/DQ model holds."""
        skipped = core.ffi.new("int64_t *")
        out = core.ffi.new("oct_ranges **")
        core.check(core.lib.oct_ranges_from_model(as_model(model)._handle, out, skipped))
        return cls._of(core.ffi.gc(out[0], core.lib.oct_ranges_destroy))

    def _take(self, handle: Any) -> None:
        self._handle = handle
        self._read()

    def _read(self) -> None:
        found = core.ffi.new("oct_range *")
        self._by_name: dict[str, Range] = {}
        for index in range(core.lib.oct_ranges_count(self._handle)):
            core.check(core.lib.oct_ranges_get(self._handle, index, found))
            # A file does not say which codes there are; the larger limit ends at code 127 or, without a zero point, at 255.
            signed = found.zero == 0 and max(-found.min, found.max) < 128 * found.scale
            self._by_name[core.text(found.tensor)] = Range(
                found.min, found.max, found.scale, found.zero, core.text(found.solver), -128 if signed else 0, 127 if signed else 255
            )

    def set(self, tensor: str, min: float, max: float) -> None:
        """Give one tensor a range. UsageError when min > max or one is not finite."""
        core.check(core.lib.oct_ranges_set(self._handle, tensor.encode(), min, max))
        self._read()

    def save(self, path: Path, format: str = "json") -> None:
        """Write a cache: "json" or "tensorrt"."""
        if format not in ("json", "tensorrt"):
            raise UsageError(f"format is json or tensorrt, not '{format}'")
        core.check(core.lib.oct_ranges_save(self._handle, encode_path(path), format == "tensorrt"))

    @property
    def model_hash(self) -> str:
        """Of the float model they belong to; "" when the file does not say."""
        return core.text(core.lib.oct_ranges_model_hash(self._handle))

    def __getitem__(self, tensor: str) -> Range:
        return self._by_name[tensor]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


def as_model(source: Any, native: Native = core) -> Model:
    """A Model of this extension module; anything that is none yet is loaded."""
    if isinstance(source, Model):
        return source if source._native is native else source.to(native)
    return Model(source, native)


def as_ranges(source: Any) -> Ranges:
    return source if isinstance(source, Ranges) else Ranges(source)


def open_subject(source: Any) -> Union[Model, Plan]:
    """A model or plan of what a caller gave: an object, bytes of an ONNX file, or a path of either kind of file."""
    if isinstance(source, Plan):
        return source
    if isinstance(source, Model):
        return as_model(source)
    if isinstance(source, (str, os.PathLike)):
        try:
            with open(source, "rb") as file:
                if file.read(len(PLAN_MAGIC)) == PLAN_MAGIC:
                    return Plan(source)
        except OSError:
            pass  # the library says it better
    return Model(source)
