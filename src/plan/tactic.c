/* From the tactic's name in a step to the row of its kernel family: see tactic.h. */
#include "plan/tactic.h"

#include "kernels/kernel.h"

typedef struct found {
    const void *row;
    oct_isa isa;
} found;

#define FIND(F)                                                       \
    do {                                                              \
        const oct_##F##_kernel *k_ = oct_##F##_find(name);            \
        f = (found){k_, k_ ? k_->isa : OCT_ISA_PORTABLE};             \
    } while (0)

oct_status oct_step_kernel(const oct_plan *p, const oct_plan_step *s, const void **row)
{
    const char *name = oct_plan_string(p, s->tactic);
    bool needed = false, codes = s->in_count > 0 && p->tensors[p->index[s->in_first]].dtype == OCT_U8;
    found f;
    *row = NULL;
    switch ((oct_step_kind)s->kind) {
    case OCT_STEP_CONV_Q: FIND(qconv); needed = true; break;
    case OCT_STEP_CONV_F: FIND(fconv); needed = true; break;
    case OCT_STEP_WINO_Q: FIND(qwino); needed = true; break;
    case OCT_STEP_DW_Q: FIND(qdw); needed = true; break;
    case OCT_STEP_DW_F: FIND(fdw); needed = true; break;
    case OCT_STEP_UNARY:
        if (!oct_unary_to_codes(&p->tensors[p->index[s->in_first]], &p->tensors[p->index[s->out_first]]))
            return OCT_OK;
        FIND(quantize);
        break;
    case OCT_STEP_QUANTIZE: FIND(quantize); break;
    case OCT_STEP_DEQUANTIZE: FIND(dequantize); break;
    case OCT_STEP_TABLE: FIND(table); break;
    case OCT_STEP_QADD: FIND(qadd); break;
    case OCT_STEP_QMUL: FIND(qmul); break;
    case OCT_STEP_POOL: {
        const oct_p_pool *pool = (const oct_p_pool *)(p->params + s->params);
        needed = true;
        if (codes && pool->is_max)
            FIND(maxpool_u8);
        else if (codes)
            FIND(avgpool_u8);
        else if (pool->is_max)
            FIND(maxpool_f32);
        else
            FIND(avgpool_f32);
        break;
    }
    default: return OCT_OK;
    }
    if (!f.row && !*name && !needed)
        return OCT_OK;
    if (!f.row)
        return oct_fail(OCT_ERR_CONTENT, "step '%s': no kernel is named '%s'", oct_plan_string(p, s->name), name);
    if (!oct_isa_runs((oct_isa)p->header->isa, f.isa))
        return oct_fail(OCT_ERR_CONTENT, "step '%s': kernel '%s' is above the level of the plan", oct_plan_string(p, s->name), name);
    *row = f.row;
    return OCT_OK;
}
