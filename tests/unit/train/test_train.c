/* Training as a whole: it learns, it is the same for any number of threads and processes, it goes on where it was stopped, it never ends worse than it began. */
#include "../data/files.h"
#undef OK
#include "nets.h"

#include <pthread.h>
#include <octavo/train.h>
#include "train/crew.h"

enum { CLASSES = 4, SIDE = 8, TRAIN = 96, HELD = 48, PIXELS = 3 * SIDE * SIDE };

/* --- data: a stripe pattern a class, with noise --- */

static void pack_array(packer p, const char *name, const oct_tensor *t)
{
    void *bytes;
    int64_t size;
    OK(oct_npy_save(at("one.npy"), t));
    OK(oct_file_read(at("one.npy"), &bytes, &size));
    pack_add(p, name, bytes, (size_t)size);
    free(bytes);
}

static const char *make_set(const char *name, int count, uint64_t seed, int64_t wrong_label)
{
    float *x = malloc((size_t)count * PIXELS * sizeof *x);
    int64_t *labels = malloc((size_t)count * sizeof *labels);
    oct_rng rng = {seed, 0};
    assert_true(x && labels);
    for (int i = 0; i < count; i++) {
        labels[i] = i % CLASSES;
        for (int k = 0; k < PIXELS; k++) {
            const int line = k / SIDE % SIDE, column = k % SIDE, c = (int)labels[i];
            const float stripe = (c & 1 ? line : column) / (c & 2 ? 2 : 1) % 2 ? 1.0f : -1.0f;
            x[i * PIXELS + k] = stripe + 1.2f * (float)(2 * oct_rng_unit(&rng) - 1);
        }
    }
    if (wrong_label)
        labels[count / 2] = wrong_label;
    packer p = pack_open(at(name), PACK_ZIP);
    pack_array(p, "x.npy", &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 4, .dims = {count, 3, SIDE, SIDE}});
    pack_array(p, "labels.npy", &(oct_tensor){.data = labels, .dtype = OCT_S64, .rank = 1, .dims = {count}});
    pack_close(p);
    free(x);
    free(labels);
    return at(name);
}

static oct_dataset *open_set(const char *path)
{
    oct_dataset *set = NULL;
    OK(oct_dataset_open(path, NULL, &set));
    return set;
}

/* conv bn relu, conv bn + relu, mean, gemm softmax */
static oct_model *make_net(void)
{
    net n = net_new();
    oct_value *x = net_input(&n, "x", 4, (int64_t[]){-1, 3, SIDE, SIDE});
    oct_value *a = net_unary(&n, OCT_OP_RELU, "a", batch_norm(&n, "bn0", net_conv(&n, "c0", x, 3, 8, 1), 8));
    oct_value *s = net_unary(&n, OCT_OP_RELU, "s", net_add(&n, "sum", a, batch_norm(&n, "bn1", net_conv(&n, "c1", a, 8, 8, 1), 8)));
    oct_value *f = net_unary(&n, OCT_OP_FLATTEN, "flat", net_unary(&n, OCT_OP_GLOBAL_AVERAGE_POOL, "mean", s));
    return finish(&n, net_unary(&n, OCT_OP_SOFTMAX, "y", net_gemm(&n, "logits", f, 8, CLASSES)));
}

/* --- a run --- */

typedef struct outcome {
    oct_status status;
    oct_model *model;
    oct_train_result result;
    double loss[64];
    int losses, rollbacks, checkpoints, resumed;
    volatile sig_atomic_t stop;
    int stop_after;
} outcome;

static void listen(void *user, const oct_train_event *e)
{
    outcome *o = user;
    if (e->kind == OCT_TRAIN_STEP && o->losses < 64)
        o->loss[o->losses++] = e->loss;
    if (e->kind == OCT_TRAIN_STEP && o->stop_after && o->losses == o->stop_after)
        o->stop = 1;
    o->rollbacks += e->kind == OCT_TRAIN_ROLLBACK;
    o->checkpoints += e->kind == OCT_TRAIN_CHECKPOINT;
    o->resumed += e->kind == OCT_TRAIN_RESUMED;
    if (e->kind == OCT_TRAIN_EPOCH || e->kind == OCT_TRAIN_STARTED)
        assert_true(e->val_top1 >= 0 && e->val_top1 <= 100);
}

static oct_ranges *calibrate(const oct_model *m, const char *path)
{
    oct_dataset *set = open_set(path);
    oct_calibrator *cal = NULL;
    oct_loader *loader = NULL;
    oct_ranges *r = NULL;
    oct_batch b;
    oct_port port;
    OK(oct_model_get_input(m, 0, &port));
    OK(oct_calibrator_create(m, NULL, &cal));
    OK(oct_loader_create(set, &port, 1, NULL, 16, 1, &loader));
    OK(oct_loader_next(loader, &b));
    OK(oct_calibrator_push(cal, b.inputs, 1, 0));
    OK(oct_calibrator_solve(cal, &r));
    oct_loader_destroy(loader);
    oct_calibrator_destroy(cal);
    oct_dataset_destroy(set);
    return r;
}

static oct_train_options options_of(bool float_only)
{
    oct_train_options o = {.float_only = float_only, .kaiming = float_only};
    oct_train_default(&o);
    o.epochs = 3;
    o.batch = 32;
    o.micro_batch = 8;
    o.rate = float_only ? 0.1 : 0.01;
    o.warmup = 0;
    o.seed = 3;
    o.threads = 2;
    return o;
}

static void train(const oct_model *m, const oct_train_options *options, outcome *out)
{
    oct_train_options o = *options;
    oct_dataset *train_set = open_set(make_set("train.npz", TRAIN, 1, 0)), *held_set = open_set(make_set("held.npz", HELD, 2, 0));
    oct_ranges *r = o.float_only ? NULL : calibrate(m, at("train.npz"));
    o.event = listen;
    o.user = out;
    o.stop = &out->stop;
    out->status = oct_train(m, r, train_set, held_set, NULL, &o, &out->model, &out->result);
    oct_ranges_destroy(r);
    oct_dataset_destroy(held_set);
    oct_dataset_destroy(train_set);
}

static void *bytes_of(const oct_model *m, int64_t *size)
{
    void *data;
    OK(oct_model_save_memory(m, &data, size));
    return data;
}

static void assert_same_model(const oct_model *a, const oct_model *b)
{
    int64_t sa, sb;
    void *x = bytes_of(a, &sa), *y = bytes_of(b, &sb);
    assert_int_equal(sa, sb);
    assert_memory_equal(x, y, (size_t)sa);
    free(x);
    free(y);
}

/* --- tests --- */

/* A float network trained once for all tests that quantize one. */
static oct_model *float_net(void)
{
    static void *bytes;
    static int64_t size;
    oct_model *m = NULL;
    if (!bytes) {
        oct_model *fresh = make_net();
        oct_train_options o = options_of(true);
        outcome out = {0};
        o.epochs = 20;
        train(fresh, &o, &out);
        assert_int_equal(out.status, OCT_OK);
        bytes = bytes_of(out.model, &size);
        oct_model_destroy(out.model);
        oct_model_destroy(fresh);
    }
    OK(oct_model_load_memory(bytes, (size_t)size, "float", &m));
    return m;
}

static void train__float_from_scratch__learns(void **state)
{
    (void)state;
    oct_model *m = make_net();
    oct_train_options o = options_of(true);
    outcome out = {0};
    o.epochs = 20;
    train(m, &o, &out);
    assert_int_equal(out.status, OCT_OK);
    assert_int_equal(out.result.steps, 20 * TRAIN / 32);
    assert_true(out.loss[out.losses - 1] < 0.5 * out.loss[0]);
    assert_true(out.result.best_top1 > 90 && out.result.ptq_top1 < 60);
    assert_false(oct_model_is_quantized(out.model));
    oct_model_destroy(out.model);
    oct_model_destroy(m);
}

static void train__few_bits__recovers_what_rounding_lost(void **state)
{
    (void)state;
    oct_model *m = float_net();
    for (int mode = OCT_SCALES_LEARNED; mode <= OCT_SCALES_CLIP; mode++) {
        oct_train_options o = options_of(false);
        outcome out = {0};
        o.weight_bits = o.activation_bits = 2;
        o.narrow_edges = true;
        o.epochs = 6;
        o.scales = (oct_scale_mode)mode;
        train(m, &o, &out);
        assert_int_equal(out.status, OCT_OK);
        assert_true(oct_model_is_quantized(out.model));
        assert_true(out.result.best_top1 >= out.result.ptq_top1);
        if (mode == OCT_SCALES_LEARNED)
            assert_true(out.result.best_top1 > 80);
        oct_model_destroy(out.model);
    }
    oct_model_destroy(m);
}

static void train__any_threads__same_bytes(void **state)
{
    (void)state;
    oct_model *m = float_net();
    for (int variant = 0; variant < 2; variant++) {
        oct_train_options o = options_of(false);
        outcome one = {0}, three = {0};
        o.weight_bits = 4;
        o.distill = variant;
        o.average = variant ? 0.9 : 0;
        o.optimizer = variant ? OCT_TRAIN_ADAMW : OCT_TRAIN_SGD;
        o.rate = variant ? 0.001 : 0.01;
        o.threads = 1;
        train(m, &o, &one);
        o.threads = 3;
        train(m, &o, &three);
        assert_int_equal(one.status, OCT_OK);
        assert_int_equal(one.losses, three.losses);
        assert_memory_equal(one.loss, three.loss, (size_t)one.losses * sizeof(double));
        assert_same_model(one.model, three.model);
        oct_model_destroy(one.model);
        oct_model_destroy(three.model);
    }
    oct_model_destroy(m);
}

static void train__stopped_anywhere__goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    oct_model *m = float_net();
    oct_train_options o = options_of(false);
    outcome whole = {0};
    o.weight_bits = o.activation_bits = 4;
    o.average = 0.9;
    train(m, &o, &whole);
    for (int stop = 1; stop <= 7; stop += 2) {
        char folder[16], dir[512];
        outcome first = {.stop_after = stop}, second = {0};
        snprintf(folder, sizeof folder, "ckpt%d", stop);
        o.checkpoint_dir = strcpy(dir, at(folder)); /* its buffers rotate */
        o.checkpoint_every = 2;
        o.resume = true;
        o.threads = 1 + stop % 3;
        train(m, &o, &first);
        assert_int_equal(first.status, OCT_OK);
        assert_true(first.result.stopped && first.checkpoints > 0 && first.losses == stop);
        train(m, &o, &second);
        assert_int_equal(second.status, OCT_OK);
        assert_int_equal(second.resumed, 1);
        assert_int_equal(first.losses + second.losses, whole.losses);
        assert_memory_equal(second.loss, whole.loss + stop, (size_t)second.losses * sizeof(double));
        assert_same_model(second.model, whole.model);
        oct_model_destroy(first.model);
        oct_model_destroy(second.model);
    }
    oct_model_destroy(whole.model);
    oct_model_destroy(m);
}

static void train__checkpoint_of_another_run__refused(void **state)
{
    (void)state;
    oct_model *m = float_net();
    oct_train_options o = options_of(false);
    outcome first = {.stop_after = 2}, second = {0};
    char dir[512];
    o.checkpoint_dir = strcpy(dir, at("other"));
    o.resume = true;
    train(m, &o, &first);
    assert_int_equal(first.status, OCT_OK);
    o.weight_bits = 5;
    train(m, &o, &second);
    assert_int_equal(second.status, OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "other"));
    oct_model_destroy(first.model);
    oct_model_destroy(m);
}

static void train__rate_far_too_high__rolls_back_and_keeps_the_start(void **state)
{
    (void)state;
    oct_model *m = float_net();
    oct_train_options o = options_of(false);
    outcome out = {0};
    o.rate = 1e12;
    o.epochs = 8;
    train(m, &o, &out);
    assert_int_equal(out.status, OCT_OK);
    assert_true(out.rollbacks > 0 && out.result.rollbacks == out.rollbacks);
    assert_true(out.result.best_top1 >= out.result.ptq_top1);
    oct_model_destroy(out.model);
    oct_model_destroy(m);
}

static void train__label_outside_the_classes__content(void **state)
{
    (void)state;
    oct_model *m = float_net();
    oct_train_options o = options_of(true);
    oct_train_result result;
    oct_model *out = NULL;
    oct_dataset *bad = open_set(make_set("bad.npz", TRAIN, 1, CLASSES)), *held = open_set(make_set("held.npz", HELD, 2, 0));
    assert_int_equal(oct_train(m, NULL, bad, held, NULL, &o, &out, &result), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "outside the 4"));
    oct_dataset_destroy(held);
    oct_dataset_destroy(bad);
    oct_model_destroy(m);
}

static void train__wrong_options__usage(void **state)
{
    (void)state;
    oct_model *m = make_net();
    for (int i = 0; i < 6; i++) {
        oct_train_options o = options_of(i > 2);
        outcome out = {0};
        if (i == 0)
            o.weight_bits = 1;
        if (i == 1)
            o.kaiming = true;
        if (i == 2)
            o.rate = NAN;
        if (i == 3)
            o.distill = true; /* with fresh weights */
        if (i == 4)
            o.resume = true;
        if (i == 5)
            o.micro_batch = 5;
        train(m, &o, &out);
        assert_int_equal(out.status, OCT_ERR_USAGE);
        assert_null(out.model);
    }
    oct_model_destroy(m);
}

/* --- two processes, played by two threads --- */

typedef struct meeting {
    pthread_barrier_t barrier;
    void *part[2], *sent;
} meeting;

typedef struct member {
    meeting *m;
    oct_peers peers;
    const oct_model *model;
    const char *train, *held;
    outcome out;
} member;

#define MEET_SUM(name, type)                                                                              \
    static oct_status name(void *user, type *values, int64_t count)                                       \
    {                                                                                                     \
        member *me = user;                                                                                \
        type *sum = malloc((size_t)count * sizeof *sum);                                                  \
        me->m->part[me->peers.rank] = values;                                                             \
        pthread_barrier_wait(&me->m->barrier);                                                            \
        for (int64_t i = 0; i < count; i++)                                                               \
            sum[i] = ((type *)me->m->part[0])[i] + ((type *)me->m->part[1])[i];                           \
        pthread_barrier_wait(&me->m->barrier);                                                            \
        memcpy(values, sum, (size_t)count * sizeof *sum);                                                 \
        free(sum);                                                                                        \
        return OCT_OK;                                                                                    \
    }
MEET_SUM(meet_sum, float)
MEET_SUM(meet_sum_double, double)

static oct_status meet_send(void *user, void *bytes, int64_t count)
{
    member *me = user;
    if (me->peers.rank == 0)
        me->m->sent = bytes;
    pthread_barrier_wait(&me->m->barrier);
    if (me->peers.rank != 0)
        memcpy(bytes, me->m->sent, (size_t)count);
    pthread_barrier_wait(&me->m->barrier);
    return OCT_OK;
}

static void *take_part(void *user)
{
    member *me = user;
    oct_train_options o = options_of(true);
    oct_dataset *train_set = open_set(me->train), *held_set = open_set(me->held);
    o.threads = 1;
    o.peers = &me->peers;
    o.event = listen;
    o.user = &me->out;
    me->out.status = oct_train(me->model, NULL, train_set, held_set, NULL, &o, &me->out.model, &me->out.result);
    oct_dataset_destroy(held_set);
    oct_dataset_destroy(train_set);
    return NULL;
}

static void train__two_processes__curve_of_one(void **state)
{
    (void)state;
    oct_model *m = make_net();
    oct_train_options o = options_of(true);
    outcome alone = {0};
    meeting meet;
    member members[2];
    pthread_t threads[2];
    train(m, &o, &alone); /* leaves the sets where the members find them */
    pthread_barrier_init(&meet.barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
        members[i] = (member){.m = &meet, .model = m, .train = at("train.npz"), .held = at("held.npz")};
        members[i].peers = (oct_peers){&members[i], i, 2, meet_sum, meet_sum_double, meet_send};
        assert_int_equal(pthread_create(&threads[i], NULL, take_part, &members[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(members[0].out.status, OCT_OK);
    assert_int_equal(members[1].out.status, OCT_OK);
    assert_int_equal(members[0].out.losses, alone.losses);
    for (int i = 0; i < alone.losses; i++)
        assert_true(fabs(members[0].out.loss[i] - alone.loss[i]) < 2e-3 * (1 + i));
    assert_same_model(members[0].out.model, members[1].out.model);
    for (int i = 0; i < 2; i++)
        oct_model_destroy(members[i].out.model);
    oct_model_destroy(alone.model);
    pthread_barrier_destroy(&meet.barrier);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train__float_from_scratch__learns),
        cmocka_unit_test(train__few_bits__recovers_what_rounding_lost),
        cmocka_unit_test(train__any_threads__same_bytes),
        cmocka_unit_test(train__stopped_anywhere__goes_on_to_the_same_bytes),
        cmocka_unit_test(train__checkpoint_of_another_run__refused),
        cmocka_unit_test(train__rate_far_too_high__rolls_back_and_keeps_the_start),
        cmocka_unit_test(train__label_outside_the_classes__content),
        cmocka_unit_test(train__wrong_options__usage),
        cmocka_unit_test(train__two_processes__curve_of_one),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
