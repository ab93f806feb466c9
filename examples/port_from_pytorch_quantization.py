#!/usr/bin/env python3
"""A script written for NVIDIA's pytorch-quantization, ported: only the imports changed. Runs on a CPU in under a minute.

Float training, histogram calibration by several methods, fine-tuning (QAT) and ONNX export, with a table at the end. Data are
synthetic images, or CIFAR-10 in class folders with --data-dir (needs torchvision):

    python examples/port_from_pytorch_quantization.py [--data-dir DIR] [--onnx FILE] [--seed N] [--threads N]
"""

from __future__ import annotations

import argparse
import copy
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# was: from pytorch_quantization import calib, quant_modules
# was: from pytorch_quantization import nn as quant_nn
# was: from pytorch_quantization.tensor_quant import QuantDescriptor
from octavo.torch import calib, quant_modules
from octavo.torch import nn as quant_nn
from octavo.torch.tensor_quant import QuantDescriptor

Batches = list[tuple[torch.Tensor, torch.Tensor]]


class Net(nn.Module):
    """A small residual network: [N, 3, H, W] → [N, 10]. Its skip connections need quantizers of their own when it is quantized."""

    def __init__(self, quantize: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block1 = self.block(16, 16, 1)
        self.block2 = self.block(16, 32, 2)
        self.down2 = nn.Conv2d(16, 32, 1, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(32, 10)
        self.quantize = quantize
        if quantize:
            self.residual_quantizer1 = quant_nn.TensorQuantizer(quant_nn.QuantConv2d.default_quant_desc_input)
            self.residual_quantizer2 = quant_nn.TensorQuantizer(quant_nn.QuantConv2d.default_quant_desc_input)

    @staticmethod
    def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = F.relu(self.block1(x) + (self.residual_quantizer1(x) if self.quantize else x))
        skip = self.down2(x)
        x = F.relu(self.block2(x) + (self.residual_quantizer2(skip) if self.quantize else skip))
        return self.head(torch.flatten(self.pool(x), 1))


def synthetic_batches(count: int, seed: int) -> Batches:
    """`count` batches of 64 images [3, 16, 16]: ten smooth patterns, shifted, in noise no classifier sees through."""
    patterns = F.interpolate(torch.randn(10, 3, 4, 4, generator=torch.Generator().manual_seed(1)), size=(16, 16), mode="bicubic")
    random = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(count):
        labels = torch.randint(10, (64,), generator=random)
        shifts = torch.randint(-3, 4, (64, 2), generator=random).tolist()
        images = torch.stack([torch.roll(patterns[label], shift, (1, 2)) for label, shift in zip(labels, shifts)])
        batches.append((images + 2.4 * torch.randn(images.shape, generator=random), labels))
    return batches


def folder_batches(path: str, count: int, seed: int) -> Batches:
    """`count` batches of 64 images of a directory with one folder per class, normalized."""
    from torchvision import datasets, transforms

    normalize = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    images = datasets.ImageFolder(path, transforms.Compose([transforms.ToTensor(), normalize]))
    loader = torch.utils.data.DataLoader(images, 64, shuffle=True, generator=torch.Generator().manual_seed(seed))
    return [batch for _, batch in zip(range(count), loader)]


def train(model: nn.Module, batches: Batches, epochs: int, learning_rate: float) -> None:
    """SGD with momentum and a cosine schedule."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(batches))
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(model: nn.Module, batches: Batches) -> float:
    """Top-1 in percent."""
    model.eval()
    hits = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in batches)
    return 100.0 * hits / sum(len(labels) for _, labels in batches)


@torch.no_grad()
def collect_stats(model: nn.Module, batches: Batches) -> None:
    """Feed data to the calibrators, unquantized."""
    model.eval()
    for module in model.modules():
        if isinstance(module, quant_nn.TensorQuantizer):
            if module._calibrator is not None:
                module.disable_quant()
                module.enable_calib()
            else:
                module.disable()
    for images, _ in batches:
        model(images)
    for module in model.modules():
        if isinstance(module, quant_nn.TensorQuantizer):
            if module._calibrator is not None:
                module.enable_quant()
                module.disable_calib()
            else:
                module.enable()


def compute_amax(model: nn.Module, **kwargs: object) -> None:
    """Load the ranges the calibrators compute."""
    for module in model.modules():
        if isinstance(module, quant_nn.TensorQuantizer) and module._calibrator is not None:
            if isinstance(module._calibrator, calib.MaxCalibrator):
                module.load_calib_amax()
            else:
                module.load_calib_amax(**kwargs)


def quantized(float_model: nn.Module) -> nn.Module:
    """The same network built from quantized modules, with histogram calibrators for inputs."""
    quant_desc_input = QuantDescriptor(calib_method="histogram")
    for layer in (quant_nn.QuantConv2d, quant_nn.QuantLinear, quant_nn.QuantAdaptiveAvgPool2d):
        layer.set_default_quant_desc_input(quant_desc_input)
    quant_modules.initialize()
    model = Net(quantize=True)
    quant_modules.deactivate()
    model.load_state_dict(float_model.state_dict())
    return model


def export(model: nn.Module, images: torch.Tensor, path: str) -> None:
    """ONNX with QuantizeLinear and DequantizeLinear; the batch size stays free."""
    model.eval()
    with quant_modules.enable_onnx_export():
        torch.onnx.export(
            model, (images,), path, opset_version=13, dynamo=False, input_names=["input"], output_names=["logits"],
            dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        )  # fmt: skip


def engine_accuracy(path: str, batches: Batches) -> float:
    """Top-1 in percent of the exported file in Octavo's engine."""
    import octavo

    session = octavo.Session(path)
    hits = sum(
        int((session.run(None, {"input": images.numpy()})[0].argmax(1) == labels.numpy()).sum()) for images, labels in batches
    )
    return 100.0 * hits / sum(len(labels) for _, labels in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", help="directory with train/ and test/, one folder per class; synthetic images without it")
    parser.add_argument("--onnx", default="ported.onnx", help="file to export to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads; the layers are too small to gain from more")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    np.random.seed(options.seed)
    if options.data_dir:
        train_data = folder_batches(os.path.join(options.data_dir, "train"), 75, options.seed)
        test_data = folder_batches(os.path.join(options.data_dir, "test"), 20, options.seed)
    else:
        train_data, test_data = synthetic_batches(60, 2), synthetic_batches(40, 3)

    float_model = Net()
    train(float_model, train_data, epochs=3, learning_rate=0.1)
    rows = [("float", accuracy(float_model, test_data))]

    model = quantized(float_model)
    collect_stats(model, train_data[:8])
    methods: list[dict[str, object]] = [dict(method="percentile", percentile=value) for value in (99.9, 99.99, 99.999, 99.9999)]
    methods += [dict(method="mse"), dict(method="entropy")]
    best, best_accuracy = copy.deepcopy(model), -1.0
    for keys in methods:
        compute_amax(model, **keys)
        calib.calibrate_weights(model, method="max")
        rows.append(("PTQ " + " ".join(str(value) for value in keys.values()), accuracy(model, test_data)))
        if rows[-1][1] > best_accuracy:
            best, best_accuracy = copy.deepcopy(model), rows[-1][1]

    train(best, train_data, epochs=1, learning_rate=0.001)  # 1 % of the initial rate, ranges frozen
    rows.append(("QAT, 1 epoch", accuracy(best, test_data)))
    export(best, test_data[0][0], options.onnx)
    rows.append((f"engine, {os.path.basename(options.onnx)}", engine_accuracy(options.onnx, test_data)))

    print(f"{'model':<28} {'top-1 %':>8} {'- float':>8}")
    for name, value in rows:
        print(f"{name:<28} {value:>8.2f} {value - rows[0][1]:>+8.2f}")


if __name__ == "__main__":
    main()
