/* Choosing kernels: see tactics.h.  Measures through the timer; knows nothing of what kernels do. */
#include "build/tactics.h"

#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"

#define MARGIN 0.94 /* of the standard row's time: less gain than this is noise, of which cores shared with neighbours make much */

/* One pick. */
typedef struct decision {
    oct_family family;
    const char *kernel, *node; /* kernel: a name of the registry; node: of the arena */
    int ordinal;
} decision;

struct oct_tactics {
    oct_arena *arena;
    decision *picks;
    int64_t count, capacity;
};

static oct_status create(oct_tactics **out)
{
    oct_tactics *t = calloc(1, sizeof *t);
    if (!t)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate tactics");
    oct_status s = oct_arena_create(&t->arena);
    if (s != OCT_OK) {
        free(t);
        return s;
    }
    *out = t;
    return OCT_OK;
}

void oct_tactics_destroy(oct_tactics *t)
{
    if (!t)
        return;
    oct_arena_destroy(t->arena);
    free(t->picks);
    free(t);
}

int64_t oct_tactics_count(const oct_tactics *t)
{
    return t->count;
}
const char *oct_tactics_kernel(const oct_tactics *t, int64_t index)
{
    return t->picks[index].kernel;
}

static oct_status add(oct_tactics *t, oct_family family, const char *kernel, int ordinal, const char *node)
{
    decision d = {family, kernel, NULL, ordinal};
    char *kept = NULL;
    OCT_TRY(oct_arena_strdup(t->arena, node, &kept));
    d.node = kept;
    return OCT_PUSH(t->picks, t->count, t->capacity, d);
}

/* --- replay ----------------------------------------------------------------------------------------------------------------- */

static bool is_for(const decision *d, const oct_pick *pick)
{
    return d->family == pick->family && d->ordinal == pick->ordinal && strcmp(d->node, pick->node ? pick->node->name : "") == 0;
}

static int replay(void *user, const oct_pick *pick)
{
    const oct_tactics *t = user;
    for (int64_t i = 0; i < t->count; i++) { /* the same graph finds it at once */
        const decision *d = &t->picks[(pick->index + i) % t->count];
        if (!is_for(d, pick))
            continue;
        for (int k = 0; k < pick->count; k++)
            if (strcmp(pick->rows[k].name, d->kernel) == 0)
                return k;
        return 0;
    }
    return 0;
}

void oct_tactics_install(const oct_tactics *t, oct_lower *l)
{
    l->choose = t ? replay : NULL;
    l->choose_user = (void *)(uintptr_t)t;
}

/* --- recording: a lowering whose picks follow a rule -------------------------------------------------------------------------- */

typedef struct rule {
    int level;   /* which rows are candidates */
    int variant; /* take candidate number variant modulo their count */
    bool random;
    uint64_t seed;
} rule;

typedef struct recorder {
    rule rule;
    oct_tactics *tactics;
    int *counts; /* candidates of each pick */
    int64_t count, capacity;
    oct_status status;
} recorder;

/* Candidates of a pick as indices into its rows, the choice by shape first. Returns how many. */
static int candidates(const oct_pick *pick, int level, int out[OCT_KERNEL_ROWS_MAX])
{
    int count = 0;
    for (int i = 0; i < pick->count; i++) {
        const bool peer = pick->rows[i].isa == pick->rows[0].isa && !oct_kernel_is_reference(pick->rows[i].name);
        if (i == 0 || level >= OCT_TACTICS_LEVEL_MAX || (level == OCT_TACTICS_TIMED && peer))
            out[count++] = i;
    }
    return count;
}

static int record(void *user, const oct_pick *pick)
{
    recorder *r = user;
    int list[OCT_KERNEL_ROWS_MAX], count = candidates(pick, r->rule.level, list);
    const uint64_t which =
        r->rule.random ? oct_rng_at(r->rule.seed, (uint64_t)pick->index) % (uint64_t)count : (uint64_t)(r->rule.variant % count);
    const int row = list[which];
    if (r->status == OCT_OK)
        r->status = OCT_PUSH(r->counts, r->count, r->capacity, count);
    if (r->status == OCT_OK)
        r->status = add(r->tactics, pick->family, pick->rows[row].name, pick->ordinal, pick->node ? pick->node->name : "");
    return row;
}

/* Lower g by a rule. plan may be NULL: only the decision is wanted. */
static oct_status lower_by_rule(oct_graph *g, oct_isa isa, recorder *r, oct_plan **plan)
{
    oct_status s = OCT_OK;
    oct_lower *l = NULL;
    OCT_TRY_DONE(create(&r->tactics));
    OCT_TRY_DONE(oct_lower_create(g, isa, &l));
    l->choose = record;
    l->choose_user = r;
    OCT_TRY_DONE(oct_lower_graph(l));
    OCT_TRY_DONE(r->status);
    if (plan) {
        OCT_TRY_DONE(oct_build_memory(l->d));
        OCT_TRY_DONE(oct_draft_finish(l->d, plan));
    }
done:
    oct_lower_destroy(l);
    return s;
}

static void recorder_close(recorder *r)
{
    oct_tactics_destroy(r->tactics);
    free(r->counts);
}

static oct_status decide_once(oct_graph *g, oct_isa isa, const rule *how, oct_tactics **out)
{
    recorder r = {.rule = *how};
    oct_status s = lower_by_rule(g, isa, &r, NULL);
    if (s == OCT_OK) {
        *out = r.tactics;
        r.tactics = NULL;
    }
    recorder_close(&r);
    return s;
}

oct_status oct_tactics_random(oct_graph *g, oct_isa isa, uint64_t seed, oct_tactics **out)
{
    return decide_once(g, isa, &(rule){.level = OCT_TACTICS_LEVEL_MAX, .random = true, .seed = seed}, out);
}

/* --- by time ------------------------------------------------------------------------------------------------------------------ */

typedef struct contest {
    int count; /* variants */
    recorder variants[OCT_KERNEL_ROWS_MAX];
    oct_plan *plans[OCT_KERNEL_ROWS_MAX];
    double *seconds[OCT_KERNEL_ROWS_MAX]; /* of the steps */
} contest;

static void contest_close(contest *c)
{
    for (int i = 0; i < OCT_KERNEL_ROWS_MAX; i++) {
        recorder_close(&c->variants[i]);
        oct_plan_destroy(c->plans[i]);
        oct_free(c->seconds[i]);
    }
}

/* Variant 0 tells how many candidates the richest pick has. */
static oct_status lower_variants(oct_graph *g, oct_isa isa, int level, contest *c)
{
    c->count = 1;
    for (int v = 0; v < c->count; v++) {
        recorder *r = &c->variants[v];
        r->rule = (rule){.level = level, .variant = v};
        OCT_TRY(lower_by_rule(g, isa, r, &c->plans[v]));
        OCT_TRY(oct_alloc(c->plans[v]->step_count * (int64_t)sizeof(double), true, (void **)&c->seconds[v]));
        for (int64_t i = 0; v == 0 && i < r->count; i++)
            c->count = r->counts[i] > c->count ? r->counts[i] : c->count;
        if (r->count != c->variants[0].count || c->plans[v]->step_count != c->plans[0]->step_count)
            return oct_fail(OCT_ERR_INTERNAL, "graph '%s' lowers to other steps with other kernels", g->name);
    }
    return OCT_OK;
}

/* Winners into variant 0's decision. Pick number i is the i-th step with a tactic. */
static oct_status take_winners(contest *c)
{
    const oct_plan *p = c->plans[0];
    const recorder *standard = &c->variants[0];
    int64_t pick = 0;
    for (int32_t step = 0; step < p->step_count; step++) {
        if (!*oct_plan_string(p, p->steps[step].tactic))
            continue;
        if (pick >= standard->count)
            return oct_fail(OCT_ERR_INTERNAL, "step '%s' has a tactic that nobody picked", oct_plan_string(p, p->steps[step].name));
        double least = MARGIN * c->seconds[0][step];
        for (int v = 1; v < standard->counts[pick]; v++)
            if (c->seconds[v][step] < least) {
                least = c->seconds[v][step];
                standard->tactics->picks[pick].kernel = c->variants[v].tactics->picks[pick].kernel;
            }
        pick++;
    }
    return pick == standard->count ? OCT_OK : oct_fail(OCT_ERR_INTERNAL, "a kernel was picked for no step");
}

oct_status oct_tactics_choose(oct_graph *g, oct_isa isa, oct_timer *t, int level, oct_tactics **out)
{
    oct_status s = OCT_OK;
    contest c = {0};
    if (level < 0 || level > OCT_TACTICS_LEVEL_MAX)
        return oct_fail(OCT_ERR_USAGE, "tactic level %d; the levels are 0 to %d", level, (int)OCT_TACTICS_LEVEL_MAX);
    if (level < OCT_TACTICS_TIMED)
        return decide_once(g, isa, &(rule){.level = level}, out);
    OCT_TRY_DONE(lower_variants(g, isa, level, &c));
    if (c.count > 1) {
        OCT_TRY_DONE(oct_timer_steps(t, (const oct_plan *const *)c.plans, c.count, c.seconds));
        OCT_TRY_DONE(take_winners(&c));
    }
    *out = c.variants[0].tactics;
    c.variants[0].tactics = NULL;
done:
    contest_close(&c);
    return s;
}

/* --- the recipe --------------------------------------------------------------------------------------------------------------- */

oct_status oct_tactics_write(const oct_tactics *t, char **text)
{
    oct_text out = {0};
    for (int64_t i = 0; i < t->count; i++) {
        const decision *d = &t->picks[i];
        oct_text_printf(&out, "%s %s %d ", oct_family_name(d->family), d->kernel, d->ordinal);
        for (const char *c = d->node; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 127 || *c == '\\')
                oct_text_printf(&out, "\\x%02X", (unsigned)(unsigned char)*c);
            else
                oct_text_append(&out, c, 1);
        oct_text_append(&out, "\n", 1);
    }
    return oct_text_finish(&out, text);
}

/* The text before the next blank, NUL-terminated in place; NULL when there is none. */
static char *word(char **at)
{
    char *start = *at, *blank = strchr(start, ' ');
    if (!blank || blank == start)
        return NULL;
    *blank = 0;
    *at = blank + 1;
    return start;
}

/* \xHH back to bytes, in place; false when a backslash starts nothing else. */
static bool unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        if (from[1] != 'x' || strspn(from + 2, "0123456789ABCDEF") < 2)
            return false;
        const char digits[3] = {from[2], from[3], 0};
        long code = strtol(digits, NULL, 16);
        if (code == 0)
            return false;
        *to++ = (char)code;
        from += 3;
    }
    *to = 0;
    return true;
}

static oct_status parse_line(char *line, long number, oct_tactics *t)
{
    char *family = word(&line), *kernel = family ? word(&line) : NULL, *ordinal = kernel ? word(&line) : NULL, *end = NULL;
    long pick = ordinal ? strtol(ordinal, &end, 10) : -1;
    if (!ordinal || *end || pick < 0 || pick > INT32_MAX || !unescape(line))
        return oct_fail(OCT_ERR_CONTENT, "tactics: line %ld is not of the form 'family kernel number node'", number);
    int f = oct_family_parse(family);
    const char *name = f < 0 ? NULL : oct_kernel_name((oct_family)f, kernel);
    if (!name)
        return oct_fail(OCT_ERR_CONTENT, "tactics: line %ld: this build has no kernel '%.60s' in a family '%.60s'", number, kernel,
                        family);
    return add(t, (oct_family)f, name, (int)pick, line);
}

oct_status oct_tactics_parse(const char *text, oct_tactics **out)
{
    oct_status s = OCT_OK;
    oct_tactics *t = NULL;
    char *copy = strdup(text);
    long number = 0;
    if (!copy)
        return oct_fail(OCT_ERR_MEMORY, "cannot copy tactics");
    OCT_TRY_DONE(create(&t));
    for (char *line = copy, *next; *line; line = next) {
        number++;
        next = strchr(line, '\n');
        if (!next)
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "tactics: line %ld is cut off", number);
        *next++ = 0;
        OCT_TRY_DONE(parse_line(line, number, t));
    }
    *out = t;
    t = NULL;
done:
    oct_tactics_destroy(t);
    free(copy);
    return s;
}
