/* qconv for AVX-512 VNNI, up to 8 pixels x 48 columns: 24 accumulators, for channel counts just above 32, 96, 144 ... */
#include "kernels/qconv/run_avx512vnni.h"

TILE_FNS(1, 3)
TILE_FNS(2, 3)
TILE_FNS(3, 3)
TILE_FNS(4, 3)
TILE_FNS(5, 3)
TILE_FNS(6, 3)
TILE_FNS(7, 3)
TILE_FNS(8, 3)

#define TILES(kind)                                                                                                                \
    {                                                                                                                              \
        tile_1_##kind, tile_2_##kind, tile_3_##kind, tile_4_##kind, tile_5_##kind, tile_6_##kind, tile_7_##kind, tile_8_##kind     \
    }
static tile_fn *const tiles[3][14] = {TILES(TILE_U8), TILES(TILE_U8_RES), TILES(TILE_SPILL)};

void oct_qconv_8x48_avx512vnni(const oct_qconv_args *args)
{
    run(args, 3, 8, tiles);
}
