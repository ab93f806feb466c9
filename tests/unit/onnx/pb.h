/* Writes protobuf by hand, for models that no exporter would write.  Independent of src/onnx, so that both can be wrong only
 * apart.  Field numbers are ONNX's.  Blocks are freed by whoever takes them in. */
#ifndef TESTS_ONNX_PB_H
#define TESTS_ONNX_PB_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pb {
    uint8_t *data;
    size_t size;
} pb;

static inline void pb_raw(pb *b, const void *p, size_t n)
{
    b->data = realloc(b->data, b->size + n + 1);
    memcpy(b->data + b->size, p, n);
    b->size += n;
}

static inline void pb_varint(pb *b, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        pb_raw(b, &(uint8_t){(uint8_t)(v | 128)}, 1);
    pb_raw(b, &(uint8_t){(uint8_t)v}, 1);
}

static inline void pb_int(pb *b, int field, int64_t v)
{
    pb_varint(b, (uint64_t)field << 3);
    pb_varint(b, (uint64_t)v);
}

static inline void pb_float(pb *b, int field, float v)
{
    pb_varint(b, (uint64_t)field << 3 | 5);
    pb_raw(b, &v, 4);
}

static inline void pb_bytes(pb *b, int field, const void *p, size_t n)
{
    pb_varint(b, (uint64_t)field << 3 | 2);
    pb_varint(b, n);
    pb_raw(b, p, n);
}

static inline void pb_str(pb *b, int field, const char *s) { pb_bytes(b, field, s, strlen(s)); }

static inline void pb_msg(pb *b, int field, pb child)
{
    pb_bytes(b, field, child.data ? (void *)child.data : (void *)"", child.size);
    free(child.data);
}

/* Each word of a comma list ("" gives one empty word, NULL none) as a string field. */
static inline void pb_words(pb *b, int field, const char *list)
{
    while (list) {
        const char *comma = strchr(list, ',');
        pb_bytes(b, field, list, comma ? (size_t)(comma - list) : strlen(list));
        list = comma ? comma + 1 : NULL;
    }
}

/* --- ONNX --- */

static inline pb pb_node(const char *op, const char *name, const char *in, const char *out)
{
    pb n = {0};
    pb_words(&n, 1, in);
    pb_words(&n, 2, out);
    if (name)
        pb_str(&n, 3, name);
    pb_str(&n, 4, op);
    return n;
}

static inline void pb_attr_int(pb *node, const char *name, int64_t v)
{
    pb a = {0};
    pb_str(&a, 1, name);
    pb_int(&a, 3, v);
    pb_int(&a, 20, 2);
    pb_msg(node, 5, a);
}

static inline void pb_attr_float(pb *node, const char *name, float v)
{
    pb a = {0};
    pb_str(&a, 1, name);
    pb_float(&a, 2, v);
    pb_int(&a, 20, 1);
    pb_msg(node, 5, a);
}

static inline void pb_attr_str(pb *node, const char *name, const char *v)
{
    pb a = {0};
    pb_str(&a, 1, name);
    pb_str(&a, 4, v);
    pb_int(&a, 20, 3);
    pb_msg(node, 5, a);
}

static inline void pb_attr_ints(pb *node, const char *name, int n, const int64_t *v)
{
    pb a = {0};
    pb_str(&a, 1, name);
    for (int i = 0; i < n; i++)
        pb_int(&a, 8, v[i]);
    pb_int(&a, 20, 7);
    pb_msg(node, 5, a);
}

static inline void pb_attr_floats(pb *node, const char *name, int n, const float *v)
{
    pb a = {0};
    pb_str(&a, 1, name);
    for (int i = 0; i < n; i++)
        pb_float(&a, 7, v[i]);
    pb_int(&a, 20, 6);
    pb_msg(node, 5, a);
}

static inline void pb_attr_tensor(pb *node, const char *name, pb tensor)
{
    pb a = {0};
    pb_str(&a, 1, name);
    pb_msg(&a, 5, tensor);
    pb_int(&a, 20, 4);
    pb_msg(node, 5, a);
}

/* TensorProto without data; name NULL for none. dims are packed as new exporters do. */
static inline pb pb_tensor(const char *name, int dtype, int rank, const int64_t *dims)
{
    pb t = {0}, packed = {0};
    for (int i = 0; i < rank; i++)
        pb_varint(&packed, (uint64_t)dims[i]);
    if (rank)
        pb_msg(&t, 1, packed);
    pb_int(&t, 2, dtype);
    if (name)
        pb_str(&t, 8, name);
    return t;
}

static inline pb pb_tensor_raw(const char *name, int dtype, int rank, const int64_t *dims, const void *data, size_t bytes)
{
    pb t = pb_tensor(name, dtype, rank, dims);
    pb_bytes(&t, 9, data, bytes);
    return t;
}

/* ValueInfoProto; shape is a comma list: numbers, symbols, "?" for an unnamed free dimension; NULL = no shape, "" = scalar. */
static inline pb pb_info(const char *name, int dtype, const char *shape)
{
    pb info = {0}, type = {0}, tensor = {0}, dims = {0};
    pb_int(&tensor, 1, dtype);
    for (const char *p = shape; p && *p;) {
        char word[64] = {0};
        size_t n = strcspn(p, ",");
        pb dim = {0};
        memcpy(word, p, n < 63 ? n : 63);
        if (word[0] == '-' || (word[0] >= '0' && word[0] <= '9'))
            pb_int(&dim, 1, atoll(word));
        else if (strcmp(word, "?") != 0)
            pb_str(&dim, 2, word);
        pb_msg(&dims, 1, dim);
        p += n + (p[n] == ',');
    }
    if (shape)
        pb_msg(&tensor, 2, dims);
    pb_msg(&type, 1, tensor);
    pb_str(&info, 1, name);
    pb_msg(&info, 2, type);
    return info;
}

enum { PB_NODE = 1, PB_INITIALIZER = 5, PB_INPUT = 11, PB_OUTPUT = 12 };

/* ModelProto around a graph, opset 0 = none given. */
static inline pb pb_model(pb graph, int64_t opset)
{
    pb m = {0}, set = {0};
    pb_int(&m, 1, 8);
    pb_msg(&m, 7, graph);
    if (opset) {
        pb_str(&set, 1, "");
        pb_int(&set, 2, opset);
        pb_msg(&m, 8, set);
    }
    return m;
}

static inline bool pb_contains(const void *data, size_t size, const char *text) { return memmem(data, size, text, strlen(text)) != NULL; }

#endif
