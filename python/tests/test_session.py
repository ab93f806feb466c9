"""Session against NumPy: values, shapes, names, errors, threads, profile."""
import concurrent.futures
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from conftest import conv_net, reference
from onnx import TensorProto, helper

import octavo


@pytest.fixture
def session(net):
    return octavo.Session(net, threads=1)


def test_run_equals_numpy(session, net, samples):
    x, _ = samples
    (y,) = session.run(None, {"x": x})
    np.testing.assert_allclose(y, reference(net, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["path", "str", "bytes", "proto", "model"])
def test_sources(form, net, net_path, samples):
    source = {"path": net_path, "str": str(net_path), "bytes": net.SerializeToString(), "proto": net, "model": octavo.Model(net_path)}[form]
    (y,) = octavo.Session(source, threads=1).run(["y"], {"x": samples[0][:2]})
    np.testing.assert_allclose(y, reference(net, samples[0][:2]), rtol=1e-4, atol=1e-5)


def test_ports(session):
    (port,) = session.get_inputs()
    assert (port.name, port.shape, port.type) == ("x", ["N", 3, 8, 8], "tensor(float)")
    (port,) = session.get_outputs()
    assert (port.name, port.shape, port.type) == ("y", ["N", 4], "tensor(float)")


def test_shapes_change_from_run_to_run(session, net, samples):
    x = samples[0]
    for count in (1, 3, 64, 3, 1):
        (y,) = session.run(None, {"x": x[:count]})
        assert y.shape == (count, 4)
        np.testing.assert_allclose(y, reference(net, x[:count]), rtol=1e-4, atol=1e-5)


def test_results_are_the_callers_own(session, samples):
    (first,) = session.run(None, {"x": samples[0][:1]})
    kept = first.copy()
    session.run(None, {"x": samples[0][1:2]})
    np.testing.assert_array_equal(first, kept)
    first[:] = 0


def test_strided_and_read_only_arrays(session, samples):
    x = samples[0]
    (expected,) = session.run(None, {"x": x[:4]})
    wide = np.zeros((4, 3, 8, 16), np.float32)
    wide[..., ::2] = x[:4]
    np.testing.assert_array_equal(session.run(None, {"x": wide[..., ::2]})[0], expected)
    frozen = x[:4].copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(session.run(None, {"x": frozen})[0], expected)


def test_errors_name_what_is_wrong(session, samples):
    x = samples[0][:1]
    with pytest.raises(octavo.ContentError, match="'x' is missing"):
        session.run(None, {})
    with pytest.raises(octavo.UsageError, match="no input 'z'"):
        session.run(None, {"x": x, "z": x})
    with pytest.raises(octavo.UsageError, match="no output 'q'"):
        session.run(["q"], {"x": x})
    with pytest.raises(octavo.ContentError, match="x"):
        session.run(None, {"x": x.astype(np.float64)})
    with pytest.raises(octavo.ContentError, match="axis 3"):
        session.run(None, {"x": x[..., :7]})
    with pytest.raises(octavo.ContentError, match="3 axes"):
        session.run(None, {"x": x[0]})
    session.run(None, {"x": x})


def test_exceptions_have_their_builtin_kind(tmp_path):
    with pytest.raises(octavo.IoError) as error:
        octavo.Session(tmp_path / "none.onnx")
    assert isinstance(error.value, OSError) and isinstance(error.value, octavo.OctavoError)
    assert "none.onnx" in str(error.value) and error.value.status == 5
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    with pytest.raises(octavo.ContentError) as error:
        octavo.Session(bad)
    assert isinstance(error.value, ValueError) and error.value.file.endswith("bad.onnx")
    strange = helper.make_model(
        helper.make_graph([helper.make_node("NoSuchOperator", ["x"], ["y"], "odd")], "g", [helper.make_tensor_value_info("x", 1, [1])],
                          [helper.make_tensor_value_info("y", 1, [1])])
    )  # fmt: skip
    with pytest.raises(octavo.UnsupportedError, match="odd") as error:
        octavo.Session(strange)
    assert error.value.node == "odd" and isinstance(error.value, NotImplementedError)
    with pytest.raises(octavo.UsageError, match="mode is one of"):
        octavo.Session(conv_net(), mode="slow")


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8", "bool", "float32"])
def test_types_in_and_out(dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", kind, [2, "n"])],
                              [helper.make_tensor_value_info("y", kind, [2, "n"])])  # fmt: skip
    x = np.array([[0, 1, 5], [7, 100, 3]]).astype(dtype)
    (y,) = octavo.Session(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])).run(None, {"x": x})
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


def test_scalars_and_two_outputs():
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["s"]), helper.make_node("Mul", ["a", "b"], ["p"])], "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in "ab"], [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in "sp"],
    )  # fmt: skip
    session = octavo.Session(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    feed = {"a": np.float32(3), "b": np.float32(5)}
    s, p = session.run(None, feed)
    assert (s.shape, float(s), float(p)) == ((), 8, 15)
    assert [float(v) for v in session.run(["p", "s"], feed)] == [15, 8]


def test_threads_take_turns(session, net, samples):
    x = samples[0]
    expected = reference(net, x)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: session.run(None, {"x": x[i : i + 1]})[0], range(32)))
    np.testing.assert_allclose(np.concatenate(results), expected[:32], rtol=1e-4, atol=1e-5)


def test_run_async(session, samples):
    feed = {"x": samples[0][:2]}
    (expected,) = session.run(None, feed)
    np.testing.assert_array_equal(session.run_async(None, feed).result()[0], expected)
    told = threading.Event()
    seen = []
    session.run_async(None, feed, lambda results, user, error: (seen.append((results, user, error)), told.set()), "mine")
    assert told.wait(10) and seen[0][1:] == ("mine", "")
    np.testing.assert_array_equal(seen[0][0][0], expected)
    told.clear()
    session.run_async(["q"], feed, lambda results, user, error: (seen.append((results, user, error)), told.set()))
    assert told.wait(10) and seen[1][0] == [] and "'q'" in seen[1][2]


def test_other_threads_go_on_while_it_runs():
    """The interpreter's lock is released: a counter advances while one long run is on."""
    n = 1024
    w = helper.make_tensor("w", TensorProto.FLOAT, [n, n], np.ones((n, n), np.float32).tobytes(), raw=True)
    nodes = [helper.make_node("MatMul", [f"t{i}" if i else "x", "w"], [f"t{i + 1}"]) for i in range(12)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [n, n])], [helper.make_tensor_value_info("t12", 1, [n, n])], [w])
    session = octavo.Session(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), threads=1)
    x = np.zeros((n, n), np.float32)
    running, count = threading.Event(), 0

    def run():
        running.set()
        session.run(None, {"x": x})
        running.clear()

    worker = threading.Thread(target=run)
    worker.start()
    while running.is_set() or worker.is_alive():
        count += 1
    worker.join()
    assert count > 100


def test_profile(net, samples):
    session = octavo.Session(net, threads=1, enable_profiling=True)
    with pytest.raises(octavo.UsageError):
        session.get_profile()
    for _ in range(3):
        session.run(None, {"x": samples[0][:1]})
    steps = session.get_profile()
    assert {step["runs"] for step in steps} == {3}
    assert sum(step["macs"] for step in steps) == 8 * 8 * 8 * 9 * (3 + 8) + 8 * 4
    with pytest.raises(octavo.UsageError):
        octavo.Session(net).get_profile()


def test_plan_files(tmp_path, net, samples):
    path = tmp_path / "net.plan"
    octavo.build(net, path, batch=4, level=0)
    session = octavo.Session(path)
    (y,) = session.run(None, {"x": samples[0][:4]})
    np.testing.assert_allclose(y, reference(net, samples[0][:4]), rtol=1e-4, atol=1e-5)
    with pytest.raises(octavo.OctavoError, match="x"):
        session.run(None, {"x": samples[0][:3]})
    own = octavo.Session(net)
    own.run(None, {"x": samples[0][:4]})
    own.plan_path(tmp_path / "own.plan")
    np.testing.assert_array_equal(octavo.Session(tmp_path / "own.plan").run(None, {"x": samples[0][:4]})[0], y)


def test_plan_with_profile(net, samples):
    plan = octavo.build(net, level=0, profile={"x": ([1, 3, 8, 8], [4, 3, 8, 8], [16, 3, 8, 8])})
    session = octavo.Session(plan, threads=1)
    for count in (4, 1, 16, 5):
        np.testing.assert_allclose(session.run(None, {"x": samples[0][:count]})[0], reference(net, samples[0][:count]), rtol=1e-4, atol=1e-5)
    with pytest.raises(octavo.UsageError):
        session.run(None, {"x": samples[0][:17]})


def test_torch_tensors_are_taken(session, net, samples):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(samples[0][:2]).requires_grad_()
    np.testing.assert_allclose(session.run(None, {"x": x})[0], reference(net, samples[0][:2]), rtol=1e-4, atol=1e-5)


def test_import_is_light(tmp_path):
    """Neither torch nor onnx come in, nor parts of numpy that numpy itself does not import."""
    code = "import sys, numpy; before = set(sys.modules); import octavo; print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()
    assert not {"torch", "onnx", "numpy", "onnxruntime"} & set(modules), modules


def test_metadata(net, tmp_path):
    model = octavo.Model(net)
    assert model.get_metadata("key") is None
    model.set_metadata("key", "value")
    model.save(tmp_path / "m.onnx")
    assert {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}["key"] == "value"
    assert octavo.Session(model).get_modelmeta("key") == "value"
