/* qconv for AVX-512 VNNI, up to 8 pixels x 48 columns: 24 accumulators, for channel counts just above 32, 96, 144 ... */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FN(1, 3)
TILE_FN(2, 3)
TILE_FN(3, 3)
TILE_FN(4, 3)
TILE_FN(5, 3)
TILE_FN(6, 3)
TILE_FN(7, 3)
TILE_FN(8, 3)

static const tile_pair tiles[] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6), TILE_ROW(7), TILE_ROW(8),
};

void oct_qconv_8x48_avx512vnni(const oct_qconv_args *args)
{
    run(args, 3, 8, tiles);
}
