#!/usr/bin/env python3
"""Latency of Octavo against ONNX Runtime (and OpenVINO and LiteRT, where they are installed) on the same models, interleaved in one run.

    bench/peers.py OCTAVO [--models DIR | --zoo NAMES] [--only SUBSTR] [--threads 1,2] [--batch 1,8] [--float] [--functions codes] [--rounds 5] [--json FILE] [--baseline FILE]

INT8: each engine quantizes the float model with its own tool on the same random batch (speed does not depend on the values), so that nobody is handicapped by
another's placement. --float: all run the model as it is. --zoo: torchvision's structures with random weights, made by bench/zoo.py ("all", or names); only there does LiteRT
take part, whose tools read PyTorch. Peers: pip install onnxruntime openvino nncf litert-torch ai-edge-quantizer torchvision. A round times every engine once: median over half
a second; the table (Markdown) shows the median and the minimum over rounds and the ratio of medians to Octavo. Times of different runs on a shared machine do not compare,
ratios do: --baseline names the JSON file of an earlier run, and a ratio that has fallen by more than 10 % is a regression (exit status 1).
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

ap = argparse.ArgumentParser()
ap.add_argument("octavo")
ap.add_argument("--models", default=str(Path(__file__).resolve().parents[2] / "shared" / "models"))
ap.add_argument("--only", default="")
ap.add_argument("--threads", default="1,2")
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--zoo", default="", help="names of bench/zoo.py, or all")
ap.add_argument("--batch", default="1")
ap.add_argument("--float", action="store_true")
ap.add_argument("--functions", default="float", help="octavo quantize --functions: the other tools let SiLU and hard-swish read codes")
ap.add_argument("--json")
ap.add_argument("--baseline")
args = ap.parse_args()
work = Path(tempfile.mkdtemp(prefix="octavo-peers-"))
rng = np.random.default_rng(1)


def timed(call):
    call()
    times, end = [], time.perf_counter() + 0.5
    while time.perf_counter() < end or len(times) < 5:
        t = time.perf_counter()
        call()
        times.append(time.perf_counter() - t)
    return 1e3 * float(np.median(times))


def octavo(*cmd):
    p = subprocess.run([args.octavo, *map(str, cmd)], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(map(str, cmd))}: {p.stderr.strip()}")
    return p.stdout


class Octavo:
    def __init__(self, model, name, samples, threads, batch):
        self.q, self.threads, self.batch = Path(model) if args.float else work / f"octavo-{Path(model).name}", threads, batch
        if not self.q.exists():
            np.savez(work / "calib.npz", **{name: samples})
            octavo("quantize", model, "--data", work / "calib.npz", "--solver", "max", "--functions", args.functions, "-o", self.q, "--quiet")

    def measure(self):
        return json.loads(octavo("bench", self.q, "--threads", self.threads, "--batch", self.batch, *(["--float"] if args.float else []), "--json"))["latency_ms"]["p50"]


class OnnxRuntime:
    def __init__(self, model, name, samples, threads, batch):
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

        class Reader(CalibrationDataReader):
            def __init__(self):
                self.rows = iter([{name: samples[i:i + 1]} for i in range(len(samples))])

            def get_next(self):
                return next(self.rows, None)
        q = Path(model) if args.float else work / f"ort-{Path(model).name}"
        if not q.exists():
            quantize_static(model, str(q), Reader(), per_channel=True, quant_format=QuantFormat.QDQ)
        so = ort.SessionOptions()
        so.intra_op_num_threads, so.log_severity_level = threads, 4
        self.session, self.feed = ort.InferenceSession(str(q), so, providers=["CPUExecutionProvider"]), {name: samples[:batch]}

    def measure(self):
        return timed(lambda: self.session.run(None, self.feed))


class OpenVino:
    def __init__(self, model, name, samples, threads, batch):
        import nncf
        import openvino as ov
        core = ov.Core()
        m = core.read_model(model)
        m.reshape({0: [1, *samples.shape[1:]]})
        q = m if args.float else nncf.quantize(m, nncf.Dataset([samples[i:i + 1] for i in range(len(samples))]), subset_size=len(samples))
        q.reshape({0: [batch, *samples.shape[1:]]})
        compiled = core.compile_model(q, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        self.request, self.x = compiled.create_infer_request(), samples[:batch]

    def measure(self):
        return timed(lambda: self.request.infer([self.x], share_inputs=True, share_outputs=True))


engines = {"octavo": Octavo, "onnxruntime": OnnxRuntime}
try:
    import nncf  # noqa: F401
    import openvino  # noqa: F401
    engines["openvino"] = OpenVino
except ImportError:
    pass


class LiteRt:
    """Its converter reads PyTorch, not ONNX: torchvision's own network of that name, channels last, with random weights."""

    def __init__(self, model, name, samples, threads, batch):
        from ai_edge_litert.interpreter import Interpreter
        samples = np.ascontiguousarray(samples.transpose(0, 2, 3, 1))
        path = work / f"litert{'' if args.float else '-int8'}-{batch}-{Path(model).stem}.tflite"
        if not path.exists():
            self.convert(Path(model).stem, samples, batch, path)
        self.interpreter = Interpreter(str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        port = self.interpreter.get_input_details()[0]
        scale, zero = port["quantization"] if not args.float else (0, 0)
        x = samples[:batch] if args.float else np.clip(np.rint(samples[:batch] / scale) + zero, -128, 127)
        self.interpreter.set_tensor(port["index"], x.astype(port["dtype"]))

    @staticmethod
    def convert(network, samples, batch, path):
        import litert_torch
        import torch
        import torchvision
        from ai_edge_quantizer import quantizer, recipe
        net = torchvision.models.get_model(network, weights=None).eval()
        whole = path if args.float else path.with_suffix(".float.tflite")
        litert_torch.convert(litert_torch.to_channel_last_io(net, args=[0]).eval(), (torch.from_numpy(samples[:batch]),)).export(str(whole))
        if not args.float:
            from ai_edge_litert.interpreter import Interpreter
            key, ports = next(iter(Interpreter(str(whole)).get_signature_list().items()))
            q = quantizer.Quantizer(str(whole))
            q.load_quantization_recipe(recipe.static_wi8_ai8())
            found = q.calibrate({key: [{ports["inputs"][0]: samples[i:i + batch]} for i in range(0, len(samples) - batch + 1, batch)]})
            q.quantize(found).export_model(str(path), overwrite=True)

    def measure(self):
        return timed(self.interpreter.invoke)


if args.zoo:
    try:
        import ai_edge_quantizer  # noqa: F401
        import litert_torch  # noqa: F401
        engines["litert"] = LiteRt
    except ImportError:
        pass


def models():
    if not args.zoo:
        return sorted(Path(args.models).glob("*.onnx"))
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import zoo
    names = list(zoo.PARAMETERS) if args.zoo == "all" else args.zoo.split(",")
    paths = [work / f"{name}.onnx" for name in names]
    for name, path in zip(names, paths):
        zoo.make(name, str(path))
    return paths


def measure(path, threads, batch):
    """{engine: {median, min}} in ms."""
    port = onnx.load(str(path), load_external_data=False).graph.input[0]
    dims = [d.dim_value or 1 for d in port.type.tensor_type.shape.dim]
    if batch != 1 and port.type.tensor_type.shape.dim[0].dim_value:
        return None  # a fixed batch
    samples = rng.standard_normal([8, *dims[1:]]).astype(np.float32)
    ready = {}
    for e, make in engines.items():
        try:
            ready[e] = make(str(path), port.name, samples, threads, batch)
        except Exception as error:  # a peer that cannot do a model is left out, by name
            print(f"  {e} cannot do {path.name}: {str(error)[:100]}", file=sys.stderr)
    times = {e: [] for e in ready}
    for _ in range(args.rounds):
        for e, engine in ready.items():
            times[e].append(engine.measure())
    return {e: {"median": float(np.median(t)), "min": min(t)} for e, t in times.items()}


peers = list(engines)[1:]
rows = []
print(f"| {'float' if args.float else 'INT8'} model | threads | batch | " + " | ".join(f"{e} ms" for e in engines) + " | " + " | ".join(f"{e} / octavo" for e in peers) + " |")
print("|---|---:|---:|" + "---:|" * (len(engines) + len(peers)))
for path in models():
    if args.only not in path.name:
        continue
    for threads in map(int, args.threads.split(",")):
        for batch in map(int, args.batch.split(",")):
            got = measure(path, threads, batch)
            if not got:
                continue
            rows.append({"model": path.name, "float": args.float, "threads": threads, "batch": batch, **got})
            cells = [f"{got[e]['median']:.3f} ({got[e]['min']:.3f})" if e in got else "-" for e in engines]
            cells += [f"{got[e]['median'] / got['octavo']['median']:.2f}" if e in got else "-" for e in peers]
            print(f"| {path.stem} | {threads} | {batch} | " + " | ".join(cells) + " |", flush=True)
if args.json:
    Path(args.json).write_text(json.dumps(rows, indent=1))
fallen = 0
for old in json.loads(Path(args.baseline).read_text()) if args.baseline else []:
    for new in rows:
        if all(old.get(k) == new[k] for k in ("model", "float", "threads", "batch")):
            for e in peers:
                if e in old and e in new:
                    before, after = (r[e]["median"] / r["octavo"]["median"] for r in (old, new))
                    if after < 0.9 * before:
                        fallen += 1
                        print(f"regression: {new['model']}, {new['threads']} threads, batch {new['batch']}: {e} / octavo {before:.2f} before, {after:.2f} now")
sys.exit(fallen != 0)
