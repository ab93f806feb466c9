#!/usr/bin/env python3
"""Training on real networks and images: never worse than PTQ, and the exported model means the same to ONNX Runtime.  Usage: run_train.py OCTAVO
Skipped where ../shared or the Python packages are absent. Short runs: the figures of whole ones are in docs/accuracy.md."""
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(ROOT / "tests" / "cli"))
if not (SHARED / "data" / "cifar10.py").exists():
    print("skipped: the shared models and images are not here")
    sys.exit(0)
try:
    import numpy as np
    import onnxruntime as ort
    from PIL import Image
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

from harness import *  # noqa: E402

TRAIN, TEST = 200, 100  # images a class
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESS = ["--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD))]


def material():
    sys.dont_write_bytecode = True  # the shared folder is read-only
    spec = importlib.util.spec_from_file_location("cifar10", SHARED / "data" / "cifar10.py")
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    for split, per_class in (("train", TRAIN), ("test", TEST)):
        images, labels = reader.load(split)
        for c, name in enumerate(reader.CLASSES):
            (WORK / split / name).mkdir(parents=True)
            for k, image in enumerate(images[labels == c][:per_class]):
                Image.fromarray(image).save(WORK / split / name / f"{k:04}.png")


def answers_of_onnxruntime(path):
    """Arg-max on the test images, in eval's order; the graph computed as it stands."""
    files = sorted((WORK / "test").glob("*/*.png"))
    x = np.stack([np.asarray(Image.open(f), np.float32) / np.float32(255) for f in files])
    x = ((x - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    labels = np.array([sorted({f.parent.name for f in files}).index(f.parent.name) for f in files])
    got = np.concatenate([session.run(None, {name: x[i:i + 100]})[0].argmax(1) for i in range(0, len(x), 100)])
    return 100 * float((got == labels).mean())


def road(model, *options):
    out = WORK / "out.onnx"
    j = js("train", SHARED / "models" / model, "--data", WORK / "train", *PREPROCESS, "--augment", "crop,flip", "--batch", 64, *options, "-o", out, timeout=300)
    assert j["best_top1"] >= j["ptq_top1"], j
    assert j["codes"] > 1e6 and j["codes_differing"] == 0, j
    mine, theirs = js("eval", out, "--data", WORK / "test")["models"][0]["top1"], answers_of_onnxruntime(out)
    assert abs(mine - theirs) <= 0.1001, (model, options, mine, theirs)  # one image of a thousand
    return j, mine


@test
def resnet20_8_bits():
    _, top1 = road("resnet20_cifar10_bn.onnx", "--epochs", 1)
    assert top1 > 89, top1


@test
def resnet20_4_bits_gains_on_ptq():
    j, _ = road("resnet20_cifar10_bn.onnx", "--epochs", 2, "--wbits", 3, "--abits", 3, "--distill")
    assert j["best_top1"] > j["ptq_top1"] + 2, j


@test
def mobilenet_8_bits_per_tensor_gains_on_ptq():
    j, _ = road("mobilenetv2_cifar10_bn.onnx", "--epochs", 1, "--per-tensor")
    assert j["best_top1"] >= j["ptq_top1"], j


run(material)
