/* What the parts of the builder share: its state, notes for the user, the report.  Private to src/build. */
#ifndef OCT_BUILD_BUILDER_H
#define OCT_BUILD_BUILDER_H

#include "build/recipe.h"
#include "plan/plan.h"

typedef struct oct_constraint {
    const char *layer;
    oct_layer_precision precision;
} oct_constraint;

/* Shapes of one input, in the model's order of axes. */
typedef struct oct_profile {
    const oct_value *input; /* of the model */
    int64_t min[OCT_MAX_RANK], opt[OCT_MAX_RANK], max[OCT_MAX_RANK];
} oct_profile;

typedef struct oct_io_wish {
    const char *name;
    oct_io io;
} oct_io_wish;

struct oct_builder {
    const oct_model *model;   /* borrowed */
    oct_arena *arena;         /* owns names of layers */
    oct_ranges *cache, *user; /* owned; NULL = none */
    oct_constraint *constraints;
    int64_t constraint_count, constraint_capacity;
    oct_io_wish *io;
    int64_t io_count, io_capacity;
    oct_profile *profiles; /* one an input at most */
    int64_t profile_count, profile_capacity;
    char *report; /* of the last build; malloc'd */
};

/* Sentences that the user shall read; they live in the arena. */
typedef struct oct_build_notes {
    oct_arena *arena;
    const char **text; /* free() it */
    int64_t count, capacity;
} oct_build_notes;
oct_status oct_build_note(oct_build_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A finished candidate of the precision search, whole runs. */
typedef struct oct_candidate_time {
    const char *name;
    double seconds;
} oct_candidate_time;

/* Times of a layer in its two precisions, as the search saw them. */
typedef struct oct_layer_time {
    const char *layer;   /* first source */
    double int8, floats; /* seconds */
} oct_layer_time;

/* What the precision search found, for the report; names live in the recipe's arena. */
typedef struct oct_search_result {
    oct_candidate_time candidates[3];
    int candidate_count;
    const char *chosen; /* NULL when nothing was searched */
    oct_layer_time *layers;
    int64_t layer_count;
} oct_search_result;

/* The report as JSON text (malloc'd): see oct_builder_report_json. */
oct_status oct_build_report(const oct_graph *source, const oct_plan *plan, const oct_recipe *r, const oct_search_result *found,
                            const oct_build_notes *notes, char **json);
/* The next name of a step's list of sources (joined by line ends), copied into the arena; *at moves behind it. */
oct_status oct_source_next(oct_arena *arena, const char **at, char **name);

#endif
