/* Body of Einsum (onnx/functions.h): one product of matrices where the equation is one, else products over all labels and a sum. */
#include "onnx/functions.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { OPERANDS = 8 };

typedef struct equation {
    char in[OPERANDS][OCT_MAX_RANK + 1], out[OCT_MAX_RANK + 1];
    int count;
} equation;

static oct_status refuse(const oct_node *n, const char *what)
{
    return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator Einsum with %s in '%.100s'", n->name, what, oct_node_string(n, "equation", ""));
}

static bool has(const char *labels, char c) { return c && strchr(labels, c) != NULL; }

/* One side's labels; at most OCT_MAX_RANK, none twice. */
static oct_status take_labels(const oct_node *n, const char **at, char *out)
{
    int count = 0;
    for (; **at && **at != ',' && **at != '-'; ++*at) {
        if (isspace((unsigned char)**at))
            continue;
        if (!isalpha((unsigned char)**at))
            return refuse(n, "other than letters");
        if (has(out, **at))
            return refuse(n, "a label twice in one term");
        if (count == OCT_MAX_RANK)
            return refuse(n, "too many labels");
        out[count++] = **at;
        out[count] = '\0';
    }
    return OCT_OK;
}

static oct_status read_equation(const oct_node *n, equation *e)
{
    const char *at = oct_node_string(n, "equation", "");
    for (;;) {
        if (e->count == OPERANDS)
            return refuse(n, "too many terms");
        OCT_TRY(take_labels(n, &at, e->in[e->count++]));
        if (*at != ',')
            break;
        at++;
    }
    if (strncmp(at, "->", 2) == 0) {
        at += 2;
        OCT_TRY(take_labels(n, &at, e->out));
    } else { /* labels that stand once, in alphabetical order */
        int length = 0;
        for (int c = 'A'; c <= 'z'; c++) {
            int found = 0;
            for (int i = 0; i < e->count; i++)
                found += has(e->in[i], (char)c);
            if (found == 1 && length < OCT_MAX_RANK)
                e->out[length++] = (char)c;
        }
    }
    if (e->count != n->input_count)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': an equation of %d terms for %d inputs", n->name, e->count, (int)n->input_count);
    for (int i = 0; i < e->count; i++)
        if (!n->inputs[i] || n->inputs[i]->shape.rank != (int)strlen(e->in[i]))
            return oct_fail(OCT_ERR_CONTENT, "node '%s': term %d of the equation does not have the rank of its input", n->name, i);
    for (const char *c = e->out; *c; c++) {
        int found = 0;
        for (int i = 0; i < e->count; i++)
            found += has(e->in[i], *c);
        if (!found)
            return oct_fail(OCT_ERR_CONTENT, "node '%s': the result's label '%c' stands in no term", n->name, *c);
    }
    return OCT_OK;
}

/* "name=Transpose(from){perm=...}; " from the order of one list of labels to another with the same labels. */
static void add_transpose(oct_body *b, const char *name, const char *from, const char *labels, const char *wanted)
{
    oct_body_add(b, "%s=Transpose(%s){perm=[", name, from);
    for (const char *c = wanted; *c; c++)
        oct_body_add(b, "%s%d", c > wanted ? "," : "", (int)(strchr(labels, *c) - labels));
    oct_body_add(b, "]}; ");
}

static void finish(oct_body *b, const char *from, const char *labels, const char *out)
{
    if (*labels)
        add_transpose(b, "t9", from, labels, out);
    else
        oct_body_add(b, "t9=Identity(%s); ", from);
    oct_body_add(b, "y0=Identity(t9)");
}

/* Two terms with one label that both have and the result has not, and one of its own each: a product of matrices. */
static bool as_product(const equation *e, oct_body *b)
{
    char batch[OCT_MAX_RANK + 1] = "", own[2] = {0}, shared = 0, left[2 * OCT_MAX_RANK], right[2 * OCT_MAX_RANK], result[2 * OCT_MAX_RANK];
    int owns[2] = {0, 0}, sums = 0, batches = 0;
    if (e->count != 2)
        return false;
    for (int i = 0; i < 2; i++)
        for (const char *c = e->in[i]; *c; c++) {
            const bool both = has(e->in[1 - i], *c), kept = has(e->out, *c);
            if (!both && !kept)
                return false;
            if (!both) {
                own[i] = *c;
                owns[i]++;
            } else if (i == 0 && kept) {
                batch[batches++] = *c;
            } else if (i == 0) {
                shared = *c;
                sums++;
            }
        }
    if (sums != 1 || owns[0] != 1 || owns[1] != 1)
        return false;
    snprintf(left, sizeof left, "%s%c%c", batch, own[0], shared);
    snprintf(right, sizeof right, "%s%c%c", batch, shared, own[1]);
    snprintf(result, sizeof result, "%s%c%c", batch, own[0], own[1]);
    add_transpose(b, "a", "x0", e->in[0], left);
    add_transpose(b, "c", "x1", e->in[1], right);
    oct_body_add(b, "m=MatMul(a,c); ");
    finish(b, "m", result, e->out);
    return true;
}

oct_status oct_body_einsum(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    equation e = {.count = 0};
    oct_body b = {.text = body};
    char all[64] = "", present[64], kept[64] = "", last[16] = "";
    int count = 0, kepts = 0;
    OCT_TRY(read_equation(n, &e));
    if (as_product(&e, &b))
        return OCT_OK;
    for (int i = 0; i < e.count; i++)
        for (const char *c = e.in[i]; *c; c++)
            if (!has(all, *c)) {
                all[count++] = *c;
                all[count] = '\0';
            }
    if (count > OCT_MAX_RANK)
        return refuse(n, "too many labels");
    for (int i = 0; i < e.count; i++) {
        char from[16], order[16], placed[16];
        int at = 0;
        for (const char *c = all; *c; c++)
            if (has(e.in[i], *c))
                present[at++] = *c;
        present[at] = '\0';
        snprintf(from, sizeof from, "x%d", i);
        snprintf(order, sizeof order, "o%d", i);
        snprintf(placed, sizeof placed, "p%d", i);
        if (at > 0)
            add_transpose(&b, order, from, e.in[i], present);
        else
            oct_body_add(&b, "%s=Identity(%s); ", order, from);
        oct_body_add(&b, "%s=", placed);
        if (at == count) {
            oct_body_add(&b, "Identity(%s); ", order);
        } else {
            oct_body_add(&b, "Unsqueeze(%s,[", order);
            for (int k = 0, first = 1; k < count; k++)
                if (!has(e.in[i], all[k])) {
                    oct_body_add(&b, "%s%d", first ? "" : ",", k);
                    first = 0;
                }
            oct_body_add(&b, "]); ");
        }
        if (i > 0)
            oct_body_add(&b, "m%d=Mul(%s,%s); ", i, last, placed);
        snprintf(last, sizeof last, "%c%d", i > 0 ? 'm' : 'p', i);
    }
    oct_body_add(&b, "s=%s(%s", strlen(e.out) < (size_t)count ? "ReduceSum" : "Identity", last);
    for (int k = 0, first = 1; k < count; k++) {
        if (has(e.out, all[k])) {
            kept[kepts++] = all[k];
            continue;
        }
        oct_body_add(&b, "%s%d", first ? ",[" : ",", k);
        first = 0;
    }
    oct_body_add(&b, strlen(e.out) < (size_t)count ? "]){keepdims=0}; " : "); ");
    finish(&b, "s", kept, e.out);
    return OCT_OK;
}
