/* Decoding PNG and JPEG of every kind, and refusing damaged ones. */
#include "unit/data/files.h"
#include "data/image.h"

static oct_image image;

static int drop_image(void **state)
{
    oct_image_free(&image);
    return 0;
}

static void png__rgb_and_grey__exact(void **state)
{
    blob b;
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t *want = pixels(13, 7, channels, 3);
        make_png(&b, 13, 7, channels, 3);
        OK(oct_image_decode(b.bytes, (int64_t)b.size, channels, &image));
        assert_int_equal(image.width, 13);
        assert_int_equal(image.height, 7);
        assert_memory_equal(image.pixels, want, (size_t)(13 * 7 * channels));
        free(want);
    }
}

static void png__grey_as_rgb__replicated(void **state)
{
    blob b;
    make_png(&b, 9, 5, 1, 4);
    OK(oct_image_decode(b.bytes, (int64_t)b.size, 3, &image));
    for (int i = 0; i < 45; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(image.pixels[3 * i + c], pixel(4, i));
}

static void png__rgb_as_grey__luma(void **state)
{
    /* Pillow's convert("L") of these colours. */
    static const uint8_t colors[6][3] = {{255, 255, 255}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {10, 20, 30}, {200, 100, 50}};
    static const uint8_t want[6] = {255, 76, 150, 29, 18, 124};
    blob b;
    encode_png(&b, 6, 1, 3, colors[0]);
    OK(oct_image_decode(b.bytes, (int64_t)b.size, 1, &image));
    assert_memory_equal(image.pixels, want, 6);
}

static void png__alpha__dropped(void **state)
{
    static const uint8_t rgba[2][4] = {{1, 2, 3, 0}, {250, 128, 7, 200}}, want[6] = {1, 2, 3, 250, 128, 7};
    blob b;
    png_image out = {.version = PNG_IMAGE_VERSION, .width = 2, .height = 1, .format = PNG_FORMAT_RGBA};
    png_alloc_size_t size = sizeof b.bytes;
    assert_true(png_image_write_to_memory(&out, b.bytes, &size, 0, rgba, 0, NULL));
    OK(oct_image_decode(b.bytes, (int64_t)size, 3, &image));
    assert_memory_equal(image.pixels, want, 6);
}

/* Written by hand through the full API: kinds that the simple one does not write. */
static void sink(png_structp png, png_bytep from, size_t n)
{
    blob *b = png_get_io_ptr(png);
    memcpy(b->bytes + b->size, from, n);
    b->size += n;
}
static void flush(png_structp png) { (void)png; }

static void write_kind(blob *b, int w, int h, int depth, int color, int interlace, const png_color *palette, int colors,
                       uint8_t *const *rows)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    b->size = 0;
    png_set_write_fn(png, b, sink, flush);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, depth, color, interlace, PNG_COMPRESSION_TYPE_BASE,
                 PNG_FILTER_TYPE_BASE);
    if (palette) {
        static const png_byte alpha[2] = {0, 128};
        png_set_PLTE(png, info, palette, colors);
        png_set_tRNS(png, info, alpha, 2, NULL);
    }
    png_write_info(png, info);
    png_write_image(png, (png_bytepp)(uintptr_t)rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

static void png__palette_with_transparency__colours(void **state)
{
    static const png_color palette[3] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}};
    uint8_t row[4] = {2, 0, 1, 2}, *rows[1] = {row};
    static const uint8_t want[12] = {70, 80, 90, 10, 20, 30, 40, 50, 60, 70, 80, 90};
    blob b;
    write_kind(&b, 4, 1, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, palette, 3, rows);
    OK(oct_image_decode(b.bytes, (int64_t)b.size, 3, &image));
    assert_memory_equal(image.pixels, want, 12);
}

static void png__one_bit_grey__black_and_white(void **state)
{
    uint8_t row[2] = {0xA5, 0x80}, *rows[1] = {row};
    static const uint8_t want[9] = {255, 0, 255, 0, 0, 255, 0, 255, 255};
    blob b;
    write_kind(&b, 9, 1, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, NULL, 0, rows);
    OK(oct_image_decode(b.bytes, (int64_t)b.size, 1, &image));
    assert_memory_equal(image.pixels, want, 9);
}

static void png__sixteen_bits__high_byte(void **state)
{
    uint8_t row[6] = {0x12, 0xFF, 0xFE, 0x00, 0x80, 0x7F}, *rows[1] = {row};
    static const uint8_t want[3] = {0x12, 0xFE, 0x80};
    blob b;
    write_kind(&b, 1, 1, 16, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, NULL, 0, rows);
    OK(oct_image_decode(b.bytes, (int64_t)b.size, 3, &image));
    assert_memory_equal(image.pixels, want, 3);
}

static void png__interlaced__exact(void **state)
{
    uint8_t *want = pixels(19, 11, 3, 8), *rows[11];
    for (int y = 0; y < 11; y++)
        rows[y] = want + y * 19 * 3;
    blob b;
    write_kind(&b, 19, 11, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, NULL, 0, rows);
    OK(oct_image_decode(b.bytes, (int64_t)b.size, 3, &image));
    assert_memory_equal(image.pixels, want, 19 * 11 * 3);
    free(want);
}

static void jpeg__ramp__close_to_source(void **state)
{
    blob b;
    for (int progressive = 0; progressive < 2; progressive++)
        for (int channels = 1; channels <= 3; channels += 2) {
            make_jpeg(&b, 17, 11, channels, progressive);
            OK(oct_image_decode(b.bytes, (int64_t)b.size, channels, &image));
            assert_int_equal(image.width, 17);
            assert_int_equal(image.height, 11);
            for (int y = 0; y < 11; y++)
                for (int x = 0; x < 17 * channels; x++)
                    assert_true(
                        abs(image.pixels[y * 17 * channels + x] - (20 + 3 * y + 5 * (x / channels) + 40 * (x % channels))) <= 8);
        }
}

static void decode__other_bytes__content_error(void **state)
{
    FAILS(oct_image_decode("", 0, 3, &image), OCT_ERR_CONTENT, "empty");
    FAILS(oct_image_decode("GIF89a..", 8, 3, &image), OCT_ERR_CONTENT, "neither PNG nor JPEG");
    FAILS(oct_image_decode("\xFF", 1, 3, &image), OCT_ERR_CONTENT, "neither PNG nor JPEG");
}

static void decode__truncated_anywhere__content_error(void **state)
{
    blob b;
    make_png(&b, 16, 16, 3, 2);
    for (size_t n = 8; n < b.size; n += 5)
        assert_int_equal(oct_image_decode(b.bytes, (int64_t)n, 3, &image), OCT_ERR_CONTENT);
    make_jpeg(&b, 40, 40, 3, false);
    for (size_t n = 3; n < b.size - 2; n += 5)
        assert_int_equal(oct_image_decode(b.bytes, (int64_t)n, 3, &image), OCT_ERR_CONTENT);
}

static void decode__flipped_bytes__no_crash(void **state)
{
    blob clean, b;
    for (int kind = 0; kind < 3; kind++) {
        if (kind)
            make_jpeg(&clean, 24, 24, 3, kind == 2);
        else
            make_png(&clean, 24, 24, 3, 2);
        for (size_t i = 8; i < clean.size; i++) {
            b = clean;
            b.bytes[i] ^= (uint8_t)(1u << i % 8);
            oct_status s = oct_image_decode(b.bytes, (int64_t)b.size, 3, &image);
            assert_true(s == OCT_OK || s == OCT_ERR_CONTENT);
        }
    }
}

static void png__announces_huge_size__refused_before_allocation(void **state)
{
    blob b;
    make_png(&b, 8, 8, 3, 1);
    const uint8_t header[17] = {'I', 'H', 'D', 'R', 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 8, 2, 0, 0, 0};
    memcpy(b.bytes + 12, header, 17);
    uint32_t crc = 0xFFFFFFFFu;
    for (int i = 12; i < 29; i++) {
        crc ^= b.bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++)
        b.bytes[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    FAILS(oct_image_decode(b.bytes, (int64_t)b.size, 3, &image), OCT_ERR_CONTENT, "too large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png__rgb_and_grey__exact),
        cmocka_unit_test(png__grey_as_rgb__replicated),
        cmocka_unit_test(png__rgb_as_grey__luma),
        cmocka_unit_test(png__alpha__dropped),
        cmocka_unit_test(png__palette_with_transparency__colours),
        cmocka_unit_test(png__one_bit_grey__black_and_white),
        cmocka_unit_test(png__sixteen_bits__high_byte),
        cmocka_unit_test(png__interlaced__exact),
        cmocka_unit_test(jpeg__ramp__close_to_source),
        cmocka_unit_test(decode__other_bytes__content_error),
        cmocka_unit_test(decode__truncated_anywhere__content_error),
        cmocka_unit_test(decode__flipped_bytes__no_crash),
        cmocka_unit_test(png__announces_huge_size__refused_before_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, drop_image);
}
