/* Element types other than f32: wide loads and stores, ONNX Cast, integer and double arithmetic for the generic steps.
 *
 * Everything goes through s64 (exact for every integer type, u64 by its bits) or f64: shapes, indices and masks are small, so one
 * path for all types is worth more than speed. f32 has its own loops in ops_body.h; 8-bit arithmetic its own kernel families. */
#include "kernels/nd/nd.h"

#include <math.h>
#include "num/num.h"

#define LOAD(T, expr)                                            \
    for (int64_t i = 0; i < n; i++) {                            \
        const T v = *(const T *)((const char *)x + i * step);    \
        out[i] = (expr);                                         \
    }                                                            \
    break

#define LOAD_ALL(to)                                                      \
    switch (dtype) {                                                      \
    case OCT_BOOL: LOAD(uint8_t, (to)(v != 0));                           \
    case OCT_U8: LOAD(uint8_t, (to)(biased ? v - 128 : v));               \
    case OCT_S8: LOAD(int8_t, (to)v);                                     \
    case OCT_U16: LOAD(uint16_t, (to)v);                                  \
    case OCT_S16: LOAD(int16_t, (to)v);                                   \
    case OCT_S32: LOAD(int32_t, (to)v);                                   \
    case OCT_U32: LOAD(uint32_t, (to)v);                                  \
    case OCT_S64: LOAD(int64_t, (to)v);                                   \
    case OCT_U64: LOAD(uint64_t, (to)v);                                  \
    case OCT_F32: LOAD(float, LOAD_FLOAT(v));                             \
    case OCT_F64: LOAD(double, LOAD_FLOAT(v));                            \
    case OCT_F16: LOAD(uint16_t, LOAD_FLOAT(oct_f16_to_f32(v)));          \
    case OCT_BF16: LOAD(uint16_t, LOAD_FLOAT(oct_bf16_to_f32(v)));        \
    default: break;                                                       \
    }

/* Truncation, saturated; NaN gives 0. */
static int64_t to_s64(double v)
{
    if (v != v)
        return 0;
    return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

void oct_nd_load_s64(oct_dtype dtype, bool biased, const void *x, int64_t step, int64_t n, int64_t *out)
{
#define LOAD_FLOAT(v) to_s64((double)(v))
    LOAD_ALL(int64_t)
#undef LOAD_FLOAT
}

void oct_nd_load_f64(oct_dtype dtype, bool biased, const void *x, int64_t step, int64_t n, double *out)
{
#define LOAD_FLOAT(v) ((double)(v))
    LOAD_ALL(double)
#undef LOAD_FLOAT
}

void oct_nd_load_f32(oct_dtype dtype, bool biased, const void *x, int64_t step, int64_t n, float *out)
{
#define LOAD_FLOAT(v) ((float)(v))
    LOAD_ALL(float)
#undef LOAD_FLOAT
}

#define STORE(T, expr)                              \
    for (int64_t i = 0; i < n; i++)                 \
        *(T *)((char *)out + i * step) = (T)(expr); \
    break

void oct_nd_store_s64(oct_dtype dtype, bool biased, const int64_t *x, int64_t n, void *out, int64_t step)
{
    switch (dtype) {
    case OCT_BOOL: STORE(uint8_t, x[i] != 0);
    case OCT_U8: STORE(uint8_t, biased ? (uint64_t)x[i] + 128 : (uint64_t)x[i]);
    case OCT_S8: STORE(uint8_t, x[i]);
    case OCT_U16:
    case OCT_S16: STORE(uint16_t, x[i]);
    case OCT_S32:
    case OCT_U32: STORE(uint32_t, x[i]);
    case OCT_S64:
    case OCT_U64: STORE(uint64_t, x[i]);
    case OCT_F32: STORE(float, x[i]);
    case OCT_F64: STORE(double, x[i]);
    case OCT_F16: STORE(uint16_t, oct_f32_to_f16((float)x[i]));
    case OCT_BF16: STORE(uint16_t, oct_f32_to_bf16((float)x[i]));
    default: break;
    }
}

/* To fp32 rounded to odd, so that rounding again to 16 bits is as good as rounding once. */
static float to_f32_odd(double v)
{
    float f = (float)v;
    if ((double)f == v || v != v || f - f != 0.0f)
        return f;
    if ((f > 0.0f) ? (double)f > v : (double)f < v)
        f = oct_f32_from_bits(oct_f32_bits(f) - 1); /* towards zero */
    return oct_f32_from_bits(oct_f32_bits(f) | 1u);
}

/* Bounds of an integer type as doubles that convert back exactly; false for the others. */
static bool integer_range(oct_dtype t, bool biased, double *lo, double *hi)
{
    switch (t) {
    case OCT_U8: *lo = biased ? -128 : 0, *hi = biased ? 127 : 255; return true;
    case OCT_S8: *lo = -128, *hi = 127; return true;
    case OCT_U16: *lo = 0, *hi = 65535; return true;
    case OCT_S16: *lo = -32768, *hi = 32767; return true;
    case OCT_S32: *lo = -0x1p31, *hi = 0x1p31 - 1; return true;
    case OCT_U32: *lo = 0, *hi = 0x1p32 - 1; return true;
    default: return false;
    }
}

static void from_doubles(const double *v, oct_dtype to, bool biased, void *out, int64_t step, int64_t n)
{
    int64_t wide[OCT_ND_CHUNK];
    double lo, hi;
    switch (to) {
    case OCT_F32: STORE(float, v[i]);
    case OCT_F64: STORE(double, v[i]);
    case OCT_F16: STORE(uint16_t, oct_f32_to_f16(to_f32_odd(v[i])));
    case OCT_BF16: STORE(uint16_t, oct_f32_to_bf16(to_f32_odd(v[i])));
    case OCT_BOOL: STORE(uint8_t, v[i] != 0.0);
    case OCT_U64: STORE(uint64_t, v[i] >= 0x1p64 ? UINT64_MAX : v[i] > 0.0 ? (uint64_t)v[i] : 0);
    default:
        for (int64_t i = 0; i < n; i++) {
            double d = v[i];
            if (integer_range(to, biased, &lo, &hi))
                d = d < lo ? lo : d > hi ? hi : d;
            wide[i] = to_s64(d);
        }
        oct_nd_store_s64(to, biased, wide, n, out, step);
    }
}

void oct_nd_cast(oct_dtype from, bool from_biased, const void *x, int64_t x_step, oct_dtype to, bool to_biased, void *y,
                 int64_t y_step, int64_t n)
{
    union {
        double f[OCT_ND_CHUNK];
        int64_t i[OCT_ND_CHUNK];
    } wide;
    void *out = y;
    const int64_t step = y_step;
    if (oct_nd_is_float(from) || to == OCT_F64 || to == OCT_F16 || to == OCT_BF16) {
        oct_nd_load_f64(from, from_biased, x, x_step, n, wide.f);
        from_doubles(wide.f, to, to_biased, y, y_step, n);
        return;
    }
    oct_nd_load_s64(from, from_biased, x, x_step, n, wide.i);
    if (to != OCT_F32) {
        oct_nd_store_s64(to, to_biased, wide.i, n, y, y_step);
        return;
    }
    for (int64_t i = 0; i < n; i++) /* straight from the integer: one rounding */
        *(float *)((char *)out + i * step) = from == OCT_U64 ? (float)(uint64_t)wide.i[i] : (float)wide.i[i];
}

bool oct_nd_is_compare(oct_binary_fn fn)
{
    return fn == OCT_BINARY_EQUAL || fn == OCT_BINARY_GREATER || fn == OCT_BINARY_LESS || fn == OCT_BINARY_GREATER_EQUAL || fn == OCT_BINARY_LESS_EQUAL;
}

static int64_t divide(bool is_unsigned, int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    if (is_unsigned)
        return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t power(bool is_unsigned, int64_t a, int64_t b)
{
    if (b < 0 && !is_unsigned)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    uint64_t r = 1, base = (uint64_t)a;
    for (uint64_t e = (uint64_t)b; e > 0; e >>= 1, base *= base)
        if (e & 1)
            r *= base;
    return (int64_t)r;
}

static int64_t remainder_of(bool is_unsigned, bool floored, int64_t a, int64_t b)
{
    if (b == 0 || (b == -1 && !is_unsigned))
        return 0;
    if (is_unsigned)
        return (int64_t)((uint64_t)a % (uint64_t)b);
    const int64_t r = a % b;
    return floored && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double float_mod(double a, double b)
{
    const double r = fmod(a, b);
    return r == 0 ? copysign(0, b) : (r < 0) != (b < 0) ? r + b : r;
}

static int64_t shift_right(bool is_unsigned, int64_t a, uint64_t by)
{
    if (is_unsigned)
        return by < 64 ? (int64_t)((uint64_t)a >> by) : 0;
    return a >> (by < 64 ? by : 63);
}

static bool less(bool is_unsigned, int64_t a, int64_t b) { return is_unsigned ? (uint64_t)a < (uint64_t)b : a < b; }

void oct_nd_binary_s64(oct_binary_fn fn, bool is_unsigned, const int64_t *a, const int64_t *b, int64_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t p = a[i], q = b[i];
        switch (fn) {
        case OCT_BINARY_ADD: y[i] = (int64_t)((uint64_t)p + (uint64_t)q); break;
        case OCT_BINARY_SUB: y[i] = (int64_t)((uint64_t)p - (uint64_t)q); break;
        case OCT_BINARY_MUL: y[i] = (int64_t)((uint64_t)p * (uint64_t)q); break;
        case OCT_BINARY_DIV: y[i] = divide(is_unsigned, p, q); break;
        case OCT_BINARY_MIN: y[i] = less(is_unsigned, q, p) ? q : p; break;
        case OCT_BINARY_MAX: y[i] = less(is_unsigned, p, q) ? q : p; break;
        case OCT_BINARY_POW: y[i] = power(is_unsigned, p, q); break;
        case OCT_BINARY_PRELU: y[i] = less(is_unsigned, p, 0) ? (int64_t)((uint64_t)p * (uint64_t)q) : p; break;
        case OCT_BINARY_EQUAL: y[i] = p == q; break;
        case OCT_BINARY_GREATER: y[i] = less(is_unsigned, q, p); break;
        case OCT_BINARY_LESS: y[i] = less(is_unsigned, p, q); break;
        case OCT_BINARY_GREATER_EQUAL: y[i] = !less(is_unsigned, p, q); break;
        case OCT_BINARY_LESS_EQUAL: y[i] = !less(is_unsigned, q, p); break;
        case OCT_BINARY_MOD: y[i] = remainder_of(is_unsigned, true, p, q); break;
        case OCT_BINARY_FMOD: y[i] = remainder_of(is_unsigned, false, p, q); break;
        case OCT_BINARY_AND: y[i] = p & q; break;
        case OCT_BINARY_OR: y[i] = p | q; break;
        case OCT_BINARY_XOR: y[i] = p ^ q; break;
        case OCT_BINARY_SHIFT_LEFT: y[i] = (uint64_t)q < 64 ? (int64_t)((uint64_t)p << q) : 0; break;
        case OCT_BINARY_SHIFT_RIGHT: y[i] = shift_right(is_unsigned, p, (uint64_t)q); break;
        case OCT_BINARY_COUNT: break;
        }
    }
}

void oct_nd_binary_f64(oct_binary_fn fn, const double *a, const double *b, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double p = a[i], q = b[i];
        switch (fn) {
        case OCT_BINARY_ADD: y[i] = p + q; break;
        case OCT_BINARY_SUB: y[i] = p - q; break;
        case OCT_BINARY_MUL: y[i] = p * q; break;
        case OCT_BINARY_DIV: y[i] = p / q; break;
        case OCT_BINARY_MIN: y[i] = p < q || p != p ? p : q; break;
        case OCT_BINARY_MAX: y[i] = p > q || p != p ? p : q; break;
        case OCT_BINARY_POW: y[i] = (double)oct_powf((float)p, (float)q); break;
        case OCT_BINARY_PRELU: y[i] = p < 0.0 ? p * q : p; break;
        case OCT_BINARY_EQUAL: y[i] = p == q; break;
        case OCT_BINARY_GREATER: y[i] = p > q; break;
        case OCT_BINARY_LESS: y[i] = p < q; break;
        case OCT_BINARY_GREATER_EQUAL: y[i] = p >= q; break;
        case OCT_BINARY_LESS_EQUAL: y[i] = p <= q; break;
        case OCT_BINARY_FMOD: y[i] = fmod(p, q); break;
        case OCT_BINARY_MOD: y[i] = float_mod(p, q); break;
        default: break; /* bits are no business of floats */
        }
    }
}
