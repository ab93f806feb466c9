/* The cost model: see cost.h.  A few nominal figures a level; the shapes do the rest. */
#include "build/cost.h"

#include "kernels/kernel.h"
#include "plan/conv.h"

#define HERTZ               3e9
#define DISPATCH_CYCLES     200.0 /* waking the team, walking the step */
#define BYTES_PER_CYCLE     24.0  /* in the second level of cache */
#define REFERENCE_FACTOR    8.0   /* a _ref row is written to be read; */
#define REFERENCE_DEPTHWISE 1.4   /* that of depthwise products is a plain loop over channels, which compilers vectorise */
#define UNFUSED_FACTOR      1.75  /* portable code multiplies and adds in two instructions, partly side by side */

/* One multiply-add instruction handles this many 32-bit lanes; portable code is compiled for 128 bits. */
static double lanes(oct_isa isa)
{
    return isa == OCT_ISA_AVX512VNNI ? 16 : isa == OCT_ISA_AVX2 ? 8 : 4;
}

/* Multiply-adds of codes that a lane does in one instruction: four with VNNI; elsewhere codes are widened first, which costs a
 * little more than it saves. */
static double code_depth(oct_isa isa)
{
    return isa == OCT_ISA_AVX512VNNI ? 4 : 0.9;
}

static double max_of(double a, double b)
{
    return a > b ? a : b;
}

/* Cycles of one step in k of a tile of rows x nr: two multiply-adds and two loads a cycle; a weight vector serves all rows, an
 * activation all columns. */
static double tile_cycles(int64_t rows, double vectors)
{
    return max_of((double)rows * vectors / 2, ((double)rows + vectors) / 2);
}

/* Tiles of mr x nr over m pixels, the last one shorter. */
static double row_cycles(int64_t m, int32_t mr, double vectors)
{
    double cycles = (double)(m / mr) * tile_cycles(mr, vectors);
    return m % mr ? cycles + tile_cycles(m % mr, vectors) : cycles;
}

static double conv_cycles(const oct_p_conv *p, bool codes, oct_isa isa, int32_t mr, int32_t nr, int32_t step)
{
    const int64_t columns = p->oc / p->groups;
    const double vectors = (double)oct_min64(nr, oct_round_up(columns, step)) / lanes(isa), depth = codes ? code_depth(isa) : 1;
    const double k = (double)p->tap_count * (codes && isa == OCT_ISA_AVX512VNNI ? (double)oct_div_up(p->kc, 4) : p->kc / depth);
    const double panels = (double)oct_div_up(p->oc / p->groups, nr) * p->groups, rows = (double)p->n * p->oh;
    const double store = (double)p->ow * vectors * (codes ? 4 : 2);
    return rows * panels * (row_cycles(p->ow, mr, vectors) * k + store) * (isa == OCT_ISA_PORTABLE ? UNFUSED_FACTOR : 1);
}

/* Depthwise products do not profit from VNNI's sums of four unless a kernel is made for their window. */
static double depthwise_cycles(const oct_p_conv *p, const oct_qdw_kernel *k, oct_isa isa)
{
    const double groups = (double)oct_div_up(p->c, (int64_t)lanes(isa)), taps = (double)p->tap_count * p->kc;
    const double depth = !k ? 1 : isa == OCT_ISA_AVX512VNNI ? (k->kh ? 3 : 2) : 1;
    return (double)p->n * p->oh * p->ow * groups * (taps / depth + 4);
}

static double copied_bytes(const oct_p_conv *p, oct_step_kind kind)
{
    return p->copy ? 2.0 * (double)p->n * p->h * p->w * p->up_h * p->up_w * p->c * (double)oct_conv_size(kind) : 0;
}

static double tensor_bytes(const oct_plan_tensor *t, double *elements)
{
    double count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= (double)t->dims[i];
    *elements = count;
    return count * (double)oct_dtype_size((oct_dtype)t->dtype);
}

/* Cycles of an element of the larger side, on a vector of lanes. */
static double element_cycles(oct_step_kind kind)
{
    switch (kind) {
    case OCT_STEP_UNARY:
    case OCT_STEP_SOFTMAX:
    case OCT_STEP_LAYER_NORM:
        return 12;
    case OCT_STEP_QUANTIZE:
    case OCT_STEP_QADD:
    case OCT_STEP_QMUL:
        return 6;
    case OCT_STEP_RESIZE:
    case OCT_STEP_GATHER:
    case OCT_STEP_ARG_MAX:
        return 8;
    default:
        return 2;
    }
}

static double matmul_cycles(const oct_plan *p, const oct_plan_step *s, double out_elements, oct_isa isa)
{
    const oct_plan_tensor *a = &p->tensors[p->index[s->in_first]];
    return out_elements * (a->rank ? (double)a->dims[a->rank - 1] : 1) / lanes(isa);
}

static double pool_cycles(const oct_p_pool *p, double out_elements, oct_isa isa)
{
    return out_elements * p->kh * p->kw / lanes(isa);
}

double oct_cost_step(const oct_plan *p, const oct_plan_step *s)
{
    const void *params = p->params + s->params, *row = NULL;
    const oct_p_conv *conv = params;
    const char *tactic = oct_plan_string(p, s->tactic);
    double bytes = 0, most = 0, out_elements = 0, cycles, elements;
    oct_isa isa = (oct_isa)p->header->isa;
    for (uint32_t i = 0; i < s->in_count + s->out_count; i++) {
        bytes += tensor_bytes(&p->tensors[p->index[i < s->in_count ? s->in_first + i : s->out_first + i - s->in_count]], &elements);
        most = max_of(most, elements);
        out_elements = i >= s->in_count ? elements : 0;
    }
    switch ((oct_step_kind)s->kind) {
    case OCT_STEP_CONV_Q: {
        const oct_qconv_kernel *k = oct_qconv_find(tactic);
        cycles = conv_cycles(conv, true, k->isa, k->mr, k->nr, k->step);
        bytes += copied_bytes(conv, OCT_STEP_CONV_Q) + (double)conv->panel_bytes * conv->panels * conv->groups;
        break;
    }
    case OCT_STEP_CONV_F: {
        const oct_fconv_kernel *k = oct_fconv_find(tactic);
        cycles = conv_cycles(conv, false, k->isa, k->mr, k->nr, k->nr);
        bytes += copied_bytes(conv, OCT_STEP_CONV_F) + (double)conv->panel_bytes * conv->panels * conv->groups;
        break;
    }
    case OCT_STEP_WINO_Q: { /* a quarter of the products, in 16 bits; the transforms take a quarter of their time */
        const oct_qwino_kernel *k = oct_qwino_find(tactic);
        cycles = conv_cycles(conv, true, k->isa, 6, k->nr, k->nr) * (k->isa == OCT_ISA_AVX512VNNI ? 0.625 : 0.3125);
        bytes += copied_bytes(conv, OCT_STEP_WINO_Q) + (double)conv->panel_bytes * conv->panels;
        break;
    }
    case OCT_STEP_DW_Q:
        row = oct_qdw_find(tactic);
        cycles = depthwise_cycles(conv, row, ((const oct_qdw_kernel *)row)->isa);
        bytes += copied_bytes(conv, OCT_STEP_DW_Q);
        break;
    case OCT_STEP_DW_F:
        cycles = depthwise_cycles(conv, NULL, oct_fdw_find(tactic)->isa);
        bytes += copied_bytes(conv, OCT_STEP_DW_F);
        break;
    case OCT_STEP_MATMUL:
        cycles = matmul_cycles(p, s, out_elements, isa);
        break;
    case OCT_STEP_POOL:
        cycles = pool_cycles(params, out_elements, isa);
        break;
    default:
        cycles = most * element_cycles((oct_step_kind)s->kind) / lanes(isa);
        break;
    }
    if (oct_kernel_is_reference(tactic))
        cycles *= oct_step_is_depthwise((oct_step_kind)s->kind) ? REFERENCE_DEPTHWISE : REFERENCE_FACTOR;
    return (DISPATCH_CYCLES + cycles + bytes / BYTES_PER_CYCLE) / HERTZ;
}
