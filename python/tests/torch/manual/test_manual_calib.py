"""octavo.torch.calib: calibrators and weight calibration against the definitions in NumPy."""

import manual_reference as reference
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from octavo.torch import calib, tensor_quant  # noqa: E402
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402

TENSORS = {
    "normal": lambda rng: rng.standard_normal(20000),
    "relu": lambda rng: np.maximum(rng.standard_normal(20000), 0),
    "laplace": lambda rng: rng.laplace(size=20000),
    "outlier": lambda rng: np.append(rng.uniform(0, 1, 9999), 10.0),
}


def tensor(kind, seed=0):
    return torch.from_numpy(TENSORS[kind](np.random.default_rng(seed)).astype(np.float32))


def histogram(*tensors, bins=2048):
    calibrator = calib.HistogramCalibrator(8, None, False, num_bins=bins)
    for x in tensors:
        calibrator.collect(x)
    return calibrator._calib_hist.numpy(), calibrator._calib_bin_edges.numpy()


def test_max__per_tensor__running_maximum():
    calibrator = calib.MaxCalibrator(8, None, False, track_amax=True)
    a, b = torch.tensor([1.0, -3.0]), torch.tensor([[2.0, -1.0]])
    calibrator.collect(a)
    calibrator.collect(b)
    assert calibrator.compute_amax() == 3 and [float(x) for x in calibrator.amaxs] == [3, 2]
    calibrator.reset()
    assert calibrator.compute_amax() is None and calibrator.amaxs == []


@pytest.mark.parametrize("axis", [0, -1, (0, 1), (1, -1)])
def test_max__per_channel__equals_numpy(axis):
    calibrator = calib.MaxCalibrator(8, axis, False)
    batches = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).astype(np.float32)
    for batch in batches:
        calibrator.collect(torch.from_numpy(batch))
    axes = {a % 3 for a in ((axis,) if isinstance(axis, int) else axis)}
    expected = np.abs(batches).max(axis=(0, *(i + 1 for i in range(3) if i not in axes)), keepdims=True)[0]
    np.testing.assert_array_equal(calibrator.compute_amax().numpy(), expected)


def test_max__shape_change__raises():
    calibrator = calib.MaxCalibrator(8, 0, False)
    calibrator.collect(torch.rand(3, 2))
    with pytest.raises(RuntimeError, match="shape changed"):
        calibrator.collect(torch.rand(4, 2))


def test_histogram__counts__equal_numpy():
    for torch_hist in (True, False):
        calibrator = calib.HistogramCalibrator(8, None, False, num_bins=100, torch_hist=torch_hist)
        calibrator.collect(tensor("normal"))
        calibrator.collect(0.5 * tensor("normal", 1))
        edges = np.asarray(calibrator._calib_bin_edges)
        both = np.abs(np.concatenate((tensor("normal").numpy(), 0.5 * tensor("normal", 1).numpy())))
        np.testing.assert_array_equal(np.asarray(calibrator._calib_hist), np.histogram(both, bins=edges)[0])
        assert edges[0] == 0 and edges[-1] == np.abs(tensor("normal").numpy()).max() and len(edges) == 101


@pytest.mark.parametrize("largest", [1.0, 3.1415927, 1e-3, 777.77])
def test_histogram__values_on_edges__fall_where_numpy_puts_them(largest):
    calibrator = calib.HistogramCalibrator(8, None, False)
    calibrator.collect(torch.tensor([largest]))
    edges = calibrator._calib_bin_edges.numpy()
    x = np.concatenate((edges, np.nextafter(edges[1:], np.float32(0)), np.nextafter(edges[:-1], np.float32(1e9))))
    calibrator.collect(torch.from_numpy(x))
    expected = np.histogram(x, bins=edges)[0]
    expected[-1] += 1
    np.testing.assert_array_equal(calibrator._calib_hist.numpy(), expected)


def test_histogram__growth__appends_bins_and_loses_nothing():
    x, y = tensor("normal"), 3.3 * tensor("normal", 1)
    results = []
    for torch_hist in (True, False):
        calibrator = calib.HistogramCalibrator(8, None, False, num_bins=64, torch_hist=torch_hist)
        calibrator.collect(x)
        width = float(calibrator._calib_bin_edges[1])
        calibrator.collect(y)
        calibrator.collect(x)
        hist, edges = np.asarray(calibrator._calib_hist), np.asarray(calibrator._calib_bin_edges)
        np.testing.assert_allclose(np.diff(edges), width, rtol=1e-4)
        assert edges[-1] >= np.abs(y.numpy()).max() > edges[-2] and hist.sum() == 3 * 20000
        results.append(hist)
    np.testing.assert_array_equal(results[0], results[1])


def test_histogram__huge_growth__keeps_memory_bounded():
    calibrator = calib.HistogramCalibrator(8, None, False, num_bins=64)
    calibrator.collect(torch.full((1000,), 1e-6))
    calibrator.collect(torch.linspace(0, 1e4, 1000))
    assert len(calibrator._calib_hist) <= 128 * 64 + 1 and calibrator._calib_hist.sum() == 2000
    assert calibrator.compute_amax("percentile", percentile=100) >= 1e4
    assert abs(float(calibrator.compute_amax("percentile", percentile=75)) - 5e3) < 1e2


def test_histogram__zeros_first__are_counted():
    calibrator = calib.HistogramCalibrator(8, None, False)
    assert calibrator.compute_amax("mse") is None
    calibrator.collect(torch.zeros(10))
    assert calibrator.compute_amax("percentile") == 0
    calibrator.collect(torch.ones(10))
    assert calibrator._calib_hist.sum() == 20 and calibrator._calib_hist[0] == 10
    assert calibrator.compute_amax("percentile", percentile=50) < 0.001
    calibrator.reset()
    assert calibrator.compute_amax("entropy") is None


def test_histogram__skip_zeros__leaves_them_out():
    calibrator = calib.HistogramCalibrator(8, None, False, skip_zeros=True)
    calibrator.collect(torch.tensor([0.0, 0, 0, 0, 0, 1, 2, 3, 4, 5]))
    calibrator.collect(torch.tensor([0.0, 0, 0, 0, 0, 6, 7, 8, 9, 10]))
    assert calibrator._calib_hist.sum() == 10
    assert abs(calibrator.compute_amax("percentile", percentile=50) - 5) < 10 / 2048


def test_histogram__errors():
    with pytest.raises(NotImplementedError, match="per tensor"):
        calib.HistogramCalibrator(8, 0, False)
    calibrator = calib.HistogramCalibrator(8, None, False, grow_method="append")
    with pytest.raises(ValueError, match="NaN"):
        calibrator.collect(torch.tensor([1.0, float("nan")]))
    calibrator.collect(torch.ones(4))
    with pytest.raises(TypeError, match="oops"):
        calibrator.compute_amax("oops")
    for percentile in (-10, 200):
        with pytest.raises(ValueError, match="range"):
            calibrator.compute_amax("percentile", percentile=percentile)


def test_histogram__compute__does_not_change_it():
    calibrator = calib.HistogramCalibrator(8, None, False)
    calibrator.collect(tensor("relu"))
    before = calibrator._calib_hist.clone()
    first = [calibrator.compute_amax(method) for method in ("entropy", "mse", "percentile")]
    assert torch.equal(calibrator._calib_hist, before)
    assert [calibrator.compute_amax(method) for method in ("entropy", "mse", "percentile")] == first


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("percent", [50, 90, 99.9, 99.99, 100])
def test_percentile__equals_numpy(kind, percent):
    x = tensor(kind)
    calibrator = calib.HistogramCalibrator(8, None, False)
    calibrator.collect(x)
    amax = calibrator.compute_amax("percentile", percentile=percent)
    assert amax == reference.percentile(x.abs().numpy(), calibrator._calib_bin_edges.numpy(), percent)
    assert (x.abs() <= amax).float().mean() >= percent / 100 - 1e-6
    if percent == 100:
        assert amax == x.abs().max()


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("num_bits, unsigned", [(8, False), (8, True), (4, False)])
def test_entropy__equals_numpy(kind, num_bits, unsigned):
    calibrator = calib.HistogramCalibrator(num_bits, None, unsigned, num_bins=400)
    calibrator.collect(tensor(kind))
    hist, edges = calibrator._calib_hist.numpy(), calibrator._calib_bin_edges.numpy()
    for stride in (1, 3):
        amax = calibrator.compute_amax("entropy", stride=stride)
        assert amax == reference.entropy(hist, edges, num_bits, unsigned, 128, stride)


def test_entropy__outlier__is_cut():
    for unsigned in (False, True):
        calibrator = calib.HistogramCalibrator(8, None, unsigned)
        x = torch.rand(11, 7, 3, 3, generator=torch.Generator().manual_seed(0))
        x[1, 1, 1, 1] = 10.0
        calibrator.collect(x)
        assert calibrator.compute_amax("entropy") < 1.1


def test_entropy__few_bins_and_constant_data__give_a_range():
    calibrator = calib.HistogramCalibrator(8, None, False, num_bins=19)
    calibrator.collect(tensor("normal"))
    assert calibrator.compute_amax("entropy") == tensor("normal").abs().max()
    calibrator = calib.HistogramCalibrator(8, None, False)
    calibrator.collect(torch.full((100,), 3.0))
    assert calibrator.compute_amax("entropy") == 3
    assert abs(float(calibrator.compute_amax("mse")) - 3) < 0.01
    calibrator = calib.HistogramCalibrator((4, 3), None, False)
    calibrator.collect(torch.ones(3))
    with pytest.raises(TypeError, match="integer"):
        calibrator.compute_amax("entropy")


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("num_bits, unsigned", [(8, False), (8, True), (4, False), (3, True)])
def test_mse__equals_numpy(kind, num_bits, unsigned):
    calibrator = calib.HistogramCalibrator(num_bits, None, unsigned, num_bins=500)
    calibrator.collect(tensor(kind))
    hist, edges = calibrator._calib_hist.numpy(), calibrator._calib_bin_edges.numpy()
    for stride, start in ((1, 128), (4, 32)):
        amax = calibrator.compute_amax("mse", stride=stride, start_bin=start)
        assert amax == np.float32(reference.mse(hist, edges, num_bits, unsigned, start, stride))


def test_mse__outlier__is_cut():
    for unsigned in (False, True):
        calibrator = calib.HistogramCalibrator(8, None, unsigned)
        x = torch.full((11, 7, 3, 3), 255.0)
        x[1, 1, 1, 1] = 256.0
        calibrator.collect(x)
        amax = calibrator.compute_amax("mse")
        assert abs(amax - 255) < abs(amax - 256)


def test_mse__e4m3__minimizes_the_error():
    calibrator = calib.HistogramCalibrator((4, 3), None, False, num_bins=200)
    calibrator.collect(tensor("normal"))
    amax = calibrator.compute_amax("mse")
    hist, edges = calibrator._calib_hist.numpy(), calibrator._calib_bin_edges.numpy()
    centres = torch.from_numpy((edges[1:] + edges[:-1]) / 2)
    errors = [float(((tensor_quant.scaled_e4m3(centres, a) - centres) ** 2 * torch.from_numpy(hist)).sum()) for a in centres[128:]]
    chosen = float(((tensor_quant.scaled_e4m3(centres, amax) - centres) ** 2 * torch.from_numpy(hist)).sum())
    assert chosen <= min(errors) * 1.02


def test_calibrators__print():
    calibrator = calib.MaxCalibrator(7, 1, False, track_amax=True)
    assert str(calibrator) == "MaxCalibrator(track_amax=True)" and "num_bits=7 axis=1 unsigned=False" in repr(calibrator)
    calibrator = calib.HistogramCalibrator(8, None, True)
    assert str(calibrator) == "HistogramCalibrator(calib_bin_edges=None)"
    calibrator.collect(torch.ones(3))
    assert (
        "[0.000, ..., 1.000](2049)" in str(calibrator) and "unsigned=True" in repr(calibrator) and "calib_hist=" in repr(calibrator)
    )


def layers():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        quant_nn.QuantConv2d(3, 4, 3), quant_nn.QuantConvTranspose2d(4, 5, 3), quant_nn.QuantLinear(6, 7), quant_nn.QuantLSTM(4, 3)
    )


@pytest.mark.parametrize("perchannel", [True, False])
def test_calibrate_weights__max__equals_numpy(perchannel):
    model = layers()
    calib.calibrate_weights(model, method="max", perchannel=perchannel)
    for module, axis in zip(model, (0, 1, 0)):
        weight = module.weight.detach().numpy()
        axes = tuple(i for i in range(weight.ndim) if i != axis) if perchannel else None
        np.testing.assert_array_equal(module.weight_quantizer.amax.numpy(), np.abs(weight).max(axis=axes, keepdims=perchannel))
    joined = np.concatenate((model[3].weight_ih_l0.detach().numpy(), model[3].weight_hh_l0.detach().numpy()), axis=1)
    expected = np.abs(joined).max(axis=1 if perchannel else None, keepdims=perchannel)
    np.testing.assert_array_equal(model[3]._weight_quantizers[0].amax.numpy(), expected)


@pytest.mark.parametrize("method", ["mse", "percentile"])
@pytest.mark.parametrize("perchannel", [True, False])
def test_calibrate_weights__histograms__equal_numpy(method, perchannel):
    model = layers()
    calib.calibrate_weights(model, method=method, perchannel=perchannel, percentile=90.0, num_bins=300)
    for module, axis in zip(model, (0, 1, 0)):
        weight = np.abs(module.weight.detach().numpy())
        channels = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1) if perchannel else weight.reshape(1, -1)
        expected = []
        for channel in channels:
            hist, edges = np.histogram(channel, bins=300, range=(0, channel.max()))
            expected.append(reference.mse(hist, edges) if method == "mse" else reference.percentile(channel, edges, 90.0))
        amax = module.weight_quantizer.amax
        np.testing.assert_allclose(amax.numpy().reshape(-1), np.float32(expected), rtol=1e-6)
        assert amax.dim() == (weight.ndim if perchannel else 0)
        assert module.weight_quantizer(module.weight).shape == module.weight.shape


def test_calibrate_weights__zero_channel_and_bad_method():
    model = torch.nn.Sequential(quant_nn.QuantLinear(4, 3))
    with torch.no_grad():
        model[0].weight[1] = 0
    calib.calibrate_weights(model)
    assert model[0].weight_quantizer.amax[1] == 0 and torch.isfinite(model(torch.ones(1, 4))).all()
    with pytest.raises(TypeError, match="oops"):
        calib.calibrate_weights(model, method="oops")


def test_quantizer__calibrate_weights_overrides_a_fixed_range():
    layer = quant_nn.QuantLinear(4, 3, quant_desc_weight=QuantDescriptor(amax=1.0))
    calib.calibrate_weights(torch.nn.Sequential(layer), "max")
    assert layer.weight_quantizer.amax.shape == (3, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_histogram__gpu__equals_cpu_and_stays_there():
    cpu, gpu = (calib.HistogramCalibrator(8, None, False) for _ in range(2))
    for scale in (1, 3):
        cpu.collect(scale * tensor("normal"))
        gpu.collect(scale * tensor("normal").cuda())
    assert torch.equal(cpu._calib_hist, gpu._calib_hist.cpu())
    for method in ("entropy", "mse", "percentile"):
        assert gpu.compute_amax(method).is_cuda and gpu.compute_amax(method).cpu() == cpu.compute_amax(method)
