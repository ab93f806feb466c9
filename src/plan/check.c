/* The check of a plan's frame: sections, strings, tensors, ports and the steps' own fields.  DESIGN 5.9.
 *
 * Checksums only tell damage; a hostile file has right ones. So every offset, index and enum is compared with what it may be before
 * anything uses it. What a step's parameters may say stands in check_step.c. */
#include "plan/check.h"

#include <string.h>

enum { MAX_BYTES_LOG2 = 46 };

static bool is_string(const oct_plan *p, uint32_t at) { return at < p->header->section[OCT_SEC_STRINGS].size; }

oct_status oct_check_fail(const oct_plan *p, const oct_plan_step *s, const char *what)
{
    long long index = (long long)(s - p->steps);
    return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "step %lld ('%s'): %s", index, oct_plan_string(p, s->name), what), oct_plan_string(p, s->name));
}

bool oct_check_const(const oct_plan *p, int64_t at, int64_t bytes, int64_t align)
{
    int64_t size = p->constant_size;
    return at >= 0 && bytes >= 0 && at % align == 0 && at <= size && bytes <= size - at;
}

bool oct_check_is_dense(const oct_plan_tensor *t)
{
    int64_t step = 1;
    for (int i = t->rank; i-- > 0;) {
        if (t->dims[i] == 0)
            return true;
        if (t->dims[i] > 1 && t->strides[i] != step)
            return false;
        step *= t->dims[i];
    }
    return true;
}

/* --- tensors --- */
static oct_status bad_tensor(int32_t i, const char *what) { return oct_fail(OCT_ERR_CONTENT, "tensor %d: %s", i, what); }

/* First byte and the one after the last that the view touches; relative to its place. false when it does not fit 62 bits. */
static bool tensor_span(const oct_plan_tensor *t, int64_t count, int64_t *first, int64_t *end)
{
    const __int128 size = (__int128)oct_dtype_size((oct_dtype)t->dtype), limit = (__int128)1 << 62;
    __int128 lo = t->offset, hi = t->offset;
    for (int i = 0; i < t->rank && count; i++) {
        __int128 reach = (__int128)(t->dims[i] - 1) * t->strides[i] * size;
        if (reach < 0)
            lo += reach;
        else
            hi += reach;
        if (lo < -limit || hi > limit)
            return false;
    }
    hi += count ? size : 0;
    if (lo < 0 || hi > limit)
        return false;
    *first = (int64_t)lo;
    *end = (int64_t)hi;
    return true;
}

static int64_t place_bytes(const oct_plan *p, const oct_plan_tensor *t)
{
    switch (t->place) {
    case OCT_PLACE_ARENA: return p->header->arena_bytes;
    case OCT_PLACE_CONST: return p->constant_size;
    default: return INT64_MAX; /* INPUT: the root's bytes are the caller's */
    }
}

static oct_status check_root(const oct_plan *p, int32_t i, int64_t count)
{
    const oct_plan_tensor *t = &p->tensors[i];
    int64_t size = (int64_t)oct_dtype_size((oct_dtype)t->dtype);
    if (t->bytes < 0 || t->bytes >> MAX_BYTES_LOG2 || t->bytes / size < count)
        return bad_tensor(i, "its size does not fit its shape");
    if (t->place == OCT_PLACE_INPUT) {
        if (t->port < 0 || t->port >= p->input_count || t->offset != 0)
            return bad_tensor(i, "it names no input");
        const oct_plan_port *port = &p->inputs[t->port];
        if (port->tensor != i || !oct_check_is_dense(t) || t->bytes != count * size)
            return bad_tensor(i, "it does not match its input");
        return OCT_OK;
    }
    if (t->offset < 0 || t->offset % OCT_ALIGN || t->offset > place_bytes(p, t) || t->bytes > place_bytes(p, t) - t->offset)
        return bad_tensor(i, "it lies outside the memory of the plan");
    return OCT_OK;
}

static oct_status check_tensor(const oct_plan *p, int32_t i)
{
    const oct_plan_tensor *t = &p->tensors[i];
    int64_t size = (int64_t)oct_dtype_size((oct_dtype)t->dtype), count, first, end;
    if (!is_string(p, t->name) || t->place > OCT_PLACE_INPUT || size == 0 || t->rank > OCT_MAX_RANK || t->biased > 1 ||
        (t->biased && t->dtype != OCT_U8) || t->root < 0 || t->root >= p->tensor_count || !(t->scale >= 0 && t->scale <= 3.4e38f))
        return bad_tensor(i, "a field is out of range");
    if (oct_size_count(t->dims, t->rank, &count) != OCT_OK)
        return bad_tensor(i, "its shape is too large");
    for (uint32_t k = 0; k < t->rank; k++) /* of an axis of length 1 as well: the check of a step multiplies it all the same */
        if (t->strides[k] >> MAX_BYTES_LOG2 > 0 || t->strides[k] >> MAX_BYTES_LOG2 < -1)
            return bad_tensor(i, "a stride is out of range");
    const oct_plan_tensor *root = &p->tensors[t->root];
    if (root->root != t->root || root->place != t->place || root->port != t->port)
        return bad_tensor(i, "its root is none");
    if (t->root == i)
        OCT_TRY(check_root(p, i, count));
    if (t->offset % size || !tensor_span(t, count, &first, &end) || first < root->offset || end - root->offset > root->bytes)
        return bad_tensor(i, "it reaches outside its memory");
    return OCT_OK;
}

/* --- ports, metadata --- */
static bool fits_quant(const oct_plan_port *port)
{
    if (port->scale == 0)
        return port->zero == 0;
    const bool s8 = port->dtype == OCT_S8;
    return (s8 || port->dtype == OCT_U8) && port->scale > 0 && port->scale <= 3.4e38f && port->zero >= (s8 ? -128 : 0) && port->zero <= (s8 ? 127 : 255);
}

static oct_status check_port(const oct_plan *p, const oct_plan_port *port, const char *what, int32_t i, int which)
{
    bool fits = is_string(p, port->name) && port->tensor >= 0 && port->tensor < p->tensor_count && port->rank <= OCT_MAX_RANK;
    if (fits) {
        const oct_plan_tensor *t = &p->tensors[port->tensor];
        size_t size = oct_dtype_size((oct_dtype)port->dtype);
        fits = port->rank == t->rank && memcmp(port->dims, t->dims, sizeof *t->dims * t->rank) == 0;
        if (which == OCT_PORT_INPUT)
            fits = fits && t->place == OCT_PLACE_INPUT && t->port == i && t->root == port->tensor && size == oct_dtype_size((oct_dtype)t->dtype);
        if (which == OCT_PORT_OUTPUT)
            fits = fits && t->place == OCT_PLACE_ARENA && oct_check_is_dense(t) && size == oct_dtype_size((oct_dtype)t->dtype);
    }
    if (!fits || !fits_quant(port))
        return oct_fail(OCT_ERR_CONTENT, "%s %d: a field is out of range", what, i);
    return OCT_OK;
}

static oct_status check_ports(const oct_plan *p)
{
    for (int32_t i = 0; i < p->input_count; i++)
        OCT_TRY(check_port(p, &p->inputs[i], "input", i, OCT_PORT_INPUT));
    for (int32_t i = 0; i < p->output_count; i++)
        OCT_TRY(check_port(p, &p->outputs[i], "output", i, OCT_PORT_OUTPUT));
    for (int32_t i = 0; i < p->tap_count; i++)
        OCT_TRY(check_port(p, &p->taps[i], "tap", i, OCT_PORT_TAP));
    for (int32_t i = 0; i < p->meta_count; i++)
        if (!is_string(p, p->meta[i].key) || !is_string(p, p->meta[i].value))
            return oct_fail(OCT_ERR_CONTENT, "metadata %d is out of range", i);
    return OCT_OK;
}

/* --- steps --- */
static bool in_section(const oct_plan *p, int which, uint64_t at, uint64_t bytes)
{
    uint64_t size = p->header->section[which].size;
    return at <= size && bytes <= size - at;
}

static bool indices_fit(const oct_plan *p, uint32_t first, uint32_t count)
{
    if (!in_section(p, OCT_SEC_INDEX, (uint64_t)first * sizeof *p->index, (uint64_t)count * sizeof *p->index))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (p->index[first + i] < 0 || p->index[first + i] >= p->tensor_count)
            return false;
    return true;
}

static oct_status check_step_frame(const oct_plan *p, int32_t i)
{
    const oct_plan_step *s = &p->steps[i];
    if (!is_string(p, s->name) || !is_string(p, s->op) || !is_string(p, s->sources) || !is_string(p, s->tactic) || !is_string(p, s->reason))
        return oct_fail(OCT_ERR_CONTENT, "step %d: a name is out of range", i);
    OCT_CHECK(s->kind > OCT_STEP_NONE && s->kind < OCT_STEP_COUNT, "it has no known kind");
    OCT_CHECK(s->precision <= OCT_PREC_CONVERT, "it has no known precision");
    OCT_CHECK(s->params_size == oct_step_params_size((oct_step_kind)s->kind) && s->params % 8 == 0 && in_section(p, OCT_SEC_PARAMS, s->params, s->params_size),
              "its parameters are out of range");
    OCT_CHECK(s->in_count <= INT32_MAX && s->out_count <= INT32_MAX && indices_fit(p, s->in_first, s->in_count) && indices_fit(p, s->out_first, s->out_count),
              "its tensors are out of range");
    OCT_CHECK(s->macs >= 0 && s->scratch_bytes >= 0 && s->worker_bytes >= 0 && !(s->worker_bytes >> MAX_BYTES_LOG2), "a size is out of range");
    if (s->scratch_bytes)
        OCT_CHECK(s->scratch >= 0 && s->scratch % OCT_ALIGN == 0 && s->scratch <= p->header->arena_bytes &&
                      s->scratch_bytes <= p->header->arena_bytes - s->scratch, "its scratch is out of range");
    for (uint32_t k = 0; k < s->out_count; k++) {
        const oct_plan_tensor *t = &p->tensors[p->index[s->out_first + k]];
        int64_t count;
        OCT_CHECK(t->place == OCT_PLACE_ARENA, "it writes where nothing may be written");
        /* Views may repeat elements, outputs not: work is bounded by memory. */
        OCT_CHECK(oct_size_count(t->dims, t->rank, &count) == OCT_OK && count <= p->tensors[t->root].bytes / (int64_t)oct_dtype_size((oct_dtype)t->dtype),
                  "it writes an element twice");
    }
    return OCT_OK;
}

oct_status oct_check_plan(const oct_plan *p)
{
    const oct_plan_header *h = p->header;
    uint64_t strings = h->section[OCT_SEC_STRINGS].size;
    if (strings == 0 || strings > UINT32_MAX || p->strings[strings - 1] != '\0')
        return oct_fail(OCT_ERR_CONTENT, "its names do not end");
    if (h->arena_bytes < 0 || h->arena_bytes >> MAX_BYTES_LOG2)
        return oct_fail(OCT_ERR_CONTENT, "its working memory is out of range");
    for (int32_t i = 0; i < p->tensor_count; i++)
        OCT_TRY(check_tensor(p, i));
    OCT_TRY(check_ports(p));
    for (int32_t i = 0; i < p->step_count; i++) {
        OCT_TRY(check_step_frame(p, i));
        OCT_TRY(oct_check_step(p, &p->steps[i]));
    }
    return OCT_OK;
}
