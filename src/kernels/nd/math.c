/* Single values of the float functions, the power function, and the ends of the 16-lane reductions.  DESIGN 3.7. */
#include "kernels/nd/nd.h"

#include <math.h>
#include "kernels/nd/math_inline.h"

float oct_expf(float x) { return oct_exp_inline(x); }
float oct_logf(float x) { return oct_log_inline(x); }
float oct_tanhf(float x) { return oct_tanh_inline(x); }
float oct_sigmoidf(float x) { return oct_sigmoid_inline(x); }
float oct_erff(float x) { return oct_erf_inline(x); }

float oct_unaryf(oct_unary_fn fn, float alpha, float beta, float x)
{
    float y = x;
    oct_nd_ops_get(OCT_ISA_PORTABLE)->unary(fn, alpha, beta, &x, &y, 1);
    return y;
}

static double libm(oct_unary_fn fn, double v)
{
    switch (fn) {
    case OCT_UNARY_SIGN: return v > 0 ? 1 : v < 0 ? -1 : v;
    case OCT_UNARY_SIN: return sin(v);
    case OCT_UNARY_COS: return cos(v);
    case OCT_UNARY_TAN: return tan(v);
    case OCT_UNARY_ASIN: return asin(v);
    case OCT_UNARY_ACOS: return acos(v);
    case OCT_UNARY_ATAN: return atan(v);
    case OCT_UNARY_SINH: return sinh(v);
    case OCT_UNARY_COSH: return cosh(v);
    case OCT_UNARY_ASINH: return asinh(v);
    case OCT_UNARY_ACOSH: return acosh(v);
    case OCT_UNARY_ATANH: return atanh(v);
    default: return v;
    }
}

void oct_nd_unary_libm(oct_unary_fn fn, const float *x, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fn == OCT_UNARY_ROUND ? oct_rne(x[i]) : (float)libm(fn, (double)x[i]);
}

/* log2 of a positive normal double to about 1e-16 relative to 1: atanh series of the mantissa in [sqrt(1/2), sqrt(2)). */
static double log2_double(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t shifted = bits - 0x3fe6a09e667f3bcdull;
    const int64_t e = (int64_t)shifted >> 52;
    bits = (shifted & 0x000fffffffffffffull) + 0x3fe6a09e667f3bcdull;
    double m;
    memcpy(&m, &bits, sizeof m);
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 1.0 / 21.0;
    for (int k = 19; k >= 3; k -= 2)
        p = p * z + 1.0 / k;
    return (double)e + 2.0 * 1.4426950408889634 * (s + s * z * p);
}

/* 2^t for |t| <= 1100 by the Taylor series of e^(f ln 2), |f| <= 1/2. */
static double exp2_double(double t)
{
    const double k = (t + 6755399441055744.0) - 6755399441055744.0, f = (t - k) * 0.69314718055994531;
    double p = 1.0;
    for (int i = 14; i >= 1; i--)
        p = 1.0 + p * f / i;
    const int64_t n = (int64_t)k, half = n / 2;
    const uint64_t a = (uint64_t)(half + 1023) << 52, b = (uint64_t)(n - half + 1023) << 52;
    double x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return p * x * y;
}

float oct_powf(float x, float y)
{
    if (y == 0.0f || x == 1.0f)
        return 1.0f;
    if (x != x || y != y)
        return x + y;
    const float ax = oct_abs(x), ay = oct_abs(y);
    const bool integral = ay >= 16777216.0f || (float)(int32_t)ay == ay;
    const bool odd = integral && ay < 16777216.0f && ((int32_t)ay & 1);
    float r;
    if (ay == INFINITY)
        r = ax == 1.0f ? 1.0f : (ax > 1.0f) == (y > 0.0f) ? INFINITY : 0.0f;
    else if (ax == 0.0f || ax == INFINITY)
        r = (ax == 0.0f) == (y > 0.0f) ? 0.0f : INFINITY;
    else if (x < 0.0f && !integral)
        return NAN;
    else {
        double t = (double)y * log2_double((double)ax);
        t = t > 1000.0 ? 1000.0 : t < -1000.0 ? -1000.0 : t;
        r = (float)exp2_double(t);
    }
    return odd ? oct_copysign(r, x) : r;
}

float oct_nd_reduce_start(oct_reduce_fn fn)
{
    switch (fn) {
    case OCT_REDUCE_MAX: return -INFINITY;
    case OCT_REDUCE_MIN: return INFINITY;
    case OCT_REDUCE_PROD: return 1.0f;
    default: return 0.0f;
    }
}

float oct_nd_lanes_end(oct_reduce_fn fn, const oct_nd_lanes *acc)
{
    oct_nd_lanes t = *acc;
    for (int half = OCT_ND_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) {
            const float a = t.v[i], b = t.v[i + half];
            switch (fn) {
            case OCT_REDUCE_MAX: t.v[i] = b > a ? b : a; break;
            case OCT_REDUCE_MIN: t.v[i] = b < a ? b : a; break;
            case OCT_REDUCE_PROD: t.v[i] = a * b; break;
            default: t.v[i] = a + b; break;
            }
        }
    return t.v[0];
}
