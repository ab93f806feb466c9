"""Quantization of PyTorch models: prepare, calibrate, train with your own loop, export.

    model = octavo.torch.prepare(float_model, "int8", example_inputs=x)
    octavo.torch.calibrate(model, loader)
    ...                                        # train it, if you like
    print(octavo.torch.export_onnx(model, x, "int8.onnx"))

By hand, with the names of NVIDIA's pytorch-quantization: octavo.torch.nn, tensor_quant, quant_modules, calib, optim, utils.
"""
from .calibrate import calibrate
from .config import PRESETS, LayerConfig, QuantConfig
from .export import ExportReport, export_onnx
from .fold import fold_bn
from .plots import plot_ranges
from .prepare import enable, prepare, prepare_, quantizers
from .qat import Sensitivity, analyze, freeze_bn, never_worse
from .quantizer import ActivationQuantizer, Quantizer, WeightQuantizer

__all__ = [
    "PRESETS", "ActivationQuantizer", "ExportReport", "LayerConfig", "QuantConfig", "Quantizer", "Sensitivity", "WeightQuantizer", "analyze",
    "calibrate", "enable", "export_onnx", "fold_bn", "freeze_bn", "never_worse", "plot_ranges", "prepare", "prepare_", "quantizers",
]  # fmt: skip
