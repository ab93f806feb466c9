/* Calibration states as files, and merging them (docs/formats.md "calibration state"; DESIGN 4.1).  The graph travels along, so that
 * merging needs no model. A file is checked in full (magic, version, length, checksum, every number) before anything is merged. */
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/hash.h"
#include "quant/calibrator.h"

static const char magic[8] = {'O', 'C', 'T', 'C', 'A', 'L', 'I', 'B'};
enum { VERSION = 1, HEADER = 8 + 4 + 8 + 8 };

/* --- writing --- */

static void put_fixed(uint8_t *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_fixed(const uint8_t *from, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)from[i] << (8 * i);
    return v;
}

static void put_kept(oct_text *t, const oct_kept *k, int64_t inputs)
{
    oct_put_uint(t, (uint64_t)k->id);
    for (int64_t i = 0; i < inputs; i++) {
        const oct_tensor *x = &k->inputs[i];
        for (int d = 1; d < x->rank; d++)
            oct_put_uint(t, (uint64_t)x->dims[d]);
        oct_put_block(t, x->data, oct_tensor_count(x) * (int64_t)oct_dtype_size(x->dtype));
    }
}

static oct_status payload(const oct_calibrator *cal, char **out, int64_t *size)
{
    oct_text t = {0};
    oct_put_block(&t, cal->hash, (int64_t)strlen(cal->hash));
    oct_put_block(&t, cal->bytes, cal->size);
    oct_put_uint(&t, (uint64_t)cal->samples);
    oct_put_uint(&t, (uint64_t)cal->watch_count);
    for (int64_t i = 0; i < cal->watch_count; i++) {
        oct_put_block(&t, cal->watches[i].name, (int64_t)strlen(cal->watches[i].name));
        oct_observer_write(cal->watches[i].observer, &t);
    }
    oct_put_uint(&t, (uint64_t)cal->kept_count);
    for (int i = 0; i < cal->kept_count; i++)
        put_kept(&t, &cal->kept[i], cal->model->graph->input_count);
    *size = t.size;
    return oct_text_finish(&t, out);
}

oct_status oct_calibrator_save(const oct_calibrator *cal, const char *path)
{
    oct_status s = OCT_OK;
    char *data = NULL;
    int64_t size;
    uint8_t header[HEADER];
    oct_file_out *f = NULL, *whole;
    OCT_TRY(payload(cal, &data, &size));
    memcpy(header, magic, sizeof magic);
    put_fixed(header + 8, VERSION, 4);
    put_fixed(header + 12, (uint64_t)size, 8);
    put_fixed(header + 20, oct_hash64(data, (size_t)size, 0), 8);
    OCT_TRY_DONE(oct_file_begin(path, &f));
    OCT_TRY_DONE(oct_file_put(f, header, sizeof header));
    OCT_TRY_DONE(oct_file_put(f, data, size));
    whole = f;
    f = NULL;
    s = oct_file_commit(whole);
done:
    oct_file_abort(f);
    free(data);
    return s;
}

/* --- reading --- */

static oct_status open_payload(const void *data, int64_t size, oct_bytes *b)
{
    const uint8_t *p = data;
    if (size < HEADER || memcmp(p, magic, sizeof magic) != 0)
        return oct_fail(OCT_ERR_CONTENT, "the file is no calibration state");
    if (get_fixed(p + 8, 4) != VERSION)
        return oct_fail(OCT_ERR_CONTENT, "calibration state of version %u; this build reads version %d", (unsigned)get_fixed(p + 8, 4), VERSION);
    if (get_fixed(p + 12, 8) != (uint64_t)(size - HEADER))
        return oct_fail(OCT_ERR_CONTENT, "calibration state: the file is cut short or too long");
    if (get_fixed(p + 20, 8) != oct_hash64(p + HEADER, (size_t)(size - HEADER), 0))
        return oct_fail(OCT_ERR_CONTENT, "calibration state: the checksum does not match");
    *b = (oct_bytes){p + HEADER, p + size};
    return OCT_OK;
}

static oct_status get_kept(oct_bytes *b, oct_calibrator *cal)
{
    uint64_t id = 0, d = 0;
    const oct_graph *g = cal->model->graph;
    oct_tensor *inputs = calloc((size_t)g->input_count + 1, sizeof *inputs);
    oct_status s = inputs ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "cannot read a kept sample");
    if (s == OCT_OK)
        s = oct_get_uint(b, UINT64_MAX, &id);
    for (int64_t i = 0; s == OCT_OK && i < g->input_count; i++) {
        oct_tensor *t = &inputs[i];
        const void *data = NULL;
        int64_t size = 0, count = 0;
        *t = (oct_tensor){.dtype = g->inputs[i]->dtype, .rank = g->inputs[i]->shape.rank};
        t->dims[0] = 1;
        for (int k = 1; s == OCT_OK && k < t->rank; k++) {
            s = oct_get_uint(b, INT32_MAX, &d);
            t->dims[k] = (int64_t)d;
            if (s == OCT_OK && g->inputs[i]->shape.dim[k] >= 0 && g->inputs[i]->shape.dim[k] != t->dims[k])
                s = oct_fail(OCT_ERR_CONTENT, "calibration state: a kept sample does not fit the model");
        }
        if (s == OCT_OK)
            s = oct_size_count(t->dims, t->rank, &count);
        if (s == OCT_OK)
            s = oct_get_block(b, &data, &size);
        if (s == OCT_OK && (t->rank < 1 || size != count * (int64_t)oct_dtype_size(t->dtype)))
            s = oct_fail(OCT_ERR_CONTENT, "calibration state: a kept sample does not fit the model");
        if (s == OCT_OK)
            t->data = (void *)data;
    }
    if (s == OCT_OK)
        s = oct_calibrator_keep(cal, (int64_t)id, inputs);
    free(inputs);
    return s;
}

static oct_status read_statistics(oct_bytes *b, oct_calibrator *cal)
{
    uint64_t count = 0, samples = 0;
    OCT_TRY(oct_get_uint(b, INT64_MAX >> 1, &samples));
    OCT_TRY(oct_get_uint(b, INT64_MAX, &count));
    if ((int64_t)count != cal->watch_count)
        return oct_fail(OCT_ERR_CONTENT, "calibration state: %llu tensors, the model has %lld", (unsigned long long)count, (long long)cal->watch_count);
    for (int64_t i = 0; i < cal->watch_count; i++) {
        oct_watch *w = &cal->watches[i];
        const void *name = NULL;
        int64_t length = 0;
        oct_observer *o = NULL;
        OCT_TRY(oct_get_block(b, &name, &length));
        if (length != (int64_t)strlen(w->name) || memcmp(name, w->name, (size_t)length) != 0)
            return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "calibration state: tensor %lld should be '%s'", (long long)i, w->name), w->name);
        OCT_TRY(oct_observer_read(b, &o));
        oct_status s = oct_observer_merge(w->observer, o);
        oct_observer_destroy(o);
        if (s != OCT_OK)
            return oct_fail_node(s, w->name);
    }
    OCT_TRY(oct_get_uint(b, (uint64_t)cal->kept_limit, &count));
    for (uint64_t i = 0; i < count; i++)
        OCT_TRY(get_kept(b, cal));
    if (b->at != b->end)
        return oct_fail(OCT_ERR_CONTENT, "calibration state: something follows the last sample");
    cal->samples += (int64_t)samples;
    return OCT_OK;
}

static oct_status read_model(oct_bytes *b, char hash[17], const void **bytes, int64_t *size)
{
    const void *text = NULL;
    int64_t length = 0;
    OCT_TRY(oct_get_block(b, &text, &length));
    if (length != 16 || memchr(text, 0, 16))
        return oct_fail(OCT_ERR_CONTENT, "calibration state: the model's hash is damaged");
    memcpy(hash, text, 16);
    hash[16] = 0;
    return oct_get_block(b, bytes, size);
}

static oct_status from_file(const void *data, int64_t size, const oct_quant_options *opts, oct_calibrator **out)
{
    oct_bytes b;
    const void *model = NULL;
    char hash[17];
    int64_t model_size = 0;
    oct_calibrator *cal = NULL;
    OCT_TRY(open_payload(data, size, &b));
    OCT_TRY(read_model(&b, hash, &model, &model_size));
    void *copy = malloc((size_t)model_size + 1);
    if (!copy)
        return oct_fail(OCT_ERR_MEMORY, "cannot load a model of %lld bytes", (long long)model_size);
    memcpy(copy, model, (size_t)model_size);
    OCT_TRY(oct_calibrator_from_bytes(copy, model_size, hash, opts, &cal));
    oct_status s = read_statistics(&b, cal);
    if (s == OCT_OK)
        *out = cal;
    else
        oct_calibrator_destroy(cal);
    return s;
}

oct_status oct_calibrator_load(const char *path, const oct_quant_options *opts, oct_calibrator **out)
{
    void *data = NULL;
    int64_t size;
    OCT_TRY(oct_file_read(path, &data, &size));
    oct_status s = from_file(data, size, opts, out);
    free(data);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}

/* --- merging --- */

static oct_status merge(oct_calibrator *cal, const oct_calibrator *from)
{
    if (strcmp(cal->hash, from->hash) != 0 || cal->size != from->size || memcmp(cal->bytes, from->bytes, (size_t)cal->size) != 0)
        return oct_fail(OCT_ERR_CONTENT, "the state belongs to another model: its hash is %s, this one's is %s", from->hash, cal->hash);
    for (int i = 0; i < from->kept_count; i++)
        for (int k = 0; k < cal->kept_count; k++)
            if (from->kept[i].id == cal->kept[k].id)
                return oct_fail(OCT_ERR_CONTENT, "sample %lld is in both states: shards must not overlap", (long long)from->kept[i].id);
    for (int64_t i = 0; i < cal->watch_count; i++)
        OCT_TRY(oct_observer_merge(cal->watches[i].observer, from->watches[i].observer));
    for (int i = 0; i < from->kept_count; i++)
        OCT_TRY(oct_calibrator_keep(cal, from->kept[i].id, from->kept[i].inputs));
    cal->samples += from->samples;
    return OCT_OK;
}

oct_status oct_calibrator_merge(oct_calibrator *cal, const char *path)
{
    oct_calibrator *from = NULL;
    OCT_TRY(oct_calibrator_load(path, &cal->opts, &from));
    oct_status s = merge(cal, from);
    oct_calibrator_destroy(from);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}
