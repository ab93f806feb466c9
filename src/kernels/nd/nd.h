/* Generic kernels on strided n-dimensional views: the element functions and inner loops behind the plan's generic steps.
 *
 * Pure functions on a part of the work, so that the runtime can cut them over threads. Transcendental functions are our own
 * polynomials in a fixed order of plain operations, sums go over one fixed tree of 16 lanes: the same bits on every ISA level, for
 * any number of threads and any layout (DESIGN 3.7). Only the float matmul may differ between levels. */
#ifndef OCT_KERNELS_ND_ND_H
#define OCT_KERNELS_ND_ND_H

#include <octavo/tensor.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cpu/cpu.h"

/* --- what plan params name (plan/params.h) --------------------------------------------------------------------------- */
typedef enum oct_unary_fn {
    OCT_UNARY_RELU, OCT_UNARY_LEAKY_RELU, OCT_UNARY_CLIP, OCT_UNARY_SIGMOID, OCT_UNARY_HARD_SIGMOID, OCT_UNARY_HARD_SWISH,
    OCT_UNARY_TANH, OCT_UNARY_ELU, OCT_UNARY_SOFTPLUS, OCT_UNARY_ERF, OCT_UNARY_EXP, OCT_UNARY_LOG, OCT_UNARY_SQRT,
    OCT_UNARY_NEG, OCT_UNARY_ABS, OCT_UNARY_RECIPROCAL, OCT_UNARY_GELU, OCT_UNARY_GELU_TANH, OCT_UNARY_SILU, OCT_UNARY_FLOOR,
    OCT_UNARY_CEIL, OCT_UNARY_NOT, OCT_UNARY_ROUND, OCT_UNARY_SIGN, OCT_UNARY_SIN, OCT_UNARY_COS, OCT_UNARY_TAN, OCT_UNARY_ASIN,
    OCT_UNARY_ACOS, OCT_UNARY_ATAN, OCT_UNARY_SINH, OCT_UNARY_COSH, OCT_UNARY_ASINH, OCT_UNARY_ACOSH, OCT_UNARY_ATANH,
    OCT_UNARY_BIT_NOT,
    OCT_UNARY_COUNT
} oct_unary_fn;
typedef enum oct_binary_fn {
    OCT_BINARY_ADD, OCT_BINARY_SUB, OCT_BINARY_MUL, OCT_BINARY_DIV, OCT_BINARY_MIN, OCT_BINARY_MAX, OCT_BINARY_POW,
    OCT_BINARY_PRELU, OCT_BINARY_EQUAL, OCT_BINARY_GREATER, OCT_BINARY_LESS, OCT_BINARY_GREATER_EQUAL, OCT_BINARY_LESS_EQUAL,
    OCT_BINARY_MOD, OCT_BINARY_FMOD, OCT_BINARY_AND, OCT_BINARY_OR, OCT_BINARY_XOR, OCT_BINARY_SHIFT_LEFT,
    OCT_BINARY_SHIFT_RIGHT,
    OCT_BINARY_COUNT
} oct_binary_fn;
typedef enum oct_reduce_fn {
    OCT_REDUCE_SUM, OCT_REDUCE_MEAN, OCT_REDUCE_MAX, OCT_REDUCE_MIN, OCT_REDUCE_PROD,
    OCT_REDUCE_COUNT
} oct_reduce_fn;
typedef enum oct_pad_mode { OCT_PAD_REFLECT, OCT_PAD_EDGE, OCT_PAD_WRAP, OCT_PAD_COUNT } oct_pad_mode;
typedef enum oct_resize_mode { OCT_RESIZE_NEAREST, OCT_RESIZE_LINEAR } oct_resize_mode;
typedef enum oct_resize_coord {
    OCT_COORD_HALF_PIXEL, OCT_COORD_PYTORCH_HALF_PIXEL, OCT_COORD_ALIGN_CORNERS, OCT_COORD_ASYMMETRIC,
    OCT_COORD_HALF_PIXEL_SYMMETRIC
} oct_resize_coord;
typedef enum oct_resize_nearest {
    OCT_NEAREST_ROUND_PREFER_FLOOR, OCT_NEAREST_ROUND_PREFER_CEIL, OCT_NEAREST_FLOOR, OCT_NEAREST_CEIL
} oct_resize_nearest;

/* --- single values; the bounds are those of tests/unit/kernels/test_nd_math.c ----------------------------------------- */
float oct_expf(float x);
float oct_logf(float x);
float oct_tanhf(float x);
float oct_sigmoidf(float x);
float oct_erff(float x);
/* One value of any unary function but NOT; the vector forms below give the same bits. */
float oct_unaryf(oct_unary_fn fn, float alpha, float beta, float x);
/* The functions behind NOT, through double and libm; the bits are those of the C library. BIT_NOT leaves floats. */
void oct_nd_unary_libm(oct_unary_fn fn, const float *x, float *y, int64_t n);
/* x to the power y, through double: C's powf rules for 0, 1, infinities, NaN and negative x. */
float oct_powf(float x, float y);

/* --- loops over up to 4 views at once --------------------------------------------------------------------------------- */
enum { OCT_ND_OPERANDS = 4, OCT_ND_GRAIN = 16384 };

/* A view as the runtime has it: strides in elements of size bytes, 0 and negative ones included. */
typedef struct oct_nd_operand {
    void *data;
    int32_t rank;
    size_t size;
    const int64_t *dims, *strides;
} oct_nd_operand;

/* Views of one shape, brought into the order of memory: dims of 1 are gone, dims that lie adjacent in every operand are one, the
 * rest stands in falling order of operand 0's strides. The last two dims are cut into tiles; a unit is a run of tiles. All of it
 * depends on shapes and grain alone, never on threads. */
typedef struct oct_nd_loop {
    int32_t operands, rank; /* rank >= 2: padded with dims of 1 in front */
    int64_t dims[OCT_MAX_RANK + 2];
    int64_t step[OCT_ND_OPERANDS][OCT_MAX_RANK + 2]; /* bytes */
    char *data[OCT_ND_OPERANDS];
    int64_t tile_rows, tile_cols, tiles, tiles_per_unit, units;
} oct_nd_loop;

/* Operand 0 is the output and gives the shape; the others broadcast to it by NumPy's rule (ranks aligned at the end). grain:
 * elements a unit should hold. */
void oct_nd_loop_init(oct_nd_loop *l, int32_t operands, const oct_nd_operand *op, int64_t grain);
/* For loops that move data: the dim along which operand 1 is contiguous becomes the second last, so that a tile is a transposition,
 * and tiles are square rather than wide. */
void oct_nd_loop_init_transposing(oct_nd_loop *l, const oct_nd_operand *out, const oct_nd_operand *in, int64_t grain);

/* A tile: rows x cols elements, operand i at data[i] + r*row_step[i] + c*col_step[i]. */
typedef struct oct_nd_tile {
    int64_t rows, cols;
    char *data[OCT_ND_OPERANDS];
    int64_t row_step[OCT_ND_OPERANDS], col_step[OCT_ND_OPERANDS];
} oct_nd_tile;
typedef void oct_nd_tile_fn(void *arg, const oct_nd_tile *t);
void oct_nd_loop_unit(const oct_nd_loop *l, int64_t unit, oct_nd_tile_fn *fn, void *arg);

/* --- a view read in logical order (C order of its dims), whatever its strides ------------------------------------------ */
typedef struct oct_nd_seq {
    int32_t rank;
    int64_t count;
    int64_t dims[OCT_MAX_RANK], step[OCT_MAX_RANK]; /* bytes; adjacent dims merged, order kept */
} oct_nd_seq;
/* dims with bit i of mask set; the others are left out. */
void oct_nd_seq_init(oct_nd_seq *s, int32_t rank, const int64_t *dims, const int64_t *strides, size_t size, uint32_t mask);
/* Byte offset of element i. */
int64_t oct_nd_seq_at(const oct_nd_seq *s, int64_t i);
static inline bool oct_nd_seq_dense(const oct_nd_seq *s, size_t size)
{
    return s->rank == 0 || (s->rank == 1 && s->step[0] == (int64_t)size);
}
/* n elements of 1, 2, 4 or 8 bytes from element first on, between the view and a dense buffer. */
void oct_nd_seq_gather(const oct_nd_seq *s, size_t size, const void *base, int64_t first, int64_t n, void *dense);
void oct_nd_seq_scatter(const oct_nd_seq *s, size_t size, void *base, int64_t first, int64_t n, const void *dense);

/* n elements of 1, 2, 4 or 8 bytes from src, src + step ... into a dense run, and back. */
void oct_nd_gather_row(size_t size, const void *src, int64_t step, int64_t n, void *dense);
void oct_nd_scatter_row(size_t size, void *dst, int64_t step, int64_t n, const void *dense);
void oct_nd_move_row(size_t size, const void *src, int64_t src_step, int64_t n, void *dst, int64_t dst_step);

/* --- inner loops, one table per ISA level; all but matmul give the same bits on every level ---------------------------- */
enum { OCT_ND_LANES = 16, OCT_ND_COLUMNS = 32, OCT_ND_CHUNK = 256 }; /* chunks of a row: a multiple of the lanes */

/* Running state of a reduction: lane i holds the elements i, i+16, ... */
typedef struct oct_nd_lanes { float v[OCT_ND_LANES]; } oct_nd_lanes;

/* A 2-d product: c[i*ldc + j] = alpha * sum over p of a[i*a_row + p*a_k] * b[p*b_k + j*b_col]; strides in elements, any. The sum
 * runs in order of p within blocks of OCT_ND_MATMUL_K that are added in order: it does not depend on m, n or the tiles. */
typedef struct oct_nd_matmul {
    int64_t m, n, k;
    const float *a, *b;
    float *c;
    int64_t a_row, a_k, b_k, b_col, c_row, c_col;
    float alpha;
} oct_nd_matmul;
enum { OCT_ND_MATMUL_K = 256 };

typedef struct oct_nd_ops {
    /* Contiguous spans; y may be x (or a, b). */
    void (*unary)(oct_unary_fn fn, float alpha, float beta, const float *x, float *y, int64_t n);
    /* a_step, b_step: 1, or 0 for one value. Arithmetic functions, then clamp to [lo, hi] (NaN passes). */
    void (*binary)(oct_binary_fn fn, const float *a, int a_step, const float *b, int b_step, float *y, int64_t n, float lo,
                   float hi);
    /* Elements of 1, 2, 4 or 8 bytes: dst[c*dst_ld + r*size] = src[r*src_ld + c*size]. */
    void (*transpose)(size_t size, int64_t rows, int64_t cols, const void *src, int64_t src_ld, void *dst, int64_t dst_ld);
    /* Reductions over n elements from lane 0 on: n is a multiple of 16 except in the last call of a row. Lanes without an element
     * take what changes no bit of them. */
    float (*max)(const float *x, int64_t n, float start); /* NaN is skipped */
    void (*lanes)(oct_reduce_fn fn, const float *x, int64_t n, oct_nd_lanes *acc);
    void (*lanes_square)(const float *x, int64_t n, float mean, oct_nd_lanes *acc); /* sum of (x - mean)^2 */
    void (*exp_lanes)(const float *x, float *y, int64_t n, float max, oct_nd_lanes *acc); /* y = exp(x - max), summed; y may be x */
    /* Dense rows of n, x_step and y_step floats apart: the bits of max, exp_lanes, lanes_end and a product by 1/sum. y may be x. */
    void (*softmax)(const float *x, int64_t x_step, float *y, int64_t y_step, int64_t rows, int64_t n);
    /* y = ((x - mean) * inv) * scale + bias; bias NULL = none; y may be x. */
    void (*normalise)(const float *x, float *y, int64_t n, float mean, float inv, const float *scale, const float *bias);
    /* A dense row at once: mean and variance by lanes, then normalise. y may be x; bias NULL = none. */
    void (*layer_norm)(const float *x, float *y, int64_t n, float eps, const float *scale, const float *bias);
    /* Columns side by side, n <= OCT_ND_COLUMNS: row k of count (step bytes apart) goes into lanes[(first + k) % 16]. */
    void (*fold)(oct_reduce_fn fn, const float *x, int64_t step, int64_t first, int64_t count, float (*lanes)[OCT_ND_COLUMNS],
                 int64_t n);
    /* y[i] = sum over k < count, in order, of w[k] * x[k][i]; count 1 to 8. */
    void (*blend)(int32_t count, const float *const *x, const float *w, float *y, int64_t n);
    void (*matmul)(const oct_nd_matmul *g);
} oct_nd_ops;
const oct_nd_ops *oct_nd_ops_get(oct_isa isa);

/* Start value of a reduction and the fixed tree that ends it: ((0+8)+(4+12)) + ... */
float oct_nd_reduce_start(oct_reduce_fn fn);
float oct_nd_lanes_end(oct_reduce_fn fn, const oct_nd_lanes *acc);

/* --- other element types ------------------------------------------------------------------------------------------------ */
/* n elements at stride step (bytes) as s64 (wrapping u64) or f64. biased: s8 codes stored as u8 + 128. f16, bf16 as floats. */
void oct_nd_load_s64(oct_dtype dtype, bool biased, const void *x, int64_t step, int64_t n, int64_t *out);
void oct_nd_store_s64(oct_dtype dtype, bool biased, const int64_t *x, int64_t n, void *out, int64_t step);
void oct_nd_load_f64(oct_dtype dtype, bool biased, const void *x, int64_t step, int64_t n, double *out);
void oct_nd_load_f32(oct_dtype dtype, bool biased, const void *x, int64_t step, int64_t n, float *out);
static inline bool oct_nd_is_float(oct_dtype t) { return t == OCT_F32 || t == OCT_F64 || t == OCT_F16 || t == OCT_BF16; }
/* ONNX Cast: floats to integers truncate, saturate, NaN gives 0; integers wrap; anything to bool is != 0. n <= OCT_ND_CHUNK. */
void oct_nd_cast(oct_dtype from, bool from_biased, const void *x, int64_t x_step, oct_dtype to, bool to_biased, void *y,
                 int64_t y_step, int64_t n);
/* Integers; division truncates, by zero gives 0, INT_MIN / -1 wraps; POW wraps, a negative exponent gives 1, -1 or 0; the remainder by
 * zero is 0, that of MOD has the sign of the divisor; shifts by 64 and more give 0, or the sign. Comparisons give 0 or 1. is_unsigned:
 * u64 order. */
void oct_nd_binary_s64(oct_binary_fn fn, bool is_unsigned, const int64_t *a, const int64_t *b, int64_t *y, int64_t n);
void oct_nd_binary_f64(oct_binary_fn fn, const double *a, const double *b, double *y, int64_t n);
bool oct_nd_is_compare(oct_binary_fn fn);

/* --- index maps -------------------------------------------------------------------------------------------------------- */
/* Index of input (dim n) that output index i reads; n > 0, any i. */
int64_t oct_nd_pad_index(oct_pad_mode mode, int64_t i, int64_t n);
/* Position in the input of output index i, before clamping. */
float oct_nd_resize_at(oct_resize_coord coord, int64_t i, int64_t in, int64_t out, float scale);
int64_t oct_nd_resize_nearest(oct_resize_nearest rule, float at, int64_t in);
/* Both neighbours and the weight of the second one. */
void oct_nd_resize_linear(float at, int64_t in, int64_t *i0, int64_t *i1, float *w1);

#endif
