/* The public quantizer: a float model and ranges to a Q/DQ model.  Where pairs go and what they are is qparam's; here is the model around it:
 * the hash that ties ranges to a model, the passes before, the metadata. */
#include "quant/quantize.h"

#include <string.h>
#include "build/build.h"
#include "onnx/model.h"
#include "qparam/insert.h"

oct_status oct_model_quantize(const oct_model *model, const oct_ranges *ranges, const oct_quant_options *opts, oct_model **out)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL, *graph;
    char hash[17];
    OCT_TRY(oct_quantizable_model(model, hash));
    OCT_TRY(oct_ranges_check_model(ranges, hash));
    OCT_TRY(oct_graph_clone(model->graph, &g));
    OCT_TRY_DONE(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold}));
    OCT_TRY_DONE(oct_insert_qdq(g, ranges, opts && opts->per_tensor));
    OCT_TRY_DONE(oct_graph_set_meta(g, "octavo.model_hash", hash));
    graph = g;
    g = NULL;
    s = oct_model_from_graph(graph, model, out);
done:
    oct_graph_destroy(g);
    return s;
}

oct_status oct_quantizable_model(const oct_model *model, char hash[17])
{
    if (oct_model_is_quantized(model))
        return oct_fail(OCT_ERR_CONTENT, "the model '%s' is quantized already", model->name ? model->name : "");
    return oct_graph_hash(model->graph, hash);
}
