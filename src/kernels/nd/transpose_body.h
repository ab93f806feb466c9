/* Transposition of a matrix of 1, 2, 4 or 8-byte elements, compiled per ISA level with ops_body.h: dst[c*dst_ld + r*size] =
 * src[r*src_ld + c*size], strides in bytes. The layout change between NCHW and NHWC is this with rows = channels.
 *
 * Blocks of 16 x 16 keep both sides in a few cache lines; three or fewer dense columns (images) are interleaved directly. */
#include "kernels/nd/nd.h"

#define OCT_TRANSPOSE_BLOCKS(T)                                                                                    \
    static void transpose_##T(int64_t rows, int64_t cols, const char *src, int64_t src_ld, char *dst, int64_t dst_ld) \
    {                                                                                                              \
        for (int64_t c0 = 0; c0 < cols; c0 += 16) {                                                                \
            const int64_t c1 = c0 + 16 < cols ? c0 + 16 : cols;                                                    \
            for (int64_t r0 = 0; r0 < rows; r0 += 16) {                                                            \
                const int64_t r1 = r0 + 16 < rows ? r0 + 16 : rows;                                                \
                for (int64_t c = c0; c < c1; c++) {                                                                \
                    T *d = (T *)(dst + c * dst_ld);                                                                \
                    const char *s = src + c * (int64_t)sizeof(T);                                                  \
                    for (int64_t r = r0; r < r1; r++)                                                              \
                        d[r] = *(const T *)(s + r * src_ld);                                                       \
                }                                                                                                  \
            }                                                                                                      \
        }                                                                                                          \
    }
OCT_TRANSPOSE_BLOCKS(uint8_t)
OCT_TRANSPOSE_BLOCKS(uint16_t)
OCT_TRANSPOSE_BLOCKS(uint32_t)
OCT_TRANSPOSE_BLOCKS(uint64_t)

static void interleave3_u8(int64_t cols, const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c, uint8_t *restrict dst)
{
    for (int64_t i = 0; i < cols; i++) {
        dst[3 * i] = a[i];
        dst[3 * i + 1] = b[i];
        dst[3 * i + 2] = c[i];
    }
}

static void interleave3_u32(int64_t cols, const uint32_t *restrict a, const uint32_t *restrict b, const uint32_t *restrict c,
                            uint32_t *restrict dst)
{
    for (int64_t i = 0; i < cols; i++) {
        dst[3 * i] = a[i];
        dst[3 * i + 1] = b[i];
        dst[3 * i + 2] = c[i];
    }
}

static void nd_transpose(size_t size, int64_t rows, int64_t cols, const void *src, int64_t src_ld, void *dst, int64_t dst_ld)
{
    const char *s = src;
    if (rows == 3 && dst_ld == 3 * (int64_t)size && size == 1)
        interleave3_u8(cols, src, (const uint8_t *)s + src_ld, (const uint8_t *)s + 2 * src_ld, dst);
    else if (rows == 3 && dst_ld == 3 * (int64_t)size && size == 4)
        interleave3_u32(cols, src, (const uint32_t *)(s + src_ld), (const uint32_t *)(s + 2 * src_ld), dst);
    else if (size == 1)
        transpose_uint8_t(rows, cols, src, src_ld, dst, dst_ld);
    else if (size == 2)
        transpose_uint16_t(rows, cols, src, src_ld, dst, dst_ld);
    else if (size == 4)
        transpose_uint32_t(rows, cols, src, src_ld, dst, dst_ld);
    else
        transpose_uint64_t(rows, cols, src, src_ld, dst, dst_ld);
}
