/* qconv for AVX-512 VNNI, up to 14 pixels x 16 columns: for layers of at most 16 output channels. */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FN(1, 1)
TILE_FN(2, 1)
TILE_FN(3, 1)
TILE_FN(4, 1)
TILE_FN(5, 1)
TILE_FN(6, 1)
TILE_FN(7, 1)
TILE_FN(8, 1)
TILE_FN(9, 1)
TILE_FN(10, 1)
TILE_FN(11, 1)
TILE_FN(12, 1)
TILE_FN(13, 1)
TILE_FN(14, 1)

static const tile_pair tiles[] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6), TILE_ROW(7), TILE_ROW(8), TILE_ROW(9),
    TILE_ROW(10), TILE_ROW(11), TILE_ROW(12), TILE_ROW(13), TILE_ROW(14),
};

void oct_qconv_14x16_avx512vnni(const oct_qconv_args *args)
{
    run(args, 1, 14, tiles);
}
