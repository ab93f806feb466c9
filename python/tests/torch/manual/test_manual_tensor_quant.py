"""octavo.torch.tensor_quant: descriptors, presets and the quantization functions."""

import copy
import pickle

import manual_reference as reference
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from octavo.torch import tensor_quant  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor, ScaledQuantDescriptor  # noqa: E402


def random_tensor(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_descriptor__defaults__are_the_documented_ones():
    desc = QuantDescriptor()
    assert QuantDescriptor is ScaledQuantDescriptor
    assert (desc.num_bits, desc.name, desc.fake_quant, desc.axis, desc.amax) == (8, None, True, None, None)
    assert (desc.learn_amax, desc.scale_amax, desc.calib_method) == (False, None, "max")
    assert (desc.unsigned, desc.narrow_range) == (False, False)
    assert desc.dict() == {"num_bits": 8, "name": None}


@pytest.mark.parametrize(
    "keys",
    [
        dict(num_bits=2, name="a", axis=(1, 2), amax=3.1415926536),
        dict(num_bits=4, axis=0, unsigned=True, narrow_range=True, calib_method="histogram"),
        dict(amax=[1.0, 2.0, 3.0], fake_quant=False, scale_amax=0.9),
        dict(amax=np.arange(6.0).reshape(2, 3)),
        dict(learn_amax=True, amax=0.5),
        dict(num_bits=(4, 3)),
    ],
)
def test_descriptor__dict_and_yaml__restore_an_equal_one(keys):
    desc = QuantDescriptor(**keys)
    assert QuantDescriptor(**desc.dict()) == desc
    assert QuantDescriptor.from_yaml(desc.to_yaml()) == desc
    assert copy.deepcopy(desc) == desc and pickle.loads(pickle.dumps(desc)) == desc
    assert desc != QuantDescriptor(num_bits=5)


def test_descriptor__equality__sees_every_key():
    variants = [
        dict(num_bits=4), dict(name="x"), dict(fake_quant=False), dict(axis=0), dict(amax=1.0), dict(amax=[1.0, 2.0]),
        dict(learn_amax=True),
        dict(scale_amax=0.5), dict(calib_method="histogram"), dict(unsigned=True), dict(narrow_range=True),
    ]  # fmt: skip
    descs = [QuantDescriptor()] + [QuantDescriptor(**keys) for keys in variants]
    for i, left in enumerate(descs):
        for j, right in enumerate(descs):
            assert (left == right) == (i == j)
    assert QuantDescriptor() != 8


def test_descriptor__amax__becomes_fp32_array():
    assert QuantDescriptor(amax=0.1).amax.dtype == np.float32
    np.testing.assert_array_equal(QuantDescriptor(amax=[0.1, 0.2]).amax, np.float32([0.1, 0.2]))


@pytest.mark.parametrize(
    "keys, error, text",
    [
        (dict(num_bits=-1), ValueError, "num_bits"),
        (dict(num_bits=8.0), TypeError, "num_bits"),
        (dict(num_bits=(5, 2)), TypeError, r"\(4, 3\)"),
        (dict(name=3), TypeError, "name"),
        (dict(amax="oops"), TypeError, "amax must be float, list or ndarray"),
        (dict(learn_amax=True, axis=0), TypeError, "axis"),
        (dict(oops=1), TypeError, "oops"),
    ],
)
def test_descriptor__bad_keys__raise(keys, error, text):
    with pytest.raises(error, match=text):
        QuantDescriptor(**keys)


def test_descriptor__assignment__is_refused():
    with pytest.raises(AttributeError):
        QuantDescriptor().num_bits = 4


def test_descriptor__str__names_what_differs():
    assert str(QuantDescriptor()) == "QuantDescriptor(8bit fake per-tensor)"
    text = str(QuantDescriptor(num_bits=4, name="w", axis=0, unsigned=True, fake_quant=False, amax=0.5, narrow_range=True))
    for part in ("w: (unsigned 4bit real axis=0", "amax=0.5", "narrow_range"):
        assert part in text
    assert "learn_amax" in str(QuantDescriptor(learn_amax=True)) and "scale_amax=0.5" in str(QuantDescriptor(scale_amax=0.5))


def test_presets__bits_and_axis():
    axes = {
        "8BIT_PER_TENSOR": None, "UNSIGNED_8BIT_PER_TENSOR": None, "8BIT_LINEAR_WEIGHT_PER_ROW": 0,
        "8BIT_CONV1D_WEIGHT_PER_CHANNEL": 0, "8BIT_CONV2D_WEIGHT_PER_CHANNEL": 0, "8BIT_CONV3D_WEIGHT_PER_CHANNEL": 0,
        "8BIT_CONVTRANSPOSE1D_WEIGHT_PER_CHANNEL": 1, "8BIT_CONVTRANSPOSE2D_WEIGHT_PER_CHANNEL": 1,
        "8BIT_CONVTRANSPOSE3D_WEIGHT_PER_CHANNEL": 1,
    }  # fmt: skip
    for name, axis in axes.items():
        desc = getattr(tensor_quant, f"QUANT_DESC_{name}")
        assert (desc.num_bits, desc.axis, desc.unsigned) == (8, axis, "UNSIGNED" in name)


@pytest.mark.parametrize("num_bits", [2, 4, 7, 8, 16])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("amax", [0.3, 1.7, 5.0])
def test_fake_tensor_quant__per_tensor__equals_numpy(num_bits, narrow, amax):
    x = random_tensor(1, 41, 17)
    for function in (tensor_quant.fake_tensor_quant, tensor_quant.legacy_fake_tensor_quant):
        y = function(x, torch.tensor(amax), num_bits, False, narrow)
        np.testing.assert_array_equal(y.numpy(), reference.fake_quant(x.numpy(), amax, num_bits, False, narrow))


def test_fake_tensor_quant__defaults__are_8_bit_narrow():
    x = torch.tensor([-9.0, -1.0, 0.3, 9.0])
    np.testing.assert_array_equal(
        tensor_quant.fake_tensor_quant(x, torch.tensor(1.27)).numpy(), np.float32([-127, -100, 30, 127]) * (np.float32(1.27) / 127)
    )


@pytest.mark.parametrize("shape", [(5, 1, 1), (1, 6, 1), (5, 6, 1), (7,)])
def test_fake_tensor_quant__broadcast_ranges__equal_numpy(shape):
    x = random_tensor(2, 5, 6, 7)
    amax = torch.from_numpy(np.random.default_rng(3).uniform(0.2, 2, shape).astype(np.float32))
    y = tensor_quant.fake_tensor_quant(x, amax, 8, False, False)
    np.testing.assert_array_equal(y.numpy(), reference.fake_quant(x.numpy(), amax.numpy(), 8, False, False))


def test_tensor_quant__codes_and_scale__dequantize():
    x, amax = random_tensor(4, 30, 30), torch.tensor(1.5)
    codes, scale = tensor_quant.tensor_quant(x, amax)
    np.testing.assert_array_equal(codes.numpy(), reference.codes(x.numpy(), 1.5)[0])
    assert scale == np.float32(127) / np.float32(1.5)
    assert (codes / scale - tensor_quant.fake_tensor_quant(x, amax)).abs().max() < 1e-6


def test_tensor_quant__unsigned__uses_all_codes():
    x = random_tensor(5, 1000).abs()
    codes, scale = tensor_quant.tensor_quant(x, x.max(), 8, True)
    assert codes.min() == 0 and codes.max() == 255
    np.testing.assert_array_equal(codes.numpy(), reference.codes(x.numpy(), x.max().numpy(), 8, True)[0])


@pytest.mark.parametrize("function", [tensor_quant.tensor_quant, tensor_quant.fake_tensor_quant])
def test_functions__bad_ranges_and_signs__raise(function):
    x = random_tensor(6, 10)
    with pytest.raises(ValueError, match="Negative values in amax"):
        function(x, torch.tensor(-1.0))
    with pytest.raises(TypeError, match="Negative values encountered in unsigned quantization"):
        function(x, torch.tensor(1.0), 8, True)


def test_functions__zero_range__gives_zero_and_scale_one():
    x = random_tensor(7, 3, 4)
    amax = torch.tensor([[1.0], [0.0], [2.0**-25]])
    codes, scale = tensor_quant.tensor_quant(x, amax)
    assert codes[1:].abs().max() == 0 and scale[1] == 1 and scale[2] == 1
    y = tensor_quant.fake_tensor_quant(x, amax)
    assert y[1:].abs().max() == 0
    np.testing.assert_array_equal(y[0].numpy(), reference.fake_quant(x[0].numpy(), 1.0))
    assert tensor_quant.fake_tensor_quant(x, torch.tensor(1.0), 0).abs().max() == 0


def test_fake_tensor_quant__ties__go_to_even():
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5])
    np.testing.assert_array_equal(tensor_quant.fake_tensor_quant(x, torch.tensor(127.0)).numpy(), [0, 2, 2, 0, -2])


def test_fake_tensor_quant__nan__stays_visible():
    assert torch.isnan(tensor_quant.fake_tensor_quant(torch.tensor([float("nan"), 1.0]), torch.tensor(1.0)))[0]


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_fake_tensor_quant__half_types__compute_in_fp32(dtype):
    x = random_tensor(8, 500).to(dtype)
    y = tensor_quant.fake_tensor_quant(x, torch.tensor(1.3))
    assert y.dtype == dtype
    expected = torch.from_numpy(reference.fake_quant(x.float().numpy(), 1.3)).to(dtype)
    assert torch.equal(y, expected)


def test_tensor_quant__half_scale_overflow__raises():
    x = torch.tensor([1e-3], dtype=torch.half)
    with pytest.raises(ValueError, match="too large for FP16"):
        tensor_quant.tensor_quant(x, torch.tensor(1e-3))


def test_gradient__straight_through_inside_amax__zero_outside():
    for function in (
        lambda x, a: tensor_quant.fake_tensor_quant(x, a),
        lambda x, a: tensor_quant.tensor_quant(x, a)[0],
        lambda x, a: tensor_quant.scaled_e4m3(x, a),
    ):
        x = torch.tensor([-2.0, -1.0, -0.4, 0.0, 1.0, 1.0001], requires_grad=True)
        amax = torch.tensor(1.0, requires_grad=True)
        (function(x, amax) * torch.arange(1.0, 7.0)).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [0, 2, 3, 4, 5, 0])
        assert amax.grad is None


def test_fake_affine__values_and_gradient__equal_numpy():
    x_np = np.random.default_rng(9).uniform(-2, 3, 400).astype(np.float32)
    for low, high, bits in ((-1.0, 2.0, 8), (0.0, 2.5, 4), (-0.7, 0.0, 6)):
        x = torch.from_numpy(x_np).requires_grad_()
        y = tensor_quant.fake_affine_tensor_quant(x, torch.tensor(low), torch.tensor(high), bits)
        step = (np.float32(high) - np.float32(low)) / np.float32(2**bits - 1)
        zero = np.rint(np.float32(low) / step)
        expected = (np.clip(np.rint(x_np / step) - zero, 0, 2**bits - 1) + zero) * step
        np.testing.assert_allclose(y.detach().numpy(), expected, atol=1e-6)
        assert len(np.unique(y.detach().numpy())) <= 2**bits
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), ((x_np >= low) & (x_np <= high)).astype(np.float32))
    with pytest.raises(ValueError, match="below"):
        tensor_quant.fake_affine_tensor_quant(x, 1.0, 1.0)


def test_scaled_e4m3__values__are_the_formats():
    # Around amax = 448 the format is unscaled: 3 mantissa bits, so steps of 1/8 from 1 to 2, of 32 from 256 to 448.
    x = torch.tensor([1.0, 1.06, 1.0625, 1.19, 300.0, 305.0, 447.0, 500.0, -1.9])
    expected = [1.0, 1.0, 1.0, 1.25, 288.0, 320.0, 448.0, 448.0, -1.875]
    np.testing.assert_array_equal(tensor_quant.scaled_e4m3(x).numpy(), expected)
    np.testing.assert_allclose(tensor_quant.scaled_e4m3(x / 448, torch.tensor(1.0)).numpy() * 448, expected, rtol=1e-6)
    with pytest.raises(NotImplementedError, match="E=5"):
        tensor_quant.scaled_e4m3(x, None, 5, 2)
    assert tensor_quant.scaled_e4m3(x, torch.tensor(0.0)).abs().max() == 0


def test_function_classes__apply__equals_functions():
    x, amax = random_tensor(11, 50), torch.tensor(1.1)
    for function in (tensor_quant.FakeTensorQuantFunction, tensor_quant.LegacyFakeTensorQuantFunction):
        assert torch.equal(function.apply(x, amax), tensor_quant.fake_tensor_quant(x, amax))
        assert torch.equal(function.apply(x, amax, 4, False, False), tensor_quant.fake_tensor_quant(x, amax, 4, False, False))
    assert torch.equal(tensor_quant.TensorQuantFunction.apply(x, amax)[0], tensor_quant.tensor_quant(x, amax)[0])
    low, high = torch.tensor(-1.0), torch.tensor(2.0)
    expected = tensor_quant.fake_affine_tensor_quant(x, low, high)
    assert torch.equal(tensor_quant.FakeAffineTensorQuantFunction.apply(x, low, high), expected)
    assert torch.equal(tensor_quant.ScaledE4M3Function.apply(x, amax), tensor_quant.scaled_e4m3(x, amax))
    leaf = x.clone().requires_grad_()
    tensor_quant.FakeTensorQuantFunction.apply(leaf, amax).sum().backward()
    assert torch.equal(leaf.grad, (x.abs() <= amax).float())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_fake_tensor_quant__gpu__equals_cpu():
    x, amax = random_tensor(10, 64, 64), torch.rand(64, 1) + 0.1
    np.testing.assert_array_equal(
        tensor_quant.fake_tensor_quant(x.cuda(), amax.cuda()).cpu().numpy(), tensor_quant.fake_tensor_quant(x, amax).numpy()
    )
