/* The way back from a Q/DQ model to a calibration cache: every QuantizeLinear of an activation with one constant scale is the range
 * of its tensor (DESIGN 4.3, 5.2).  With insert.c both directions give identical codes. */
#include <math.h>
#include <string.h>
#include "onnx/model.h"
#include "qparam/qparam.h"

/* What one Q says; false when a cache cannot say it: no constant, per axis, no 8-bit codes. */
static bool read_quantize(const oct_node *n, oct_dtype *type, float *scale, int32_t *zero)
{
    const oct_value *z = oct_node_in(n, 2);
    float zf = 0;
    *type = n->outputs[0]->dtype;
    if ((*type != OCT_U8 && *type != OCT_S8) || !oct_value_scalar(n->inputs[1], scale) || (z && !oct_value_scalar(z, &zf)))
        return false;
    *zero = (int32_t)zf;
    return isfinite(*scale) && *scale > 0;
}

/* Codes of s8 are those of u8 moved by 128, so tensors of both types meet in one affine cache. */
static bool is_symmetric(const oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_dtype type;
        float scale;
        int32_t zero;
        const oct_node *n = g->nodes[i];
        if (n->op == OCT_OP_QUANTIZE && !n->inputs[0]->data && read_quantize(n, &type, &scale, &zero) &&
            (type != OCT_S8 || zero != 0))
            return false;
    }
    return true;
}

static float clamp_float(double v)
{
    const double most = 3.4028234663852886e38;
    return (float)(v < -most ? -most : v > most ? most : v);
}

static oct_status add_entry(oct_ranges *r, const oct_node *n, bool symmetric, int64_t *skipped)
{
    oct_dtype type;
    float scale;
    int32_t zero;
    const char *tensor = n->inputs[0]->name;
    if (!read_quantize(n, &type, &scale, &zero) || oct_ranges_find(r, tensor)) {
        ++*skipped;
        return OCT_OK;
    }
    if (!symmetric && type == OCT_S8)
        zero += 128;
    const int32_t lo = symmetric ? -127 : 0, hi = symmetric ? 127 : 255;
    return oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)(uintptr_t)tensor,
                                                .min = clamp_float((double)(lo - zero) * scale),
                                                .max = clamp_float((double)(hi - zero) * scale),
                                                .scale = scale,
                                                .zero = zero,
                                                .solver = "qdq",
                                                .error = -1});
}

oct_status oct_ranges_from_model(const oct_model *model, oct_ranges **out, int64_t *skipped)
{
    const oct_graph *g = model->graph;
    const char *hash = oct_graph_meta(g, "octavo.model_hash");
    const bool symmetric = is_symmetric(g);
    oct_ranges *r = NULL;
    int64_t left = 0;
    if (!oct_model_is_quantized(model))
        return oct_fail(OCT_ERR_CONTENT, "the model '%s' holds no quantization whose scales could be taken", model->name);
    OCT_TRY(oct_ranges_create(symmetric ? OCT_SCHEME_SYMMETRIC : OCT_SCHEME_AFFINE, &r));
    oct_status s = oct_ranges_set_method(r, "qdq");
    if (hash && strlen(hash) + 1 == sizeof r->hash)
        memcpy(r->hash, hash, sizeof r->hash);
    for (int64_t i = 0; s == OCT_OK && i < g->node_count; i++)
        if (g->nodes[i]->op == OCT_OP_QUANTIZE && !g->nodes[i]->inputs[0]->data)
            s = add_entry(r, g->nodes[i], symmetric, &left);
    if (s == OCT_OK && r->count == 0)
        s = oct_fail(OCT_ERR_CONTENT, "the model '%s' quantizes no activation to 8 bits with one constant scale", model->name);
    if (s != OCT_OK) {
        oct_ranges_destroy(r);
        return s;
    }
    *skipped = left;
    *out = r;
    return OCT_OK;
}
