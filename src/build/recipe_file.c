/* Bytes of a recipe: a head with the sizes of four parts, then the parts: settings (JSON), ranges (the calibration cache's JSON;
 * empty = none), tactics (text; empty = none) and the model (ONNX).  DESIGN 5.7, 5.9.  Checksums are the plan file's business. */
#include "build/recipe_file.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "build/tactics.h"
#include "onnx/model.h"
#include "plan/plan.h"
#include "qparam/cache.h"

#define MAGIC "OCTRECIP"
enum { VERSION = 1, SETTINGS = 0, RANGES, TACTICS, MODEL, PARTS };

typedef struct head {
    char magic[8];
    uint32_t version, unused;
    uint64_t size[PARTS];
} head;

/* --- writing --- */
static void add_texts(cJSON *root, const char *key, const char *const *texts, int count)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(texts[i]));
}

static oct_status settings_text(const oct_recipe *r, const oct_build_options *opts, char **out)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddBoolToObject(root, "float", r->as_float);
    cJSON_AddNumberToObject(root, "batch", (double)opts->batch);
    add_texts(root, "dims", opts->dims, opts->dim_count);
    add_texts(root, "taps", opts->taps, opts->tap_count);
    cJSON *held = cJSON_AddArrayToObject(root, "held");
    for (int64_t i = 0; i < r->held_count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "layer", r->held[i].layer);
        cJSON_AddStringToObject(o, "reason", r->held[i].reason);
        cJSON_AddItemToArray(held, o);
    }
    cJSON *io = cJSON_AddArrayToObject(root, "io");
    for (int64_t i = 0; i < r->io_count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", r->io[i].name);
        cJSON_AddNumberToObject(o, "io", r->io[i].io);
        cJSON_AddNumberToObject(o, "axis", r->io[i].channel_axis);
        cJSON_AddItemToArray(io, o);
    }
    *out = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "no memory for a recipe");
}

static oct_status ranges_text(const oct_ranges *ranges, char **out)
{
    oct_text t = {0};
    oct_status s = oct_cache_write_json(ranges, &t);
    if (s == OCT_OK)
        return oct_text_finish(&t, out);
    oct_text_discard(&t);
    return s;
}

oct_status oct_recipe_write(const oct_recipe *r, const oct_model *model, const oct_build_options *opts, void **data, int64_t *size)
{
    oct_status s = OCT_OK;
    head h = {.magic = MAGIC, .version = VERSION};
    char *settings = NULL, *ranges = NULL, *tactics = NULL;
    void *onnx = NULL;
    int64_t onnx_size = 0, total = sizeof h;
    OCT_TRY_DONE(settings_text(r, opts, &settings));
    if (r->ranges)
        OCT_TRY_DONE(ranges_text(r->ranges, &ranges));
    if (r->tactics)
        OCT_TRY_DONE(oct_tactics_write(r->tactics, &tactics));
    OCT_TRY_DONE(oct_model_save_memory(model, &onnx, &onnx_size));
    const void *const part[PARTS] = {settings, ranges, tactics, onnx};
    for (int i = 0; i < PARTS; i++) {
        h.size[i] = i == MODEL ? (uint64_t)onnx_size : part[i] ? strlen(part[i]) : 0;
        OCT_TRY_DONE(oct_size_add(total, (int64_t)h.size[i], &total));
    }
    uint8_t *at = malloc((size_t)total);
    if (!at)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for a recipe of %lld bytes", (long long)total);
    *data = at;
    *size = total;
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    for (int i = 0; i < PARTS; at += h.size[i++])
        if (h.size[i])
            memcpy(at, part[i], h.size[i]);
done:
    cJSON_free(settings);
    free(ranges);
    free(tactics);
    free(onnx);
    return s;
}

/* --- reading --- */
static oct_status bad_recipe(const char *what)
{
    return oct_fail(OCT_ERR_CONTENT, "the plan's recipe: %s", what);
}

static oct_status get_texts(oct_arena *arena, const cJSON *root, const char *key, const char *const **out, int *count)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *item;
    const char **texts;
    int n = 0;
    char *copy;
    if (!cJSON_IsArray(list))
        return bad_recipe("a list is missing");
    OCT_TRY(oct_arena_alloc(arena, (cJSON_GetArraySize(list) + 1) * (int64_t)sizeof *texts, (void **)&texts));
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return bad_recipe("a list holds something else than text");
        OCT_TRY(oct_arena_strdup(arena, item->valuestring, &copy));
        texts[n++] = copy;
    }
    *out = texts;
    *count = n;
    return OCT_OK;
}

static oct_status read_held(const cJSON *list, oct_recipe *r)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *layer = cJSON_GetObjectItemCaseSensitive(item, "layer"),
                    *reason = cJSON_GetObjectItemCaseSensitive(item, "reason");
        if (!cJSON_IsString(layer) || !cJSON_IsString(reason))
            return bad_recipe("a held layer has no name or reason");
        OCT_TRY(oct_recipe_hold(r, layer->valuestring, reason->valuestring));
    }
    return OCT_OK;
}

static oct_status read_io(const cJSON *list, oct_recipe *r)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name"), *io = cJSON_GetObjectItemCaseSensitive(item, "io");
        const cJSON *axis = cJSON_GetObjectItemCaseSensitive(item, "axis");
        if (!cJSON_IsString(name) || !cJSON_IsNumber(io) || !cJSON_IsNumber(axis))
            return bad_recipe("an input or output is not described");
        const int kind = io->valueint, at = axis->valueint;
        if (kind < OCT_IO_CODES || kind > OCT_IO_PIXELS_NHWC || (kind == OCT_IO_CODES ? at != 0 : at != 1 && at != 3))
            return bad_recipe("an input or output is of no known kind");
        OCT_TRY(oct_recipe_set_io(r, name->valuestring, (oct_io)kind, at));
    }
    return OCT_OK;
}

static oct_status read_settings(const char *text, size_t size, oct_stored_recipe *out)
{
    oct_status s = OCT_OK;
    oct_recipe *r = out->recipe;
    cJSON *root = cJSON_ParseWithLength(text, size);
    const cJSON *as_float = cJSON_GetObjectItemCaseSensitive(root, "float"),
                *batch = cJSON_GetObjectItemCaseSensitive(root, "batch");
    const cJSON *held = cJSON_GetObjectItemCaseSensitive(root, "held"), *io = cJSON_GetObjectItemCaseSensitive(root, "io");
    if (!cJSON_IsBool(as_float) || !cJSON_IsNumber(batch) || !(batch->valuedouble >= 0 && batch->valuedouble <= INT32_MAX) ||
        !cJSON_IsArray(held) || !cJSON_IsArray(io)) {
        s = bad_recipe("a setting is missing");
        goto done;
    }
    r->as_float = cJSON_IsTrue(as_float);
    out->opts.mode = r->as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST;
    out->opts.batch = (int64_t)batch->valuedouble;
    OCT_TRY_DONE(get_texts(r->arena, root, "dims", &out->opts.dims, &out->opts.dim_count));
    OCT_TRY_DONE(get_texts(r->arena, root, "taps", &out->opts.taps, &out->opts.tap_count));
    OCT_TRY_DONE(read_held(held, r));
    OCT_TRY_DONE(read_io(io, r));
done:
    cJSON_Delete(root);
    return s;
}

static oct_status read_ranges(const uint8_t *data, size_t size, oct_ranges **out)
{
    char *text = strndup((const char *)data, size); /* the parser wants a NUL behind */
    if (!text)
        return oct_fail(OCT_ERR_MEMORY, "no memory for a recipe");
    oct_status s = oct_cache_read_json(text, (int64_t)strlen(text), out);
    free(text);
    return s;
}

oct_status oct_recipe_read(const void *data, int64_t size, oct_stored_recipe *out)
{
    oct_status s = OCT_OK;
    oct_stored_recipe r = {0};
    const uint8_t *part[PARTS], *at = (const uint8_t *)data + sizeof(head);
    head h;
    if (size < (int64_t)sizeof h || memcmp(data, MAGIC, sizeof h.magic) != 0)
        return bad_recipe("it is none");
    memcpy(&h, data, sizeof h);
    if (h.version != VERSION)
        return oct_fail(OCT_ERR_CONTENT,
                        "the plan's recipe has version %u, this version of Octavo reads version %d: build the plan again",
                        h.version, VERSION);
    uint64_t room = (uint64_t)size - sizeof h;
    for (int i = 0; i < PARTS; i++) {
        if (h.size[i] > room)
            return bad_recipe("its parts are longer than it is");
        part[i] = at;
        at += h.size[i];
        room -= h.size[i];
    }
    if (room)
        return bad_recipe("there is something behind its parts");
    OCT_TRY_DONE(oct_recipe_create(&r.recipe));
    OCT_TRY_DONE(read_settings((const char *)part[SETTINGS], h.size[SETTINGS], &r));
    if (h.size[RANGES])
        OCT_TRY_DONE(read_ranges(part[RANGES], h.size[RANGES], &r.recipe->ranges));
    if (h.size[TACTICS]) {
        char *text;
        OCT_TRY_DONE(oct_arena_alloc(r.recipe->arena, (int64_t)h.size[TACTICS] + 1, (void **)&text));
        memcpy(text, part[TACTICS], h.size[TACTICS]);
        OCT_TRY_DONE(oct_tactics_parse(text, &r.recipe->tactics));
    }
    OCT_TRY_DONE(oct_model_load_memory(part[MODEL], h.size[MODEL], "model of the plan's recipe", &r.model));
    *out = r;
    return OCT_OK;
done:
    oct_stored_recipe_free(&r);
    return s;
}

oct_status oct_recipe_of_plan(const oct_plan *plan, oct_stored_recipe *out)
{
    if (!plan->recipe_size)
        return oct_fail(OCT_ERR_USAGE, "the plan does not carry its model and recipe: build it with --refit, or with a profile");
    return oct_recipe_read(plan->recipe, plan->recipe_size, out);
}

void oct_stored_recipe_free(oct_stored_recipe *s)
{
    oct_recipe_destroy(s->recipe);
    oct_model_destroy(s->model);
    *s = (oct_stored_recipe){0};
}
