#!/usr/bin/env python3
"""Trains the demo's network and writes it as a float ONNX file: models/demo_chars.onnx.

    demo_train.py OUT.onnx [--epochs 9] [--per-class 1400] [--seed 1] [--cache FILE.npz]

A depthwise-separable CNN with residual adds for demo_data.py's 36 classes.  BatchNormalization stays in the file: folding is
Octavo's work.  torch is needed for training only; the file is written with onnx.helper from the weights.  About a quarter of
an hour on one core.  At the end widen() makes the network as hard to quantize as larger mobile networks are.
"""
import argparse
import os
import sys

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import demo_data  # noqa: E402

# (input channels, output channels, stride); equal channels at stride 1 get a residual add
STEM = 24
BLOCKS = [(24, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1), (96, 96, 1), (96, 192, 2), (192, 192, 1)]
CLASS_COUNT = len(demo_data.CLASSES)
MEAN, STD = 0.5, 0.25


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.dw, self.dw_bn = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False), nn.BatchNorm2d(cin)
        self.pw, self.pw_bn = nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout)
        self.residual = cin == cout and stride == 1

    def forward(self, x):
        y = self.pw_bn(self.pw(self.dw_bn(self.dw(x)).relu()))
        return (y + x if self.residual else y).relu()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, STEM, 3, 1, 1, bias=False), nn.BatchNorm2d(STEM)
        self.blocks = nn.ModuleList(Block(*b) for b in BLOCKS)
        self.fc = nn.Linear(BLOCKS[-1][1], CLASS_COUNT)

    def forward(self, x):
        x = self.stem_bn(self.stem(x)).relu()
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


def export(net, path):
    nodes, weights = [], []

    def const(name, tensor):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(tensor.detach().numpy().astype(np.float32)), name))
        return name

    def conv(name, x, layer):
        nodes.append(helper.make_node("Conv", [x, const(name + ".weight", layer.weight)], [name], name=name, kernel_shape=list(layer.kernel_size),
                                      strides=list(layer.stride), pads=list(layer.padding) * 2, group=layer.groups))
        return name

    def norm(name, x, layer):
        params = [const(f"{name}.{k}", v) for k, v in (("gamma", layer.weight), ("beta", layer.bias), ("mean", layer.running_mean), ("var", layer.running_var))]
        nodes.append(helper.make_node("BatchNormalization", [x, *params], [name], name=name, epsilon=layer.eps))
        return name

    def relu(name, x):
        nodes.append(helper.make_node("Relu", [x], [name], name=name))
        return name

    x = relu("stem.relu", norm("stem.bn", conv("stem", "image", net.stem), net.stem_bn))
    for i, b in enumerate(net.blocks):
        n = f"block{i}"
        y = relu(n + ".dw.relu", norm(n + ".dw.bn", conv(n + ".dw", x, b.dw), b.dw_bn))
        y = norm(n + ".pw.bn", conv(n + ".pw", y, b.pw), b.pw_bn)
        if b.residual:
            nodes.append(helper.make_node("Add", [y, x], [n + ".add"], name=n + ".add"))
            y = n + ".add"
        x = relu(n + ".relu", y)
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pool"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["pool"], ["flat"], name="flat"))
    nodes.append(helper.make_node("Gemm", ["flat", const("fc.weight", net.fc.weight), const("fc.bias", net.fc.bias)], ["logits"], name="fc", transB=1))
    side = demo_data.SIDE
    graph = helper.make_graph(nodes, "demo_chars", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, side, side])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASS_COUNT])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="octavo tools/demo_train.py")
    helper.set_model_props(model, {"octavo.preprocess": f"layout=nchw color=rgb mean={MEAN} std={STD}"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def widen(model, factor=12.0, one_of=24, seed=1):
    """Makes folded weight ranges as unequal as those of mobile networks trained for long; the float function stays the same.

    One of `one_of` channels of a stage gets 1/factor of its size, and the normalization behind each depthwise convolution that
    reads it takes that back.  Once BatchNormalization is folded those depthwise weights are `factor` times as wide as their
    neighbours (the widest over the median reaches 46 in a MobileNetV2 for CIFAR-10): one scale per tensor then has few codes
    left for the others.
    """
    weights = {w.name: w for w in model.graph.initializer}
    rng = np.random.default_rng(seed)

    def scale(name, channels, by, offset=0.0):
        a = numpy_helper.to_array(weights[name]).astype(np.float64)
        a[channels] = (a[channels] + offset) * by - offset
        weights[name].CopyFrom(numpy_helper.from_array(a.astype(np.float32), name))

    stages = [(["stem.bn"], [0])]          # (normalizations that write the stage, blocks that read it)
    for i, (_, _, stride) in enumerate(BLOCKS[:-1]):
        if stride != 1:
            stages.append(([], []))
        stages[-1][0].append(f"block{i}.pw.bn")
        stages[-1][1].append(i + 1)
    eps = nn.BatchNorm2d(1).eps
    for writers, readers in stages[:3]:    # the last stage feeds the classifier, which has no normalization to take it back
        width = weights[writers[0] + ".gamma"].dims[0]
        channels = np.sort(rng.permutation(width)[:width // one_of])
        for w in writers:
            scale(w + ".gamma", channels, 1 / factor)
            scale(w + ".beta", channels, 1 / factor)
        for r in readers:
            scale(f"block{r}.dw.bn.mean", channels, 1 / factor)
            scale(f"block{r}.dw.bn.var", channels, 1 / factor**2, eps)


def load_images(per_class, seed, cache):
    if cache and os.path.exists(cache):
        with np.load(cache) as z:
            return z["x"], z["y"]
    x = np.empty((CLASS_COUNT * per_class, demo_data.SIDE, demo_data.SIDE, 3), np.uint8)
    y = np.empty(len(x), np.int64)
    for i, (label, _, image) in enumerate(demo_data.make_set(per_class, seed)):
        x[i], y[i] = image, label
    if cache:
        np.savez(cache, x=x, y=y)
    return x, y


def to_input(u8):
    return ((torch.from_numpy(u8).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return 100 * np.mean(np.concatenate([net(to_input(x[i:i + 400])).argmax(1).numpy() for i in range(0, len(x), 400)]) == y)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--epochs", type=int, default=9)
    ap.add_argument("--per-class", type=int, default=1400)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--cache", help="keep the training images in this file")
    args = ap.parse_args()
    torch.set_num_threads(1)   # the layers are too small for more, and one thread makes the weights repeatable
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    x, y = load_images(args.per_class, 77_000_000 + args.seed, args.cache)   # seeds that demo_data.py's splits never have
    vx, vy = load_images(40, 88_000_000 + args.seed, None)
    net = Net().to(memory_format=torch.channels_last)
    batch, steps = 128, len(x) // 128
    decay = [p for p in net.parameters() if p.dim() > 1]
    plain = [p for p in net.parameters() if p.dim() == 1]
    opt = torch.optim.SGD([{"params": decay, "weight_decay": 1e-4}, {"params": plain}], lr=0.0, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.25, total_steps=args.epochs * steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(args.epochs):
        net.train()
        order, total = rng.permutation(len(x)), 0.0
        for i in range(steps):
            pick = order[i * batch:(i + 1) * batch]
            shift = rng.integers(-2, 3, 2)
            u8 = np.roll(x[pick], shift, (1, 2))
            if rng.random() < 0.5:
                u8 = u8[..., rng.permutation(3)]   # any colour may stand for any other
            loss = loss_of(net(to_input(np.ascontiguousarray(u8))), torch.from_numpy(y[pick]))
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{args.epochs}: loss {total / steps:.4f}, validation {accuracy(net, vx, vy):.2f} %", flush=True)
    export(net.eval(), args.out)
    model = onnx.load(args.out)
    widen(model)
    onnx.save(model, args.out)


if __name__ == "__main__":
    main()
