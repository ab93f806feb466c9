/* Step signatures: the keys of the timing cache (oct_step_signature in timing.h).  Everything in a step that decides its time, and
 * nothing else; what follows from the tactic (panels) or does not matter to the clock (weights, scales, limits) is left out. */
#include <inttypes.h>
#include "build/timing.h"
#include "op/strides.h"
#include "plan/conv.h"

static const char *const kind_ids[OCT_STEP_COUNT] = {
    [OCT_STEP_NONE] = "NONE",
#define OCT_STEP_DEF(id, text, stem, params) [OCT_STEP_##id] = #id,
#include "plan/steps.inc"
#undef OCT_STEP_DEF
};

/* "float32[1,3,32,32]" then "p" (plain), "c" (channels last) or the strides of the axes that have more than one element. */
static void put_tensor(oct_text *t, const oct_plan_tensor *v)
{
    int64_t strides[OCT_MAX_RANK];
    oct_text_printf(t, " %s[", oct_dtype_name((oct_dtype)v->dtype));
    for (int i = 0; i < v->rank; i++)
        oct_text_printf(t, "%s%lld", i ? "," : "", (long long)v->dims[i]);
    oct_text_printf(t, "]");
    for (oct_layout layout = OCT_LAYOUT_PLAIN; layout <= OCT_LAYOUT_NHWC; layout++) {
        oct_strides_of_layout(layout, v->rank, v->dims, strides);
        if (oct_strides_same_walk(v, strides)) {
            oct_text_printf(t, layout == OCT_LAYOUT_PLAIN ? "p" : "c");
            return;
        }
    }
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] != 1)
            oct_text_printf(t, "/%lld", (long long)v->strides[i]);
}

static void put_conv(oct_text *t, const oct_p_conv *p)
{
    oct_text_printf(
        t, " n%d h%d w%d c%d oh%d ow%d oc%d g%d k%dx%d s%dx%d d%dx%d p%d,%d,%d,%d u%dx%d taps%dx%d m%d copy%d res%d f%d epi%d",
        (int)p->n, (int)p->h, (int)p->w, (int)p->c, (int)p->oh, (int)p->ow, (int)p->oc, (int)p->groups, (int)p->kh, (int)p->kw,
        (int)p->sh, (int)p->sw, (int)p->dh, (int)p->dw, (int)p->pt, (int)p->pl, (int)p->pb, (int)p->pr, (int)p->up_h, (int)p->up_w,
        (int)p->tap_count, (int)p->kc, (int)p->merged, (int)p->copy, (int)p->residual, (int)p->float_out, (int)p->epi.kind);
}

static void put_params(oct_text *t, oct_step_kind kind, const void *params)
{
    switch (kind) {
    case OCT_STEP_CONV_Q:
    case OCT_STEP_CONV_F:
    case OCT_STEP_WINO_Q:
    case OCT_STEP_DW_Q:
    case OCT_STEP_DW_F:
        put_conv(t, params);
        break;
    case OCT_STEP_QUANTIZE:
    case OCT_STEP_DEQUANTIZE: {
        const oct_p_quantize *p = params;
        if (p->n > 1)
            oct_text_printf(t, " axis%d", (int)p->axis);
        break;
    }
    case OCT_STEP_POOL: {
        const oct_p_pool *p = params;
        oct_text_printf(t, " max%d pad%d k%dx%d s%dx%d d%dx%d p%d,%d,%d,%d", (int)p->is_max, (int)p->include_pad, (int)p->kh,
                        (int)p->kw, (int)p->sh, (int)p->sw, (int)p->dh, (int)p->dw, (int)p->pt, (int)p->pl, (int)p->pb, (int)p->pr);
        break;
    }
    case OCT_STEP_UNARY:
        oct_text_printf(t, " fn%d", (int)((const oct_p_unary *)params)->fn);
        break;
    case OCT_STEP_BINARY:
        oct_text_printf(t, " fn%d", (int)((const oct_p_binary *)params)->fn);
        break;
    case OCT_STEP_REDUCE:
        oct_text_printf(t, " fn%d axes%x", (int)((const oct_p_reduce *)params)->fn, (unsigned)((const oct_p_reduce *)params)->axes);
        break;
    case OCT_STEP_PAD:
        oct_text_printf(t, " mode%d", (int)((const oct_p_pad *)params)->mode);
        break;
    case OCT_STEP_GATHER:
    case OCT_STEP_GATHER_ELEMENTS:
    case OCT_STEP_ARG_MAX:
        oct_text_printf(t, " axis%d", (int)((const oct_p_axis *)params)->axis);
        break;
    case OCT_STEP_SOFTMAX:
        oct_text_printf(t, " axis%d log%d", (int)((const oct_p_softmax *)params)->axis, (int)((const oct_p_softmax *)params)->log);
        break;
    case OCT_STEP_LAYER_NORM:
        oct_text_printf(t, " axis%d", (int)((const oct_p_layer_norm *)params)->axis);
        break;
    case OCT_STEP_RESIZE: {
        const oct_p_resize *p = params;
        oct_text_printf(t, " mode%d coord%d nearest%d", (int)p->mode, (int)p->coord, (int)p->nearest);
        break;
    }
    default: /* dims and types say it all */
        break;
    }
}

oct_status oct_step_signature(const oct_plan *p, const oct_plan_step *s, int threads, char **out)
{
    oct_text t = {0};
    const char *tactic = oct_plan_string(p, s->tactic);
    oct_text_printf(&t, "%s %s t%d", kind_ids[s->kind], *tactic ? tactic : "-", threads);
    for (uint32_t i = 0; i < s->in_count; i++)
        put_tensor(&t, &p->tensors[p->index[s->in_first + i]]);
    oct_text_printf(&t, " ->");
    for (uint32_t i = 0; i < s->out_count; i++)
        put_tensor(&t, &p->tensors[p->index[s->out_first + i]]);
    put_params(&t, (oct_step_kind)s->kind, p->params + s->params);
    return oct_text_finish(&t, out);
}
