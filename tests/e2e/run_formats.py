#!/usr/bin/env python3
"""Models quantized by other tools: ONNX Runtime's quantize_static on the models of ../shared, run by Octavo and by ONNX Runtime.

    run_formats.py OCTAVO [--full] [--images N] [--only SUBSTR] [--table]

Both of the tool's formats (QDQ and QOperator: QLinearConv and relatives), weights per tensor and per channel, activations u8 and s8, the float model as it is or after
quant_pre_process; and Octavo's own `quantize`, whose ranges in calibrated mode must give the same bytes. Calibrated and measured on the shared real data. The reference is ONNX Runtime with graph optimisations
off: QDQ models then compute in float between codes, QOperator models on its QLinear kernels. Demanded: the same arg-max on 99.8 % of the images (the
autoencoder: a small relative error), and that the convolutions and products run in INT8. These models end in 8-bit codes, so that the two best classes can share a
code or differ by one: such an image is a near tie, where a rounding tie some layers before decides. One exception: of resnet20_bn after quant_pre_process 99.73 % of all 10,000
images agree, so there near ties do not count, within 0.5 % (docs/accuracy.md says what is behind it).
Default: 500 images, all eight forms for three models and four for the others; --full: all forms and all test images, or --images N of them. --table prints Markdown rows (docs/accuracy.md). Skipped without ../shared or packages.
"""
import argparse
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("octavo", type=lambda p: str(Path(p).resolve()))
ap.add_argument("--full", action="store_true")
ap.add_argument("--images", type=int, help="of CIFAR-10's test set (default: 500, with --full 10,000)")
ap.add_argument("--only", default="", help="models and forms whose line contains this")
ap.add_argument("--table", action="store_true")
args = ap.parse_args()
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
if not (SHARED / "models" / "models.json").exists():
    print("skipped: the shared models and data are not here")
    sys.exit(0)
try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import numpy_helper
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from PIL import Image  # noqa: F401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ort_saturates import saturates  # noqa: E402

AGREE = 99.8       # percent of the images
PREPARED_ALL = 99.5 # of models after quant_pre_process, where near ties do not count against AGREE: the listed exception
RELATIVE = 0.01   # of the autoencoder's output
IN_INT8 = 90      # percent of the multiply-accumulates; the rest: products of two activations in attention
WHOLE = {"resnet20_cifar10", "mobilenetv2_cifar10", "vit_cifar10_pgd_2_3_16"}  # all forms by default too
Form = namedtuple("Form", "tool format weights activations prepared", defaults=[False])
QDQ = [Form("ONNX Runtime", "QDQ", w, a) for w in ("per channel", "per tensor") for a in ("u8", "s8")]
FORMS = QDQ + [f._replace(format="QOperator") for f in QDQ]
FEWER = [QDQ[0], QDQ[3], FORMS[4], FORMS[7]]
PREPARED = [f._replace(prepared=True) for f in (QDQ[0], FORMS[4])]
OWN = [Form("Octavo", "QDQ", "per channel", "u8")]


def cifar(split, count):
    """[N,3,32,32] floats 0...1, the first `count` of each class."""
    spec = importlib.util.spec_from_file_location("cifar10", SHARED / "data" / "cifar10.py")
    reader = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # the shared folder is read-only
    spec.loader.exec_module(reader)
    images, labels = reader.load(split)
    picked = np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(10)])
    return images[picked].transpose(0, 3, 1, 2).astype(np.float32) / 255


def data_sets():
    """Per data set: (calibration samples, test samples), before mean and deviation."""
    sheet = np.asarray(Image.open(SHARED / "data" / "vww96" / "vww96.webp").convert("RGB"))
    vww = sheet.reshape(16, 96, 16, 96, 3).transpose(0, 2, 4, 1, 3).reshape(256, 3, 96, 96).astype(np.float32) / 255
    frames = np.load(SHARED / "data" / "ad" / "normal_id_01_logmel.npy")
    windows = np.stack([frames[i:i + 5].ravel() for i in range(len(frames) - 4)])
    words = np.load(SHARED / "data" / "kws" / "kws_mfcc.npy")
    count = args.images or (10000 if args.full else 500)
    return {"cifar10": (cifar("train", 10), cifar("test", count // 10)), "vww96": (vww[128:], vww if args.full else vww[:128]), "kws": (words, words),
            "ad": (windows, windows)}


class Reader(CalibrationDataReader):
    def __init__(self, samples):
        self.rows = iter({"input": samples[i:i + 10]} for i in range(0, len(samples), 10))

    def get_next(self):
        return next(self.rows, None)


class OctavoFails(Exception):
    pass


def octavo(*command):
    p = subprocess.run([args.octavo, *map(str, command), "--threads", "1", "--quiet"], capture_output=True, text=True)
    if p.returncode:
        raise OctavoFails(f"octavo {command[0]}: status {p.returncode}, {p.stderr.strip()[-200:]}")
    return p.stdout


def quantize(form, model, calibration, work):
    out, model = work / "q.onnx", Path(shutil.copy(model, work))  # the tools write beside the model
    if form.tool == "Octavo":
        np.savez(work / "calibration.npz", input=calibration)
        octavo("quantize", model, "--data", work / "calibration.npz", "-o", out)
        return out
    if form.prepared:
        quant_pre_process(str(model), str(work / "prepared.onnx"), skip_symbolic_shape=importlib.util.find_spec("sympy") is None)
        model = work / "prepared.onnx"
    quantize_static(str(model), str(out), Reader(calibration), quant_format=QuantFormat[form.format], per_channel=form.weights == "per channel",
                    activation_type=QuantType.QUInt8 if form.activations == "u8" else QuantType.QInt8, weight_type=QuantType.QInt8,
                    reduce_range=form.format == "QOperator" and form.activations == "u8" and saturates())
    return out


def reference(model, samples):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": samples[i:i + 50]})[0] for i in range(0, len(samples), 50)])


def output_step(model):
    """One code of the output, when it is dequantized codes; else 0."""
    g = onnx.load(str(model)).graph
    last = next(n for n in g.node if g.output[0].name in n.output)
    return float(next(numpy_helper.to_array(i) for i in g.initializer if i.name == last.input[1])) if last.op_type == "DequantizeLinear" else 0.0


def answers(got, want, step):
    """(percent of equal arg-max, percent with near ties, in words)."""
    a, b = got.argmax(axis=1), want.argmax(axis=1)
    rows = np.flatnonzero(a != b)
    near = int((want[rows, b[rows]] - want[rows, a[rows]] < 1.5 * step).sum())
    agree = 100 * (len(want) - len(rows)) / len(want)
    words = f"same answer {len(want) - len(rows)} of {len(want)} = {agree:.2f} %{f' and {near} near ties' if near else ''}, "
    return agree, agree + 100 * near / len(want), words


def same_by_cache(model, q, work, got):
    """The float model with the cache of its Q/DQ model, in calibrated mode: the same bytes."""
    octavo("calibrate", "--from", q, "-o", work / "cache")
    octavo("build", model, "--calib", work / "cache", "--int8", "--level", 0, "--batch", 10, "-o", work / "plan")
    octavo("run", work / "plan", "--input", f"input={work / 'x.npy'}", "--output-dir", work / "calibrated")
    return np.load(next((work / "calibrated").glob("*.npy"))).tobytes() == got.tobytes()


def examine(m, form, calibration, samples):
    """m: its row in models.json. Gives (outcome "ok", "FAIL" or "skip"; what was found; figures for the table)."""
    model = SHARED / "models" / m["file"]
    if form.prepared and form.format == "QOperator" and saturates():
        return "skip", "skipped: its bound was measured with 8-bit weights, for which ONNX Runtime's sums saturate on this processor", None
    if "mean" in m:
        mean, std = (np.reshape(np.float32(m[k]), (1, -1, 1, 1)) for k in ("mean", "std"))
        calibration, samples = (calibration - mean) / std, (samples - mean) / std
    with tempfile.TemporaryDirectory(prefix="octavo-formats-") as d:
        work = Path(d)
        try:
            q = quantize(form, model, calibration, work)
            want = reference(q, samples)
        except OctavoFails as e:
            return "FAIL", str(e), None
        except Exception as e:  # the tool refuses the model, or ONNX Runtime what its own tool wrote: no verdict
            return "skip", f"skipped: ONNX Runtime: {type(e).__name__} {str(e)[:150]}", None
        try:
            np.save(work / "x.npy", samples)
            octavo("run", q, "--input", f"input={work / 'x.npy'}", "--output-dir", work / "out", "--batch", 10)
            steps = json.loads(octavo("inspect", q, "--json"))["steps"]
        except OctavoFails as e:
            return "FAIL", str(e), None
        got = np.load(next((work / "out").glob("*.npy")))
        if form.tool == "Octavo" and not same_by_cache(model, q, work, got):
            return "FAIL", "calibrated mode with the ranges of this file gives other bytes", None
        macs = sum(s["macs"] for s in steps)
        in_int8 = 100 * sum(s["macs"] for s in steps if s["precision"] == "int8") / macs
        relative = float(np.linalg.norm(got - want) / np.linalg.norm(want))
        if model.stem.startswith("ad_"):
            ok, agree, what = relative <= RELATIVE, None, ""
        else:
            agree, decided, what = answers(got, want, output_step(q))
            ok = decided >= AGREE and agree >= PREPARED_ALL if form.prepared else agree >= AGREE
        return "ok" if ok and in_int8 >= IN_INT8 else "FAIL", f"{what}relative error {relative:.1e}, {in_int8:.1f} % of the MACs in INT8", (agree, relative, in_int8)


def main():
    logging.disable(logging.WARNING)
    data, cases = data_sets(), []
    for m in json.loads((SHARED / "models" / "models.json").read_text()):
        name = m["file"].removesuffix(".onnx")
        forms = FORMS if args.full or name in WHOLE else FEWER
        forms = forms + (PREPARED if args.full or name == "resnet20_cifar10_bn" else []) + OWN
        for form in forms:
            title = f"{name}, {form.tool}, {form.format}{', prepared' if form.prepared else ''}, {form.weights}, {form.activations}"
            if args.only in title:
                cases.append((title, m, form, *data[m["dataset"]]))
    count = {"ok": 0, "FAIL": 0, "skip": 0}
    with ThreadPoolExecutor(2) as pool:
        for (title, m, form, *_), (outcome, what, figures) in zip(cases, pool.map(lambda c: examine(*c[1:]), cases)):
            count[outcome] += 1
            if args.table and figures:
                agree, relative, in_int8 = figures
                print(f"| {m['file'].removesuffix('.onnx')} | {form.tool}{', prepared' if form.prepared else ''} | {form.format} | {form.weights} | {form.activations} | "
                      f"{'' if agree is None else f'{agree:.2f}'} | {relative:.1e} | {in_int8:.0f} |", flush=True)
            else:
                print(f"{outcome:4} {title}: {what}", flush=True)
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return count["FAIL"] != 0 or count["ok"] == 0


if __name__ == "__main__":
    sys.exit(main())
