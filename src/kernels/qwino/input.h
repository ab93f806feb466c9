/* The input transform, written once for the vectors of the file that includes it: VEC of LANES s16, WIDEN(p) = as many bytes, STORE(p, v), and
 * INPUT(d, y) of transform.h. */

/* Column x of a tile: 6 rows of LANES channels. */
FORCE void transform_column(const uint8_t *a, ptrdiff_t row_bytes, VEC y[QWINO_IN])
{
    VEC d[QWINO_IN];
    for (int r = 0; r < QWINO_IN; r++)
        d[r] = WIDEN(a + r * row_bytes);
    INPUT(d, y);
}

/* A row of tiles, LANES channels: neighbours share two columns. */
static void transform_row(const uint8_t *a, ptrdiff_t row_bytes, int32_t c, int64_t tiles, int16_t *v, int64_t stride)
{
    VEC column[QWINO_IN][QWINO_IN];
    transform_column(a, row_bytes, column[4]);
    transform_column(a + c, row_bytes, column[5]);
    for (int64_t t = 0; t < tiles; t++, v += c, a += 4 * c) {
        for (int i = 0; i < QWINO_IN; i++) {
            column[0][i] = column[4][i];
            column[1][i] = column[5][i];
        }
        for (int x = 2; x < QWINO_IN; x++)
            transform_column(a + x * c, row_bytes, column[x]);
        for (int i = 0; i < QWINO_IN; i++) {
            VEC d[QWINO_IN], y[QWINO_IN];
            for (int x = 0; x < QWINO_IN; x++)
                d[x] = column[x][i];
            INPUT(d, y);
            for (int j = 0; j < QWINO_IN; j++)
                STORE(v + (QWINO_IN * i + j) * stride, y[j]);
        }
    }
}

/* All tiles of a call into its scratch. */
static void transform_input(const oct_qwino_args *g)
{
    const int64_t across = qwino_tiles(g->cols), stride = qwino_stride(qwino_tiles(g->rows) * across, g->c);
    for (int32_t y = 0; y < g->rows; y += QWINO_TILE)
        for (int32_t c = 0; c < g->c; c += LANES)
            transform_row(g->a + y * g->row_bytes + c, g->row_bytes, g->c, across, (int16_t *)g->scratch + y / QWINO_TILE * across * g->c + c, stride);
}
