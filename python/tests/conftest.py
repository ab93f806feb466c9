"""Small models, made here so that the tests need no download."""
from __future__ import annotations

import pathlib

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def conv_net(batch="N", classes=4, size=8, seed=0):
    """Conv, Relu, Conv, residual Add, global pool, Gemm on 3 x size x size."""
    random = np.random.default_rng(seed)

    def weight(name, *shape):
        return numpy_helper.from_array((random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "conv0", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c1", "r0"], ["a"], "add"),
        helper.make_node("Relu", ["a"], ["r1"], "relu1"),
        helper.make_node("GlobalAveragePool", ["r1"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], "fc", transB=1),
    ]
    weights = [weight("w0", 8, 3, 3, 3), weight("b0", 8), weight("w1", 8, 8, 3, 3), weight("b1", 8), weight("w2", classes, 8), weight("b2", classes)]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, classes])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def reference(model, x):
    """The net in NumPy, by its own formula."""
    w = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}

    def conv(x, weight, bias):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]

    r0 = np.maximum(conv(x.astype(np.float64), w["w0"], w["b0"]), 0)
    r1 = np.maximum(conv(r0, w["w1"], w["b1"]) + r0, 0)
    return r1.mean((2, 3)) @ w["w2"].T + w["b2"]


@pytest.fixture(scope="session")
def net():
    return conv_net()


@pytest.fixture(scope="session")
def net_path(tmp_path_factory, net):
    path = tmp_path_factory.mktemp("models") / "net.onnx"
    onnx.save(net, path)
    return path


@pytest.fixture(scope="session")
def samples():
    """64 images and the labels that the net itself gives them."""
    x = np.random.default_rng(1).standard_normal((64, 3, 8, 8)).astype(np.float32)
    return x, reference(conv_net(), x).argmax(1)


@pytest.fixture
def shared():
    """The folder of shared models and data; tests that need it are skipped where it is not."""
    for folder in pathlib.Path(__file__).resolve().parents:
        if (folder / "shared" / "models").is_dir():
            return folder / "shared"
    pytest.skip("the shared models are not here")
