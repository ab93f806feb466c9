"""Octavo: a float ONNX model to an INT8 model as accurate, and the engine that runs it, from Python.

    session = octavo.Session("model.onnx", threads=2)
    y, = session.run(None, {"input": x})

    octavo.quantize("model.onnx", loader, "int8.onnx")

`octavo.torch` prepares PyTorch models for quantization and is imported on its own; `octavo.backend` is an ONNX backend.
"""
from ._build import build
from ._data import Preprocess
from ._errors import (
    ContentError,
    DemandError,
    InternalError,
    IoError,
    OctavoError,
    OutOfMemoryError,
    UnsupportedError,
    UsageError,
)
from ._measure import Accuracy, Bench, TensorDiff, Verdict, bench, compare, evaluate
from ._model import Model, Plan, Ranges
from ._native import core as _core_module
from ._observe import Observer, Range
from ._ports import NodeArg
from ._quantize import calibrate, quantize
from ._session import Session
from ._training import TrainEvent, TrainResult, train

__version__ = _core_module.text(_core_module.lib.oct_version())

__all__ = [
    "Accuracy", "Bench", "ContentError", "DemandError", "InternalError", "IoError", "Model", "NodeArg", "Observer", "OctavoError",
    "OutOfMemoryError", "Plan", "Preprocess", "Range", "Ranges", "Session", "TensorDiff", "TrainEvent", "TrainResult", "UnsupportedError",
    "UsageError", "Verdict", "bench", "build", "calibrate", "compare", "evaluate", "quantize", "train",
]  # fmt: skip
