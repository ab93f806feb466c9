/* Attributes of nodes: typed lookup with a default, and setting by deep copy into the graph's arena. */
#include "ir/ir.h"

#include <string.h>

const oct_attr *oct_node_attr(const oct_node *n, const char *name)
{
    for (int32_t i = 0; i < n->attr_count; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

static const oct_attr *of_kind(const oct_node *n, const char *name, oct_attr_kind kind)
{
    const oct_attr *a = oct_node_attr(n, name);
    return a && a->kind == kind ? a : NULL;
}

int64_t oct_node_int(const oct_node *n, const char *name, int64_t missing)
{
    const oct_attr *a = of_kind(n, name, OCT_ATTR_INT);
    return a ? a->i : missing;
}

float oct_node_float(const oct_node *n, const char *name, float missing)
{
    const oct_attr *a = of_kind(n, name, OCT_ATTR_FLOAT);
    return a ? a->f : missing;
}

const char *oct_node_string(const oct_node *n, const char *name, const char *missing)
{
    const oct_attr *a = of_kind(n, name, OCT_ATTR_STRING);
    return a ? a->s : missing;
}

int oct_node_ints(const oct_node *n, const char *name, int64_t *out, int max)
{
    const oct_attr *a = of_kind(n, name, OCT_ATTR_INTS);
    if (!a)
        return 0;
    int count = (int)oct_min64(a->n, max);
    if (count)
        memcpy(out, a->ints, (size_t)count * sizeof *out);
    return count;
}

/* Replace what `dst` points to by copies in the arena. */
static oct_status own(oct_graph *g, oct_attr *dst)
{
    const char **strings = NULL;
    switch (dst->kind) {
    case OCT_ATTR_INT:
    case OCT_ATTR_FLOAT: return OCT_OK;
    case OCT_ATTR_STRING: return oct_arena_strdup(g->arena, dst->s, (char **)&dst->s);
    case OCT_ATTR_INTS: return oct_arena_memdup(g->arena, dst->ints, dst->n * (int64_t)sizeof *dst->ints, (void **)&dst->ints);
    case OCT_ATTR_FLOATS: return oct_arena_memdup(g->arena, dst->floats, dst->n * (int64_t)sizeof *dst->floats, (void **)&dst->floats);
    case OCT_ATTR_STRINGS:
        OCT_TRY(oct_arena_alloc(g->arena, dst->n * (int64_t)sizeof *strings, (void **)&strings));
        for (int64_t i = 0; i < dst->n; i++)
            OCT_TRY(oct_arena_strdup(g->arena, dst->strings[i], (char **)&strings[i]));
        dst->strings = strings;
        return OCT_OK;
    case OCT_ATTR_TENSOR:
        return oct_arena_memdup(g->arena, dst->tensor.data, oct_tensor_count(&dst->tensor) * (int64_t)oct_dtype_size(dst->tensor.dtype),
                                &dst->tensor.data);
    }
    return oct_fail(OCT_ERR_INTERNAL, "attribute '%s' has no kind", dst->name);
}

oct_status oct_node_set_attr(oct_graph *g, oct_node *n, const oct_attr *attr)
{
    oct_attr copy = *attr, *slot = (oct_attr *)oct_node_attr(n, attr->name);
    OCT_TRY(own(g, &copy));
    if (slot) {
        copy.name = slot->name;
        *slot = copy;
        return OCT_OK;
    }
    OCT_TRY(oct_arena_strdup(g->arena, attr->name, (char **)&copy.name));
    oct_attr *longer = NULL;
    OCT_TRY(oct_arena_alloc(g->arena, (n->attr_count + 1) * (int64_t)sizeof *longer, (void **)&longer));
    if (n->attr_count)
        memcpy(longer, n->attrs, (size_t)n->attr_count * sizeof *longer);
    longer[n->attr_count++] = copy;
    n->attrs = longer;
    return OCT_OK;
}

oct_status oct_node_set_int(oct_graph *g, oct_node *n, const char *name, int64_t v)
{
    return oct_node_set_attr(g, n, &(oct_attr){.name = name, .kind = OCT_ATTR_INT, .i = v});
}

oct_status oct_node_set_float(oct_graph *g, oct_node *n, const char *name, float v)
{
    return oct_node_set_attr(g, n, &(oct_attr){.name = name, .kind = OCT_ATTR_FLOAT, .f = v});
}

oct_status oct_node_set_string(oct_graph *g, oct_node *n, const char *name, const char *v)
{
    return oct_node_set_attr(g, n, &(oct_attr){.name = name, .kind = OCT_ATTR_STRING, .s = v});
}

oct_status oct_node_set_ints(oct_graph *g, oct_node *n, const char *name, const int64_t *v, int count)
{
    return oct_node_set_attr(g, n, &(oct_attr){.name = name, .kind = OCT_ATTR_INTS, .n = count, .ints = v});
}

void oct_node_drop_attr(oct_node *n, const char *name)
{
    for (int32_t i = 0; i < n->attr_count; i++)
        if (strcmp(n->attrs[i].name, name) == 0) {
            memmove(&n->attrs[i], &n->attrs[i + 1], (size_t)(n->attr_count - i - 1) * sizeof *n->attrs);
            n->attr_count--;
            return;
        }
}
