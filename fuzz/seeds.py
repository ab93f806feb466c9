#!/usr/bin/env python3
"""Small valid files of every kind, from which fuzzing starts. Usage: seeds.py OCTAVO FOLDER    (FOLDER/<target>/...; needs numpy, onnx, pillow)"""
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

RNG = np.random.default_rng(3)


def model(nodes, consts, shape=(1, 3, 6, 6), outputs=("y",), opset=17):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, shape)], [info(n, TensorProto.FLOAT, None) for n in outputs],
                              [numpy_helper.from_array(v, k) for k, v in consts.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def weights(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def onnx_files():
    node = helper.make_node
    yield "conv", model([node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]), node("GlobalAveragePool", ["r"], ["p"]),
                         node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "g"], ["y"], transB=1)],
                        {"w": weights(4, 3, 3, 3), "b": weights(4), "g": weights(2, 4)})
    scale, zero = np.float32(0.05), np.uint8(128)
    yield "qdq", model([node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["d"]),
                        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0), node("Conv", ["d", "wd"], ["c"], group=3, kernel_shape=[3, 3]),
                        node("QuantizeLinear", ["c", "s", "z"], ["cq"]), node("DequantizeLinear", ["cq", "s", "z"], ["y"])],
                       {"s": scale, "z": zero, "w": RNG.integers(-127, 128, (3, 1, 3, 3)).astype(np.int8), "ws": np.full(3, 0.01, np.float32),
                        "wz": np.zeros(3, np.int8)})
    yield "tokens", model([node("LayerNormalization", ["x", "g"], ["n"]), node("MatMul", ["n", "w"], ["m"]), node("Softmax", ["m"], ["s"]),
                           node("Transpose", ["s"], ["t"], perm=[0, 2, 1]), node("Concat", ["t", "t"], ["k"], axis=1), node("Slice", ["k", "a", "b"], ["y"])],
                          {"g": weights(6), "w": weights(6, 6), "a": np.array([0, 1], np.int64), "b": np.array([1, 3], np.int64)}, ("N", 4, 6))
    yield "shapes", model([node("Shape", ["x"], ["h"]), node("Gather", ["h", "i"], ["k"]), node("Expand", ["e", "h"], ["v"]), node("Add", ["x", "v"], ["a"]),
                           node("Reshape", ["a", "m"], ["r"]), node("Resize", ["a", "", "u"], ["z"], mode="nearest"), node("ReduceMean", ["z"], ["y"], axes=[2, 3])],
                          {"i": np.array([0], np.int64), "e": weights(1), "m": np.array([0, -1], np.int64), "u": np.array([1, 1, 2, 2], np.float32)}, outputs=("y", "r"))


def bytes_of(save):
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def image(kind, mode="RGB"):
    pixels = RNG.integers(0, 256, (9, 7, 3) if mode == "RGB" else (9, 7), dtype=np.uint8)
    return bytes_of(lambda f: Image.fromarray(pixels, mode).save(f, kind))


def main():
    octavo, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])

    def put(target, name, data):
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / name).write_bytes(data)

    with tempfile.TemporaryDirectory() as t:
        work = Path(t)

        def run(*args):
            subprocess.run([octavo, *map(str, args), "--quiet"], check=True, stdout=subprocess.DEVNULL)

        for name, data in onnx_files():
            put("onnx", name, data)
            (work / "m.onnx").write_bytes(data)
            run("build", work / "m.onnx", "--target", "portable", "--level", 0, "-o", work / "p.plan")
            put("plan", name, (work / "p.plan").read_bytes())
            if name == "conv":
                run("build", work / "m.onnx", "--target", "portable", "--level", 0, "--refit", "-o", work / "r.plan")
                put("plan", "refit", (work / "r.plan").read_bytes())
                np.save(work / "x.npy", weights(4, 3, 6, 6))
                for form in ("json", "tensorrt"):
                    run("calibrate", work / "m.onnx", "--data", work / "x.npy", "-o", work / "c", *(["--format", form] if form != "json" else []))
                    put("cache", form, (work / "c").read_bytes())
    for kind in (np.float32, np.int8, np.uint8, np.int64, np.bool_):
        put("npy", np.dtype(kind).name, bytes_of(lambda f: np.save(f, RNG.integers(0, 2, (2, 3, 8, 8)).astype(kind))))  # noqa: B023
    put("npy", "fortran", bytes_of(lambda f: np.save(f, np.asfortranarray(weights(2, 3, 8, 8)))))
    put("npz", "plain", bytes_of(lambda f: np.savez(f, x=weights(2, 3, 8, 8), labels=np.array([0, 1]))))
    put("npz", "deflated", bytes_of(lambda f: np.savez_compressed(f, x=weights(2, 3, 8, 8))))
    for kind in ("PNG", "JPEG"):
        put("image", kind.lower(), image(kind))
        put("image", f"{kind.lower()}-grey", image(kind, "L"))
    put("table", "plain", b"fuzz.csv,0\n\"a,b.png\",1\nmissing.jpg,2\n")
    put("table", "names", b"# comment\na.png,cat\r\nb.png,dog\r\n")
    for mode in ("w", "w:gz", "w:xz"):
        def write(f, mode=mode):
            with tarfile.open(fileobj=f, mode=mode) as tar:
                for name, data in (("cat/1.png", image("PNG")), ("dog/2.jpg", image("JPEG"))):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
        put("archive", f"tar-{mode[2:] or 'plain'}", bytes_of(write))

    def write_zip(f):
        with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("cat/1.png", image("PNG"))
            z.writestr("dog/2.jpg", image("JPEG"))
    put("archive", "zip", bytes_of(write_zip))
    put("state", "preprocess", b"\x01" + json.dumps({}).encode())
    put("state", "preprocess-text", b"\x01resize=32;crop=24x24;mean=0.5,0.5,0.5;std=0.2;layout=nchw;color=rgb")
    put("state", "augment", b"\x02flip,crop=4,mixup=0.2")
    put("state", "observer", b"\x00")


main()
