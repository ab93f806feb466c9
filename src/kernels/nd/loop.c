/* Normal form of loops over several strided views, and reading a view in logical order (nd.h). Pure index work: no element is
 * touched here but by gather and scatter. */
#include "kernels/nd/nd.h"

#include <string.h>

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t div_up(int64_t n, int64_t d) { return (n + d - 1) / d; }

static void swap_dims(oct_nd_loop *l, int32_t i, int32_t j)
{
    int64_t t = l->dims[i];
    l->dims[i] = l->dims[j];
    l->dims[j] = t;
    for (int32_t o = 0; o < l->operands; o++) {
        t = l->step[o][i];
        l->step[o][i] = l->step[o][j];
        l->step[o][j] = t;
    }
}

/* Dims of the output that are not 1, with every operand's step along them. */
static void collect(oct_nd_loop *l, int32_t operands, const oct_nd_operand *op)
{
    memset(l, 0, sizeof *l);
    l->operands = operands;
    for (int32_t o = 0; o < operands; o++)
        l->data[o] = op[o].data;
    for (int32_t d = 0; d < op[0].rank; d++) {
        if (op[0].dims[d] == 1)
            continue;
        const int32_t r = l->rank++;
        l->dims[r] = op[0].dims[d];
        for (int32_t o = 0; o < operands; o++) {
            const int32_t i = d - (op[0].rank - op[o].rank);
            l->step[o][r] = i < 0 || op[o].dims[i] == 1 ? 0 : op[o].strides[i] * (int64_t)op[o].size;
        }
    }
}

/* Operand 0 runs forward along every dim. */
static void make_forward(oct_nd_loop *l)
{
    for (int32_t d = 0; d < l->rank; d++)
        if (l->step[0][d] < 0)
            for (int32_t o = 0; o < l->operands; o++) {
                l->data[o] += l->step[o][d] * (l->dims[d] - 1);
                l->step[o][d] = -l->step[o][d];
            }
}

static void sort_dims(oct_nd_loop *l)
{
    for (int32_t i = 1; i < l->rank; i++)
        for (int32_t j = i; j > 0 && l->step[0][j] > l->step[0][j - 1]; j--)
            swap_dims(l, j, j - 1);
}

static void merge_dims(oct_nd_loop *l)
{
    int32_t last = 0;
    for (int32_t d = 1; d < l->rank; d++) {
        bool merge = true;
        for (int32_t o = 0; o < l->operands; o++)
            merge = merge && l->step[o][last] == l->step[o][d] * l->dims[d];
        if (merge) {
            l->dims[last] *= l->dims[d];
        } else {
            last++;
            l->dims[last] = l->dims[d];
        }
        for (int32_t o = 0; o < l->operands; o++)
            l->step[o][last] = l->step[o][d];
    }
    l->rank = l->rank > 0 ? last + 1 : 0;
}

static void pad_rank(oct_nd_loop *l)
{
    while (l->rank < 2) {
        for (int32_t d = l->rank; d > 0; d--) {
            l->dims[d] = l->dims[d - 1];
            for (int32_t o = 0; o < l->operands; o++)
                l->step[o][d] = l->step[o][d - 1];
        }
        l->dims[0] = 1;
        for (int32_t o = 0; o < l->operands; o++)
            l->step[o][0] = 0;
        l->rank++;
    }
}

/* min_rows: rows that a tile must offer, where there are as many, before it may be wide. */
static void cut(oct_nd_loop *l, int64_t grain, int64_t min_rows)
{
    const int64_t rows = l->dims[l->rank - 2], cols = l->dims[l->rank - 1];
    int64_t outer = 1;
    for (int32_t d = 0; d + 2 < l->rank; d++)
        outer *= l->dims[d];
    if (rows == 0 || cols == 0 || outer == 0) {
        l->tile_rows = l->tile_cols = l->tiles_per_unit = 1;
        return;
    }
    l->tile_cols = min64(cols, max64(1, grain / min64(rows, min_rows)));
    l->tile_rows = min64(rows, max64(1, grain / l->tile_cols));
    l->tiles = outer * div_up(rows, l->tile_rows) * div_up(cols, l->tile_cols);
    l->tiles_per_unit = max64(1, grain / (l->tile_rows * l->tile_cols));
    l->units = div_up(l->tiles, l->tiles_per_unit);
}

static void normal_form(oct_nd_loop *l, int32_t operands, const oct_nd_operand *op)
{
    collect(l, operands, op);
    make_forward(l);
    sort_dims(l);
    merge_dims(l);
    pad_rank(l);
}

void oct_nd_loop_init(oct_nd_loop *l, int32_t operands, const oct_nd_operand *op, int64_t grain)
{
    normal_form(l, operands, op);
    cut(l, grain, 1);
}

void oct_nd_loop_init_transposing(oct_nd_loop *l, const oct_nd_operand *out, const oct_nd_operand *in, int64_t grain)
{
    const oct_nd_operand op[2] = {*out, *in};
    const int64_t size = (int64_t)in->size;
    normal_form(l, 2, op);
    if (l->step[1][l->rank - 1] == size) {
        cut(l, grain, 1);
        return;
    }
    for (int32_t d = 0; d + 1 < l->rank; d++)
        if (l->step[1][d] == size) {
            for (int32_t i = d; i + 2 < l->rank; i++)
                swap_dims(l, i, i + 1);
            break;
        }
    cut(l, grain, 64);
}

/* Where a unit stands: tile column and row, the indices of the dims before them, and each operand's offset for those. */
typedef struct position {
    int64_t col, row, index[OCT_MAX_RANK + 2], offset[OCT_ND_OPERANDS];
} position;

static void position_at(const oct_nd_loop *l, int64_t tile, int64_t col_tiles, int64_t row_tiles, position *p)
{
    memset(p, 0, sizeof *p);
    p->col = tile % col_tiles;
    p->row = tile / col_tiles % row_tiles;
    int64_t outer = tile / col_tiles / row_tiles;
    for (int32_t d = l->rank - 3; d >= 0; d--) {
        p->index[d] = outer % l->dims[d];
        outer /= l->dims[d];
        for (int32_t o = 0; o < l->operands; o++)
            p->offset[o] += p->index[d] * l->step[o][d];
    }
}

/* Counts on like an odometer: a division for every tile would cost more than small tiles do. */
static void position_next(const oct_nd_loop *l, int64_t col_tiles, int64_t row_tiles, position *p)
{
    if (++p->col < col_tiles)
        return;
    p->col = 0;
    if (++p->row < row_tiles)
        return;
    p->row = 0;
    for (int32_t d = l->rank - 3; d >= 0; d--) {
        for (int32_t o = 0; o < l->operands; o++)
            p->offset[o] += l->step[o][d];
        if (++p->index[d] < l->dims[d])
            return;
        for (int32_t o = 0; o < l->operands; o++)
            p->offset[o] -= l->dims[d] * l->step[o][d];
        p->index[d] = 0;
    }
}

void oct_nd_loop_unit(const oct_nd_loop *l, int64_t unit, oct_nd_tile_fn *fn, void *arg)
{
    const int32_t last = l->rank - 1;
    const int64_t rows = l->dims[last - 1], cols = l->dims[last];
    const int64_t col_tiles = div_up(cols, l->tile_cols), row_tiles = div_up(rows, l->tile_rows);
    const int64_t first = unit * l->tiles_per_unit, end = min64(l->tiles, first + l->tiles_per_unit);
    position p;
    oct_nd_tile t;
    for (int32_t o = 0; o < l->operands; o++) {
        t.row_step[o] = l->step[o][last - 1];
        t.col_step[o] = l->step[o][last];
    }
    position_at(l, first, col_tiles, row_tiles, &p);
    for (int64_t i = first; i < end; i++) {
        const int64_t r = p.row * l->tile_rows, c = p.col * l->tile_cols;
        t.rows = min64(l->tile_rows, rows - r);
        t.cols = min64(l->tile_cols, cols - c);
        for (int32_t o = 0; o < l->operands; o++)
            t.data[o] = l->data[o] + p.offset[o] + r * t.row_step[o] + c * t.col_step[o];
        fn(arg, &t);
        position_next(l, col_tiles, row_tiles, &p);
    }
}

void oct_nd_seq_init(oct_nd_seq *s, int32_t rank, const int64_t *dims, const int64_t *strides, size_t size, uint32_t mask)
{
    s->rank = 0;
    s->count = 1;
    for (int32_t d = 0; d < rank; d++) {
        if (!(mask >> d & 1))
            continue;
        s->count *= dims[d];
        if (dims[d] == 1)
            continue;
        const int64_t step = strides[d] * (int64_t)size;
        if (s->rank > 0 && s->step[s->rank - 1] == step * dims[d]) {
            s->dims[s->rank - 1] *= dims[d];
            s->step[s->rank - 1] = step;
        } else {
            s->dims[s->rank] = dims[d];
            s->step[s->rank++] = step;
        }
    }
}

int64_t oct_nd_seq_at(const oct_nd_seq *s, int64_t i)
{
    int64_t at = 0;
    for (int32_t d = s->rank - 1; d > 0; d--) {
        at += i % s->dims[d] * s->step[d];
        i /= s->dims[d];
    }
    return s->rank > 0 ? at + i * s->step[0] : 0;
}

#define MOVE_ROW(T)                                                                                                                \
    for (int64_t i = 0; i < n; i++)                                                                                                \
        *(T *)(dst + i * dst_step) = *(const T *)(src + i * src_step);                                                             \
    break

/* Rows of a few channels are too short for a library call: whole pieces of 16 bytes, the last one overlapping. */
static inline void copy_bytes(char *dst, const char *src, int64_t n)
{
    if (n < 16 || n > 128) {
        memcpy(dst, src, (size_t)n);
        return;
    }
    for (int64_t i = 0; i + 16 < n; i += 16)
        memcpy(dst + i, src + i, 16);
    memcpy(dst + n - 16, src + n - 16, 16);
}

static inline void move_row(size_t size, const char *src, int64_t src_step, int64_t n, char *dst, int64_t dst_step)
{
    if (src_step == (int64_t)size && dst_step == (int64_t)size) {
        copy_bytes(dst, src, n * (int64_t)size);
        return;
    }
    switch (size) {
    case 1: MOVE_ROW(uint8_t);
    case 2: MOVE_ROW(uint16_t);
    case 4: MOVE_ROW(uint32_t);
    default: MOVE_ROW(uint64_t);
    }
}

void oct_nd_gather_row(size_t size, const void *src, int64_t step, int64_t n, void *dense)
{
    move_row(size, src, step, n, dense, (int64_t)size);
}

void oct_nd_scatter_row(size_t size, void *dst, int64_t step, int64_t n, const void *dense)
{
    move_row(size, dense, (int64_t)size, n, dst, step);
}

void oct_nd_move_row(size_t size, const void *src, int64_t src_step, int64_t n, void *dst, int64_t dst_step)
{
    move_row(size, src, src_step, n, dst, dst_step);
}

void oct_nd_seq_gather(const oct_nd_seq *s, size_t size, const void *base, int64_t first, int64_t n, void *dense)
{
    const int64_t inner = s->rank > 0 ? s->dims[s->rank - 1] : 1, step = s->rank > 0 ? s->step[s->rank - 1] : (int64_t)size;
    for (int64_t done = 0, run; done < n; done += run) {
        run = min64(n - done, inner - (first + done) % inner);
        oct_nd_gather_row(size, (const char *)base + oct_nd_seq_at(s, first + done), step, run,
                          (char *)dense + done * (int64_t)size);
    }
}

void oct_nd_seq_scatter(const oct_nd_seq *s, size_t size, void *base, int64_t first, int64_t n, const void *dense)
{
    const int64_t inner = s->rank > 0 ? s->dims[s->rank - 1] : 1, step = s->rank > 0 ? s->step[s->rank - 1] : (int64_t)size;
    for (int64_t done = 0, run; done < n; done += run) {
        run = min64(n - done, inner - (first + done) % inner);
        oct_nd_scatter_row(size, (char *)base + oct_nd_seq_at(s, first + done), step, run,
                           (const char *)dense + done * (int64_t)size);
    }
}
