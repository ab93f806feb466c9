#!/usr/bin/env python3
"""The command `train`: float training, quantization-aware training, log, picture, signals, resuming.  Usage: run_train.py OCTAVO
Needs numpy, pillow and onnx. Ends with "N passed, N failed, N skipped"."""
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

try:
    import numpy as np
    import onnx
    from onnx import numpy_helper
    from trainset import CLASSES, COMMON, network, pictures
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

from harness import *

SET, TEST, NET, FLOAT = WORK / "set", WORK / "test", WORK / "net.onnx", WORK / "float.onnx"


def material():
    pictures(SET, 24, 1)
    pictures(TEST, 12, 2)
    network(NET)
    js("train", NET, "--data", SET, *COMMON, "--float", "--init", "kaiming", "--epochs", 12, "--lr", 0.1, "-o", FLOAT)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@test
def float_training_from_scratch_learns_and_evaluates():
    j = js("eval", FLOAT, "--data", TEST)
    assert j["models"][0]["top1"] > 90, j
    start = js("eval", NET, "--data", TEST, *COMMON[:4])
    assert start["models"][0]["top1"] < 70, start
    assert any(n.op_type == "BatchNormalization" for n in onnx.load(FLOAT).graph.node)


@test
def qat_log_has_every_step_and_epoch():
    out, log, plot = WORK / "q.onnx", WORK / "q.jsonl", WORK / "q.svg"
    j = js("train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--wbits", 4, "--abits", 4, "--epochs", 3, "--scale-mode", "learned", "--augment", "crop:1", "--log", log,
           "--plot", plot, "-o", out)
    assert set(j) >= {"ptq_top1", "best_top1", "best_epoch", "seconds"} and j["best_top1"] >= j["ptq_top1"], j
    steps = [x for x in lines(log) if "event" not in x and "val_top1" not in x]
    epochs = [x for x in lines(log) if "val_top1" in x and "event" not in x]
    assert [x["step"] for x in steps] == list(range(1, 19)), steps
    assert [(x["epoch"], x["step"]) for x in epochs] == [(1, 6), (2, 12), (3, 18)], epochs
    for x in steps + epochs:
        assert all(isinstance(x[k], (int, float)) for k in ("epoch", "step", "loss", "lr", "images_per_s")), x
    assert max(x["val_top1"] for x in epochs + lines(log)[:1]) == j["best_top1"]
    assert lines(log)[0]["ptq_top1"] == j["ptq_top1"]
    assert epochs[0]["scales"] and all(v > 0 for v in epochs[0]["scales"].values())
    assert js("eval", out, "--data", TEST)["models"][0]["top1"] == j["best_top1"]
    root = xml.parse(plot).getroot()
    assert root.tag.endswith("svg") and len(list(root)) > 20
    again = WORK / "again.svg"
    ok("train", "--plot", again, "--log", log)
    assert again.read_text() == plot.read_text()
    chart = ok("train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 1, "-o", out).stdout
    assert "loss over the steps" in chart and "*" in chart and "top-1" in chart, chart


@test
def every_scale_mode_and_option_runs():
    for extra in (["--scale-mode", "calibrated"], ["--scale-mode", "ema"], ["--scale-mode", "clip", "--abits", 4], ["--distill"], ["--per-tensor"], ["--ema", 0.9],
                  ["--optimizer", "adamw", "--max-norm", 1], ["--loss", "mse"], ["--schedule", "step", "--every", 1], ["--smoothing", 0.1, "--warmup", 0.5],
                  ["--freeze-bn", 1, "--reestimate-bn", 2], ["--narrow-edges", "--wbits", 3, "--abits", 3], ["--micro-batch", 4], ["--scheme", "symmetric"],
                  ["--augment", "crop,flip,jitter:0.1,cutout:3,mixup:0.2"]):
        j = js("train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 1, *extra, "-o", WORK / "o.onnx")
        assert j["best_top1"] >= j["ptq_top1"], (extra, j)


@test
def bfloat16_trains_too_where_the_processor_has_it():
    if "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
        print("  skipped: this processor has no bfloat16")
        return
    runs = [js("train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--wbits", 4, "--abits", 4, "--epochs", 2, "--log", WORK / "b.jsonl", "-o", WORK / "b.onnx", *extra)
            for extra in ([], ["--bf16"])]
    assert abs(runs[0]["best_top1"] - runs[1]["best_top1"]) <= 10, runs
    losses = [x["loss"] for x in lines(WORK / "b.jsonl") if "val_top1" in x and "event" not in x]
    assert losses[-1] < losses[0], losses


@test
def int4_export_holds_4_bit_tensors():
    for bits, as4 in ((4, True), (8, False)):
        js("train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 1, "--wbits", bits, "--abits", bits, "--narrow-edges", "--export", "int4", "-o", WORK / "i.onnx")
        m = onnx.load(WORK / "i.onnx")
        assert any(t.data_type == onnx.TensorProto.INT4 for t in m.graph.initializer) == as4
        assert m.opset_import[0].version >= 21


@test
def narrow_codes_stay_in_their_range_in_another_runtime():
    try:
        import onnxruntime as ort
    except ImportError:
        raise Skip("onnxruntime is not installed")
    js("train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 1, "--wbits", 4, "--abits", 4, "--narrow-edges", "-o", WORK / "n.onnx")
    m = onnx.load(WORK / "n.onnx")
    weights = [numpy_helper.to_array(t) for t in m.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1]
    assert weights and all(w.min() >= -8 and w.max() <= 8 for w in weights)
    codes = [n.output[0] for n in m.graph.node if n.op_type == "QuantizeLinear"]
    for c in codes:
        m.graph.output.append(onnx.helper.make_tensor_value_info(c, onnx.TensorProto.UINT8, None))
    x = np.random.default_rng(3).normal(0, 2, (8, 3, 12, 12)).astype(np.float32)
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    got = dict(zip(codes, ort.InferenceSession(m.SerializeToString(), o, providers=["CPUExecutionProvider"]).run(codes, {"x": x})))
    narrow = [v for k, v in got.items() if v.max() <= 15]
    assert len(narrow) >= 3, {k: int(v.max()) for k, v in got.items()}


def interrupted(args, after, sig=signal.SIGINT):
    """Starts a run, sends a signal once the log has so many lines; the exit status, stdout and stderr."""
    log = args[args.index("--log") + 1]
    p = subprocess.Popen([OCTAVO, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while p.poll() is None and time.monotonic() < end and (not log.exists() or log.read_text().count("\n") < after):
        time.sleep(0.005)
    p.send_signal(sig)
    stdout, stderr = p.communicate(timeout=60)
    return p.returncode, stdout, stderr


@test
def interrupt_leaves_a_checkpoint_and_resume_gives_the_same_bytes():
    args = ["train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--wbits", 4, "--abits", 4, "--epochs", 30, "--threads", 1]
    whole, log = WORK / "whole.onnx", WORK / "whole.jsonl"
    js(*args, "--log", log, "-o", whole)
    for sig, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        out, part, ck = WORK / f"part{status}.onnx", WORK / f"part{status}.jsonl", WORK / f"ck{status}"
        mine = [*args, "--log", part, "-o", out, "--checkpoint-dir", ck]
        got, _, text = interrupted(mine, 20, sig)
        assert got == status and "--resume" in text and not out.exists(), (got, text)
        js(*mine, "--resume")
        assert out.read_bytes() == whole.read_bytes()
        def curve(path):
            return [(x["step"], x["loss"]) for x in lines(path) if "event" not in x]
        assert curve(part) == curve(log)


@test
def wrong_options_are_usage_errors():
    d = ["train", FLOAT, "--data", SET, "-o", WORK / "x.onnx"]
    fails(2, "train", FLOAT, "--data", SET, says="-o FILE is missing")
    fails(2, "train", FLOAT, "-o", WORK / "x.onnx", says="--data PATH is missing")
    fails(2, "train", says="MODEL is missing")
    fails(2, *d, "--wbits", 1, says="--wbits")
    fails(2, *d, "--scale-mode", "magic", says="learned, calibrated, ema, clip")
    fails(2, *d, "--val-split", 0, says="--val-split")
    fails(2, *d, "--augment", "turn", says="turn")
    fails(2, *d, "--init", "kaiming", says="float training")
    fails(2, *d, "--resume", says="folder of the checkpoints")
    fails(2, *d, "--float", "--wbits", 4, says="without quantizers")
    old = WORK / "old.jsonl"
    old.write_text("kept\n")
    fails(3, "train", FLOAT, "--data", SET, "-o", WORK / "x.onnx", "--cache", FLOAT, "--log", old)
    assert old.read_text() == "kept\n"
    fails(2, *d, "--micro-batch", 7, "--batch", 16, says="micro-batches of 7")
    fails(4, *d, "--bf16", says="bfloat16", env={"OCTAVO_ISA": "portable"})
    fails(5, *d[:-1], WORK / "no" / "x.onnx", says="cannot write")
    fails(5, *d[:-1], SET, says="directory")
    fails(5, *d, "--plot", WORK / "no" / "x.svg", says="x.svg")
    fails(5, *d, "--checkpoint-dir", NET, says="net.onnx")
    fails(5, *d, "--checkpoint-dir", WORK / "no" / "deep", says="deep")
    fails(5, *d, "--log", WORK / "no" / "l.jsonl", says="cannot write the log")


@test
def a_log_that_is_none_is_refused():
    bad = WORK / "bad.jsonl"
    bad.write_text('{"epoch": 0, "step": 1, "loss": 1}\nnonsense\n{"epoch": 0, "step": 2, "loss": 1}\n')
    fails(3, "train", "--plot", WORK / "b.svg", "--log", bad, says="line 2")
    bad.write_text("")
    fails(3, "train", "--plot", WORK / "b.svg", "--log", bad, says="empty")
    fails(5, "train", "--plot", WORK / "b.svg", "--log", WORK / "missing.jsonl", says="cannot open")


@test
def a_picture_has_its_legend_whatever_the_names():
    log, plot = WORK / "names.jsonl", WORK / "names.svg"
    names = ["<&>" * 20, "\u00e9" * 40, "", "fl\x01at", *(f"a name as long as this {k}" for k in range(9))]
    with log.open("w") as f:
        for e in range(4):
            if e:
                f.write(json.dumps({"epoch": e - 1, "step": e, "loss": None if e == 2 else 1 / e, "lr": 0.1, "images_per_s": 9}) + "\n")
            f.write(json.dumps({"event": "rollback", "epoch": e, "step": e, "loss": None, "text": "why"}) + "\n")
            f.write(json.dumps({"epoch": e, "step": e, "val_top1": 100, "loss": 1, "scales": {n: 1 + k * e for k, n in enumerate(names)}}) + "\n")
    ok("train", "--log", log, "--plot", plot)
    texts = [t.text or "" for t in xml.parse(plot).getroot().iter("{http://www.w3.org/2000/svg}text")]
    for want in ("smoothed", "each step", "gone back", "trained", "start (PTQ)", "(of 13, moved most)"):
        assert want in texts, (want, texts)
    assert not any(t.replace(".", "").isdigit() and 100.5 < float(t) < 110 for t in texts), texts
    log.write_text(json.dumps({"epoch": 0, "step": 1, "loss": 2}) + "\n")  # a log that is cut short
    ok("train", "--log", log, "--plot", plot)
    xml.parse(plot)


@test
def logs_and_pictures_go_to_devices_too():
    d = ["train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 1, "--quiet", "-o", WORK / "dev.onnx"]
    if not Path("/dev/full").exists():
        raise Skip("no /dev/full")
    for extra in ([], ["--checkpoint-dir", WORK / "ckdev", "--resume"]):
        ok(*d, *extra, "--log", "/dev/null", "--plot", "/dev/null")
    fails(5, *d, "--plot", "/dev/full", says="/dev/full")
    ok(*d, "--checkpoint-dir", WORK / "ckdev", "--resume", "--log", "/dev/null")
    assert Path("/dev/full").is_char_device() and Path("/dev/null").is_char_device()


@test
def a_full_disk_under_the_log_loses_no_training():
    if not Path("/dev/full").exists():
        raise Skip("no /dev/full")
    out, folder = WORK / "nolog.onnx", WORK / "cklog"
    d = ["train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 3, "--log", "/dev/full", "-o", out]
    p = fails(5, *d, "--json", says=["/dev/full", "the model was written"])
    assert set(json.loads(p.stdout)) == {"error"} and js("eval", out, "--data", TEST)["models"][0]["top1"] > 90
    out.unlink()
    fails(5, *d, "--checkpoint-dir", folder, says=["/dev/full", "--resume"])
    assert (folder / "checkpoint.oct").exists() and not out.exists()


@test
def one_json_value_whatever_happens():
    d = ["train", FLOAT, "--data", SET, "--val", TEST, *COMMON, "--epochs", 1, "-o", WORK / "j.onnx", "--json"]
    p = call(*d, "--plot", "/dev/full")
    assert p.returncode == 5 and set(json.loads(p.stdout)) == {"error"}, p.stdout
    log = WORK / "j.jsonl"
    got, stdout, _ = interrupted([*d, "--epochs", 1000, "--checkpoint-dir", WORK / "ckj", "--log", log], 20)
    j = json.loads(stdout)
    assert got == 130 and j["stopped"] and j["output"] is None and 0 < j["steps"] < 6000, (got, j)


@test
def pictures_of_either_set_that_cannot_be_read_are_named_and_counted():
    for k in (1, 2):
        root = pictures(WORK / f"broken{k}", 12, 3)
        (root / "class2" / f"00{k}.png").write_bytes(b"no picture")
    p = ok("train", FLOAT, "--data", WORK / "broken1", "--val", WORK / "broken2", *COMMON, "--epochs", 1, "-o", WORK / "k.onnx", "--json")
    assert json.loads(p.stdout)["skipped"] == 2 and all(f"class2/00{k}.png" in p.stderr for k in (1, 2)), p


@test
def sets_whose_folders_give_other_labels_are_refused():
    root = pictures(WORK / "less", 12, 3)
    for f in (root / "class1").iterdir():
        f.unlink()
    (root / "class1").rmdir()
    fails(3, "train", FLOAT, "--data", SET, "--val", root, *COMMON, "-o", WORK / "l.onnx", says=["class 1 is 'class1'", "'class2'"])


@test
def quantized_models_and_wrong_data_are_refused():
    js("quantize", FLOAT, "--data", SET, "-o", WORK / "ptq.onnx")
    fails(3, "train", WORK / "ptq.onnx", "--data", SET, "-o", WORK / "x.onnx", says="quantized already")
    more = pictures(WORK / "more", 4, 5, classes=CLASSES + 1)
    fails(3, "train", FLOAT, "--data", more, *COMMON, "--batch", 8, "-o", WORK / "x.onnx", says=f"outside the {CLASSES}")
    flat = WORK / "flat"
    flat.mkdir()
    for k, f in enumerate(sorted(SET.glob("*/*.png"))[:40]):
        (flat / f"{k}.png").write_bytes(f.read_bytes())
    fails(3, "train", FLOAT, "--data", flat, *COMMON, "-o", WORK / "x.onnx", says="no labels")
    j = js("train", FLOAT, "--data", flat, "--val", flat, *COMMON, "--epochs", 1, "--distill", "--wbits", 4, "-o", WORK / "x.onnx")
    assert j["best_top1"] >= j["ptq_top1"] > 0


run(material)
