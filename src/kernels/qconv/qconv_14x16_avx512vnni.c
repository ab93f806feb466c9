/* qconv for AVX-512 VNNI, up to 14 pixels x 16 columns: for layers of at most 16 output channels. */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FNS(1, 1)
TILE_FNS(2, 1)
TILE_FNS(3, 1)
TILE_FNS(4, 1)
TILE_FNS(5, 1)
TILE_FNS(6, 1)
TILE_FNS(7, 1)
TILE_FNS(8, 1)
TILE_FNS(9, 1)
TILE_FNS(10, 1)
TILE_FNS(11, 1)
TILE_FNS(12, 1)
TILE_FNS(13, 1)
TILE_FNS(14, 1)

#define TILES(kind)                                                                                                                \
    {                                                                                                                              \
        tile_1_##kind, tile_2_##kind, tile_3_##kind, tile_4_##kind, tile_5_##kind, tile_6_##kind, tile_7_##kind, tile_8_##kind,    \
            tile_9_##kind, tile_10_##kind, tile_11_##kind, tile_12_##kind, tile_13_##kind, tile_14_##kind                          \
    }
static tile_fn *const tiles[3][14] = {TILES(TILE_U8), TILES(TILE_U8_RES), TILES(TILE_SPILL)};

void oct_qconv_14x16_avx512vnni(const oct_qconv_args *args)
{
    run(args, 1, 14, tiles);
}
