#!/usr/bin/env python3
"""Every operator in every opset against ONNX Runtime (graph optimisations off), and: what Octavo reads it can write back.

    run_onnx.py OCTAVO [--lib liboctavo.so] [--full] [--op NAME] [--opsets 7-23] [-v]

Per case and opset: build the model, `octavo run`, compare; then load and save it through the library, check it with the ONNX checker
and compare ONNX Runtime's answer on it with the one on the original.  The same for the models of ../shared/models, if they are there.
Without --full an opset is taken only where a version of the operator begins (sanitized builds: the case's first opset, nothing written
back). Exit 1 when anything differs."""
import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

import graphs  # noqa: F401  (adds its cases)
import integer  # noqa: F401
import more  # noqa: F401
from cases import CASES

ROOT = Path(__file__).resolve().parents[2]


def constant(name, v):
    if not isinstance(v, TensorProto):
        return numpy_helper.from_array(v, name)
    v.name = name
    return v


def build(case, opset, symbolic=False):
    """ModelProto of a case, its inputs; None where the form does not exist."""
    spec = case.build(opset)
    if spec is None:
        return None, None
    xs, cs, attrs = spec.get("x", {}), spec.get("c", {}), dict(spec.get("a", {}))
    if "model" in spec:
        return (None, None) if symbolic else (spec["model"], xs)
    if symbolic and ("nodes" in spec or len(xs) != 1 or 0 in next(iter(xs.values())).shape or not next(iter(xs.values())).shape):
        return None, None
    xs = xs or {"unused": np.zeros(1, np.float32)}  # `octavo run` wants an input
    for k, v in attrs.items():
        if isinstance(v, np.ndarray):
            attrs[k] = numpy_helper.from_array(v)
    outputs = [f"out{i}" for i in range(case.outputs)]
    if "nodes" in spec:
        nodes = [helper.make_node(op, i, ["out0" if t == spec["out"] else t for t in o], name=f"{op}_{k}", **a) for k, (op, i, o, a) in enumerate(spec["nodes"])]
    else:
        inputs = list(spec["inputs"])
        while inputs and inputs[-1] == "":
            inputs.pop()
        nodes = [helper.make_node(case.op, inputs, outputs, name="node", **attrs)]

    def info(name, a):
        shape = list(a.shape)
        if symbolic and shape:
            shape[0] = "N"
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), shape)
    graph = helper.make_graph(nodes, "case", [info(k, v) for k, v in xs.items()], [helper.make_empty_tensor_value_info(o) for o in outputs],
                              [constant(k, v) for k, v in cs.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)], ir_version=8 if opset < 19 else 10)
    if "type" in spec:  # operators that ONNX's shape inference does not know
        model.graph.output[0].type.tensor_type.elem_type = spec["type"]
        return model, xs
    typed = onnx.shape_inference.infer_shapes(model)
    if all(o.type.tensor_type.elem_type for o in typed.graph.output):
        model = typed
    else:  # the Constant of old opsets and the like: ONNX Runtime knows
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return model, xs


def reference(model_bytes, xs):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"]).run(None, xs)


class Library:
    """The two calls of liboctavo that the command line does not offer."""

    class Error(ctypes.Structure):
        _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char_p), ("node", ctypes.c_char_p), ("file", ctypes.c_char_p)]

    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        self.lib.oct_last_error.restype = ctypes.POINTER(self.Error)
        self.lib.oct_model_destroy.argtypes = [ctypes.c_void_p]
        self.lib.oct_model_save.argtypes = [ctypes.c_void_p, ctypes.c_char_p]

    def resave(self, source, target):
        model = ctypes.c_void_p()
        status = self.lib.oct_model_load(str(source).encode(), ctypes.byref(model))
        if status == 0:
            status = self.lib.oct_model_save(model, str(target).encode())
        if status:
            raise RuntimeError(f"status {status}: {self.lib.oct_last_error().contents.message.decode()}")
        self.lib.oct_model_destroy(model)


def octavo_run(octavo, model, xs, folder):
    command = [octavo, "run", str(model), "--output-dir", str(folder), "--threads", "1", "--quiet"]
    for name, a in xs.items():
        np.save(folder / f"{name}.in.npy", a)
        command += ["--input", f"{name}={folder / name}.in.npy"]
    p = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return p.returncode, p.stderr.strip()[-300:]


def float_steps(octavo, model, folder):
    """Steps of the plan that compute in float, with their reasons."""
    p = subprocess.run([octavo, "build", str(model), "-o", str(folder / "plan"), "--quiet"], capture_output=True, text=True, timeout=120)
    if p.returncode == 0:
        p = subprocess.run([octavo, "inspect", str(folder / "plan"), "--json"], capture_output=True, text=True, timeout=120)
    if p.returncode:
        return [p.stderr.strip()]
    return [f"{s['op']}: {s['reason']}" for s in json.loads(p.stdout)["steps"] if s["precision"] == "float"]


def differs(a, b, tol, step=None, fraction=0.0):
    """None, or what is different between result a and reference b. step: a code may differ by one on that fraction of elements."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype}{list(a.shape)} instead of {b.dtype}{list(b.shape)}"
    if step and np.issubdtype(b.dtype, np.integer):
        codes = a.astype(np.int64) - b
        off = np.count_nonzero(codes)
        far = np.abs(codes).max(initial=0) > 1 or off > fraction * b.size
        return f"{off} of {b.size} codes differ, by up to {np.abs(codes).max()}" if far else None
    if not np.issubdtype(b.dtype, np.floating):
        return None if np.array_equal(a, b) else f"{np.count_nonzero(a != b)} of {b.size} elements differ, first {a[a != b][:3]} instead of {b[a != b][:3]}"
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "finite in different places"
    if step:
        codes = np.rint((a - b) / step)
        off = np.count_nonzero(codes)
        if np.abs(codes).max(initial=0) > 1 or off > fraction * b.size:
            return f"{off} of {b.size} codes differ, by up to {np.abs(codes).max():.0f}"
        return None
    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0)))
    error = np.abs(np.where(np.isfinite(b), a - b, 0)).max(initial=0)
    return None if error <= tol * scale else f"largest error {error:.3g} at scale {scale:.3g}"


def one(args, library, case, opset, symbolic):
    """(verdict, text): ok, skip (no reference), unsupported, FAIL."""
    tag = f"{case.op}:{case.name}:{opset}{':N' if symbolic else ''}"
    model, xs = build(case, opset, symbolic)
    if model is None:
        return "absent", tag
    step = case.build(opset).get("step")
    try:
        want = reference(model.SerializeToString(), xs)
    except Exception as e:  # ONNX Runtime has no kernel for this type or opset
        return "skip", f"{tag}: {str(e).splitlines()[0][:160]}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(model, folder / "model.onnx")
        code, text = octavo_run(args.octavo, folder / "model.onnx", xs, folder)
        if code == 4:
            return ("ok" if case.unsupported else "FAIL"), f"{tag}: {text}"
        if code or case.unsupported:
            return "FAIL", f"{tag}: exit status {code}: {text}"
        for i, w in enumerate(want):
            what = differs(np.load(folder / f"out{i}.npy"), np.asarray(w), case.tol, step, getattr(case, "fraction", 0.0))
            if what:
                return "FAIL", f"{tag}: out{i}: {what}"
        if step and not case.float_steps:
            wrong = float_steps(args.octavo, folder / "model.onnx", folder)
            if wrong:
                return "FAIL", f"{tag}: not INT8: {wrong}"
        if library:
            try:
                library.resave(folder / "model.onnx", folder / "back.onnx")
                onnx.checker.check_model(str(folder / "back.onnx"), full_check=True)
                again = reference((folder / "back.onnx").read_bytes(), xs)
            except Exception as e:
                return "FAIL", f"{tag}: written back: {str(e)[:300]}"
            for i, (a, w) in enumerate(zip(again, want)):
                what = differs(np.asarray(a), np.asarray(w), 1e-6)
                if what:
                    return "FAIL", f"{tag}: written back: out{i}: {what}"
    return "ok", tag


def shared_models(args, library):
    """Models of the shared folder: same answer, and the same in ONNX Runtime after a round trip."""
    for path in sorted((ROOT.parent / "shared" / "models").glob("*.onnx")):
        x = ort.InferenceSession(str(path)).get_inputs()[0]
        shape = [2 if not isinstance(d, int) else d for d in x.shape]
        xs = {x.name: np.random.default_rng(3).standard_normal(shape).astype(np.float32)}
        want = reference(path.read_bytes(), xs)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            code, text = octavo_run(args.octavo, path, xs, folder)
            out = ort.InferenceSession(str(path)).get_outputs()[0].name
            if code:
                yield "FAIL", f"{path.name}: exit status {code}: {text}"
                continue
            what = differs(np.load(folder / f"{out}.npy"), want[0], 1e-4)
            yield ("FAIL" if what else "ok"), f"{path.name}: {what or 'same'}"
            if library:
                library.resave(path, folder / "back.onnx")
                onnx.checker.check_model(str(folder / "back.onnx"), full_check=True)
                what = differs(reference((folder / "back.onnx").read_bytes(), xs)[0], want[0], 1e-6)
                yield ("FAIL" if what else "ok"), f"{path.name}: written back: {what or 'same'}"


def opsets_of(case, how, first, last):
    lo, hi = max(first, case.first), min(last, case.last)
    if how == "first":
        return [lo] if lo <= hi else []
    if case.op == "Q/DQ":
        return sorted({lo, hi}) if how != "full" else list(range(lo, hi + 1))
    begins = {s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.name == case.op and s.domain == ""}
    return [o for o in range(lo, hi + 1) if how == "full" or o == lo or o in begins]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("octavo")
    p.add_argument("--lib", help="default: liboctavo.so beside the program")
    p.add_argument("--full", action="store_true")
    p.add_argument("--op")
    p.add_argument("--opsets", default="7-23")
    p.add_argument("-v", action="store_true")
    args = p.parse_args()
    first, last = map(int, args.opsets.split("-"))
    lib = Path(args.lib) if args.lib else Path(args.octavo).resolve().parent / "liboctavo.so"
    sanitized = lib.exists() and b"__asan_init" in lib.read_bytes()
    library = Library(lib) if lib.exists() and not sanitized else None
    if library is None:
        print(f"note: {lib} is {'sanitized' if sanitized else 'missing'}, nothing is written back")
    how = "full" if args.full else "first" if sanitized else "begins"
    jobs = [(c, o, s) for c in CASES if not args.op or c.op == args.op for o in opsets_of(c, how, first, last)
            for s in ((False, True) if o == max(first, c.first) else (False,))]
    count = Counter()

    def take(verdict, text):
        count[verdict] += 1
        if verdict == "FAIL" or (args.v and verdict == "skip"):
            print(verdict, text, flush=True)
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda j: one(args, library, *j), jobs):
            take(*result)
    if not args.op:
        for result in shared_models(args, library):
            take(*result)
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
