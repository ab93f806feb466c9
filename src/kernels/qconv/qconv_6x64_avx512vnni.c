/* qconv for AVX-512 VNNI, up to 6 pixels x 64 columns: 24 accumulators, one store of a whole cache line a pixel. */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FN(1, 4)
TILE_FN(2, 4)
TILE_FN(3, 4)
TILE_FN(4, 4)
TILE_FN(5, 4)
TILE_FN(6, 4)

static const tile_pair tiles[] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6),
};

void oct_qconv_6x64_avx512vnni(const oct_qconv_args *args)
{
    run(args, 4, 6, tiles);
}
