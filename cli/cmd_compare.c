/* compare: two models on the same input, tensor by tensor; the first that departs is named. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source.h"

#define DEFAULT_SAMPLES 8
#define DEPARTS         0.1 /* relative error beyond which a tensor counts as departed: 20 dB */

/* Samples from --data as arrays of the model's inputs, copied out of the loader. */
static int arrays_from_data(const cli *c, const cli_subject *a, const cli_subject *b, cli_arrays *out)
{
    oct_preprocess pre;
    oct_dataset *set = NULL;
    oct_loader *loader = NULL;
    oct_batch batch = {0};
    oct_status s = OCT_OK;
    cli_arrays x = {.count = cli_subject_input_count(a), .copied = true};
    x.tensors = calloc((size_t)x.count + 1, sizeof *x.tensors);
    x.names = calloc((size_t)x.count + 1, sizeof *x.names);
    x.ports = calloc((size_t)x.count + 1, sizeof *x.ports);
    int bad = x.tensors && x.names && x.ports ? cli_preprocess(c, a, b, &pre) : cli_error(c, OCT_ERR_MEMORY, "out of memory");
    if (!bad)
        bad = cli_dataset(c, 0, 0, &set);
    if (bad)
        goto done;
    for (int i = 0; s == OCT_OK && i < x.count; i++) {
        s = cli_subject_input(a, i, &x.ports[i]);
        x.names[i] = x.ports[i].name;
    }
    int64_t fixed = s == OCT_OK && x.count && x.ports[0].rank > 0 ? x.ports[0].dims[0] : -1;
    if (s == OCT_OK)
        s = oct_loader_create(set, x.ports, x.count, &pre, fixed > 0 ? fixed : c->o.batch ? c->o.batch : DEFAULT_SAMPLES, (int)c->o.threads, &loader);
    if (s == OCT_OK)
        s = oct_loader_next(loader, &batch);
    if (s != OCT_OK)
        bad = cli_report(c, s);
    else if (batch.count == 0)
        bad = cli_error(c, OCT_ERR_CONTENT, "'%s' has no sample that can be read", c->o.data);
    for (int i = 0; !bad && i < x.count; i++) {
        size_t bytes = (size_t)oct_tensor_count(&batch.inputs[i]) * oct_dtype_size(batch.inputs[i].dtype);
        x.tensors[i] = batch.inputs[i];
        x.tensors[i].data = malloc(bytes + 1);
        if (x.tensors[i].data)
            memcpy(x.tensors[i].data, batch.inputs[i].data, bytes);
        else
            bad = cli_error(c, OCT_ERR_MEMORY, "out of memory");
    }
done:
    oct_loader_destroy(loader);
    oct_dataset_destroy(set);
    if (bad)
        cli_arrays_free(&x);
    else
        *out = x;
    return bad;
}

static bool departs(const oct_tensor_diff *d) { return !(d->rel_l2 <= DEPARTS); }

static void print_rows(const cli *c, const oct_tensor_diff *rows, int64_t count)
{
    if (c->o.json) {
        cJSON *list = cJSON_CreateArray();
        for (int64_t i = 0; i < count; i++) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddStringToObject(o, "name", rows[i].name);
            cJSON_AddNumberToObject(o, "max_abs", rows[i].max_abs);
            cJSON_AddNumberToObject(o, "rel_l2", rows[i].rel_l2);
            cJSON_AddNumberToObject(o, "cosine", rows[i].cosine);
            cJSON_AddBoolToObject(o, "departs", departs(&rows[i]));
            cJSON_AddItemToArray(list, o);
        }
        cli_print_json(list);
        return;
    }
    const char *first = NULL;
    printf("%12s %12s %12s  tensor\n", "max abs", "rel l2", "cosine");
    for (int64_t i = 0; i < count; i++) {
        printf("%12.5g %12.5g %12.8f  %s\n", rows[i].max_abs, rows[i].rel_l2, rows[i].cosine, rows[i].name);
        if (!first && departs(&rows[i]))
            first = rows[i].name;
    }
    if (first)
        printf("first tensor that departs (relative error above %g): %s\n", DEPARTS, first);
    else
        printf("no tensor departs (relative error above %g)\n", DEPARTS);
}

int cmd_compare(int argc, char **argv)
{
    cli_texts inputs = {0};
    cli_option own[] = {{"--input", "-i", CLI_TEXTS, &inputs, "NAME=FILE", ".npy of an input", 0, 0}, {0}};
    cli c = {.command = "compare", .usage = "A B --input NAME=FILE.npy", .summary = "Run two ONNX models on the same input (--input, or the first --batch samples of --data) and compare\n"
             "every tensor that both have; names the first that departs.", .options = own, .arg_min = 2, .arg_max = 2};
    int status = 0;
    cli_subject a = {0}, b = {0};
    cli_arrays arrays = {0};
    oct_tensor_diff *rows = NULL;
    int64_t count = 0;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    if (!inputs.count == !c.o.data) {
        status = cli_error(&c, OCT_ERR_USAGE, "either --input NAME=FILE.npy or --data PATH is needed");
        goto done;
    }
    oct_status s = cli_subject_open(c.args[0], &a);
    if (s == OCT_OK)
        s = cli_subject_open(c.args[1], &b);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    else if (a.plan || b.plan)
        status = cli_error(&c, OCT_ERR_USAGE, "compare wants two ONNX files; '%s' is a plan", a.plan ? a.path : b.path);
    if (!status)
        status = inputs.count ? cli_arrays_load(&c, &a, &inputs, &arrays) : arrays_from_data(&c, &a, &b, &arrays);
    if (status)
        goto done;
    s = oct_compare(a.model, b.model, arrays.names, arrays.tensors, arrays.count, (int)c.o.threads, &rows, &count);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    else
        print_rows(&c, rows, count);
done:
    free(rows);
    cli_arrays_free(&arrays);
    cli_subject_close(&a);
    cli_subject_close(&b);
    return cli_finish(&c, status);
}
