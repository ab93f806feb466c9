/* Strides of layouts and views: see strides.h. */
#include "op/strides.h"

#include <string.h>

void oct_strides_plain(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t step = 1;
    for (int i = rank; i-- > 0;) {
        strides[i] = step;
        step *= dims[i] ? dims[i] : 1;
    }
}

static void nhwc_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t step = dims[1] ? dims[1] : 1;
    strides[1] = 1;
    for (int i = rank; i-- > 2;) {
        strides[i] = step;
        step *= dims[i] ? dims[i] : 1;
    }
    strides[0] = step;
}

void oct_strides_of_layout(oct_layout layout, int rank, const int64_t *dims, int64_t *strides)
{
    if (layout == OCT_LAYOUT_NHWC && rank >= 3)
        nhwc_strides(rank, dims, strides);
    else
        oct_strides_plain(rank, dims, strides);
}

bool oct_strides_same_walk(const oct_plan_tensor *t, const int64_t *strides)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == 0)
            return true;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] > 1 && t->strides[i] != strides[i])
            return false;
    return true;
}

bool oct_strides_equal(const oct_plan_tensor *t, const int64_t *strides)
{
    return t->rank == 0 || memcmp(t->strides, strides, (size_t)t->rank * sizeof *strides) == 0;
}

oct_layout oct_strides_layout(const oct_plan_tensor *t)
{
    int64_t inner = 0;
    if (t->rank < 3)
        return OCT_LAYOUT_PLAIN;
    for (int i = 2; i < t->rank; i++)
        if (t->dims[i] > 1)
            inner = inner ? oct_min64(inner, t->strides[i]) : t->strides[i];
    bool channels_last = t->dims[1] > 1 && t->strides[1] == 1 && inner > 1;
    return channels_last ? OCT_LAYOUT_NHWC : OCT_LAYOUT_PLAIN;
}

/* Groups of axes with equal products on both sides must be contiguous among themselves. */
bool oct_strides_reshape(const oct_plan_tensor *t, int rank, const int64_t *dims, int64_t *strides)
{
    int64_t od[OCT_MAX_RANK], os[OCT_MAX_RANK];
    int on = 0, oi = 0, ni = 0;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1) {
            od[on] = t->dims[i];
            os[on++] = t->strides[i];
        }
    for (int i = 0; i < rank; i++)
        strides[i] = 1;
    while (oi < on && ni < rank) {
        int o_end = oi + 1, n_end = ni + 1;
        int64_t op = od[oi], np = dims[ni];
        while (op != np) {
            if (np < op) {
                if (n_end >= rank)
                    return false;
                np *= dims[n_end++];
            } else {
                if (o_end >= on)
                    return false;
                op *= od[o_end++];
            }
        }
        for (int k = oi; k + 1 < o_end; k++)
            if (os[k] != od[k + 1] * os[k + 1])
                return false;
        strides[n_end - 1] = os[o_end - 1];
        for (int k = n_end - 1; k > ni; k--)
            strides[k - 1] = strides[k] * dims[k];
        oi = o_end;
        ni = n_end;
    }
    return true;
}
