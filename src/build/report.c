/* The builder's report: of every node of the source model what it became and why, and what was timed on the way.  Accounts for all
 * nodes. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "build/builder.h"
#include "ir/op.h"
#include "ir/strmap.h"

oct_status oct_build_note(oct_build_notes *notes, const char *format, ...)
{
    char line[1024], *kept;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    OCT_TRY(oct_arena_strdup(notes->arena, line, &kept));
    return OCT_PUSH(notes->text, notes->count, notes->capacity, kept);
}

/* --- which step speaks for a node --- */

oct_status oct_source_next(oct_arena *arena, const char **at, char **name)
{
    const size_t n = strcspn(*at, "\n");
    OCT_TRY(oct_arena_printf(arena, name, "%.*s", (int)n, *at));
    *at += n + ((*at)[n] == '\n');
    return OCT_OK;
}

/* Of several steps of one node the one that computes: conversions come last. */
static int rank_of(const oct_plan_step *s)
{
    return s->precision == OCT_PREC_CONVERT ? 1 : 2;
}

static oct_status map_steps(const oct_plan *p, oct_strmap *map)
{
    for (int32_t i = 0; i < p->step_count; i++) {
        for (const char *at = oct_plan_string(p, p->steps[i].sources); *at;) {
            char *name;
            int64_t have;
            OCT_TRY(oct_source_next(map->arena, &at, &name));
            if (!oct_strmap_find(map, name, &have) || rank_of(&p->steps[have]) < rank_of(&p->steps[i]))
                OCT_TRY(oct_strmap_put(map, name, i));
        }
    }
    return OCT_OK;
}

static oct_status map_times(const oct_search_result *found, oct_strmap *map)
{
    for (int64_t i = 0; i < found->layer_count; i++)
        OCT_TRY(oct_strmap_put(map, found->layers[i].layer, i));
    return OCT_OK;
}

static void add_layer(cJSON *list, const oct_node *n, const oct_plan *p, const oct_strmap *steps, const oct_search_result *found,
                      const oct_strmap *times)
{
    int64_t at;
    const char *name = n->source_count ? n->sources[0] : n->name;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "layer", name);
    cJSON_AddStringToObject(o, "op", oct_op_get(n->op)->name);
    if (oct_strmap_find(steps, name, &at)) {
        const oct_plan_step *s = &p->steps[at];
        cJSON_AddStringToObject(o, "step", oct_plan_string(p, s->name));
        cJSON_AddStringToObject(o, "precision", oct_precision_name((oct_precision)s->precision));
        cJSON_AddStringToObject(o, "reason", s->precision == OCT_PREC_INT8 ? "" : oct_plan_string(p, s->reason));
    } else {
        cJSON_AddStringToObject(o, "precision", "none");
        cJSON_AddStringToObject(o, "reason", "no step: a view, a constant, or folded into a neighbour");
    }
    if (oct_strmap_find(times, name, &at)) {
        cJSON_AddNumberToObject(o, "int8_us", found->layers[at].int8 * 1e6);
        cJSON_AddNumberToObject(o, "float_us", found->layers[at].floats * 1e6);
    }
    cJSON_AddItemToArray(list, o);
}

static cJSON *candidates_json(const oct_search_result *found)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < found->candidate_count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", found->candidates[i].name);
        cJSON_AddNumberToObject(o, "ms", found->candidates[i].seconds * 1e3);
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

oct_status oct_build_report(const oct_graph *source, const oct_plan *plan, const oct_recipe *r, const oct_search_result *found,
                            const oct_build_notes *notes, char **json)
{
    oct_status s = OCT_OK;
    oct_strmap steps = {.arena = r->arena}, times = {.arena = r->arena};
    cJSON *root = cJSON_CreateObject(), *list;
    OCT_TRY_DONE(map_steps(plan, &steps));
    OCT_TRY_DONE(map_times(found, &times));
    cJSON_AddStringToObject(root, "mode", r->ranges ? "calibrated" : r->as_float ? "float" : "explicit");
    cJSON_AddStringToObject(root, "chosen", found->chosen ? found->chosen : "");
    cJSON_AddItemToObject(root, "candidates", candidates_json(found));
    list = cJSON_AddArrayToObject(root, "layers");
    for (int64_t i = 0; i < source->node_count; i++)
        add_layer(list, source->nodes[i], plan, &steps, found, &times);
    list = cJSON_AddArrayToObject(root, "notes");
    for (int64_t i = 0; i < notes->count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(notes->text[i]));
    *json = cJSON_PrintUnformatted(root);
    if (!*json)
        s = oct_fail(OCT_ERR_MEMORY, "no memory for a report");
done:
    cJSON_Delete(root);
    return s;
}
