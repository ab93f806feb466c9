"""A small network and coloured pictures for the tests of `train`.  Not a test itself."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE, CLASSES = 12, 4


def pictures(root, count, seed, classes=CLASSES):
    """root/<class>/<k>.png: stripes of a direction and width by class, with noise."""
    rng = np.random.default_rng(seed)
    for c in range(classes):
        (root / f"class{c}").mkdir(parents=True, exist_ok=True)
        for k in range(count):
            line = np.arange(SIDE) // (2 if c & 2 else 1) % 2 * 120.0 + 60
            a = np.broadcast_to(line[:, None] if c & 1 else line[None, :], (SIDE, SIDE))[:, :, None] + rng.normal(0, 50, (SIDE, SIDE, 3))
            Image.fromarray(np.clip(a, 0, 255).astype(np.uint8)).save(root / f"class{c}" / f"{k:03}.png")
    return root


def network(path, classes=CLASSES, seed=0):
    """conv bn relu, conv bn + relu, mean, gemm; random weights."""
    rng = np.random.default_rng(seed)
    consts, nodes = {}, []

    def const(name, a):
        consts[name] = np.asarray(a, np.float32)
        return name

    def conv_bn(x, cin, cout, n):
        w = const(f"w{n}", rng.normal(0, (2 / (9 * cin)) ** 0.5, (cout, cin, 3, 3)))
        nodes.append(helper.make_node("Conv", [x, w], [f"c{n}"], name=f"conv{n}", pads=[1, 1, 1, 1]))
        bn = [const(f"g{n}", np.ones(cout)), const(f"b{n}", np.zeros(cout)), const(f"m{n}", np.zeros(cout)), const(f"v{n}", np.ones(cout))]
        nodes.append(helper.make_node("BatchNormalization", [f"c{n}", *bn], [f"n{n}"], name=f"bn{n}"))
        return f"n{n}"

    nodes.append(helper.make_node("Relu", [conv_bn("x", 3, 8, 0)], ["r0"], name="relu0"))
    y = conv_bn("r0", 8, 8, 1)
    nodes += [helper.make_node("Add", [y, "r0"], ["s"], name="sum"), helper.make_node("Relu", ["s"], ["r1"], name="relu1"),
              helper.make_node("GlobalAveragePool", ["r1"], ["p"], name="pool"), helper.make_node("Flatten", ["p"], ["f"], name="flat"),
              helper.make_node("Gemm", ["f", const("wf", rng.normal(0, 0.3, (classes, 8))), const("bf", np.zeros(classes))], ["y"], name="fc", transB=1)]
    g = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])], [numpy_helper.from_array(v, k) for k, v in consts.items()])
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


# What every run of these tests is given: normalised pixels, small batches.
COMMON = ["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--batch", "16", "--seed", "1"]
