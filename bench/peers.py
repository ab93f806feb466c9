#!/usr/bin/env python3
"""INT8 latency of Octavo against ONNX Runtime (and OpenVINO, where it is installed) on the same models, interleaved in one run.

    bench/peers.py OCTAVO [--models DIR] [--only SUBSTR] [--threads 1,2] [--rounds 5] [--json FILE]

Each engine quantizes the float model with its own tool on the same random batch (speed does not depend on the values), so that nobody is
handicapped by another's placement. A round times every engine once: median over half a second; the table shows the median and the
minimum over rounds and the ratio to Octavo. Times of different runs on a shared machine do not compare, ratios do.
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
ap.add_argument("--json")
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
    def __init__(self, model, name, shape, samples, threads):
        self.q, self.threads = work / f"octavo-{Path(model).name}", threads
        if not self.q.exists():
            np.savez(work / "calib.npz", **{name: samples})
            octavo("quantize", model, "--data", work / "calib.npz", "--solver", "max", "-o", self.q, "--quiet")

    def measure(self):
        return json.loads(octavo("bench", self.q, "--threads", self.threads, "--batch", 1, "--json"))["latency_ms"]["p50"]


class OnnxRuntime:
    def __init__(self, model, name, shape, samples, threads):
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

        class Reader(CalibrationDataReader):
            def __init__(self):
                self.rows = iter([{name: samples[i:i + 1]} for i in range(len(samples))])

            def get_next(self):
                return next(self.rows, None)
        q = work / f"ort-{Path(model).name}"
        if not q.exists():
            quantize_static(model, str(q), Reader(), per_channel=True, quant_format=QuantFormat.QDQ)
        so = ort.SessionOptions()
        so.intra_op_num_threads, so.log_severity_level = threads, 4
        self.session, self.feed = ort.InferenceSession(str(q), so, providers=["CPUExecutionProvider"]), {name: samples[:1]}

    def measure(self):
        return timed(lambda: self.session.run(None, self.feed))


class OpenVino:
    def __init__(self, model, name, shape, samples, threads):
        import nncf
        import openvino as ov
        core = ov.Core()
        m = core.read_model(model)
        m.reshape({0: list(shape)})
        q = nncf.quantize(m, nncf.Dataset([samples[i:i + 1] for i in range(len(samples))]), subset_size=len(samples))
        compiled = core.compile_model(q, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        self.request, self.x = compiled.create_infer_request(), samples[:1]

    def measure(self):
        return timed(lambda: self.request.infer([self.x], share_inputs=True, share_outputs=True))


engines = {"octavo": Octavo, "onnxruntime": OnnxRuntime}
try:
    import nncf  # noqa: F401
    import openvino  # noqa: F401
    engines["openvino"] = OpenVino
except ImportError:
    pass

rows = []
print(f"{'model':32} thr  " + "".join(f"{e + ' ms (min)':>24}" for e in engines) + "".join(f"{e + ' / octavo':>22}" for e in list(engines)[1:]))
for path in sorted(Path(args.models).glob("*.onnx")):
    if args.only not in path.name:
        continue
    port = onnx.load(str(path), load_external_data=False).graph.input[0]
    shape = [d.dim_value or 1 for d in port.type.tensor_type.shape.dim]
    samples = rng.standard_normal([8, *shape[1:]]).astype(np.float32)
    for threads in map(int, args.threads.split(",")):
        ready = {}
        for e, make in engines.items():
            try:
                ready[e] = make(str(path), port.name, shape, samples, threads)
            except Exception as error:  # a peer that cannot do a model is left out, by name
                print(f"  {e} cannot do {path.name}: {str(error)[:100]}", file=sys.stderr)
        times = {e: [] for e in ready}
        for _ in range(args.rounds):
            for e, engine in ready.items():
                times[e].append(engine.measure())
        med = {e: float(np.median(t)) for e, t in times.items()}
        rows.append({"model": path.name, "threads": threads, **{e: {"median": med[e], "min": min(times[e])} for e in times}})
        cells = "".join(f"{med[e]:14.3f} ({min(times[e]):7.3f})" if e in med else f"{'-':>24}" for e in engines)
        print(f"{path.stem:32} {threads:3}  {cells}" + "".join(f"{med[e] / med['octavo']:22.2f}" if e in med else f"{'-':>22}" for e in list(engines)[1:]), flush=True)
if args.json:
    Path(args.json).write_text(json.dumps(rows, indent=1))
