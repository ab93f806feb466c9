/* pixels: u8 through one table of 256 codes or floats a channel, from any layout to any.
 *
 * Work goes in pieces of one row of pixels, or of the whole image where its rows lie one behind the other, all channels of a piece
 * together. Codes run through the span kernel of tables: planes each through their own, and into a small block where the channels
 * shall lie innermost; interleaved pixels as a whole through every table, of which masks then choose. */
#include "rt/exec_loop.h"

enum { PIECE = 1024, MOST_CHANNELS = 4, MASK = 64 * MOST_CHANNELS };

/* Strides in bytes. */
typedef struct pixel_side {
    uint8_t *data;
    int64_t image, row, col, channel;
} pixel_side;

typedef struct pixel_job pixel_job;
typedef void pixel_fn(const pixel_job *j, const uint8_t *x, uint8_t *y, int64_t n);

struct pixel_job {
    pixel_side in, out;
    const uint8_t *table;                             /* of channel 0; the next is table_step bytes on */
    int64_t table_step, rows, cols, channels, pieces; /* rows of an image, pieces of a row */
    pixel_fn *piece;
    oct_table_span_fn *span;
    const oct_nd_ops *ops;
    bool floats;
    uint8_t mask[MOST_CHANNELS][MASK]; /* 255 where an interleaved byte belongs to the channel */
};

static void one_by_one(const pixel_job *j, const uint8_t *x, uint8_t *y, int64_t n)
{
    for (int64_t c = 0; c < j->channels; c++) {
        const uint8_t *from = x + c * j->in.channel;
        const void *table = j->table + c * j->table_step;
        uint8_t *to = y + c * j->out.channel;
        if (j->floats)
            for (int64_t i = 0; i < n; i++)
                *(float *)(void *)(to + i * j->out.col) = ((const float *)table)[from[i * j->in.col]];
        else
            for (int64_t i = 0; i < n; i++)
                to[i * j->out.col] = ((const uint8_t *)table)[from[i * j->in.col]];
    }
}

static void planes(const pixel_job *j, const uint8_t *x, uint8_t *y, int64_t n)
{
    uint8_t codes[MOST_CHANNELS * PIECE];
    const bool planes_out = j->out.col == 1;
    for (int64_t c = 0; c < j->channels; c++)
        j->span(x + c * j->in.channel, planes_out ? y + c * j->out.channel : codes + c * PIECE, n, j->table + c * j->table_step);
    if (!planes_out)
        j->ops->transpose(1, j->channels, n, codes, PIECE, y, j->out.col);
}

static void interleaved(const pixel_job *j, const uint8_t *x, uint8_t *y, int64_t n)
{
    uint8_t codes[MOST_CHANNELS * PIECE];
    const int64_t bytes = n * j->channels, block = 64 * j->channels;
    j->span(x, y, bytes, j->table);
    for (int64_t c = 1; c < j->channels; c++) {
        const uint8_t *mask = j->mask[c];
        j->span(x, codes, bytes, j->table + c * j->table_step);
        for (int64_t i = 0; i < bytes; i += block)
            for (int64_t k = 0; k < oct_min64(block, bytes - i); k++)
                y[i + k] = (uint8_t)((y[i + k] & ~mask[k]) | (codes[i + k] & mask[k]));
    }
}

static void pixel_pieces(void *arg, int64_t first, int64_t last)
{
    const pixel_job *j = arg;
    for (int64_t k = first; k < last; k++) {
        const int64_t at = k % j->pieces * PIECE, row = k / j->pieces % j->rows, image = k / j->pieces / j->rows;
        const uint8_t *x = j->in.data + image * j->in.image + row * j->in.row + at * j->in.col;
        uint8_t *y = j->out.data + image * j->out.image + row * j->out.row + at * j->out.col;
        j->piece(j, x, y, oct_min64(PIECE, j->cols - at));
    }
}

static pixel_side side_of(const oct_view *v, int axis)
{
    const int64_t size = (int64_t)oct_dtype_size(v->dtype);
    const int row = axis == 1 ? 2 : 1;
    return (pixel_side){v->data, v->strides[0] * size, v->strides[row] * size, v->strides[row + 1] * size, v->strides[axis] * size};
}

static bool is_interleaved(const pixel_side *s, int64_t channels)
{
    return s->channel == 1 && s->col == channels;
}

static pixel_fn *choose(pixel_job *j)
{
    const bool out_interleaved = is_interleaved(&j->out, j->channels);
    if (j->floats || j->channels > MOST_CHANNELS)
        return one_by_one;
    if (j->in.col == 1 && (j->out.col == 1 || out_interleaved))
        return planes;
    if (!is_interleaved(&j->in, j->channels) || !out_interleaved)
        return one_by_one;
    for (int64_t k = 0; k < 64 * j->channels; k++)
        j->mask[k % j->channels][k] = 255;
    return interleaved;
}

void oct_exec_pixels(oct_exec *x)
{
    const oct_view *table = &x->in[1], *out = &x->out[0];
    const int axis = ((const oct_p_axis *)x->params)->axis, row = axis == 1 ? 2 : 1;
    pixel_job j = {.in = side_of(&x->in[0], axis),
                   .out = side_of(out, axis),
                   .table = table->data,
                   .table_step = table->dims[0] > 1 ? 256 * (int64_t)oct_dtype_size(out->dtype) : 0,
                   .rows = out->dims[row],
                   .cols = out->dims[row + 1],
                   .channels = out->dims[axis],
                   .ops = oct_exec_ops(x),
                   .floats = out->dtype == OCT_F32};
    j.span = oct_table_best(oct_exec_isa(x))->fn;
    j.piece = choose(&j);
    if (j.in.row == j.cols * j.in.col && j.out.row == j.cols * j.out.col) {
        j.cols *= j.rows;
        j.rows = 1;
    }
    j.pieces = oct_div_up(j.cols, PIECE);
    oct_exec_ranges(x, out->dims[0] * j.rows * j.pieces, oct_exec_per_unit(oct_min64(PIECE, j.cols) * j.channels), pixel_pieces,
                    &j);
}
