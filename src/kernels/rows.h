/* Prototypes of all kernel functions, generated from kernels.inc, for registry.c and for the files that define them.
 * Row NAME is the function oct_NAME; a qdw row also has oct_NAME_bytes and oct_NAME_pack. */
#ifndef OCT_KERNELS_ROWS_H
#define OCT_KERNELS_ROWS_H

#include "kernels/kernel.h"

#define OCT_KERNEL_qconv(name, isa, mr, nr, step) oct_qconv_fn oct_##name;
#define OCT_KERNEL_qwino(name, isa, nr)           oct_qwino_fn oct_##name;
#define OCT_KERNEL_fconv(name, isa, mr, nr) oct_fconv_fn oct_##name;
#define OCT_KERNEL_qdw(name, isa, h, w)                                                                                            \
    oct_qdw_fn oct_##name;                                                                                                         \
    int64_t oct_##name##_bytes(int32_t c, int32_t kh, int32_t kw);                                                                 \
    void oct_##name##_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w_codes, const int32_t *bias, const float *scale,      \
                           const float *fbias, void *out);
#define OCT_KERNEL_fdw(name, isa)         oct_fdw_fn oct_##name;
#define OCT_KERNEL_quantize(name, isa)    oct_quantize_span_fn oct_##name;
#define OCT_KERNEL_dequantize(name, isa)  oct_dequantize_span_fn oct_##name;
#define OCT_KERNEL_table(name, isa)       oct_table_span_fn oct_##name;
#define OCT_KERNEL_qadd(name, isa)        oct_qbinary_span_fn oct_##name;
#define OCT_KERNEL_qmul(name, isa)        oct_qbinary_span_fn oct_##name;
#define OCT_KERNEL_maxpool_u8(name, isa)  oct_maxpool_u8_fn oct_##name;
#define OCT_KERNEL_maxpool_f32(name, isa) oct_maxpool_f32_fn oct_##name;
#define OCT_KERNEL_avgpool_u8(name, isa)  oct_avgpool_u8_fn oct_##name;
#define OCT_KERNEL_avgpool_f32(name, isa) oct_avgpool_f32_fn oct_##name;
#include "kernels/kernels.inc"

#endif
