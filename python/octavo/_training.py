"""Training in C: quantization-aware and float. Loads liboctavo_train, and with it oneDNN, on first use."""
from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ._data import PREPROCESS_KEY, Preprocess, as_preprocess, data_batches, is_path, open_set
from ._errors import UsageError
from ._model import Model, as_model
from ._native import Native, Path, encode_path, training
from ._observe import number_of, quant_options
from ._ports import ports_of
from ._spool import as_path

SCALE_MODES = {"learned": 0, "calibrated": 1, "ema": 2, "clip": 3}
LOSSES = {"ce": 0, "mse": 1}
OPTIMIZERS = {"sgd": 0, "adamw": 1}
SCHEDULES = {"cosine": 0, "step": 1, "constant": 2}
EVENTS = ("started", "step", "epoch", "rollback", "checkpoint", "resumed")
_ENUMS = {"scales": SCALE_MODES, "loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}


@dataclass(frozen=True)
class TrainEvent:
    """What happened: kind is started, step, epoch, rollback, checkpoint or resumed.

    loss, lr and images_per_s are the step's, or an epoch's means; val_top1 in percent on held-out data (started, epoch; else NaN);
    scales: of the activation quantizers, by tensor (started, epoch).
    """

    kind: str
    epoch: int
    step: int
    epochs: int
    steps: int
    loss: float
    lr: float
    images_per_s: float
    val_top1: float
    seconds: float
    text: str
    scales: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainResult:
    """Attributes:
        model: with Q/DQ, or float with float_only.
        ptq_top1: of the starting point, best_top1: of the model, in percent on held-out data; best_epoch: 0 = the starting point.
        epochs, steps, rollbacks, seconds: of the whole training. stopped: the checkpoint holds the rest.
        codes: of activations compared between the trained graph and the engine; codes_differing: of them; codes_worst: largest difference.
    """

    model: Model
    ptq_top1: float
    best_top1: float
    best_epoch: int
    epochs: int
    steps: int
    rollbacks: int
    seconds: float
    stopped: bool
    codes: int
    codes_differing: int
    codes_worst: float


class _Watch:
    """Hands events to Python and keeps what it raises: C goes on to the next step and stops there."""

    def __init__(self, native: Native, function: Callable[[TrainEvent], None] | None, stop: Any) -> None:
        self.native, self.function, self.stop = native, function, stop
        self.error: BaseException | None = None

    def tell(self, event: Any) -> None:
        if self.function is None or self.error is not None:
            return
        text = self.native.text
        scales = {text(event.scale_names[i]): event.scales[i] for i in range(event.scale_count)}
        try:
            self.function(
                TrainEvent(EVENTS[event.kind], event.epoch, event.step, event.epochs, event.steps, event.loss, event.lr, event.images_per_s,
                           event.val_top1, event.seconds, text(event.text), scales)
            )  # fmt: skip
        except BaseException as error:  # noqa: BLE001  (it is raised again after C has come back)
            self.error = error
            self.stop[0] = 1


def _callback(native: Native) -> Any:
    if not hasattr(native, "event_callback"):

        def oct_py_train_event(user: Any, event: Any) -> None:
            native.ffi.from_handle(user).tell(event)

        native.ffi.def_extern("oct_py_train_event")(oct_py_train_event)
        native.event_callback = native.lib.oct_py_train_event  # type: ignore[attr-defined]
    return native.event_callback  # type: ignore[attr-defined]


def _fill(native: Native, options: Any, given: dict[str, Any], kept: list[Any]) -> None:
    """The caller's options over the defaults; names are those of oct_train_options."""
    for name, value in given.items():
        if name == "augment":
            augment = native.ffi.new("oct_augment *")
            native.check(native.lib.oct_augment_parse(str(value).encode(), augment))
            kept.append(augment)
            options.augment = augment
        elif name == "checkpoint_dir":
            kept.append(native.path_or_null(value))
            options.checkpoint_dir = kept[-1]
        elif name in _ENUMS:
            setattr(options, name, number_of(_ENUMS[name], value, name))
        elif name in ("event", "user", "stop", "peers", "float_only", "kaiming") or not hasattr(options, name):
            raise UsageError(f"train has no option '{name}'")
        else:
            setattr(options, name, value)


def _ranges(native: Native, model: Model, cache: Any, data: Any, samples: int, seed: int, pre: Any, calibration: Any) -> Any:
    if cache is not None:
        if not is_path(cache):
            raise UsageError("ranges is the path of a calibration cache")
        return native.make("ranges", native.lib.oct_ranges_load, encode_path(cache))
    calibrator = native.make("calibrator", native.lib.oct_calibrator_create, model._handle, calibration)
    inputs = native.lib.oct_model_input_count(model._handle)
    first = 0
    for tensors, count in data_batches(native, model, data, 8, 0, samples, seed, pre.text):
        native.check(native.lib.oct_calibrator_push(calibrator, tensors, inputs, first))
        first += count
    return native.make("ranges", native.lib.oct_calibrator_solve, calibrator)


def train(
    model: Any,
    data: Any,
    output: Path | None = None,
    *,
    val: Any = None,
    val_split: float = 0.1,
    float_only: bool = False,
    kaiming: bool = False,
    ranges: Path | None = None,
    calib_samples: int = 512,
    method: str = "auto",
    percentile: float = 0,
    scheme: str = "affine",
    preprocess: Preprocess | str | None = None,
    limit: int = 0,
    event: Callable[[TrainEvent], None] | None = None,
    **options: Any,
) -> TrainResult:
    """Fine-tune a float ONNX model with quantization in the graph, and give the best state on held-out data: `octavo train`.

    Starts from the PTQ solution and is never worse than it on held-out data. Ctrl-C and an exception of event stop it after a step.

    Args:
        model: path, bytes, onnx.ModelProto or octavo.Model of a float model.
        data: a path (folder or archive of images with a sub-folder per class, CSV, .npz), or an iterable of (inputs..., labels) batches.
        output: where the best model goes; None = it is only returned.
        val: held-out samples, likewise; None: val_split of every class of data.
        float_only: float training; kaiming: from fresh weights.
        ranges: a calibration cache; None: calib_samples of data are measured by method, percentile and scheme.
        event: called with a TrainEvent after each step and epoch.
        options: fields of oct_train_options: epochs, batch, rate, weight_bits, activation_bits, per_tensor, scales ("learned",
            "calibrated", "ema", "clip"), distill, bf16, loss ("ce", "mse"), optimizer ("sgd", "adamw"), schedule ("cosine", "step",
            "constant"), augment ("crop:4,flip"), seed, threads, checkpoint_dir, checkpoint_every, resume and the rest of train.h.
    Raises:
        UnsupportedError: an operator without derivative, or an installation without oneDNN. UsageError, ContentError, IoError.
    """
    native = training()
    source = as_model(model, native)
    kept: list[Any] = []
    fields = native.ffi.new("oct_train_options *")
    fields.float_only, fields.kaiming = float_only, kaiming
    native.lib.oct_train_default(fields)
    _fill(native, fields, options, kept)
    stop = native.ffi.new("volatile sig_atomic_t *")
    watch = _Watch(native, event, stop)
    handle = native.ffi.new_handle(watch)
    fields.stop, fields.event, fields.user = stop, _callback(native), handle
    pre = as_preprocess(native, source, preprocess)
    ports = ports_of(native, source._handle, "model", "input")
    out, result = native.ffi.new("oct_model **"), native.ffi.new("oct_train_result *")
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(as_path(data, ports))
        if val is None:
            train_set = open_set(native, path, limit, fields.seed, val_split)
            held = open_set(native, path, limit, fields.seed, val_split, True)
        else:
            train_set = open_set(native, path, limit, fields.seed)
            held = open_set(native, stack.enter_context(as_path(val, ports)))
        found = native.null
        if not float_only:
            calibration = quant_options(native, method, percentile, scheme, fields.per_tensor, fields.threads)
            found = _ranges(native, source, ranges, path, calib_samples, fields.seed, pre, calibration)
        native.check(native.lib.oct_train(source._handle, found, train_set, held, pre.struct, fields, out, result))
    trained = Model._of(native.ffi.gc(out[0], native.lib.oct_model_destroy), native)
    if watch.error is not None:
        raise watch.error
    if is_path(data):
        trained.set_metadata(PREPROCESS_KEY, pre.text)
    if output is not None:
        trained.save(output)
    return TrainResult(
        trained, result.ptq_top1, result.best_top1, result.best_epoch, result.epochs, result.steps, result.rollbacks, result.seconds,
        bool(result.stopped), result.codes, result.codes_differing, result.codes_worst,
    )  # fmt: skip

