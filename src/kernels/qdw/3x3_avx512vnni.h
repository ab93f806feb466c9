/* Depthwise 3x3 at one vector width: a group is a column of three taps, so that neighbouring outputs share interleaved
 * columns: with stride 1 each column is interleaved once, with stride 2 two of three. */

FORCE void NAME(block)(const block_call *b, const bool full, const finish_kind kind)
{
    const oct_qdw_args *g = b->g;
    const NAME(finisher) f = NAME(finisher_of)(b);
    const ptrdiff_t px = g->px, step = g->kx_step, m = g->m;
    const uint8_t *r0 = g->rows[0] + b->first, *r1 = g->rows[1] + b->first, *r2 = g->rows[2] + b->first;
#define LOAD(r, offset) NAME(load)(r + (offset), f.columns, full)
#define COLUMN(offset)  NAME(interleave)(LOAD(r0, offset), LOAD(r1, offset), LOAD(r2, offset), P(set1_epi32)(0))
#define OUTPUT(left, middle, right, i)                                                                                             \
    do {                                                                                                                           \
        NAME(quad) acc = NAME(four)(weights);                                                                                      \
        NAME(dots)(&acc, left, w0);                                                                                                \
        NAME(dots)(&acc, middle, w1);                                                                                              \
        NAME(dots)(&acc, right, w2);                                                                                               \
        NAME(finish)(b, &f, acc, i, full, kind);                                                                                   \
    } while (0)
    const VI *weights = (const VI *)b->w;
    const NAME(quad) w0 = NAME(four_in_registers)(weights + 4), w1 = NAME(four_in_registers)(weights + 8),
                     w2 = NAME(four_in_registers)(weights + 12);
    ptrdiff_t i = 0, at = 0;
    if (px == step) {
        NAME(quad) x = COLUMN(0), y = COLUMN(step), z;
        for (at = 2 * step; i + 3 <= m; i += 3, at += 3 * step) {
            z = COLUMN(at);
            OUTPUT(x, y, z, i);
            x = COLUMN(at + step);
            OUTPUT(y, z, x, i + 1);
            y = COLUMN(at + 2 * step);
            OUTPUT(z, x, y, i + 2);
        }
        for (; i < m; i++, at += step) {
            z = COLUMN(at);
            OUTPUT(x, y, z, i);
            x = y, y = z;
        }
    } else if (px == 2 * step) {
        NAME(quad) left = COLUMN(0);
        for (; i < m; i++, at += px) {
            const NAME(quad) middle = COLUMN(at + step), right = COLUMN(at + 2 * step);
            OUTPUT(left, middle, right, i);
            left = right;
        }
    } else {
        for (; i < m; i++, at += px)
            OUTPUT(COLUMN(at), COLUMN(at + step), COLUMN(at + 2 * step), i);
    }
#undef LOAD
#undef COLUMN
#undef OUTPUT
}
