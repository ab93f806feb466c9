/* Transposition of a matrix of 1, 2, 4 or 8-byte elements, compiled per ISA level with ops_body.h: dst[c*dst_ld + r*size] =
 * src[r*src_ld + c*size], strides in bytes. The layout change between NCHW and NHWC is this with rows = channels.
 *
 * Blocks of 16 x 16 keep both sides in a few cache lines; three dense columns (images) are interleaved directly. */
#include "kernels/nd/nd.h"

#define OCT_TRANSPOSE_BLOCKS(T)                                                                                                    \
    static void transpose_##T(int64_t rows, int64_t cols, const char *src, int64_t src_ld, char *dst, int64_t dst_ld)              \
    {                                                                                                                              \
        for (int64_t c0 = 0; c0 < cols; c0 += 16) {                                                                                \
            const int64_t c1 = c0 + 16 < cols ? c0 + 16 : cols;                                                                    \
            for (int64_t r0 = 0; r0 < rows; r0 += 16) {                                                                            \
                const int64_t r1 = r0 + 16 < rows ? r0 + 16 : rows;                                                                \
                for (int64_t c = c0; c < c1; c++) {                                                                                \
                    T *d = (T *)(dst + c * dst_ld);                                                                                \
                    const char *s = src + c * (int64_t)sizeof(T);                                                                  \
                    for (int64_t r = r0; r < r1; r++)                                                                              \
                        d[r] = *(const T *)(s + r * src_ld);                                                                       \
                }                                                                                                                  \
            }                                                                                                                      \
        }                                                                                                                          \
    }
OCT_TRANSPOSE_BLOCKS(uint8_t)
OCT_TRANSPOSE_BLOCKS(uint16_t)
OCT_TRANSPOSE_BLOCKS(uint32_t)
OCT_TRANSPOSE_BLOCKS(uint64_t)

/* 4 x 4 words and 16 x 16 bytes in 16-byte vectors: two and four rounds of interleaving halves. */
typedef uint32_t nd_w4 __attribute__((vector_size(16)));
typedef uint32_t nd_w4u __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint8_t nd_b16 __attribute__((vector_size(16)));
typedef uint8_t nd_b16u __attribute__((vector_size(16), aligned(1), may_alias));

static inline void square_u32(const char *src, int64_t src_ld, char *dst, int64_t dst_ld)
{
    const nd_w4 a = *(const nd_w4u *)src, b = *(const nd_w4u *)(src + src_ld), c = *(const nd_w4u *)(src + 2 * src_ld),
                d = *(const nd_w4u *)(src + 3 * src_ld);
    const nd_w4 ac0 = __builtin_shufflevector(a, c, 0, 4, 1, 5), ac1 = __builtin_shufflevector(a, c, 2, 6, 3, 7);
    const nd_w4 bd0 = __builtin_shufflevector(b, d, 0, 4, 1, 5), bd1 = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    *(nd_w4u *)dst = __builtin_shufflevector(ac0, bd0, 0, 4, 1, 5);
    *(nd_w4u *)(dst + dst_ld) = __builtin_shufflevector(ac0, bd0, 2, 6, 3, 7);
    *(nd_w4u *)(dst + 2 * dst_ld) = __builtin_shufflevector(ac1, bd1, 0, 4, 1, 5);
    *(nd_w4u *)(dst + 3 * dst_ld) = __builtin_shufflevector(ac1, bd1, 2, 6, 3, 7);
}

static inline void square_u8(const char *src, int64_t src_ld, char *dst, int64_t dst_ld)
{
    nd_b16 r[16], t[16];
    for (int i = 0; i < 16; i++)
        r[i] = *(const nd_b16u *)(src + i * src_ld);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            t[2 * i] = __builtin_shufflevector(r[i], r[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            t[2 * i + 1] = __builtin_shufflevector(r[i], r[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        for (int i = 0; i < 16; i++)
            r[i] = t[i];
    }
    for (int i = 0; i < 16; i++)
        *(nd_b16u *)(dst + i * dst_ld) = r[i];
}

/* Whole squares by vectors, what is left along both edges element by element. */
static void transpose_squares_u32(int64_t rows, int64_t cols, const char *src, int64_t src_ld, char *dst, int64_t dst_ld)
{
    const int64_t r4 = rows & ~(int64_t)3, c4 = cols & ~(int64_t)3;
    for (int64_t c0 = 0; c0 < c4; c0 += 16)
        for (int64_t r0 = 0; r0 < r4; r0 += 16)
            for (int64_t c = c0; c < c4 && c < c0 + 16; c += 4)
                for (int64_t r = r0; r < r4 && r < r0 + 16; r += 4)
                    square_u32(src + r * src_ld + c * 4, src_ld, dst + c * dst_ld + r * 4, dst_ld);
    transpose_uint32_t(rows - r4, cols, src + r4 * src_ld, src_ld, dst + r4 * 4, dst_ld);
    transpose_uint32_t(r4, cols - c4, src + c4 * 4, src_ld, dst + c4 * dst_ld, dst_ld);
}

static void transpose_squares_u8(int64_t rows, int64_t cols, const char *src, int64_t src_ld, char *dst, int64_t dst_ld)
{
    const int64_t r16 = rows & ~(int64_t)15, c16 = cols & ~(int64_t)15;
    for (int64_t c = 0; c < c16; c += 16)
        for (int64_t r = 0; r < r16; r += 16)
            square_u8(src + r * src_ld + c, src_ld, dst + c * dst_ld + r, dst_ld);
    transpose_uint8_t(rows - r16, cols, src + r16 * src_ld, src_ld, dst + r16, dst_ld);
    transpose_uint8_t(r16, cols - c16, src + c16, src_ld, dst + c16 * dst_ld, dst_ld);
}

static void interleave3_u8(int64_t cols, const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c,
                           uint8_t *restrict dst)
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
        transpose_squares_u8(rows, cols, src, src_ld, dst, dst_ld);
    else if (size == 2)
        transpose_uint16_t(rows, cols, src, src_ld, dst, dst_ld);
    else if (size == 4)
        transpose_squares_u32(rows, cols, src, src_ld, dst, dst_ld);
    else
        transpose_uint64_t(rows, cols, src, src_ld, dst, dst_ld);
}
