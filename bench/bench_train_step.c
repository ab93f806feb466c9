/* One thread's training step of a model, operator by operator: where its time goes, and what share of the processor's multiply-adds it is.
 *   bench_train_step [MODEL.onnx [micro-batch [bits]]]     bits 0 = float, else fake quantization of so many bits with learned scales */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/rng.h"
#include "qparam/qparam.h"
#include "train/diff.h"
#include "train/qat.h"

enum { ROUNDS = 8 };

#define OK(expr)                                                  \
    do {                                                          \
        if ((expr) != OCT_OK) {                                   \
            fprintf(stderr, "%s\n", oct_last_error()->message);   \
            return 1;                                             \
        }                                                         \
    } while (0)

/* Any positive range will do: times do not depend on it. */
static oct_status any_ranges(const oct_model *m, oct_ranges **out)
{
    OCT_TRY(oct_ranges_create(OCT_SCHEME_AFFINE, out));
    for (int64_t i = 0; i < m->graph->value_count; i++)
        if (!m->graph->values[i]->data && m->graph->values[i]->dtype == OCT_F32)
            OCT_TRY(oct_ranges_put(*out, &(oct_range_entry){.tensor = (char *)(uintptr_t)m->graph->values[i]->name, .min = -4, .max = 4, .solver = (char *)"max", .error = -1}));
    return OCT_OK;
}

/* Least seconds of each node over the rounds, forward and backward. */
static oct_status measure(oct_tape *t, double *forward, double *backward, double *whole)
{
    for (int r = 0; r < ROUNDS; r++) {
        double total = oct_now();
        OCT_TRY(oct_tape_forward(t));
        oct_tape_value y;
        oct_tape_output(t, 0, &y);
        OCT_TRY(oct_tape_backward(t, (const float *const[]){y.data}));
        total = oct_now() - total;
        *whole = r == 0 || total < *whole ? total : *whole;
    }
    const int threads = oct_dnn_enter();
    for (int r = 0; r < ROUNDS; r++)
        for (int64_t i = 0; i < 2 * t->node_count; i++) {
            const bool back = i >= t->node_count;
            oct_diff_node *d = &t->nodes[back ? 2 * t->node_count - 1 - i : i];
            double *least = back ? &backward[d - t->nodes] : &forward[d - t->nodes];
            if (d->absorbed || (back && !(d->out[0] && d->out[0]->needs_grad)))
                continue;
            const double began = oct_now();
            OCT_TRY(back ? d->op->backward(t, d) : d->op->forward(t, d));
            const double took = oct_now() - began;
            *least = r == 0 || took < *least ? took : *least;
        }
    oct_dnn_leave(threads);
    return OCT_OK;
}

static void print_table(const oct_tape *t, const double *forward, const double *backward, double rows)
{
    double f[OCT_OP_COUNT] = {0}, b[OCT_OP_COUNT] = {0};
    for (int64_t i = 0; i < t->node_count; i++) {
        f[t->nodes[i].node->op] += forward[i];
        b[t->nodes[i].node->op] += backward[i];
    }
    printf("%-22s %10s %10s   us/image\n", "operator", "forward", "backward");
    for (int op = 0; op < OCT_OP_COUNT; op++)
        if (f[op] > 0)
            printf("%-22s %10.1f %10.1f\n", oct_op_get((oct_op)op)->name, 1e6 * f[op] / rows, 1e6 * b[op] / rows);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "../shared/models/resnet20_cifar10_bn.onnx";
    const int64_t micro = argc > 2 ? atoi(argv[2]) : 16;
    const int bits = argc > 3 ? atoi(argv[3]) : 0;
    const bool bf16 = argc > 4 && strcmp(argv[4], "bf16") == 0;
    oct_model *m;
    oct_ranges *ranges = NULL;
    oct_qat *q;
    oct_tape *t;
    oct_tape_value x;
    double whole = 0;
    if (oct_model_load(path, &m) != OCT_OK) {
        printf("bench_train_step: skipped, %s\n", oct_last_error()->message);
        return 0;
    }
    if (bits)
        OK(any_ranges(m, &ranges));
    OK(oct_qat_create(m, ranges, &(oct_qat_options){.batch = micro, .weight_bits = bits ? bits : 8, .activation_bits = 8}, &q));
    OK(oct_tape_create(oct_qat_graph(q), &(oct_tape_options){.training = true, .bf16 = bf16}, &t));
    oct_rng rng = {1, 0};
    for (int64_t i = 0; oct_tape_input(t, i, &x); i++)
        for (int64_t k = 0; k < x.count; k++)
            x.data[k] = (float)oct_rng_unit(&rng) * 4 - 2;
    double *forward = calloc((size_t)t->node_count, sizeof *forward), *backward = calloc((size_t)t->node_count, sizeof *backward);
    if (!forward || !backward)
        return 1;
    OK(measure(t, forward, backward, &whole));
    int64_t macs = 0;
    for (int64_t i = 0; i < t->graph->node_count; i++)
        macs += oct_node_macs(t->graph->nodes[i]);
    print_table(t, forward, backward, (double)micro);
    printf("%s, micro-batch %lld, %s: %.1f images/s in one thread, %.2f GMAC/s (forward + backward = 3 x %.1f MMAC an image)\n", path, (long long)micro,
           bits ? "fake quantization" : "float", (double)micro / whole, 3e-9 * (double)macs / whole, 1e-6 * (double)macs / (double)micro);
    free(forward);
    free(backward);
    oct_tape_destroy(t);
    oct_qat_destroy(q);
    oct_ranges_destroy(ranges);
    oct_model_destroy(m);
    return 0;
}
