/* The trainer's gradients of a model against finite differences.  Needs liboctavo_train.
 *   cc check_gradient.c $(pkg-config --cflags --libs octavo_train) -o check_gradient
 *   ./check_gradient model.onnx [batch]
 * Prints the largest relative error and the tensor that has it; exit status 1 above 0.02. */
#include <octavo/train.h>
#include <stdio.h>
#include <stdlib.h>

static void check(oct_status status)
{
    if (status != OCT_OK) {
        fprintf(stderr, "check_gradient: %s\n", oct_last_error()->message);
        exit((int)status);
    }
}

int main(int argc, char **argv)
{
    oct_gradient_options options = {.batch = argc > 2 ? atoi(argv[2]) : 2, .training = true};
    oct_model *model = NULL;
    char *where = NULL;
    double worst;
    if (argc < 2) {
        fprintf(stderr, "usage: check_gradient model.onnx [batch]\n");
        return OCT_ERR_USAGE;
    }
    check(oct_model_load(argv[1], &model));
    check(oct_check_gradient(model, &options, &worst, &where));
    printf("largest error %.2g, at '%s'\n", worst, where);
    oct_string_free(where);
    oct_model_destroy(model);
    return worst > 0.02;
}
