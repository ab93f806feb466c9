/* quantize: a float ONNX model and samples (or a calibration cache) to a Q/DQ ONNX model. */
#include <stdio.h>

#include "calibration.h"

typedef struct job {
    const char *output, *ranges_file, *functions;
    cli_calibration calibration;
    oct_quant_options options;
    int64_t samples, skipped;
} job;

static void print_result(const cli *c, const job *j, const oct_ranges *ranges, double seconds)
{
    int64_t before = cli_file_size(c->args[0]), after = cli_file_size(j->output);
    if (c->o.json) {
        cJSON *root = cJSON_CreateObject(), *bytes;
        cJSON_AddStringToObject(root, "model", c->args[0]);
        cJSON_AddStringToObject(root, "output", j->output);
        cJSON_AddNumberToObject(root, "samples", (double)j->samples);
        cJSON_AddNumberToObject(root, "skipped", (double)j->skipped);
        cJSON_AddNumberToObject(root, "tensors", (double)oct_ranges_count(ranges));
        cJSON_AddItemToObject(root, "solvers", cli_solver_counts(ranges));
        cJSON_AddNumberToObject(root, "seconds", seconds);
        bytes = cJSON_AddObjectToObject(root, "bytes");
        cJSON_AddNumberToObject(bytes, "before", (double)before);
        cJSON_AddNumberToObject(bytes, "after", (double)after);
        cli_print_json(root);
    } else if (!c->o.quiet) {
        printf("%s: %lld tensors", j->output, (long long)oct_ranges_count(ranges));
        if (j->samples)
            printf(" from %lld samples", (long long)j->samples);
        printf(", %lld -> %lld bytes, %.1f s\n", (long long)before, (long long)after, seconds);
    }
}

int cmd_quantize(int argc, char **argv)
{
    job j = {0};
    cli_option own[] = {{"--output", "-o", CLI_TEXT, &j.output, "FILE", "where the Q/DQ ONNX model goes", 0, 0},
                        {"--ranges", NULL, CLI_TEXT, &j.ranges_file, "CACHE", "take the ranges from a calibration cache instead of --data", 0, 0},
                        CLI_CALIBRATION_OPTIONS(&j.calibration),
                        {"--per-tensor", NULL, CLI_FLAG, &j.calibration.per_tensor, NULL, "one scale per weight tensor (default: per output channel)", 0, 0},
                        {"--functions", NULL, CLI_TEXT, &j.functions, "NAME", "SiLU, GELU, ... between INT8 layers read float or codes (fast, less accurate; default: float)", 0, 0},
                        {0}};
    static const char *const functions[] = {"float", "codes", NULL};
    cli c = {.command = "quantize", .usage = "MODEL --data PATH -o FILE", .summary = "Quantize a float ONNX model after training: a few hundred real samples in, a Q/DQ ONNX model out.\n"
             "The preprocessing is stored in the result, so that later commands need not be told.", .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    double start = cli_seconds();
    cli_subject subject = {0};
    oct_preprocess pre;
    oct_ranges *ranges = NULL;
    oct_model *quantized = NULL;
    if (!cli_parse(&c, argc, argv, &status) || (status = cli_quant_options(&c, &j.calibration, &j.options)))
        goto done;
    if (!j.output || !c.o.data == !j.ranges_file) {
        status = cli_error(&c, OCT_ERR_USAGE, j.output ? "either --data or --ranges is needed" : "-o FILE is missing");
        goto done;
    }
    if (j.functions && cli_word(j.functions, functions) < 0) {
        status = cli_error(&c, OCT_ERR_USAGE, "--functions is float or codes, not '%s'", j.functions);
        goto done;
    }
    subject.path = c.args[0];
    oct_status s = oct_model_load(c.args[0], &subject.model);
    if (s == OCT_OK && j.functions)
        s = oct_model_set_metadata(subject.model, OCT_FUNCTIONS_KEY, j.functions);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    if (!status)
        status = cli_preprocess(&c, &subject, NULL, &pre);
    if (!status)
        status = cli_obtain_ranges(&c, j.ranges_file, &j.options, subject.model, &pre, &ranges, &j.samples, &j.skipped);
    if (status)
        goto done;
    s = oct_model_quantize(subject.model, ranges, &j.options, &quantized);
    /* Without samples the default would be a guess. */
    if (s == OCT_OK && (c.o.data || cli_preprocess_given(&c)))
        s = cli_keep_preprocess(quantized, &pre);
    if (s == OCT_OK)
        s = oct_model_save(quantized, j.output);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    else
        print_result(&c, &j, ranges, cli_seconds() - start);
done:
    oct_model_destroy(quantized);
    oct_ranges_destroy(ranges);
    cli_subject_close(&subject);
    return cli_finish(&c, status);
}
