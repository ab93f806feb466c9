/* Generic kernels on strided n-dimensional views: the element functions and inner loops behind the plan's generic steps.
 *
 * Pure functions on a contiguous range of outer units, so that the runtime can cut them over threads. Transcendental functions are
 * our own polynomials in a fixed order of plain operations: the same bits on every ISA level (DESIGN 3.7). */
#ifndef OCT_KERNELS_ND_ND_H
#define OCT_KERNELS_ND_ND_H

#include <stdint.h>

/* Same bits everywhere; relative error bounds in docs/numerics.md. */
float oct_expf(float x);
float oct_logf(float x);
float oct_tanhf(float x);
float oct_sigmoidf(float x);
float oct_erff(float x);

#endif
