/* fconv for AVX-512, up to 6 pixels x 64 columns. */
#include "kernels/fconv/tile_avx512vnni.h"

TILE_FN(1, 4)
TILE_FN(2, 4)
TILE_FN(3, 4)
TILE_FN(4, 4)
TILE_FN(5, 4)
TILE_FN(6, 4)

static tile_fn *const tiles[] = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

void oct_fconv_6x64_avx512vnni(const oct_fconv_args *args)
{
    run(args, 6, tiles);
}
