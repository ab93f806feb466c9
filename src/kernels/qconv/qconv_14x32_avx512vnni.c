/* qconv for AVX-512 VNNI, up to 14 pixels x 32 columns: 28 accumulators, one store of 32 bytes a pixel. */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FN(1, 2)
TILE_FN(2, 2)
TILE_FN(3, 2)
TILE_FN(4, 2)
TILE_FN(5, 2)
TILE_FN(6, 2)
TILE_FN(7, 2)
TILE_FN(8, 2)
TILE_FN(9, 2)
TILE_FN(10, 2)
TILE_FN(11, 2)
TILE_FN(12, 2)
TILE_FN(13, 2)
TILE_FN(14, 2)

static const tile_pair tiles[] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6), TILE_ROW(7), TILE_ROW(8), TILE_ROW(9),
    TILE_ROW(10), TILE_ROW(11), TILE_ROW(12), TILE_ROW(13), TILE_ROW(14),
};

void oct_qconv_14x32_avx512vnni(const oct_qconv_args *args)
{
    run(args, 2, 14, tiles);
}
