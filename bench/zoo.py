#!/usr/bin/env python3
"""ONNX models with the structure of torchvision's classifiers and seeded random weights, made without torch.

    bench/zoo.py [NAME...] [--image 224] [--bn] [--batch N] [--out DIR]      writes DIR/NAME.onnx; every model without a NAME
    bench/zoo.py --check [OCTAVO] [NAME...]                                  counts parameters; with a program, runs the models too

Names: resnet18 resnet50 mobilenet_v2 mobilenet_v3_large efficientnet_b0. Input `input` [N,3,image,image], output `logits` [N,1000]. BatchNormalization
is folded into the convolutions unless --bn. Speed and structure are those of the real networks; they know no classes, but every layer's output
keeps a sane spread, and depends on the input, because its BatchNormalization statistics are measured on probe pictures while it is built. So an INT8 form
can be compared with the float one.
Others call zoo.make(name, path, image=224).
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# torchvision's published parameter counts: https://pytorch.org/vision/stable/models.html
PARAMETERS = {"resnet18": 11_689_512, "resnet50": 25_557_032, "mobilenet_v2": 3_504_872, "mobilenet_v3_large": 5_483_032, "efficientnet_b0": 5_288_548}

PROBE = 12  # pictures that a model sees once while it is built: its BatchNormalization statistics are measured, as in training


def pictures(count, image, seed):
    """float32 [count,3,image,image] of about zero mean and unit variance: patches of all sizes and some noise, nearer to photographs than white noise is."""
    rng = np.random.default_rng(seed)
    x, grid = 0.3 * rng.standard_normal((count, 3, image, image)), 1
    while grid < image:
        at = np.arange(image) * grid // image
        x += rng.standard_normal((count, 3, grid, grid))[:, :, at][:, :, :, at] / 2.5
        grid *= 2
    return x.astype(np.float32)


def convolve(x, w, stride, group):
    """Same-padded convolution in numpy: dense (group 1) or depthwise."""
    k = w.shape[2]
    size = [(d - 1) // stride + 1 for d in x.shape[2:]]
    x = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    y = np.zeros((x.shape[0], w.shape[0], *size), np.float32)
    for dy in range(k):
        for dx in range(k):
            tap = x[:, :, dy:dy + (size[0] - 1) * stride + 1:stride, dx:dx + (size[1] - 1) * stride + 1:stride]
            y += w[:, 0, dy, dx][:, None, None] * tap if group > 1 else np.einsum("oc,nchw->nohw", w[:, :, dy, dx], tap, optimize=True)
    return y


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {"relu": lambda x: np.maximum(x, 0), "relu6": lambda x: np.clip(x, 0, 6), "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
             "silu": lambda x: x * sigmoid(x), "Sigmoid": sigmoid, "HardSigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1)}


class Tensor:
    """A tensor under construction: its name and its values for the probe pictures."""
    def __init__(self, name, value):
        self.name, self.value, self.channels = name, value.astype(np.float32), value.shape[1]


class Network:
    def __init__(self, bn, seed):
        self.bn, self.rng = bn, np.random.default_rng(seed)
        self.nodes, self.init, self.parameters = [], {}, 0

    def constant(self, name, a):
        self.init[name] = np.ascontiguousarray(a, np.float32)
        return name

    def parameter(self, name, a):
        self.parameters += a.size
        return self.constant(name, a)

    def op(self, kind, name, inputs, **attributes):
        out = f"/{name}/{kind}_output_0"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=f"/{name}/{kind}", **attributes))
        return out

    def act(self, x, kind, name):
        if not kind:
            return x
        if kind == "silu":
            y = self.op("Mul", name, [x.name, self.op("Sigmoid", name, [x.name])])
        elif kind == "relu6":
            y = self.op("Clip", name, [x.name, self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))])
        elif kind == "HardSigmoid":
            y = self.op(kind, name, [x.name], alpha=1 / 6, beta=0.5)
        else:
            y = self.op({"relu": "Relu", "hardswish": "HardSwish", "Sigmoid": "Sigmoid"}[kind], name, [x.name])
        return Tensor(y, FUNCTIONS[kind](x.value))

    def weights(self, oc, ic, kernel):
        return (self.rng.standard_normal((oc, ic, kernel, kernel)) * np.sqrt(2 / (ic * kernel * kernel))).astype(np.float32)

    def conv(self, x, oc, kernel, name, stride=1, group=1, act="", gain=1.0):
        """Convolution, BatchNormalization (folded, or a node of its own), activation. gain: deviation of the normalized output."""
        w = self.weights(oc, x.channels // group, kernel)
        gamma, beta = gain * self.rng.uniform(0.7, 1.3, oc), 0.3 * gain * self.rng.standard_normal(oc)
        y = convolve(x.value, w, stride, group)
        mean, var = y.mean(axis=(0, 2, 3), dtype=np.float64), y.var(axis=(0, 2, 3), dtype=np.float64)
        m = gamma / np.sqrt(var + 1e-5)
        shift = beta - mean * m
        bn_name = name.replace("conv", "bn") if "conv" in name else f"{name[:-1]}1"
        attributes = dict(kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group, dilations=[1, 1])
        if self.bn:
            out = self.op("Conv", name, [x.name, self.parameter(f"{name}.weight", w)], **attributes)
            out = self.op("BatchNormalization", bn_name, [out, self.parameter(f"{bn_name}.weight", gamma), self.parameter(f"{bn_name}.bias", beta),
                                                          self.constant(f"{bn_name}.running_mean", mean), self.constant(f"{bn_name}.running_var", var)], epsilon=1e-5)
        else:
            out = self.op("Conv", name, [x.name, self.parameter(f"{name}.weight", w * m[:, None, None, None]), self.parameter(f"{name}.bias", shift)], **attributes)
        return self.act(Tensor(out, y * m[:, None, None] + shift[:, None, None]), act, bn_name)

    def affine(self, x, oc, centred):
        """Weights [oc,ic,1,1] and bias [oc] of a layer without normalization, and its output, of unit deviation on the probe; centred: over the pictures."""
        w = self.weights(oc, x.channels, 1)
        y = np.einsum("oc,nc...->no...", w[:, :, 0, 0], x.value)
        mean = y.mean(axis=0, keepdims=True) * centred
        scale = 1 / (y - mean).std()
        bias = 0.5 * self.rng.standard_normal(oc) - scale * mean.reshape(oc)
        return w * scale, bias, y * scale + bias.reshape(mean.shape)

    def conv_bias(self, x, oc, name):
        w, bias, y = self.affine(x, oc, False)
        out = self.op("Conv", name, [x.name, self.parameter(f"{name}.weight", w), self.parameter(f"{name}.bias", bias)],
                      kernel_shape=[1, 1], strides=[1, 1], pads=[0] * 4, group=1, dilations=[1, 1])
        return Tensor(out, y)

    def linear(self, x, oc, name):
        w, bias, y = self.affine(x, oc, True)
        out = self.op("Gemm", name, [x.name, self.parameter(f"{name}.weight", w[:, :, 0, 0]), self.parameter(f"{name}.bias", bias)], transB=1)
        return Tensor(out, y)

    def pool(self, x, name):
        return Tensor(self.op("GlobalAveragePool", name, [x.name]), x.value.mean(axis=(2, 3), keepdims=True))

    def flatten(self, x):
        return Tensor(self.op("Flatten", "flatten", [x.name], axis=1), x.value.reshape(len(x.value), -1))

    def max_pool(self, x, name):
        size = [(d - 1) // 2 + 1 for d in x.value.shape[2:]]
        p = np.pad(x.value, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        y = np.max([p[:, :, i:i + 2 * size[0] - 1:2, j:j + 2 * size[1] - 1:2] for i in range(3) for j in range(3)], axis=0)
        return Tensor(self.op("MaxPool", name, [x.name], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), y)

    def squeeze_excite(self, x, squeezed, act, gate, name):
        s = self.act(self.conv_bias(self.pool(x, f"{name}.avgpool"), squeezed, f"{name}.fc1"), act, f"{name}.activation")
        g = self.act(self.conv_bias(s, x.channels, f"{name}.fc2"), gate, f"{name}.scale_activation")
        return Tensor(self.op("Mul", name, [g.name, x.name]), g.value * x.value)

    def add(self, x, y, name):
        return Tensor(self.op("Add", name, [x.name, y.name]), x.value + y.value)


def divisible(v, by=8):
    """torchvision's _make_divisible: the nearest multiple, not more than 10 % down."""
    n = max(by, int(v + by / 2) // by * by)
    return n + by if n < 0.9 * v else n


DAMP = 0.5  # gain of the last convolution of a residual branch


def resnet(net, x, blocks, bottleneck):
    x = net.conv(x, 64, 7, "conv1", stride=2, act="relu")
    x = net.max_pool(x, "maxpool")
    for stage, count in enumerate(blocks):
        width = 64 << stage
        out = width * (4 if bottleneck else 1)
        for i in range(count):
            name, stride, y = f"layer{stage + 1}.{i}", 2 if stage and not i else 1, x
            if bottleneck:
                y = net.conv(y, width, 1, f"{name}.conv1", act="relu")
                y = net.conv(y, width, 3, f"{name}.conv2", stride=stride, act="relu")
                y = net.conv(y, out, 1, f"{name}.conv3", gain=DAMP)
            else:
                y = net.conv(y, width, 3, f"{name}.conv1", stride=stride, act="relu")
                y = net.conv(y, out, 3, f"{name}.conv2", gain=DAMP)
            if stride != 1 or x.channels != out:
                x = net.conv(x, out, 1, f"{name}.downsample.0", stride=stride)
            x = net.act(net.add(y, x, name), "relu", name)
    return net.linear(net.flatten(net.pool(x, "avgpool")), 1000, "fc")


def inverted_residual(net, x, expanded, out, kernel, stride, act, name, se=None):
    y = net.conv(x, expanded, 1, f"{name}.0.0", act=act) if expanded != x.channels else x
    y = net.conv(y, expanded, kernel, f"{name}.1.0", stride=stride, group=expanded, act=act)
    if se:
        y = net.squeeze_excite(y, *se, f"{name}.2")
    residual = stride == 1 and x.channels == out
    y = net.conv(y, out, 1, f"{name}.3.0", gain=DAMP if residual else 1.0)
    return net.add(x, y, name) if residual else y


def mobilenet_v2(net, x):
    x, n = net.conv(x, 32, 3, "features.0.0", stride=2, act="relu6"), 1
    for t, c, count, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(count):
            x, n = inverted_residual(net, x, t * x.channels, c, 3, 1 if i else stride, "relu6", f"features.{n}"), n + 1
    x = net.conv(x, 1280, 1, f"features.{n}.0", act="relu6")
    return net.linear(net.flatten(net.pool(x, "avgpool")), 1000, "classifier.1")


def mobilenet_v3_large(net, x):
    x = net.conv(x, 16, 3, "features.0.0", stride=2, act="hardswish")
    rows = ((3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 1, "relu", 2), (5, 120, 40, 1, "relu", 1), (5, 120, 40, 1, "relu", 1),
            (3, 240, 80, 0, "hardswish", 2), (3, 200, 80, 0, "hardswish", 1), (3, 184, 80, 0, "hardswish", 1), (3, 184, 80, 0, "hardswish", 1),
            (3, 480, 112, 1, "hardswish", 1), (3, 672, 112, 1, "hardswish", 1), (5, 672, 160, 1, "hardswish", 2), (5, 960, 160, 1, "hardswish", 1), (5, 960, 160, 1, "hardswish", 1))
    for n, (kernel, expanded, out, se, act, stride) in enumerate(rows):
        x = inverted_residual(net, x, expanded, out, kernel, stride, act, f"features.{n + 1}", (divisible(expanded // 4), "relu", "HardSigmoid") if se else None)
    x = net.conv(x, 960, 1, "features.16.0", act="hardswish")
    x = net.act(net.linear(net.flatten(net.pool(x, "avgpool")), 1280, "classifier.0"), "hardswish", "classifier.1")
    return net.linear(x, 1000, "classifier.3")


def efficientnet_b0(net, x):
    x = net.conv(x, 32, 3, "features.0.0", stride=2, act="silu")
    rows = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))
    for stage, (t, kernel, stride, out, count) in enumerate(rows):
        for i in range(count):
            se = (max(1, x.channels // 4), "silu", "Sigmoid")
            x = inverted_residual(net, x, t * x.channels, out, kernel, 1 if i else stride, "silu", f"features.{stage + 1}.{i}", se)
    x = net.conv(x, 1280, 1, "features.8.0", act="silu")
    return net.linear(net.flatten(net.pool(x, "avgpool")), 1000, "classifier.1")


ZOO = {"resnet18": lambda n, x: resnet(n, x, (2, 2, 2, 2), False), "resnet50": lambda n, x: resnet(n, x, (3, 4, 6, 3), True),
       "mobilenet_v2": mobilenet_v2, "mobilenet_v3_large": mobilenet_v3_large, "efficientnet_b0": efficientnet_b0}


def make(name, path, image=224, bn=False, batch=None, seed=0):
    """Writes the model; returns its number of parameters (BatchNormalization's running statistics are none). batch None: any, the dimension N."""
    net = Network(bn, seed)
    out = ZOO[name](net, Tensor("input", pictures(PROBE, image, seed)))
    net.nodes[-1].output[0] = "logits"
    n = batch or "N"
    graph = helper.make_graph(net.nodes, name, [helper.make_tensor_value_info("input", TensorProto.FLOAT, [n, 3, image, image])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [n, out.channels])],
                              [numpy_helper.from_array(a, k) for k, a in net.init.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="octavo bench/zoo.py")
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return net.parameters


def check(names, image, octavo):
    """Parameter counts, and with a program: float against ONNX Runtime, the quantized model's reasons and its distance from float."""
    failed = 0

    def line(ok, what):
        nonlocal failed
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}", flush=True)

    def run(*command):
        p = subprocess.run([octavo, *map(str, command)], capture_output=True, text=True)
        if p.returncode:
            raise RuntimeError(f"octavo {command[0]}: status {p.returncode}, {p.stderr.strip()[-300:]}")
        return p.stdout
    work = Path(tempfile.mkdtemp(prefix="octavo-zoo-"))
    for name in names:
        path, q = work / f"{name}.onnx", work / f"{name}-int8.onnx"
        n = make(name, path, image, bn=True)
        line(n == PARAMETERS[name], f"{name}: {n:,} parameters, torchvision's has {PARAMETERS[name]:,}")
        if not octavo:
            continue
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.log_severity_level = 4
        x = pictures(16, image, 1)
        np.save(work / "x.npy", x)
        np.savez(work / "x.npz", input=x[:8])
        answer = {}
        for bn in (True, False):
            make(name, path, image, bn=bn)
            answer[bn] = np.concatenate([ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"input": x[i:i + 1]})[0] for i in range(len(x))])
        want, norm = answer[False], np.linalg.norm
        distance = norm(answer[True] - want) / norm(want)
        line(distance < 1e-4, f"{name}: BatchNormalization folded or not, relative difference {distance:.1e}")
        spread, own = want.std(), (want - want.mean(axis=0)).std()
        line(0.2 < spread < 20 and own > 0.3 * spread, f"{name}: logits' deviation {spread:.2f}, over inputs {own:.2f}, {len(set(want.argmax(axis=1)))} different answers to {len(x)} inputs")
        try:
            run("run", path, "--input", work / "x.npy", "--output-dir", work, "--quiet")
            distance = norm(np.load(work / "logits.npy") - want) / norm(want)
            line(distance < 1e-4, f"{name}: float against ONNX Runtime, relative error {distance:.1e}")
            run("quantize", path, "--data", work / "x.npz", "-o", q, "--quiet")
            steps = json.loads(run("inspect", q, "--json"))["steps"]
            mute = [s["name"] for s in steps if s["precision"] != "int8" and not s.get("reason")]
            line(not mute, f"{name}: quantized, {sum(s['precision'] == 'int8' for s in steps)} of {len(steps)} steps INT8, without a reason: {mute[:5] or 'none'}")
            for reason, count in Counter(f"{s['op']}: {re.sub(chr(39) + '.*' + chr(39), '...', s.get('reason', ''))}" for s in steps if s["precision"] != "int8").items():
                print(f"       {count} x {reason}")
            run("run", q, "--input", work / "x.npy", "--output-dir", work, "--quiet")
            got = np.load(work / "logits.npy")
            distance, same = norm(got - want) / norm(want - want.mean(axis=0)), (got.argmax(axis=1) == want.argmax(axis=1)).mean()
            line(distance < 0.7, f"{name}: INT8 against float, error {distance:.2f} of what varies over the inputs, same answer {100 * same:.0f} %")
        except RuntimeError as error:
            line(False, f"{name}: {error}")
    return failed


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("names", nargs="*", metavar="NAME")
    ap.add_argument("--image", type=int, default=224)
    ap.add_argument("--bn", action="store_true", help="keep BatchNormalization nodes")
    ap.add_argument("--batch", type=int, help="a fixed batch instead of N")
    ap.add_argument("--out", type=Path, default=Path("."))
    ap.add_argument("--check", nargs="?", const="", metavar="OCTAVO")
    args = ap.parse_args()
    unknown = [n for n in args.names if n not in ZOO]
    if unknown:
        ap.error(f"no model '{unknown[0]}': {' '.join(ZOO)}")
    if args.check is not None:
        return check(args.names or list(ZOO), args.image, args.check) != 0
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or ZOO:
        print(f"{args.out / name}.onnx: {make(name, args.out / f'{name}.onnx', args.image, args.bn, args.batch):,} parameters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
