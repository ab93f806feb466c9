/* The choice of precision as an energy: units with times, tensors between them with conversion times (DESIGN 5.1).  Knows no plans
 * and no clocks; precision.c fills in the figures. */
#ifndef OCT_BUILD_ENERGY_H
#define OCT_BUILD_ENERGY_H

#include "ir/ir.h"
#include "ir/strmap.h"
#include "qparam/placement.h"

/* Arrays are by node index of g, or by value index (the mark that placement leaves), in g's arena. */
typedef struct oct_units {
    oct_graph *g;           /* exported float graph; layers that cannot be INT8 are held; owned */
    oct_placement p;        /* of g: the uses that may read codes; owned */
    oct_strmap nodes;       /* source name -> node */
    bool *asks;             /* node: reads codes when everything is INT8 */
    int32_t *parent, *unit; /* node: union-find, and its result. Nodes of one unit decide together */
    bool *capable;          /* unit: some node of it asks */
    bool *wanted;           /* node: the user wants it in INT8 */
    bool any_wanted;
    double *int8, *floats;         /* unit: seconds of its steps in the one and the other */
    double *quantize, *dequantize; /* value: seconds of its conversions; 0 where it gets no pair */
} oct_units;

/* Placement of u->g, and arrays with every node a unit of its own. */
oct_status oct_units_create(oct_units *u);
void oct_units_destroy(oct_units *u);

/* hold[node]: which asking nodes stay float in a cheapest assignment. */
oct_status oct_energy_minimise(oct_units *u, bool *hold);

#endif
