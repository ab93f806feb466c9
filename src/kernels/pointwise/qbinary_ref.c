/* Add and multiply of two spans of u8 codes in plain C: oracle and portable tactic of qadd and qmul.  DESIGN 3.5. */
#include "kernels/kernel.h"

#include "kernels/rows.h"
#include "num/num.h"

void oct_qadd_ref(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const oct_qbinary k = *p;
    if (b_step == 0) {
        const float vb = (float)(b[0] - k.zb) * k.mb;
        for (int64_t i = 0; i < n; i++)
            y[i] = (uint8_t)oct_requantize_f((float)(a[i] - k.za) * k.ma + vb, k.z, k.lo, k.hi);
    } else {
        for (int64_t i = 0; i < n; i++)
            y[i] = (uint8_t)oct_requantize_f((float)(a[i] - k.za) * k.ma + (float)(b[i] - k.zb) * k.mb, k.z, k.lo, k.hi);
    }
}

void oct_qmul_ref(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const oct_qbinary k = *p;
    if (b_step == 0) {
        const int32_t vb = b[0] - k.zb;
        for (int64_t i = 0; i < n; i++)
            y[i] = (uint8_t)oct_requantize((a[i] - k.za) * vb, k.ma, k.z, k.lo, k.hi);
    } else {
        for (int64_t i = 0; i < n; i++)
            y[i] = (uint8_t)oct_requantize((a[i] - k.za) * (b[i] - k.zb), k.ma, k.z, k.lo, k.hi);
    }
}
