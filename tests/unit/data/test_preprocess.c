/* Preprocessing options: text form, presets, and sizes. */
#include "unit/data/files.h"
#include "data/preprocess.h"

static void text__every_field__round_trip(void **state)
{
    const oct_preprocess cases[] = {
        {.std = {1, 1, 1, 1}},
        {.resize = 256,
         .crop_h = 224,
         .crop_w = 224,
         .mean = {0.485f, 0.456f, 0.406f, 0},
         .std = {0.229f, 0.224f, 0.225f, 1},
         .color = 1},
        {.resize = 100,
         .resize_w = 200,
         .crop_h = 3,
         .crop_w = 7,
         .mean = {-1e-30f, 1.0f / 3, 3e20f, 2},
         .std = {1 / 255.0f, 1e-20f, 7, 9},
         .layout = 2,
         .color = 3},
        {.resize = 8, .std = {1, 1, 1, 1}, .layout = 1, .color = 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        oct_preprocess back;
        OK(oct_preprocess_format(&cases[i], &text));
        assert_null(strchr(text, '\n'));
        OK(oct_preprocess_parse(&back, text));
        assert_memory_equal(&back, &cases[i], sizeof back);
        oct_string_free(text);
    }
}

static void text__short_forms__meant_values(void **state)
{
    oct_preprocess p;
    OK(oct_preprocess_parse(&p, "  crop=24   mean=0.5 std=0.25,0.5,1\n"));
    assert_int_equal(p.crop_h, 24);
    assert_int_equal(p.crop_w, 24);
    assert_true(p.mean[3] == 0.5f && p.std[1] == 0.5f && p.std[3] == 1.0f);
    OK(oct_preprocess_parse(&p, ""));
    assert_true(p.mean[0] == 0 && p.std[0] == 1 && p.resize == 0);
}

static void text__not_understood__content_error_names_word(void **state)
{
    static const char *const bad[] = {"crop",   "crop=",       "crop=-3",   "crop=3x",        "crop=3x0", "crop=3y4", "crop=999999",
                                      "mean=",  "mean=a",      "mean=1,",   "mean=1,2,3,4,5", "mean=nan", "mean=inf", "std=0",
                                      "std=-1", "layout=chwn", "color=red", "size=3",         "=3"};
    oct_preprocess p = {.resize = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(oct_preprocess_parse(&p, bad[i]), OCT_ERR_CONTENT, bad[i]);
    assert_int_equal(p.resize, 77);
}

static void preset__imagenet__known_values(void **state)
{
    oct_preprocess p;
    OK(oct_preprocess_preset(&p, "imagenet"));
    assert_int_equal(p.resize, 256);
    assert_int_equal(p.crop_h, 224);
    assert_true(p.mean[1] == 0.456f && p.std[2] == 0.225f);
    FAILS(oct_preprocess_preset(&p, "imagenet22k"), OCT_ERR_USAGE, "imagenet22k");
}

static void sizes__shorter_side_and_crop__as_torchvision(void **state)
{
    /* 10 x 15 (width x height), shorter side 7: 7 x int(10.5) = 7 x 10; crop 4 x 5 of it starts at round-half-even(1.5) = 2, 2
     * or 3. */
    oct_port port = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, 3, 5, 4}};
    oct_preprocess p;
    oct_preprocess_default(&p);
    p.resize = 7;
    p.crop_h = 5;
    p.crop_w = 4;
    oct_pixel_plan plan;
    oct_pixel_scratch s = {0};
    oct_resize_scratch r = {0};
    oct_image whole = {0};
    const oct_image *got;
    bool misfit;
    blob b;
    make_png(&b, 10, 15, 3, 6);
    OK(oct_pixel_plan_make(&port, &p, &plan));
    OK(oct_pixels_load(&plan, b.bytes, (int64_t)b.size, &s, &got, &misfit));
    assert_false(misfit);
    OK(oct_image_resize(&s.decoded, 7, 10, 0, 0, 7, 10, &r, &whole));
    for (int y = 0; y < 5; y++)
        assert_memory_equal(got->pixels + y * 12, whole.pixels + ((y + 2) * 7 + 2) * 3, 12);
    oct_image_free(&whole);
    oct_resize_scratch_free(&r);
    oct_pixel_scratch_free(&s);
}

static void sizes__extreme_aspect__refused(void **state)
{
    oct_port port = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, 3, 8, 8}};
    oct_preprocess p;
    oct_preprocess_default(&p);
    p.resize = 1000;
    p.crop_h = p.crop_w = 8;
    oct_pixel_plan plan;
    oct_pixel_scratch s = {0};
    const oct_image *got;
    bool misfit;
    blob b;
    make_png(&b, 200, 1, 3, 6);
    OK(oct_pixel_plan_make(&port, &p, &plan));
    FAILS(oct_pixels_load(&plan, b.bytes, (int64_t)b.size, &s, &got, &misfit), OCT_ERR_CONTENT, "too large");
    oct_pixel_scratch_free(&s);
}

static void layout__shape__told_from_channel_count(void **state)
{
    static const struct {
        int64_t dims[4];
        int layout;
        bool nhwc;
        int channels;
    } cases[] = {{{-1, 3, 8, 8}, 0, false, 3}, {{-1, 8, 8, 3}, 0, true, 3}, {{1, 8, 8, 1}, 0, true, 1},
                 {{-1, 3, 8, 3}, 0, false, 3}, {{-1, 3, 8, 3}, 2, true, 3}, {{-1, -1, 8, 8}, 0, false, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oct_port port = {.name = "x", .dtype = OCT_F32, .rank = 4};
        memcpy(port.dims, cases[i].dims, sizeof cases[i].dims);
        oct_preprocess p;
        oct_preprocess_default(&p);
        p.layout = cases[i].layout;
        oct_pixel_plan plan;
        OK(oct_pixel_plan_make(&port, &p, &plan));
        assert_int_equal(plan.nhwc, cases[i].nhwc);
        assert_int_equal(plan.channels, cases[i].channels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__every_field__round_trip),
        cmocka_unit_test(text__short_forms__meant_values),
        cmocka_unit_test(text__not_understood__content_error_names_word),
        cmocka_unit_test(preset__imagenet__known_values),
        cmocka_unit_test(sizes__shorter_side_and_crop__as_torchvision),
        cmocka_unit_test(sizes__extreme_aspect__refused),
        cmocka_unit_test(layout__shape__told_from_channel_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
