/* Plans as blocks and files: what a draft becomes, what comes back from a file, and that every lie of a block with right checksums
 * is refused with a message that names the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"
#include "plan/conv.h"
#include "plan/plan.h"

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != OCT_OK)                                                          \
            fail_msg("%s: %s", #call, oct_last_error()->message);                      \
    } while (0)

enum { X, CODES, CONV, Y, TENSORS };                  /* tensors of the sample plan */
enum { QUANTIZE, CONVOLVE, DEQUANTIZE, STEPS };       /* its steps */

static int32_t add_tensor(oct_draft *d, const char *name, oct_place place, oct_dtype type, int64_t c, int64_t hw, int64_t *at)
{
    /* [1, c, hw, hw], channels innermost in the arena, plain outside */
    const bool plain = place == OCT_PLACE_INPUT || type == OCT_F32;
    oct_plan_tensor t = {.place = place, .dtype = type, .rank = 4, .root = -1, .port = place == OCT_PLACE_INPUT ? 0 : -1, .dims = {1, c, hw, hw},
                         .strides = {c * hw * hw, plain ? hw * hw : 1, plain ? hw : c * hw, plain ? 1 : c},
                         .bytes = c * hw * hw * (int64_t)oct_dtype_size(type)};
    int32_t id;
    if (place == OCT_PLACE_ARENA) {
        t.offset = *at;
        *at = oct_round_up(*at + t.bytes, OCT_ALIGN);
    }
    if (type == OCT_U8) {
        t.scale = 0.1f;
        t.zero = 7;
    }
    OK(oct_draft_tensor(d, name, &t, &id));
    return id;
}

static void add_conv(oct_draft *d, int32_t in, int32_t out)
{
    const oct_qconv_kernel *k = oct_qconv_find("qconv_ref");
    oct_p_conv p = {.n = 1, .h = 6, .w = 6, .c = 4, .oh = 6, .ow = 6, .oc = 20, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = 1, .pl = 1,
                    .pb = 1, .pr = 1, .up_h = 1, .up_w = 1, .tap_count = 3, .kc = 12, .panels = 2, .merged = 1, .copy = 1, .zp_in = 7,
                    .epi = {.kind = OCT_EPI_U8, .hi = 255}};
    int8_t w[20 * 36];
    int32_t bias[20] = {0};
    float scale[20];
    int64_t taps[3];
    uint8_t *packed;
    oct_conv_tiling t;
    oct_draft_step *step;
    for (int i = 0; i < 20 * 36; i++)
        w[i] = (int8_t)(i * 7 % 255 - 127);
    for (int i = 0; i < 20; i++)
        scale[i] = 0.001f;
    p.panel_bytes = oct_qconv_panel_bytes(k->nr, 3, 12);
    OK(oct_draft_const_reserve(d, 2 * p.panel_bytes, &p.weights_at, &packed));
    for (int i = 0; i < 2; i++)
        oct_qconv_pack(k->nr, i, 20, 3, 12, w, bias, scale, NULL, packed + i * p.panel_bytes);
    OK(oct_conv_tile(OCT_STEP_CONV_Q, &p, &t));
    for (int i = 0; i < 3; i++)
        taps[i] = oct_conv_tap(OCT_STEP_CONV_Q, &p, t.row_bytes, 4, i);
    OK(oct_draft_const(d, taps, sizeof taps, &p.taps_at));
    OK(oct_draft_step_add(d, OCT_STEP_CONV_Q, OCT_PREC_INT8, "conv", "Conv", "conv\nrelu", k->name, "", 1, &in, 1, &out, &p, sizeof p, &step));
    step->step.worker_bytes = oct_conv_worker_bytes(&t);
}

/* quantize -> 3x3 convolution -> dequantize */
static oct_plan *sample(void)
{
    oct_draft *d;
    oct_plan *p;
    int64_t at = 0;
    const float scale = 0.1f;
    const int32_t zero = 7;
    oct_p_quantize q = {.n = 1, .hi = 255};
    const int64_t in[4] = {1, 4, 6, 6}, out[4] = {1, 20, 6, 6};
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    const int32_t x = add_tensor(d, "x", OCT_PLACE_INPUT, OCT_F32, 4, 6, &at), codes = add_tensor(d, "codes", OCT_PLACE_ARENA, OCT_U8, 4, 6, &at);
    const int32_t conv = add_tensor(d, "conv", OCT_PLACE_ARENA, OCT_U8, 20, 6, &at), y = add_tensor(d, "y", OCT_PLACE_ARENA, OCT_F32, 20, 6, &at);
    OK(oct_draft_const(d, &scale, sizeof scale, &q.scale_at));
    OK(oct_draft_const(d, &zero, sizeof zero, &q.zero_at));
    OK(oct_draft_step_add(d, OCT_STEP_QUANTIZE, OCT_PREC_CONVERT, "q", "QuantizeLinear", "q", "", "conversion", 1, &x, 1, &codes, &q, sizeof q, NULL));
    add_conv(d, codes, conv);
    OK(oct_draft_step_add(d, OCT_STEP_DEQUANTIZE, OCT_PREC_CONVERT, "dq", "DequantizeLinear", "dq", "", "conversion", 1, &conv, 1, &y, &q, sizeof q, NULL));
    OK(oct_draft_port(d, OCT_PORT_INPUT, "x", x, OCT_F32, 4, in));
    OK(oct_draft_port(d, OCT_PORT_OUTPUT, "y", y, OCT_F32, 4, out));
    OK(oct_draft_port(d, OCT_PORT_TAP, "conv", conv, OCT_U8, 4, out));
    OK(oct_draft_meta(d, "octavo.preprocess", "{}"));
    d->arena_bytes = at;
    OK(oct_draft_finish(d, &p));
    oct_draft_destroy(d);
    return p;
}

static void plan__draft_finished__getters_see_it(void **state)
{
    (void)state;
    oct_plan *p = sample();
    oct_port port;
    assert_int_equal(oct_plan_input_count(p), 1);
    assert_int_equal(oct_plan_output_count(p), 1);
    assert_int_equal(oct_plan_step_count(p), STEPS);
    OK(oct_plan_get_output(p, 0, &port));
    assert_string_equal(port.name, "y");
    assert_int_equal(port.dims[1], 20);
    OK(oct_plan_get_tap(p, "conv", &port));
    assert_int_equal(port.dtype, OCT_U8);
    assert_int_equal(oct_plan_get_tap(p, "nothing", &port), OCT_ERR_USAGE);
    assert_int_equal(oct_plan_get_input(p, 1, &port), OCT_ERR_USAGE);
    assert_string_equal(oct_plan_get_metadata(p, "octavo.preprocess"), "{}");
    assert_null(oct_plan_get_metadata(p, "other"));
    assert_string_equal(oct_plan_string(p, p->steps[CONVOLVE].sources), "conv\nrelu");
    /* One text is stored once: the tensor, the step and the tap are all called conv. */
    assert_int_equal(p->steps[CONVOLVE].name, p->tensors[CONV].name);
    oct_plan_destroy(p);
}

static void plan_file__saved_and_loaded__same_bytes(void **state)
{
    (void)state;
    char path[] = "/tmp/octavo-plan-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    oct_plan *p = sample(), *q;
    OK(oct_plan_save(p, path));
    OK(oct_plan_load(path, &q));
    assert_int_equal(q->header->total, p->header->total);
    assert_memory_equal(q->header, p->header, p->header->total);
    oct_plan_destroy(q);
    assert_int_equal(truncate(path, (off_t)p->header->total - 1), 0);
    assert_int_equal(oct_plan_load(path, &q), OCT_ERR_CONTENT);
    assert_string_equal(oct_last_error()->file, path);
    unlink(path);
    assert_int_equal(oct_plan_load(path, &q), OCT_ERR_IO);
    assert_int_equal(oct_plan_save(p, "/nonexistent/folder/p"), OCT_ERR_IO);
    oct_plan_destroy(p);
}

/* --- lies --- */
typedef struct block {
    oct_plan_header *h;
    oct_plan_tensor *tensors;
    oct_plan_step *steps;
    oct_plan_port *inputs, *outputs, *taps;
    oct_plan_meta *meta;
    int32_t *index;
    oct_p_conv *conv;
    oct_p_quantize *q;
    char *strings;
    uint8_t *constants;
} block;

static void resign(uint8_t *b)
{
    oct_plan_header *h = (oct_plan_header *)(void *)b;
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        if (h->section[i].offset <= h->total && h->section[i].size <= h->total - h->section[i].offset)
            h->section[i].hash = oct_hash64(b + h->section[i].offset, h->section[i].size, 0);
    h->hash = 0;
    h->hash = oct_hash64(h, sizeof *h, 0);
}

typedef void lie(block *b);
#define LIE(name, change) \
    static void name(block *b) { change; }
LIE(tensor_outside, b->tensors[Y].offset += 64)
LIE(tensor_negative, b->tensors[Y].offset = -64)
LIE(tensor_unaligned, b->tensors[Y].offset += 1)
LIE(tensor_huge_dims, b->tensors[Y].dims[0] = INT64_C(1) << 50)
LIE(tensor_negative_dim, b->tensors[Y].dims[0] = -1)
LIE(tensor_wrapping_stride, b->tensors[CONV].strides[2] = INT64_C(1) << 61)
LIE(tensor_stride_of_one_image, b->tensors[CONV].strides[0] = INT64_C(1) << 61)
LIE(tensor_long_stride, b->tensors[CONV].strides[0] = 1; b->tensors[CONV].strides[2] += 1)
LIE(tensor_small_root, b->tensors[Y].bytes -= 4)
LIE(tensor_rank, b->tensors[Y].rank = 9)
LIE(tensor_type, b->tensors[Y].dtype = OCT_STRING)
LIE(tensor_root, b->tensors[Y].root = 99)
LIE(tensor_other_root, b->tensors[Y].root = CONV)
LIE(tensor_place, b->tensors[Y].place = 3)
LIE(tensor_const_output, b->tensors[Y].place = OCT_PLACE_CONST)
LIE(tensor_name, b->tensors[Y].name = UINT32_MAX)
LIE(tensor_port, b->tensors[X].port = 1)
LIE(tensor_scale, b->tensors[CONV].scale = -1)
LIE(input_shape, b->inputs[0].dims[3] = 7)
LIE(output_tensor, b->outputs[0].tensor = TENSORS)
LIE(output_layout, b->outputs[0].tensor = CONV; b->outputs[0].dtype = OCT_U8)
LIE(tap_tensor, b->taps[0].tensor = -1)
LIE(meta_string, b->meta[0].value = UINT32_MAX)
LIE(strings_open, b->strings[b->h->section[OCT_SEC_STRINGS].size - 1] = 'x')
LIE(step_kind, b->steps[CONVOLVE].kind = OCT_STEP_COUNT)
LIE(step_precision, b->steps[CONVOLVE].precision = 9)
LIE(step_tactic, b->steps[CONVOLVE].tactic = b->steps[CONVOLVE].name)
LIE(step_params, b->steps[CONVOLVE].params = UINT64_MAX - 7)
LIE(step_params_size, b->steps[CONVOLVE].params_size -= 8)
LIE(step_inputs, b->steps[CONVOLVE].in_count = 5)
LIE(step_no_inputs, b->steps[CONVOLVE].in_count = 0)
LIE(step_index, b->index[b->steps[CONVOLVE].in_first] = 99)
LIE(step_scratch, b->steps[CONVOLVE].scratch_bytes = 64; b->steps[CONVOLVE].scratch = 1 << 20)
LIE(step_worker, b->steps[CONVOLVE].worker_bytes -= 64)
LIE(step_greedy, b->steps[QUANTIZE].worker_bytes = INT64_C(1) << 40)
LIE(quantize_scale_at, b->q->scale_at = (int64_t)b->h->section[OCT_SEC_CONST].size)
LIE(quantize_axis, b->q->n = 2; b->q->axis = 8)
LIE(quantize_limits, b->q->hi = 256)
LIE(conv_channels, b->conv->c = 8)
LIE(conv_groups, b->conv->groups = 3)
LIE(conv_rows, b->conv->oh = 7)
LIE(conv_kernel, b->conv->kh = 4)
LIE(conv_kernel_zero, b->conv->kw = 0)
LIE(conv_stride, b->conv->sw = 2)
LIE(conv_no_copy, b->conv->copy = 0)
LIE(conv_panels, b->conv->panels = 3)
LIE(conv_panel_bytes, b->conv->panel_bytes -= 64)
LIE(conv_weights, b->conv->weights_at += 1 << 20)
LIE(conv_weights_unaligned, b->conv->weights_at += 4)
LIE(conv_taps_at, b->conv->taps_at = -8)
LIE(conv_taps, ((int64_t *)(void *)(b->constants + b->conv->taps_at))[1] += 1)
LIE(conv_epilogue, b->conv->epi.kind = OCT_EPI_F32)
LIE(conv_residual, b->conv->residual = 1)
LIE(conv_limits, b->conv->epi.lo = 300)
LIE(section_outside, b->h->section[OCT_SEC_CONST].size += 1 << 20)
LIE(section_overlap, b->h->section[OCT_SEC_STEPS].offset = b->h->section[OCT_SEC_TENSORS].offset)
LIE(section_ragged, b->h->section[OCT_SEC_TENSORS].size -= 1)
LIE(section_without_slack, b->h->section[OCT_SEC_CONST].size = b->h->total - b->h->section[OCT_SEC_CONST].offset)
LIE(arena_small, b->h->arena_bytes -= 64)
LIE(arena_negative, b->h->arena_bytes = -1)
LIE(level_above, b->h->isa = OCT_ISA_COUNT)
LIE(kernels_other, b->h->kernels ^= 1)
LIE(version_other, b->h->version++)

static const struct {
    const char *name;
    lie *tell;
} lies[] = {
#define ROW(name) {#name, name}
    ROW(tensor_outside), ROW(tensor_negative), ROW(tensor_unaligned), ROW(tensor_huge_dims), ROW(tensor_negative_dim), ROW(tensor_wrapping_stride), ROW(tensor_stride_of_one_image),
    ROW(tensor_long_stride), ROW(tensor_small_root), ROW(tensor_rank), ROW(tensor_type), ROW(tensor_root), ROW(tensor_other_root), ROW(tensor_place),
    ROW(tensor_const_output), ROW(tensor_name), ROW(tensor_port), ROW(tensor_scale), ROW(input_shape), ROW(output_tensor), ROW(output_layout), ROW(tap_tensor),
    ROW(meta_string), ROW(strings_open), ROW(step_kind), ROW(step_precision), ROW(step_tactic), ROW(step_params), ROW(step_params_size), ROW(step_inputs),
    ROW(step_no_inputs), ROW(step_index), ROW(step_scratch), ROW(step_worker), ROW(step_greedy), ROW(quantize_scale_at), ROW(quantize_axis),
    ROW(quantize_limits), ROW(conv_channels), ROW(conv_groups), ROW(conv_rows), ROW(conv_kernel), ROW(conv_kernel_zero), ROW(conv_stride), ROW(conv_no_copy),
    ROW(conv_panels), ROW(conv_panel_bytes), ROW(conv_weights), ROW(conv_weights_unaligned), ROW(conv_taps_at), ROW(conv_taps), ROW(conv_epilogue),
    ROW(conv_residual), ROW(conv_limits), ROW(section_outside), ROW(section_overlap), ROW(section_ragged), ROW(section_without_slack), ROW(arena_small),
    ROW(arena_negative), ROW(level_above), ROW(kernels_other), ROW(version_other),
};

static block view(uint8_t *b)
{
    oct_plan_header *h = (oct_plan_header *)(void *)b;
#define AT(which) ((void *)(b + h->section[which].offset))
    block v = {.h = h, .tensors = AT(OCT_SEC_TENSORS), .steps = AT(OCT_SEC_STEPS), .inputs = AT(OCT_SEC_INPUTS), .outputs = AT(OCT_SEC_OUTPUTS),
               .taps = AT(OCT_SEC_TAPS), .meta = AT(OCT_SEC_META), .index = AT(OCT_SEC_INDEX), .strings = AT(OCT_SEC_STRINGS), .constants = AT(OCT_SEC_CONST)};
    v.conv = (oct_p_conv *)(void *)((uint8_t *)AT(OCT_SEC_PARAMS) + v.steps[CONVOLVE].params);
    v.q = (oct_p_quantize *)(void *)((uint8_t *)AT(OCT_SEC_PARAMS) + v.steps[QUANTIZE].params);
    return v;
}

static void plan_block__lie_with_right_checksums__content_error(void **state)
{
    (void)state;
    oct_plan *p = sample(), *q = NULL;
    const int64_t size = (int64_t)p->header->total;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t *b = NULL;
        OK(oct_alloc(size, false, (void **)&b));
        memcpy(b, p->header, (size_t)size);
        block v = view(b);
        lies[i].tell(&v);
        resign(b);
        if (oct_plan_from_block(b, size, "liar", &q) != OCT_ERR_CONTENT)
            fail_msg("'%s' is believed", lies[i].name);
        if (!strstr(oct_last_error()->message, "liar") || strlen(oct_last_error()->message) < 15)
            fail_msg("'%s': the message is '%s'", lies[i].name, oct_last_error()->message);
        oct_free(b);
    }
    oct_plan_destroy(p);
}

static void plan_block__damage__content_error(void **state)
{
    (void)state;
    oct_plan *p = sample(), *q = NULL;
    const int64_t size = (int64_t)p->header->total;
    uint8_t *b = NULL;
    OK(oct_alloc(size, false, (void **)&b));
    for (int64_t cut = 0; cut < size; cut += 61) {
        memcpy(b, p->header, (size_t)size);
        assert_int_equal(oct_plan_from_block(b, cut, "cut", &q), OCT_ERR_CONTENT);
    }
    for (int s = 0; s < OCT_SEC_COUNT; s++)
        for (uint64_t at = 0; at < p->header->section[s].size; at += 13) {
            memcpy(b, p->header, (size_t)size);
            b[p->header->section[s].offset + at] ^= 16;
            assert_int_equal(oct_plan_from_block(b, size, "damaged", &q), OCT_ERR_CONTENT);
        }
    oct_free(b);
    oct_plan_destroy(p);
}

/* A plan of one function that writes codes. */
static oct_status unary_to_codes(const oct_p_unary *q, const char *tactic)
{
    oct_draft *d;
    oct_plan *p = NULL;
    int64_t at = 0;
    const int64_t dims[4] = {1, 4, 6, 6};
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    const int32_t x = add_tensor(d, "x", OCT_PLACE_INPUT, OCT_F32, 4, 6, &at), y = add_tensor(d, "y", OCT_PLACE_ARENA, OCT_U8, 4, 6, &at);
    OK(oct_draft_step_add(d, OCT_STEP_UNARY, OCT_PREC_FLOAT, "silu", "Silu", "silu\nq", tactic, "", 1, &x, 1, &y, q, sizeof *q, NULL));
    OK(oct_draft_port(d, OCT_PORT_INPUT, "x", x, OCT_F32, 4, dims));
    OK(oct_draft_port(d, OCT_PORT_TAP, "y", y, OCT_U8, 4, dims));
    d->arena_bytes = at;
    const oct_status s = oct_draft_finish(d, &p);
    oct_plan_destroy(p);
    oct_draft_destroy(d);
    return s;
}

static void unary_to_codes__parameters_out_of_range__refused(void **state)
{
    (void)state;
    const oct_p_unary good = {.fn = OCT_UNARY_SILU, .scale = 0.1f, .zero = 3, .hi = 255};
    OK(unary_to_codes(&good, "quantize_ref"));
    OK(unary_to_codes(&good, ""));
    assert_int_not_equal(unary_to_codes(&good, "nothing"), OCT_OK);
#define REFUSED(change)                                                  \
    do {                                                                 \
        oct_p_unary bad = good;                                          \
        bad.change;                                                      \
        assert_int_not_equal(unary_to_codes(&bad, ""), OCT_OK);          \
    } while (0)
    REFUSED(fn = OCT_UNARY_COUNT);
    REFUSED(scale = 0);
    REFUSED(scale = -0.1f);
    REFUSED(scale = NAN);
    REFUSED(scale = INFINITY);
    REFUSED(lo = -1);
    REFUSED(lo = 4);
    REFUSED(hi = 256);
    REFUSED(hi = 2);
    REFUSED(zero = 256);
#undef REFUSED
}

/* quantize -> Winograd convolution; its scratch is off by so many bytes. */
static oct_status winograd(const oct_p_conv *q, int64_t off)
{
    oct_draft *d;
    oct_plan *p = NULL;
    int64_t at = 0;
    const float scale = 0.1f;
    const int32_t zero = 7;
    oct_p_quantize codes = {.n = 1, .hi = 255};
    oct_p_conv conv = *q;
    oct_conv_tiling t;
    oct_draft_step *step;
    uint8_t *packed;
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    const int32_t x = add_tensor(d, "x", OCT_PLACE_INPUT, OCT_F32, 32, 6, &at), u = add_tensor(d, "u", OCT_PLACE_ARENA, OCT_U8, 32, 6, &at);
    const int32_t y = add_tensor(d, "y", OCT_PLACE_ARENA, OCT_U8, 40, 6, &at);
    OK(oct_draft_const(d, &scale, sizeof scale, &codes.scale_at));
    OK(oct_draft_const(d, &zero, sizeof zero, &codes.zero_at));
    OK(oct_draft_step_add(d, OCT_STEP_QUANTIZE, OCT_PREC_CONVERT, "q", "QuantizeLinear", "q", "", "conversion", 1, &x, 1, &u, &codes, sizeof codes, NULL));
    OK(oct_draft_const_reserve(d, 2 * oct_qwino_panel_bytes(32, 32), &conv.weights_at, &packed));
    OK(oct_conv_tile(OCT_STEP_WINO_Q, &conv, &t));
    OK(oct_draft_step_add(d, OCT_STEP_WINO_Q, OCT_PREC_INT8, "c", "Conv", "c", "qwino_ref", "", 1, &u, 1, &y, &conv, sizeof conv, &step));
    step->step.worker_bytes = oct_conv_worker_bytes(&t) + off;
    OK(oct_draft_port(d, OCT_PORT_INPUT, "x", x, OCT_F32, 4, (const int64_t[]){1, 32, 6, 6}));
    OK(oct_draft_port(d, OCT_PORT_TAP, "y", y, OCT_U8, 4, (const int64_t[]){1, 40, 6, 6}));
    d->arena_bytes = at;
    const oct_status s = oct_draft_finish(d, &p);
    oct_plan_destroy(p);
    oct_draft_destroy(d);
    return s;
}

static void winograd__what_its_kernels_cannot_do__refused(void **state)
{
    (void)state;
    const oct_p_conv good = {.n = 1, .h = 6, .w = 6, .c = 32, .oh = 6, .ow = 6, .oc = 40, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = 1, .pl = 1,
                             .pb = 1, .pr = 1, .up_h = 1, .up_w = 1, .tap_count = 3, .kc = 96, .panels = 2, .merged = 1, .copy = 1, .zp_in = 7, .taps_at = -1,
                             .panel_bytes = oct_qwino_panel_bytes(32, 32), .epi = {.kind = OCT_EPI_U8, .hi = 255}};
    OK(winograd(&good, 0));
    assert_int_not_equal(winograd(&good, -OCT_ALIGN), OCT_OK);
#define REFUSED(change)                                              \
    do {                                                             \
        oct_p_conv bad = good;                                       \
        bad.change;                                                  \
        assert_int_not_equal(winograd(&bad, 0), OCT_OK);             \
    } while (0)
    REFUSED(copy = 0);
    REFUSED(merged = 0);
    REFUSED(kh = 5);
    REFUSED(kw = 1);
    REFUSED(sh = 2);
    REFUSED(sw = 2);
    REFUSED(dh = 2);
    REFUSED(up_h = 2);
    REFUSED(groups = 2);
    REFUSED(tap_count = 6);
    REFUSED(taps_at = 0);
    REFUSED(panels = 1);
    REFUSED(panel_bytes += 64);
    REFUSED(c = 16);
    REFUSED(oc = 96);
#undef REFUSED
}

static void winograd_tiling__any_shape__units_cover_the_output_and_have_room(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint32_t r = (uint32_t)i * 2654435761u;
        oct_p_conv p = {.n = 1 + (int)(r % 3), .c = 32 + 32 * ((int)(r >> 3) % 20), .oh = 1 + (int)(r >> 7) % 90, .ow = 1 + (int)(r >> 11) % 900, .oc = 1 + (int)(r >> 5) % 900,
                        .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .tap_count = 3, .copy = 1, .merged = 1};
        oct_conv_tiling t;
        p.kc = 3 * p.c;
        p.panels = (p.oc + 31) / 32;
        p.panel_bytes = oct_qwino_panel_bytes(32, p.c);
        OK(oct_conv_tile(OCT_STEP_WINO_Q, &p, &t));
        assert_true(t.rows >= 1 && t.cols >= 1 && t.panel_step >= 1 && (t.rows % 4 == 0 || t.rows == p.oh) && (t.cols % 4 == 0 || t.cols == p.ow));
        assert_int_equal(t.units, (int64_t)p.n * ((p.oh + t.rows - 1) / t.rows) * ((p.ow + t.cols - 1) / t.cols) * ((p.panels + t.panel_step - 1) / t.panel_step));
        assert_true(t.copy_bytes >= (int64_t)((t.rows + 3) / 4 * 4 + 2) * ((t.cols + 3) / 4 * 4 + 2) * p.c);
        assert_true(t.scratch_bytes >= oct_qwino_scratch_bytes(t.rows, t.cols, p.c));
    }
}

static void conv_tiling__any_shape__units_cover_the_output_once(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint32_t r = (uint32_t)i * 2654435761u;
        oct_p_conv p = {.n = 1 + (int)(r % 3), .c = 1 + (int)(r >> 3) % 600, .oh = 1 + (int)(r >> 7) % 60, .ow = 1 + (int)(r >> 11) % 3000, .oc = 1 + (int)(r >> 5) % 900,
                        .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .tap_count = 3, .copy = 1, .merged = 1};
        oct_conv_tiling t;
        p.kc = 3 * p.c;
        p.panels = (p.oc + 31) / 32;
        p.panel_bytes = oct_qconv_panel_bytes(32, 3, p.kc);
        OK(oct_conv_tile(OCT_STEP_CONV_Q, &p, &t));
        assert_true(t.rows >= 1 && t.cols >= 1 && t.panel_step >= 1);
        assert_int_equal(t.row_bands, (p.oh + t.rows - 1) / t.rows);
        assert_int_equal(t.col_bands, (p.ow + t.cols - 1) / t.cols);
        assert_int_equal(t.panel_groups, (p.panels + t.panel_step - 1) / t.panel_step);
        assert_int_equal(t.units, (int64_t)p.n * t.row_bands * t.col_bands * t.panel_groups);
        assert_true(t.copy_bytes >= (int64_t)(t.rows + 2) * (t.cols + 2) * p.c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan__draft_finished__getters_see_it),
        cmocka_unit_test(plan_file__saved_and_loaded__same_bytes),
        cmocka_unit_test(plan_block__lie_with_right_checksums__content_error),
        cmocka_unit_test(plan_block__damage__content_error),
        cmocka_unit_test(unary_to_codes__parameters_out_of_range__refused),
        cmocka_unit_test(winograd__what_its_kernels_cannot_do__refused),
        cmocka_unit_test(winograd_tiling__any_shape__units_cover_the_output_and_have_room),
        cmocka_unit_test(conv_tiling__any_shape__units_cover_the_output_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
