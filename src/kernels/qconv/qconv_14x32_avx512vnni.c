/* qconv for AVX-512 VNNI, up to 14 pixels x 32 columns: 28 accumulators, one store of 32 bytes a pixel. */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FNS(1, 2)
TILE_FNS(2, 2)
TILE_FNS(3, 2)
TILE_FNS(4, 2)
TILE_FNS(5, 2)
TILE_FNS(6, 2)
TILE_FNS(7, 2)
TILE_FNS(8, 2)
TILE_FNS(9, 2)
TILE_FNS(10, 2)
TILE_FNS(11, 2)
TILE_FNS(12, 2)
TILE_FNS(13, 2)
TILE_FNS(14, 2)

#define TILES(kind)                                                                                                                \
    {                                                                                                                              \
        tile_1_##kind, tile_2_##kind, tile_3_##kind, tile_4_##kind, tile_5_##kind, tile_6_##kind, tile_7_##kind, tile_8_##kind,    \
            tile_9_##kind, tile_10_##kind, tile_11_##kind, tile_12_##kind, tile_13_##kind, tile_14_##kind                          \
    }
static tile_fn *const tiles[3][14] = {TILES(TILE_U8), TILES(TILE_U8_RES), TILES(TILE_SPILL)};

void oct_qconv_14x32_avx512vnni(const oct_qconv_args *args)
{
    run(args, 2, 14, tiles);
}
