"""prepare and its placement, folding, calibration, training helpers."""
import copy
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from auto_nets import Branches, ResNet, Transformer, Untraceable, images, trained  # noqa: E402
from torch import nn  # noqa: E402

import octavo  # noqa: E402
import octavo.torch as oq  # noqa: E402
from octavo.torch.quantizer import ActivationQuantizer, WeightQuantizer  # noqa: E402


def names(model, kind=ActivationQuantizer):
    return list(oq.quantizers(model, kind))


@pytest.fixture
def ready():
    model = oq.prepare(trained(ResNet()), "int8", images(8))
    return oq.calibrate(model, [images(16, 1)], "max")


def test_the_model_itself_is_left_alone():
    model = trained(ResNet())
    state, conv, forward = copy.deepcopy(model.state_dict()), nn.Conv2d, nn.Conv2d.forward
    before = model(images(2))
    quantized = oq.prepare(model, "int8", images(2))
    assert quantized is not model and type(model.stem) is nn.Conv2d and nn.Conv2d is conv and nn.Conv2d.forward is forward
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in state.items())
    assert torch.equal(model(images(2)), before)


def test_placement_in_a_residual_network(ready):
    assert names(ready) == ["x_quantizer", "relu_quantizer", "relu_1_quantizer", "relu_2_quantizer", "relu_3_quantizer", "relu_4_quantizer",
                            "adaptive_avg_pool2d_quantizer"]  # fmt: skip
    assert len(names(ready, WeightQuantizer)) == 6
    calls = [n for n in ready.graph.nodes if n.op == "call_module" and n.target == "relu_quantizer"]
    assert len(calls) == 1 and {user.name for user in calls[0].users} == {"blocks_0_conv1", "add"}  # one pair; the residual reads it too


def test_concatenation_shares_one_scale():
    model = oq.prepare(trained(Branches()), "int8", images(2))
    shared = [n for n in model.graph.nodes if n.op == "call_module" and n.target == names(model)[0]]
    targets = {n.args[0].name: n.target for n in model.graph.nodes if n.op == "call_module" and n.target in names(model)}
    assert targets["relu"] == targets["relu_1"] == targets["pool"] == targets["cat"] == targets["x"]
    assert len(shared) == 5 and {n.args[0].name for n in shared if n.kwargs} == {"pool", "cat"}


def test_ranges_are_the_c_calibrators(tmp_path):
    """The same tensors, the same bits: of the input itself, by every method."""
    x = images(32, 3)
    for method in ("max", "percentile", "entropy", "mse"):
        for preset, scheme in (("int8", "affine"), ("int8_symmetric", "symmetric")):
            model = oq.calibrate(oq.prepare(trained(ResNet()), preset, x), x.split(5), method, percentile=99.9)
            observer = octavo.Observer()
            observer.push(x.numpy())
            found = observer.solve(method, 99.9, scheme)
            q = model.x_quantizer
            assert (q.scale.item(), q.zero.item(), q.qmin, q.qmax) == (np.float32(found.scale), found.zero, found.lo, found.hi)


def test_ranges_of_all_tensors_are_near_octavo_calibrate(tmp_path):
    x = images(32, 3)
    model = oq.prepare(trained(ResNet()), "int8", x)
    oq.calibrate(model, [x], "max")
    plain = copy.deepcopy(model)
    oq.enable(plain, False, False)
    oq.export_onnx(plain, x, tmp_path / "float.onnx", verify=False)
    ranges = octavo.calibrate(tmp_path / "float.onnx", [x.numpy()], method="max")
    found = sorted(q.scale.item() for q in oq.quantizers(model, ActivationQuantizer).values())
    inside = octavo.Ranges.from_model(octavo.quantize(tmp_path / "float.onnx", ranges=ranges))
    wanted = sorted({round(r.scale, 9): r.scale for r in inside.values()}.values())
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("method", ["auto", "max", "mse", "percentile"])
def test_calibrated_model_is_near_float(method):
    model = trained(ResNet())
    x = images(32, 1)
    quantized = oq.calibrate(oq.prepare(model, "int8", x), x.split(8), method)
    with torch.no_grad():
        wanted, found = model(x), quantized(x)
    assert (found - wanted).abs().max() < 0.06 * wanted.abs().max()


def test_calibrate_takes_loaders_and_says_what_is_wrong():
    model = oq.prepare(trained(ResNet()), "int8", images(2))
    with pytest.raises(octavo.DemandError):
        oq.calibrate(model, [])
    with pytest.raises(octavo.UsageError, match="method is one of"):
        oq.calibrate(model, [images(2)], "best")
    with pytest.raises(octavo.DemandError, match="range"):
        model(images(2))
    data = torch.utils.data.TensorDataset(images(12), torch.zeros(12, dtype=torch.long))
    oq.calibrate(model, torch.utils.data.DataLoader(data, 4), "max", batches=3)
    model.train()
    oq.calibrate(model, [(images(4),)], "max", forward=lambda m, batch: m(batch[0]))
    assert model.training


@pytest.mark.parametrize("keep", [True, False])
def test_fold_bn_is_exact(keep):
    model = trained(ResNet())
    x = images(4)
    folded = oq.fold_bn(model, x)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    torch.testing.assert_close(folded(x), model(x), rtol=1e-4, atol=1e-4)
    quantized = oq.calibrate(oq.prepare(model, oq.QuantConfig(fold_bn=keep), x), [x], "max")
    assert any(isinstance(m, nn.BatchNorm2d) for m in quantized.modules()) is not keep
    before = quantized.stem.weight_quantizer.codes(quantized.stem.weight)
    after = oq.fold_bn(quantized)
    codes = after.stem.weight_quantizer.codes(after.stem.weight)
    assert torch.equal(codes.abs(), before.abs())  # a negative factor turns the signs


def test_per_layer_config():
    x = images(2)
    config = oq.QuantConfig(layers={"blocks.0.*": {"enabled": False}, "fc": {"weight_bits": 4, "per_channel": False}})
    model = oq.prepare(trained(ResNet()), config, x)
    assert type(model.blocks.get_submodule("0").conv1) is nn.Conv2d
    assert model.fc.weight_quantizer.bits == 4 and model.fc.weight_quantizer.scale.dim() == 0
    with pytest.raises(octavo.UsageError, match="matches no layer"):
        oq.prepare(trained(ResNet()), oq.QuantConfig(layers={"head": {"enabled": False}}), x)
    with pytest.raises(octavo.UsageError, match="one of"):
        oq.prepare(trained(ResNet()), "int3", x)
    with pytest.raises(octavo.UsageError, match="example_inputs"):
        oq.prepare(trained(ResNet()), "int8")


def test_narrow_presets_keep_the_edges():
    model = oq.prepare(trained(ResNet()), "w4a4", images(2))
    bits = [q.bits for q in oq.quantizers(model, WeightQuantizer).values()]
    assert bits == [8, 4, 4, 4, 4, 8]
    assert model.x_quantizer.bits == 8 and model.relu_1_quantizer.bits == 4 and model.x_quantizer.scale.requires_grad


def test_transformers_are_opened_up():
    model = trained(Transformer())
    ids = torch.randint(0, 50, (3, 8), generator=torch.Generator().manual_seed(0))
    quantized = oq.prepare(model, "int8", ids)
    oq.enable(quantized, False, False)
    torch.testing.assert_close(quantized(ids), model(ids), rtol=1e-4, atol=1e-5)
    oq.enable(quantized)
    oq.calibrate(quantized, [ids], "max")
    assert len(oq.quantizers(quantized, WeightQuantizer)) == 2 * 6 + 1
    assert (quantized(ids) - model(ids)).abs().max() < 0.1
    more = oq.prepare(model, oq.QuantConfig(matmul=True), ids)
    assert len(names(more)) > len(names(quantized))


def test_what_cannot_be_traced_is_done_layer_by_layer():
    model = trained(Untraceable())
    x = images(2)
    with pytest.warns(UserWarning, match="cannot be traced"):
        quantized = oq.prepare(model, "int8", x)
    oq.calibrate(quantized, [x])
    assert (quantized(x) - model(x)).abs().max() < 0.1 and len(names(quantized)) == 2
    assert type(model.conv) is nn.Conv2d


def test_in_place_keeps_the_names():
    model = trained(ResNet())
    keys = set(model.state_dict())
    x = images(8)
    with torch.no_grad():
        wanted = model(x)
    assert oq.prepare_(model) is model and keys < set(model.state_dict())
    oq.calibrate(model, [x], "max")
    fresh = oq.prepare_(trained(ResNet(), seed=5))
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(fresh(x), model(x)) and (model(x) - wanted).abs().max() < 0.06 * wanted.abs().max()


@pytest.mark.parametrize("form", ["state", "deepcopy", "pickle"])
def test_prepared_models_survive(ready, form, tmp_path):
    x = images(3, 9)
    if form == "state":
        torch.save(ready.state_dict(), tmp_path / "s.pt")
        other = oq.prepare(trained(ResNet(), seed=7), "int8", x)
        other.load_state_dict(torch.load(tmp_path / "s.pt"))
    else:
        other = copy.deepcopy(ready) if form == "deepcopy" else pickle.loads(pickle.dumps(ready))
    with torch.no_grad():
        torch.testing.assert_close(other(x), ready(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scales", ["calibrated", "learned", "clip"])
def test_training_moves_what_it_should(scales):
    x, y = images(32, 2), torch.arange(32) % 10
    model = oq.calibrate(oq.prepare(trained(ResNet()), oq.QuantConfig(oq.LayerConfig(weight_bits=4, activation_bits=4), scales=scales), x), [x])
    before = {k: v.clone() for k, v in model.state_dict().items() if "extra" not in k}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    losses = []
    model.train()
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = model.state_dict()
    assert losses[-1] < losses[0] - 0.01 and not torch.equal(after["stem.weight"], before["stem.weight"])
    moved = {k for k in before if k.endswith("scale") and not torch.equal(before[k], after[k])}
    if scales == "calibrated":
        assert not moved
    elif scales == "clip":
        assert moved and not any("weight_quantizer" in k for k in moved)
    else:
        assert any("weight_quantizer" in k for k in moved) and any("relu" in k for k in moved)


def test_freeze_bn():
    model = oq.prepare(trained(ResNet()), oq.QuantConfig(fold_bn=False), images(4))
    oq.calibrate(model, [images(4)])
    mean = model.bn.running_mean.clone()
    oq.freeze_bn(model).train()
    model(images(8, 3) + 5)
    assert torch.equal(model.bn.running_mean, mean) and model.training
    oq.freeze_bn(model, False).train()
    model(images(8, 3) + 5)
    assert not torch.equal(model.bn.running_mean, mean)


def test_never_worse(ready):
    state = copy.deepcopy(ready.state_dict())

    def spoil(model):
        with torch.no_grad():
            model.fc.weight.zero_()

    scores = iter([90.0, 50.0])
    assert oq.never_worse(ready, spoil, lambda m: next(scores)).kept == "before"
    assert torch.equal(ready.state_dict()["fc.weight"], state["fc.weight"])
    scores = iter([90.0, float("nan")])
    assert oq.never_worse(ready, spoil, lambda m: next(scores)).kept == "before"
    scores = iter([90.0, 91.0])
    outcome = oq.never_worse(ready, spoil, lambda m: next(scores))
    assert (outcome.kept, outcome.before, outcome.after) == ("after", 90, 91) and not ready.fc.weight.any()
    ready.load_state_dict(state)
    with pytest.raises(KeyError):
        oq.never_worse(ready, lambda m: (spoil(m), {}["x"]), lambda m: 1.0)
    assert torch.equal(ready.state_dict()["fc.weight"], state["fc.weight"])


def test_analyze(ready):
    x = images(32, 1)
    with torch.no_grad():
        float_model = copy.deepcopy(ready)
        oq.enable(float_model, False, False)
        wanted = float_model(x)
    ready.fc.weight_quantizer.set_scale(ready.fc.weight_quantizer.scale * 30)  # one bad layer

    def closeness(model):
        with torch.no_grad():
            return -float((model(x) - wanted).square().mean())

    table = oq.analyze(ready, closeness)
    assert table[0].name == "fc.weight_quantizer" and table[0].kind == "weight" and table[0].drop > 10 * table[1].drop
    assert len(table) == len(oq.quantizers(ready)) and table.float_score == 0 and all(q.enabled for q in oq.quantizers(ready).values())
    assert "fc.weight_quantizer" in str(table)


def test_autocast_and_compile(ready):
    x = images(4)
    with torch.no_grad():
        wanted = ready(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert (ready(x).float() - wanted).abs().max() < 0.1 * wanted.abs().max()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        compiled = torch.compile(ready, backend="aot_eager")
        torch.testing.assert_close(compiled(x), wanted, rtol=1e-3, atol=1e-3)


def test_plot_ranges(ready, tmp_path):
    pytest.importorskip("matplotlib")
    figure = oq.plot_ranges(ready, tmp_path / "ranges.png", [images(4)])
    assert len(figure.axes) == 3 and (tmp_path / "ranges.png").stat().st_size > 5000
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == names(ready)
    # Errors of 8 bits: the input's in decibels against NumPy's.
    x, q = images(4), ready.x_quantizer
    error = x - (torch.clamp(torch.round(x / q.scale) + q.zero, 0, 255) - q.zero) * q.scale
    wanted = 10 * np.log10((x**2).sum().item() / (error**2).sum().item())
    bars = dict(zip([t.get_text() for t in figure.axes[2].get_yticklabels()], [bar.get_width() for bar in figure.axes[2].patches]))
    assert "x_quantizer" not in bars or abs(bars["x_quantizer"] - wanted) < 0.01
    assert all(25 < bar < 80 for bar in bars.values())
    assert len(oq.plot_ranges(ready).axes) == 3
