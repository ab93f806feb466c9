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

static tile_fn *const tiles[] = {tile_1, tile_2, tile_3,  tile_4,  tile_5,  tile_6,  tile_7,
                                 tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14};

void oct_qconv_14x16_avx512vnni(const oct_qconv_args *args)
{
    run(args, 1, 14, tiles);
}
