/* qconv for AVX-512 VNNI, up to 6 pixels x 64 columns: 24 accumulators, one store of a whole cache line a pixel. */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FNS(1, 4)
TILE_FNS(2, 4)
TILE_FNS(3, 4)
TILE_FNS(4, 4)
TILE_FNS(5, 4)
TILE_FNS(6, 4)

#define TILES(kind)                                                                                                                \
    {                                                                                                                              \
        tile_1_##kind, tile_2_##kind, tile_3_##kind, tile_4_##kind, tile_5_##kind, tile_6_##kind                                   \
    }
static tile_fn *const tiles[3][14] = {TILES(TILE_U8), TILES(TILE_U8_RES), TILES(TILE_SPILL)};

void oct_qconv_6x64_avx512vnni(const oct_qconv_args *args)
{
    run(args, 4, 6, tiles);
}
