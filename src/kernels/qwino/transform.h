/* The transforms of Winograd's F(4x4, 3x3) in integers, for any vector: the one place of their coefficients.
 *
 * For 4 outputs of a row from 6 inputs d and 3 weights g: y = A^T [(G g) * (B^T d)], nested for both axes. B^T and A^T are those of
 * Lavin and Gray (arXiv 1509.09308); G is 24 times theirs but for its last row, 6 times, with 4 in A^T for it. So 36 products give
 * 576 times the 16 sums. |B^T d B| <= 68 * 255 and |G g G^T| <= 144 * 128: both fit 16 bits. Sums and A^T wrap modulo 2^32, where
 * 576 y = 64 * (9 y), 9 has an inverse, and 64 y is exact for y in [-2^25, 2^25). */
#ifndef OCT_KERNELS_QWINO_TRANSFORM_H
#define OCT_KERNELS_QWINO_TRANSFORM_H

#include "kernels/kernel.h"

enum {
    QWINO_TILE = OCT_QWINO_TILE,  /* outputs a side */
    QWINO_IN = 6,                 /* inputs a side */
    QWINO_POINTS = 36,
    QWINO_NR = 32,                /* columns of a panel */
    QWINO_BLOCK = 16              /* tiles whose sums are kept, at most: weights come from memory once for them */
};
#define QWINO_INVERSE 0x38E38E39u /* of 9, modulo 2^32 */
#define QWINO_SHIFT   6

/* y[6] = B^T d[6] with values of type V. */
#define QWINO_INPUT(V, ADD, SUB, TIMES4, d, y)                                                                                     \
    do {                                                                                                                           \
        const V a_ = SUB((d)[4], TIMES4((d)[2])), b_ = SUB((d)[3], TIMES4((d)[1])), c_ = SUB((d)[4], (d)[2]);                      \
        const V h_ = SUB((d)[3], (d)[1]), e_ = ADD(h_, h_);                                                                        \
        (y)[0] = ADD(TIMES4(SUB((d)[0], (d)[2])), c_);                                                                             \
        (y)[1] = ADD(a_, b_);                                                                                                      \
        (y)[2] = SUB(a_, b_);                                                                                                      \
        (y)[3] = ADD(c_, e_);                                                                                                      \
        (y)[4] = SUB(c_, e_);                                                                                                      \
        (y)[5] = SUB(SUB((d)[5], (d)[3]), ADD(e_, e_));                                                                            \
    } while (0)

/* y[4] = A^T m[6]. */
#define QWINO_OUTPUT(V, ADD, SUB, TIMES4, m, y)                                                                                    \
    do {                                                                                                                           \
        const V s_ = ADD((m)[1], (m)[2]), d_ = SUB((m)[1], (m)[2]), u_ = ADD((m)[3], (m)[4]), h_ = SUB((m)[3], (m)[4]);            \
        const V e_ = ADD(h_, h_);                                                                                                  \
        (y)[0] = ADD(ADD((m)[0], s_), u_);                                                                                         \
        (y)[1] = ADD(d_, e_);                                                                                                      \
        (y)[2] = ADD(s_, TIMES4(u_));                                                                                              \
        (y)[3] = ADD(d_, TIMES4(ADD(e_, (m)[5])));                                                                                 \
    } while (0)

/* Where the parts of a call's scratch lie: inputs of all tiles, [point][tiles][c] s16, then one block's sums, [point][tile][nr] s32. The kernels
 * compute whole blocks: behind the last tile lies room for one. An odd count keeps the points out of each other's cache sets. */
static inline int64_t qwino_stride(int64_t tiles, int32_t c) { return ((tiles + QWINO_BLOCK) | 1) * c; }
/* All tiles in blocks of one size. */
static inline int64_t qwino_block(int64_t tiles)
{
    const int64_t blocks = (tiles + QWINO_BLOCK - 1) / QWINO_BLOCK;
    return (tiles + blocks - 1) / blocks;
}
static inline int64_t qwino_tiles(int32_t outputs) { return ((int64_t)outputs + QWINO_TILE - 1) / QWINO_TILE; }

#endif
