/* The pass table and its driver.  Each stage runs its passes in order, from its start again after every
 * pass that changed something, until none does. */
#include "opt/opt.h"

#include <string.h>
#include "opt/pass.h"

typedef struct oct_pass {
    const char *name, *what;
    unsigned stage;
    oct_pass_fn *run;
} oct_pass;

static const oct_pass passes[] = {
    {"identity", "drop operators that change nothing", OCT_OPT_EXPORT, oct_pass_identity},
    {"fold", "compute what depends on constants only", OCT_OPT_EXPORT, oct_pass_fold},
    {"shapes", "replace shape arithmetic by its known result", OCT_OPT_EXPORT, oct_pass_shapes},
    {"pad", "move zero padding into the convolution", OCT_OPT_EXPORT, oct_pass_pad},
    {"batch_norm", "fold BatchNormalization into the weights before it", OCT_OPT_EXPORT, oct_pass_batch_norm},
    {"patterns", "recognise SiLU, hard-swish and GELU", OCT_OPT_EXPORT, oct_pass_patterns},
    {"turn", "transpose constant codes under their DequantizeLinear", OCT_OPT_QDQ, oct_pass_turn},
    {"lift", "put the scales of Q and DQ onto the code tensors", OCT_OPT_QDQ, oct_pass_lift},
    {"share", "one QuantizeLinear a tensor and scale", OCT_OPT_QDQ, oct_pass_share},
    {"bias", "bias sum into the matrix product before it", OCT_OPT_QDQ, oct_pass_bias},
    {"dq_late", "move DequantizeLinear behind what commutes with it", OCT_OPT_QDQ, oct_pass_dq_late},
    {"fold_codes", "compute what depends on constant codes only", OCT_OPT_QDQ, oct_pass_fold},
    {"q_early", "move QuantizeLinear before what commutes with it", OCT_OPT_QDQ, oct_pass_q_early},
    {"collapse", "Q after DQ: nothing when equal, one requantization when not", OCT_OPT_QDQ, oct_pass_collapse},
    {"form_weighted", "integer convolutions and matrix products, with residual and activation", OCT_OPT_QDQ, oct_pass_form_weighted},
    {"form_elementwise", "integer sums, products, averages and tables", OCT_OPT_QDQ, oct_pass_form_elementwise},
    {"inner", "integer sum into the convolution that feeds it", OCT_OPT_QDQ, oct_pass_inner},
    {"fold_dq", "weights that stay float: dequantize now", OCT_OPT_FUSE, oct_pass_fold_dq},
    {"bias", "bias sum into the matrix product before it", OCT_OPT_FUSE, oct_pass_bias},
    {"residual", "float sum into the convolution that feeds it", OCT_OPT_FUSE, oct_pass_residual},
    {"activation", "Relu and Clip into the operator before them", OCT_OPT_FUSE, oct_pass_activation},
    {"explain", "say of each float operator why it is not INT8", OCT_OPT_FUSE, oct_pass_explain},
    {"unary_codes", "float functions write the codes of the Q behind them", OCT_OPT_FUSE, oct_pass_unary_codes},
};
enum { PASS_COUNT = (int)(sizeof passes / sizeof passes[0]), MAX_ROUNDS = 64 };

bool oct_opt_describe(int i, const char **name, const char **what, unsigned *stage)
{
    if (i < 0 || i >= PASS_COUNT)
        return false;
    *name = passes[i].name;
    *what = passes[i].what;
    *stage = passes[i].stage;
    return true;
}

static oct_status run_pass(const oct_opt *opt, const oct_pass *pass, int64_t *changes)
{
    int64_t n = 0;
    OCT_TRY(pass->run(opt, &n));
    if (n) {
        OCT_TRY(oct_graph_sort(opt->g));
        oct_graph_sweep(opt->g);
        /* Integer nodes exist from the QDQ stage on; passes then set dtypes and shapes of what they add themselves. */
        if (pass->stage == OCT_OPT_EXPORT)
            OCT_TRY(oct_graph_infer(opt->g));
    }
#ifdef OCT_DEV
    OCT_TRY(oct_graph_verify(opt->g, pass->name));
#endif
    *changes += n;
    return OCT_OK;
}

oct_status oct_opt_pass(const oct_opt *opt, const char *name, int64_t *changes)
{
    for (int i = 0; i < PASS_COUNT; i++)
        if (strcmp(passes[i].name, name) == 0) {
            *changes = 0;
            return run_pass(opt, &passes[i], changes);
        }
    return oct_fail(OCT_ERR_USAGE, "no pass is named '%s'", name);
}

oct_status oct_opt_run(const oct_opt *opt)
{
    int64_t total[sizeof passes / sizeof passes[0]] = {0};
    oct_graph_sweep(opt->g);
    OCT_TRY(oct_graph_infer(opt->g));
    for (unsigned stage = OCT_OPT_EXPORT; stage <= OCT_OPT_FUSE; stage <<= 1) {
        if (!(opt->stages & stage))
            continue;
        /* A pass runs only when none before it has anything to do: Q and DQ have moved as far as they go before nodes are formed. */
        int64_t budget = MAX_ROUNDS + opt->g->node_count;
        for (int i = 0; i < PASS_COUNT; i++) {
            int64_t n = 0;
            if (passes[i].stage != stage)
                continue;
            OCT_TRY(run_pass(opt, &passes[i], &n));
            total[i] += n;
            if (n && --budget == 0)
                return oct_fail(OCT_ERR_INTERNAL, "the optimizer's stage %u does not come to rest on graph '%s'", stage, opt->g->name);
            if (n)
                i = -1;
        }
    }
    if (opt->report)
        for (int i = 0; i < PASS_COUNT; i++)
            if (opt->stages & passes[i].stage)
                oct_text_printf(opt->report, "%s: %s (%lld)\n", passes[i].name, passes[i].what, (long long)total[i]);
    return OCT_OK;
}
