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

static tile_fn *const tiles[] = {tile_1, tile_2, tile_3,  tile_4,  tile_5,  tile_6,  tile_7,
                                 tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14};

void oct_qconv_14x32_avx512vnni(const oct_qconv_args *args)
{
    run(args, 2, 14, tiles);
}
