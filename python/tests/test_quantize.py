"""Observers, calibration, quantization, building, measuring and training from Python."""
import copy
import pickle

import numpy as np
import onnx
import pytest
from conftest import reference

import octavo


def batches(x, labels=None, size=8):
    for at in range(0, len(x), size):
        yield x[at : at + size] if labels is None else (x[at : at + size], labels[at : at + size])


# --- observers ---


def test_observer_max_is_numpys():
    x = np.random.default_rng(0).standard_normal((16, 50)).astype(np.float32)
    observer = octavo.Observer()
    observer.push(x)
    found = observer.solve("max")
    assert (found.min, found.max, found.lo, found.hi, observer.sample_count) == (x.min(), x.max(), 0, 255, 16)
    assert 0 < found.zero < 255 and abs(found.scale - (x.max() - x.min()) / 255) < 0.02 * found.scale
    found = observer.solve("max", scheme="symmetric")
    assert (found.zero, found.lo, found.hi) == (0, -128, 127)
    np.testing.assert_allclose(found.scale, np.abs(x).max() / 127, rtol=1e-6)


def test_observer_percentile_is_near_numpys():
    x = np.random.default_rng(0).standard_normal((64, 1000)).astype(np.float32)
    observer = octavo.Observer()
    observer.push(x)
    found = observer.solve("percentile", percentile=99.0, scheme="symmetric")
    np.testing.assert_allclose(found.scale * 127, np.percentile(np.abs(x), 99.0), rtol=2e-3)
    assert found.solver == "percentile 99"


def test_observer_mse_is_no_worse_than_a_scan():
    x = np.random.default_rng(0).laplace(size=(8, 4000)).astype(np.float32)
    observer = octavo.Observer()
    observer.push(x)

    def error(r):
        codes = np.clip(np.round(x / np.float32(r.scale)) + r.zero, r.lo, r.hi)
        return float(np.mean(((codes - r.zero) * r.scale - x) ** 2))

    for bits, scheme in ((8, "symmetric"), (4, "affine"), (4, "symmetric"), (2, "symmetric")):
        found = observer.solve("mse", scheme=scheme, bits=bits)
        assert found.hi - found.lo == 2**bits - 1
        half = 2 ** (bits - 1)
        scan = min(error(octavo.Range(0, 0, t / (half - 1), 0, "", -half, half - 1)) for t in np.linspace(0.05, 1, 100) * np.abs(x).max())
        assert error(found) <= 1.02 * scan


def test_observer_state_merge_pickle_and_copy():
    x = np.random.default_rng(0).standard_normal((20, 33)).astype(np.float32)
    whole, first, second = octavo.Observer(), octavo.Observer(), octavo.Observer()
    whole.push(x)
    first.push(x[:7])
    second.push(x[7:])
    second.merge(first)
    assert second.state() == whole.state()
    for other in (pickle.loads(pickle.dumps(whole)), copy.deepcopy(whole), octavo.Observer.from_state(whole.state())):
        assert other.state() == whole.state()
    with pytest.raises(octavo.ContentError):
        octavo.Observer.from_state(whole.state()[:-1])


def test_observer_errors():
    observer = octavo.Observer()
    with pytest.raises(octavo.ContentError, match="float64"):
        observer.push(np.zeros((1, 2)))
    with pytest.raises(octavo.ContentError):
        observer.push(np.float32(1))
    observer.push(np.ones((1, 2), np.float32))
    with pytest.raises(octavo.UsageError):
        observer.solve("auto")
    with pytest.raises(octavo.UsageError, match="one of"):
        observer.solve("mean")
    with pytest.raises(octavo.UsageError):
        observer.solve("percentile", percentile=10)


# --- calibration and quantization ---


def test_calibrate_equals_observer(net, samples):
    x, labels = samples
    ranges = octavo.calibrate(net, batches(x), method="max")
    assert ranges["x"].min == x.min() and ranges["x"].max == x.max()
    same = octavo.calibrate(net, [{"x": b} for b in batches(x, size=5)], method="max")
    assert dict(ranges) == dict(same)
    assert dict(octavo.calibrate(net, batches(x, labels), method="max")) == dict(ranges)
    observer = octavo.Observer()
    observer.push(x)
    for method in ("max", "entropy", "mse", "percentile"):
        found, expected = octavo.calibrate(net, [x], method=method)["x"], observer.solve(method)
        assert (found.min, found.max, found.scale, found.zero) == (expected.min, expected.max, expected.scale, expected.zero)


def test_calibrate_takes_a_loader_of_torch(net, samples):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(samples[0]), torch.from_numpy(samples[1]))
    loader = torch.utils.data.DataLoader(data, batch_size=16)
    assert dict(octavo.calibrate(net, loader)) == dict(octavo.calibrate(net, [samples[0]]))


def test_ranges_files(net, samples, tmp_path):
    ranges = octavo.calibrate(net, [samples[0]], tmp_path / "cache.json")
    again = octavo.Ranges(tmp_path / "cache.json")
    assert dict(again) == dict(ranges) and again.model_hash == ranges.model_hash != ""
    ranges = octavo.calibrate(net, [samples[0]], tmp_path / "cache.trt", scheme="symmetric", format="tensorrt")
    assert (tmp_path / "cache.trt").read_text().startswith("TRT-")
    np.testing.assert_allclose(octavo.Ranges(tmp_path / "cache.trt")["x"].scale, ranges["x"].scale, rtol=1e-6)
    again.set("x", -3, 5)
    assert (again["x"].min, again["x"].max, again["x"].solver) == (-3, 5, "user")
    with pytest.raises(octavo.UsageError):
        again.set("x", 5, -3)


def test_quantize(net, samples, tmp_path):
    x = samples[0]
    model = octavo.quantize(net, batches(x), tmp_path / "int8.onnx")
    assert model.is_quantized and not octavo.Model(net).is_quantized
    proto = onnx.load(tmp_path / "int8.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {n.op_type for n in proto.graph.node}
    (y,) = octavo.Session(model).run(None, {"x": x})
    expected = reference(net, x)
    assert np.abs(y - expected).max() < 0.05 * np.abs(expected).max()
    found = octavo.Ranges.from_model(model)
    cached = octavo.quantize(net, ranges=octavo.calibrate(net, batches(x)))
    assert dict(octavo.Ranges.from_model(cached)) == dict(found)
    with pytest.raises(octavo.UsageError, match="either"):
        octavo.quantize(net)
    with pytest.raises(octavo.ContentError):
        octavo.quantize(model, [x])


def test_quantize_from_a_file_of_arrays(net, samples, tmp_path):
    np.save(tmp_path / "x.npy", samples[0])
    assert dict(octavo.calibrate(net, tmp_path / "x.npy")) == dict(octavo.calibrate(net, [samples[0]]))
    with pytest.raises(octavo.IoError, match="none.npy"):
        octavo.quantize(net, tmp_path / "none.npy")


def test_calibrate_a_folder_of_images(net, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(2).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    pixels[..., 0] //= 2  # or red and blue would have the same extremes
    for i, one in enumerate(pixels):
        (tmp_path / f"class{i % 2}").mkdir(exist_ok=True)
        image.fromarray(one).save(tmp_path / f"class{i % 2}" / f"{i}.png")
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    x = ((pixels / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    how = octavo.Preprocess(mean=tuple(mean), std=tuple(std))
    found, expected = octavo.calibrate(net, tmp_path, method="max", preprocess=how), octavo.calibrate(net, [x], method="max")
    for name in expected:
        np.testing.assert_allclose((found[name].min, found[name].max), (expected[name].min, expected[name].max), rtol=1e-5)
    swapped = octavo.calibrate(net, tmp_path, method="max", preprocess=octavo.Preprocess(mean=tuple(mean), std=tuple(std), color="bgr"))
    assert swapped["x"].max != found["x"].max
    with pytest.raises(octavo.UsageError, match="layout"):
        octavo.calibrate(net, tmp_path, preprocess=octavo.Preprocess(layout="nchw8"))


def test_bad_batches_are_named(net, samples):
    x = samples[0]
    with pytest.raises(octavo.ContentError, match="no 'x'"):
        octavo.calibrate(net, [{"z": x}])
    with pytest.raises(octavo.ContentError, match="3 axes"):
        octavo.calibrate(net, [x[0]])
    with pytest.raises(octavo.ContentError, match="complex"):
        octavo.calibrate(net, [x.astype(np.complex64)])
    with pytest.raises(octavo.DemandError):
        octavo.calibrate(net, [])


# --- building and measuring ---


def test_build_calibrated(net, samples, tmp_path):
    ranges = octavo.calibrate(net, [samples[0]])
    told = []
    plan = octavo.build(net, tmp_path / "p.plan", ranges=ranges, mode="int8", level=0, batch=2, progress=lambda what, done, total: told.append(what))
    assert plan.report["layers"] and octavo.Plan(tmp_path / "p.plan").inspect()["summary"]["int8_share"] == 1
    held = octavo.build(net, ranges=ranges, mode="int8", level=0, precision={"conv1": "float"})
    assert 0 < held.inspect()["summary"]["int8_share"] < 1
    with pytest.raises(octavo.UsageError, match="nothing"):
        octavo.build(net, level=0, precision={"nothing": "float"})
    codes = octavo.build(octavo.quantize(net, [samples[0]]), level=0, io={"x": "codes"})
    assert codes.get_inputs()[0].type == "tensor(uint8)"


def test_bench(net):
    found = octavo.bench(net, batch=2, threads=1, seconds=0.05)
    assert found.batch == 2 and found.runs >= 10 and 0 < found.minimum <= found.median <= found.p99
    assert sum(step["seconds"] for step in found.steps) > 0
    assert octavo.bench(net, {"x": np.zeros((3, 3, 8, 8), np.float32)}, runs=5).runs == 5


def test_compare(net, samples):
    x = samples[0]
    same = octavo.compare(net, net, [x])
    assert {"r0", "a", "y"} <= {d.name for d in same} and all(d.max_abs == 0 and d.sqnr_db == np.inf for d in same)
    quantized = octavo.quantize(net, [x])
    by_name = {d.name: d for d in octavo.compare(net, quantized, batches(x))}
    y = octavo.Session(quantized).run(None, {"x": x})[0]
    np.testing.assert_allclose(by_name["y"].max_abs, np.abs(y - octavo.Session(net).run(None, {"x": x})[0]).max(), rtol=1e-3)
    assert 20 < by_name["y"].sqnr_db < 80
    with pytest.raises(octavo.ContentError):
        octavo.compare(net, net, [])


def test_evaluate(net, samples):
    x, labels = samples
    wrong = labels.copy()
    wrong[:16] = (wrong[:16] + 1) % 4
    a, b, verdict = octavo.evaluate(net, octavo.quantize(net, [x]), data=batches(x, wrong))
    assert a.samples == b.samples == 64 and a.top1 == 75
    assert verdict.better + verdict.worse <= 64 and 0 <= verdict.p <= 1 and verdict.agree > 90
    alone, none, nothing = octavo.evaluate(net, data=batches(x, labels))
    assert alone.top1 == 100 and none is None and nothing is None


# --- training ---


def train_data(samples):
    x, labels = samples
    return [(x[i : i + 16], labels[i : i + 16]) for i in range(0, 64, 16)]


@pytest.fixture
def trainable():
    try:
        from octavo import _train  # noqa: F401
    except ImportError as error:
        pytest.skip(f"no training here: {error}")


def test_train(net, samples, tmp_path, trainable):
    events = []
    result = octavo.train(net, train_data(samples), tmp_path / "qat.onnx", val_split=0.25, epochs=2, batch=8, weight_bits=4, activation_bits=4,
                          threads=1, event=events.append)  # fmt: skip
    assert result.best_top1 >= result.ptq_top1 and result.epochs == 2 and result.codes > 0 and result.codes_differing == 0
    assert [e.kind for e in events if e.kind != "step"] == ["started", "epoch", "epoch"] and events[0].scales
    assert octavo.Session(result.model).run(None, {"x": samples[0][:2]})[0].shape == (2, 4)
    again = octavo.train(net, train_data(samples), val_split=0.25, epochs=2, batch=8, weight_bits=4, activation_bits=4, threads=2)
    again.model.save(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "qat.onnx").read_bytes()


def test_train_float_and_errors(net, samples, trainable):
    data = train_data(samples)
    result = octavo.train(net, data, val_split=0.25, float_only=True, epochs=1, batch=8)
    assert not result.model.is_quantized
    with pytest.raises(octavo.UsageError, match="no option 'epoch'"):
        octavo.train(net, data, epoch=1)
    with pytest.raises(octavo.UsageError, match="scales is one of"):
        octavo.train(net, data, scales="none")

    def stop(event):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        octavo.train(net, data, val_split=0.25, epochs=50, batch=8, event=stop)
