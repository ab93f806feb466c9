/* From options to the objects of a run: defaults, checks, parameters by kind, fresh weights, the start of narrow quantizers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "opt/form.h"
#include "qparam/qparam.h"
#include "train/run.h"

enum { MICRO_MOST = 16, DATA_BATCHES = 8 };

void oct_train_default(oct_train_options *o)
{
    const bool scratch = o->float_only && o->kaiming;
    *o = (oct_train_options){.float_only = o->float_only,
                             .kaiming = o->kaiming,
                             .epochs = scratch ? 30 : 5,
                             .batch = 128,
                             .weight_bits = 8,
                             .activation_bits = 8,
                             .temperature = 4,
                             .distill_share = 0.9,
                             .momentum = 0.9,
                             .weight_decay = scratch ? 5e-4 : 1e-4,
                             .scale_rate = 1,
                             .dampening = 0.1,
                             .warmup = scratch ? 1 : 0,
                             .every = 30,
                             .factor = 0.1,
                             .freeze_bn = -1};
}

static bool has_norm(const oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++)
        if (g->nodes[i]->op == OCT_OP_BATCH_NORM || g->nodes[i]->op == OCT_OP_LAYER_NORM)
            return true;
    return false;
}

/* Peak rates: from scratch that of the literature (He et al. 2016), fine-tuning 1 % of it (docs/training.md), few bits in between;
 * a tenth where no normalisation forgives a long step. */
static double default_rate(const oct_run *r)
{
    const oct_train_options *o = &r->opts;
    const int bits = o->weight_bits < o->activation_bits ? o->weight_bits : o->activation_bits;
    const double sgd = o->float_only ? (o->kaiming ? 0.1 : 0.001) : bits >= 7 ? 0.001 : bits >= 5 ? 0.005 : 0.02;
    return (o->optimizer == OCT_TRAIN_ADAMW ? 0.02 : 1) * (has_norm(oct_qat_graph(r->qat)) ? 1 : 0.1) * sgd;
}

/* At 8 bits the statistics of the float model fit; few bits have others, which settle (docs/training.md). */
static int64_t default_freeze(const oct_train_options *o)
{
    return o->float_only ? -2 : o->weight_bits == 8 && o->activation_bits == 8 ? 0 : (o->epochs * 7 + 9) / 10;
}

/* --- checks --- */

static oct_status check_numbers(const oct_train_options *o)
{
    if (o->epochs < 0 || o->epochs > 1000000 || o->batch < 1)
        return oct_fail(OCT_ERR_USAGE, "%lld epochs with a batch of %lld: at least 0 and 1", (long long)o->epochs,
                        (long long)o->batch);
    if (!(o->rate >= 0) || !isfinite(o->rate))
        return oct_fail(OCT_ERR_USAGE, "a learning rate of %g: it must be finite and above 0", o->rate);
    if (!o->float_only && (o->weight_bits < 2 || o->weight_bits > 8 || o->activation_bits < 2 || o->activation_bits > 8))
        return oct_fail(OCT_ERR_USAGE, "%d-bit weights with %d-bit activations: both have 2 to 8 bits", o->weight_bits,
                        o->activation_bits);
    if (o->kaiming && !o->float_only)
        return oct_fail(OCT_ERR_USAGE, "fresh weights are for float training: a quantized network starts from trained ones");
    if (o->distill && o->kaiming)
        return oct_fail(OCT_ERR_USAGE, "distillation needs the model's own weights as teacher: it does not go with fresh ones");
    if (!(o->distill_share >= 0 && o->distill_share <= 1) || !(o->dampening >= 0) || !(o->warmup >= 0) || !(o->scale_rate >= 0) ||
        !(o->temperature > 0) || o->micro_batch < 0 || o->reestimate_bn < 0 || o->checkpoint_every < 0 || o->threads < 0)
        return oct_fail(OCT_ERR_USAGE, "a number of the training options is outside its range");
    if (o->bf16 && !oct_cpu_has_bf16())
        return oct_fail(OCT_ERR_UNSUPPORTED, "this processor has no bfloat16 arithmetic (AVX512_BF16): train in float32");
    if (o->peers && (o->peers->size < 1 || o->peers->rank < 0 || o->peers->rank >= o->peers->size))
        return oct_fail(OCT_ERR_USAGE, "process %d of %d", o->peers->rank, o->peers->size);
    if (o->resume && !o->checkpoint_dir)
        return oct_fail(OCT_ERR_USAGE, "going on needs the folder of the checkpoints");
    return OCT_OK;
}

static oct_status check_data(oct_run *r)
{
    r->labelled = oct_dataset_has_labels(r->train);
    if (!r->labelled && !r->opts.distill)
        return oct_fail(OCT_ERR_CONTENT,
                        "the training data have no labels: without them only distillation from the float model can be learned");
    if (r->labelled != oct_dataset_has_labels(r->held))
        return oct_fail(OCT_ERR_CONTENT, "training data and held-out data must both have labels, or neither");
    if (oct_dataset_count(r->train) < 1 || oct_dataset_count(r->held) < 1)
        return oct_fail(OCT_ERR_CONTENT, "%lld training samples and %lld held-out ones: both must be 1 or more",
                        (long long)oct_dataset_count(r->train), (long long)oct_dataset_count(r->held));
    if (!r->labelled)
        r->opts.distill_share = 1;
    return OCT_OK;
}

static oct_status check_classes(const oct_run *r)
{
    const int64_t classes = oct_crew_classes(r->crew);
    oct_dataset *const sets[2] = {r->train, r->held};
    for (int i = 0; r->labelled && i < 2; i++)
        if (oct_dataset_class_count(sets[i]) > classes)
            return oct_fail(OCT_ERR_CONTENT,
                            "the %s data have %lld classes, label %lld ('%s') is outside the %lld of the model's output",
                            i ? "held-out" : "training", (long long)oct_dataset_class_count(sets[i]), (long long)classes,
                            oct_dataset_class_name(sets[i], classes), (long long)classes);
    return OCT_OK;
}

/* --- sizes --- */

/* The largest part of a process's share of the batch that is a cache-sized micro-batch; a model with a fixed batch says it itself.
 */
static oct_status choose_sizes(oct_run *r)
{
    const int64_t size = r->opts.peers ? r->opts.peers->size : 1;
    oct_port port;
    OCT_TRY(oct_model_get_input(r->model, 0, &port));
    r->batch = oct_min64(r->opts.batch, oct_dataset_count(r->train));
    r->batch -= r->batch % size;
    const int64_t share = r->batch / size;
    int64_t micro = r->opts.micro_batch;
    if (port.rank > 0 && port.dims[0] > 0)
        micro = port.dims[0];
    for (int64_t m = oct_min64(MICRO_MOST, share); micro == 0 && m > 0; m--)
        if (share % m == 0)
            micro = m;
    if (share < 1 || share % micro != 0)
        return oct_fail(OCT_ERR_USAGE, "a batch of %lld in %lld processes cannot be cut into micro-batches of %lld",
                        (long long)r->batch, (long long)size, (long long)micro);
    r->micro = micro;
    r->steps_per_epoch = oct_dataset_count(r->train) / r->batch;
    return OCT_OK;
}

/* --- parameters --- */

/* What a value is to the nodes that read it, looking through a quantizer. */
static oct_param_kind kind_of(const oct_value *v)
{
    for (int64_t u = 0; u < v->user_count; u++) {
        const oct_node *n = v->users[u];
        int input = 0;
        while (n->inputs[input] != v)
            input++;
        switch (n->op) {
        case OCT_OP_FAKE_QUANT:
            return input > 0 ? OCT_PARAM_SCALE : kind_of(n->outputs[0]);
        case OCT_OP_BATCH_NORM:
        case OCT_OP_LAYER_NORM:
            return OCT_PARAM_NORM;
        case OCT_OP_CONV:
        case OCT_OP_CONV_TRANSPOSE:
        case OCT_OP_GEMM:
        case OCT_OP_MATMUL:
            return input < 2 ? OCT_PARAM_WEIGHT : OCT_PARAM_BIAS;
        default:
            break;
        }
    }
    return OCT_PARAM_BIAS;
}

/* A quantizer's scale has a gradient where its mode learns it; its zero point never has. */
static bool has_gradient(const oct_value *v)
{
    for (int64_t u = 0; u < v->user_count; u++) {
        oct_fake_quant f;
        if (v->users[u]->op != OCT_OP_FAKE_QUANT || v->users[u]->inputs[0] == v)
            continue;
        oct_fake_quant_read(v->users[u], &f);
        return v->users[u]->inputs[1] == v && (f.mode == OCT_SCALES_LEARNED || f.mode == OCT_SCALES_CLIP);
    }
    return true;
}

static oct_status collect_params(oct_run *r)
{
    const oct_tape *t = oct_crew_tape(r->crew);
    const oct_graph *g = oct_qat_graph(r->qat);
    oct_tape_value v;
    int64_t count = 0;
    while (oct_tape_value_at(t, count, &v))
        count++;
    r->params = calloc((size_t)count + 1, sizeof *r->params);
    if (!r->params)
        return oct_fail(OCT_ERR_MEMORY, "no memory for %lld parameters", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        oct_tape_value_at(t, i, &v);
        if (!v.parameter && !v.statistic)
            continue;
        const oct_value *in = oct_value_find(g, v.name);
        for (int64_t k = 0; k < v.count; k++)
            if (!isfinite(v.data[k]))
                return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "tensor '%s' holds a value that is not finite", v.name), v.name);
        r->params[r->param_count++] =
            (oct_param){.name = v.name,
                        .value = v.data,
                        .grad = v.parameter && has_gradient(in) && oct_qat_keeps(r->qat, v.name, v.count) ? (float *)v.grad : NULL,
                        .count = v.count,
                        .kind = v.parameter ? kind_of(in) : OCT_PARAM_NORM};
    }
    return OCT_OK;
}

/* The weighted node whose weights v holds, or are quantized with v as scale; NULL. */
static const oct_node *weighted_by(const oct_value *v)
{
    const oct_node *n = v->user_count > 0 ? v->users[0] : NULL;
    if (n && n->op == OCT_OP_FAKE_QUANT && n->inputs[0]->data && n->outputs[0]->user_count > 0)
        n = n->outputs[0]->users[0];
    return n && !n->inputs[0]->data && n->input_count > 1 ? n : NULL;
}

/* Is v the scale of a quantizer of 8 bits? */
static bool is_wide_scale(const oct_value *v)
{
    oct_fake_quant f;
    if (v->user_count == 0 || v->users[0]->op != OCT_OP_FAKE_QUANT || v->users[0]->inputs[0] == v)
        return false;
    oct_fake_quant_read(v->users[0], &f);
    return f.hi - f.lo >= 254;
}

/* Rates of single tensors. The loss is as steep in a weight as its input is large: the weights behind pixels of 0 ... 255 need a
 * rate of their own. Scales of 8 bits are nearly right from the start and would only follow the noise of batches. */
static void set_rates(oct_run *r, const oct_ranges *ranges)
{
    enum { LARGE = 16 }; /* mean square; that of normalised data is about 1 */
    const double slow = 0.01;
    for (int64_t i = 0; ranges && i < r->param_count; i++) {
        oct_param *p = &r->params[i];
        const oct_value *v = oct_value_find(oct_qat_graph(r->qat), p->name);
        const oct_node *n = p->kind == OCT_PARAM_WEIGHT || p->kind == OCT_PARAM_SCALE ? weighted_by(v) : NULL;
        const oct_value *x = n ? n->inputs[0] : NULL;
        while (x && x->producer && x->producer->op == OCT_OP_FAKE_QUANT)
            x = x->producer->inputs[0];
        const oct_range_entry *e = x ? oct_ranges_find(ranges, x->name) : NULL;
        p->rate = (e && e->digest > LARGE ? LARGE / e->digest : 1) * (is_wide_scale(v) ? slow : 1);
    }
}

/* --- fresh weights --- */

static double normal(oct_rng *rng)
{
    const double u = 1 - oct_rng_unit(rng), v = oct_rng_unit(rng);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* Inputs that one output of the weighted node sums up. */
static double fan_in(const oct_value *w)
{
    int64_t count = 1;
    const oct_node *n = w->users[0];
    for (int i = 0; i < w->shape.rank; i++)
        count *= w->shape.dim[i];
    const int axis = n->op == OCT_OP_CONV || n->op == OCT_OP_CONV_TRANSPOSE || n->op == OCT_OP_GEMM || n->op == OCT_OP_MATMUL
                         ? oct_weight_axis(n)
                         : 0;
    return (double)count / (double)(w->shape.rank ? w->shape.dim[axis] : 1);
}

/* Weights N(0, 2 / fan in), biases and shifts 0, factors 1; statistics of a standard normal. */
static void init_kaiming(oct_run *r)
{
    oct_rng rng = {r->opts.seed ^ 0x6b61696d696e67ull, 0};
    for (int64_t i = 0; i < r->param_count; i++) {
        const oct_param *p = &r->params[i];
        const oct_value *v = oct_value_find(oct_qat_graph(r->qat), p->name);
        const oct_node *n = v->users[0];
        const bool norm = n->op == OCT_OP_BATCH_NORM || n->op == OCT_OP_LAYER_NORM;
        const bool one = norm && (n->inputs[1] == v || (n->op == OCT_OP_BATCH_NORM && n->inputs[4] == v));
        const double deviation = p->kind == OCT_PARAM_WEIGHT ? sqrt(2 / fan_in(v)) : 0;
        for (int64_t k = 0; k < p->count; k++)
            p->value[k] = deviation > 0 ? (float)(deviation * normal(&rng)) : one ? 1.0f : 0.0f;
    }
}

/* --- objects --- */

oct_status oct_run_loader(const oct_run *r, bool plain, oct_loader **out)
{
    const int inputs = oct_model_input_count(r->model);
    const oct_loader_options o = {.batch = r->batch,
                                  .threads = r->opts.threads,
                                  .seed = r->opts.seed,
                                  .shuffle = true,
                                  .augment = plain ? NULL : r->opts.augment};
    oct_port *ports = calloc((size_t)inputs + 1, sizeof *ports);
    oct_status s = ports ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "no memory for %d inputs", inputs);
    for (int i = 0; s == OCT_OK && i < inputs; i++) {
        s = oct_model_get_input(r->model, i, &ports[i]);
        if (s == OCT_OK && ports[i].rank > 0)
            ports[i].dims[0] = -1;
    }
    if (s == OCT_OK)
        s = oct_loader_create_with(r->train, ports, inputs, r->pre, &o, out);
    free(ports);
    return s;
}

/* Narrow quantizers start at the least error on some batches of training data. */
static oct_status start_narrow(oct_run *r)
{
    oct_status s = OCT_OK;
    oct_tape *t = NULL;
    oct_loader *loader = NULL;
    oct_batch b;
    if (!oct_qat_wants_data(r->qat))
        return OCT_OK;
    OCT_TRY_DONE(oct_tape_create(oct_qat_float_graph(r->qat), NULL, &t));
    OCT_TRY_DONE(oct_run_loader(r, true, &loader));
    for (int i = 0; i < DATA_BATCHES; i++) {
        OCT_TRY_DONE(oct_loader_next(loader, &b));
        for (int64_t m = 0; m < b.count / r->micro && i * b.count + m * r->micro < 512; m++) {
            oct_tape_value x;
            for (int64_t k = 0; oct_tape_input(t, k, &x); k++)
                memcpy(x.data, (const float *)b.inputs[k].data + m * x.count, (size_t)x.count * sizeof *x.data);
            OCT_TRY_DONE(oct_tape_forward(t));
            OCT_TRY_DONE(oct_qat_observe(r->qat, t));
        }
    }
    OCT_TRY_DONE(oct_qat_solve(r->qat));
done:
    oct_loader_destroy(loader);
    oct_tape_destroy(t);
    return s;
}

static oct_status make_crew(oct_run *r)
{
    const oct_train_options *o = &r->opts;
    const int64_t micros = r->batch / r->micro, own = micros / (o->peers ? o->peers->size : 1);
    const oct_crew_options crew = {.threads = o->threads,
                                   .bf16 = o->bf16,
                                   .micros = own,
                                   .first = o->peers ? own * o->peers->rank : 0,
                                   .all = micros,
                                   .peers = o->peers,
                                   .objective = {o->loss, o->smoothing, o->temperature, o->distill ? o->distill_share : 0}};
    return oct_crew_create(oct_qat_graph(r->qat), o->distill ? oct_qat_float_graph(r->qat) : NULL, &crew, &r->crew);
}

static oct_status make_optimizer(oct_run *r)
{
    const oct_train_options *o = &r->opts;
    oct_optimizer_options x;
    oct_optimizer_default(o->optimizer == OCT_TRAIN_ADAMW ? OCT_OPTIMIZER_ADAMW : OCT_OPTIMIZER_SGD, &x);
    x.momentum = o->momentum;
    x.nesterov = o->momentum > 0;
    x.weight_decay = o->weight_decay;
    x.max_norm = o->max_norm;
    x.rate_factor[OCT_PARAM_SCALE] = o->scale_rate;
    OCT_TRY(oct_optimizer_create(r->params, r->param_count, &x, &r->optimizer));
    if (o->average > 0)
        OCT_TRY(oct_average_create(r->params, r->param_count, o->average, &r->average));
    const int64_t steps = oct_max64(1, r->steps_per_epoch * o->epochs),
                  warmup = oct_min64((int64_t)(o->warmup * (double)r->steps_per_epoch), steps - 1);
    r->schedule = (oct_schedule){.kind = o->schedule == OCT_TRAIN_COSINE  ? OCT_SCHEDULE_COSINE
                                         : o->schedule == OCT_TRAIN_STEPS ? OCT_SCHEDULE_STEP
                                                                          : OCT_SCHEDULE_CONSTANT,
                                 .rate = o->rate,
                                 .warmup = warmup,
                                 .steps = steps,
                                 .last = o->last,
                                 .every = oct_max64(1, (int64_t)(o->every * (double)r->steps_per_epoch)),
                                 .factor = o->factor};
    return oct_schedule_check(&r->schedule);
}

/* What must be the same for a checkpoint to be gone on from; threads, processes and how often checkpoints are written may differ.
 */
static oct_status make_fingerprint(oct_run *r)
{
    const oct_train_options *o = &r->opts;
    const oct_augment none = {0}, *a = o->augment ? o->augment : &none;
    char hash[17];
    oct_text t = {0};
    OCT_TRY(oct_graph_hash(r->model->graph, hash));
    oct_text_printf(&t, "model %s; epochs %lld, batch %lld in %lld, rate %.17g, seed %llu; ", hash, (long long)o->epochs,
                    (long long)r->batch, (long long)r->micro, o->rate, (unsigned long long)o->seed);
    oct_text_printf(&t, "float %d %d %d, bits %d %d, edges %d, per tensor %d, scales %d; ", o->float_only, o->kaiming, o->bf16,
                    o->weight_bits, o->activation_bits, o->narrow_edges, o->per_tensor, o->scales);
    oct_text_printf(&t, "loss %d %.17g, distill %d %.17g %.17g; optimizer %d %.17g %.17g %.17g %.17g %.17g; ", o->loss,
                    o->smoothing, o->distill, o->temperature, o->distill_share, o->optimizer, o->momentum, o->weight_decay,
                    o->max_norm, o->scale_rate, o->average);
    oct_text_printf(&t, "schedule %d %.17g %.17g %.17g %.17g; dampening %.17g, norm %lld %lld; ", o->schedule, o->warmup, o->last,
                    o->every, o->factor, o->dampening, (long long)o->freeze_bn, (long long)o->reestimate_bn);
    oct_text_printf(&t, "augment %d %d %d %g %g %g %d %g; data %lld %lld", a->crop, a->reflect, a->flip, (double)a->brightness,
                    (double)a->contrast, (double)a->saturation, a->cutout, (double)a->mixup, (long long)oct_dataset_count(r->train),
                    (long long)oct_dataset_count(r->held));
    return oct_text_finish(&t, &r->fingerprint);
}

static oct_status make_events(oct_run *r)
{
    const char *name;
    float scale;
    while (oct_qat_scale(r->qat, oct_crew_tape(r->crew), r->scale_count, &name, &scale))
        r->scale_count++;
    r->scale_names = calloc((size_t)r->scale_count + 1, sizeof *r->scale_names);
    r->scales = calloc((size_t)r->scale_count + 1, sizeof *r->scales);
    return r->scale_names && r->scales ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "no memory for %lld scales", (long long)r->scale_count);
}

oct_status oct_run_open(oct_run *r, const oct_ranges *ranges)
{
    oct_train_options *o = &r->opts;
    r->started = oct_now();
    OCT_TRY(check_numbers(o));
    OCT_TRY(check_data(r));
    if (o->freeze_bn == -1)
        o->freeze_bn = default_freeze(o);
    OCT_TRY(choose_sizes(r));
    const oct_qat_options qat = {r->micro, o->weight_bits, o->activation_bits, o->narrow_edges, o->per_tensor, o->int4, o->scales};
    OCT_TRY(oct_qat_create(r->model, o->float_only ? NULL : ranges, &qat, &r->qat));
    if (o->rate == 0)
        o->rate = default_rate(r);
    OCT_TRY(make_fingerprint(r));
    OCT_TRY(start_narrow(r));
    OCT_TRY(make_crew(r));
    OCT_TRY(check_classes(r));
    OCT_TRY(collect_params(r));
    set_rates(r, ranges);
    if (o->kaiming)
        init_kaiming(r);
    OCT_TRY(make_optimizer(r));
    OCT_TRY(make_events(r));
    OCT_TRY(oct_run_loader(r, false, &r->loader));
    r->now = (oct_progress){.rate_factor = 1, .first_loss = NAN};
    return OCT_OK;
}

void oct_run_close(oct_run *r)
{
    oct_loader_destroy(r->loader);
    oct_average_destroy(r->average);
    oct_optimizer_destroy(r->optimizer);
    oct_crew_destroy(r->crew);
    oct_qat_destroy(r->qat);
    oct_snapshot_free(&r->good);
    free(r->params);
    free(r->best);
    free(r->fingerprint);
    free(r->scale_names);
    free(r->scales);
}

bool oct_run_leads(const oct_run *r)
{
    return !r->opts.peers || r->opts.peers->rank == 0;
}
double oct_run_seconds(const oct_run *r)
{
    return r->now.seconds + oct_now() - r->started;
}
