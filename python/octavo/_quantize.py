"""Post-training quantization: ranges from samples, and the Q/DQ model that follows from them."""
from __future__ import annotations

from typing import Any

from ._data import Preprocess, data_batches, is_path
from ._errors import UsageError
from ._model import Model, Ranges, as_model, as_ranges
from ._native import Path, core, encode_path
from ._observe import quant_options
from ._ports import ports_of
from ._samples import batches


def calibrate(
    model: Any,
    data: Any,
    output: Path | None = None,
    *,
    method: str = "auto",
    percentile: float = 0,
    scheme: str = "affine",
    format: str = "json",
    batch: int = 0,
    threads: int = 0,
    limit: int = 0,
    seed: int = 0,
    preprocess: Preprocess | str | None = None,
) -> Ranges:
    """Run samples through a float model and solve the range of every tensor: `octavo calibrate`.

    Args:
        model: path, bytes, onnx.ModelProto or octavo.Model.
        data: an iterable of batches: arrays, tuples in the inputs' order (what follows them, such as labels, is left out; a PyTorch
            DataLoader works), or mappings by input name. Or a path: folder or archive of images, CSV, .npz, .npy.
        output: a calibration cache to write. format: of it, "json" or "tensorrt".
        method: auto, max, percentile (percent: percentile, 0 = 99.99), entropy or mse.
        scheme: affine (uint8 with zero point) or symmetric (int8).
        batch: samples per run; 0 = 1. limit, seed, preprocess: of a path only (a Preprocess, or its text form).
    Raises:
        DemandError: no sample. ContentError: a batch that does not fit, a quantized model. UsageError, UnsupportedError, IoError.
    """
    source = as_model(model)
    options = quant_options(core, method, percentile, scheme, False, threads, batch)
    calibrator = core.make("calibrator", core.lib.oct_calibrator_create, source._handle, options)
    ports = ports_of(core, source._handle, "model", "input")
    first = 0
    if is_path(data):
        feed = data_batches(core, source, data, batch=batch or 8, threads=threads, limit=limit, seed=seed, preprocess=preprocess)
    elif limit or preprocess is not None:
        raise UsageError("limit and preprocess belong to data from a path")
    else:
        feed = batches(core, data, ports)
    for tensors, count in feed:
        core.check(core.lib.oct_calibrator_push(calibrator, tensors, len(ports), first))
        first += count
    ranges = Ranges._of(core.make("ranges", core.lib.oct_calibrator_solve, calibrator))
    if output is not None:
        ranges.save(output, format)
    return ranges


def quantize(
    model: Any,
    data: Any = None,
    output: Path | None = None,
    *,
    ranges: Any = None,
    method: str = "auto",
    percentile: float = 0,
    scheme: str = "affine",
    per_tensor: bool = False,
    functions: str | None = None,
    batch: int = 0,
    threads: int = 0,
    limit: int = 0,
    seed: int = 0,
    preprocess: Preprocess | str | None = None,
) -> Model:
    """Quantize a float model after training: `octavo quantize`. See calibrate for data, method and scheme.

    Args:
        ranges: octavo.Ranges or a cache file, instead of data.
        output: where the Q/DQ ONNX model goes; None = it is only returned.
        per_tensor: one scale per weight tensor (default: one per output channel).
        functions: "codes" lets SiLU, hard-swish, GELU and the like between INT8 layers run as tables (fast, less accurate); "float" is the
            default. It is kept in the model's metadata.
    Raises:
        as calibrate; ContentError when ranges belong to another model.
    """
    if (data is None) == (ranges is None):
        raise UsageError("either data or ranges is needed")
    if functions not in (None, "float", "codes"):
        raise UsageError(f"functions is 'float' or 'codes', not {functions!r}")
    source = as_model(model)
    if functions is not None:
        source.set_metadata("octavo.functions", functions)
    if ranges is None:
        found = calibrate(
            source, data, method=method, percentile=percentile, scheme=scheme, batch=batch, threads=threads, limit=limit, seed=seed, preprocess=preprocess
        )
    else:
        found = as_ranges(ranges)
    options = quant_options(core, method, percentile, scheme, per_tensor, threads, batch)
    result = Model._of(core.make("model", core.lib.oct_model_quantize, source._handle, found._handle, options))
    if is_path(data):
        from ._data import PREPROCESS_KEY, as_preprocess

        result.set_metadata(PREPROCESS_KEY, as_preprocess(core, source, preprocess).text)
    if output is not None:
        core.check(core.lib.oct_model_save(result._handle, encode_path(output)))
    return result


