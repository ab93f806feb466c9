"""ONNX's backend interface, and the official suite of node tests on it (onnx_backend_skips.tsv says what is left out, and why)."""
import pathlib
import re
import unittest

import numpy as np
import onnx
import onnx.backend.test
import pytest
from conftest import conv_net, reference
from onnx import helper

import octavo
import octavo.backend

LIST = pathlib.Path(__file__).with_name("onnx_backend_skips.tsv").read_text().splitlines()
KNOWN_RELEASE = LIST[0].removeprefix("# onnx ") == onnx.__version__


def test_prepare_and_run(samples):
    x = samples[0][:3]
    rep = octavo.backend.prepare(conv_net(), "CPU", threads=1)
    expected = reference(conv_net(), x)
    for outputs in (rep.run([x]), rep.run({"x": x}), rep.run(x), octavo.backend.run_model(conv_net(), [x])):
        np.testing.assert_allclose(outputs.y, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(octavo.UsageError, match="1 inputs, 2"):
        rep.run([x, x])


def test_devices_and_compatibility():
    assert octavo.backend.supports_device("CPU") and octavo.backend.supports_device("CPU:0") and not octavo.backend.supports_device("CUDA")
    with pytest.raises(octavo.UsageError, match="CUDA"):
        octavo.backend.prepare(conv_net(), "CUDA")
    assert octavo.backend.is_compatible(conv_net())
    odd = conv_net()
    odd.graph.node[0].op_type = "Odd"
    assert not octavo.backend.is_compatible(odd)


def test_run_node():
    a, b = np.float32([[1, 2], [3, 4]]), np.float32([10, 20])
    (y,) = octavo.backend.run_node(helper.make_node("Add", ["a", "b"], ["y"]), [a, b], opset_version=17)
    np.testing.assert_array_equal(y, a + b)


def test_contents_of_an_input_may_give_shapes():
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", 1, [2, 6]), helper.make_tensor_value_info("s", 7, [2])], [helper.make_tensor_value_info("y", 1, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    rep = octavo.backend.prepare(model)
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    for shape in ([3, 4], [4, 3], [3, 4]):
        np.testing.assert_array_equal(rep.run([x, np.int64(shape)]).y, x.reshape(shape))
    with pytest.raises(octavo.OctavoError):
        rep.run([x, np.int64([5, 5])])


class _Suite(octavo.backend.OctavoBackend):
    """For another release of onnx than the list's: what is not supported is left out instead of failing."""

    @classmethod
    def prepare(cls, model, device="CPU", **options):
        try:
            return super().prepare(model, device, **options)
        except octavo.UnsupportedError as error:
            if KNOWN_RELEASE:
                raise
            raise unittest.SkipTest(str(error)) from None


suite = onnx.backend.test.BackendTest(_Suite, __name__)
suite.include("test_.*_cpu$")
for line in LIST[1:]:
    suite.exclude(f"^{re.escape(line.partition(chr(9))[0])}_cpu$")
# Whole networks are downloaded, and those converted from PyTorch are of an opset before 7.
NodeTest = suite.test_cases["OnnxBackendNodeModelTest"]
for name in [name for name in dir(NodeTest) if name.endswith("_cuda")]:
    delattr(NodeTest, name)
