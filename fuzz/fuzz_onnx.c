/* ONNX files: load, describe, build for the smallest shapes, run, write back. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_model *m = NULL;
    oct_plan *plan = NULL;
    char *text = NULL;
    if (oct_model_load_memory(data, size, "fuzz.onnx", &m) != OCT_OK)
        return 0;
    if (oct_model_info_json(m, true, &text) == OCT_OK)
        oct_string_free(text);
    if (oct_plan_build(m, &(oct_build_options){.deterministic = true}, &plan) == OCT_OK)
        fuzz_run(plan);
    oct_plan_destroy(plan);
    const char *path = fuzz_file("out.onnx", data, 0);
    if (oct_model_save(m, path) == OCT_OK) {
        oct_model *again = NULL;
        if (oct_model_load(path, &again) == OCT_OK)
            oct_model_destroy(again);
    }
    oct_model_destroy(m);
    return 0;
}
