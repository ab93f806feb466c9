/* Shape inference of every operator: concrete, symbolic, and what must be refused. */
#include "unit/op/op_case.h"

typedef struct row {
    oct_op op;
    const char *inputs, *attrs;
    const char *want; /* outputs, or "!text": refused with CONTENT and text in the message, or "?text": UNSUPPORTED */
} row;

static int count_outputs(const char *want)
{
    int n = 0;
    for (const char *p = want; *p; p++)
        n += *p == '[';
    return n ? n : 1;
}

static void run(const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        char text[512];
        bool refused = r->want[0] == '!' || r->want[0] == '?';
        oct_graph *g = case_graph(r->op, r->inputs, r->attrs, refused ? 1 : count_outputs(r->want));
        oct_status s = oct_graph_infer(g);
        if (refused) {
            const oct_error *e = oct_last_error();
            oct_status want = r->want[0] == '!' ? OCT_ERR_CONTENT : OCT_ERR_UNSUPPORTED;
            if (s != want || !strstr(e->message, r->want + 1) || !strstr(e->message, "'n'") || strcmp(e->node, "n") != 0)
                fail_msg("%s(%s; %s): wanted '%s', got status %d '%s'", oct_op_get(r->op)->name, r->inputs, r->attrs ? r->attrs : "", r->want, (int)s,
                         s == OCT_OK ? case_outputs(g, text, sizeof text) : e->message);
        } else if (s != OCT_OK)
            fail_msg("%s(%s; %s): %s", oct_op_get(r->op)->name, r->inputs, r->attrs ? r->attrs : "", oct_last_error()->message);
        else if (strcmp(case_outputs(g, text, sizeof text), r->want) != 0)
            fail_msg("%s(%s; %s): wanted %s, got %s", oct_op_get(r->op)->name, r->inputs, r->attrs ? r->attrs : "", r->want, text);
        oct_graph_destroy(g);
    }
}
#define RUN(rows) run(rows, sizeof rows / sizeof *rows)

static void elementwise__broadcasts__as_numpy(void **state)
{
    static const row rows[] = {
        {OCT_OP_RELU, "f[N,3,8]", NULL, "f[N, 3, 8]"},
        {OCT_OP_CLIP, "f[2] f=0.5 -", NULL, "f[2]"},
        {OCT_OP_CLIP, "f[2] l=0", NULL, "!type"},
        {OCT_OP_CLIP, "f[2] f{0,1}", NULL, "!no scalar"},
        {OCT_OP_NOT, "b[4]", NULL, "b[4]"},
        {OCT_OP_NOT, "f[4]", NULL, "!not bool"},
        {OCT_OP_ADD, "f[N,3,8] f[3,1]", NULL, "f[N, 3, 8]"},
        {OCT_OP_ADD, "f[N,1] f[4]", NULL, "f[N, 4]"},
        {OCT_OP_ADD, "f[N,4] f[1,4]", NULL, "f[N, 4]"},
        {OCT_OP_ADD, "f[N] f[7]", NULL, "f[7]"},
        {OCT_OP_ADD, "f[N] f[M]", NULL, "f[y0.0]"},
        {OCT_OP_ADD, "f[2,3] f[2,4]", NULL, "![2, 3] and [2, 4]"},
        {OCT_OP_MUL, "f[2] l[2]", NULL, "!types"},
        {OCT_OP_POW, "f[2] l=2", NULL, "f[2]"},
        {OCT_OP_EQUAL, "l[2] l=2", NULL, "b[2]"},
        {OCT_OP_GREATER, "f[2,1] f[3]", NULL, "b[2, 3]"},
        {OCT_OP_PRELU, "f[N,3,2,2] f[3,1,1]", NULL, "f[N, 3, 2, 2]"},
        {OCT_OP_PRELU, "f[3] f[2,3]", NULL, "!rank"},
        {OCT_OP_SUM, "f[N,3] f[3] f[1,1]", NULL, "f[N, 3]"},
        {OCT_OP_MAX, "f[2] f[3]", NULL, "!broadcast"},
        {OCT_OP_WHERE, "b[N,1] f[3] f=0", NULL, "f[N, 3]"},
        {OCT_OP_WHERE, "f[2] f[2] f[2]", NULL, "!condition"},
        {OCT_OP_CAST, "f[N,2]", "to=7", "l[N, 2]"},
        {OCT_OP_CAST, "f[N,2]", "to=8", "?from type"},
        {OCT_OP_IDENTITY, "u[N,2]", NULL, "u[N, 2]"},
        {OCT_OP_SILU, "f[1]", NULL, "f[1]"},
    };
    RUN(rows);
}

static void pools__windows__give_onnx_lengths(void **state)
{
    static const row rows[] = {
        {OCT_OP_MAX_POOL, "f[N,4,8,9]", "kernel_shape=2,2 strides=2,2", "f[N, 4, 4, 4]"},
        {OCT_OP_MAX_POOL, "f[N,4,8,9]", "kernel_shape=2,2 strides=2,2 ceil_mode=1", "f[N, 4, 4, 5]"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=1,1 strides=2,2 ceil_mode=1", "f[1, 1, 2, 2]"},
        {OCT_OP_AVERAGE_POOL, "f[1,1,2,2]", "kernel_shape=3,3 strides=3,3 pads=1,1,1,1 ceil_mode=1", "f[1, 1, 1, 1]"},
        {OCT_OP_AVERAGE_POOL, "f[N,4,7]", "kernel_shape=3, pads=1,1", "f[N, 4, 7]"},
        {OCT_OP_MAX_POOL, "f[1,1,32,32]", "kernel_shape=2,2 auto_pad=SAME_UPPER", "f[1, 1, 32, 32]"},
        {OCT_OP_MAX_POOL, "f[1,1,7,7]", "kernel_shape=3,3 strides=2,2 auto_pad=SAME_LOWER", "f[1, 1, 4, 4]"},
        {OCT_OP_MAX_POOL, "f[1,1,7,7]", "kernel_shape=3,3 dilations=2,2 auto_pad=VALID", "f[1, 1, 3, 3]"},
        {OCT_OP_MAX_POOL, "f[1,1,H,W]", "kernel_shape=3,3 pads=1,1,1,1", "f[1, 1, H, W]"},
        {OCT_OP_MAX_POOL, "f[1,1,H,W]", "kernel_shape=2,3 strides=2,1 pads=0,1,0,1", "f[1, 1, y0.2, W]"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", NULL, "!kernel_shape"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=2,", "!kernel_shape has 1"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=5,5", "!does not fit"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=2,2 strides=0,1", "!strides"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=2,2 pads=2,0,0,0", "!pads"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=2,2 pads=-1,0,0,0", "!pads"},
        {OCT_OP_MAX_POOL, "f[1,1,4,4]", "kernel_shape=2,2 auto_pad=MIDDLE", "!auto_pad"},
        {OCT_OP_MAX_POOL, "f[4,4]", "kernel_shape=2,2", "!spatial"},
        {OCT_OP_GLOBAL_AVERAGE_POOL, "f[N,8,7,7]", NULL, "f[N, 8, 1, 1]"},
        {OCT_OP_GLOBAL_MAX_POOL, "f[N,8,H]", NULL, "f[N, 8, 1]"},
        {OCT_OP_GLOBAL_MAX_POOL, "f[8]", NULL, "!channels"},
    };
    RUN(rows);
}

static void reductions__axes__give_shapes(void **state)
{
    static const row rows[] = {
        {OCT_OP_REDUCE_MEAN, "f[N,3,4] l{1}", NULL, "f[N, 1, 4]"},
        {OCT_OP_REDUCE_MEAN, "f[N,3,4] l{-1,1}", "keepdims=0", "f[N]"},
        {OCT_OP_REDUCE_SUM, "f[N,3,4]", "keepdims=0", "f[]"},
        {OCT_OP_REDUCE_SUM, "f[N,3,4]", "noop_with_empty_axes=1", "f[N, 3, 4]"},
        {OCT_OP_REDUCE_MAX, "f[N,3] l[1]", NULL, "f[y0.0, y0.1]"},
        {OCT_OP_REDUCE_MAX, "f[N,3] l{2}", NULL, "!axis 2"},
        {OCT_OP_ARG_MAX, "f[N,3,4]", "axis=-1 keepdims=0", "l[N, 3]"},
        {OCT_OP_ARG_MAX, "f[N,3,4]", "axis=1", "l[N, 1, 4]"},
        {OCT_OP_ARG_MAX, "f[N,0]", "axis=1", "!no elements"},
        {OCT_OP_SOFTMAX, "f[N,3]", "axis=-2", "f[N, 3]"},
        {OCT_OP_LOG_SOFTMAX, "f[N,3]", "axis=2", "!axis 2"},
        {OCT_OP_LAYER_NORM, "f[N,5,8] f[8] f[8]", NULL, "f[N, 5, 8]"},
        {OCT_OP_LAYER_NORM, "f[N,5,8] f[5,8]", "axis=1", "f[N, 5, 8]"},
        {OCT_OP_LAYER_NORM, "f[N,5,8] f[7]", NULL, "!broadcast"},
        {OCT_OP_LAYER_NORM, "f[N,5,8] f[5,8]", NULL, "!does not fit"},
        {OCT_OP_BATCH_NORM, "f[N,3,H,W] f[3] f[3] f[3] f[3]", NULL, "f[N, 3, H, W]"},
        {OCT_OP_BATCH_NORM, "f[N,3,H,W] f[3] f[3] f[4] f[3]", NULL, "!channels"},
        {OCT_OP_BATCH_NORM, "f[N,3] f[3] f[3] f[3] f[3]", "training_mode=1", "?training_mode"},
    };
    RUN(rows);
}

static void integers__types_and_zero_points__fit_or_are_refused(void **state)
{
    static const row rows[] = {
        {OCT_OP_MATMUL_INTEGER, "u[N,2,3] s[3,4]", NULL, "i[N, 2, 4]"},
        {OCT_OP_MATMUL_INTEGER, "u[N,2,3] s[3,4] u[] s[4]", NULL, "i[N, 2, 4]"},
        {OCT_OP_MATMUL_INTEGER, "u[3] s[3,4]", NULL, "i[4]"},
        {OCT_OP_MATMUL_INTEGER, "u[2,3] s[4,4]", NULL, "!do not fit"},
        {OCT_OP_MATMUL_INTEGER, "u[2,3] s[3,4] s[]", NULL, "!has type int8, not uint8"},
        {OCT_OP_MATMUL_INTEGER, "u[2,3] s[3,4] u[2]", NULL, "?2 zero points of the left factor"},
        {OCT_OP_MATMUL_INTEGER, "u[2,3] s[3,4] - s[3]", NULL, "!3 zero points for 4 output channels"},
        {OCT_OP_MATMUL_INTEGER, "i[2,3] s[3,4]", NULL, "?of type int32"},
        {OCT_OP_CONV_INTEGER, "u[N,3,5,5] s[2,3,3,3] u[] s[]", "pads=1,1,1,1", "i[N, 2, 5, 5]"},
        {OCT_OP_CONV_INTEGER, "u[N,3,5,5] s[2,3,3,3] - s[3]", NULL, "!3 zero points for 2 output channels"},
        {OCT_OP_CONV_INTEGER, "u[N,3,5,5] f[2,3,3,3]", NULL, "?of type float32"},
        {OCT_OP_CONV_INTEGER, "u[N,3,5,5] s[2,4,3,3]", NULL, "!do not fit"},
        {OCT_OP_DYNAMIC_QUANTIZE, "l[N,3]", NULL, "?of type int64"},
        {OCT_OP_QUANTIZE, "f[N,3] f{0.5,-1,1}", NULL, "!scale -1"},
        {OCT_OP_QUANTIZE, "f[N,3] f=inf", NULL, "!scale inf"},
        {OCT_OP_QUANTIZE, "f[N,3] f=nan", NULL, "!scale nan"},
        {OCT_OP_QUANTIZE, "f[N,3] f{1,1,1}", "axis=2", "!axis 2"},
        {OCT_OP_QUANTIZE, "f[N,3] f{1,1}", NULL, "!2 scales for axis 1"},
        {OCT_OP_QUANTIZE, "f[N,3] f=1 i=3", NULL, "?codes of type int32"},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[3,6] u[3,6]", "axis=0 block_size=2", "f[5, 6]"},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[5,2]", "axis=-1 block_size=3", "f[5, 6]"},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[2,6]", "axis=0 block_size=2", "!scales [2, 6] for [5, 6] in blocks of 2 along axis 0"},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[3,6] u[3,5]", "axis=0 block_size=2", "!differ in shape"},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[3,6]", "axis=2 block_size=2", "!axis 2"},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[3,6]", "axis=0 block_size=-2", "!blocks of -2"},
        {OCT_OP_DEQUANTIZE, "u[5,6] h[3,6]", "axis=0 block_size=2", "?a scale of type float16"},
        {OCT_OP_QUANTIZE, "f[5,6] f[3,6]", "axis=0 block_size=2", "?blocked quantization"},
        {OCT_OP_DEQUANTIZE, "u[N,3] f=0.5 s=1", NULL, "!the codes have type uint8, the zero point int8"},
        {OCT_OP_DEQUANTIZE, "u[N,3] f{1,1,1} u=1", NULL, "!differ in shape"},
    };
    RUN(rows);
}

static void reshapes__targets__resolve(void **state)
{
    static const row rows[] = {
        {OCT_OP_RESHAPE, "f[N,3,4] l{0,-1}", NULL, "f[N, 12]"},
        {OCT_OP_RESHAPE, "f[N,3,4] l{-1,12}", NULL, "f[N, 12]"},
        {OCT_OP_RESHAPE, "f[N,3,4] l{-1,6}", NULL, "f[y0.0, 6]"},
        {OCT_OP_RESHAPE, "f[2,3,4] l{4,-1,2}", NULL, "f[4, 3, 2]"},
        {OCT_OP_RESHAPE, "f[2,3,4] l{}", NULL, "![]"},
        {OCT_OP_RESHAPE, "f[1] l{}", NULL, "f[]"},
        {OCT_OP_RESHAPE, "f[2,3] l[2]", NULL, "f[y0.0, y0.1]"},
        {OCT_OP_RESHAPE, "f[2,3] l{5,-1}", NULL, "!do not divide"},
        {OCT_OP_RESHAPE, "f[2,3] l{5}", NULL, "![2, 3] cannot take the shape [5]"},
        {OCT_OP_RESHAPE, "f[2,3] l{-1,-1}", NULL, "!more than one"},
        {OCT_OP_RESHAPE, "f[2,3] l{-2,3}", NULL, "!-2"},
        {OCT_OP_RESHAPE, "f[2,3] l{2,3,0}", NULL, "!0 at place 2"},
        {OCT_OP_RESHAPE, "f[0,3] l{3,0}", "allowzero=1", "f[3, 0]"},
        {OCT_OP_RESHAPE, "f[2,3] l{9223372036854775807,9223372036854775807}", NULL, "!too large"},
        {OCT_OP_RESHAPE, "f[2] l{1,1,1,1,1,1,1,1,2}", NULL, "?rank 9"},
        {OCT_OP_FLATTEN, "f[N,3,4]", NULL, "f[N, 12]"},
        {OCT_OP_FLATTEN, "f[N,3,4]", "axis=0", "f[1, y0.1]"},
        {OCT_OP_FLATTEN, "f[2,3,4]", "axis=-1", "f[6, 4]"},
        {OCT_OP_FLATTEN, "f[2,3,4]", "axis=4", "!axis 4"},
        {OCT_OP_SQUEEZE, "f[N,1,4,1]", NULL, "f[N, 4]"},
        {OCT_OP_SQUEEZE, "f[N,1,4,1] l{-1}", NULL, "f[N, 1, 4]"},
        {OCT_OP_SQUEEZE, "f[N,1,4] l{2}", NULL, "!is not 1"},
        {OCT_OP_SQUEEZE, "f[N,1,4] l{1,-2}", NULL, "!twice"},
        {OCT_OP_UNSQUEEZE, "f[N,4] l{0,-1}", NULL, "f[1, N, 4, 1]"},
        {OCT_OP_UNSQUEEZE, "f[N,4] l{3}", NULL, "!axis 3"},
        {OCT_OP_TRANSPOSE, "f[N,3,4]", "perm=0,2,1", "f[N, 4, 3]"},
        {OCT_OP_TRANSPOSE, "f[N,3,4]", NULL, "f[4, 3, N]"},
        {OCT_OP_TRANSPOSE, "f[N,3,4]", "perm=0,1", "!perm"},
        {OCT_OP_TRANSPOSE, "f[N,3,4]", "perm=0,1,1", "!twice"},
        {OCT_OP_EXPAND, "f[N,1] l{3,1,5}", NULL, "f[3, N, 5]"},
        {OCT_OP_EXPAND, "f[2,3] l{4}", NULL, "!broadcast"},
        {OCT_OP_DEPTH_TO_SPACE, "f[N,8,2,3]", "blocksize=2", "f[N, 2, 4, 6]"},
        {OCT_OP_DEPTH_TO_SPACE, "f[N,6,2,3]", "blocksize=2", "!divide"},
        {OCT_OP_DEPTH_TO_SPACE, "f[N,8,2,3]", "blocksize=0", "!blocksize"},
        {OCT_OP_SPACE_TO_DEPTH, "f[N,2,4,6]", "blocksize=2", "f[N, 8, 2, 3]"},
    };
    RUN(rows);
}

static void parts__ranges__resolve(void **state)
{
    static const row rows[] = {
        {OCT_OP_CONCAT, "f[N,3] f[N,4]", "axis=1", "f[N, 7]"},
        {OCT_OP_CONCAT, "f[N,3] f[2,4]", "axis=-1", "f[2, 7]"},
        {OCT_OP_CONCAT, "f[N,3] f[1,3]", "axis=0", "f[y0.0, 3]"},
        {OCT_OP_CONCAT, "f[2,3] f[3,3]", "axis=1", "!do not join"},
        {OCT_OP_CONCAT, "f[2,3] f[2]", "axis=1", "!do not join"},
        {OCT_OP_CONCAT, "f[2,3]", NULL, "!'axis'"},
        {OCT_OP_SPLIT, "f[N,6]", "axis=1", "f[N, 3] f[N, 3]"},
        {OCT_OP_SPLIT, "f[N,7]", "axis=1 num_outputs=3", "f[N, 3] f[N, 3] f[N, 1]"},
        {OCT_OP_SPLIT, "f[N,6] l{2,4}", "axis=-1", "f[N, 2] f[N, 4]"},
        {OCT_OP_SPLIT, "f[N,6] l{7}", "axis=1", "!add up"},
        {OCT_OP_SPLIT, "f[N,6] l{-6}", "axis=1", "!length"},
        {OCT_OP_SPLIT, "f[N,6] l{2,4}", "axis=1 num_outputs=3", "f[N, 2] f[N, 4]"},
        {OCT_OP_SLICE, "f[N,6] l{1} l{4} l{1}", NULL, "f[N, 3]"},
        {OCT_OP_SLICE, "f[N,6] l{-1} l{-9} l{1} l{-2}", NULL, "f[N, 3]"},
        {OCT_OP_SLICE, "f[N,6] l{0} l{9223372036854775807} l{0}", NULL, "f[N, 6]"},
        {OCT_OP_SLICE, "f[N,6] l{-1} l{9223372036854775807} l{0}", NULL, "f[1, 6]"},
        {OCT_OP_SLICE, "f[5,6] l{9223372036854775807} l{-9223372036854775808} l{0} l{-1}", NULL, "f[5, 6]"},
        {OCT_OP_SLICE, "f[N,6] l{2} l{4} l{0}", NULL, "f[y0.0, 6]"},
        {OCT_OP_SLICE, "f[4,6] l{3} l{1} l{0}", NULL, "f[0, 6]"},
        {OCT_OP_SLICE, "f[4] l[1] l[1] l[1]", NULL, "f[y0.0]"},
        {OCT_OP_SLICE, "f[4] l{0} l{4} l{0} l{0}", NULL, "!step of 0"},
        {OCT_OP_SLICE, "f[4] l{0} l{4} l{1}", NULL, "!axis 1"},
        {OCT_OP_SLICE, "f[4] l{0} l{4,5} l{0}", NULL, "!entries"},
        {OCT_OP_GATHER, "f[N,6,4] l=1", "axis=1", "f[N, 4]"},
        {OCT_OP_GATHER, "f[N,6,4] l[2,3]", "axis=1", "f[N, 2, 3, 4]"},
        {OCT_OP_GATHER, "f[N,6,4] l{6}", "axis=1", "!index 6"},
        {OCT_OP_GATHER, "f[N,6,4] f[1]", "axis=1", "!indices"},
        {OCT_OP_PAD, "f[N,3,4] l{0,0,1,0,0,2}", NULL, "f[N, 3, 7]"},
        {OCT_OP_PAD, "f[N,3,4] l{1,-1} - l{2}", NULL, "f[N, 3, 4]"},
        {OCT_OP_PAD, "f[3,4] l{0,4,0,0}", "mode=reflect", "!pads 4"},
        {OCT_OP_PAD, "f[3,4] l{0,3,0,0}", "mode=reflect", "f[3, 7]"},
        {OCT_OP_PAD, "f[3,4] l{0,-5,0,0}", NULL, "!pads -5"},
        {OCT_OP_PAD, "f[3,4] l{0,0,0}", NULL, "!3 pads"},
        {OCT_OP_PAD, "f[3,4] l{0,0,0,0}", "mode=mirror", "!mode"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - f{1,1,2,2}", NULL, "f[N, 3, 8, 10]"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - - l{8,9}", "axes=2,3 mode=linear", "f[N, 3, 8, 9]"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - f{} l{1,3,8,9}", NULL, "f[1, 3, 8, 9]"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - - l{8,20}", "axes=2,3 keep_aspect_ratio_policy=not_larger", "f[N, 3, 8, 10]"},
        {OCT_OP_RESIZE, "f[N,3,4,5]", NULL, "!exactly one"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - f{1,1,2}", NULL, "!scales"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - f{1,1,-2,1}", NULL, "!scale -2"},
        {OCT_OP_RESIZE, "f[N,3,4,5] - f{1,1,2,2}", "mode=cubic", "?mode"},
    };
    RUN(rows);
}

static void sources__contents__resolve(void **state)
{
    static const row rows[] = {
        {OCT_OP_SHAPE, "f[N,3,4]", NULL, "l[3]"},
        {OCT_OP_SHAPE, "f[N,3,4]", "start=-2 end=2", "l[1]"},
        {OCT_OP_SHAPE, "f[N,3,4]", "start=7", "l[0]"},
        {OCT_OP_CONSTANT_OF_SHAPE, "l{2,3}", NULL, "f[2, 3]"},
        {OCT_OP_CONSTANT_OF_SHAPE, "l{2,-3}", NULL, "!-3"},
        {OCT_OP_RANGE, "l=1 l=10 l=3", NULL, "l[3]"},
        {OCT_OP_RANGE, "l=10 l=1 l=-3", NULL, "l[3]"},
        {OCT_OP_RANGE, "l=1 l=0 l=1", NULL, "l[0]"},
        {OCT_OP_RANGE, "f=0 f=1 f=0.25", NULL, "f[4]"},
        {OCT_OP_RANGE, "l=1 l=0 l=0", NULL, "!delta"},
        {OCT_OP_RANGE, "l=1 i=0 l=1", NULL, "!type"},
        {OCT_OP_QUANTIZE, "f[N,3] f=0.5 s=0", NULL, "s[N, 3]"},
        {OCT_OP_QUANTIZE, "f[N,3] f=0.5", NULL, "u[N, 3]"},
        {OCT_OP_QUANTIZE, "f[N,3] f=0.5", "output_dtype=3", "s[N, 3]"},
        {OCT_OP_QUANTIZE, "f[N,3] f{0.5,1,2}", NULL, "u[N, 3]"},
        {OCT_OP_QUANTIZE, "f[N,3] f{0.5,1}", NULL, "!2 scales"},
        {OCT_OP_QUANTIZE, "f[N,3] f=0", NULL, "!scale 0"},
        {OCT_OP_QUANTIZE, "f[N,3] f=-1", NULL, "!scale -1"},
        {OCT_OP_QUANTIZE, "f[N,3] f=nan", NULL, "!scale nan"},
        {OCT_OP_QUANTIZE, "f[N,3] f=inf", NULL, "!scale inf"},
        {OCT_OP_QUANTIZE, "f[N,3] f=1 l=0", NULL, "?codes of type"},
        {OCT_OP_QUANTIZE, "f[N,3] f{1,1,1} u=0", NULL, "!differ in shape"},
        {OCT_OP_DEQUANTIZE, "s[N,3] f=0.5", NULL, "f[N, 3]"},
        {OCT_OP_DEQUANTIZE, "s[4,3] f{1,1,1,1} s{0,0,0,0}", "axis=0", "f[4, 3]"},
        {OCT_OP_DEQUANTIZE, "s[4,3] f=1 u=0", NULL, "!zero point"},
        {OCT_OP_DEQUANTIZE, "f[4,3] f=1", NULL, "?codes of type"},
        {OCT_OP_DEQUANTIZE, "s[4,3] h=1", NULL, "?scale of type"},
    };
    RUN(rows);
}

/* x: Shape -> Gather 0 -> Unsqueeze -> Concat with literals -> Reshape: the batch symbol arrives. */
static oct_value *chain(oct_graph *g, oct_op op, const char *name, oct_value *a, oct_value *b, oct_node **node)
{
    oct_value *y = NULL, *in[2] = {a, b};
    ok(oct_value_add(g, name, name, &y));
    y->shape.rank = -1;
    ok(oct_node_add(g, NULL, op, name, b ? 2 : 1, in, 1, &y, node));
    return y;
}

static oct_value *list(oct_graph *g, int rank, int64_t count, const int64_t *data)
{
    oct_value *v = NULL;
    ok(oct_value_const(g, "c", OCT_S64, rank, &count, data, &v));
    return v;
}

static void shapes__computed_in_the_graph__stay_symbolic(void **state)
{
    oct_graph *g = NULL;
    oct_node *n = NULL;
    char text[OCT_SHAPE_TEXT];
    ok(oct_graph_create("vit", &g));
    oct_value *x = case_input(g, "f[N,4,6]", 0);
    oct_value *shape = chain(g, OCT_OP_SHAPE, "shape", x, NULL, &n);
    oct_value *batch = chain(g, OCT_OP_GATHER, "batch", shape, list(g, 0, 1, (int64_t[]){0}), &n);
    oct_value *one = chain(g, OCT_OP_UNSQUEEZE, "one", batch, list(g, 1, 1, (int64_t[]){0}), &n);
    oct_value *rest = list(g, 1, 2, (int64_t[]){-1, 3});
    oct_value *target = chain(g, OCT_OP_CONCAT, "target", one, rest, &n);
    ok(oct_node_set_int(g, n, "axis", 0));
    oct_value *y = chain(g, OCT_OP_RESHAPE, "y", x, target, &n);
    /* Expand's idiom: where(shape == -1, 1, shape) */
    oct_value *minus = chain(g, OCT_OP_EQUAL, "is_minus", target, list(g, 0, 1, (int64_t[]){-1}), &n);
    oct_value *z = NULL, *in[3] = {minus, list(g, 0, 1, (int64_t[]){8}), target};
    ok(oct_value_add(g, "z", "z", &z));
    ok(oct_node_add(g, NULL, OCT_OP_WHERE, "z", 3, in, 1, &z, &n));
    oct_value *cube = chain(g, OCT_OP_CONSTANT_OF_SHAPE, "cube", z, NULL, &n);
    ok(oct_graph_infer(g));
    assert_string_equal(oct_shape_text(g, &y->shape, text), "[N, 8, 3]");
    assert_string_equal(oct_shape_text(g, &cube->shape, text), "[N, 8, 3]");
    ok(oct_graph_bind(g, (int64_t[]){5, -1, -1, -1, -1, -1, -1, -1}));
    assert_string_equal(oct_shape_text(g, &y->shape, text), "[5, 8, 3]");
    assert_string_equal(oct_shape_text(g, &cube->shape, text), "[5, 8, 3]");
    oct_graph_destroy(g);
}

static void arithmetic__on_known_contents__is_exact_or_unknown(void **state)
{
    static const struct { oct_op op; const char *a, *b; int64_t want; } rows[] = {
        {OCT_OP_ADD, "l=3", "l=4", 7},
        {OCT_OP_SUB, "l=3", "l=4", -1},
        {OCT_OP_MUL, "l=3", "l=4", 12},
        {OCT_OP_DIV, "l=-7", "l=2", -3},
        {OCT_OP_DIV, "l=7", "l=0", OCT_KNOWN_NONE},
        {OCT_OP_MUL, "l=9223372036854775807", "l=2", OCT_KNOWN_NONE},
        {OCT_OP_ADD, "l=9223372036854775807", "l=1", OCT_KNOWN_NONE},
        {OCT_OP_SUB, "l=-2147483648", "l=1", OCT_KNOWN_NONE},
        {OCT_OP_EQUAL, "l=3", "l=3", 1},
        {OCT_OP_EQUAL, "l=3", "l=4", 0},
        {OCT_OP_MOD, "l=7", "l=3", 1},
        {OCT_OP_MOD, "l=-7", "l=3", 2},
        {OCT_OP_MOD, "l=7", "l=0", OCT_KNOWN_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char inputs[128];
        snprintf(inputs, sizeof inputs, "%s %s", rows[i].a, rows[i].b);
        oct_graph *g = case_graph(rows[i].op, inputs, NULL, 1);
        ok(oct_graph_infer(g));
        int64_t known[OCT_KNOWN_MAX];
        assert_int_equal(oct_infer_known(g->outputs[0], known), 1);
        assert_true(known[0] == rows[i].want);
        oct_graph_destroy(g);
    }
}

static void unknown_rank__everywhere__passes_through(void **state)
{
    for (int op = OCT_OP_NONE + 1; op < OCT_OP_COUNT; op++) {
        const oct_op_def *def = oct_op_get((oct_op)op);
        char inputs[64] = "";
        for (int i = 0; i < def->min_in; i++)
            strcat(inputs, i ? " f[2]" : "f[2]");
        oct_graph *g = case_graph((oct_op)op, inputs, "axis=0 to=1 kernel_shape=1,1 blocksize=2", 1);
        for (int64_t i = 0; i < g->input_count; i++)
            g->inputs[i]->shape.rank = -1;
        oct_status s = oct_graph_infer(g);
        /* Types may be refused; a crash or a made-up rank is what this looks for. */
        if (s == OCT_OK && g->outputs[0]->shape.rank >= 0)
            assert_true(op == OCT_OP_SHAPE || op == OCT_OP_RANGE || op == OCT_OP_SIZE);
        oct_graph_destroy(g);
    }
}

static void table__every_operator__is_found_by_name(void **state)
{
    for (int op = OCT_OP_NONE + 1; op < OCT_OP_COUNT; op++) {
        const oct_op_def *def = oct_op_get((oct_op)op);
        assert_int_equal(oct_op_find(def->name, def->domain), op);
        assert_non_null(def->infer);
        assert_non_null(def->lower);
    }
    assert_int_equal(oct_op_find("Relu", "ai.onnx"), OCT_OP_RELU);
    assert_int_equal(oct_op_find("Relu", "octavo"), OCT_OP_NONE);
    assert_int_equal(oct_op_find("NoSuchThing", ""), OCT_OP_NONE);
    assert_null(oct_op_get(OCT_OP_NONE));
}

static void macs__of_products__count_multiplications(void **state)
{
    oct_graph *g = case_graph(OCT_OP_MATMUL, "f[2,5,3] f[3,7]", NULL, 1);
    ok(oct_graph_infer(g));
    assert_int_equal(oct_node_macs(g->nodes[0]), 2 * 5 * 3 * 7);
    oct_graph_destroy(g);
    g = case_graph(OCT_OP_GEMM, "f[3,5] f[3,7]", "transA=1", 1);
    ok(oct_graph_infer(g));
    assert_int_equal(oct_node_macs(g->nodes[0]), 5 * 3 * 7);
    oct_graph_destroy(g);
    g = case_graph(OCT_OP_CONV, "f[1,4,6,6] f[8,2,3,3]", "group=2 pads=1,1,1,1", 1);
    ok(oct_graph_infer(g));
    assert_int_equal(oct_node_macs(g->nodes[0]), 8 * 36 * 2 * 9);
    oct_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise__broadcasts__as_numpy),
        cmocka_unit_test(pools__windows__give_onnx_lengths),
        cmocka_unit_test(reductions__axes__give_shapes),
        cmocka_unit_test(integers__types_and_zero_points__fit_or_are_refused),
        cmocka_unit_test(reshapes__targets__resolve),
        cmocka_unit_test(parts__ranges__resolve),
        cmocka_unit_test(sources__contents__resolve),
        cmocka_unit_test(shapes__computed_in_the_graph__stay_symbolic),
        cmocka_unit_test(arithmetic__on_known_contents__is_exact_or_unknown),
        cmocka_unit_test(unknown_rank__everywhere__passes_through),
        cmocka_unit_test(table__every_operator__is_found_by_name),
        cmocka_unit_test(macs__of_products__count_multiplications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
