"""Data sets that the library reads itself: folders and archives of images, CSV lists, .npz and .npy."""
from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ._errors import UsageError
from ._native import Native, encode_path
from ._ports import ports_of

PREPROCESS_KEY = "octavo.preprocess"
LAYOUTS = {"auto": 0, "nchw": 1, "nhwc": 2}
COLORS = {"auto": 0, "rgb": 1, "bgr": 2, "grey": 3}


@dataclass(frozen=True)
class Preprocess:
    """From pixels v in 0..1 to a model's input: (v - mean) / std, after sizing.

    Attributes:
        resize: of the shorter side in pixels, or (height, width); 0 = as it is.
        crop: centre crop (height, width); (0, 0) = none.
        mean, std: per channel, or one number for all.
        layout: "auto" (as the model's shape says), "nchw" or "nhwc".
        color: "auto" (as the channel count says), "rgb", "bgr" or "grey".
    """

    resize: int | tuple[int, int] = 0
    crop: tuple[int, int] = (0, 0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "auto"
    color: str = "auto"

    @classmethod
    def imagenet(cls) -> Preprocess:
        """Shorter side 256, crop 224, ImageNet's mean and std."""
        return cls(256, (224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    def fill(self, native: Native) -> Any:
        """An oct_preprocess. UsageError for what it does not know."""
        if self.layout not in LAYOUTS or self.color not in COLORS:
            raise UsageError(f"layout is one of {', '.join(LAYOUTS)}, color one of {', '.join(COLORS)}")
        out = native.ffi.new("oct_preprocess *")
        native.lib.oct_preprocess_default(out)
        if isinstance(self.resize, tuple):
            out.resize, out.resize_w = self.resize
        else:
            out.resize = self.resize
        out.crop_h, out.crop_w = self.crop
        for field, values in ((out.mean, self.mean), (out.std, self.std)):
            if not 1 <= len(values) <= 4:
                raise UsageError("mean and std have one to four numbers")
            for i in range(4):
                field[i] = values[i] if i < len(values) else values[-1]
        out.layout, out.color = LAYOUTS[self.layout], COLORS[self.color]
        return out


class Prepared:
    """An oct_preprocess and its text form."""

    def __init__(self, native: Native, struct: Any) -> None:
        self.struct = struct
        self.text = native.take_text(native.lib.oct_preprocess_format, struct)


def as_preprocess(native: Native, model: Any, given: Preprocess | str | None) -> Prepared:
    """What a caller gave; without it what the model's metadata say; else the default. model: octavo.Model or octavo.Plan."""
    if isinstance(given, Preprocess):
        return Prepared(native, given.fill(native))
    text = given
    if text is None:
        kind = "plan" if type(model).__name__ == "Plan" else "model"
        found = getattr(native.lib, f"oct_{kind}_get_metadata")(model._handle, PREPROCESS_KEY.encode())
        text = native.text(found) if found else None
    out = native.ffi.new("oct_preprocess *")
    native.lib.oct_preprocess_default(out)
    if text is not None:
        native.check(native.lib.oct_preprocess_parse(out, text.encode()))
    return Prepared(native, out)


def is_path(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike))


def open_set(native: Native, path: Any, limit: int = 0, seed: int = 0, split: float = 0, held_out: bool = False) -> Any:
    options = native.ffi.new("oct_data_options *")
    options.limit, options.seed, options.split, options.held_out = limit, seed, split, held_out
    return native.make("dataset", native.lib.oct_dataset_open, encode_path(path), options)


def data_batches(
    native: Native, model: Any, path: Any, batch: int, threads: int, limit: int, seed: int, preprocess: Preprocess | str | None
) -> Iterator[tuple[Any, int]]:
    """The batches of a set, as _samples.batches gives those of arrays."""
    samples = open_set(native, path, limit, seed)
    count = len(ports_of(native, model._handle, "model", "input"))
    ports = native.ffi.new("oct_port[]", count)
    for i in range(count):
        native.check(native.lib.oct_model_get_input(model._handle, i, ports + i))
    prepared = as_preprocess(native, model, preprocess)
    loader = native.make("loader", native.lib.oct_loader_create, samples, ports, count, prepared.struct, batch, threads)
    out = native.ffi.new("oct_batch *")
    while True:
        native.check(native.lib.oct_loader_next(loader, out))
        if out.count == 0:
            return
        yield out.inputs, int(out.count)


