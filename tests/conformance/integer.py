"""ONNX Runtime's integer operators: QLinear*, QGemm, ConvInteger, MatMulInteger, dynamic quantization.

`fraction` is the share of codes that may differ by one; what it is not 0 for has its cause beside it."""
import itertools
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ort_saturates import saturates  # noqa: E402

from cases import F, I32, I64, S8, U8, Case, CASES, data
from graphs import Net

MS = dict(domain="com.microsoft")
KINDS = {"u8": (U8, (0, 117)), "s8": (S8, (0, -11))}
TENSOR = {U8: TensorProto.UINT8, S8: TensorProto.INT8, F: TensorProto.FLOAT, I32: TensorProto.INT32}


def codes(dtype, *shape, seed=1):
    """Any codes; those of weights (seed 2) have 7 bits where ONNX Runtime would saturate."""
    lo, hi = np.iinfo(dtype).min, np.iinfo(dtype).max
    if dtype is S8 and seed == 2 and saturates():
        lo, hi = lo // 2, hi // 2
    return np.random.default_rng(seed).integers(lo, hi + 1, shape).astype(dtype)


def add(name, make, out, fraction=0.0, float_steps=False, first=13, last=99, tol=2e-5, unsupported=False):
    """make() -> (Net, tensor of type out). Codes are compared as they are; floats within tol."""
    def build(opset):
        net, y = make()
        spec = dict(x=net.x, c=net.c, nodes=net.nodes, out=y, type=TENSOR[out])
        return dict(spec, step=1) if out in (U8, S8) else spec
    c = Case(name, "Q/DQ", build, first, last, 1, tol, unsupported)
    c.fraction, c.float_steps = fraction, float_steps
    CASES.append(c)


def params(net, scale, zero):
    """Scale and zero point as constants."""
    return [net.const(np.asarray(scale, F)), net.const(zero)]


def qlinear(op, shapes, scales, y_scale, attrs=None, domain=MS, zero=True, y_first=False, **kw):
    """An operator whose inputs are (codes, scale, zero point) each and whose result has the type of its inputs."""
    for kind, (dtype, zeros) in KINDS.items():
        for z in zeros:
            def make(dtype=dtype, z=dtype(z)):
                net = Net(**{f"x{i}": codes(dtype, *s, seed=i) for i, s in enumerate(shapes)})
                ins = [v for i, s in enumerate(scales) for v in [f"x{i}"] + (params(net, s, z) if zero else [net.const(F(s)), ""])]
                result = params(net, y_scale, z)
                return net, net.op(op, *(result + ins if y_first else ins + result), **domain, **(attrs or {}))
            add(f"{op}_{kind}_{z}{'_' + kw['tag'] if 'tag' in kw else ''}", make, dtype, **{k: v for k, v in kw.items() if k != "tag"})


# --- products --------------------------------------------------------------------------------------------------------------------
def qconv(dtype, z, w_dtype, per_channel, bias, attrs, ws=(8, 6, 3, 3)):
    def make():
        net = Net(x=codes(dtype, 2, 6, 7, 8))
        n = ws[0] if per_channel else 1
        w_zero = np.full(n, 131 if w_dtype is U8 else 3, w_dtype)
        w_scale = np.random.default_rng(5).uniform(0.002, 0.02, n).astype(F)
        w = [net.const(codes(w_dtype, *ws, seed=2)), *params(net, w_scale if per_channel else w_scale[0], w_zero if per_channel else w_zero[0])]
        b = [net.const(np.random.default_rng(6).integers(-9000, 9000, ws[0]).astype(I32))] if bias else []
        return net, net.op("QLinearConv", "x", *params(net, 0.05173, dtype(z)), *w, *params(net, 0.9, dtype(z)), *b, **attrs)
    return make


for (kind, (dtype, zeros)), w_dtype, per_channel in itertools.product(KINDS.items(), (U8, S8), (False, True)):
    if dtype is S8 and w_dtype is U8:
        continue  # ONNX Runtime has no such kernel
    for z in zeros:
        add(f"qlinear_conv_{kind}_{z}_{w_dtype.__name__}_{'channel' if per_channel else 'tensor'}",
            qconv(dtype, z, w_dtype, per_channel, z != 0, dict(pads=[1, 1, 1, 1])), dtype)
add("qlinear_conv_depthwise", qconv(U8, 117, S8, True, True, dict(group=6, pads=[1, 0, 1, 0]), (6, 1, 3, 3)), U8)
add("qlinear_conv_grouped_strided", qconv(U8, 117, S8, True, True, dict(group=2, strides=[2, 2]), (8, 3, 3, 3)), U8)
add("qlinear_conv_dilated", qconv(S8, 4, S8, False, True, dict(dilations=[2, 2], pads=[2, 1, 2, 1])), S8)


def qmatmul(dtype, z, w_dtype, per_channel, constant):
    def make():
        w = codes(w_dtype, 30, 9, seed=2)
        net = Net(x=codes(dtype, 3, 4, 30), **({} if constant else {"w": w}))
        n = 9 if per_channel else 1
        w_scale = np.random.default_rng(5).uniform(0.004, 0.02, n).astype(F)
        w_zero = np.full(n, 131 if w_dtype is U8 else 3, w_dtype)
        b = [net.const(w) if constant else "w", *params(net, w_scale if per_channel else w_scale[0], w_zero if per_channel else w_zero[0])]
        return net, net.op("QLinearMatMul", "x", *params(net, 0.05173, dtype(z)), *b, *params(net, 2.07, dtype(z)))
    return make


for (kind, (dtype, zeros)), w_dtype, per_channel in itertools.product(KINDS.items(), (U8, S8), (False, True)):
    if dtype is S8 and w_dtype is U8:
        continue
    for z in zeros:
        add(f"qlinear_matmul_{kind}_{z}_{w_dtype.__name__}_{'channel' if per_channel else 'tensor'}", qmatmul(dtype, z, w_dtype, per_channel, True), dtype)
add("qlinear_matmul_two_activations", qmatmul(U8, 117, U8, False, False), U8, float_steps=True)


def qgemm(dtype, z, per_channel, bias, as_float, attrs):
    def make():
        trans = attrs.get("transB", 0)
        net = Net(x=codes(dtype, *((20, 5) if attrs.get("transA") else (5, 20))))
        n = 12 if per_channel else 1
        w_scale = np.random.default_rng(5).uniform(0.004, 0.02, n).astype(F)
        w = [net.const(codes(S8, *((12, 20) if trans else (20, 12)), seed=2)), *params(net, w_scale if per_channel else w_scale[0], np.zeros(n, S8) if per_channel else S8(0))]
        b = net.const(np.random.default_rng(6).integers(-9000, 9000, 12).astype(I32)) if bias else ""
        out = [] if as_float else params(net, 1.31, dtype(z))
        return net, net.op("QGemm", "x", *params(net, 0.05173, dtype(z)), *w, b, *out, **MS, **attrs)
    return make


for (kind, (dtype, zeros)), per_channel, as_float in itertools.product(KINDS.items(), (False, True), (False, True)):
    for z in zeros:
        add(f"qgemm_{kind}_{z}_{'channel' if per_channel else 'tensor'}_{'float' if as_float else 'codes'}",
            qgemm(dtype, z, per_channel, z != 0, as_float, dict(transB=int(z != 0))), F if as_float else dtype)
add("qgemm_alpha", qgemm(U8, 117, True, True, False, dict(alpha=0.6)), U8)
add("qgemm_trans_a", qgemm(U8, 117, False, True, False, dict(transA=1, transB=1)), U8)

# --- elementwise, pools, moves: com.microsoft --------------------------------------------------------------------------------------
SH = (2, 6, 5, 7)
# ONNX Runtime folds scales and zero points into one sum, which rounds elsewhere near halves
qlinear("QLinearAdd", [SH, SH], [0.05173, 0.03], 0.0631, fraction=0.01)
qlinear("QLinearAdd", [SH, (6, 1, 1)], [0.05173, 0.03], 0.0631, tag="channel", fraction=0.01)
qlinear("QLinearMul", [SH, SH], [0.05173, 0.03], 0.0831, fraction=0.01)
qlinear("QLinearMul", [SH, (1,)], [0.05173, 0.03], 0.0831, tag="scalar", fraction=0.01)
# means of few codes often fall on exact halves, which float sums miss on either side
pool = dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])
qlinear("QLinearAveragePool", [SH], [0.05173], 0.0431, pool, fraction=0.1)
qlinear("QLinearAveragePool", [SH], [0.05173], 0.0431, dict(pool, count_include_pad=1), tag="include", fraction=0.1)
qlinear("QLinearAveragePool", [(2, 5, 7, 6)], [0.05173], 0.0431, dict(pool, channels_last=1), tag="last", fraction=0.1)
qlinear("QLinearGlobalAveragePool", [SH], [0.05173], 0.0431, dict(channels_last=0), fraction=0.02)
qlinear("QLinearGlobalAveragePool", [(2, 5, 7, 6)], [0.05173], 0.0431, dict(channels_last=1), tag="last", fraction=0.02)
qlinear("QLinearConcat", [SH, (2, 3, 5, 7)], [0.05173, 0.03], 0.0531, dict(axis=1), y_first=True, fraction=0.01)
qlinear("QLinearConcat", [SH, (2, 3, 5, 7)], [0.05173, 0.05173], 0.05173, dict(axis=1), y_first=True, tag="equal")
qlinear("QLinearSigmoid", [SH], [0.05173], 0.00413, fraction=0.01)
qlinear("QLinearLeakyRelu", [SH], [0.05173], 0.0531, dict(alpha=0.2), fraction=0.01)
# (ONNX Runtime has no kernel for QLinearReduceMean: tests/unit/onnx/test_expand.c)
# ONNX Runtime's table of exponentials is itself rounded
qlinear("QLinearSoftmax", [(4, 10)], [0.05173], 0.00392, dict(axis=-1, opset=13), fraction=0.1, float_steps=True)
qlinear("QLinearSoftmax", [(4, 3, 5)], [0.05173], 0.00392, dict(axis=1, opset=11), tag="flat", fraction=0.1, float_steps=True)


def qwhere(dtype, z):
    def make():
        net = Net(c=data(6, 1, seed=3) > 0, x=codes(dtype, 6, 5), y=codes(dtype, 5, seed=2))
        return net, net.op("QLinearWhere", "c", "x", *params(net, 0.05, dtype(z)), "y", *params(net, 0.03, dtype(z)), *params(net, 0.041, dtype(z)), **MS)
    return make


for kind, (dtype, zeros) in KINDS.items():
    for z in zeros:
        add(f"qlinear_where_{kind}_{z}", qwhere(dtype, z), dtype)


def resized(dtype, times, between):
    """Linear Resize of the codes themselves: whatever the scales around it, ONNX Runtime truncates the interpolated code."""
    def make():
        net = Net(x=codes(dtype, 1, 3, 5, 6))
        y = "x"
        if between:
            y = net.op("QuantizeLinear", net.op("DequantizeLinear", y, *params(net, 0.02, dtype(7))), *params(net, 0.031, dtype(9)))
        for _ in range(times):
            y = net.op("Resize", y, "", net.const(np.array([1, 1, 2, 2], F)), mode="linear", coordinate_transformation_mode="half_pixel")
        return net, net.op("DequantizeLinear", y, *params(net, 0.05, dtype(3))) if between else y
    return make


for kind, (dtype, _) in KINDS.items():
    for times, between in itertools.product((1, 2), (False, True)):
        add(f"resize_linear_{kind}_{times}{'_rescaled' if between else ''}", resized(dtype, times, between), F if between else dtype, float_steps=True)


# --- sums in s32: exact ----------------------------------------------------------------------------------------------------------------
def conv_integer(dtype, w_dtype, x_zero, w_zero, attrs, ws=(8, 6, 3, 3), x=(2, 6, 7, 8)):
    """x_zero, w_zero: constant, None, or "x" = computed by the graph."""
    def make():
        net = Net(x=codes(dtype, *x), **({"z": np.array(dtype(-9 if dtype is S8 else 117))} if x_zero == "x" else {}))
        ins = ["x", net.const(codes(w_dtype, *ws, seed=2))]
        ins.append("z" if x_zero == "x" else "" if x_zero is None else net.const(dtype(x_zero)))
        if w_zero is not None:
            ins.append(net.const(np.asarray(w_zero, w_dtype)))
        return net, net.op("ConvInteger", *ins, **attrs)
    return make


pads = dict(pads=[1, 0, 2, 1])
for kind, (dtype, zeros) in KINDS.items():
    for z in (None, *zeros, "x"):
        # ONNX Runtime has kernels for u8 weights beside u8 only
        for w_dtype in (U8, S8) if dtype is U8 else (S8,):
            add(f"conv_integer_{kind}_{z}_{w_dtype.__name__}", conv_integer(dtype, w_dtype, z, None if z is None else 3, pads), I32)
add("conv_integer_depthwise", conv_integer(U8, S8, "x", None, dict(group=6, **pads), (6, 1, 3, 3)), I32)
add("conv_integer_grouped", conv_integer(U8, S8, 100, None, dict(group=2, strides=[2, 2], **pads), (8, 3, 3, 3)), I32)
add("conv_integer_1x1", conv_integer(U8, S8, "x", None, {}, (5, 6, 1, 1)), I32)
add("conv_integer_one_d", conv_integer(U8, S8, "x", None, dict(pads=[2, 1], strides=[2]), (5, 6, 4), (2, 6, 17)), I32)
add("conv_integer_dilated", conv_integer(U8, U8, "x", 131, dict(dilations=[2, 2], pads=[2, 2, 2, 2])), I32)


def matmul_integer(dtype, w_dtype, x_zero, w_zero, shape=(3, 4, 30)):
    def make():
        net = Net(x=codes(dtype, *shape), **({"z": np.array(dtype(-9 if dtype is S8 else 117))} if x_zero == "x" else {}))
        ins = ["x", net.const(codes(w_dtype, 30, 9, seed=2))]
        ins.append("z" if x_zero == "x" else "" if x_zero is None else net.const(dtype(x_zero)))
        if w_zero is not None:
            ins.append(net.const(np.asarray(w_zero, w_dtype)))
        return net, net.op("MatMulInteger", *ins)
    return make


for kind, (dtype, zeros) in KINDS.items():
    for z in (None, *zeros, "x"):
        for w_dtype in (U8, S8):
            if dtype is S8 and w_dtype is U8:
                continue
            add(f"matmul_integer_{kind}_{z}_{w_dtype.__name__}", matmul_integer(dtype, w_dtype, z, None if z is None else 3), I32)
            add(f"matmul_integer_{kind}_{z}_{w_dtype.__name__}_columns", matmul_integer(dtype, w_dtype, z, np.arange(9)), I32)
def matmul_two(a, b, dtypes=(U8, U8), zeros=True):
    def make():
        net = Net(x=codes(dtypes[0], *a), y=codes(dtypes[1], *b, seed=2))
        if zeros:
            net.x.update(za=np.array(dtypes[0](7)), zb=np.array(dtypes[1](100)))
        return net, net.op("MatMulInteger", *(["x", "y", "za", "zb"] if zeros else ["x", "y"]))
    return make


for name, a, b in ("plain", (5, 33), (33, 300)), ("batch", (2, 3, 5, 7), (2, 3, 7, 4)), ("broadcast", (3, 5, 7), (2, 1, 7, 4)), ("vectors", (9,), (9,)), ("column", (4, 9), (9,)):
    for x_dtype, y_dtype in (U8, U8), (U8, S8), (S8, S8):
        add(f"matmul_integer_two_{name}_{x_dtype.__name__}_{y_dtype.__name__}", matmul_two(a, b, (x_dtype, y_dtype), x_dtype is not S8), I32)
add("matmul_integer_vector", matmul_integer(U8, S8, 5, None, (30,)), I32)


# --- scales computed by the graph --------------------------------------------------------------------------------------------------------
def dynamic(x, out):
    def make():
        net = Net(x=np.asarray(x, F))
        net.nodes.append(("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], {}))
        if out == "dq":
            return net, net.op("DequantizeLinear", "q", "s", "z")
        return net, net.op("Identity", out)
    return make


for name, x in dict(plain=data(3, 40, 5), positive=data(99, lo=1, hi=3), negative=data(99, lo=-3, hi=-1), zero=np.zeros(9), one=[3.0], empty=np.zeros(0), image=data(2, 3, 9, 7)).items():
    for out, dtype in ("q", U8), ("s", F), ("z", U8), ("dq", F):
        add(f"dynamic_{name}_{out}", dynamic(x, out), dtype, tol=0, float_steps=True)


def computed(kind, axis, back):
    """Q or Q and DQ by a scale and zero point that are graph inputs."""
    dtype = {"u8": U8, "s8": S8, "u16": np.uint16, "s16": np.int16}[kind]
    shape = () if axis is None else (5,)
    wide = 100 if kind.endswith("16") else 1
    def make():
        r = np.random.default_rng(4)
        net = Net(x=data(3, 5, 7), s=np.asarray(r.uniform(0.01, 0.05, shape) / wide, F), z=np.asarray(r.integers(*((0, 200) if kind[0] == "u" else (-90, 90)), shape), dtype))
        attrs = {} if axis is None else dict(axis=axis)
        q = net.op("QuantizeLinear", "x", "s", "z", **attrs)
        return net, net.op("DequantizeLinear", q, "s", "z", **attrs) if back else q
    return make


TENSOR.update({np.uint16: TensorProto.UINT16, np.int16: TensorProto.INT16})
for kind, dtype in dict(u8=U8, s8=S8, u16=np.uint16, s16=np.int16).items():
    for axis in None, 1:
        first = 21 if kind.endswith("16") else 13
        add(f"computed_scale_{kind}_{axis}", computed(kind, axis, False), dtype, first=first, float_steps=True)
        add(f"computed_scale_{kind}_{axis}_back", computed(kind, axis, True), F, first=first, tol=0)


def quantized_dynamically(build):
    """What onnxruntime.quantization.quantize_dynamic makes of a float model."""
    def model():
        import logging
        import tempfile
        from pathlib import Path

        import onnx
        from onnxruntime.quantization import quantize_dynamic
        logging.getLogger().setLevel(logging.ERROR)  # it advises to preprocess
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(build(), Path(folder) / "float.onnx")
            quantize_dynamic(Path(folder) / "float.onnx", Path(folder) / "int.onnx", op_types_to_quantize=["MatMul", "Conv", "Gemm"])
            return onnx.load(Path(folder) / "int.onnx")
    return model


def small_net(kind):
    def model():
        import onnx
        from onnx import helper, numpy_helper
        r = np.random.default_rng(8)
        w = {k: numpy_helper.from_array(r.standard_normal(s).astype(F) * 0.2, k) for k, s in dict(w0=(8, 3, 3, 3), b0=(8,), w1=(8, 1, 3, 3), w2=(8, 16), b2=(16,), w3=(16, 5)).items()}
        body = [helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c0"], ["r0"]),
                helper.make_node("Conv", ["r0", "w1"], ["c1"], pads=[1, 1, 1, 1], group=8, strides=[2, 2]), helper.make_node("GlobalAveragePool", ["c1"], ["g"]),
                helper.make_node("Flatten", ["g"], ["f"])] if kind == "conv" else [helper.make_node("Identity", ["x"], ["f"])]
        body += [helper.make_node("MatMul", ["f", "w2"], ["m2"]), helper.make_node("Add", ["m2", "b2"], ["a2"]), helper.make_node("Tanh", ["a2"], ["t2"]),
                 helper.make_node("MatMul", ["t2", "w3"], ["out0"])]
        shape = [2, 3, 12, 10] if kind == "conv" else [2, 7, 8]
        used = [v for k, v in w.items() if any(k in n.input for n in body)]
        g = helper.make_graph(body, "net", [helper.make_tensor_value_info("x", 1, shape)], [helper.make_tensor_value_info("out0", 1, None)], used)
        return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model


for kind, shape in dict(conv=(2, 3, 12, 10), matmul=(2, 7, 8)).items():
    made = []
    def build(opset, kind=kind, shape=shape, made=made):
        if not made:
            made.append(quantized_dynamically(small_net(kind))())
        return dict(model=made[0], x=dict(x=data(*shape)))
    # a float that ends elsewhere in its last bit may fall on another code: tol is one step of the last layer
    c = Case(f"quantize_dynamic_{kind}", "Q/DQ", build, 17, 17, 1, 2e-3, False)
    c.fraction, c.float_steps = 0, True
    CASES.append(c)


# --- 16 and 4 bits -------------------------------------------------------------------------------------------------------------------------
def packed(a, dtype):
    """4-bit codes as ONNX holds them."""
    from onnx import helper
    return helper.make_tensor("", dtype, a.shape, a.reshape(-1).tolist())


def wide_net(kind, op, ms):
    """op between 16-bit Q/DQ, by ai.onnx (opset 21) or com.microsoft (any opset)."""
    dtype = dict(u16=np.uint16, s16=np.int16)[kind]
    lo, hi = np.iinfo(dtype).min, np.iinfo(dtype).max
    attrs = MS if ms else {}
    def make():
        net = Net(x=data(2, 6, 7, 8), y=data(2, 6, 7, 8, seed=2))
        def qdq(x, scale, zero):
            q = net.op("QuantizeLinear", x, *params(net, scale, dtype(zero)), **attrs)
            return net.op("DequantizeLinear", q, *params(net, scale, dtype(zero)), **attrs)
        a, b = qdq("x", 5e-5, lo + 40000), qdq("y", 5e-5, lo + 40000)
        if op == "Conv":
            w = net.weights(data(5, 6, 3, 3, seed=3), "s8", True)
            y = net.op("Conv", a, w, net.const(data(5, seed=4)), pads=[1, 1, 1, 1])
        elif op == "MaxPool":
            y = net.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
        else:
            y = net.op(op, a, b)
        return net, net.op("QuantizeLinear", y, *params(net, 4e-4, dtype(hi - 30000)), **attrs)
    return make


def add_wide(name, make, dtype, fraction, first):
    def build(opset):
        net, y = make()
        return dict(x=net.x, c=net.c, nodes=net.nodes, out=y, type=TENSOR[dtype], step=1)
    c = Case(name, "Q/DQ", build, first, 99, 1, 0, False)
    c.fraction, c.float_steps = fraction, True
    CASES.append(c)


for kind, dtype in dict(u16=np.uint16, s16=np.int16).items():
    for ms in False, True:
        # float sums in another order: a 16-bit code sees their last bits
        for op, fraction in dict(Conv=0.05, MaxPool=0, Add=0, Mul=0).items():
            add_wide(f"wide_{op}_{kind}{'_ms' if ms else ''}", wide_net(kind, op, ms), dtype, fraction, 13 if ms else 21)

FOUR = {"u4": (TensorProto.UINT4, 0, 15), "s4": (TensorProto.INT4, -8, 7)}


def four_bit(kind, op, per_channel, activations):
    """Weights of 4 bits, and activations of 4 or 8 bits."""
    code, lo, hi = FOUR[kind]
    def make():
        net = Net(x=data(3, 40) if op == "MatMul" else data(2, 6, 7, 8))
        def consts(scale, zero, t):
            name = net.const(np.asarray(scale, F))
            zeros = np.asarray(zero)
            net.c[f"z{len(net.c)}"] = packed(zeros, t) if t in (TensorProto.UINT4, TensorProto.INT4) else zeros.astype(U8)
            return [name, list(net.c)[-1]]
        def weights(shape, axis):
            codes_ = np.random.default_rng(7).integers(lo, hi + 1, shape)
            net.c["w"] = packed(codes_, code)
            n = shape[axis] if per_channel else 1
            scale = np.random.default_rng(8).uniform(0.02, 0.2, n if per_channel else ())
            return net.op("DequantizeLinear", "w", *consts(scale, np.full(n if per_channel else (), (lo + hi + 1) // 2), code), **(dict(axis=axis) if per_channel else {}))
        def qdq(x, scale, zero):
            t = code if activations == 4 else TensorProto.UINT8
            q = net.op("QuantizeLinear", x, *consts(scale, zero, t))
            return net.op("DequantizeLinear", q, *consts(scale, zero, t))
        a = qdq("x", 4 / (hi - lo) if activations == 4 else 4 / 255, (lo + hi + 1) // 2 if activations == 4 else 128)
        if op == "MatMul":
            y = net.op("MatMul", a, weights((40, 12), 1))
        elif op == "Conv":
            y = net.op("Relu", net.op("Conv", a, weights((8, 6, 3, 3), 0), net.const(data(8, seed=4)), pads=[1, 1, 1, 1]))
        else:
            y = net.op(op, a, **(dict(kernel_shape=[2, 2]) if op == "MaxPool" else {}))
        net.step = step = 12 / (hi - lo) if activations == 4 else 12 / 255
        return net, qdq(y, step, lo if activations == 4 else 0)
    return make


for kind, activations in itertools.product(FOUR, (4, 8)):
    for op in "Conv", "MatMul", "Sigmoid", "MaxPool", "GlobalAveragePool":
        for per_channel in (False, True) if op in ("Conv", "MatMul") else (False,):
            if activations == 8 and op not in ("Conv", "MatMul"):
                continue
            def build(opset, make=four_bit(kind, op, per_channel, activations)):
                net, y = make()
                return dict(x=net.x, c=net.c, nodes=net.nodes, out=y, step=net.step)
            c = Case(f"four_{kind}_{op}_{'channel' if per_channel else 'tensor'}_x{activations}", "Q/DQ", build, 21, 99, 1, 2e-5, False)
            # the bias lies on a grid of s_x * s_w, which is coarse for 4 bits
            c.fraction, c.float_steps = 0.02 if op == "Conv" else 0.01, False
            CASES.append(c)


def four_bit_float_weights(kind):
    """Float weights with Q and DQ of 4 bits, as trainers write them; some saturate."""
    code, lo, hi = FOUR[kind]
    def make():
        net = Net(x=data(2, 6, 7, 8))
        net.c.update(s=r4.uniform(0.1, 0.3, 8).astype(F), z=packed(np.full(8, (lo + hi + 1) // 2), code))
        w = net.op("QuantizeLinear", net.const(data(8, 6, 3, 3, seed=5)), "s", "z", axis=0)
        return net, net.qdq(net.op("Conv", net.qdq("x", -2, 2), net.op("DequantizeLinear", w, "s", "z", axis=0)), -12, 12)
    r4 = np.random.default_rng(3)
    return make


for kind in FOUR:
    def build(opset, make=four_bit_float_weights(kind)):
        net, y = make()
        return dict(x=net.x, c=net.c, nodes=net.nodes, out=y, step=net.step)
    c = Case(f"four_{kind}_float_weights", "Q/DQ", build, 21, 99, 1, 2e-5, False)
    c.fraction, c.float_steps = 0.01, False
    CASES.append(c)


def blocked(kind, op, block, axis, zero=True):
    """Weights with a scale for each block along an axis; the product runs in float."""
    dtype, lo, hi = {**FOUR, "u8": (U8, 0, 255), "s8": (S8, -128, 127)}[kind]
    def make():
        net = Net(x=data(3, 40) if op == "MatMul" else data(2, 6, 7, 8))
        shape = (40, 12) if op == "MatMul" else (8, 6, 3, 3)
        blocks = tuple(-(-d // block) if i == axis else d for i, d in enumerate(shape))
        r = np.random.default_rng(7)
        keep = (lambda a: packed(a, dtype)) if kind in FOUR else (lambda a: a.astype(dtype))
        net.c.update(w=keep(r.integers(lo, hi + 1, shape)), s=r.uniform(0.002, 0.02, blocks).astype(F), z=keep(r.integers(lo, hi + 1, blocks)))
        w = net.op("DequantizeLinear", *(["w", "s", "z"] if zero else ["w", "s"]), axis=axis, block_size=block)
        a = net.qdq("x", -2, 2)
        return net, net.op("MatMul", a, w) if op == "MatMul" else net.op("Conv", a, w)
    return make


for kind in "u4", "s4", "u8", "s8":
    for op, block, axis in ("MatMul", 16, 0), ("MatMul", 5, 1), ("Conv", 4, 1), ("Conv", 2, 0):
        add(f"blocked_{kind}_{op}_{block}_{axis}", blocked(kind, op, block, axis, kind != "s8"), F, first=21, float_steps=True)


def residual_net():
    """Convolutions, a sum, pools and products: what QLinear* models are made of."""
    import onnx
    from onnx import helper, numpy_helper
    r = np.random.default_rng(8)
    shapes = dict(w0=(8, 3, 3, 3), b0=(8,), w1=(8, 8, 3, 3), b1=(8,), w2=(8, 1, 3, 3), w3=(16, 16), b3=(16,), w4=(16, 5))
    w = [numpy_helper.from_array((r.standard_normal(s) * 0.3).astype(F), k) for k, s in shapes.items()]
    n = helper.make_node
    body = [n("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1]), n("Relu", ["c0"], ["r0"]), n("Conv", ["r0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
            n("Add", ["c1", "r0"], ["a1"]), n("Relu", ["a1"], ["r1"]), n("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
            n("Conv", ["p1", "w2"], ["c2"], pads=[1, 1, 1, 1], group=8), n("Sigmoid", ["c2"], ["s2"]), n("Mul", ["c2", "s2"], ["m2"]),
            n("Concat", ["m2", "p1"], ["k2"], axis=1), n("GlobalAveragePool", ["k2"], ["g2"]), n("Flatten", ["g2"], ["f2"]),
            n("Gemm", ["f2", "w3", "b3"], ["g3"]), n("LeakyRelu", ["g3"], ["l3"]), n("MatMul", ["l3", "w4"], ["out0"])]
    g = helper.make_graph(body, "net", [helper.make_tensor_value_info("x", 1, [2, 3, 12, 10])], [helper.make_tensor_value_info("out0", 1, None)], w)
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantized_statically(activation, per_channel):
    """What onnxruntime.quantization.quantize_static makes of it in its operator form."""
    import logging
    import tempfile
    from pathlib import Path

    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = [dict(x=data(2, 3, 12, 10, seed=s)) for s in range(4)]

        def get_next(self):
            return self.left.pop() if self.left else None
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(residual_net(), Path(folder) / "float.onnx")
        quantize_static(Path(folder) / "float.onnx", Path(folder) / "int.onnx", Reader(), quant_format=QuantFormat.QOperator, per_channel=per_channel,
                        activation_type=getattr(QuantType, activation), weight_type=QuantType.QInt8, reduce_range=saturates())
        return onnx.load(Path(folder) / "int.onnx")


STATIC = {}
for activation, per_channel in itertools.product(("QUInt8", "QInt8"), (False, True)):
    def build(opset, key=(activation, per_channel)):
        if key not in STATIC:
            STATIC[key] = quantized_statically(*key)
        return dict(model=STATIC[key], x=dict(x=data(2, 3, 12, 10)))
    # tol is one step of the result, in case a code rounds otherwise in one layer
    c = Case(f"quantize_static_{activation}_{'channel' if per_channel else 'tensor'}", "Q/DQ", build, 17, 17, 1, 0.008, False)
    c.fraction, c.float_steps = 0, True
    CASES.append(c)
