/* The registry: one table and three lookups for each kernel family, generated from kernels.inc.  DESIGN 6.1.
 *
 * Adding a kernel is one row there and one file; nothing here changes. Choice by shape stands at the end. */
#include "kernels/kernel.h"

#include <string.h>
#include "base/hash.h"
#include "kernels/rows.h"

#define ROW(name, isa) #name, OCT_ISA_##isa
/* Every processor has all rows, because a plan may be built for another one; where a row cannot run, its function is NULL, and so is the
 * packing where that needs the row's instructions. */
#ifdef __x86_64__
#define RUN_AVX2(f) f
#define RUN_AVX512VNNI(f) f
#else
#define RUN_AVX2(f) NULL
#define RUN_AVX512VNNI(f) NULL
#endif
#ifdef __aarch64__
#define RUN_NEON(f) f
#else
#define RUN_NEON(f) NULL
#endif
#define RUN_PORTABLE(f)    f
#define PACK_PORTABLE(f)   f
#define PACK_AVX2(f)       RUN_AVX2(f)
#define PACK_AVX512VNNI(f) RUN_AVX512VNNI(f)
#define PACK_NEON(f)       f

#define OCT_KERNEL_qconv(name, isa, mr, nr, step) {ROW(name, isa), mr, nr, step, RUN_##isa(oct_##name)},
static const oct_qconv_kernel qconv_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_qwino(name, isa, nr) {ROW(name, isa), nr, RUN_##isa(oct_##name)},
static const oct_qwino_kernel qwino_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_fconv(name, isa, mr, nr) {ROW(name, isa), mr, nr, RUN_##isa(oct_##name)},
static const oct_fconv_kernel fconv_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_qdw(name, isa, h, w) {ROW(name, isa), h, w, RUN_##isa(oct_##name), PACK_##isa(oct_##name##_bytes), PACK_##isa(oct_##name##_pack)},
static const oct_qdw_kernel qdw_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_fdw(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_fdw_kernel fdw_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_quantize(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_quantize_kernel quantize_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_dequantize(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_dequantize_kernel dequantize_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_table(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_table_kernel table_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_qadd(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_qadd_kernel qadd_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_qmul(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_qmul_kernel qmul_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_maxpool_u8(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_maxpool_u8_kernel maxpool_u8_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_maxpool_f32(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_maxpool_f32_kernel maxpool_f32_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_avgpool_u8(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_avgpool_u8_kernel avgpool_u8_rows[] = {
#include "kernels/kernels.inc"
};
#define OCT_KERNEL_avgpool_f32(name, isa) {ROW(name, isa), RUN_##isa(oct_##name)},
static const oct_avgpool_f32_kernel avgpool_f32_rows[] = {
#include "kernels/kernels.inc"
};

#define COUNT(F) ((int)(sizeof F##_rows / sizeof F##_rows[0]))
#define FAMILY(F)                                                                                                                  \
    const oct_##F##_kernel *oct_##F##_get(int i)                                                                                   \
    {                                                                                                                              \
        return i >= 0 && i < COUNT(F) ? &F##_rows[i] : NULL;                                                                       \
    }                                                                                                                              \
    const oct_##F##_kernel *oct_##F##_best(oct_isa isa)                                                                            \
    {                                                                                                                              \
        const oct_##F##_kernel *best = &F##_rows[0];                                                                               \
        for (int i = 1; i < COUNT(F); i++)                                                                                         \
            if (oct_isa_runs(isa, F##_rows[i].isa))                                                                                \
                best = &F##_rows[i];                                                                                               \
        return best;                                                                                                               \
    }                                                                                                                              \
    const oct_##F##_kernel *oct_##F##_find(const char *name)                                                                       \
    {                                                                                                                              \
        for (int i = 0; i < COUNT(F); i++)                                                                                         \
            if (strcmp(F##_rows[i].name, name) == 0)                                                                               \
                return &F##_rows[i];                                                                                               \
        return NULL;                                                                                                               \
    }
OCT_KERNEL_FAMILIES(FAMILY)

/* --- rows without their types --- */
const char *oct_family_name(oct_family f)
{
    static const char *const names[] = {
#define NAME(F) [OCT_FAMILY_##F] = #F,
        OCT_KERNEL_FAMILIES(NAME)
#undef NAME
    };
    return (unsigned)f < OCT_FAMILY_COUNT ? names[f] : "none";
}

int oct_family_parse(const char *name)
{
    for (int f = 0; f < OCT_FAMILY_COUNT; f++)
        if (strcmp(name, oct_family_name((oct_family)f)) == 0)
            return f;
    return -1;
}

#define FITS(F) _Static_assert(COUNT(F) <= OCT_KERNEL_ROWS_MAX, "OCT_KERNEL_ROWS_MAX is too small");
OCT_KERNEL_FAMILIES(FITS)

/* Row i as name and level; a row without name behind the last one. */
static oct_kernel_row row_of(oct_family f, int i)
{
    switch (f) {
#define CASE(F)          \
    case OCT_FAMILY_##F: \
        return i < COUNT(F) ? (oct_kernel_row){F##_rows[i].name, F##_rows[i].isa} : (oct_kernel_row){NULL, OCT_ISA_PORTABLE};
        OCT_KERNEL_FAMILIES(CASE)
#undef CASE
    case OCT_FAMILY_COUNT:
        break;
    }
    return (oct_kernel_row){NULL, OCT_ISA_PORTABLE};
}

static bool fits_window(const oct_qdw_kernel *row, int32_t kh, int32_t kw) { return (row->kh == 0 || row->kh == kh) && (row->kw == 0 || row->kw == kw); }

int oct_kernel_rows(oct_family f, oct_isa isa, int32_t kh, int32_t kw, oct_kernel_row rows[OCT_KERNEL_ROWS_MAX])
{
    int count = 0;
    for (int i = 0; row_of(f, i).name; i++)
        if (oct_isa_runs(isa, row_of(f, i).isa) && (f != OCT_FAMILY_qdw || fits_window(&qdw_rows[i], kh, kw)))
            rows[count++] = row_of(f, i);
    return count;
}

const char *oct_kernel_name(oct_family f, const char *name)
{
    for (int i = 0; row_of(f, i).name; i++)
        if (strcmp(row_of(f, i).name, name) == 0)
            return row_of(f, i).name;
    return NULL;
}

bool oct_kernel_is_reference(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, "_ref") == 0;
}

/* Relative time of a layer of oc columns in panels of nr: the columns computed, and a handicap in percent of the narrow
 * tiles that bench_kernels shows: 16 columns load an activation for each dot, 48 fill their rows less evenly, and between 32
 * and 64 the short sums profit from whole-line stores, the long ones from more rows to a weight. */
static int64_t panel_cost(int32_t oc, int32_t nr, int64_t k)
{
    const int64_t columns = ((int64_t)oc + nr - 1) / nr * nr;
    const bool short_sum = k <= 128;
    return columns * (nr == 16 ? 110 : nr == 48 ? 104 : nr == 32 ? 100 + short_sum : 100 + !short_sum);
}

const oct_qconv_kernel *oct_qconv_choose(oct_isa isa, int32_t oc, int64_t k)
{
    const oct_qconv_kernel *best = oct_qconv_best(isa);
    for (int i = 0; i < COUNT(qconv); i++)
        if (qconv_rows[i].isa == best->isa && panel_cost(oc, qconv_rows[i].nr, k) < panel_cost(oc, best->nr, k))
            best = &qconv_rows[i];
    return best;
}

const oct_fconv_kernel *oct_fconv_choose(oct_isa isa, int32_t oc, int64_t k)
{
    const oct_fconv_kernel *best = oct_fconv_best(isa);
    for (int i = 0; i < COUNT(fconv); i++)
        if (fconv_rows[i].isa == best->isa && panel_cost(oc, fconv_rows[i].nr, k) < panel_cost(oc, best->nr, k))
            best = &fconv_rows[i];
    return best;
}

/* Cycles of an image: products, 16 bits at half the rate of 8 with VNNI; both transforms, a tile's inputs and outputs; and the weights, eight times
 * the bytes of the direct kernel's, which come from the third cache. */
const oct_qwino_kernel *oct_qwino_choose(oct_isa isa, int32_t oh, int32_t ow, int32_t c, int32_t oc)
{
    const oct_qwino_kernel *best = oct_qwino_best(isa);
    const bool vnni = best->isa == OCT_ISA_AVX512VNNI;
    if (oct_kernel_is_reference(best->name) || oc < best->nr)
        return NULL;
    const double across = (ow + OCT_QWINO_TILE - 1) / OCT_QWINO_TILE, tiles = (oh + OCT_QWINO_TILE - 1) / OCT_QWINO_TILE * across, pairs = (double)c * oc, rate = vnni ? 32 : 26;
    const double transforms = tiles * (vnni ? 7.0 * c + 13.0 * oc : 14.0 * c + 26.0 * oc);
    const double winograd = tiles * 36 * pairs / rate + transforms + 72 * pairs / 20, direct = 9.0 * oh * ow * pairs / (vnni ? 64 : 26);
    return winograd * 1.1 < direct ? best : NULL;
}

const oct_qdw_kernel *oct_qdw_choose(oct_isa isa, int32_t kh, int32_t kw)
{
    const oct_qdw_kernel *best = &qdw_rows[0];
    for (int i = 1; i < COUNT(qdw); i++) {
        const oct_qdw_kernel *row = &qdw_rows[i];
        if (oct_isa_runs(isa, row->isa) && fits_window(row, kh, kw))
            best = row;
    }
    return best;
}

uint64_t oct_kernel_list_hash(void)
{
    static const char *const names[] = {
#define OCT_KERNEL_qconv(name, ...)       #name,
#define OCT_KERNEL_qwino(name, ...)       #name,
#define OCT_KERNEL_fconv(name, ...)       #name,
#define OCT_KERNEL_qdw(name, ...)         #name,
#define OCT_KERNEL_fdw(name, ...)         #name,
#define OCT_KERNEL_quantize(name, ...)    #name,
#define OCT_KERNEL_dequantize(name, ...)  #name,
#define OCT_KERNEL_table(name, ...)       #name,
#define OCT_KERNEL_qadd(name, ...)        #name,
#define OCT_KERNEL_qmul(name, ...)        #name,
#define OCT_KERNEL_maxpool_u8(name, ...)  #name,
#define OCT_KERNEL_maxpool_f32(name, ...) #name,
#define OCT_KERNEL_avgpool_u8(name, ...)  #name,
#define OCT_KERNEL_avgpool_f32(name, ...) #name,
#include "kernels/kernels.inc"
    };
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        h = oct_hash64(names[i], strlen(names[i]) + 1, h);
    return h;
}
