"""Measuring: speed, accuracy with its verdict, and tensor-by-tensor comparison."""
from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._data import Preprocess, as_preprocess, open_set
from ._errors import ContentError, UsageError
from ._model import MODES, Model, Plan, open_subject
from ._native import Native, core
from ._observe import number_of
from ._ports import Port, ports_of
from ._samples import batches
from ._session import Session
from ._spool import as_path


@dataclass(frozen=True)
class Bench:
    """Latency of runs of one batch, in seconds, and where the time goes.

    Attributes:
        median, minimum, mean, p90, p99: of the runs.
        runs: how many were timed. batch, threads: of each run.
        images_per_second: batch / median.
        steps: as Session.get_profile, of separate runs.
    """

    median: float
    minimum: float
    mean: float
    p90: float
    p99: float
    runs: int
    batch: int
    threads: int
    images_per_second: float
    steps: list[dict[str, Any]]


def _random_inputs(ports: list[Port], batch: int, dims: Mapping[str, int], seed: int) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    feed = {}
    for port in ports:
        shape = []
        for axis, (length, symbol) in enumerate(zip(port.dims, port.symbols)):
            if length < 0:
                length = dims.get(symbol, dims.get(f"{port.name}:{axis}", batch if axis == 0 else -1))
            if length < 0:
                raise UsageError(f"input '{port.name}': axis {axis} is free; give dims a value for '{symbol or f'{port.name}:{axis}'}'", node=port.name)
            shape.append(length)
        kind = port.numpy_type()
        if kind.kind == "f":
            feed[port.name] = random.standard_normal(shape).astype(kind)
        elif kind.itemsize == 1 and kind.kind in "iu":
            feed[port.name] = random.integers(0, 100, shape).astype(kind)
        else:
            feed[port.name] = np.zeros(shape, kind)
    return feed


def bench(
    model: Any, inputs: Mapping[str, Any] | None = None, *, batch: int = 1, threads: int = 0, mode: str = "fastest", dims: Mapping[str, int] | None = None,
    seconds: float = 1.0, runs: int = 0, warmup: int = 10, seed: int = 0,
) -> Bench:  # fmt: skip
    """Time a model or plan: `octavo bench`. The clock stands inside the C library, around the run alone.

    Args:
        model: as Session takes it. inputs: arrays by name; None = random ones.
        batch: value of a free first dimension; dims: {symbol or "input:axis": value} of other free ones.
        runs: how many; 0 = as many as fit into seconds, at least 10. warmup: untimed runs before.
    """
    session = Session(model, threads=threads, mode=mode, enable_profiling=True)
    feed = inputs or _random_inputs(session._inputs, batch, dims or {}, seed)
    session.run(None, feed)
    runner = session._last
    assert runner is not None
    core.lib.oct_context_profile(runner.context, False)
    arrays = [np.ascontiguousarray(feed[name]) for name in session._input_names]
    runner.run((), arrays)
    times: list[float] = []

    def measure(count: int) -> None:
        room = core.ffi.new("double[]", count)
        core.check(core.lib.oct_bridge_time(runner.context, count, room))
        times.extend(room)

    if warmup:
        measure(warmup)
        times.clear()
    measure(runs or 10)
    while not runs and sum(times) < seconds:
        each = max(statistics.median(times), 1e-7)
        measure(min(max(int((seconds - sum(times)) / each), 1), 100000))
    core.lib.oct_context_profile(runner.context, True)
    core.check(core.lib.oct_bridge_time(runner.context, min(max(len(times) // 4, 1), 200), core.ffi.new("double[]", 200)))
    ordered = sorted(times)
    rows = arrays[0].shape[0] if arrays and arrays[0].ndim else 1

    def rank(percent: float) -> float:
        return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]

    median = statistics.median(ordered)
    return Bench(median, ordered[0], statistics.fmean(ordered), rank(90), rank(99), len(ordered), rows, threads, rows / median, runner.profile())


@dataclass(frozen=True)
class TensorDiff:
    """One tensor of b against a, over all samples.

    Attributes:
        name: in the source model. elements: compared.
        max_abs: largest difference. rel_l2: norm of the difference over that of a. cosine: of the two.
        sqnr_db: power of a over that of the difference; inf when equal.
        clipped_a, clipped_b: share (of 1) of codes at an end of their type; NaN when not quantized.
    """

    name: str
    elements: int
    max_abs: float
    rel_l2: float
    cosine: float
    sqnr_db: float
    clipped_a: float
    clipped_b: float


def _ports(subject: Model | Plan) -> list[Port]:
    return ports_of(core, subject._handle, "plan" if isinstance(subject, Plan) else "model", "input")


def _side(source: Any, mode: str) -> tuple[Any, Any]:
    subject = open_subject(source)
    side = core.ffi.new("oct_compare_side *")
    if isinstance(subject, Plan):
        side.plan = subject._handle
    else:
        side.model = subject._handle
    side.mode = number_of(MODES, mode, "mode")
    return side, subject


def compare(a: Any, b: Any, data: Any, *, a_mode: str = "fastest", b_mode: str = "fastest", threads: int = 0) -> list[TensorDiff]:
    """Run two models or plans on the same samples and compare every tensor that both have: `octavo compare`.

    Args:
        a, b: as Session takes them; a_mode, b_mode: "float" runs every layer in float.
        data: an iterable of batches, as calibrate takes it.
    Returns:
        one TensorDiff a tensor, in order of execution.
    Raises:
        ContentError: no tensor has the same name, or a batch does not fit.
    """
    side_a, subject_a = _side(a, a_mode)
    side_b, subject_b = _side(b, b_mode)
    ports = _ports(subject_a)
    comparison = core.make("comparison", core.lib.oct_comparison_create, side_a, side_b, threads)
    names = core.ffi.new("const char *[]", [port.c_name for port in ports])
    seen = 0
    for tensors, count in batches(core, data, ports):
        core.check(core.lib.oct_comparison_add(comparison, names, tensors, len(ports)))
        seen += count
    if not seen:
        raise ContentError("there is no sample to compare on")
    out = core.ffi.new("oct_tensor_diff *")
    result = []
    for index in range(core.lib.oct_comparison_count(comparison)):
        core.check(core.lib.oct_comparison_get(comparison, index, out))
        result.append(
            TensorDiff(core.text(out.name), int(out.elements), out.max_abs, out.rel_l2, out.cosine, out.sqnr_db, out.clipped_a, out.clipped_b)
        )
    del subject_b
    return result


@dataclass(frozen=True)
class Accuracy:
    """samples; top-1 and top-5 in percent, NaN without labels."""

    samples: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Verdict:
    """Model b against model a on the same samples.

    Attributes:
        better, worse: samples right only in b, only in a. p: of McNemar's test. ci95: of the difference of top-1, in points.
        agree: percent of samples with the same answer. sqnr_db, cosine: of the first outputs.
    """

    better: int
    worse: int
    p: float
    ci95: tuple[float, float]
    agree: float
    sqnr_db: float
    cosine: float


@core.ffi.def_extern()  # type: ignore[untyped-decorator]
def oct_py_eval_progress(user: Any, done: int, total: int) -> None:
    core.ffi.from_handle(user)(done, total)


def _subject(native: Native, opened: Model | Plan, name: bytes, preprocess: Preprocess | str | None, kept: list[Any]) -> Any:
    out = native.ffi.new("oct_eval_subject *")
    prepared = as_preprocess(native, opened, preprocess)
    label = native.ffi.new("char[]", name)
    kept += [opened, prepared, label]
    out.name, out.pre = label, prepared.struct
    if isinstance(opened, Model):
        out.model = opened._handle
    else:
        out.plan = opened._handle
    return out


def evaluate(
    a: Any, b: Any = None, *, data: Any, batch: int = 0, threads: int = 0, limit: int = 0, seed: int = 0, preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Accuracy, Accuracy | None, Verdict | None]:  # fmt: skip
    """Accuracy of one or two models on a labelled set, with the verdict of b against a: `octavo eval`.

    Args:
        data: path of a folder or archive of images, a CSV list, .npz or .npy; or an iterable of (inputs..., labels) batches.
        preprocess: of images; None = what each model's metadata say.
    Returns:
        accuracy of a, of b, and the verdict (None without b).
    """
    kept: list[Any] = []
    options = core.ffi.new("oct_eval_options *")
    options.threads, options.batch = threads, batch
    if progress is not None:
        handle = core.ffi.new_handle(progress)
        kept.append(handle)
        options.progress, options.user = core.lib.oct_py_eval_progress, handle
    first_subject = open_subject(a)
    first = _subject(core, first_subject, b"a", preprocess, kept)
    second = core.null if b is None else _subject(core, open_subject(b), b"b", preprocess, kept)
    accuracy, verdict = core.ffi.new("oct_accuracy[2]"), core.ffi.new("oct_verdict *")
    with as_path(data, _ports(first_subject)) as path:
        core.check(core.lib.oct_evaluate(open_set(core, path, limit, seed), first, second, options, accuracy, verdict))
    found = [Accuracy(int(x.n), x.top1, x.top5) for x in (accuracy[0], accuracy[1])]
    if b is None:
        return found[0], None, None
    ends = (verdict.ci95[0], verdict.ci95[1])
    return found[0], found[1], Verdict(
        int(verdict.flips_better), int(verdict.flips_worse), verdict.mcnemar_p, ends, verdict.agree, verdict.sqnr_db, verdict.cosine
    )


