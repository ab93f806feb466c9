/* Augmentation: each change against a plain reference, what is drawn, the text form, and the loader that does it in epochs. */
#include "unit/data/files.h"
#include <math.h>
#include "data/augment.h"
#include "data/set.h"

static oct_image in, out;

static int drop_images(void **state)
{
    oct_image_free(&in);
    oct_image_free(&out);
    return 0;
}

static const uint8_t black[3];

static void make_image(int w, int h, int channels, int key)
{
    OK(oct_image_reserve(&in, w, h, channels));
    for (int64_t i = 0; i < (int64_t)w * h * channels; i++)
        in.pixels[i] = pixel(key, i);
}

/* --- text --- */

static void text__every_part__meant_values(void **state)
{
    oct_augment a;
    OK(oct_augment_parse("crop:4,flip,jitter:0.2,cutout:8,mixup:0.25", &a));
    assert_true(a.crop == 4 && !a.reflect && a.flip && a.cutout == 8 && a.mixup == 0.25f);
    assert_true(a.brightness == 0.2f && a.contrast == 0.2f && a.saturation == 0.2f);
    OK(oct_augment_parse("jitter:0.1:0:1,crop:2:reflect", &a));
    assert_true(a.crop == 2 && a.reflect && !a.flip && a.cutout == 0 && a.mixup == 0);
    assert_true(a.brightness == 0.1f && a.contrast == 0 && a.saturation == 1);
    OK(oct_augment_parse("flip,crop", &a));
    assert_true(a.crop == 4 && !a.reflect && a.flip);
    OK(oct_augment_parse("none", &a));
    assert_memory_equal(&a, &(oct_augment){0}, sizeof a);
}

static void text__wrong__usage_error_names_the_part(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "'' is not understood"},
        {"flip,", "'' is not understood"},
        {"flop", "'flop' is not understood; there is: crop[:PIXELS"},
        {"flip,rotate:5,cutout:3", "'rotate:5' is not understood"},
        {"crop:", "'crop:'"},
        {"crop:0", "'crop:0'"},
        {"crop:-4", "'crop:-4'"},
        {"crop:4.5", "'crop:4.5'"},
        {"crop:99999", "'crop:99999'"},
        {"crop:99999999999999999999", "not understood"},
        {"crop:4:zero", "'crop:4:zero'"},
        {"crop:4:reflect:1", "'crop:4:reflect:1'"},
        {"flip:1", "'flip:1'"},
        {"jitter", "'jitter'"},
        {"jitter:1:2", "'jitter:1:2'"},
        {"jitter:1:1:1:1", "'jitter:1:1:1:1'"},
        {"jitter:nan", "'jitter:nan'"},
        {"jitter:-0.1", "'jitter:-0.1'"},
        {"jitter:1.5", "jitter takes numbers from 0 to 1"},
        {"mixup:0", "'mixup:0'"},
        {"mixup:3", "mixup takes a number from 0 to 2"},
        {"mixup:x", "'mixup:x'"},
        {"flip,none", "'none' is not understood"},
        {"flip,crop:2,flip", "'flip' is given twice"},
        {"crop:2,flip,jitter:0.1,cutout:1,mixup:1,crop:3", "'crop' is given twice"},
    };
    oct_augment a = {.crop = 77};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        FAILS(oct_augment_parse(cases[i].text, &a), OCT_ERR_USAGE, cases[i].says);
    assert_int_equal(a.crop, 77);
}

/* --- crop and flip --- */

/* The padded picture as it is defined: border pixels black, or walked to step by step from the edge. */
static uint8_t padded(int x, int y, int c, bool reflect)
{
    int step_x = 1, step_y = 1, px = 0, py = 0;
    if (!reflect && (x < 0 || y < 0 || x >= in.width || y >= in.height))
        return 0;
    for (int i = 0; i < abs(x) && in.width > 1; i++) {
        if (px + step_x < 0 || px + step_x >= in.width)
            step_x = -step_x;
        px += step_x;
    }
    for (int i = 0; i < abs(y) && in.height > 1; i++) {
        if (py + step_y < 0 || py + step_y >= in.height)
            step_y = -step_y;
        py += step_y;
    }
    return in.pixels[(py * in.width + px) * in.channels + c];
}

static bool is_window(int dx, int dy, bool flip, bool reflect)
{
    for (int y = 0; y < in.height; y++)
        for (int x = 0; x < in.width; x++)
            for (int c = 0; c < in.channels; c++)
                if (out.pixels[(y * in.width + x) * in.channels + c] != padded((flip ? in.width - 1 - x : x) + dx, y + dy, c, reflect))
                    return false;
    return true;
}

static void crop_flip__any_key__one_window_of_the_padded_picture_all_as_often(void **state)
{
    enum { PAD = 2, SIDE = 2 * PAD + 1, DRAWS = 5000 };
    for (int reflect = 0; reflect < 2; reflect++) {
        int hits[SIDE][SIDE][2] = {0};
        make_image(7, 5, reflect ? 1 : 3, 4);
        for (uint64_t key = 0; key < DRAWS; key++) {
            int found = 0;
            OK(oct_augment_apply(&(oct_augment){.crop = PAD, .reflect = reflect, .flip = true}, oct_augment_key(1, 0, (int64_t)key), black, &in, &out));
            for (int dy = -PAD; dy <= PAD; dy++)
                for (int dx = -PAD; dx <= PAD; dx++)
                    for (int flip = 0; flip < 2; flip++)
                        if (is_window(dx, dy, flip, reflect)) {
                            hits[dy + PAD][dx + PAD][flip]++;
                            found++;
                        }
            assert_int_equal(found, 1);
        }
        for (int i = 0; i < 2 * SIDE * SIDE; i++) /* mean 100, sd 10 */
            assert_in_range((&hits[0][0][0])[i], 50, 150);
    }
}

static void crop__border_wider_than_the_picture__still_a_window(void **state)
{
    for (int key = 0; key < 300; key++) {
        bool found = false;
        make_image(key % 2 ? 3 : 1, 2, 3, 8);
        OK(oct_augment_apply(&(oct_augment){.crop = 6, .reflect = true}, oct_augment_key(2, 0, key), black, &in, &out));
        for (int dy = -6; dy <= 6; dy++)
            for (int dx = -6; dx <= 6; dx++)
                found |= is_window(dx, dy, false, true);
        assert_true(found);
    }
}

/* --- jitter --- */

static int round_to_byte(double v) { return v <= 0 ? 0 : v >= 255 ? 255 : (int)floor(v + 0.5); }

/* What a factor makes of pixel i, in double: which = 0 brightness, 1 contrast, 2 saturation. mean: of the luma, rounded. */
static int jittered(int which, int64_t i, double factor, double mean)
{
    const int64_t p = i / in.channels * in.channels;
    const double grey = floor((in.pixels[p] * 19595 + in.pixels[p + 1] * 38470 + in.pixels[p + 2] * 7471 + 32768) / 65536.0);
    return round_to_byte(in.pixels[i] * factor + (which == 0 ? 0 : which == 1 ? mean : grey) * (1 - factor));
}

static void jitter__each_kind__plain_blend_with_a_factor_in_range(void **state)
{
    enum { DRAWS = 300, W = 16, H = 8, N = 3 * W * H };
    make_image(W, H, 3, 11);
    double mean = 0;
    for (int64_t i = 0; i < N; i += 3)
        mean += floor((in.pixels[i] * 19595 + in.pixels[i + 1] * 38470 + in.pixels[i + 2] * 7471 + 32768) / 65536.0);
    mean = floor(mean / (W * H) + 0.5);
    for (int which = 0; which < 3; which++) {
        double sum = 0, least = 9, most = 0;
        const oct_augment a = {.brightness = which == 0 ? 0.5f : 0, .contrast = which == 1 ? 0.5f : 0, .saturation = which == 2 ? 0.5f : 0};
        for (int key = 0; key < DRAWS; key++) {
            OK(oct_augment_apply(&a, oct_augment_key(5, 1, key), black, &in, &out));
            int k = 65536 / 2;
            for (int64_t i = 0; i < N && k <= 3 * 65536 / 2; i++)
                if (jittered(which, i, k / 65536.0, mean) != out.pixels[i]) {
                    k++;
                    i = -1;
                }
            assert_true(k <= 3 * 65536 / 2); /* a factor in [0.5, 1.5] explains every pixel */
            sum += k / 65536.0;
            least = fmin(least, k / 65536.0);
            most = fmax(most, k / 65536.0);
        }
        /* uniform on [0.5, 1.5]: the mean of 300 has sd 0.017 */
        assert_true(fabs(sum / DRAWS - 1) < 0.08 && least < 0.55 && most > 1.45);
    }
}

static void jitter__grey_picture__saturation_changes_nothing(void **state)
{
    make_image(9, 9, 1, 2);
    OK(oct_augment_apply(&(oct_augment){.saturation = 1}, 3, black, &in, &out));
    assert_memory_equal(in.pixels, out.pixels, 81);
}

/* --- cutout --- */

static void cutout__any_key__a_square_around_any_pixel(void **state)
{
    enum { W = 6, H = 5, DRAWS = 3000 };
    static const uint8_t fill[3] = {1, 2, 3};
    for (int side = 1; side <= 4; side++) {
        int hits[H][W] = {0};
        make_image(W, H, 3, 0);
        memset(in.pixels, 9, 3 * W * H);
        for (int key = 0; key < DRAWS; key++) {
            OK(oct_augment_apply(&(oct_augment){.cutout = side}, oct_augment_key(7, 0, key), fill, &in, &out));
            int found = 0;
            for (int cy = 0; cy < H; cy++)
                for (int cx = 0; cx < W; cx++) {
                    bool same = true;
                    for (int i = 0; i < W * H; i++) {
                        const int x = i % W - cx + side / 2, y = i / W - cy + side / 2;
                        const bool cut = x >= 0 && x < side && y >= 0 && y < side;
                        same &= memcmp(out.pixels + 3 * i, cut ? fill : (const uint8_t[]){9, 9, 9}, 3) == 0;
                    }
                    found += same;
                    hits[cy][cx] += same;
                }
            assert_int_equal(found, 1);
        }
        for (int i = 0; i < W * H; i++) /* mean 100, sd 10 */
            assert_in_range((&hits[0][0])[i], 50, 150);
    }
}

/* --- mixup --- */

static void mix__any_weight__rounded_blend(void **state)
{
    static const int weights[] = {0, 1, 127, 32768, 40000, 65535, 65536};
    oct_image copy = {0};
    make_image(8, 8, 3, 1);
    for (size_t k = 0; k < sizeof weights / sizeof *weights; k++) {
        OK(oct_image_reserve(&copy, 8, 8, 3));
        OK(oct_image_reserve(&out, 8, 8, 3));
        memcpy(copy.pixels, in.pixels, 192);
        for (int i = 0; i < 192; i++)
            out.pixels[i] = pixel(77, i);
        oct_augment_mix(&copy, &out, weights[k]);
        for (int i = 0; i < 192; i++) {
            const double w = weights[k] / 65536.0;
            assert_int_equal(copy.pixels[i], round_to_byte(in.pixels[i] * w + out.pixels[i] * (1 - w)));
        }
    }
    oct_image_free(&copy);
}

static void mix__draws__beta_weights_and_uniform_partners(void **state)
{
    static const float alphas[] = {0.05f, 0.2f, 1, 2};
    enum { DRAWS = 20000, COUNT = 10 };
    for (size_t k = 0; k < sizeof alphas / sizeof *alphas; k++) {
        double sum = 0, squares = 0;
        int partners[COUNT] = {0};
        for (int i = 0; i < DRAWS; i++) {
            int weight;
            int64_t partner;
            oct_augment_draw_mix(&(oct_augment){.mixup = alphas[k]}, oct_augment_key(3, 2, i), COUNT, &weight, &partner);
            assert_in_range(weight, 0, OCT_MIX_ONE);
            const double x = (double)weight / OCT_MIX_ONE - 0.5;
            sum += x;
            squares += x * x;
            assert_in_range(partner, 0, COUNT - 1);
            partners[partner]++;
        }
        /* variance of Beta(a, a): 1 / (4 (2 a + 1)) */
        const double variance = 1 / (4 * (2 * (double)alphas[k] + 1));
        assert_true(fabs(sum / DRAWS) < 4 * sqrt(variance / DRAWS));
        assert_true(fabs(squares / DRAWS - variance) < 0.04 * variance);
        for (int p = 0; p < COUNT; p++) /* sd 42 */
            assert_in_range(partners[p], DRAWS / COUNT - 200, DRAWS / COUNT + 200);
    }
}

static void draws__one_change_less__others_stay(void **state)
{
    int differ = 0;
    oct_image plain = {0};
    make_image(9, 9, 3, 6);
    for (int key = 0; key < 20; key++) {
        OK(oct_augment_apply(&(oct_augment){.crop = 3, .flip = true}, oct_augment_key(1, 1, key), black, &in, &plain));
        OK(oct_augment_apply(&(oct_augment){.crop = 3, .flip = true, .cutout = 1, .mixup = 1}, oct_augment_key(1, 1, key), black, &in, &out));
        int changed = 0;
        for (int i = 0; i < 81; i++)
            changed += memcmp(plain.pixels + 3 * i, out.pixels + 3 * i, 3) != 0;
        assert_in_range(changed, 0, 1);
        OK(oct_augment_apply(&(oct_augment){.crop = 3, .flip = true}, oct_augment_key(1, 2, key), black, &in, &out));
        differ += memcmp(plain.pixels, out.pixels, 243) != 0;
    }
    assert_true(differ > 10); /* another epoch, other windows */
    oct_image_free(&plain);
}

static void shuffle__seeds_and_epochs__permutations_all_as_often(void **state)
{
    int hits[6] = {0};
    for (int64_t epoch = 0; epoch < 3000; epoch++) {
        int64_t o[3];
        oct_augment_shuffle(8, epoch, 3, o);
        assert_int_equal((1 << o[0]) | (1 << o[1]) | (1 << o[2]), 7);
        hits[o[0] * 2 + (o[1] > o[2])]++;
    }
    for (int i = 0; i < 6; i++) /* mean 500, sd 20 */
        assert_in_range(hits[i], 400, 600);
}

/* --- the loader --- */

enum { SIDE = 6, VALUES = 3 * SIDE * SIDE, COUNT = 31 };
static const oct_port rgb = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, 3, SIDE, SIDE}};
static const oct_augment everything = {.crop = 2, .flip = true, .brightness = 0.3f, .contrast = 0.2f, .saturation = 0.4f, .cutout = 2, .mixup = 0.5f};

/* The same pictures as a folder and as archives. */
static void make_set(void)
{
    packer tar = pack_open(at("i.tgz"), PACK_TAR_GZ), zip = pack_open(at("i.zip"), PACK_ZIP);
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        blob b;
        make_png(&b, SIDE, SIDE, 3, i);
        snprintf(name, sizeof name, "i/%c/%02d.png", 'a' + i / 11, i);
        put(name, b.bytes, b.size);
        pack_add(tar, name, b.bytes, b.size);
        pack_add(zip, name, b.bytes, b.size);
    }
    pack_close(tar);
    pack_close(zip);
}

typedef struct seen {
    int64_t count, sample[COUNT], label[COUNT], label2[COUNT];
    float mix[COUNT], values[COUNT][VALUES];
} seen;

static void read_epoch(oct_loader *l, seen *s)
{
    oct_batch b;
    memset(s, 0, sizeof *s);
    do {
        OK(oct_loader_next(l, &b));
        assert_int_equal(b.first, s->count);
        for (int64_t i = 0; i < b.count; i++, s->count++) {
            s->sample[s->count] = b.samples[i];
            s->label[s->count] = b.labels[i];
            s->label2[s->count] = b.label2 ? b.label2[i] : -1;
            s->mix[s->count] = b.mix ? b.mix[i] : -1;
            memcpy(s->values[s->count], (const float *)b.inputs[0].data + i * VALUES, sizeof s->values[0]);
        }
    } while (b.count);
}

static oct_dataset *open_set(const char *name, int64_t limit)
{
    oct_dataset *set = NULL;
    if (oct_dataset_open(at(name), &(oct_data_options){.limit = limit, .seed = 1}, &set) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return set;
}

static oct_loader *open_loader(oct_dataset *set, const oct_preprocess *pre, const oct_loader_options *o)
{
    oct_loader *l = NULL;
    if (oct_loader_create_with(set, &rgb, 1, pre, o, &l) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return l;
}

static seen first, again;

static void loader__sources_threads_batches__same_bytes_in_every_epoch(void **state)
{
    static const char *const sources[] = {"i", "i.tgz", "i.zip"};
    static const int64_t batches[] = {1, 7, 64};
    static seen epochs[3];
    make_set();
    for (int s = 0; s < 3; s++) {
        oct_dataset *set = open_set(sources[s], 0);
        for (int threads = 1; threads <= 4; threads++)
            for (int b = 0; b < 3; b++) {
                oct_loader *l = open_loader(set, NULL, &(oct_loader_options){.batch = batches[b], .threads = threads, .seed = 6, .shuffle = true, .augment = &everything});
                for (int e = 0; e < 3; e++) {
                    if (e)
                        OK(oct_loader_start_epoch(l, e));
                    read_epoch(l, &again);
                    if (s + b == 0 && threads == 1)
                        epochs[e] = again;
                    assert_int_equal(again.count, COUNT);
                    assert_memory_equal(&again, &epochs[e], sizeof again);
                }
                oct_loader_destroy(l);
            }
        oct_dataset_destroy(set);
    }
    for (int e = 0; e < 3; e++) {
        uint64_t mask = 0;
        for (int i = 0; i < COUNT; i++)
            mask |= 1ull << epochs[e].sample[i];
        assert_int_equal(mask, (1ull << COUNT) - 1);
        assert_memory_not_equal(epochs[e].sample, epochs[(e + 1) % 3].sample, sizeof first.sample);
    }
}

static void loader__epoch_started_midway__as_from_the_start(void **state)
{
    oct_dataset *set = open_set("i", 0);
    const oct_loader_options o = {.batch = 4, .threads = 3, .seed = 6, .shuffle = true, .augment = &everything};
    oct_loader *l = open_loader(set, NULL, &o);
    oct_batch b;
    OK(oct_loader_start_epoch(l, 5));
    read_epoch(l, &first);
    for (int taken = 0; taken < 9; taken++) {
        OK(oct_loader_start_epoch(l, 4));
        for (int i = 0; i < taken; i++)
            OK(oct_loader_next(l, &b));
        OK(oct_loader_start_epoch(l, 5));
        read_epoch(l, &again);
        assert_memory_equal(&again, &first, sizeof again);
    }
    FAILS(oct_loader_start_epoch(l, -1), OCT_ERR_USAGE, "epoch -1");
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

/* The whole way once more by hand: pixels(key) -> augmented -> mixed -> (v / 255 - mean) / std, in BGR. */
static void loader__everything_on__equals_the_steps_by_hand(void **state)
{
    oct_preprocess pre;
    OK(oct_preprocess_parse(&pre, "mean=0.5,0.4,0.1 std=0.25 color=bgr"));
    static const uint8_t fill[3] = {26, 102, 128}; /* of r, g, b: 255 times the mean of the channel that each becomes, rounded */
    oct_dataset *set = open_set("i", 0);
    oct_loader *l = open_loader(set, &pre, &(oct_loader_options){.batch = 5, .seed = 12, .augment = &everything});
    OK(oct_loader_start_epoch(l, 3));
    read_epoch(l, &first);
    int mixed = 0;
    oct_image other = {0};
    for (int i = 0; i < COUNT; i++) {
        int weight;
        int64_t partner;
        assert_int_equal(first.sample[i], i);
        make_image(SIDE, SIDE, 3, i);
        OK(oct_augment_apply(&everything, oct_augment_key(12, 3, i), fill, &in, &out));
        oct_augment_draw_mix(&everything, oct_augment_key(12, 3, i), COUNT, &weight, &partner);
        make_image(SIDE, SIDE, 3, (int)partner);
        OK(oct_augment_apply(&everything, oct_augment_key(12, 3, partner), fill, &in, &other));
        oct_augment_mix(&out, &other, weight);
        for (int k = 0; k < VALUES; k++) {
            const int c = k / (SIDE * SIDE), at_pixel = k % (SIDE * SIDE);
            assert_true(first.values[i][k] == ((float)out.pixels[3 * at_pixel + 2 - c] / 255.0f - pre.mean[c]) / pre.std[c]);
        }
        assert_int_equal(first.label[i], i / 11);
        assert_int_equal(first.label2[i], partner / 11);
        assert_true(first.mix[i] == (float)weight / 65536 && first.mix[i] + (1 - first.mix[i]) == 1);
        mixed += weight > 0 && weight < OCT_MIX_ONE;
    }
    assert_true(mixed > COUNT / 2);
    oct_image_free(&other);
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

static void loader__subset_of_the_set__its_samples_as_in_the_whole(void **state)
{
    oct_augment a = everything;
    a.mixup = 0; /* partners come from what is loaded */
    oct_dataset *whole = open_set("i", 0), *part = open_set("i", 9);
    oct_loader *l = open_loader(whole, NULL, &(oct_loader_options){.batch = 8, .augment = &a}), *m = open_loader(part, NULL, &(oct_loader_options){.batch = 2, .augment = &a, .shuffle = true});
    read_epoch(l, &first);
    read_epoch(m, &again);
    assert_int_equal(again.count, 9);
    for (int i = 0; i < 9; i++) {
        const int64_t k = oct_set_sample(part, again.sample[i]);
        assert_memory_equal(again.values[i], first.values[k], sizeof first.values[0]);
        assert_int_equal(again.label[i], first.label[k]);
    }
    oct_loader_destroy(l);
    oct_loader_destroy(m);
    oct_dataset_destroy(whole);
    oct_dataset_destroy(part);
}

static void loader__corrupt_images__named_once_and_no_partners(void **state)
{
    enum { N = 12 };
    packer zip = pack_open(at("c.zip"), PACK_ZIP);
    for (int i = 0; i < N; i++) {
        char name[32];
        blob b;
        make_png(&b, SIDE, SIDE, 3, i);
        if (i % 2)
            b.size /= 2;
        snprintf(name, sizeof name, "c/%c/%02d.png", 'a' + i / 6, i);
        put(name, b.bytes, b.size);
        pack_add(zip, name, b.bytes, b.size);
    }
    pack_close(zip);
    for (int s = 0; s < 2; s++) {
        oct_dataset *set = open_set(s ? "c.zip" : "c", 0);
        oct_loader *l = open_loader(set, NULL, &(oct_loader_options){.batch = 5, .threads = 2, .shuffle = true, .augment = &everything});
        int alone = 0, mixed = 0;
        for (int e = 0; e < 6; e++) {
            OK(oct_loader_start_epoch(l, e));
            read_epoch(l, &first);
            assert_int_equal(first.count, N / 2);
            for (int i = 0; i < N / 2; i++) {
                assert_int_equal(first.sample[i] % 2, 0);
                alone += first.mix[i] == 1 && first.label2[i] == first.label[i];
                mixed += first.mix[i] < 1;
            }
        }
        assert_true(alone > 6 && mixed > 6); /* of 36, about half */
        assert_int_equal(oct_dataset_fault_count(set), N / 2);
        oct_loader_destroy(l);
        oct_dataset_destroy(set);
    }
}

static void loader__strict_or_wrong_options__clear_errors(void **state)
{
    oct_dataset *set = NULL;
    oct_loader *l = NULL;
    oct_batch b;
    OK(oct_dataset_open(at("c"), &(oct_data_options){.strict = true}, &set));
    l = open_loader(set, NULL, &(oct_loader_options){.batch = 5, .shuffle = true});
    oct_status s = OCT_OK;
    for (int i = 0; i < 3 && s == OCT_OK; i++)
        s = oct_loader_next(l, &b);
    assert_int_equal(s, OCT_ERR_CONTENT);
    FAILS(oct_loader_start_epoch(l, 1), OCT_ERR_CONTENT, ".png: ");
    oct_loader_destroy(l);
    l = NULL;
    FAILS(oct_loader_create_with(set, &rgb, 1, NULL, &(oct_loader_options){.batch = 1, .augment = &(oct_augment){.crop = -1}}, &l), OCT_ERR_USAGE, "crop");
    FAILS(oct_loader_create_with(set, &rgb, 1, NULL, &(oct_loader_options){.batch = 1, .augment = &(oct_augment){.mixup = NAN}}, &l), OCT_ERR_USAGE, "mixup");
    FAILS(oct_loader_create_with(set, &rgb, 1, NULL, &(oct_loader_options){.batch = 0}, &l), OCT_ERR_USAGE, "batch 0");
    oct_dataset_destroy(set);
}

static void arrays__shuffled__rows_of_their_samples_and_no_augmentation(void **state)
{
    enum { ROWS = 23 };
    float x[ROWS][2];
    for (int i = 0; i < ROWS; i++)
        x[i][0] = (float)i, x[i][1] = (float)(i * i);
    OK(oct_npy_save(at("x.npy"), &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 2, .dims = {ROWS, 2}}));
    const oct_port port = {.name = "x", .dtype = OCT_F32, .rank = 2, .dims = {-1, 2}};
    oct_dataset *set = open_set("x.npy", 0);
    oct_loader *l = NULL;
    FAILS(oct_loader_create_with(set, &port, 1, NULL, &(oct_loader_options){.batch = 4, .augment = &everything}, &l), OCT_ERR_USAGE, "holds arrays");
    OK(oct_loader_create_with(set, &port, 1, NULL, &(oct_loader_options){.batch = 4, .threads = 3, .shuffle = true}, &l));
    for (int e = 0; e < 2; e++) {
        oct_batch b;
        int64_t n = 0, moved = 0, sum = 0;
        OK(oct_loader_start_epoch(l, e));
        do {
            OK(oct_loader_next(l, &b));
            assert_null(b.mix);
            assert_null(b.label2);
            for (int64_t i = 0; i < b.count; i++, n++) {
                const float *row = (const float *)b.inputs[0].data + 2 * i;
                assert_true(row[0] == (float)b.samples[i] && row[1] == (float)(b.samples[i] * b.samples[i]));
                moved += b.samples[i] != n;
                sum += b.samples[i];
            }
        } while (b.count);
        assert_int_equal(n, ROWS);
        assert_int_equal(sum, ROWS * (ROWS - 1) / 2);
        assert_true(moved > ROWS / 2);
    }
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__every_part__meant_values),
        cmocka_unit_test(text__wrong__usage_error_names_the_part),
        cmocka_unit_test_teardown(crop_flip__any_key__one_window_of_the_padded_picture_all_as_often, drop_images),
        cmocka_unit_test_teardown(crop__border_wider_than_the_picture__still_a_window, drop_images),
        cmocka_unit_test_teardown(jitter__each_kind__plain_blend_with_a_factor_in_range, drop_images),
        cmocka_unit_test_teardown(jitter__grey_picture__saturation_changes_nothing, drop_images),
        cmocka_unit_test_teardown(cutout__any_key__a_square_around_any_pixel, drop_images),
        cmocka_unit_test_teardown(mix__any_weight__rounded_blend, drop_images),
        cmocka_unit_test(mix__draws__beta_weights_and_uniform_partners),
        cmocka_unit_test_teardown(draws__one_change_less__others_stay, drop_images),
        cmocka_unit_test(shuffle__seeds_and_epochs__permutations_all_as_often),
        cmocka_unit_test(loader__sources_threads_batches__same_bytes_in_every_epoch),
        cmocka_unit_test(loader__epoch_started_midway__as_from_the_start),
        cmocka_unit_test_teardown(loader__everything_on__equals_the_steps_by_hand, drop_images),
        cmocka_unit_test(loader__subset_of_the_set__its_samples_as_in_the_whole),
        cmocka_unit_test(loader__corrupt_images__named_once_and_no_partners),
        cmocka_unit_test(loader__strict_or_wrong_options__clear_errors),
        cmocka_unit_test(arrays__shuffled__rows_of_their_samples_and_no_augmentation),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
