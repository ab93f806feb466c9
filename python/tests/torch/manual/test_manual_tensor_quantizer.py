"""octavo.torch.nn.TensorQuantizer, Clip and functional.clip."""

import copy
import io
import pickle

import manual_reference as reference
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from octavo.torch import calib, tensor_quant  # noqa: E402
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch.nn import functional as QF  # noqa: E402
from octavo.torch.nn.modules.tensor_quantizer import TensorQuantizer  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402
from octavo.torch.utils import reduce_amax  # noqa: E402

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def rand(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("device", DEVICES)
def test_forward__dynamic_range__is_the_inputs_maximum(device):
    x = rand(0, 3, 7).to(device)
    y = TensorQuantizer().to(device)(x)
    np.testing.assert_array_equal(y.cpu().numpy(), reference.fake_quant(x.cpu().numpy(), x.abs().max().item(), narrow=False))


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2), [1, 2]])
def test_forward__dynamic_ranges_per_axis__equal_numpy(axis):
    x = rand(1, 4, 5, 6)
    axes = tuple(a % 3 for a in ((axis,) if isinstance(axis, int) else axis))
    amax = np.abs(x.numpy()).max(axis=tuple(i for i in range(3) if i not in axes), keepdims=True)
    y = TensorQuantizer(QuantDescriptor(axis=axis))(x)
    np.testing.assert_array_equal(y.numpy(), reference.fake_quant(x.numpy(), amax, narrow=False))


def test_forward__real_quantization__gives_codes_and_scale():
    x = rand(2, 3, 7)
    quantizer = TensorQuantizer(QuantDescriptor(fake_quant=False))
    assert quantizer.scale is None and not quantizer.fake_quant
    codes = quantizer(x)
    expected, scale = tensor_quant.tensor_quant(x, x.abs().max())
    assert torch.equal(codes, expected) and torch.equal(quantizer.scale, scale)


def test_forward__scale_amax__multiplies_once():
    x = rand(3, 100)
    quantizer = TensorQuantizer(QuantDescriptor(amax=0.5, scale_amax=0.9))
    expected = reference.fake_quant(x.numpy(), np.float32(0.5) * np.float32(0.9), narrow=False)
    for _ in range(2):
        np.testing.assert_array_equal(quantizer(x).numpy(), expected)


def test_forward__narrow_range__decides_the_lowest_code():
    x = torch.tensor([-2.0, 2.0])
    assert TensorQuantizer(QuantDescriptor(amax=1.27))(x)[0] == pytest.approx(-1.28)
    assert TensorQuantizer(QuantDescriptor(amax=1.27, narrow_range=True))(x)[0] == pytest.approx(-1.27)
    quantizer = TensorQuantizer(QuantDescriptor(amax=1.27, narrow_range=True))
    quantizer.narrow_range = False
    assert quantizer(x)[0] == pytest.approx(-1.28)


def test_forward__native_switch__means_full_range(monkeypatch):
    monkeypatch.setattr(TensorQuantizer, "use_fb_fake_quant", True)
    x = torch.tensor([-2.0, 0.3])
    y = TensorQuantizer(QuantDescriptor(amax=1.27, narrow_range=True))(x)
    expected = torch.fake_quantize_per_tensor_affine(x, 0.01, 0, -128, 127)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-6)


def test_disable_enable__bypass_and_restore():
    x = rand(4, 10)
    quantizer = TensorQuantizer(disabled=True, if_calib=True)
    assert quantizer(x) is x and quantizer._calibrator.compute_amax() is None
    quantizer.enable()
    assert not torch.equal(quantizer(x), x)
    quantizer.disable()
    assert quantizer(x) is x
    quantizer.enable()
    quantizer.disable_quant()
    assert torch.equal(quantizer(x), x)
    quantizer.enable_quant()
    assert not torch.equal(quantizer(x), x)


def test_properties__set_and_read():
    quantizer = TensorQuantizer(QuantDescriptor(amax=3.14))
    quantizer.amax = 0.577
    assert quantizer.amax == np.float32(0.577)
    assert quantizer.step_size == np.float32(0.577) / np.float32(127)
    assert quantizer.maxbound == 127 and quantizer.axis is None and quantizer.fake_quant
    quantizer.num_bits, quantizer.unsigned = 7, True
    assert (quantizer.num_bits, quantizer.unsigned, quantizer.maxbound) == (7, True, 127)
    assert quantizer.scale == 1.0
    quantizer.amax = None
    assert quantizer.amax == np.float32(0.577)
    for value in ([1.0, 2.0], np.ones(2), torch.ones(1)):
        with pytest.raises(TypeError, match="Changing shape when setting amax is not allowed"):
            quantizer.amax = value


def test_amax__unset__is_dynamic():
    quantizer = TensorQuantizer()
    assert quantizer.amax is None and quantizer.step_size is None
    quantizer.amax = np.float32([3.142, 2.718])
    np.testing.assert_array_equal(quantizer.amax.numpy(), np.float32([3.142, 2.718]))
    assert list(quantizer.state_dict()) == ["_amax"]


def test_pre_quant_scale__multiplies_the_input():
    quantizer = TensorQuantizer(QuantDescriptor(amax=127.0))
    x = torch.tensor([[0, 0.4, 1.1, 2.0]])
    assert quantizer.pre_quant_scale is None
    np.testing.assert_array_equal(quantizer(x).numpy(), [[0, 0, 1, 2]])
    quantizer.pre_quant_scale = 2.0
    np.testing.assert_array_equal(quantizer(x).numpy(), [[0, 1, 2, 4]])
    quantizer.pre_quant_scale = None
    quantizer.pre_quant_scale = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(quantizer(x).numpy(), [[0, 1, 3, 8]])
    other = TensorQuantizer()
    other.load_state_dict(quantizer.state_dict())
    np.testing.assert_array_equal(other(x).numpy(), [[0, 1, 3, 8]])
    assert "pre_quant_scale" in repr(other)


def test_calibration__max_per_channel__loads_the_maximum():
    quantizer = TensorQuantizer(QuantDescriptor(axis=(0, 1)), if_calib=True, if_quant=False)
    a, b = rand(5, 12, 6, 3, 3), rand(6, 12, 6, 3, 3)
    assert torch.equal(quantizer(a), a)
    quantizer(b)
    quantizer.disable_calib()
    quantizer(10 * a)
    quantizer.load_calib_amax()
    expected = np.maximum(np.abs(a.numpy()), np.abs(b.numpy())).max(axis=(2, 3), keepdims=True)
    np.testing.assert_array_equal(quantizer.amax.numpy(), expected)
    quantizer.enable_calib()
    quantizer(10 * a)
    quantizer.load_calib_amax()
    assert (quantizer.amax.numpy() > 3 * expected).any()


def test_calibration__without_data__raises_or_nan():
    quantizer = TensorQuantizer()
    with pytest.raises(RuntimeError, match="Calibrator returned None"):
        quantizer.load_calib_amax()
    quantizer.load_calib_amax(strict=False)
    assert torch.isnan(quantizer.amax)
    quantizer._calibrator = None
    with pytest.raises(RuntimeError, match="not created"):
        quantizer.load_calib_amax()
    with pytest.raises(ValueError, match="not created"):
        quantizer.enable_calib()
    with pytest.raises(ValueError, match="calib_method"):
        TensorQuantizer(QuantDescriptor(calib_method="oops"))


@pytest.mark.parametrize("method, kwargs", [("entropy", {}), ("mse", {}), ("percentile", {"percentile": 99.9})])
def test_calibration__histogram__passes_the_method_on(method, kwargs):
    quantizer = TensorQuantizer(QuantDescriptor(calib_method="histogram"), if_calib=True, if_quant=False)
    direct = calib.HistogramCalibrator(8, None, False)
    for seed in (7, 8):
        quantizer(rand(seed, 1000))
        direct.collect(rand(seed, 1000))
    quantizer.load_calib_amax(method, **kwargs)
    assert quantizer.amax == direct.compute_amax(method, **kwargs) and 0 < quantizer.amax < 5


def test_learn_amax__clips_and_learns():
    x = rand(9, 500).requires_grad_()
    quantizer = TensorQuantizer(QuantDescriptor(amax=0.5, learn_amax=True))
    y = quantizer(x)
    np.testing.assert_array_equal(y.detach().numpy(), reference.fake_quant(x.detach().numpy(), 0.5))
    y.sum().backward()
    outside = np.abs(x.detach().numpy()) >= 0.5
    np.testing.assert_array_equal(x.grad.numpy() == 0, outside)
    assert quantizer.clip.clip_value_max.grad == (x.detach().numpy() >= 0.5).sum()
    assert quantizer.clip.clip_value_min.grad == (x.detach().numpy() <= -0.5).sum()
    assert len(list(quantizer.parameters())) == 2


def test_learn_amax__stages_and_errors():
    x = rand(10, 100)
    quantizer = TensorQuantizer(QuantDescriptor(amax=0.5, learn_amax=True), if_quant=False, if_clip=True)
    np.testing.assert_array_equal(quantizer(x).detach().numpy(), np.clip(x.numpy(), -0.5, 0.5))
    quantizer.disable_clip()
    assert torch.equal(quantizer(x), x) and not quantizer.clip.clip_value_min.requires_grad
    quantizer.enable_clip()
    assert quantizer.clip.clip_value_max.requires_grad
    with pytest.raises(ValueError, match="learn_amax is False"):
        TensorQuantizer(if_clip=True)
    with pytest.raises(ValueError, match="learn_amax is False"):
        TensorQuantizer().enable_clip()
    with pytest.raises(RuntimeError, match="learn_amax=False"):
        TensorQuantizer(QuantDescriptor(amax=1.0)).init_learn_amax()
    with pytest.raises(RuntimeError, match="without amax"):
        TensorQuantizer(QuantDescriptor(learn_amax=True)).init_learn_amax()
    with pytest.raises(ValueError, match="scalar"):
        TensorQuantizer(QuantDescriptor(learn_amax=True, amax=[1.0, 2.0]))


def test_init_learn_amax__starts_at_the_calibrated_range():
    quantizer = TensorQuantizer(QuantDescriptor(learn_amax=True))
    quantizer.enable_calib()
    x = rand(11, 100)
    quantizer(x)
    quantizer.load_calib_amax()
    quantizer.init_learn_amax()
    assert quantizer.clip.clip_value_max == x.abs().max() and quantizer.clip.clip_value_min == -x.abs().max()


def test_state_dict__creates_the_range_where_missing():
    saved = TensorQuantizer(QuantDescriptor(amax=[[3.142], [2.718]]))
    loaded = TensorQuantizer()
    loaded.load_state_dict(saved.state_dict())
    np.testing.assert_array_equal(loaded.amax.numpy(), saved.amax.numpy())
    assert loaded.amax.data_ptr() != saved.amax.data_ptr()
    with pytest.raises(RuntimeError, match="_amax"):
        saved.load_state_dict(TensorQuantizer().state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        TensorQuantizer(QuantDescriptor(amax=1.0)).load_state_dict(saved.state_dict())


@pytest.mark.filterwarnings("ignore:for 0._amax")
def test_state_dict__buffer_is_created_on_the_modules_device():
    saved = TensorQuantizer(QuantDescriptor(amax=2.0))
    loaded = torch.nn.Sequential(TensorQuantizer()).to("meta")
    loaded.load_state_dict({"0._amax": saved.amax}, assign=False)
    assert loaded[0].amax.device.type == "meta"
    assert torch.equal(torch.nn.Sequential(TensorQuantizer()).to("meta").to_empty(device="cpu")[0](torch.ones(2)), torch.ones(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_state_dict__gpu_and_back():
    saved = TensorQuantizer(QuantDescriptor(amax=2.0))
    loaded = TensorQuantizer().cuda()
    loaded.load_state_dict(saved.state_dict())
    assert loaded.amax.is_cuda
    back = TensorQuantizer()
    back.load_state_dict(loaded.state_dict())
    assert not back.amax.is_cuda and back.amax == 2


def test_copies__deepcopy_pickle_and_torch_save__behave_alike():
    quantizer = TensorQuantizer(QuantDescriptor(calib_method="histogram", num_bits=5, unsigned=True))
    quantizer.enable_calib()
    x = rand(12, 300).abs()
    quantizer(x)
    quantizer.load_calib_amax("percentile", percentile=90)
    buffer = io.BytesIO()
    torch.save(quantizer, buffer)
    buffer.seek(0)
    for copied in (copy.deepcopy(quantizer), pickle.loads(pickle.dumps(quantizer)), torch.load(buffer, weights_only=False)):
        assert torch.equal(copied(x), quantizer(x)) and repr(copied) == repr(quantizer)
        copied.amax = 0.1
        assert quantizer.amax != copied.amax
        assert copied._calibrator.compute_amax("entropy") == quantizer._calibrator.compute_amax("entropy")


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_half_model__range_and_arithmetic_stay_fp32(dtype):
    quantizer = TensorQuantizer(QuantDescriptor(amax=1.2345678)).to(dtype)
    x = rand(13, 200).to(dtype)
    assert quantizer.amax.dtype == torch.float32 and quantizer.amax == np.float32(1.2345678)
    expected = torch.from_numpy(reference.fake_quant(x.float().numpy(), 1.2345678, narrow=False)).to(dtype)
    assert torch.equal(quantizer(x), expected)
    dynamic = TensorQuantizer().to(dtype)
    assert torch.equal(
        dynamic(x), torch.from_numpy(reference.fake_quant(x.float().numpy(), x.float().abs().max().item(), narrow=False)).to(dtype)
    )


def test_autocast__quantized_layer_runs_in_bf16():
    layer = quant_nn.QuantLinear(8, 4)
    x = rand(14, 5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert torch.isfinite(layer.weight.grad).all()
    assert (y.float() - layer(x)).abs().max() < 0.05


def test_double_input__stays_double():
    x = rand(15, 50).double()
    y = TensorQuantizer(QuantDescriptor(amax=1.0))(x)
    assert y.dtype == torch.float64
    step = np.float64(np.float32(1.0) / np.float32(127))
    np.testing.assert_array_equal(y.numpy(), np.clip(np.rint(x.numpy() / step), -128, 127) * step)


def test_empty_input__passes():
    assert TensorQuantizer()(torch.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    "keys, init, text",
    [
        (dict(), dict(), "8bit fake per-tensor amax=dynamic calibrator=MaxCalibrator scale=1.0 quant"),
        (dict(amax=2.64), dict(), "8bit fake per-tensor amax=2.6400 calibrator=MaxCalibrator scale=1.0 quant"),
        (dict(), dict(disabled=True), "disabled"),
        (dict(num_bits=4, unsigned=True, narrow_range=True), dict(if_quant=False, if_calib=True),
         "unsigned 4bit narrow fake per-tensor amax=dynamic calibrator=MaxCalibrator scale=1.0 calib"),
        (dict(axis=0, amax=[[1.0], [2.5]]), dict(),
         "8bit fake axis=0 amax=[1.0000, 2.5000](2) calibrator=MaxCalibrator scale=1.0 quant"),
        (dict(learn_amax=True, amax=1.0, scale_amax=0.9, calib_method="histogram"), dict(),
         "8bit fake per-tensor amax=1.0000 *0.9 learned calibrator=HistogramCalibrator scale=1.0 quant clip"),
        (dict(fake_quant=False), dict(), "8bit per-tensor amax=dynamic calibrator=MaxCalibrator quant"),
    ],
)  # fmt: skip
def test_repr__contract(keys, init, text):
    assert TensorQuantizer(QuantDescriptor(**keys), **init).extra_repr() == text


def test_e4m3__quantizer_equals_function():
    x = rand(16, 3, 9)
    y = TensorQuantizer(QuantDescriptor(num_bits=(4, 3)))(x)
    assert torch.equal(y, tensor_quant.scaled_e4m3(x, x.abs().max()))


def test_compile__same_values():
    quantizer = torch.nn.Sequential(TensorQuantizer(QuantDescriptor(amax=1.0)), TensorQuantizer(QuantDescriptor(axis=0)))
    x = rand(17, 4, 6)
    compiled = torch.compile(quantizer, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), quantizer(x))


def test_clip_function__values_and_gradient():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], requires_grad=True)
    low, high = torch.tensor(-1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    y = QF.clip(x, low, high)
    np.testing.assert_array_equal(y.detach().numpy(), [-1, -1, 0, 1, 1])
    (y * torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0, 4, 0, 0])
    assert low.grad == 3 and high.grad == 24


def test_clip_function__broadcast_bounds__forward_only():
    x = rand(18, 3, 5)
    high = torch.tensor([[0.1], [0.5], [1.0]])
    np.testing.assert_array_equal(QF.clip(x, -high, high).numpy(), np.clip(x.numpy(), -high.numpy(), high.numpy()))
    np.testing.assert_array_equal(QF.clip(x, -0.2, 0.3).numpy(), np.clip(x.numpy(), np.float32(-0.2), np.float32(0.3)))
    with pytest.raises(ValueError, match="can only be scalar"):
        QF.clip(x, torch.tensor(-1.0), high.requires_grad_()).sum().backward()


def test_clip_module__fixed_and_learned_bounds():
    x = rand(19, 2, 50)
    fixed = quant_nn.Clip(-0.5, torch.tensor([[0.3], [0.7]]))
    np.testing.assert_array_equal(fixed(x).numpy(), np.clip(x.numpy(), -0.5, np.float32([[0.3], [0.7]])))
    assert list(fixed.parameters()) == [] and list(fixed.state_dict()) == []
    learned = quant_nn.Clip(-0.5, 0.5, learn_min=True, learn_max=True)
    learned(x).sum().backward()
    assert learned.clip_value_max.grad == (x.numpy() >= 0.5).sum()
    for bad in (np.ones(2), torch.ones(3)):
        with pytest.raises(ValueError, match="must be scalar"):
            quant_nn.Clip(-bad, 1.0, learn_min=True)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), [1, 2], (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reduce_amax__equals_numpy(axis, keepdims):
    x = rand(20, 3, 4, 5)
    expected = np.abs(x.numpy()).max(axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    y = reduce_amax(x.requires_grad_(), axis, keepdims)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), expected.reshape(y.shape))
    assert y.shape == (() if expected.size == 1 else expected.shape)


def test_reduce_amax__errors():
    with pytest.raises(ValueError, match="more axes"):
        reduce_amax(torch.ones(2, 2), (0, 1, 2))
    with pytest.raises(ValueError, match="out of range"):
        reduce_amax(torch.ones(2, 2), 2)
    with pytest.raises(ValueError, match="twice"):
        reduce_amax(torch.ones(2, 2), (1, -1))
    with pytest.raises(ValueError, match="without elements"):
        reduce_amax(torch.ones(0))
