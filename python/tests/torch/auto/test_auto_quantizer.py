"""Fake quantization, quantizers and configuration against NumPy."""
import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import octavo  # noqa: E402
import octavo.torch as oq  # noqa: E402
from octavo.torch._fake_quant import fake_quant  # noqa: E402


def numpy_fake_quant(x, scale, zero, low, high):
    scale = np.asarray(scale, np.float32)
    codes = np.clip(np.rint(x.astype(np.float32) / scale) + zero, low, high)
    return ((codes - zero) * scale).astype(np.float32)


@pytest.mark.parametrize("low, high, zero", [(0, 255, 0), (0, 255, 131), (-128, 127, 0), (0, 15, 6), (-2, 1, 0)])
def test_values_are_numpys(low, high, zero):
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 3
    y = fake_quant(x, torch.tensor(0.03), torch.tensor(float(zero)), low, high)
    np.testing.assert_array_equal(y.numpy(), numpy_fake_quant(x.numpy(), 0.03, zero, low, high))


def test_true_division_and_half_to_even():
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, 0.049999997, 3e38])
    y = fake_quant(x, torch.tensor(1.0), torch.tensor(0.0), -128, 127)
    assert y.tolist() == [0, 2, 2, 0, 0, 127]
    # 0.7 / 0.1 rounds to 7 in float32 where 0.7 * (1 / 0.1) may not; all multiples must come back exactly.
    scale = torch.tensor(0.1)
    steps = torch.arange(-100, 100) * scale
    assert torch.equal(fake_quant(steps, scale, torch.tensor(0.0), -128, 127), steps)


def test_per_channel_along_any_axis():
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    scale, zero = torch.tensor([0.01, 0.1, 0.3]), torch.zeros(3)
    y = fake_quant(x, scale, zero, -127, 127, 1)
    np.testing.assert_array_equal(y.numpy(), numpy_fake_quant(x.numpy(), scale.numpy().reshape(1, 3, 1), 0, -127, 127))


def test_nan_and_half():
    y = fake_quant(torch.tensor([float("nan"), 1.0]), torch.tensor(0.1), torch.tensor(5.0), 0, 255)
    assert y[0] == 0 and abs(y[1] - 1) < 1e-6
    for dtype in (torch.half, torch.bfloat16):
        x = torch.randn(64).to(dtype)
        assert torch.equal(fake_quant(x, torch.tensor(0.05), torch.tensor(0.0), -128, 127), fake_quant(x.float(), torch.tensor(0.05), torch.tensor(0.0), -128, 127).to(dtype))


def test_gradients_by_their_formulas():
    x = torch.tensor([-2.0, -0.33, 0.12, 0.47, 9.0], requires_grad=True)
    g = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    for rounding in (True, False):
        scale = torch.tensor(0.1, requires_grad=True)
        x.grad = None
        fake_quant(x, scale, torch.tensor(2.0), 0, 15, None, rounding).backward(g)
        assert x.grad.tolist() == [0, 0, 3, 4, 0]  # -0.33 / 0.1 + 2 is below 0
        steps = x.detach().numpy() / np.float32(0.1)
        inside = np.array([False, False, True, True, False])
        levels = np.clip(np.rint(steps) + 2, 0, 15) - 2
        each = np.where(inside, levels - steps if rounding else 0, levels)
        np.testing.assert_allclose(scale.grad.item(), (g.numpy() * each).sum() / np.sqrt(5 * 15), rtol=1e-5)


def test_gradient_of_scales_per_channel():
    x = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor([0.1, 0.02, 0.3], requires_grad=True)
    fake_quant(x, scale, torch.zeros(3), -7, 7, 1).sum().backward()
    for c in range(3):
        alone = scale.detach()[c].clone().requires_grad_()
        fake_quant(x[:, c], alone, torch.tensor(0.0), -7, 7).sum().backward()
        np.testing.assert_allclose(scale.grad[c], alone.grad, rtol=1e-5)


def test_activation_quantizer_states():
    q = oq.ActivationQuantizer(8)
    x = torch.randn(4, 10)
    with pytest.raises(octavo.DemandError):
        q(x)
    q.observe()
    assert q(x) is x and q(x + 100, root=False) is not None
    assert q.observer.sample_count == 4
    found = q.observer.solve("max")
    q.observe(False)
    q.take(found)
    np.testing.assert_array_equal(q(x).numpy(), numpy_fake_quant(x.numpy(), found.scale, found.zero, 0, 255))
    np.testing.assert_array_equal(q.codes(x).numpy(), np.clip(np.rint(x.numpy() / np.float32(found.scale)) + found.zero, 0, 255))
    low, high = q.limits()
    assert low <= x.min() + 1e-6 and high >= x.max() - 1e-6
    assert "8 bits [0, 255]" in repr(q)
    q.enabled = False
    assert q(x) is x


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_weight_quantizer(bits):
    w = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    w[2] = 0
    q = oq.WeightQuantizer(w, bits)
    top = 2 ** (bits - 1) - 1
    assert q.scale.shape == (6,) and q.scale[2] == 1 and (q.qmin, q.qmax) == (-top, top)
    if bits == 8:
        np.testing.assert_allclose(q.scale[0].item(), w[0].abs().max().item() / 127, rtol=1e-6)
    else:  # no worse than a scan of our own
        def error(s):
            return ((torch.clamp(torch.round(w[0] / s), -top, top) * s - w[0]) ** 2).sum().item()

        assert error(q.scale[0].item()) <= 1.01 * min(error(w[0].abs().max().item() / top * k) for k in np.linspace(0.1, 1, 50))


@pytest.mark.parametrize("form", ["state", "deepcopy", "pickle"])
def test_ranges_survive(form):
    q = oq.ActivationQuantizer(4, scales="learned")
    q.observe()
    q(torch.randn(8, 20))
    found = q.observer.solve(bits=4)
    q.observe(False)
    q.take(found)
    if form == "state":
        other = oq.ActivationQuantizer(4, scales="learned")
        other.load_state_dict(q.state_dict())
    else:
        other = copy.deepcopy(q) if form == "deepcopy" else pickle.loads(pickle.dumps(q))
    x = torch.randn(3, 5)
    assert torch.equal(other(x), q(x)) and other.scale.requires_grad


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_gives_the_same():
    q = oq.ActivationQuantizer(8)
    q.set_scale(0.1, 7)
    x = torch.randn(100)
    expected = q(x)
    assert torch.equal(q.cuda()(x.cuda()).cpu(), expected)


def test_config_json_and_patterns():
    config = oq.QuantConfig(oq.LayerConfig(weight_bits=4), oq.LayerConfig(), {"a.*": {"activation_bits": 4}, "a.b": {"enabled": False}}, "learned", False)
    assert oq.QuantConfig.from_json(config.to_json()) == config
    assert config.of("c") == oq.LayerConfig(weight_bits=4)
    assert config.of("c", is_edge=True) == oq.LayerConfig()
    assert config.of("a.x") == oq.LayerConfig(weight_bits=4, activation_bits=4)
    assert not config.of("a.b").enabled and config.of("a.b").activation_bits == 4
    assert config.unmatched(["a.c", "d"]) == ["a.b"]
    for preset in oq.PRESETS.values():
        assert oq.QuantConfig.from_json(preset.to_json()) == preset


@pytest.mark.parametrize("make", [
    lambda: oq.LayerConfig(weight_bits=1), lambda: oq.LayerConfig(activation_bits=9), lambda: oq.QuantConfig(scales="none"),
    lambda: oq.QuantConfig(layers={"a": {"bits": 4}}), lambda: oq.QuantConfig(layers={"a": {"weight_bits": 0}}),
    lambda: oq.QuantConfig.from_json("{"), lambda: oq.QuantConfig.from_json('{"mode": 1}'),
])  # fmt: skip
def test_wrong_configs_are_refused(make):
    with pytest.raises(octavo.UsageError):
        make()
