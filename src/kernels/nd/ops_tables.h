/* The tables of inner loops, one per ISA level, and the reductions' ends that all of them share. */
#ifndef OCT_KERNELS_ND_OPS_TABLES_H
#define OCT_KERNELS_ND_OPS_TABLES_H

#include "kernels/nd/nd.h"

extern const oct_nd_ops oct_nd_ops_portable, oct_nd_ops_avx2, oct_nd_ops_avx512vnni;

#endif
