/* Kernel families: argument structs, the registry generated from kernels.inc, and lookup.  DESIGN 6.
 *
 * Kernels are pure: no allocation, no threads, no state. They write only the declared extents. They read only declared
 * extents, with one exception: a run of kc bytes (floats never) is read up to the next multiple of 4; the bytes beyond meet
 * zero weights, so their value does not matter (activation memory has 64 bytes of slack).
 * Every 8-bit activation is u8 with a zero point (DESIGN 3.3). Weights are s8. */
#ifndef OCT_KERNELS_KERNEL_H
#define OCT_KERNELS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cpu/cpu.h"

/* --- convolution and gemm, u8 x s8 ------------------------------------------------------------------------------------
 * One call computes m consecutive output pixels of each of some rows (or m rows of a gemm) times n output channels, nr in each
 * panel but the last. Output pixel i of row r, tap t reads the kc bytes at a + r*row_px + i*px + taps[t]. A k x k convolution without dilation on a padded
 * NHWC image has kh taps of kw*c bytes; with dilation or groups kh*kw taps of c/groups bytes; a gemm has one tap of k bytes.
 * Packed panel of nr columns (64-byte aligned, nr a multiple of 16):
 *   [nr x s32 bias'] [for tap, for k4 of ceil(kc/4): nr columns x 4 s8] [nr x f32 scale] [nr x f32 fbias]
 * where bias' = bias - zp_in * sum(w) (DESIGN 3.5: acc holds the s32 bias), scale = M[c], columns beyond n are zero.
 * Blocks within a k4 row: groups of 16 columns, each 16 x 4 bytes (one zmm, two ymm, four xmm). */
typedef enum oct_epilogue_kind {
    OCT_EPI_U8,          /* q = clamp(rne(acc*M) + zp) */
    OCT_EPI_U8_RES,      /* v = fl(fl(acc*M) + fl((res - res_zp)*res_scale)); q = clamp(rne(v) + zp) */
    OCT_EPI_U8_RES_INNER,/* q1 = clamp(rne(acc*M) + inner_zp, inner_lo, inner_hi);
                            v = fl(fl((q1 - inner_zp)*inner_scale) + fl((res - res_zp)*res_scale)); q = clamp(rne(v) + zp) */
    OCT_EPI_U8_FBIAS,    /* v = fl(fl(acc*M) + fbias); q = clamp(rne(v) + zp): for a bias that does not fit s32 */
    OCT_EPI_F32,         /* v = fl(fl(acc*M) + fbias), clamped to [flo, fhi] */
    OCT_EPI_S32          /* acc */
} oct_epilogue_kind;

typedef struct oct_qepilogue {
    oct_epilogue_kind kind;
    int32_t zp, lo, hi;                      /* u8 codes: 0 <= lo <= hi <= 255 */
    int32_t res_zp;
    float res_scale;
    int32_t inner_zp, inner_lo, inner_hi;
    float inner_scale;
    float flo, fhi;
} oct_qepilogue;

typedef struct oct_qconv_args {
    const uint8_t *a;
    ptrdiff_t px;           /* bytes */
    const int64_t *taps;    /* tap_count byte offsets from a */
    int32_t tap_count, kc;  /* kc = useful bytes of a run */
    const void *w;          /* packed panels, panel_bytes apart */
    int64_t panel_bytes;
    int64_t m;              /* any positive count: the kernel cuts it into its tiles */
    int32_t n;              /* any positive count */
    void *c;                /* u8, f32 or s32 by kind */
    ptrdiff_t ldc;          /* bytes between output pixels */
    const uint8_t *res;     /* residual, same order as c */
    ptrdiff_t ldr;
    const oct_qepilogue *e;
    int32_t rows;           /* >= 1; the strides between them, in bytes: */
    ptrdiff_t row_px, row_ldc, row_ldr;
} oct_qconv_args;
typedef void oct_qconv_fn(const oct_qconv_args *args);

typedef struct oct_qconv_kernel {
    const char *name;
    oct_isa isa;
    int32_t mr, nr, step; /* of nr columns, those behind the first n rounded up to step are not computed */
    oct_qconv_fn *fn;
} oct_qconv_kernel;

/* Bytes of one packed panel. */
int64_t oct_qconv_panel_bytes(int32_t nr, int32_t tap_count, int32_t kc);
/* Pack panel p (columns p*nr ...) of w[oc][tap_count*kc]; bias, scale, fbias have oc entries (fbias may be NULL = 0). */
void oct_qconv_pack(int32_t nr, int32_t panel, int32_t oc, int32_t tap_count, int32_t kc, const int8_t *w, const int32_t *bias,
                    const float *scale, const float *fbias, void *out);

/* --- Winograd convolution, u8 x s8: 3 x 3, stride 1 ------------------------------------------------------------------
 * The sums of qconv, exactly, with a quarter of the products in 16 bits: F(4x4, 3x3) in integers, src/kernels/qwino/transform.h. One call:
 * rows x cols outputs, n channels, nr in each panel but the last. The inputs of c channels lie side by side; rows and columns are read
 * for whole tiles.
 * Packed panel, 64-byte aligned: [nr x s32 bias'] [for 36 points, c/2: nr columns x 2 s16] [nr x f32 scale] [nr x f32 fbias]. */
enum { OCT_QWINO_TILE = 4, OCT_QWINO_CHANNELS = 32 }; /* outputs a side of a tile; input channels come in multiples */
typedef struct oct_qwino_args {
    const uint8_t *a;       /* of output (0, 0), tap (0, 0) */
    ptrdiff_t row_bytes;
    int32_t c, rows, cols, n;
    const void *w;
    int64_t panel_bytes;
    void *out;              /* u8, f32 or s32 by e->kind */
    ptrdiff_t ldc, row_ldc; /* bytes between output pixels and rows */
    const uint8_t *res;     /* residual, same order as out */
    ptrdiff_t ldr, row_ldr;
    const oct_qepilogue *e;
    void *scratch;          /* oct_qwino_scratch_bytes, 64-byte aligned */
} oct_qwino_args;
typedef void oct_qwino_fn(const oct_qwino_args *args);
typedef struct oct_qwino_kernel {
    const char *name;
    oct_isa isa;
    int32_t nr;
    oct_qwino_fn *fn;
} oct_qwino_kernel;
int64_t oct_qwino_panel_bytes(int32_t nr, int32_t c);
int64_t oct_qwino_scratch_bytes(int32_t rows, int32_t cols, int32_t c);
/* Whether no sum of any input with these weights of one output channel, bias' included, leaves what the arithmetic can hold. */
bool oct_qwino_is_exact(int32_t count, const int8_t *w, int32_t bias);
/* w[oc][9*c], input channel fastest; else as oct_qconv_pack. */
void oct_qwino_pack(int32_t nr, int32_t panel, int32_t oc, int32_t c, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                    void *out);

/* --- convolution and gemm, f32: the same walk, in floats ---------------------------------------------------------------
 * Panel: [nr x f32 bias] [for tap, for k of kc: nr x f32]. y = sum in order of k (ref: plain mul, add), + bias first,
 * + residual, clamped to [lo, hi]. ISA levels may differ by summation order within rel. 2^-22 * K * sum|a||w|; one level never
 * depends on m, n or tiling. */
typedef struct oct_fconv_args {
    const float *a;
    ptrdiff_t px;           /* bytes */
    const int64_t *taps;    /* byte offsets */
    int32_t tap_count, kc;  /* floats of a run; no over-read */
    const void *w;
    int64_t m;
    int32_t n;
    float *c;
    ptrdiff_t ldc;          /* bytes */
    const float *res;       /* NULL = none */
    ptrdiff_t ldr;
    float lo, hi;
} oct_fconv_args;
typedef void oct_fconv_fn(const oct_fconv_args *args);
typedef struct oct_fconv_kernel {
    const char *name;
    oct_isa isa;
    int32_t mr, nr;
    oct_fconv_fn *fn;
} oct_fconv_kernel;
int64_t oct_fconv_panel_bytes(int32_t nr, int32_t tap_count, int32_t kc);
void oct_fconv_pack(int32_t nr, int32_t panel, int32_t oc, int32_t tap_count, int32_t kc, const float *w, const float *bias, void *out);

/* --- depthwise (one input and one output channel a group), u8 x s8 and f32 ----------------------------------------------
 * One call: m output pixels of one row, all c channels. Pixel i, tap (ky,kx) of channel ch reads rows[ky][i*px + kx*kx_step + ch]
 * (byte strides). Padding has been materialised: rows point into images whose borders hold the zero point (f32: 0).
 * Packed weights belong to the variant: pack() writes what fn() reads. Epilogue kinds U8, U8_RES, U8_RES_INNER, U8_FBIAS, F32. */
typedef struct oct_qdw_args {
    const uint8_t *const *rows; /* kh pointers */
    ptrdiff_t px, kx_step;
    int32_t kh, kw, c;
    const void *w;
    int64_t m;
    void *out;
    ptrdiff_t ldc;
    const uint8_t *res;
    ptrdiff_t ldr;
    const oct_qepilogue *e;
} oct_qdw_args;
typedef void oct_qdw_fn(const oct_qdw_args *args);
typedef struct oct_qdw_kernel {
    const char *name;
    oct_isa isa;
    int32_t kh, kw;   /* 0 = any */
    oct_qdw_fn *fn;
    int64_t (*packed_bytes)(int32_t c, int32_t kh, int32_t kw);
    /* w[c][kh*kw]; bias' and scale as for qconv */
    void (*pack)(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias, void *out);
} oct_qdw_kernel;

typedef struct oct_fdw_args {
    const float *const *rows;
    ptrdiff_t px, kx_step; /* bytes */
    int32_t kh, kw, c;
    const void *w;         /* [c f32 bias][kh*kw][c f32] */
    int64_t m;
    float *out;
    ptrdiff_t ldc;
    const float *res;
    ptrdiff_t ldr;
    float lo, hi;
} oct_fdw_args;
typedef void oct_fdw_fn(const oct_fdw_args *args);
typedef struct oct_fdw_kernel {
    const char *name;
    oct_isa isa;
    oct_fdw_fn *fn;
} oct_fdw_kernel;
int64_t oct_fdw_packed_bytes(int32_t c, int32_t kh, int32_t kw);
void oct_fdw_pack(int32_t c, int32_t kh, int32_t kw, const float *w, const float *bias, void *out);

/* --- spans: contiguous elements ---------------------------------------------------------------------------------------- */
/* q[i] = clamp(rne(x[i]/s) + z, lo, hi), true division, NaN -> z; returns the number of NaN. */
typedef int64_t oct_quantize_span_fn(const float *x, uint8_t *q, int64_t n, float s, int32_t z, int32_t lo, int32_t hi);
typedef void oct_dequantize_span_fn(const uint8_t *q, float *x, int64_t n, float s, int32_t z);
typedef void oct_table_span_fn(const uint8_t *x, uint8_t *y, int64_t n, const uint8_t table[256]);
/* y = clamp(rne(fl(fl((a-za)*ma) + fl((b-zb)*mb))) + z); a step of 0 for b_step means one b for all. ma = s_a/s_y may be negative (Sub). */
typedef struct oct_qbinary {
    int32_t za, zb, z, lo, hi;
    float ma, mb;          /* mul uses ma only: r = fl((float)((a-za)*(b-zb)) * ma) */
} oct_qbinary;
typedef void oct_qbinary_span_fn(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p);
typedef struct oct_quantize_kernel { const char *name; oct_isa isa; oct_quantize_span_fn *fn; } oct_quantize_kernel;
typedef struct oct_dequantize_kernel { const char *name; oct_isa isa; oct_dequantize_span_fn *fn; } oct_dequantize_kernel;
typedef struct oct_table_kernel { const char *name; oct_isa isa; oct_table_span_fn *fn; } oct_table_kernel;
typedef struct oct_qadd_kernel { const char *name; oct_isa isa; oct_qbinary_span_fn *fn; } oct_qadd_kernel;
typedef struct oct_qmul_kernel { const char *name; oct_isa isa; oct_qbinary_span_fn *fn; } oct_qmul_kernel;

/* --- pools on NHWC: c channels of one output pixel from tap_count input pixels ------------------------------------------ */
typedef void oct_maxpool_u8_fn(const uint8_t *const *taps, int32_t tap_count, int64_t c, uint8_t *y);
typedef void oct_maxpool_f32_fn(const float *const *taps, int32_t tap_count, int64_t c, float *y);
/* y = clamp(rne(fl((float)(sum(x) - tap_count*zx) * m)) + z); sums in s32. */
typedef void oct_avgpool_u8_fn(const uint8_t *const *taps, int32_t tap_count, int64_t c, int32_t zx, float m, int32_t z, int32_t lo, int32_t hi, uint8_t *y);
/* y = fl(sum in tap order) * m */
typedef void oct_avgpool_f32_fn(const float *const *taps, int32_t tap_count, int64_t c, float m, float *y);
typedef struct oct_maxpool_u8_kernel { const char *name; oct_isa isa; oct_maxpool_u8_fn *fn; } oct_maxpool_u8_kernel;
typedef struct oct_maxpool_f32_kernel { const char *name; oct_isa isa; oct_maxpool_f32_fn *fn; } oct_maxpool_f32_kernel;
typedef struct oct_avgpool_u8_kernel { const char *name; oct_isa isa; oct_avgpool_u8_fn *fn; } oct_avgpool_u8_kernel;
typedef struct oct_avgpool_f32_kernel { const char *name; oct_isa isa; oct_avgpool_f32_fn *fn; } oct_avgpool_f32_kernel;

/* --- registry: generated from kernels.inc -------------------------------------------------------------------------------
 * For each family F: `const oct_F_kernel *oct_F_get(int i)` walks all rows (NULL at the end; tests and bench),
 * `oct_F_best(isa)` is the last row whose level is <= isa (rows stand in order of level, the better one later),
 * `oct_F_find(name)` resolves the tactic named in a plan (NULL when unknown). */
#define OCT_KERNEL_FAMILIES(X)                                                                                          \
    X(qconv) X(qwino) X(fconv) X(qdw) X(fdw) X(quantize) X(dequantize) X(table) X(qadd) X(qmul) X(maxpool_u8) X(maxpool_f32)     \
    X(avgpool_u8) X(avgpool_f32)
#define OCT_FAMILY(F)                              \
    const oct_##F##_kernel *oct_##F##_get(int i);  \
    const oct_##F##_kernel *oct_##F##_best(oct_isa isa); \
    const oct_##F##_kernel *oct_##F##_find(const char *name);
OCT_KERNEL_FAMILIES(OCT_FAMILY)
#undef OCT_FAMILY
/* qconv and fconv choose by shape too: the variant for oc output channels (narrow panels for few channels). */
const oct_qconv_kernel *oct_qconv_choose(oct_isa isa, int32_t oc, int64_t k);
const oct_fconv_kernel *oct_fconv_choose(oct_isa isa, int32_t oc, int64_t k);
/* NULL where a direct convolution is faster. */
const oct_qwino_kernel *oct_qwino_choose(oct_isa isa, int32_t oh, int32_t ow, int32_t c, int32_t oc);
const oct_qdw_kernel *oct_qdw_choose(oct_isa isa, int32_t kh, int32_t kw);

/* Rows without their types, for choosing among them (src/build/tactics.c). */
typedef enum oct_family {
#define OCT_FAMILY(F) OCT_FAMILY_##F,
    OCT_KERNEL_FAMILIES(OCT_FAMILY)
#undef OCT_FAMILY
    OCT_FAMILY_COUNT
} oct_family;
typedef struct oct_kernel_row {
    const char *name;
    oct_isa isa;
} oct_kernel_row;
enum { OCT_KERNEL_ROWS_MAX = 32 }; /* of one family; registry.c checks it */
const char *oct_family_name(oct_family f);
/* -1 when the name is no family. */
int oct_family_parse(const char *name);
/* The rows of a family that run at a level, in the list's order; qdw: those whose window is kh x kw or any (other families ignore it).
 * Returns how many, at least 1. */
int oct_kernel_rows(oct_family f, oct_isa isa, int32_t kh, int32_t kw, oct_kernel_row rows[OCT_KERNEL_ROWS_MAX]);
/* The registry's own copy of a row's name; NULL when the family has no such row. */
const char *oct_kernel_name(oct_family f, const char *name);
/* A `_ref` row: the definition of its family in plain C, made to be read and compared with, not to be fast. */
bool oct_kernel_is_reference(const char *name);

/* Hash over the names of all rows: part of a plan's identity. */
uint64_t oct_kernel_list_hash(void);

#endif
