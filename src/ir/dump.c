/* Text of a graph for tests and `info --passes`: stable, one line a node.  Not a file format, nothing reads it back.
 *
 *   in x:f32[N,3,32,32]
 *   const axes:s64[2] = {2, 3}
 *   y:f32[N,16,32,32] = Conv(x, w, b) {pads=[1,1,1,1]} fused{res=3 clamp=[0,6]} int8 # sources a,b
 *   out y:f32[N,16,32,32] */
#include "ir/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "num/num.h"

enum { SHOWN = 8 }; /* elements of a constant that are printed */

static const char *short_name(oct_dtype t)
{
    switch (t) {
    case OCT_F32: return "f32";
    case OCT_F16: return "f16";
    case OCT_BF16: return "bf16";
    case OCT_F64: return "f64";
    case OCT_U8: return "u8";
    case OCT_S8: return "s8";
    case OCT_U16: return "u16";
    case OCT_S16: return "s16";
    case OCT_U32: return "u32";
    case OCT_S32: return "s32";
    case OCT_U64: return "u64";
    case OCT_S64: return "s64";
    case OCT_U4: return "u4";
    case OCT_S4: return "s4";
    case OCT_BOOL: return "bool";
    case OCT_STRING: return "string";
    case OCT_DTYPE_NONE: break;
    }
    return "?";
}

static void put_quant(oct_text *t, const oct_quant *q)
{
    oct_text_printf(t, " q{");
    if (q->n > 1)
        oct_text_printf(t, "axis=%d n=%d ", (int)q->axis, (int)q->n);
    oct_text_printf(t, "s=%.9g z=%d%s}", (double)q->scale[0], (int)q->zero[0], q->n > 1 ? " ..." : "");
}

static void put_value(oct_text *t, const oct_graph *g, const oct_value *v)
{
    oct_text_printf(t, "%s:%s", v->name, short_name(v->dtype));
    if (v->shape.rank < 0) {
        oct_text_printf(t, "[?]");
    } else {
        oct_text_printf(t, "[");
        for (int i = 0; i < v->shape.rank; i++) {
            int64_t d = v->shape.dim[i];
            if (d < 0)
                oct_text_printf(t, "%s%s", i ? "," : "", oct_graph_symbol_name(g, d));
            else
                oct_text_printf(t, "%s%lld", i ? "," : "", (long long)d);
        }
        oct_text_printf(t, "]");
    }
    if (v->quant)
        put_quant(t, v->quant);
}

static void put_element(oct_text *t, oct_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case OCT_F32: oct_text_printf(t, "%.9g", (double)((const float *)data)[i]); return;
    case OCT_F64: oct_text_printf(t, "%.17g", ((const double *)data)[i]); return;
    case OCT_F16: oct_text_printf(t, "%.9g", (double)oct_f16_to_f32(((const uint16_t *)data)[i])); return;
    case OCT_BF16: oct_text_printf(t, "%.9g", (double)oct_bf16_to_f32(((const uint16_t *)data)[i])); return;
    case OCT_U8:
    case OCT_U4:
    case OCT_BOOL: oct_text_printf(t, "%d", ((const uint8_t *)data)[i]); return;
    case OCT_S8:
    case OCT_S4: oct_text_printf(t, "%d", ((const int8_t *)data)[i]); return;
    case OCT_U16: oct_text_printf(t, "%d", ((const uint16_t *)data)[i]); return;
    case OCT_S16: oct_text_printf(t, "%d", ((const int16_t *)data)[i]); return;
    case OCT_U32: oct_text_printf(t, "%u", ((const uint32_t *)data)[i]); return;
    case OCT_S32: oct_text_printf(t, "%d", ((const int32_t *)data)[i]); return;
    case OCT_U64: oct_text_printf(t, "%llu", (unsigned long long)((const uint64_t *)data)[i]); return;
    case OCT_S64: oct_text_printf(t, "%lld", (long long)((const int64_t *)data)[i]); return;
    case OCT_STRING:
    case OCT_DTYPE_NONE: break;
    }
    oct_text_printf(t, "?");
}

static void put_const(oct_text *t, const oct_graph *g, const oct_value *v)
{
    int64_t count;
    oct_text_printf(t, "const ");
    put_value(t, g, v);
    if (oct_shape_count(&v->shape, &count) == OCT_OK && count <= SHOWN) {
        oct_text_printf(t, " = {");
        for (int64_t i = 0; i < count; i++) {
            oct_text_printf(t, "%s", i ? ", " : "");
            put_element(t, v->dtype, v->data, i);
        }
        oct_text_printf(t, "}");
    }
    oct_text_printf(t, "\n");
}

static void put_attr(oct_text *t, const oct_attr *a)
{
    oct_text_printf(t, "%s=", a->name);
    switch (a->kind) {
    case OCT_ATTR_INT: oct_text_printf(t, "%lld", (long long)a->i); break;
    case OCT_ATTR_FLOAT: oct_text_printf(t, "%.9g", (double)a->f); break;
    case OCT_ATTR_STRING: oct_text_printf(t, "\"%s\"", a->s); break;
    case OCT_ATTR_TENSOR:
        oct_text_printf(t, "%s[", short_name(a->tensor.dtype));
        for (int i = 0; i < a->tensor.rank; i++)
            oct_text_printf(t, "%s%lld", i ? "," : "", (long long)a->tensor.dims[i]);
        oct_text_printf(t, "]{");
        for (int64_t i = 0; i < oct_min64(oct_tensor_count(&a->tensor), SHOWN); i++) {
            oct_text_printf(t, "%s", i ? ", " : "");
            put_element(t, a->tensor.dtype, a->tensor.data, i);
        }
        oct_text_printf(t, "}");
        break;
    default:
        oct_text_printf(t, "[");
        for (int64_t i = 0; i < a->n; i++) {
            const char *comma = i ? "," : "";
            if (a->kind == OCT_ATTR_INTS)
                oct_text_printf(t, "%s%lld", comma, (long long)a->ints[i]);
            else if (a->kind == OCT_ATTR_FLOATS)
                oct_text_printf(t, "%s%.9g", comma, (double)a->floats[i]);
            else
                oct_text_printf(t, "%s\"%s\"", comma, a->strings[i]);
        }
        oct_text_printf(t, "]");
    }
}

static void put_attrs(oct_text *t, const oct_node *n)
{
    /* in order of names, whatever the order of storage: each round prints the smallest name above the last one */
    const oct_attr *last = NULL;
    for (int32_t round = 0; round < n->attr_count; round++) {
        const oct_attr *next = NULL;
        for (int32_t i = 0; i < n->attr_count; i++)
            if ((!last || strcmp(n->attrs[i].name, last->name) > 0) && (!next || strcmp(n->attrs[i].name, next->name) < 0))
                next = &n->attrs[i];
        oct_text_printf(t, round ? ", " : " {");
        put_attr(t, next);
        last = next;
    }
    if (n->attr_count)
        oct_text_printf(t, "}");
}

static void put_fused(oct_text *t, const oct_fused *f)
{
    if (!f->residual && !f->clamp)
        return;
    oct_text_printf(t, " fused{");
    if (f->residual)
        oct_text_printf(t, "res=%d", (int)f->residual);
    if (f->residual_inner && f->inner_quant) {
        oct_text_printf(t, " inner=%s(%.9g,%d)", short_name(f->inner_dtype), (double)f->inner_quant->scale[0], (int)f->inner_quant->zero[0]);
        if (f->inner_clamp)
            oct_text_printf(t, "[%.9g,%.9g]", (double)f->inner_lo, (double)f->inner_hi);
    }
    if (f->clamp)
        oct_text_printf(t, "%sclamp=[%.9g,%.9g]", f->residual ? " " : "", (double)f->lo, (double)f->hi);
    oct_text_printf(t, "}");
}

static void put_node(oct_text *t, const oct_graph *g, const oct_node *n)
{
    for (int32_t i = 0; i < n->output_count; i++) {
        oct_text_printf(t, "%s", i ? ", " : "");
        if (n->outputs[i])
            put_value(t, g, n->outputs[i]);
        else
            oct_text_printf(t, "-");
    }
    oct_text_printf(t, " = %s(", oct_op_get(n->op)->name);
    for (int32_t i = 0; i < n->input_count; i++)
        oct_text_printf(t, "%s%s", i ? ", " : "", n->inputs[i] ? n->inputs[i]->name : "-");
    oct_text_printf(t, ")");
    put_attrs(t, n);
    put_fused(t, &n->fused);
    if (n->int8)
        oct_text_printf(t, " int8");
    if (n->hold)
        oct_text_printf(t, " hold");
    if (n->source_count > 1 || (n->source_count == 1 && strcmp(n->sources[0], n->name) != 0))
        for (int32_t i = 0; i < n->source_count; i++)
            oct_text_printf(t, "%s%s", i ? "," : " # sources ", n->sources[i]);
    oct_text_printf(t, "\n");
}

oct_status oct_graph_dump(const oct_graph *g, char **text)
{
    oct_text t = {0};
    for (int64_t i = 0; i < g->input_count; i++) {
        oct_text_printf(&t, "in ");
        put_value(&t, g, g->inputs[i]);
        oct_text_printf(&t, "\n");
    }
    for (int64_t i = 0; i < g->node_count; i++)
        for (int32_t k = 0; k < g->nodes[i]->input_count; k++) {
            const oct_value *v = g->nodes[i]->inputs[k];
            if (v && v->data && v->user_count && v->users[0] == g->nodes[i]) { /* before its first user, once */
                bool again = false;
                for (int32_t j = 0; j < k; j++)
                    again |= g->nodes[i]->inputs[j] == v;
                if (!again)
                    put_const(&t, g, v);
            }
        }
    for (int64_t i = 0; i < g->node_count; i++)
        put_node(&t, g, g->nodes[i]);
    for (int64_t i = 0; i < g->output_count; i++) {
        if (g->outputs[i]->data)
            put_const(&t, g, g->outputs[i]);
        oct_text_printf(&t, "out ");
        put_value(&t, g, g->outputs[i]);
        oct_text_printf(&t, "\n");
    }
    return oct_text_finish(&t, text);
}
