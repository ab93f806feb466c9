"""Exceptions: one for each status of the C library, with its message."""
from __future__ import annotations


class OctavoError(Exception):
    """Any failure of the library.

    Attributes:
        message: what went wrong, a full sentence.
        node: the ONNX node or tensor concerned, "" when none.
        file: the file concerned, "" when none.
        status: the number of the C status; 1 to 5 and 70 are also the exit statuses of the command line.
    """

    status = 70

    def __init__(self, message: str, node: str = "", file: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.file = file


class DemandError(OctavoError):
    """A demand was not met: a check failed, or a precision that must be obeyed cannot be had."""

    status = 1


class UsageError(OctavoError, ValueError):
    """A bad argument: an unknown name or option, min > max, NaN."""

    status = 2


class ContentError(OctavoError, ValueError):
    """Bad content of a file or array: corrupt, wrong hash, wrong shape or type, scale <= 0."""

    status = 3


class UnsupportedError(OctavoError, NotImplementedError):
    """An operator, attribute, type or instruction set that this build does not do."""

    status = 4


class IoError(OctavoError, OSError):
    """A file that is missing, unreadable or unwritable, or a full disk."""

    status = 5

    def __str__(self) -> str:
        return self.message


class OutOfMemoryError(OctavoError, MemoryError):
    """An allocation failed."""

    status = 6


class InternalError(OctavoError):
    """A broken invariant: a bug in Octavo."""

    status = 70


BY_STATUS: dict[int, type[OctavoError]] = {
    kind.status: kind
    for kind in (DemandError, UsageError, ContentError, UnsupportedError, IoError, OutOfMemoryError, InternalError)
}
