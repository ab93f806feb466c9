"""Cases of the operators beyond convolutional networks: logic, remainders, indices, norms, losses; and those that are functions of others."""
import numpy as np
from cases import F, I32, I64, S8, U8, case, data, ints, simple

B = np.bool_


def flags(*shape, seed=0):
    return np.random.default_rng(seed).random(shape) > 0.5


# --- elementwise -------------------------------------------------------------------------------------------------------------
for op, first, kw in (("Sin", 7, dict(lo=-9, hi=9)), ("Cos", 7, dict(lo=-9, hi=9)), ("Tan", 7, dict(lo=-1.4, hi=1.4)), ("Asin", 7, dict(lo=-1, hi=1)),
                      ("Acos", 7, dict(lo=-1, hi=1)), ("Atan", 7, {}), ("Sinh", 9, {}), ("Cosh", 9, {}), ("Asinh", 9, {}), ("Acosh", 9, dict(lo=1, hi=5)),
                      ("Atanh", 9, dict(lo=-0.9, hi=0.9)), ("Sign", 9, {}), ("Round", 11, dict(lo=-9, hi=9)), ("Softsign", 7, {}), ("Selu", 7, {}),
                      ("Celu", 12, {}), ("ThresholdedRelu", 10, {}), ("Shrink", 9, {}), ("Mish", 18, {})):
    simple("plain", op, dict(x=data(2, 3, 5, 7, **kw)), first=first)
simple("halves", "Round", dict(x=np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], F)), first=11)
simple("int32", "Sign", dict(x=data(9, lo=-3, hi=3, dtype=I32)), first=9)
simple("attributes", "Selu", dict(x=data(4, 9)), dict(alpha=1.5, gamma=0.7))
simple("attributes", "Celu", dict(x=data(4, 9)), dict(alpha=0.4), first=12)
simple("attributes", "ThresholdedRelu", dict(x=data(4, 9)), dict(alpha=0.4), first=10)
simple("attributes", "Shrink", dict(x=data(4, 9)), dict(lambd=1.0, bias=0.3), first=9)
odd = np.array([1, np.nan, np.inf, -np.inf, 0], F)
simple("odd", "IsNaN", dict(x=odd), first=9)
for k, v in (("both", {}), ("above", dict(detect_negative=0)), ("below", dict(detect_positive=0))):
    simple(k, "IsInf", dict(x=odd), v, first=10)
for op in ("And", "Or", "Xor"):
    simple("broadcast", op, dict(a=flags(2, 1, 5), b=flags(3, 5, seed=1)))
for op in ("GreaterOrEqual", "LessOrEqual"):
    simple("float", op, dict(a=np.round(data(2, 3, 5)), b=np.round(data(3, 5, seed=2))), first=12)
    simple("int64", op, dict(a=data(7, dtype=I64), b=data(7, dtype=I64, seed=3)), first=12)
for dtype in (I32, I64, S8, U8):
    lo = 0 if dtype is U8 else -20
    simple(f"mod_{dtype.__name__}", "Mod", dict(a=data(40, lo=lo, hi=20, dtype=dtype), b=np.resize(np.array([3, 5, 7] if dtype is U8 else [3, -5, 7, -2], dtype), 40)),
           first=10)
simple("fmod", "Mod", dict(a=data(40, lo=-20, hi=20), b=np.resize(np.array([3.5, -5, 0.7], F), 40)), dict(fmod=1), first=10)
for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    simple("int32", op, dict(a=data(3, 9, lo=-99, hi=99, dtype=I32), b=data(9, lo=-99, hi=99, seed=4, dtype=I32)), first=18)
simple("int32", "BitwiseNot", dict(x=data(9, lo=-99, hi=99, dtype=I32)), first=18)
for way in ("LEFT", "RIGHT"):
    simple(way, "BitShift", dict(a=data(9, lo=0, hi=200, dtype=U8), b=data(9, lo=0, hi=7, seed=5, dtype=U8)), dict(direction=way), first=11)
simple("three", "Mean", dict(a=data(3, 4), b=data(4, seed=2), c=data(3, 1, seed=3)), first=8)
simple("like", "CastLike", dict(x=data(9, lo=-9, hi=9), y=np.zeros(1, I32)), first=15)

# --- reductions ---------------------------------------------------------------------------------------------------------------
for op in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"):
    for name, axes, keep in (("middle", (1,), 1), ("drop", (0, 2), 0), ("all", None, 1)):
        def build(opset, axes=axes, keep=keep):
            x = dict(x=data(3, 4, 5, lo=0.1, hi=3))
            attrs = dict(keepdims=keep)
            if axes is None:
                return dict(x=x, a=attrs, inputs=["x"])
            return dict(x=x, c=dict(axes=ints(*axes)), a=attrs, inputs=["x", "axes"]) if opset >= 18 else dict(x=x, a=dict(attrs, axes=list(axes)), inputs=["x"])
        case(name, op, build)
simple("large", "ReduceLogSumExp", dict(x=np.array([[1000, 1001], [-1000, -999]], F)), dict(keepdims=0, axes=[1]), last=17)
for name, a in (("first", {}), ("last", dict(select_last_index=1)), ("drop", dict(keepdims=0, axis=1))):
    simple(name, "ArgMin", dict(x=np.round(data(3, 4, 5))), a, first=12 if "select_last_index" in a else 7)

# --- indices ---------------------------------------------------------------------------------------------------------------------
simple("static", "Size", dict(x=data(3, 4, 5)))
simple("axis1", "GatherElements", dict(x=data(3, 4), i=np.array([[0, 3, -1], [2, 2, 0], [1, 0, 3]], I64)), dict(axis=1), first=11)
simple("axis0", "GatherElements", dict(x=data(3, 4), i=np.array([[0, 2, -1, 1]], I32)), first=11)
simple("rows", "GatherND", dict(x=data(3, 4, 5), i=np.array([[0, 1], [2, -1]], I64)), first=11)
simple("batch", "GatherND", dict(x=data(3, 4, 5), i=np.array([[[1]], [[0]], [[3]]], I64)), dict(batch_dims=1), first=12)
for red, first in (("none", 11), ("add", 16), ("mul", 16), ("max", 18), ("min", 18)):
    attrs = {} if red == "none" else dict(reduction=red)
    simple(red, "ScatterElements", dict(x=data(3, 4), i=np.array([[1, 0, 3], [2, 1, -1]], I64), u=data(2, 3, seed=8)), dict(attrs, axis=1), first=first)
    simple(red, "ScatterND", dict(x=data(4, 5), i=np.array([[1], [3]], I64), u=data(2, 5, seed=8)), attrs, first=first)
simple("old", "Scatter", dict(x=data(3, 4), i=np.array([[1, 0, 2]], I64), u=data(1, 3, seed=8)), first=9, last=10)


def top_k(k, largest=1, axis=-1, dtype=F):
    def build(opset):
        x = dict(x=data(3, 7, 4, lo=-9, hi=9, dtype=dtype) if dtype is F else data(3, 7, 4, lo=-40, hi=40, dtype=dtype))
        if opset < 10:
            return dict(x=x, a=dict(k=k, axis=axis), inputs=["x"]) if largest and dtype is F else None
        return dict(x=x, c=dict(k=ints(k)), a=dict(axis=axis) if opset < 11 else dict(axis=axis, largest=largest), inputs=["x", "k"]) if opset >= 11 or (
            largest and dtype is F) else None
    return build


case("largest", "TopK", top_k(3, axis=1), outputs=2)
case("smallest", "TopK", top_k(2, largest=0), outputs=2)
case("int64", "TopK", top_k(4, dtype=I64), outputs=2)
for name, a in (("plain", {}), ("exclusive", dict(exclusive=1)), ("reverse", dict(reverse=1)), ("both", dict(exclusive=1, reverse=1))):
    simple(name, "CumSum", dict(x=data(3, 4, 5)), a, dict(axis=np.array(1, I64)), first=11)
for name, a in (("upper", {}), ("lower", dict(upper=0))):
    for k in (-1, 0, 2):
        simple(f"{name}{k}", "Trilu", dict(x=data(2, 4, 5)), a, dict(k=np.array(k, I64)), first=14)
simple("int64", "Trilu", dict(x=data(4, 5, dtype=I64)), first=14)
simple("repeat", "Tile", dict(x=data(2, 3, 4)), consts=dict(r=ints(2, 1, 3)))
simple("int64", "Tile", dict(x=data(5, dtype=I64)), consts=dict(r=ints(3)))
for name, a in (("last", {}), ("first", dict(axis=0))):
    simple(name, "OneHot", dict(i=np.array([[0, 2, -1], [1, 3, 9]], I64)), a, dict(depth=np.array(4, I64), values=np.array([0.5, 2.5], F)), first=9)
simple("diagonal", "EyeLike", dict(x=data(3, 5)), dict(k=1), first=9)
simple("dtype", "EyeLike", dict(x=data(4, 4)), dict(dtype=7), first=9)
simple("constant", "NonZero", {}, consts=dict(x=np.array([[1, 0, 2], [0, 0, 3]], F)), first=9)
for name, a in (("axis", dict(axis=1)), ("flat", {})):
    simple(name, "Compress", dict(x=data(3, 4)), a, dict(c=np.array([True, False, True])), first=9)

# --- norms, pools, attention -------------------------------------------------------------------------------------------------------
simple("4d", "InstanceNormalization", dict(x=data(2, 3, 4, 5), s=data(3, seed=2), b=data(3, seed=3)), dict(epsilon=1e-3))
simple("3d", "InstanceNormalization", dict(x=data(2, 3, 9), s=data(3, seed=2), b=data(3, seed=3)))
simple("channels", "GroupNormalization", dict(x=data(2, 6, 4, 3), s=data(6, seed=2), b=data(6, seed=3)), dict(num_groups=3), first=21)
for p in (1, 2):
    simple(f"p{p}", "LpNormalization", dict(x=data(3, 4, 5)), dict(p=p, axis=1))
    simple(f"p{p}", "LpPool", dict(x=data(1, 2, 6, 7)), dict(p=p, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]), tol=1e-4)
for size in (3, 4):
    simple(f"size{size}", "LRN", dict(x=data(2, 7, 4, 5)), dict(size=size, alpha=0.3, beta=0.6, bias=1.5))
simple("plain", "MeanVarianceNormalization", dict(x=data(2, 3, 4, 5)), first=9, tol=1e-4)
for first, last, axis in ((7, 12, 1), (13, 99, -1)):
    simple(f"axis{axis}", "Hardmax", dict(x=data(3, 4, 5)), dict(axis=axis), first=first, last=last)
simple("axis0", "Hardmax", dict(x=data(3, 4, 5)), dict(axis=0), first=13)
simple("plain", "RMSNormalization", dict(x=data(2, 3, 8), s=data(8, seed=2)), first=23)
for name, a in (("mean", {}), ("none", dict(reduction="none")), ("sum", dict(reduction="sum")), ("ignore", dict(ignore_index=2))):
    x, labels, w = data(4, 5, 3), data(4, 3, lo=0, hi=4, seed=6, dtype=I64), data(5, lo=0.2, hi=1, seed=7)
    simple(name, "SoftmaxCrossEntropyLoss", dict(x=x, t=labels), a, first=12)
    simple(name + "_weights", "SoftmaxCrossEntropyLoss", dict(x=x, t=labels, w=w), a, first=12, outputs=2)
    simple(name, "NegativeLogLikelihoodLoss", dict(x=x, t=labels), a, first=12)
    simple(name + "_weights", "NegativeLogLikelihoodLoss", dict(x=x, t=labels, w=w), a, first=12)
q, k, v = data(2, 4, 5, 8), data(2, 2, 6, 8, seed=2), data(2, 2, 6, 8, seed=3)
simple("groups", "Attention", dict(q=q, k=k, v=v), first=23)
simple("causal", "Attention", dict(q=q, k=k, v=v), dict(is_causal=1), first=23)
simple("mask", "Attention", dict(q=q, k=k, v=v, m=flags(5, 6)), dict(softcap=2.0), first=23)
simple("flat", "Attention", dict(q=data(2, 5, 32), k=data(2, 6, 16, seed=2), v=data(2, 6, 16, seed=3)), dict(q_num_heads=4, kv_num_heads=2, scale=0.3), first=23)
for name, a in (("halves", {}), ("interleaved", dict(interleaved=1)), ("part", dict(rotary_embedding_dim=4))):
    half = a.get("rotary_embedding_dim", 8) // 2
    simple(name, "RotaryEmbedding", dict(x=data(2, 3, 5, 8), c=data(7, half, seed=2), s=data(7, half, seed=3), p=data(2, 5, lo=0, hi=6, seed=4, dtype=I64)), a, first=23)
for name, eq, shapes in (("product", "ij,jk->ik", ((3, 4), (4, 5))), ("batch", "bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 6, 5))), ("sum", "ij->i", ((3, 4),)),
                         ("transpose", "ij->ji", ((3, 4),)), ("outer", "i,j->ij", ((3,), (4,))), ("dot", "i,i->", ((5,), (5,))),
                         ("implicit", "bij,bjk", ((2, 3, 4), (2, 4, 5))), ("three", "ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))), ("turned", "bij,bkj->bki", ((2, 3, 4), (2, 5, 4)))):
    simple(name, "Einsum", {f"x{i}": data(*s, seed=i + 1) for i, s in enumerate(shapes)}, dict(equation=eq), first=12, tol=1e-4)
