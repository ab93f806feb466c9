/* pixels: u8 through one table of 256 codes or floats a channel, from any layout to any.  A row of the image is done for all channels
 * while it lies in the nearest cache. */
#include "rt/exec_loop.h"

typedef struct pixel_job {
    const uint8_t *in;
    uint8_t *out;
    const uint8_t *table;           /* of channel 0; the next is table_step bytes on */
    int64_t table_step;
    int64_t rows, cols, channels;   /* rows of one image */
    int64_t in_image, in_row, in_col, in_channel;
    int64_t out_image, out_row, out_col, out_channel; /* bytes */
    bool floats;
} pixel_job;

static void row_of_codes(const uint8_t *x, int64_t x_step, const uint8_t *table, uint8_t *y, int64_t y_step, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i * y_step] = table[x[i * x_step]];
}

static void row_of_floats(const uint8_t *x, int64_t x_step, const float *table, float *y, int64_t y_step, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i * y_step] = table[x[i * x_step]];
}

static void pixel_rows(void *arg, int64_t first, int64_t last)
{
    const pixel_job *j = arg;
    for (int64_t r = first; r < last; r++) {
        const uint8_t *x = j->in + r / j->rows * j->in_image + r % j->rows * j->in_row;
        uint8_t *y = j->out + r / j->rows * j->out_image + r % j->rows * j->out_row;
        for (int64_t c = 0; c < j->channels; c++, x += j->in_channel, y += j->out_channel) {
            const uint8_t *table = j->table + c * j->table_step;
            if (j->floats)
                row_of_floats(x, j->in_col, (const float *)(const void *)table, (float *)(void *)y, j->out_col / (int64_t)sizeof(float), j->cols);
            else
                row_of_codes(x, j->in_col, table, y, j->out_col, j->cols);
        }
    }
}

void oct_exec_pixels(oct_exec *x)
{
    const oct_view *in = &x->in[0], *table = &x->in[1], *out = &x->out[0];
    const int axis = ((const oct_p_axis *)x->params)->axis, row = axis == 1 ? 2 : 1, col = row + 1;
    const int64_t size = (int64_t)oct_dtype_size(out->dtype);
    pixel_job j = {.in = in->data, .out = out->data, .table = table->data, .table_step = table->dims[0] > 1 ? 256 * size : 0,
                   .rows = out->dims[row], .cols = out->dims[col], .channels = out->dims[axis],
                   .in_image = in->strides[0], .in_row = in->strides[row], .in_col = in->strides[col], .in_channel = in->strides[axis],
                   .out_image = out->strides[0] * size, .out_row = out->strides[row] * size, .out_col = out->strides[col] * size, .out_channel = out->strides[axis] * size,
                   .floats = out->dtype == OCT_F32};
    oct_exec_ranges(x, out->dims[0] * j.rows, oct_exec_per_unit(j.cols * j.channels), pixel_rows, &j);
}
