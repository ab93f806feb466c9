"""ONNX export of manually quantized modules through both exporters, run by ONNX Runtime with its optimizer off."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("octavo.torch._fake_quant")
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch import quant_modules  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402

EXPORTERS = [
    pytest.param(dict(dynamo=False, opset_version=13), id="torchscript-13"),
    pytest.param(dict(dynamo=False, opset_version=20), id="torchscript-20"),
    pytest.param(dict(dynamo=True, opset_version=18), id="dynamo-18"),
    pytest.param(dict(dynamo=True, opset_version=23), id="dynamo-23"),
]
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)


def export(model, x, path, **options):
    if options["dynamo"]:
        pytest.importorskip("onnxscript")
        options["verbose"] = False
    torch.onnx.export(model, (x,), str(path), input_names=["x"], output_names=["y"], **options)
    graph = onnx.load(str(path))
    onnx.checker.check_model(graph)
    return graph


def run(path, x):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(["y"], {"x": x.numpy()})[0]


def constants(graph):
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    return values


def scales(graph):
    """Scale of every QuantizeLinear, in graph order."""
    values = constants(graph)
    return [values[node.input[1]].reshape(-1) for node in graph.graph.node if node.op_type == "QuantizeLinear"]


def calibrated(model, x):
    quantizers = [module for module in model.modules() if isinstance(module, quant_nn.TensorQuantizer)]
    for quantizer in quantizers:
        quantizer.enable_calib()
        quantizer.disable_quant()
    with torch.no_grad():
        model(x)
    for quantizer in quantizers:
        quantizer.load_calib_amax()
        quantizer.disable_calib()
        quantizer.enable_quant()
    return model


def convolutional():
    torch.manual_seed(0)
    with quant_modules.initialize():
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3),
            torch.nn.ReLU(),
            torch.nn.ConvTranspose2d(8, 6, 3),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(6, 4),
        ).eval()


@pytest.mark.parametrize("options", EXPORTERS)
def test_export__convolutional_model__equals_pytorch(tmp_path, options):
    x = torch.randn(4, 3, 8, 8)
    model = calibrated(convolutional(), x)
    graph = export(model, x, tmp_path / "m.onnx", **options)
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == 7
    assert not {"Div", "Where", "Round"} & set(kinds)  # scales are constants, nothing of the simulation is left
    expected = [model[0].input_quantizer, model[0].weight_quantizer, model[2].input_quantizer, model[2].weight_quantizer]
    found = sorted(scales(graph), key=lambda scale: scale.sum())
    for quantizer in expected:
        step = quantizer.step_size.numpy().reshape(-1)
        assert any(step.shape == scale.shape and np.array_equal(step, scale) for scale in found)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), model(x).detach().numpy(), atol=1e-5)


class Side(torch.nn.Module):
    """Several quantizers of one input, results side by side."""

    def __init__(self, *descriptors):
        super().__init__()
        self.quantizers = torch.nn.ModuleList(quant_nn.TensorQuantizer(desc) for desc in descriptors)

    def forward(self, x):
        return torch.cat([quantizer(x) for quantizer in self.quantizers], dim=1)


@pytest.mark.parametrize("options", EXPORTERS)
def test_export__kinds_of_quantizers__same_values(tmp_path, options):
    model = Side(
        QuantDescriptor(amax=1.0),
        QuantDescriptor(amax=1.0, narrow_range=True),
        QuantDescriptor(num_bits=4, amax=1.0),
        QuantDescriptor(axis=1, amax=np.float32([[0.5, 1.0, 2.0]])),
        QuantDescriptor(learn_amax=True, amax=0.7),
        QuantDescriptor(learn_amax=True, amax=0.4),
        QuantDescriptor(amax=1.0, scale_amax=0.5),
    ).eval()
    x = 1.5 * torch.randn(40, 3)
    export(model, x, tmp_path / "m.onnx", **options)
    np.testing.assert_array_equal(run(tmp_path / "m.onnx", x), model(x).detach().numpy())
    model = Side(QuantDescriptor(amax=1.0, unsigned=True), QuantDescriptor(amax=0.0))
    export(model, torch.zeros(40, 3), tmp_path / "m.onnx", **options)
    y = run(tmp_path / "m.onnx", x.abs() * torch.tensor([1.0, 1.0, 0.1]))
    np.testing.assert_array_equal(y[:, :3], model.quantizers[0](x.abs() * torch.tensor([1.0, 1.0, 0.1])).numpy())


@pytest.mark.parametrize("options", EXPORTERS[:1] + EXPORTERS[2:3])
def test_export__half_input__is_computed_in_fp32(tmp_path, options):
    model, x = (
        Side(QuantDescriptor(amax=1.0), QuantDescriptor(axis=1, amax=np.float32([[0.5, 1.0, 2.0]]))).half(),
        torch.randn(40, 3).half(),
    )
    export(model, x, tmp_path / "m.onnx", **options)
    np.testing.assert_array_equal(run(tmp_path / "m.onnx", x), model(x).numpy())


@pytest.mark.parametrize("options", EXPORTERS[:1] + EXPORTERS[2:3])
def test_export__lstm__equals_pytorch(tmp_path, options):
    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = quant_nn.QuantLSTM(4, 5, bidirectional=True)

        def forward(self, x):
            return self.lstm(x)[0]

    x = torch.randn(3, 2, 4)
    model = calibrated(Last().eval(), x)
    export(model, x, tmp_path / "m.onnx", **options)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), model(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("options", EXPORTERS[:1] + EXPORTERS[2:3])
def test_export__dynamic_batch__other_sizes_run(tmp_path, options):
    x = torch.randn(4, 3, 8, 8)
    model = calibrated(convolutional(), x)
    batch = dict(dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    if options["dynamo"]:
        batch = dict(dynamic_shapes={"input": {0: torch.export.Dim("n")}})
    export(model, x, tmp_path / "m.onnx", **options, **batch)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x[:3]), model(x[:3]).detach().numpy(), atol=1e-5)


def test_export__several_axes_and_float_formats__raise(tmp_path):
    x = torch.randn(3, 4, 5)
    with quant_modules.enable_onnx_export():
        with pytest.raises(TypeError, match="several axes"):
            quant_nn.TensorQuantizer(QuantDescriptor(axis=(0, 1)))(x)
        for num_bits in (0, 9, 16):
            with pytest.raises(NotImplementedError, match=f"{num_bits} bits has no ONNX export"):
                quant_nn.TensorQuantizer(QuantDescriptor(num_bits=num_bits))(x)
        with pytest.raises(NotImplementedError, match="E4M3"):
            quant_nn.TensorQuantizer(QuantDescriptor(num_bits=(4, 3)))(x)


def test_enable_onnx_export__eager_values__are_the_same():
    x = torch.randn(30, 3)
    for keys in (dict(amax=1.0), dict(axis=1), dict(), dict(num_bits=5, amax=1.0, narrow_range=True)):
        quantizer = quant_nn.TensorQuantizer(QuantDescriptor(**keys))
        expected = quantizer(x)
        with quant_modules.enable_onnx_export():
            assert torch.equal(quantizer(x), expected)
