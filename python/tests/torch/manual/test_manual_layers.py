"""Quantized layers of octavo.torch.nn against torch.nn on tensors quantized by NumPy."""

import copy
import pickle

import manual_reference as reference
import numpy as np
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch.nn.modules import _utils  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402

WEIGHTED = {
    "Conv1d": ((4, 6, 3), (2, 4, 9), F.conv1d, 0),
    "Conv2d": ((4, 6, 3), (2, 4, 9, 8), F.conv2d, 0),
    "Conv3d": ((4, 6, 3), (2, 4, 5, 6, 7), F.conv3d, 0),
    "ConvTranspose1d": ((4, 6, 3), (2, 4, 9), F.conv_transpose1d, 1),
    "ConvTranspose2d": ((4, 6, 3), (2, 4, 5, 6), F.conv_transpose2d, 1),
    "ConvTranspose3d": ((4, 6, 3), (2, 4, 3, 4, 5), F.conv_transpose3d, 1),
    "Linear": ((4, 6), (5, 4), F.linear, 0),
}
INPUT_ONLY = {
    **{f"MaxPool{d}d": ((2,), d) for d in (1, 2, 3)},
    **{f"AvgPool{d}d": ((2,), d) for d in (1, 2, 3)},
    **{f"AdaptiveAvgPool{d}d": ((3,), d) for d in (1, 2, 3)},
    **{f"InstanceNorm{d}d": ((4,), d) for d in (1, 2, 3)},
}


def rand(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def quantized_weight(weight, axis):
    array = weight.detach().numpy()
    amax = np.abs(array).max(axis=tuple(i for i in range(array.ndim) if i != axis), keepdims=True)
    return torch.from_numpy(reference.fake_quant(array, amax, narrow=False))


def quantized_input(x):
    return torch.from_numpy(reference.fake_quant(x.numpy(), x.abs().max().item(), narrow=False))


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("bias", [True, False])
def test_weighted__defaults__equal_float_op_on_quantized_tensors(name, bias):
    args, shape, op, axis = WEIGHTED[name]
    layer, x = getattr(quant_nn, f"Quant{name}")(*args, bias=bias), rand(0, *shape)
    assert layer.weight_quantizer.axis == axis and layer.input_quantizer.axis is None
    expected = op(quantized_input(x), quantized_weight(layer.weight, axis), layer.bias)
    assert torch.equal(layer(x), expected)
    assert isinstance(layer, getattr(torch.nn, name)) and getattr(quant_nn, name) is type(layer)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted__quantizers_disabled__equal_torch(name):
    args, shape, _, _ = WEIGHTED[name]
    layer, plain = getattr(quant_nn, f"Quant{name}")(*args), getattr(torch.nn, name)(*args)
    plain.load_state_dict(layer.state_dict())
    layer.input_quantizer.disable()
    layer.weight_quantizer.disable()
    assert torch.equal(layer(rand(1, *shape)), plain(rand(1, *shape)))


@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted__descriptors__by_keyword_and_class_default(name):
    args, shape, op, axis = WEIGHTED[name]
    cls = getattr(quant_nn, f"Quant{name}")
    desc_input, desc_weight = QuantDescriptor(num_bits=4, amax=1.5), QuantDescriptor(num_bits=6, narrow_range=True)
    layer, x = cls(*args, quant_desc_input=desc_input, quant_desc_weight=desc_weight), rand(2, *shape)
    weight = layer.weight.detach().numpy()
    expected = op(
        torch.from_numpy(reference.fake_quant(x.numpy(), 1.5, 4, False, False)),
        torch.from_numpy(reference.fake_quant(weight, np.abs(weight).max(), 6)), layer.bias,
    )  # fmt: skip
    assert torch.equal(layer(x), expected)
    before = cls.default_quant_desc_input, cls.default_quant_desc_weight
    try:
        cls.set_default_quant_desc_input(desc_input)
        cls.set_default_quant_desc_weight(desc_weight)
        assert (cls(*args).input_quantizer.num_bits, cls(*args).weight_quantizer.num_bits) == (4, 6)
        assert cls.default_quant_desc_input is not desc_input and quant_nn.QuantAvgPool2d(2).input_quantizer.num_bits == 8
    finally:
        cls.default_quant_desc_input, cls.default_quant_desc_weight = before


@pytest.mark.parametrize("name", list(WEIGHTED) + list(INPUT_ONLY))
def test_constructor__bad_arguments__raise(name):
    cls = getattr(quant_nn, f"Quant{name}")
    args = (WEIGHTED.get(name) or INPUT_ONLY[name])[0]
    with pytest.raises(TypeError, match="oops"):
        cls(*args, oops=1)
    with pytest.raises(ValueError, match="Only fake quantization"):
        cls(*args, quant_desc_input=QuantDescriptor(fake_quant=False))
    for setter in ("set_default_quant_desc_input", "set_default_quant_desc_weight"):
        if hasattr(cls, setter):
            with pytest.raises(ValueError, match="not an instance of QuantDescriptor"):
                getattr(cls, setter)("int8")
    with pytest.raises(TypeError, match="__init__"):
        cls(*args).init_quantizer(QuantDescriptor(), *[QuantDescriptor()] * (name in WEIGHTED))


@pytest.mark.parametrize("name", INPUT_ONLY)
def test_input_only__equal_float_module_on_quantized_input(name):
    args, dims = INPUT_ONLY[name]
    layer, x = getattr(quant_nn, f"Quant{name}")(*args), rand(3, 2, 4, *[7, 6, 5][:dims])
    assert torch.equal(layer(x), getattr(torch.nn, name)(*args)(quantized_input(x)))
    assert not torch.equal(layer(x), getattr(torch.nn, name)(*args)(x))
    layer.input_quantizer.disable()
    assert torch.equal(layer(x), getattr(torch.nn, name)(*args)(x))
    assert getattr(quant_nn, name) is type(layer)
    cls, before = type(layer), type(layer).default_quant_desc_input
    try:
        cls.set_default_quant_desc_input(QuantDescriptor(num_bits=3))
        assert cls(*args).input_quantizer.num_bits == 3
    finally:
        cls.default_quant_desc_input = before


@pytest.mark.parametrize(
    "keys",
    [
        dict(stride=2, padding=1), dict(padding="same", dilation=2), dict(padding=2, padding_mode="circular"),
        dict(padding=1, padding_mode="reflect"),
        dict(groups=2), dict(kernel_size=(3, 1), padding=(1, 0)), dict(dtype=torch.float32, device="cpu"),
    ],
)  # fmt: skip
def test_conv2d__arguments_of_torch__work(keys):
    keys = {"kernel_size": 3, **keys}
    layer, plain, x = quant_nn.QuantConv2d(4, 6, **keys), torch.nn.Conv2d(4, 6, **keys), rand(4, 2, 4, 9, 8)
    plain.weight, plain.bias = torch.nn.Parameter(quantized_weight(layer.weight, 0)), layer.bias
    assert torch.equal(layer(x), plain(quantized_input(x)))


def test_conv_transpose2d__output_size_and_padding_mode():
    layer, x = quant_nn.QuantConvTranspose2d(4, 6, 3, stride=2, padding=1, dilation=2), rand(5, 2, 4, 5, 6)
    plain = torch.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, dilation=2)
    plain.weight, plain.bias = torch.nn.Parameter(quantized_weight(layer.weight, 1)), layer.bias
    for size in (None, (12, 13), (11, 14)):
        assert torch.equal(layer(x, output_size=size), plain(quantized_input(x), output_size=size))
    layer.padding_mode = "circular"
    with pytest.raises(ValueError, match="Only `zeros` padding mode is supported for QuantConvTranspose2d"):
        layer(x)


def test_maxpool__indices__are_returned():
    x = rand(6, 1, 2, 6, 6)
    y, index = quant_nn.QuantMaxPool2d(2, return_indices=True)(x)
    expected, expected_index = F.max_pool2d(quantized_input(x), 2, return_indices=True)
    assert torch.equal(y, expected) and torch.equal(index, expected_index)


def test_conv2d__gradients__are_straight_through():
    layer = quant_nn.QuantConv2d(3, 5, 3, quant_desc_input=QuantDescriptor(amax=1.0))
    x = rand(7, 2, 3, 6, 6).requires_grad_()
    layer(x).square().sum().backward()
    x_q, w_q = torch.from_numpy(reference.fake_quant(x.detach().numpy(), 1.0, narrow=False)), quantized_weight(layer.weight, 0)
    x_q.requires_grad_(), w_q.requires_grad_()
    F.conv2d(x_q, w_q, layer.bias.detach()).square().sum().backward()
    inside = (x.abs() <= 1).float()
    np.testing.assert_allclose(x.grad.numpy(), (x_q.grad * inside).numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer.weight.grad.numpy(), w_q.grad.numpy(), rtol=1e-5, atol=1e-5)
    assert layer.bias.grad is not None


def test_copies__state_and_pickle__behave_alike():
    layer, x = quant_nn.QuantConv2d(3, 4, 3), rand(8, 2, 3, 6, 6)
    layer.input_quantizer.amax = 1.3
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(copied(x), layer(x)) and repr(copied) == repr(layer)
    other = quant_nn.QuantConv2d(3, 4, 3)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x)) and other.input_quantizer.amax == np.float32(1.3)
    assert set(layer.state_dict()) == {"weight", "bias", "_input_quantizer._amax"}


def test_mixins__custom_modules_by_the_documented_pattern():
    class QuantAdd(torch.nn.Module, quant_nn.QuantInputMixin):
        def __init__(self, **kwargs):
            super().__init__()
            self.init_quantizer(_utils.pop_quant_desc_in_kwargs(self.__class__, input_only=True, **kwargs))

        def forward(self, a, b):
            return self._input_quantizer(a) + self._input_quantizer(b)

    class QuantScale(torch.nn.Module, quant_nn.QuantMixin):
        def __init__(self, size, **kwargs):
            super().__init__()
            self.weight = torch.nn.Parameter(rand(9, size))
            self.init_quantizer(*_utils.pop_quant_desc_in_kwargs(self.__class__, **kwargs))

        def forward(self, x):
            return self._input_quantizer(x) * self._weight_quantizer(self.weight)

    a, b = rand(10, 6), rand(11, 6)
    assert torch.equal(QuantAdd()(a, b), quantized_input(a) + quantized_input(b))
    module = QuantScale(6, quant_desc_weight=QuantDescriptor(num_bits=5))
    weight = reference.fake_quant(module.weight.detach().numpy(), module.weight.abs().max().item(), 5, narrow=False)
    assert torch.equal(module(a), quantized_input(a) * torch.from_numpy(weight))
    assert module.quantized_weights()[0][1][0] is module.weight
    with pytest.raises(TypeError, match="Unused keys"):
        QuantAdd(quant_desc_weight=QuantDescriptor())
    with pytest.raises(TypeError, match="Unused keys"):
        QuantScale(3, oops=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted__gpu__close_to_cpu(name):
    args, shape, _, _ = WEIGHTED[name]
    layer, x = getattr(quant_nn, f"Quant{name}")(*args), rand(12, *shape)
    expected = layer(x)
    assert torch.allclose(layer.cuda()(x.cuda()).cpu(), expected, atol=1e-4)
