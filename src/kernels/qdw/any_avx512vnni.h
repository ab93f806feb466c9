/* Depthwise of any kernel at one vector width: taps in groups of four in their own order, up to 4 pixels share the weights. */

#define PIXELS4(X) X(0) X(1) X(2) X(3)

/* Pixels [i, i + N) of the block, N = 1, 2 or 4. */
FORCE void NAME(pixels)(const block_call *b, const NAME(finisher) * f, const int N, int64_t i, const bool full,
                        const finish_kind kind)
{
    const oct_qdw_args *g = b->g;
    const VI *w = (const VI *)b->w + 4;
    NAME(quad) acc0 = NAME(four)((const VI *)b->w), acc1 = acc0, acc2 = acc0, acc3 = acc0;
    const ptrdiff_t px = g->px, at = i * px + b->first;
    const int32_t kh = g->kh, kw = g->kw;
    int32_t ky = 0, kx = 0;
    for (int64_t group = 0; group < b->groups; group++, w += 4) {
        const NAME(quad) weights = NAME(four)(w);
        const uint8_t *tap[4];
        for (int t = 0; t < 4; t++) {
            /* places behind the last tap read tap 0 and meet zero weights */
            tap[t] = ky < kh ? g->rows[ky] + kx * g->kx_step + at : g->rows[0] + at;
            if (++kx == kw)
                kx = 0, ky++;
        }
#define LOAD(t, p) NAME(load)(tap[t] + p * px, f->columns, full)
#define STEP(p)                                                                                                                    \
    if (N > p)                                                                                                                     \
        NAME(dots)(&acc##p, NAME(interleave)(LOAD(0, p), LOAD(1, p), LOAD(2, p), LOAD(3, p)), weights);
        PIXELS4(STEP)
#undef STEP
#undef LOAD
    }
#define END(p)                                                                                                                     \
    if (N > p)                                                                                                                     \
        NAME(finish)(b, f, acc##p, i + p, full, kind);
    PIXELS4(END)
#undef END
}

FORCE void NAME(block)(const block_call *b, const bool full, const finish_kind kind)
{
    const NAME(finisher) f = NAME(finisher_of)(b);
    const int64_t m = b->g->m;
    int64_t i = 0;
    for (; i + 4 <= m; i += 4)
        NAME(pixels)(b, &f, 4, i, full, kind);
    for (; i + 2 <= m; i += 2)
        NAME(pixels)(b, &f, 2, i, full, kind);
    if (i < m)
        NAME(pixels)(b, &f, 1, i, full, kind);
}
#undef PIXELS4
