/* fconv for AVX-512, up to 8 pixels x 48 columns. */
#include "kernels/fconv/tile_avx512vnni.h"

TILE_FN(1, 3)
TILE_FN(2, 3)
TILE_FN(3, 3)
TILE_FN(4, 3)
TILE_FN(5, 3)
TILE_FN(6, 3)
TILE_FN(7, 3)
TILE_FN(8, 3)

static tile_fn *const tiles[] = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6, tile_7, tile_8};

void oct_fconv_8x48_avx512vnni(const oct_fconv_args *args)
{
    run(args, 8, tiles);
}
