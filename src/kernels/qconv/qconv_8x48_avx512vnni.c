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

static tile_fn *const tiles[] = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6, tile_7, tile_8};

void oct_qconv_8x48_avx512vnni(const oct_qconv_args *args)
{
    run(args, 3, 8, tiles);
}
