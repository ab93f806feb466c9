"""Small Q/DQ graphs for the integer engine: every combination of code types, zero points and granularities that files may hold
(DESIGN 3.2, 5.2).  The reference computes in float between DQ and Q, so a code may differ by one where float rounds otherwise: `steps`."""
import numpy as np

from cases import F, I32, S8, U8, Case, CASES, data

TYPES = {"u8": (U8, 0, 255), "s8": (S8, -128, 127)}


class Net:
    """Nodes of a graph under construction; every method returns the name of a tensor."""

    def __init__(self, **inputs):
        self.x, self.c, self.nodes = inputs, {}, []

    def const(self, a):
        name = f"c{len(self.c)}"
        self.c[name] = np.asarray(a)
        return name

    def op(self, op, *inputs, **attrs):
        out = f"t{len(self.nodes)}"
        self.nodes.append((op, list(inputs), [out], attrs))
        return out

    def dq(self, codes, scale, zero, **attrs):
        return self.op("DequantizeLinear", codes, self.const(np.asarray(scale, F)), self.const(zero), **attrs)

    def qdq(self, x, lo, hi, kind="u8"):
        """Round x to 8 bits over [lo, hi]; remembers the step."""
        dtype, a, b = TYPES[kind]
        scale = F((hi - lo) / 255)
        zero = dtype(np.clip(round(a - lo / scale), a, b))
        self.step = float(scale)
        return self.dq(self.op("QuantizeLinear", x, self.const(scale), self.const(zero)), scale, zero)

    def weights(self, w, kind, per_channel, axis=0, zero=0):
        dtype, a, b = TYPES[kind]
        axes = tuple(i for i in range(w.ndim) if i != axis) if per_channel else None
        if kind == "u8":
            zero = zero or 128
        scale = np.abs(w).max(axis=axes, keepdims=per_channel) / 120
        codes = np.clip(np.rint(w / scale) + zero, a, b).astype(dtype)
        zeros = np.full(scale.size if per_channel else (), zero, dtype)
        return self.dq(self.const(codes), scale.reshape(-1) if per_channel else scale, zeros, **(dict(axis=axis) if per_channel else {}))

    def bias(self, b, scale):
        codes = np.rint(b / scale).astype(I32)
        return self.dq(self.const(codes), scale, I32(0))


def graph(name, make, fraction=0.01, float_steps=False):
    """make() -> (Net, output name). Opset 13 and the newest. Unless float_steps, no step of the plan may compute in float."""
    def build(opset):
        net, out = make()
        return dict(x=net.x, c=net.c, nodes=net.nodes, out=out, step=net.step)
    c = Case(name, "Q/DQ", build, 13, 99, 1, 2e-5, False)
    c.fraction, c.float_steps = fraction, float_steps
    CASES.append(c)


X = data(2, 6, 7, 8)


def conv(x_kind, w_kind, per_channel, zero=0, attrs=None, ws=(8, 6, 3, 3), relu=None, residual=None, bias="float", x=X):
    def make():
        n = Net(x=x)
        a = n.qdq("x", -2, 2.5, x_kind)
        w = data(*ws, seed=5)
        ins = [a, n.weights(w, w_kind, per_channel, zero=zero)]
        if bias == "float":
            ins.append(n.const(data(ws[0], seed=6)))
        elif bias == "s32":
            ins.append(n.bias(data(ws[0], seed=6), 1e-3))
        y = n.op("Conv", *ins, **(attrs or {}))
        if residual == "inner":
            y = n.qdq(y, -12, 12, x_kind)
        if residual:
            y = n.op("Add", y, a)
        if relu == "Relu":
            y = n.op("Relu", y)
        elif relu:
            y = n.op("Clip", y, n.const(F(0)), n.const(F(6)))
        return n, n.qdq(y, 0 if relu else -12, 12, x_kind)
    return make


for x_kind in TYPES:
    for w_kind in TYPES:
        for per_channel in False, True:
            graph(f"conv_{x_kind}_{w_kind}_{'channel' if per_channel else 'tensor'}", conv(x_kind, w_kind, per_channel))
graph("conv_weight_zero", conv("u8", "s8", True, zero=5))
graph("conv_weight_zero_u8", conv("u8", "u8", False, zero=100))
graph("conv_no_bias", conv("u8", "s8", True, bias=None))
graph("conv_s32_bias", conv("u8", "s8", True, bias="s32"))
graph("conv_relu", conv("u8", "s8", True, relu="Relu"))
graph("conv_clip", conv("s8", "s8", True, relu="Clip"))
graph("conv_k1", conv("u8", "s8", True, ws=(9, 6, 1, 1)))
graph("conv_stride_pads", conv("u8", "s8", True, attrs=dict(strides=[2, 1], pads=[1, 0, 2, 1])))
graph("conv_dilated", conv("u8", "s8", True, attrs=dict(dilations=[2, 2], pads=[2, 2, 2, 2])))
graph("conv_grouped", conv("u8", "s8", True, ws=(8, 3, 3, 3), attrs=dict(group=2)))
graph("conv_depthwise", conv("u8", "s8", True, ws=(6, 1, 3, 3), attrs=dict(group=6, pads=[1, 1, 1, 1])))
graph("conv_depthwise_s8", conv("s8", "s8", True, ws=(6, 1, 3, 3), attrs=dict(group=6, pads=[1, 1, 1, 1], strides=[2, 2])))
graph("conv_one_d", conv("u8", "s8", True, ws=(5, 6, 3), attrs=dict(pads=[1, 1]), x=data(2, 6, 17)))
for kind in TYPES:
    graph(f"residual_{kind}", conv(kind, "s8", True, ws=(6, 6, 3, 3), attrs=dict(pads=[1, 1, 1, 1]), residual="plain", relu="Relu"))
    graph(f"residual_inner_{kind}", conv(kind, "s8", True, ws=(6, 6, 3, 3), attrs=dict(pads=[1, 1, 1, 1]), residual="inner", relu="Relu"), fraction=0.02)


def deconv(per_channel):
    def make():
        n = Net(x=X)
        a = n.qdq("x", -2, 2.5)
        return n, n.qdq(n.op("ConvTranspose", a, n.weights(data(6, 4, 3, 3, seed=5), "s8", per_channel, axis=1), strides=[2, 2]), -12, 12)
    return make


graph("deconv_tensor", deconv(False))
graph("deconv_channel", deconv(True))


def product(op, w_kind, per_channel, **attrs):
    def make():
        n = Net(x=data(5, 40))
        trans = attrs.get("transB", 0)
        w = n.weights(data(*((12, 40) if trans else (40, 12)), seed=5), w_kind, per_channel, axis=0 if trans else 1)
        a = n.qdq("x", -2, 2)
        y = n.op(op, a, w, n.const(data(12, seed=6)), **attrs) if op == "Gemm" else n.op("Add", n.op("MatMul", a, w), n.const(data(12, seed=6)))
        return n, n.qdq(y, -20, 20)
    return make


for w_kind in TYPES:
    for per_channel in False, True:
        tag = f"{w_kind}_{'channel' if per_channel else 'tensor'}"
        graph(f"gemm_{tag}", product("Gemm", w_kind, per_channel))
        graph(f"gemm_trans_{tag}", product("Gemm", w_kind, per_channel, transB=1))
        graph(f"matmul_{tag}", product("MatMul", w_kind, per_channel))


def unary(op, lo, hi, kind, **attrs):
    def make():
        n = Net(x=data(3, 5, 7, lo=-4, hi=4))
        return n, n.qdq(n.op(op, n.qdq("x", -4, 4, kind), **attrs), lo, hi, kind)
    return make


for kind in TYPES:
    for op, lo, hi in ("Sigmoid", 0, 1), ("HardSigmoid", 0, 1), ("Tanh", -1, 1), ("Relu", 0, 4), ("LeakyRelu", -0.04, 4), ("Elu", -1, 4), ("Softplus", 0, 4), ("Abs", 0, 4), ("Neg", -4, 4):
        graph(f"{op.lower()}_{kind}", unary(op, lo, hi, kind))


def binary(op, kind, other, lo, hi):
    def make():
        n = Net(x=data(2, 6, 5, 4), y=data(*other, seed=2))
        return n, n.qdq(n.op(op, n.qdq("x", -2, 2, kind), n.qdq("y", -2, 1.5, kind)), lo, hi, kind)
    return make


for kind in TYPES:
    for op, lo, hi in ("Add", -4, 3.5), ("Sub", -3.5, 4), ("Mul", -4, 4):
        graph(f"{op.lower()}_{kind}", binary(op, kind, (2, 6, 5, 4), lo, hi))
        graph(f"{op.lower()}_channel_{kind}", binary(op, kind, (1, 6, 1, 1), lo, hi))


def spatial(op, kind, q=(-2, 2), consts=(), x=X, **attrs):
    def make():
        n = Net(x=x)
        return n, n.qdq(n.op(op, n.qdq("x", -2, 2, kind), *[c if isinstance(c, str) else n.const(c) for c in consts], **attrs), *q, kind)
    return make


for kind in TYPES:
    # means of few codes at one scale often fall on exact halves, which float sums miss on either side
    graph(f"average_pool_{kind}", spatial("AveragePool", kind, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]), fraction=0.1)
    graph(f"average_pool_include_{kind}", spatial("AveragePool", kind, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), fraction=0.1)
    graph(f"global_average_pool_{kind}", spatial("GlobalAveragePool", kind, (-1, 1)), fraction=0.1)
    graph(f"max_pool_{kind}", spatial("MaxPool", kind, kernel_shape=[2, 2], strides=[2, 2]))
    graph(f"max_pool_other_scale_{kind}", spatial("MaxPool", kind, (-3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
    graph(f"pad_{kind}", spatial("Pad", kind, consts=[np.array([0, 0, 1, 2, 0, 1, 0, 1], np.int64)]))
    graph(f"transpose_{kind}", spatial("Transpose", kind, perm=[0, 2, 3, 1]))
    graph(f"reshape_{kind}", spatial("Reshape", kind, consts=[np.array([2, -1], np.int64)]))
    graph(f"slice_{kind}", spatial("Slice", kind, consts=[np.array([1], np.int64), np.array([5], np.int64), np.array([2], np.int64)]))
    graph(f"nearest_{kind}", spatial("Resize", kind, consts=["", np.array([1, 1, 2, 2], F)], coordinate_transformation_mode="asymmetric", nearest_mode="floor"))
    graph(f"linear_{kind}", spatial("Resize", kind, consts=["", np.array([1, 1, 2, 2], F)], mode="linear"), float_steps=True)


def concat(kind, other):
    def make():
        n = Net(x=data(2, 3, 4, 5), y=data(2, 4, 4, 5, seed=2))
        return n, n.qdq(n.op("Concat", n.qdq("x", -2, 2, kind), n.qdq("y", *other, kind), axis=1), -2, 2, kind)
    return make


for kind in TYPES:
    graph(f"concat_equal_{kind}", concat(kind, (-2, 2)))
    graph(f"concat_unequal_{kind}", concat(kind, (-1.5, 2)))


def picked(op, kind, other):
    """The larger, the smaller, or a chosen one of two code tensors."""
    def make():
        n = Net(x=data(2, 3, 4, 5), y=data(3, 4, 5, seed=2), c=data(4, 1, seed=3) > 0)
        a, b = n.qdq("x", -2, 2, kind), n.qdq("y", *other, kind)
        return n, n.qdq(n.op("Where", "c", a, b) if op == "Where" else n.op(op, a, b), -2, 2, kind)
    return make


def clamped(kind, form):
    """Relu where no operator in front can take it."""
    def make():
        n = Net(x=data(2, 6, 4, 5), y=data(2, 4, 4, 5, seed=2))
        if form == "concat":  # Q goes before Relu and Concat
            y = n.op("Relu", n.op("Concat", n.qdq("x", -2, 2, kind), n.qdq("y", -2, 1, kind), axis=1))
        elif form == "conv":  # DQ goes behind Relu
            y = n.op("Conv", n.op("Relu", n.qdq("x", -2, 2, kind)), n.weights(data(8, 6, 1, 1, seed=5), "s8", True))
        else:
            y = n.op("MaxPool", n.op("Clip", n.qdq("x", -2, 2, kind), n.const(F(0)), n.const(F(9))), kernel_shape=[2, 2])
        return n, n.qdq(y, *dict(concat=(-0.5, 1.5), conv=(-12, 12), pool=(0, 2))[form], kind)
    return make


for kind in TYPES:
    for op in "Max", "Min", "Where":
        graph(f"{op.lower()}_equal_{kind}", picked(op, kind, (-2, 2)))
        graph(f"{op.lower()}_unequal_{kind}", picked(op, kind, (-1.5, 2)))
    for form in "concat", "conv", "pool":
        graph(f"relu_{form}_{kind}", clamped(kind, form))
    graph(f"space_to_depth_{kind}", spatial("SpaceToDepth", kind, blocksize=2, x=data(1, 2, 4, 6)))
    graph(f"gather_{kind}", spatial("Gather", kind, consts=[np.array([2, 0], np.int64)], axis=1))
    graph(f"expand_{kind}", spatial("Expand", kind, consts=[np.array([3, 2, 6, 7, 8], np.int64)]))
    graph(f"squeeze_{kind}", spatial("Squeeze", kind, consts=[np.array([0], np.int64)], x=data(1, 6, 7, 8)))
    graph(f"unsqueeze_{kind}", spatial("Unsqueeze", kind, consts=[np.array([1], np.int64)]))
    graph(f"flatten_{kind}", spatial("Flatten", kind))
    graph(f"global_max_pool_{kind}", spatial("GlobalMaxPool", kind))
