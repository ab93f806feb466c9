/* qconv for 64-bit Arm with the dot product: 4 pixels x 16 columns.
 *
 * The instruction multiplies signed bytes, so activations are shifted by 128; what that takes from a column, 128 times the sum of its
 * weights, is added back once for the call. Sums of 32 bits wrap, so the order of both does not matter. DESIGN 3.4, 3.5. */
#ifdef __aarch64__
#include <arm_neon.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/kernel.h"
#include "kernels/qconv/each.h"
#include "kernels/rows.h"

#define FORCE static inline __attribute__((always_inline))

enum { MR = 4, NR = 16, NV = NR / 4 };

typedef struct tile_call {
    const oct_qconv_args *g;
    const int8_t *w;        /* behind the bias */
    const float *scale;
    int64_t k4;
    int32x4_t start[NV];    /* bias and what the shift takes */
    bool small;             /* codes may be converted to s32 before they are clamped */
} tile_call;

/* Four dwords of a row, of which n are there; the others meet no weights. */
FORCE int8x16_t load(const uint8_t *x, int64_t n)
{
    uint8x16_t v;
    if (n >= 4) {
        v = vld1q_u8(x);
    } else {
        uint8_t part[16] = {0};
        memcpy(part, x, 4 * (size_t)n);
        v = vld1q_u8(part);
    }
    return vreinterpretq_s8_u8(veorq_u8(v, vdupq_n_u8(0x80)));
}

FORCE int32x4_t rounded(int32x4_t acc, const float *scale, const uint8_t *res, const oct_qepilogue *e)
{
    float32x4_t v = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(scale));
    if (res) {
        int32_t r[4];
        for (int i = 0; i < 4; i++)
            r[i] = res[i] - e->res_zp;
        v = vaddq_f32(v, vmulq_f32(vcvtq_f32_s32(vld1q_s32(r)), vdupq_n_f32(e->res_scale)));
    }
    return vcvtnq_s32_f32(v);
}

/* Eight codes: the saturations on the way are the clamp itself. */
FORCE uint8x8_t codes(int32x4_t a, int32x4_t b, const oct_qepilogue *e)
{
    const int16x8_t v = vqaddq_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)), vdupq_n_s16((int16_t)e->zp));
    return vmin_u8(vmax_u8(vqmovun_s16(v), vdup_n_u8((uint8_t)e->lo)), vdup_n_u8((uint8_t)e->hi));
}

FORCE void finish(const tile_call *t, const int32x4_t acc[NV], int64_t i)
{
    const oct_qconv_args *g = t->g;
    uint8_t *c = (uint8_t *)g->c + i * g->ldc, part[NR];
    const uint8_t *res = g->res ? g->res + i * g->ldr : NULL;
    if (!t->small) {
        int32_t sums[NR];
        for (int v = 0; v < NV; v++)
            vst1q_s32(sums + 4 * v, acc[v]);
        oct_epilogue_row(sums, g->n, t->scale, t->scale + NR, g->e, res, c);
        return;
    }
    if (g->e->kind != OCT_EPI_U8_RES) {
        res = NULL;
    } else if (g->n < NR) {
        memcpy(part, res, (size_t)g->n);
        res = part;
    }
    int32x4_t r[NV];
    for (int v = 0; v < NV; v++)
        r[v] = rounded(acc[v], t->scale + 4 * v, res ? res + 4 * v : NULL, g->e);
    const uint8x16_t q = vcombine_u8(codes(r[0], r[1], g->e), codes(r[2], r[3], g->e));
    if (g->n == NR) {
        vst1q_u8(c, q);
    } else {
        vst1q_u8(part, q);
        memcpy(c, part, (size_t)g->n);
    }
}

FORCE void tile(const int ROWS, const tile_call *t, int64_t first)
{
    const oct_qconv_args *g = t->g;
    const int8_t *w = t->w;
    int32x4_t acc[MR][NV];
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < NV; v++)
            acc[i][v] = t->start[v];
    for (int32_t tap = 0; tap < g->tap_count; tap++) {
        const uint8_t *x = g->a + first * g->px + g->taps[tap];
        for (int64_t k = 0; k < t->k4; k += 4, x += 16) {
            int8x16_t a[MR];
            for (int i = 0; i < ROWS; i++)
                a[i] = load(x + i * g->px, t->k4 - k);
#define LANE(lane)                                                                                                                 \
    if (k + lane < t->k4) {                                                                                                        \
        for (int v = 0; v < NV; v++) {                                                                                             \
            const int8x16_t weights = vld1q_s8(w + 16 * v);                                                                        \
            for (int i = 0; i < ROWS; i++)                                                                                         \
                acc[i][v] = vdotq_laneq_s32(acc[i][v], weights, a[i], lane);                                                       \
        }                                                                                                                          \
        w += 4 * NR;                                                                                                               \
    }
            LANE(0) LANE(1) LANE(2) LANE(3)
#undef LANE
        }
    }
    for (int i = 0; i < ROWS; i++)
        finish(t, acc[i], first + i);
}

static void one_row(const oct_qconv_args *g)
{
    tile_call t = {.g = g, .w = (const int8_t *)g->w + 4 * NR, .k4 = ((int64_t)g->kc + 3) / 4};
    const int64_t dwords = g->tap_count * t.k4;
    t.scale = (const float *)(const void *)(t.w + dwords * 4 * NR);
    t.small = oct_epilogue_is_small(g->e, t.scale, NR);
    for (int v = 0; v < NV; v++) {
        int32x4_t sum = vdupq_n_s32(0);
        for (int64_t k = 0; k < dwords; k++)
            sum = vdotq_s32(sum, vld1q_s8(t.w + (k * NV + v) * 16), vdupq_n_s8(1));
        t.start[v] = vaddq_s32(vld1q_s32((const int32_t *)g->w + 4 * v), vshlq_n_s32(sum, 7));
    }
    int64_t i = 0;
    for (; i + MR <= g->m; i += MR)
        tile(4, &t, i);
    for (; i < g->m; i++)
        tile(1, &t, i);
}

static void one_panel(const oct_qconv_args *g)
{
    oct_qconv_each_row(g, one_row);
}

void oct_qconv_4x16_neon(const oct_qconv_args *g)
{
    oct_qconv_each_panel(g, NR, one_panel);
}
#endif
