/* Resizing against golden values of Pillow, and its windows. */
#include "unit/data/files.h"
#include "data/image.h"

typedef struct golden {
    int in_w, in_h, channels, out_w, out_h, key;
    uint8_t codes[128];
} golden;

static const golden goldens[] = {
#include "golden_resize.inc"
};

static oct_image source(const golden *g)
{
    return (oct_image){
        .pixels = pixels(g->in_w, g->in_h, g->channels, g->key), .width = g->in_w, .height = g->in_h, .channels = g->channels};
}

static void resize__pillow_goldens__equal(void **state)
{
    oct_resize_scratch s = {0};
    oct_image out = {0};
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        const golden *g = &goldens[i];
        oct_image in = source(g);
        OK(oct_image_resize(&in, g->out_w, g->out_h, 0, 0, g->out_w, g->out_h, &s, &out));
        assert_int_equal(out.width, g->out_w);
        assert_int_equal(out.height, g->out_h);
        for (int k = 0; k < g->out_w * g->out_h * g->channels; k++)
            if (out.pixels[k] != g->codes[k])
                fail_msg("golden %zu, code %d: %d, not %d", i, k, out.pixels[k], g->codes[k]);
        oct_image_free(&in);
    }
    oct_image_free(&out);
    oct_resize_scratch_free(&s);
}

static void resize__window__equals_crop_of_whole(void **state)
{
    oct_resize_scratch s = {0};
    oct_image whole = {0}, part = {0};
    const int sizes[4][2] = {{20, 9}, {53, 41}, {37, 12}, {11, 29}}; /* both, neither, one axis */
    oct_image in = {.pixels = pixels(37, 29, 3, 5), .width = 37, .height = 29, .channels = 3};
    for (int i = 0; i < 4; i++) {
        int w = sizes[i][0], h = sizes[i][1], x = w / 3, y = h / 4, pw = w / 2, ph = h / 2;
        OK(oct_image_resize(&in, w, h, 0, 0, w, h, &s, &whole));
        OK(oct_image_resize(&in, w, h, x, y, pw, ph, &s, &part));
        for (int r = 0; r < ph; r++)
            assert_memory_equal(part.pixels + r * pw * 3, whole.pixels + ((y + r) * w + x) * 3, (size_t)pw * 3);
    }
    oct_image_free(&in);
    oct_image_free(&whole);
    oct_image_free(&part);
    oct_resize_scratch_free(&s);
}

static void resize__same_size__copy(void **state)
{
    oct_resize_scratch s = {0};
    oct_image out = {0}, in = {.pixels = pixels(6, 5, 3, 1), .width = 6, .height = 5, .channels = 3};
    OK(oct_image_resize(&in, 6, 5, 1, 2, 4, 3, &s, &out));
    for (int r = 0; r < 3; r++)
        assert_memory_equal(out.pixels + r * 12, in.pixels + ((r + 2) * 6 + 1) * 3, 12);
    oct_image_free(&in);
    oct_image_free(&out);
    oct_resize_scratch_free(&s);
}

static void resize__full_range_edges__stay_in_range(void **state)
{
    /* White must stay white and black black for any ratio: the fixed-point weights add up to 1 closely enough. */
    oct_resize_scratch s = {0};
    oct_image out = {0}, in = {.pixels = malloc(64 * 64), .width = 64, .height = 64, .channels = 1};
    for (int code = 0; code <= 255; code += 255)
        for (int w = 1; w < 130; w += 7) {
            memset(in.pixels, code, 64 * 64);
            OK(oct_image_resize(&in, w, 130 - w, 0, 0, w, 130 - w, &s, &out));
            for (int i = 0; i < w * (130 - w); i++)
                assert_int_equal(out.pixels[i], code);
        }
    oct_image_free(&in);
    oct_image_free(&out);
    oct_resize_scratch_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize__pillow_goldens__equal),
        cmocka_unit_test(resize__window__equals_crop_of_whole),
        cmocka_unit_test(resize__same_size__copy),
        cmocka_unit_test(resize__full_range_edges__stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
