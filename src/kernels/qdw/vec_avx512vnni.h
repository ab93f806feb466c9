/* Vector pieces of the depthwise variants at one width: included three times, with W = 512, 256, 128 and P(op) the intrinsic
 * of that width. See pack_avx512vnni.h for the order of the lanes. */

#define NAME2(name, w) name##_##w
#define NAME1(name, w) NAME2(name, w)
#define NAME(name)     NAME1(name, W)
#define BYTES          (W / 8)

typedef struct NAME(quad) {
    VI d0, d1, d2, d3;
} NAME(quad);

/* What the finishes of a block need, in registers: nothing that the stores of codes could alias. */
typedef struct NAME(finisher) {
    VI zp, lo, hi;
    VF flo, fhi;
    const VF *scale, *fbias;
    uint8_t *out;
    ptrdiff_t ldc;
    MASK columns;
} NAME(finisher);

FORCE NAME(finisher) NAME(finisher_of)(const block_call *b)
{
    const oct_qepilogue *e = b->g->e;
    const VF *scale = (const VF *)(b->w + 4 * BYTES + b->groups * 4 * BYTES);
    return (NAME(finisher)){
        .zp = P(set1_epi16)((int16_t)e->zp),
        .lo = P(set1_epi8)((char)e->lo),
        .hi = P(set1_epi8)((char)e->hi),
        .flo = P(set1_ps)(e->flo),
        .fhi = P(set1_ps)(e->fhi),
        .scale = scale,
        .fbias = scale + 4,
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

FORCE VF NAME(scaled)(VI acc, VF scale)
{
    return P(mul_ps)(P(cvtepi32_ps)(acc), scale);
}
FORCE VI NAME(round)(VI acc, VF scale)
{
    return P(cvtps_epi32)(NAME(scaled)(acc, scale));
}

/* Codes of output pixel i from rounded values: the saturations of the packs are the clamp (they put the channels in order, too). */
FORCE void NAME(store_codes)(const NAME(finisher) * f, VI v0, VI v1, VI v2, VI v3, int64_t i, const bool full)
{
    const VI a = P(adds_epi16)(P(packs_epi32)(v0, v1), f->zp), b = P(adds_epi16)(P(packs_epi32)(v2, v3), f->zp);
    const VI q = P(min_epu8)(P(max_epu8)(P(packus_epi16)(a, b), f->lo), f->hi);
    if (full)
        P(storeu_epi8)(f->out + i * f->ldc, q);
    else
        P(mask_storeu_epi8)(f->out + i * f->ldc, f->columns, q);
}

/* Four-byte values of output pixel i: the 128-bit lanes l of the four vectors are 16 channels in order. */
FORCE void NAME(store_wide)(const NAME(finisher) * f, VF v0, VF v1, VF v2, VF v3, int64_t i, const bool full)
{
    float *y = (float *)(f->out + i * f->ldc);
#if W == 512
    const VF lo01 = _mm512_shuffle_f32x4(v0, v1, 0x44), lo23 = _mm512_shuffle_f32x4(v2, v3, 0x44);
    const VF hi01 = _mm512_shuffle_f32x4(v0, v1, 0xee), hi23 = _mm512_shuffle_f32x4(v2, v3, 0xee);
    v0 = _mm512_shuffle_f32x4(lo01, lo23, 0x88), v1 = _mm512_shuffle_f32x4(lo01, lo23, 0xdd);
    v2 = _mm512_shuffle_f32x4(hi01, hi23, 0x88), v3 = _mm512_shuffle_f32x4(hi01, hi23, 0xdd);
#elif W == 256
    const VF lo01 = _mm256_permute2f128_ps(v0, v1, 0x20), lo23 = _mm256_permute2f128_ps(v2, v3, 0x20);
    const VF hi01 = _mm256_permute2f128_ps(v0, v1, 0x31), hi23 = _mm256_permute2f128_ps(v2, v3, 0x31);
    v0 = lo01, v1 = lo23, v2 = hi01, v3 = hi23;
#endif
    enum { LANES = W / 32 };
#define STORE(j, v)                                                                                                                \
    if (full)                                                                                                                      \
        P(storeu_ps)(y + (j)*LANES, v);                                                                                            \
    else                                                                                                                           \
        P(mask_storeu_ps)(y + (j)*LANES, (LANE_MASK)(f->columns >> ((j)*LANES)), v);
    STORE(0, v0) STORE(1, v1) STORE(2, v2) STORE(3, v3)
#undef STORE
}

FORCE void NAME(finish_codes)(const NAME(finisher) * f, NAME(quad) acc, int64_t i, const bool full)
{
    NAME(store_codes)
    (f, NAME(round)(acc.d0, f->scale[0]), NAME(round)(acc.d1, f->scale[1]), NAME(round)(acc.d2, f->scale[2]),
     NAME(round)(acc.d3, f->scale[3]), i, full);
}

FORCE VF NAME(float_of)(const NAME(finisher) * f, VI acc, const int v)
{
    const VF y = P(add_ps)(NAME(scaled)(acc, f->scale[v]), f->fbias[v]);
    return P(min_ps)(f->fhi, P(max_ps)(f->flo, y)); /* operands so that NaN passes */
}
FORCE void NAME(finish_floats)(const NAME(finisher) * f, NAME(quad) acc, int64_t i, const bool full)
{
    NAME(store_wide)
    (f, NAME(float_of)(f, acc.d0, 0), NAME(float_of)(f, acc.d1, 1), NAME(float_of)(f, acc.d2, 2), NAME(float_of)(f, acc.d3, 3), i,
     full);
}

/* Clamps like num.h (NaN gives lo), rounds: the code less its zero point. */
FORCE VI NAME(clamp_round)(VF v, int32_t zp, int32_t lo, int32_t hi)
{
    return P(cvtps_epi32)(P(min_ps)(P(max_ps)(v, P(set1_ps)((float)(lo - zp))), P(set1_ps)((float)(hi - zp))));
}

/* Vector v of any kind with codes; res: its residual codes as dwords. */
FORCE VI NAME(code_of)(const NAME(finisher) * f, const oct_qepilogue *e, VI acc, VI res, const int v)
{
    VF y = NAME(scaled)(acc, f->scale[v]);
    if (e->kind == OCT_EPI_U8_FBIAS)
        y = P(add_ps)(y, f->fbias[v]);
    if (e->kind == OCT_EPI_U8_RES_INNER)
        y = P(mul_ps)(P(cvtepi32_ps)(NAME(clamp_round)(y, e->inner_zp, e->inner_lo, e->inner_hi)), P(set1_ps)(e->inner_scale));
    if (e->kind == OCT_EPI_U8_RES || e->kind == OCT_EPI_U8_RES_INNER) {
        const VF r = P(cvtepi32_ps)(P(sub_epi32)(res, P(set1_epi32)(e->res_zp)));
        y = P(add_ps)(y, P(mul_ps)(r, P(set1_ps)(e->res_scale)));
    }
    return NAME(clamp_round)(y, e->zp, e->lo, e->hi);
}

/* The kinds without a loop of their own. */
static __attribute__((noinline)) void NAME(finish_any)(const block_call *b, NAME(quad) acc, int64_t i)
{
    const NAME(finisher) f = NAME(finisher_of)(b);
    const oct_qepilogue *e = b->g->e;
    const uint8_t *res = b->g->res;
    if (e->kind == OCT_EPI_S32) {
        NAME(store_wide)(&f, (VF)acc.d0, (VF)acc.d1, (VF)acc.d2, (VF)acc.d3, i, false);
        return;
    }
    const VI none = P(set1_epi32)(0), r = res ? P(maskz_loadu_epi8)(f.columns, res + i * b->g->ldr + b->first) : none;
    const NAME(quad) q = NAME(interleave)(r, none, none, none);
    NAME(store_codes)
    (&f, NAME(code_of)(&f, e, acc.d0, q.d0, 0), NAME(code_of)(&f, e, acc.d1, q.d1, 1), NAME(code_of)(&f, e, acc.d2, q.d2, 2),
     NAME(code_of)(&f, e, acc.d3, q.d3, 3), i, false);
}

/* The sums of output pixel i on their way out; kind is a constant of the loop around. */
FORCE void NAME(finish)(const block_call *b, const NAME(finisher) * f, NAME(quad) acc, int64_t i, const bool full,
                        const finish_kind kind)
{
    if (kind == FINISH_CODES)
        NAME(finish_codes)(f, acc, i, full);
    else if (kind == FINISH_FLOATS)
        NAME(finish_floats)(f, acc, i, full);
    else
        NAME(finish_any)(b, acc, i);
}
