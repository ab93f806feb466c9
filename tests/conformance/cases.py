"""One small model per operator, form and opset.  A case yields (inputs, attributes, constants) for an opset, or None where the form does
not exist there.  Data are seeded; values stay away from points where the last bit decides (halves before rounding)."""
import numpy as np

F, I64, I32, U8, S8 = np.float32, np.int64, np.int32, np.uint8, np.int8
CASES = []


class Case:
    def __init__(self, name, op, build, first, last, outputs, tol, unsupported):
        self.name, self.op, self.build, self.first, self.last = name, op, build, first, last
        self.outputs, self.tol, self.unsupported = outputs, tol, unsupported


def case(name, op, build, first=7, last=99, outputs=1, tol=2e-5, unsupported=False):
    """build(opset) -> dict(x={name: array}, c={name: array}, a={attribute: value}, inputs=[names in order, "" = absent])."""
    CASES.append(Case(name, op, build, first, last, outputs, tol, unsupported))


def data(*shape, lo=-2.0, hi=2.0, seed=1, dtype=F):
    r = np.random.default_rng(seed + sum(shape) * 7919)
    if np.issubdtype(dtype, np.floating):
        return (r.random(shape) * (hi - lo) + lo).astype(dtype)
    return r.integers(int(lo), int(hi) + 1, shape).astype(dtype)


def simple(name, op, xs, attrs=None, consts=None, order=None, **kw):
    """A case whose form is the same in all its opsets."""
    def build(opset):
        return dict(x=xs, c=consts or {}, a=attrs or {}, inputs=order or [*xs, *(consts or {})])
    case(name, op, build, **kw)


def ints(*v):
    return np.array(v, I64)


# --- unary -----------------------------------------------------------------------------------------------------------------
for op, kw in {
    "Relu": {}, "Sigmoid": dict(lo=-12, hi=12), "Tanh": dict(lo=-6, hi=6), "Exp": dict(lo=-8, hi=8), "Log": dict(lo=0.01, hi=9),
    "Sqrt": dict(lo=0, hi=9), "Neg": {}, "Abs": {}, "Reciprocal": dict(lo=0.2, hi=4), "Floor": dict(lo=-7, hi=7), "Ceil": dict(lo=-7, hi=7),
    "Softplus": dict(lo=-10, hi=10), "Elu": {}, "LeakyRelu": {}, "HardSigmoid": dict(lo=-5, hi=5), "Identity": {},
}.items():
    simple("plain", op, dict(x=data(2, 3, 5, 7, **kw)))
simple("plain", "Erf", dict(x=data(3, 40, lo=-4, hi=4)), first=9)
simple("plain", "HardSwish", dict(x=data(2, 3, 5, 7, lo=-5, hi=5)), first=14)
simple("plain", "Gelu", dict(x=data(3, 40, lo=-5, hi=5)), first=20)
simple("tanh", "Gelu", dict(x=data(3, 40, lo=-5, hi=5)), dict(approximate="tanh"), first=20)
simple("alpha", "Elu", dict(x=data(4, 9)), dict(alpha=0.3))
simple("alpha", "LeakyRelu", dict(x=data(4, 9)), dict(alpha=0.3))
simple("alpha_beta", "HardSigmoid", dict(x=data(4, 9)), dict(alpha=0.5, beta=0.6))
simple("bool", "Not", dict(x=data(3, 4) > 0))
simple("scalar", "Relu", dict(x=np.array(-1.5, F)))
simple("empty", "Relu", dict(x=np.zeros((0, 4), F)))
simple("extremes", "Sigmoid", dict(x=np.array([-1e30, -200, -0.0, 0, 200, 1e30], F)))
simple("extremes", "Exp", dict(x=np.array([-1e30, -200, -0.0, 0, 88], F)))
simple("extremes", "Tanh", dict(x=np.array([-1e30, -20, -1e-8, 0, 1e-8, 20, 1e30], F)))


def clip(lo, hi):
    def build(opset):
        x = dict(x=data(3, 4, 5, lo=-9, hi=9))
        if opset < 11:
            return dict(x=x, a={k: v for k, v in dict(min=lo, max=hi).items() if v is not None}, inputs=["x"])
        c = {k: np.array(v, F) for k, v in dict(lo=lo, hi=hi).items() if v is not None}
        return dict(x=x, c=c, inputs=["x", "lo" if lo is not None else "", "hi" if hi is not None else ""])
    return build


case("both", "Clip", clip(0.0, 6.0))
case("low", "Clip", clip(-1.0, None))
case("high", "Clip", clip(None, 2.5))
case("none", "Clip", clip(None, None))
simple("slope_per_channel", "PRelu", dict(x=data(2, 3, 4, 5)), consts=dict(s=data(3, 1, 1, lo=0, hi=1)))
simple("slope_scalar", "PRelu", dict(x=data(2, 3, 4)), consts=dict(s=data(1, lo=0, hi=1)))

# --- binary and variadic ----------------------------------------------------------------------------------------------------
for op in "Add", "Sub", "Mul", "Div":
    hi = dict(lo=0.5, hi=3.0)
    simple("same", op, dict(x=data(2, 3, 4), y=data(2, 3, 4, seed=2, **hi)))
    simple("channel", op, dict(x=data(2, 3, 4, 5), y=data(3, 1, 1, seed=2, **hi)))
    simple("both_ways", op, dict(x=data(3, 1, 5), y=data(1, 4, 1, seed=2, **hi)))
    simple("scalar", op, dict(x=data(2, 3)), consts=dict(y=np.array(2.5, F)))
    simple("rank_grows", op, dict(x=data(4), y=data(2, 3, 4, seed=2, **hi)))
    simple("int64", op, dict(x=data(5, lo=-99, hi=99, dtype=I64), y=data(5, lo=1, hi=9, dtype=I64)))
    simple("int32", op, dict(x=data(5, lo=-99, hi=99, dtype=I32), y=data(5, lo=1, hi=9, dtype=I32)))
simple("square", "Pow", dict(x=data(3, 5)), consts=dict(y=np.array(2, F)))
simple("root", "Pow", dict(x=data(3, 5, lo=0.1, hi=4)), consts=dict(y=np.array(0.5, F)))
simple("general", "Pow", dict(x=data(3, 5, lo=0.1, hi=4), y=data(3, 5, seed=3)), tol=1e-4)
for op in "Min", "Max", "Sum":
    simple("two", op, dict(x=data(3, 4), y=data(3, 4, seed=2)))
    simple("three", op, dict(x=data(3, 4), y=data(3, 4, seed=2), z=data(3, 4, seed=3)))
    simple("one", op, dict(x=data(3, 4)))
    simple("broadcast", op, dict(x=data(3, 1), y=data(1, 4, seed=2), z=data(4, seed=3)), first=8)
for op in "Greater", "Less":
    simple("float", op, dict(x=data(3, 4), y=data(3, 4, seed=2)))
    simple("broadcast", op, dict(x=data(3, 4), y=data(4, seed=2)))
    simple("int64", op, dict(x=data(9, lo=0, hi=4, dtype=I64), y=data(9, lo=0, hi=4, dtype=I64, seed=2)), first=9)
simple("int64", "Equal", dict(x=data(9, lo=0, hi=2, dtype=I64), y=data(9, lo=0, hi=2, dtype=I64, seed=2)))
simple("int32", "Equal", dict(x=data(9, lo=0, hi=2, dtype=I32), y=data(9, lo=0, hi=2, dtype=I32, seed=2)))
simple("float", "Equal", dict(x=np.array([1, 2, 3], F), y=np.array([1, 0, 3], F)), first=11)
simple("bool", "Equal", dict(x=data(9) > 0, y=data(9, seed=4) > 0))
simple("broadcast", "Where", dict(c=data(3, 1) > 0, x=data(3, 4), y=data(4, seed=2)), first=9)
simple("int64", "Where", dict(c=data(6) > 0, x=data(6, lo=0, hi=9, dtype=I64), y=data(6, lo=0, hi=9, dtype=I64, seed=2)), first=9)

# --- normalisation -------------------------------------------------------------------------------------------------------------
for op in "Softmax", "LogSoftmax":
    simple("default_2d", op, dict(x=data(3, 7, lo=-9, hi=9)))
    simple("default_3d", op, dict(x=data(2, 3, 4, lo=-9, hi=9)))
    simple("default_4d", op, dict(x=data(2, 3, 1, 1, lo=-9, hi=9)))
    for axis in 0, 1, 2, -1, -2:
        simple(f"axis_{axis}", op, dict(x=data(2, 3, 4, lo=-9, hi=9)), dict(axis=axis), first=7 if axis >= 0 else 11)
    simple("long", op, dict(x=data(2, 1000, lo=-20, hi=20)))
    simple("shifted", op, dict(x=data(2, 9, lo=-9, hi=9) + 1000))
for axis, shape in ((-1, (5,)), (1, (4, 5)), (2, (5,))):
    simple(f"axis_{axis}", "LayerNormalization", dict(x=data(3, 4, 5)), dict(axis=axis),
           dict(s=data(*shape, seed=2), b=data(*shape, seed=3)), first=17)
simple("no_bias", "LayerNormalization", dict(x=data(3, 4, 64)), dict(epsilon=1e-2), dict(s=data(64, seed=2)), first=17)
simple("statistics", "LayerNormalization", dict(x=data(3, 4, 6)), None, dict(s=data(6, seed=2)), first=17, outputs=3)
for shape in (2, 3, 4, 5), (2, 3, 6), (4, 3):
    simple(f"rank_{len(shape)}", "BatchNormalization", dict(x=data(*shape)), dict(epsilon=1e-3),
           dict(s=data(3, seed=2), b=data(3, seed=3), m=data(3, seed=4), v=data(3, lo=0.1, hi=2, seed=5)))

# --- convolution ----------------------------------------------------------------------------------------------------------------
CONVS = dict(
    k1=((2, 3, 5, 6), (4, 3, 1, 1), {}), k3=((1, 3, 8, 7), (5, 3, 3, 3), dict(pads=[1, 1, 1, 1])),
    stride=((1, 3, 9, 8), (4, 3, 3, 3), dict(strides=[2, 2])), asymmetric_pads=((1, 2, 6, 7), (3, 2, 3, 2), dict(pads=[0, 1, 2, 0])),
    dilated=((1, 2, 9, 9), (3, 2, 3, 3), dict(dilations=[2, 3], pads=[2, 3, 2, 3])), grouped=((2, 4, 5, 5), (6, 2, 3, 3), dict(group=2)),
    depthwise=((1, 5, 7, 7), (5, 1, 3, 3), dict(group=5, pads=[1, 1, 1, 1])), depthwise_stride=((1, 8, 9, 9), (8, 1, 3, 3), dict(group=8, strides=[2, 2])),
    depthwise_multiplier=((1, 3, 7, 7), (6, 1, 3, 3), dict(group=3)), same_upper=((1, 2, 7, 8), (3, 2, 3, 3), dict(auto_pad="SAME_UPPER", strides=[2, 2])),
    same_lower=((1, 2, 7, 8), (3, 2, 2, 4), dict(auto_pad="SAME_LOWER", strides=[2, 3])), valid=((1, 2, 7, 8), (3, 2, 3, 3), dict(auto_pad="VALID")),
    one_d=((2, 3, 11), (4, 3, 3), dict(pads=[1, 2], strides=[2])), one_d_depthwise=((2, 6, 11), (6, 1, 5), dict(group=6, pads=[2, 2])),
    kernel_is_image=((2, 3, 4, 5), (7, 3, 4, 5), {}), wide=((1, 70, 5, 5), (65, 70, 3, 3), dict(pads=[1, 1, 1, 1])),
    stride_beyond_kernel=((1, 2, 9, 9), (3, 2, 1, 1), dict(strides=[3, 2])))
for name, (xs, ws, attrs) in CONVS.items():
    simple(name, "Conv", dict(x=data(*xs)), attrs, dict(w=data(*ws, seed=2), b=data(ws[0], seed=3)), tol=1e-4)
simple("no_bias", "Conv", dict(x=data(1, 3, 6, 6)), dict(kernel_shape=[3, 3]), dict(w=data(4, 3, 3, 3, seed=2)), tol=1e-4)
DECONVS = dict(
    plain=((1, 3, 4, 5), (3, 2, 3, 3), {}), stride=((1, 3, 4, 5), (3, 2, 3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1])),
    output_padding=((1, 3, 4, 5), (3, 2, 3, 3), dict(strides=[2, 3], output_padding=[1, 1])), dilated=((1, 2, 4, 4), (2, 3, 2, 2), dict(dilations=[2, 2])),
    grouped=((1, 4, 4, 4), (4, 3, 3, 3), dict(group=2, strides=[2, 2])), output_shape=((1, 2, 4, 4), (2, 3, 3, 3), dict(strides=[2, 2], output_shape=[8, 8])),
    asymmetric=((1, 2, 4, 4), (2, 3, 3, 3), dict(strides=[2, 2], pads=[0, 1, 1, 0])), one_d=((1, 2, 6), (2, 3, 3), dict(strides=[2])),
    same_upper=((1, 2, 5, 5), (2, 3, 3, 3), dict(auto_pad="SAME_UPPER", strides=[2, 2])))
for name, (xs, ws, attrs) in DECONVS.items():
    oc = ws[1] * attrs.get("group", 1)
    simple(name, "ConvTranspose", dict(x=data(*xs)), attrs, dict(w=data(*ws, seed=2), b=data(oc, seed=3)), tol=1e-4)

# --- products -------------------------------------------------------------------------------------------------------------------
for ta in 0, 1:
    for tb in 0, 1:
        simple(f"trans_{ta}{tb}", "Gemm", dict(x=data(*((5, 3) if ta else (3, 5)))), dict(transA=ta, transB=tb, alpha=0.5, beta=2.0),
               dict(w=data(*((7, 5) if tb else (5, 7)), seed=2), b=data(7, seed=3)), tol=1e-4)
simple("no_bias", "Gemm", dict(x=data(3, 5)), {}, dict(w=data(5, 7, seed=2)), first=11, tol=1e-4)
simple("bias_matrix", "Gemm", dict(x=data(3, 5), w=data(5, 4, seed=2), b=data(3, 1, seed=3)), tol=1e-4)
simple("bias_scalar", "Gemm", dict(x=data(3, 5)), {}, dict(w=data(5, 7, seed=2), b=np.array(1.5, F)), tol=1e-4)
for name, (a, b) in dict(two_d=((3, 5), (5, 4)), batched=((2, 3, 5), (2, 5, 4)), four_d=((2, 3, 4, 5), (2, 3, 5, 6)), broadcast=((2, 1, 3, 5), (4, 5, 6)),
                         shared=((2, 3, 5), (5, 4)), vector_right=((3, 5), (5,)), vector_left=((5,), (5, 4)), vectors=((5,), (5,)),
                         vector_batched=((5,), (2, 5, 4))).items():
    simple(f"{name}_both", "MatMul", dict(x=data(*a), y=data(*b, seed=2)), tol=1e-4)
    simple(f"{name}_const", "MatMul", dict(x=data(*a)), consts=dict(y=data(*b, seed=2)), tol=1e-4)

# --- pools and reductions ---------------------------------------------------------------------------------------------------------
POOLS = dict(k2=((2, 3, 6, 7), dict(kernel_shape=[2, 2], strides=[2, 2]), 7), overlap=((1, 3, 7, 7), dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 7),
             asymmetric=((1, 2, 6, 6), dict(kernel_shape=[3, 2], pads=[0, 1, 1, 0]), 7), same_upper=((1, 2, 7, 8), dict(kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"), 7),
             same_lower=((1, 2, 7, 8), dict(kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER"), 7), valid=((1, 2, 7, 8), dict(kernel_shape=[3, 3], auto_pad="VALID"), 7),
             one_d=((2, 3, 9), dict(kernel_shape=[3], strides=[2], pads=[1, 0]), 7), ceil=((1, 2, 7, 8), dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), 10),
             ceil_pads=((1, 2, 6, 6), dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1), 10))
for name, (shape, attrs, first) in POOLS.items():
    simple(name, "MaxPool", dict(x=data(*shape)), attrs, first=first)
    # ONNX Runtime counts ceil_mode's overhang differently before opset 19
    simple(name, "AveragePool", dict(x=data(*shape)), attrs, first=19 if "ceil" in name else first)
    simple(f"{name}_include", "AveragePool", dict(x=data(*shape)), dict(attrs, count_include_pad=1), first=19 if "ceil" in name else first)
simple("dilated", "MaxPool", dict(x=data(1, 2, 9, 9)), dict(kernel_shape=[3, 3], dilations=[2, 2], pads=[1, 1, 1, 1]), first=10)
simple("dilated", "AveragePool", dict(x=data(1, 2, 9, 9)), dict(kernel_shape=[3, 3], dilations=[2, 2]), first=19)
simple("negative", "MaxPool", dict(x=data(1, 2, 4, 4, lo=-9, hi=-1)), dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
simple("indices_unread", "MaxPool", dict(x=data(1, 2, 4, 4)), dict(kernel_shape=[2, 2]), first=8, outputs=2, unsupported=True)
for op in "GlobalAveragePool", "GlobalMaxPool":
    simple("plain", op, dict(x=data(2, 3, 5, 7)))
    simple("one_d", op, dict(x=data(2, 3, 9)))


def reduce(op, axes, keep, dtype=F, shape=(3, 4, 5)):
    moved = 13 if op == "ReduceSum" else 18

    def build(opset):
        x = dict(x=data(*shape, lo=-3, hi=3, dtype=dtype))
        a = {} if keep is None else dict(keepdims=keep)
        if axes is None:
            return dict(x=x, a=a, inputs=["x"])
        if opset < moved:
            return None if min(axes) < 0 and opset < 11 else dict(x=x, a=dict(a, axes=axes), inputs=["x"])
        return dict(x=x, a=a, c=dict(axes=ints(*axes)), inputs=["x", "axes"])
    return build


for op in "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd":
    case("all", op, reduce(op, None, None))
    case("all_flat", op, reduce(op, None, 0))
    case("one", op, reduce(op, [1], None))
    case("last_flat", op, reduce(op, [-1], 0))
    case("two", op, reduce(op, [0, 2], 1))
    case("spatial", op, reduce(op, [2, 3], 0, shape=(2, 3, 4, 5)))
    case("noop", op, lambda opset: dict(x=dict(x=data(3, 4)), a=dict(noop_with_empty_axes=1), inputs=["x"]), first=18 if op != "ReduceSum" else 13)
for op in "ReduceSum", "ReduceMax":
    case("int64", op, reduce(op, [1], 0, I64))
for axis, keep, last in (0, 1, 0), (1, 0, 0), (-1, 1, 1), (1, 1, 1):
    simple(f"{axis}_{keep}_{last}", "ArgMax", dict(x=np.round(data(4, 5, 3, lo=-3, hi=3)).astype(F)), dict(axis=axis, keepdims=keep, **(dict(select_last_index=1) if last else {})),
           first=12 if last else 11 if axis < 0 else 7)

# --- moving values --------------------------------------------------------------------------------------------------------------
simple("axis_1", "Concat", dict(x=data(2, 3, 4), y=data(2, 5, 4, seed=2), z=data(2, 1, 4, seed=3)), dict(axis=1))
simple("axis_last", "Concat", dict(x=data(2, 3), y=data(2, 5, seed=2)), dict(axis=-1), first=11)
simple("batch", "Concat", dict(x=data(2, 3), y=data(4, 3, seed=2)), dict(axis=0))
simple("channels", "Concat", dict(x=data(1, 3, 4, 4), y=data(1, 2, 4, 4, seed=2)), dict(axis=1))
simple("int64", "Concat", dict(x=ints(1, 2), y=ints(3)), dict(axis=0))


def split(axis, sizes, n):
    def build(opset):
        x, a = dict(x=data(4, 6, 5)), dict(axis=axis)
        if sizes is None:
            return dict(x=x, a=dict(a, num_outputs=n) if opset >= 18 else a, inputs=["x"])
        if opset < 13:
            return dict(x=x, a=dict(a, split=sizes), inputs=["x"])
        return dict(x=x, a=a, c=dict(s=ints(*sizes)), inputs=["x", "s"])
    return build


case("equal", "Split", split(1, None, 3), outputs=3)
case("sizes", "Split", split(1, [1, 3, 2], 3), outputs=3)
case("axis_0", "Split", split(0, None, 2), outputs=2)
case("uneven", "Split", split(2, None, 2), outputs=2, first=18)


def slice_(starts, ends, axes=None, steps=None, shape=(5, 6, 7)):
    def build(opset):
        x = dict(x=data(*shape))
        if opset < 10:
            return None if steps else dict(x=x, a=dict(starts=starts, ends=ends, **(dict(axes=axes) if axes else {})), inputs=["x"])
        c = dict(s=ints(*starts), e=ints(*ends))
        if axes:
            c["a"] = ints(*axes)
        if steps:
            c["t"] = ints(*steps)
        return dict(x=x, c=c, inputs=["x", "s", "e", "a" if axes else "", "t" if steps else ""])
    return build


case("leading", "Slice", slice_([1, 0], [4, 3]))
case("axes", "Slice", slice_([1, 2], [100, -1], [0, 2]))
case("negative", "Slice", slice_([-3], [-1], [1]))
case("steps", "Slice", slice_([0, 1], [5, 7], [0, 2], [2, 3]))
case("backwards", "Slice", slice_([-1], [-100], [1], [-1]))
case("backwards_steps", "Slice", slice_([4, 5], [0, 1], [0, 1], [-2, -3]))
case("nothing", "Slice", slice_([3], [3], [0]))
case("channels", "Slice", slice_([1], [3], [1], shape=(1, 4, 3, 3)))
simple("axis_0", "Gather", dict(x=data(5, 3)), consts=dict(i=ints(0, 4, 2)))
simple("axis_1", "Gather", dict(x=data(3, 5, 2)), dict(axis=1), dict(i=np.array([[0, 4], [1, 1]], I64)))
simple("negative", "Gather", dict(x=data(5, 3)), consts=dict(i=ints(-1, -5)), first=11)
simple("scalar", "Gather", dict(x=data(3, 5)), dict(axis=1), dict(i=np.array(2, I64)))
simple("runtime_int32", "Gather", dict(x=data(5, 3), i=np.array([[1, 2, 0]], I32)))
simple("default", "Flatten", dict(x=data(2, 3, 4, 5)))
simple("axis_0", "Flatten", dict(x=data(2, 3, 4)), dict(axis=0))
simple("axis_end", "Flatten", dict(x=data(2, 3, 4)), dict(axis=3))
simple("negative", "Flatten", dict(x=data(2, 3, 4)), dict(axis=-1), first=11)
simple("plain", "Reshape", dict(x=data(2, 3, 4)), consts=dict(s=ints(6, 4)))
simple("minus_one", "Reshape", dict(x=data(2, 3, 4)), consts=dict(s=ints(2, -1)))
simple("zero", "Reshape", dict(x=data(2, 3, 4)), consts=dict(s=ints(0, 0, 2, 2)))
simple("allowzero", "Reshape", dict(x=np.zeros((0, 3), F)), dict(allowzero=1), dict(s=ints(3, 0)), first=14)
simple("scalar", "Reshape", dict(x=data(1, 1)), consts=dict(s=np.zeros(0, I64)))
simple("default", "Transpose", dict(x=data(2, 3, 4)))
simple("to_nhwc", "Transpose", dict(x=data(2, 3, 4, 5)), dict(perm=[0, 2, 3, 1]))
simple("heads", "Transpose", dict(x=data(2, 5, 3, 4)), dict(perm=[0, 2, 1, 3]))
simple("int64", "Transpose", dict(x=data(3, 4, lo=0, hi=99, dtype=I64)))


def axes_op(shape, axes):
    def build(opset):
        x = dict(x=data(*shape))
        if axes is None:
            return dict(x=x, inputs=["x"])
        if opset < 13:
            return None if min(axes) < 0 and opset < 11 else dict(x=x, a=dict(axes=axes), inputs=["x"])
        return dict(x=x, c=dict(a=ints(*axes)), inputs=["x", "a"])
    return build


case("axes", "Squeeze", axes_op((1, 3, 1, 4), [0, 2]))
case("all", "Squeeze", axes_op((1, 3, 1, 4), None))
case("negative", "Squeeze", axes_op((1, 3, 1), [-1]))
case("two", "Unsqueeze", axes_op((3, 4), [0, 3]))
case("negative", "Unsqueeze", axes_op((3, 4), [-1]))
simple("grow", "Expand", dict(x=data(3, 1)), consts=dict(s=ints(2, 3, 4)), first=8)
simple("smaller_shape", "Expand", dict(x=data(3, 4)), consts=dict(s=ints(1)), first=8)


def pad(mode, pads, value=None, shape=(2, 3, 5, 6)):
    def build(opset):
        x = dict(x=data(*shape))
        if opset < 11:
            return dict(x=x, a=dict(mode=mode, pads=pads, **(dict(value=value) if value is not None else {})), inputs=["x"])
        c = dict(p=ints(*pads))
        if value is not None:
            c["v"] = np.array(value, F)
        return dict(x=x, c=c, a=dict(mode=mode), inputs=["x", "p", "v" if value is not None else ""])
    return build


case("zero", "Pad", pad("constant", [0, 0, 1, 2, 0, 0, 2, 1]))
case("value", "Pad", pad("constant", [1, 0, 1, 0, 0, 2, 0, 1], 1.5))
case("reflect", "Pad", pad("reflect", [0, 0, 2, 1, 0, 0, 1, 3]))
case("edge", "Pad", pad("edge", [0, 1, 2, 0, 0, 0, 1, 3]))
case("wrap", "Pad", pad("wrap", [0, 1, 2, 0, 0, 0, 1, 3]), first=19)
case("negative", "Pad", pad("constant", [0, 0, -1, 1, 0, 0, 0, -2]))
case("two_d", "Pad", pad("constant", [1, 0, 2, 3], shape=(3, 4)))
case("axes", "Pad", lambda opset: dict(x=dict(x=data(2, 3, 4)), c=dict(p=ints(1, 2), a=ints(-1)), inputs=["x", "p", "", "a"]), first=18)
for first, last, attr in (7, 8, True), (9, 9, False):
    for mode in "nearest", "linear":
        case(f"{mode}_{first}", "Upsample", lambda opset, mode=mode, attr=attr: dict(
            x=dict(x=data(1, 2, 3, 4)), a=dict(mode=mode, **(dict(scales=[1.0, 1.0, 2.0, 3.0]) if attr else {})),
            c={} if attr else dict(s=np.array([1, 1, 2, 3], F)), inputs=["x"] if attr else ["x", "s"]), first=first, last=last)
for name, mode, scales in ("nearest_up", "nearest", [1, 1, 2, 3]), ("nearest_down", "nearest", [1, 1, 0.6, 0.5]), ("linear_up", "linear", [1, 1, 2, 1.5]):
    simple(name, "Resize", dict(x=data(1, 2, 5, 6)), dict(mode=mode), dict(s=np.array(scales, F)), first=10, last=10)


def resize(mode, coordinate, nearest=None, scales=None, sizes=None, shape=(1, 2, 4, 5)):
    def build(opset):
        a = dict(mode=mode, coordinate_transformation_mode=coordinate, **(dict(nearest_mode=nearest) if nearest else {}))
        c = dict(roi=np.zeros(0, F)) if opset < 13 else {}
        c["scales"] = np.array(scales or [], F)
        if sizes:
            c["sizes"] = ints(*sizes)
        if sizes and opset >= 13:
            del c["scales"]
        return dict(x=dict(x=data(*shape)), a=a, c=c, inputs=["x", "roi" if opset < 13 else "", "scales" if "scales" in c else "", "sizes" if sizes else ""])
    return build


for coordinate in "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel":
    for target in dict(scales=[1, 1, 2, 3]), dict(scales=[1, 1, 0.5, 0.6]), dict(sizes=[1, 2, 7, 3]):
        tag = f"{coordinate}_" + ("sizes" if "sizes" in target else "up" if target["scales"][2] > 1 else "down")
        case(f"linear_{tag}", "Resize", resize("linear", coordinate, **target), first=11)
        case(f"nearest_{tag}", "Resize", resize("nearest", coordinate, **target), first=11)
for nearest in "floor", "ceil", "round_prefer_floor", "round_prefer_ceil":
    case(f"nearest_{nearest}", "Resize", resize("nearest", "half_pixel", nearest, scales=[1, 1, 1.7, 0.7]), first=11)
for mode in "DCR", "CRD":
    simple(mode, "DepthToSpace", dict(x=data(1, 8, 2, 3)), dict(blocksize=2, mode=mode), first=11)
simple("default", "DepthToSpace", dict(x=data(1, 8, 2, 3)), dict(blocksize=2))
simple("default", "SpaceToDepth", dict(x=data(1, 2, 4, 6)), dict(blocksize=2))

# --- types, shapes, constants -------------------------------------------------------------------------------------------------------
ONNX_TYPE = {np.dtype(F): 1, np.dtype(U8): 2, np.dtype(S8): 3, np.dtype(I32): 6, np.dtype(I64): 7, np.dtype(bool): 9}
for source in F, I32, I64, U8, S8, bool:
    for to in F, I32, I64, U8, S8, bool:
        x = data(4, 5, lo=0, hi=50) if source is F else data(4, 5) > 0 if source is bool else data(4, 5, lo=0, hi=100, dtype=source)
        simple(f"{np.dtype(source)}_{np.dtype(to)}", "Cast", dict(x=x), dict(to=ONNX_TYPE[np.dtype(to)]))
simple("plain", "Shape", dict(x=data(2, 3, 4)))
simple("part", "Shape", dict(x=data(2, 3, 4)), dict(start=1, end=-1), first=15)
simple("int64", "ConstantOfShape", {}, dict(value=ints(7)), dict(s=ints(2, 3)), first=9)
simple("default", "ConstantOfShape", {}, {}, dict(s=ints(2, 3)), first=9)
simple("int64", "Range", {}, {}, dict(a=np.array(2, I64), b=np.array(11, I64), c=np.array(3, I64)), first=11)
simple("float", "Range", {}, {}, dict(a=np.array(2, F), b=np.array(0, F), c=np.array(-0.5, F)), first=11)
simple("float", "Constant", {}, dict(value=data(2, 3)))
simple("ints", "Constant", {}, dict(value_ints=[1, 2, 3]), first=12)
case("inference", "Dropout", lambda opset: dict(x=dict(x=data(3, 4)), a=dict(ratio=0.5) if opset < 12 else {}, inputs=["x"]))

# --- codes --------------------------------------------------------------------------------------------------------------------------
for dtype, zero in (U8, 128), (U8, 3), (S8, 0), (S8, -7):
    s, z = np.array(0.03, F), np.array(zero, dtype)
    tag = f"{np.dtype(dtype)}_{zero}"
    simple(tag, "QuantizeLinear", dict(x=data(3, 4, 5, lo=-9, hi=9)), consts=dict(s=s, z=z), first=10)
    simple(tag, "DequantizeLinear", dict(x=data(3, 4, 5, lo=np.iinfo(dtype).min, hi=np.iinfo(dtype).max, dtype=dtype)), consts=dict(s=s, z=z), first=10)
    for axis in 0, 1, -1:
        n = (3, 4, 5)[axis]
        cs = dict(s=data(n, lo=0.01, hi=0.1, seed=6), z=data(n, lo=max(zero - 3, np.iinfo(dtype).min), hi=zero + 3, dtype=dtype))
        simple(f"{tag}_axis_{axis}", "QuantizeLinear", dict(x=data(3, 4, 5, lo=-9, hi=9)), dict(axis=axis), cs, first=13)
        simple(f"{tag}_axis_{axis}", "DequantizeLinear", dict(x=data(3, 4, 5, lo=np.iinfo(dtype).min, hi=np.iinfo(dtype).max, dtype=dtype)), dict(axis=axis), cs, first=13)
simple("no_zero", "QuantizeLinear", dict(x=data(3, 4, lo=-1, hi=9)), consts=dict(s=np.array(0.05, F)), first=10)
simple("ties", "QuantizeLinear", dict(x=np.array([-1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1e30, -1e30], F)), consts=dict(s=np.array(0.5, F), z=np.array(10, U8)), first=10)
simple("s32", "DequantizeLinear", dict(x=data(9, lo=-100000, hi=100000, dtype=I32)), consts=dict(s=np.array(1e-4, F)), first=10)
simple("s32_axis", "DequantizeLinear", dict(x=data(4, lo=-100000, hi=100000, dtype=I32)), dict(axis=0), dict(s=data(4, lo=1e-4, hi=1e-3)), first=13)
