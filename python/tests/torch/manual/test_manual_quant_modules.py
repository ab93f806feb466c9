"""octavo.torch.quant_modules: replacement in torch.nn, conversion of existing models, restoration."""

import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch import quant_modules  # noqa: E402
from octavo.torch.nn.modules import _utils  # noqa: E402
from octavo.torch.quant_modules import QuantModuleReplacementHelper  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402

NAMES = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear", "LSTM", "LSTMCell",
    "AvgPool1d", "AvgPool2d", "AvgPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
]  # fmt: skip
FLOAT = {name: getattr(torch.nn, name) for name in dir(torch.nn) if isinstance(getattr(torch.nn, name), type)}


@pytest.fixture(autouse=True)
def torch_nn_is_restored():
    yield
    changed = [name for name, cls in FLOAT.items() if getattr(torch.nn, name) is not cls]
    quant_modules.deactivate()
    assert changed == []


def small_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )


def test_initialize__replaces_the_documented_fifteen():
    quant_modules.initialize()
    replaced = [name for name, cls in FLOAT.items() if getattr(torch.nn, name) is not cls]
    assert sorted(replaced) == sorted(NAMES)
    for name in NAMES:
        assert getattr(torch.nn, name) is getattr(quant_nn, f"Quant{name}")
    model = small_model()
    assert isinstance(model[0], quant_nn.QuantConv2d) and isinstance(model[5], quant_nn.QuantLinear)
    quant_modules.deactivate()
    assert type(small_model()[0]) is FLOAT["Conv2d"]


def test_initialize__float_list_and_custom__custom_wins():
    class MyConv(quant_nn.QuantConv2d):
        pass

    home = types.SimpleNamespace(Block=object)
    custom = [(torch.nn, "Conv2d", MyConv), (home, "Block", int), (torch.nn, "MaxPool2d", quant_nn.QuantMaxPool2d)]
    quant_modules.initialize(["Linear", "Conv2d", "LSTM"], custom)
    assert torch.nn.Linear is FLOAT["Linear"] and torch.nn.LSTM is FLOAT["LSTM"]
    assert torch.nn.Conv2d is MyConv and home.Block is int and torch.nn.MaxPool2d is quant_nn.QuantMaxPool2d
    assert torch.nn.Conv1d is quant_nn.QuantConv1d
    quant_modules.deactivate()
    assert home.Block is object


def test_initialize__repeated_calls__accumulate_and_restore_the_originals():
    quant_modules.initialize(["Linear"])
    assert torch.nn.Linear is FLOAT["Linear"]
    quant_modules.initialize()
    assert torch.nn.Linear is quant_nn.QuantLinear
    quant_modules.initialize(["Conv2d"])
    assert torch.nn.Conv2d is quant_nn.QuantConv2d
    quant_modules.deactivate()
    quant_modules.deactivate()
    assert torch.nn.Linear is FLOAT["Linear"] and torch.nn.Conv2d is FLOAT["Conv2d"]
    quant_modules.initialize(["Linear"])
    assert torch.nn.Linear is FLOAT["Linear"]
    quant_modules.deactivate()


def test_initialize__as_context_manager__restores_on_exceptions():
    with pytest.raises(RuntimeError, match="inside"):
        with quant_modules.initialize():
            assert torch.nn.Conv2d is quant_nn.QuantConv2d
            raise RuntimeError("inside")
    assert torch.nn.Conv2d is FLOAT["Conv2d"]


def test_initialize__a_replacement_fails__nothing_is_left_behind():
    class Sealed:
        Layer = 1

        def __setattr__(self, name, value):
            raise PermissionError(name)

    with pytest.raises(PermissionError):
        quant_modules.initialize(custom_quant_modules=[(Sealed(), "Layer", 2)])
    assert torch.nn.Conv2d is FLOAT["Conv2d"]
    with pytest.raises(AttributeError, match="NoSuchLayer"):
        quant_modules.initialize(custom_quant_modules=[(torch.nn, "NoSuchLayer", quant_nn.QuantLinear)])
    quant_modules.deactivate()


def test_helper__three_steps():
    helper = QuantModuleReplacementHelper()
    helper.prepare_state(["Linear"], [(torch.nn, "Linear", quant_nn.QuantLinear)])
    assert torch.nn.Linear is FLOAT["Linear"] and len(helper.default_quant_map) == len(helper.quant_map) == 15
    helper.apply_quant_modules()
    assert type(torch.nn.Linear(2, 2)) is quant_nn.QuantLinear
    helper.restore_float_modules()
    assert torch.nn.Linear is FLOAT["Linear"] and helper.orginal_func_map == {}


def test_enable_onnx_export__switch_is_restored():
    assert quant_nn.TensorQuantizer._enable_onnx_export is False
    with pytest.raises(RuntimeError, match="inside"):
        with quant_modules.enable_onnx_export():
            assert quant_nn.TensorQuantizer._enable_onnx_export is True
            raise RuntimeError("inside")
    assert quant_nn.TensorQuantizer._enable_onnx_export is False


def test_initialize__equals_float_model_quantized_by_convert():
    with quant_modules.initialize():
        built = small_model()
    converted = small_model()
    assert quant_modules.convert(converted) is converted
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(built.eval()(x), converted.eval()(x))
    assert repr(built) == repr(converted)


def test_convert__keeps_parameters_hooks_mode_and_sharing():
    shared = torch.nn.Linear(4, 4)
    model = torch.nn.Sequential(shared, torch.nn.ReLU(), shared).eval()
    weight, seen = shared.weight, []
    shared.register_forward_hook(lambda *args: seen.append(1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    quant_modules.convert(model)
    assert model[0] is model[2] is shared and type(shared) is quant_nn.QuantLinear and shared.weight is weight
    assert not shared.input_quantizer.training
    model(torch.randn(3, 4)).sum().backward()
    assert len(seen) == 2 and optimizer.param_groups[0]["params"][0].grad is not None
    assert type(torch.nn.Linear(2, 2)) is FLOAT["Linear"]


def test_convert__root_module_selection_and_descriptors():
    layer = quant_modules.convert(
        torch.nn.Linear(3, 2), quant_desc_input=QuantDescriptor(num_bits=4), quant_desc_weight=QuantDescriptor(num_bits=6)
    )
    assert (layer.input_quantizer.num_bits, layer.weight_quantizer.num_bits) == (4, 6)
    model = quant_modules.convert(small_model(), ["Linear", "AdaptiveAvgPool2d"], [(torch.nn, "ReLU", QuantReLU)])
    assert (
        type(model[0]) is quant_nn.QuantConv2d
        and type(model[5]) is FLOAT["Linear"]
        and type(model[3]) is FLOAT["AdaptiveAvgPool2d"]
    )
    assert type(model[2]) is QuantReLU and (model[2](torch.tensor([-1.0, 1.0])) == torch.tensor([0.0, 1.0])).all()


class QuantReLU(quant_nn.QuantInputMixin, torch.nn.ReLU):
    """A custom class `convert` can use."""

    def forward(self, input):
        return super().forward(self._input_quantizer(input))


def test_convert__while_initialized__finds_the_float_modules():
    model = small_model()
    with quant_modules.initialize():
        quant_modules.convert(model)
    assert type(model[0]) is quant_nn.QuantConv2d


def test_convert__lstm_and_cells():
    model = torch.nn.ModuleList([torch.nn.LSTM(3, 2, num_layers=2, bidirectional=True), torch.nn.LSTMCell(3, 2)])
    quant_modules.convert(model)
    assert len(model[0]._input_quantizers) == 4
    assert torch.isfinite(model[0](torch.randn(4, 1, 3))[0]).all() and torch.isfinite(model[1](torch.randn(1, 3))[0]).all()


def test_convert__what_does_not_fit__raises_and_changes_nothing():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
    with pytest.raises(TypeError, match="module '1'.*QuantConv2d must derive from ReLU"):
        quant_modules.convert(model, custom_quant_modules=[(torch.nn, "ReLU", quant_nn.QuantConv2d)])
    assert type(model[0]) is FLOAT["Linear"]
    with pytest.raises(ValueError, match="module 'lstm': proj_size"):
        quant_modules.convert(torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 4, proj_size=2)}))


def test_convert__transformer_layer__fast_path_does_not_skip_quantizers():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        before = layer(x)
        quant_modules.convert(layer, quant_desc_input=QuantDescriptor(num_bits=3))
        after = layer(x)
    assert type(layer.linear1) is quant_nn.QuantLinear and type(layer.self_attn.out_proj) is not quant_nn.QuantLinear
    assert (before - after).abs().max() > 1e-3


def test_default_map__scripts_that_convert_by_hand__work():
    """The pattern many ported scripts have: a new object of the quantized class with the float module's attributes."""

    def transfer(module, quant_class):
        quant = quant_class.__new__(quant_class)
        for name, value in vars(module).items():
            setattr(quant, name, value)

        def __init__(self):
            if isinstance(self, _utils.QuantInputMixin):
                self.init_quantizer(_utils.pop_quant_desc_in_kwargs(self.__class__, input_only=True))
            else:
                self.init_quantizer(*_utils.pop_quant_desc_in_kwargs(self.__class__))

        __init__(quant)
        return quant

    model, x = small_model().eval(), torch.randn(2, 3, 8, 8)
    classes = {getattr(entry.orig_mod, entry.mod_name): entry.replace_mod for entry in quant_modules._DEFAULT_QUANT_MAP}
    for index, module in enumerate(model):
        if type(module) in classes:
            model[index] = transfer(module, classes[type(module)])
    assert torch.equal(model(x), quant_modules.convert(small_model().eval())(x))


def test_revert__gives_the_float_model_back():
    model = small_model().eval()
    x = torch.randn(2, 3, 8, 8)
    expected, text, keys = model(x), repr(model), list(model.state_dict())
    quant_modules.convert(model, custom_quant_modules=[(torch.nn, "ReLU", QuantReLU)])
    assert not torch.equal(model(x), expected)
    assert quant_modules.revert(model) is model
    assert torch.equal(model(x), expected) and repr(model) == text and list(model.state_dict()) == keys
    assert type(quant_modules.revert(quant_nn.QuantConv2d(3, 4, 3))) is FLOAT["Conv2d"]
    np.testing.assert_array_equal(quant_modules.revert(quant_nn.QuantAvgPool2d(2))(torch.ones(1, 1, 2, 2)).numpy(), [[[[1.0]]]])
