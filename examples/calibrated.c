/* Calibrated mode in C: a float ONNX model and ranges become a plan with INT8 where that is faster.  Needs liboctavo.
 *   cc calibrated.c $(pkg-config --cflags --libs octavo) -o calibrated
 *   ./calibrated model.onnx out.plan TENSOR=MIN,MAX...        (or with a calibration cache among the arguments: CACHE)
 * Prints the report: what every layer of the model became, and why. */
#include <octavo/octavo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(oct_status status)
{
    if (status != OCT_OK) {
        fprintf(stderr, "calibrated: %s\n", oct_last_error()->message);
        exit((int)status);
    }
}

/* "TENSOR=MIN,MAX", else the name of a cache file. */
static void add_ranges(oct_builder *builder, char *argument)
{
    char *equals = strrchr(argument, '='), *comma = equals ? strchr(equals, ',') : NULL;
    if (!comma) {
        check(oct_builder_load_ranges(builder, argument));
        return;
    }
    *equals = 0;
    check(oct_builder_set_range(builder, argument, strtof(equals + 1, NULL), strtof(comma + 1, NULL)));
}

int main(int argc, char **argv)
{
    oct_model *model;
    oct_builder *builder;
    oct_plan *plan;
    char *report;
    if (argc < 4) {
        fprintf(stderr, "usage: calibrated MODEL PLAN TENSOR=MIN,MAX|CACHE...\n");
        return 2;
    }
    check(oct_model_load(argv[1], &model));
    check(oct_builder_create(model, &builder));
    for (int i = 3; i < argc; i++)
        add_ranges(builder, argv[i]);
    check(oct_builder_build(builder, &(oct_build_options){.level = 1, .threads = 1}, &plan));
    check(oct_plan_save(plan, argv[2]));
    check(oct_builder_report_json(builder, &report));
    puts(report);

    oct_string_free(report);
    oct_plan_destroy(plan);
    oct_builder_destroy(builder);
    oct_model_destroy(model);
    return 0;
}
