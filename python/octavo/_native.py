"""The extension modules, and what every call of them needs: statuses to exceptions, texts, owned handles.

`core` is loaded with the package; `training()` loads liboctavo_train, which brings the core's functions along: handles of the
one never go into the other.
"""
from __future__ import annotations

import os
from typing import Any, Union

from . import _core
from ._errors import BY_STATUS, InternalError, UnsupportedError

Path = Union[str, "os.PathLike[str]"]


class Native:
    """One extension module: its `ffi`, its `lib`, and helpers."""

    def __init__(self, module: Any) -> None:
        self.ffi = module.ffi
        self.lib = module.lib
        self.null = module.ffi.NULL

    def check(self, status: int) -> None:
        """Raise what a status other than OK means. Call it in the thread that made the call, before any other."""
        if status:
            self.fail(status)

    def fail(self, status: int) -> None:
        record = self.lib.oct_last_error()
        kind = BY_STATUS.get(status, InternalError)
        # A status that nobody recorded (out of memory in a caller) has no message of its own.
        if record.status != status:
            raise kind(self.text(self.lib.oct_status_name(status)))
        raise kind(self.text(record.message), self.text(record.node), self.text(record.file))

    def text(self, chars: Any) -> str:
        """A C string, "" for NULL."""
        return self.ffi.string(chars).decode("utf-8", "replace") if chars else ""

    def take_text(self, function: Any, *arguments: Any) -> str:
        """The string that a function gives through its last argument; it is freed here."""
        out = self.ffi.new("char **")
        self.check(function(*arguments, out))
        try:
            return self.text(out[0])
        finally:
            self.lib.oct_string_free(out[0])

    def make(self, kind: str, function: Any, *arguments: Any) -> Any:
        """The handle that a function gives through its last argument; destroyed when nobody refers to it."""
        out = self.ffi.new(f"oct_{kind} **")
        self.check(function(*arguments, out))
        return self.ffi.gc(out[0], getattr(self.lib, f"oct_{kind}_destroy"))

    def texts(self, items: Any) -> tuple[Any, list[Any]]:
        """An array of C strings and what keeps it alive."""
        kept = [self.ffi.new("char[]", item.encode()) for item in items]
        array = self.ffi.new("const char *[]", kept) if kept else self.null
        return array, kept + [array]

    def path_or_null(self, path: Path | None) -> Any:
        return self.null if path is None else self.ffi.new("char[]", encode_path(path))


def encode_path(path: Path) -> bytes:
    """A path as the C library takes it."""
    return os.fsencode(os.fspath(path))


core = Native(_core)
_training: Native | None = None


def training() -> Native:
    """The module with training; UnsupportedError where it, or oneDNN under it, is missing."""
    global _training
    if _training is None:
        try:
            from . import _train
        except ImportError as error:
            raise UnsupportedError(f"this installation has no training: {error} (it needs oneDNN, package libdnnl2)") from error
        _training = Native(_train)
    return _training
