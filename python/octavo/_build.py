"""From a model to a plan."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._errors import UsageError
from ._model import MODES, Model, Plan, as_model, as_ranges
from ._native import Path, core, encode_path
from ._observe import number_of

PRECISIONS = {"any": 0, "int8": 1, "float": 2}
IO = {"float": 0, "codes": 1, "pixels": 2, "pixels_nhwc": 3}
Shape = Sequence[int]


@core.ffi.def_extern()  # type: ignore[untyped-decorator]
def oct_py_build_progress(user: Any, what: Any, done: int, total: int) -> None:
    core.ffi.from_handle(user)(core.text(what), done, total)


def build_options(
    batch: int = 0, dims: Sequence[str] = (), mode: str = "fastest", taps: Sequence[str] = (), level: int = 0, threads: int = 0,
    refit: bool = False, obey: bool = False, deterministic: bool = False, timing_cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None, target: str | None = None,
) -> tuple[Any, list[Any]]:  # fmt: skip
    """An oct_build_options and what must live as long."""
    options = core.ffi.new("oct_build_options *")
    dim_texts, kept = core.texts(dims)
    tap_texts, kept_taps = core.texts(taps)
    cache = core.path_or_null(timing_cache)
    options.batch, options.mode = batch, number_of(MODES, mode, "mode")
    options.dims, options.dim_count = dim_texts, len(dims)
    options.taps, options.tap_count = tap_texts, len(taps)
    options.level, options.threads = level, threads
    options.refit, options.obey, options.deterministic = refit, obey, deterministic
    options.timing_cache = cache
    level_name = core.ffi.NULL if target is None else core.ffi.new("char[]", target.encode())
    options.target = level_name
    kept += [*kept_taps, cache, level_name]
    if progress is not None:
        handle = core.ffi.new_handle(progress)
        options.progress, options.user = core.lib.oct_py_build_progress, handle
        kept.append(handle)
    return options, kept


class _Builder:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.handle = core.make("builder", core.lib.oct_builder_create, model._handle)

    def set(self, ranges: Any, range_of: Mapping[str, tuple[float, float]], precision: Mapping[str, str]) -> None:
        if ranges is not None:
            core.check(core.lib.oct_builder_add_ranges(self.handle, as_ranges(ranges)._handle))
        for tensor, (low, high) in range_of.items():
            core.check(core.lib.oct_builder_set_range(self.handle, tensor.encode(), low, high))
        for layer, name in precision.items():
            core.check(core.lib.oct_builder_set_precision(self.handle, layer.encode(), number_of(PRECISIONS, name, "precision")))

    def set_profile(self, profile: Mapping[str, tuple[Shape, Shape, Shape]]) -> None:
        for name, (least, best, most) in profile.items():
            if not len(least) == len(best) == len(most):
                raise UsageError(f"profile of '{name}': three shapes of one rank are needed", node=name)
            core.check(core.lib.oct_builder_set_profile(self.handle, name.encode(), len(best), list(least), list(best), list(most)))

    def set_io(self, io: Mapping[str, str]) -> None:
        for name, kind in io.items():
            core.check(core.lib.oct_builder_set_io(self.handle, name.encode(), number_of(IO, kind, "io")))

    def build(self, options: Any) -> Any:
        out = core.ffi.new("oct_plan **")
        core.check(core.lib.oct_builder_build(self.handle, options, out))
        return core.ffi.gc(out[0], core.lib.oct_plan_destroy)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(core.take_text(core.lib.oct_builder_report_json, self.handle))
        return found


def make_plan(model: Model, ranges: Any = None, **options: Any) -> Any:
    """The plan's handle."""
    built, kept = build_options(**options)
    if ranges is None:
        plan = core.make("plan", lambda out: core.lib.oct_plan_build(model._handle, built, out))
    else:
        builder = _Builder(model)
        builder.set(ranges, {}, {})
        plan = builder.build(built)
    del kept
    return plan


def build(
    model: Any,
    output: Path | None = None,
    *,
    ranges: Any = None,
    range_of: Mapping[str, tuple[float, float]] | None = None,
    precision: Mapping[str, str] | None = None,
    mode: str = "fastest",
    batch: int = 0,
    dims: Mapping[str, int] | None = None,
    profile: Mapping[str, tuple[Shape, Shape, Shape]] | None = None,
    io: Mapping[str, str] | None = None,
    taps: Sequence[str] = (),
    level: int = 2,
    threads: int = 0,
    refit: bool = False,
    obey: bool = False,
    deterministic: bool = False,
    timing_cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    target: str | None = None,
) -> Plan:
    """Build a plan: `octavo build`.

    Args:
        model: path, bytes, onnx.ModelProto or octavo.Model. With Q/DQ its scales are obeyed.
        output: where the plan goes; None = it is only returned.
        ranges: of a float model: octavo.Ranges or a cache file; INT8 is used where it is faster.
        range_of: {tensor: (min, max)}, wins over ranges.
        precision: {layer: "int8" | "float"} for single layers of the source model.
        mode: "fastest", "int8" (wherever there are ranges and kernels) or "float".
        batch: value of a free first dimension; 0 = 1. dims: {symbol or "input:axis": value} of other free ones.
        profile: {input: (min, opt, max)}, shapes that an input may have.
        io: {name: "codes" | "pixels" | "pixels_nhwc"} for inputs and outputs that are not to be floats.
        taps: tensors of the source model to keep readable.
        level: 0 times nothing, 1 precision, 2 kernels too, 3 also kernels of lower instruction sets.
        refit: the plan carries its model. obey: a precision that cannot be had is an error.
        deterministic: only the timing cache or a cost model decide. timing_cache: a file, read and updated.
        progress: called with (what, done, total).
        target: CPU level of the plan, "portable", "avx2", "avx512vnni" or "neon"; None = this machine's.
    Returns:
        The plan; its attribute `report` tells what was chosen and why.
    Raises:
        ContentError, UnsupportedError (naming the node), DemandError (obey), UsageError, IoError.
    """
    source = as_model(model)
    builder = _Builder(source)
    builder.set(ranges, range_of or {}, precision or {})
    builder.set_profile(profile or {})
    builder.set_io(io or {})
    texts = [f"{name}={value}" for name, value in (dims or {}).items()]
    options, kept = build_options(batch, texts, mode, taps, level, threads, refit, obey, deterministic, timing_cache, progress, target)
    plan = Plan._of(builder.build(options))
    del kept
    plan.report = builder.report()
    if output is not None:
        core.check(core.lib.oct_plan_save(plan._handle, encode_path(output)))
    return plan
