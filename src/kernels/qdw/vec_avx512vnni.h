/* Vector pieces of the depthwise variants at one width: included three times, with W = 512, 256, 128 and P(op) the intrinsic
 * of that width. See pack_avx512vnni.h for the order of the lanes. */

#define NAME2(name, w) name##_##w
#define NAME1(name, w) NAME2(name, w)
#define NAME(name)     NAME1(name, W)
#define BYTES          (W / 8)

typedef struct NAME(quad) {
    VI d0, d1, d2, d3;
} NAME(quad);

/* The fast finish of a block, in registers: nothing that the stores of codes could alias. */
typedef struct NAME(finisher) {
    VI zp, lo, hi;
    const VF *scale;
    uint8_t *out;
    ptrdiff_t ldc;
    MASK columns;
} NAME(finisher);

FORCE NAME(finisher) NAME(finisher_of)(const block_call *b)
{
    const oct_qepilogue *e = b->g->e;
    return (NAME(finisher)){
        .zp = P(set1_epi16)((int16_t)e->zp),
        .lo = P(set1_epi8)((char)e->lo),
        .hi = P(set1_epi8)((char)e->hi),
        .scale = (const VF *)(b->w + 4 * BYTES + b->groups * 4 * BYTES),
        .out = (uint8_t *)b->g->out + b->first * (int64_t)b->size,
        .ldc = b->g->ldc,
        .columns = (MASK)(~0ull >> (64 - b->n)),
    };
}

FORCE VI NAME(load)(const uint8_t *p, MASK columns, const bool full)
{
    VI x = full ? P(loadu_epi8)(p) : P(maskz_loadu_epi8)(columns, p);
    IN_REGISTER(x);
    return x;
}

/* Bytes of four taps -> dwords of four taps. */
FORCE NAME(quad) NAME(interleave)(VI x0, VI x1, VI x2, VI x3)
{
    const VI lo01 = P(unpacklo_epi8)(x0, x1), hi01 = P(unpackhi_epi8)(x0, x1);
    const VI lo23 = P(unpacklo_epi8)(x2, x3), hi23 = P(unpackhi_epi8)(x2, x3);
    return (NAME(quad)){P(unpacklo_epi16)(lo01, lo23), P(unpackhi_epi16)(lo01, lo23), P(unpacklo_epi16)(hi01, hi23),
                        P(unpackhi_epi16)(hi01, hi23)};
}

FORCE void NAME(dots)(NAME(quad) * acc, NAME(quad) x, NAME(quad) w)
{
    DOT(acc->d0, x.d0, w.d0);
    DOT(acc->d1, x.d1, w.d1);
    DOT(acc->d2, x.d2, w.d2);
    DOT(acc->d3, x.d3, w.d3);
}

FORCE NAME(quad) NAME(four)(const VI *v)
{
    return (NAME(quad)){v[0], v[1], v[2], v[3]};
}
FORCE NAME(quad) NAME(four_in_registers)(const VI *v)
{
    NAME(quad) q = NAME(four)(v);
    IN_REGISTER(q.d0);
    IN_REGISTER(q.d1);
    IN_REGISTER(q.d2);
    IN_REGISTER(q.d3);
    return q;
}

FORCE VI NAME(round)(VI acc, VF scale)
{
    return P(cvtps_epi32)(P(mul_ps)(P(cvtepi32_ps)(acc), scale));
}

/* Codes of output pixel i: the saturations of the packs are the clamp (they put the channels in order, too). */
FORCE void NAME(finish)(const NAME(finisher) * f, NAME(quad) acc, int64_t i, const bool full)
{
    const VI a = P(packs_epi32)(NAME(round)(acc.d0, f->scale[0]), NAME(round)(acc.d1, f->scale[1]));
    const VI b = P(packs_epi32)(NAME(round)(acc.d2, f->scale[2]), NAME(round)(acc.d3, f->scale[3]));
    const VI q = P(min_epu8)(P(max_epu8)(P(packus_epi16)(P(adds_epi16)(a, f->zp), P(adds_epi16)(b, f->zp)), f->lo), f->hi);
    if (full)
        P(storeu_epi8)(f->out + i * f->ldc, q);
    else
        P(mask_storeu_epi8)(f->out + i * f->ldc, f->columns, q);
}

/* The rare epilogues: the sums go back to the order of the channels, then plain C. */
static __attribute__((noinline)) void NAME(finish_slowly)(const block_call *b, NAME(quad) acc, int64_t i)
{
    int32_t vectors[4][W / 32] __attribute__((aligned(64))), sums[W / 8];
    *(VI *)vectors[0] = acc.d0;
    *(VI *)vectors[1] = acc.d1;
    *(VI *)vectors[2] = acc.d2;
    *(VI *)vectors[3] = acc.d3;
    for (int32_t v = 0; v < 4; v++)
        for (int32_t d = 0; d < W / 32; d++)
            sums[channel_of(v, d)] = vectors[v][d];
    finish_sums(b, BYTES, sums, i);
}
