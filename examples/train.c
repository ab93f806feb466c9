/* Quantization-aware training in C: a float ONNX model and labelled images become a Q/DQ model.  Needs liboctavo_train.
 *   cc train.c $(pkg-config --cflags --libs octavo_train) -o train
 *   ./train model.onnx images/ out.onnx [BITS]      (images/: one folder a class; pixels are divided by 255) */
#include <octavo/octavo.h>
#include <octavo/train.h>
#include <stdio.h>
#include <stdlib.h>

static void check(oct_status status)
{
    if (status != OCT_OK) {
        fprintf(stderr, "train: %s\n", oct_last_error()->message);
        exit((int)status);
    }
}

/* Ranges of the activations, from some batches. */
static oct_ranges *calibrate(const oct_model *model, oct_dataset *set, const oct_preprocess *pre)
{
    oct_calibrator *cal;
    oct_loader *loader;
    oct_ranges *ranges;
    oct_port port;
    oct_batch batch;
    check(oct_model_get_input(model, 0, &port));
    check(oct_calibrator_create(model, NULL, &cal));
    check(oct_loader_create_with(set, &port, 1, pre, &(oct_loader_options){.batch = 64, .shuffle = true}, &loader));
    for (int i = 0; i < 8; i++) {
        check(oct_loader_next(loader, &batch));
        if (batch.count == 0)
            break;
        check(oct_calibrator_push(cal, batch.inputs, 1, batch.first));
    }
    check(oct_calibrator_solve(cal, &ranges));
    oct_loader_destroy(loader);
    oct_calibrator_destroy(cal);
    return ranges;
}

static void report(void *user, const oct_train_event *e)
{
    (void)user;
    if (e->kind == OCT_TRAIN_STARTED || e->kind == OCT_TRAIN_EPOCH)
        printf("epoch %lld: top-1 %.2f %% on held-out images, %.0f s\n", (long long)e->epoch, e->val_top1, e->seconds);
    if (e->kind == OCT_TRAIN_ROLLBACK)
        printf("%s\n", e->text);
}

int main(int argc, char **argv)
{
    oct_model *model, *trained;
    oct_dataset *train, *held;
    oct_preprocess pre;
    oct_train_options options = {0};
    oct_train_result result;
    const oct_data_options part = {.split = 0.1}, rest = {.split = 0.1, .held_out = true};
    if (argc < 4) {
        fprintf(stderr, "usage: train MODEL IMAGES OUT [BITS]\n");
        return 2;
    }
    check(oct_model_load(argv[1], &model));
    check(oct_dataset_open(argv[2], &part, &train));
    check(oct_dataset_open(argv[2], &rest, &held));
    oct_preprocess_default(&pre);
    oct_ranges *ranges = calibrate(model, train, &pre);

    oct_train_default(&options);
    options.weight_bits = options.activation_bits = argc > 4 ? atoi(argv[4]) : 8;
    options.event = report;
    check(oct_train(model, ranges, train, held, &pre, &options, &trained, &result));
    check(oct_model_save(trained, argv[3]));
    printf("%.2f %% after epoch %lld, %.2f %% by PTQ\n", result.best_top1, (long long)result.best_epoch, result.ptq_top1);

    oct_model_destroy(trained);
    oct_ranges_destroy(ranges);
    oct_dataset_destroy(held);
    oct_dataset_destroy(train);
    oct_model_destroy(model);
    return 0;
}
