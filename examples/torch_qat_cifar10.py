#!/usr/bin/env python3
"""A pretrained PyTorch network to an INT8 ONNX model: float, PTQ, QAT, export, and the engine's own accuracy, in one table.

    examples/torch_qat_cifar10.py --weights resnet20_cifar10_bn.onnx --data CIFAR [--network resnet20|mobilenetv2] [--epochs 2] [-o int8.onnx]

CIFAR holds train/ and test/ with a folder of images per class. WEIGHTS is an ONNX file whose initializers have the names of the network's state dict.
Needs octavo, torch, onnx and pillow. Training is plain PyTorch; octavo.torch only prepares, calibrates and exports."""
import argparse
import copy
import pathlib
import time

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import octavo
import octavo.torch as oq

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
        self.conv2, self.bn2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        self.stride, self.more = stride, outside - inside

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        if self.stride > 1 or self.more:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(self.bn2(self.conv2(y)) + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for i, (inside, outside) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            blocks = [Block(inside if k == 0 else outside, outside, 2 if k == 0 and i > 1 else 1) for k in range(3)]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def conv_bn(inside, outside, kernel, stride=1, groups=1, act=True):
    layers = [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, *([nn.ReLU6()] if act else []))


class Inverted(nn.Module):
    def __init__(self, inside, outside, wide, stride):
        super().__init__()
        self.body = nn.Sequential(conv_bn(inside, wide, 1), conv_bn(wide, wide, 3, stride, wide), conv_bn(wide, outside, 1, act=False))
        self.adds = stride == 1 and inside == outside

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


class MobileNetV2(nn.Module):
    """The widths and strides are read off the weights: the file fixes them."""

    def __init__(self, arrays, strides):
        super().__init__()
        stem = arrays["features.0.0.weight"].shape
        layers = [conv_bn(stem[1], stem[0], stem[2], strides[0])]
        for i, stride in enumerate(strides[1:], 1):
            wide, inside = arrays[f"features.{i}.body.0.0.weight"].shape[:2]
            layers.append(Inverted(inside, arrays[f"features.{i}.body.2.0.weight"].shape[0], wide, stride))
        last = arrays[f"features.{len(layers)}.0.weight"].shape
        layers.append(conv_bn(last[1], last[0], 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(last[0], 10)

    def forward(self, x):
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 1), 1))


def load(network, path):
    """The network with the file's weights."""
    proto = onnx.load(path)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    if network == "resnet20":
        model = ResNet20()
    else:
        convs = [n for n in proto.graph.node if n.op_type == "Conv"]
        strides = [next((list(a.ints)[0] for a in n.attribute if a.name == "strides"), 1) for n in convs]
        model = MobileNetV2(arrays, [strides[0], *strides[2:-1:3]])
    state = model.state_dict()
    tail = [name for name in arrays if name not in state]
    for name in state:
        if name in arrays:
            state[name] = torch.from_numpy(arrays[name].copy())
        elif name.startswith(("linear", "classifier")):
            match = next(other for other in tail if other.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1])
            state[name] = torch.from_numpy(arrays[match].copy())
    model.load_state_dict(state)
    return model.eval()


def read(folder):
    """All images of a folder of class folders as uint8 [n, 3, 32, 32], and their labels."""
    classes = sorted(p for p in pathlib.Path(folder).iterdir() if p.is_dir())
    files = [(path, label) for label, c in enumerate(classes) for path in sorted(c.iterdir())]
    images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in files])


def normalise(images):
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    return (images.float() / 255 - mean) / std


def augment(images, generator):
    """Random crop out of 4 pixels of border, and flip."""
    n = len(images)
    padded = F.pad(images, (4, 4, 4, 4))
    y, x = (torch.randint(0, 9, (n, 1, 1, 1), generator=generator) for _ in range(2))
    rows = (torch.arange(32).reshape(1, 1, 32, 1) + y).expand(n, 3, 32, 40)
    columns = (torch.arange(32).reshape(1, 1, 1, 32) + x).expand(n, 3, 32, 32)
    cropped = padded.gather(2, rows).gather(3, columns)
    flip = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    return torch.where(flip, cropped.flip(3), cropped)


def top1(answer, images, labels, batch=500):
    right = 0
    for at in range(0, len(images), batch):
        right += int((answer(normalise(images[at : at + batch])).argmax(1) == labels[at : at + batch]).sum())
    return 100 * right / len(labels)


def simulation(model):
    def answer(x):
        with torch.no_grad():
            return model.eval()(x)

    return answer


def engine(path):
    session = octavo.Session(path)
    return lambda x: torch.from_numpy(session.run(None, {"input": x.numpy()})[0])


def train(model, images, labels, epochs, rate, seed=0, batch=128):
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], rate, momentum=0.9, nesterov=True)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    start = time.time()
    for epoch in range(epochs):
        model.train()
        oq.freeze_bn(model)
        order = torch.randperm(len(images), generator=generator)
        total = 0.0
        for at in range(0, len(order) - batch + 1, batch):
            chosen = order[at : at + batch]
            loss = F.cross_entropy(model(normalise(augment(images[chosen], generator))), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / (len(order) // batch):.4f}, {time.time() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--network", choices=("resnet20", "mobilenetv2"), default="resnet20")
    parser.add_argument("--config", default="int8", choices=sorted(oq.PRESETS))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--limit", type=int, default=0, help="train and test on so many images only")
    parser.add_argument("-o", "--output", default="int8.onnx")
    a = parser.parse_args()
    model = load(a.network, a.weights)
    sets = [read(pathlib.Path(a.data) / part) for part in ("train", "test")]
    if a.limit:
        picks = [torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))[: a.limit] for _, labels in sets]
        sets = [(images[p], labels[p]) for (images, labels), p in zip(sets, picks)]
    (images, labels), (test_images, test_labels) = sets
    held = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    held, used = held[: len(held) // 10], held[len(held) // 10 :]
    x = normalise(test_images[:8])
    rows = [("float", top1(simulation(model), test_images, test_labels), None)]

    quantized = oq.prepare(model, a.config, x)
    calibration = [normalise(images[used[i : i + 64]]) for i in range(0, 512, 64)]
    oq.calibrate(quantized, calibration)
    for name in ("PTQ", "QAT"):
        if name == "QAT":
            # Frozen scales at 8 bits (NVIDIA's recipe), learned ones below: the preset says which.
            outcome = oq.never_worse(
                quantized, lambda m: train(m, images[used], labels[used], a.epochs, a.rate), lambda m: top1(simulation(m), images[held], labels[held])
            )
            print(f"held-out top-1 {outcome.before:.2f} before, {outcome.after:.2f} after: kept {outcome.kept}")
        path = a.output if name == "QAT" else str(pathlib.Path(a.output).with_suffix(".ptq.onnx"))
        print(oq.export_onnx(copy.deepcopy(quantized), x, path))
        rows.append((name, top1(simulation(quantized), test_images, test_labels), top1(engine(path), test_images, test_labels)))
    print(f"\n{a.network}, {a.config}, {len(test_labels)} test images\n\n{'':8}{'PyTorch':>10}{'engine':>10}")
    for name, simulated, ran in rows:
        print(f"{name:8}{simulated:9.2f}%" + (f"{ran:9.2f}%" if ran is not None else f"{'':>10}"))


if __name__ == "__main__":
    main()
