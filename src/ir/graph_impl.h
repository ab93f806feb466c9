/* What graph.c and edit.c share and nobody else sees: the indices behind oct_graph.index. */
#ifndef OCT_IR_GRAPH_IMPL_H
#define OCT_IR_GRAPH_IMPL_H

#include "ir/ir.h"
#include "ir/strmap.h"

typedef struct oct_graph_index {
    oct_strmap values;  /* name -> position in graph->values */
    oct_strmap symbols; /* name -> position in graph->symbols */
    oct_strmap stems;   /* stem -> last number given out */
    oct_strmap metas;   /* key -> position in graph->meta_keys */
} oct_graph_index;

static inline oct_graph_index *oct_graph_index_of(const oct_graph *g) { return g->index; }

/* Append to an arena array {items, count, capacity} of pointers. */
oct_status oct_graph_push(oct_graph *g, void ***items, int64_t *count, int64_t *capacity, void *item);
/* Position of v in g->values, -1 when v does not belong to g. */
int64_t oct_graph_position(const oct_graph *g, const oct_value *v);
/* Build the value index anew from g->values. */
oct_status oct_graph_reindex(oct_graph *g);

#endif
