/* Files for the tests of src/data: a scratch folder that goes away, PNG, JPEG, tar and zip written through the libraries. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <archive.h>
#include <archive_entry.h>
#include <png.h>
#include <jpeglib.h>
#include <octavo/data.h>
#include "base/file.h"

#define OK(expr) assert_int_equal((expr), OCT_OK)
#define FAILS(expr, want, part)                                                                                                    \
    do {                                                                                                                           \
        assert_int_equal((expr), (want));                                                                                          \
        if (!strstr(oct_last_error()->message, (part)))                                                                            \
            fail_msg("'%s' does not say '%s'", oct_last_error()->message, part);                                                   \
    } while (0)

static char scratch[64];

static inline int make_scratch(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/octavo-data-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}
static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}
static inline int drop_scratch(void **state)
{
    (void)state;
    return nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path below the scratch folder, its folders made; one of eight rotating buffers. */
static inline const char *at(const char *name)
{
    static char paths[8][512];
    static int turn;
    char *p = paths[turn++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", scratch, name);
    for (char *slash = p + strlen(scratch) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(p, 0777);
        *slash = '/';
    }
    return p;
}
static inline const char *put(const char *name, const void *bytes, size_t size)
{
    const char *path = at(name);
    OK(oct_file_write(path, bytes, (int64_t)size));
    return path;
}
static inline const char *put_text(const char *name, const char *text) { return put(name, text, strlen(text)); }

/* Pixels that depend on key and place. */
static inline uint8_t pixel(int key, int64_t i)
{
    return (uint8_t)((((uint64_t)i * 2654435761u + (uint64_t)key * 40503u) & 0xffffffffu) >> 24);
}
static inline uint8_t *pixels(int w, int h, int channels, int key)
{
    uint8_t *p = malloc((size_t)(w * h * channels));
    for (int64_t i = 0; i < (int64_t)w * h * channels; i++)
        p[i] = pixel(key, i);
    return p;
}

typedef struct blob {
    uint8_t bytes[1 << 16];
    size_t size;
} blob;

static inline void encode_png(blob *b, int w, int h, int channels, const uint8_t *p)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)w,
                       .height = (png_uint_32)h,
                       .format = channels == 1   ? PNG_FORMAT_GRAY
                                 : channels == 3 ? PNG_FORMAT_RGB
                                                 : PNG_FORMAT_RGBA};
    png_alloc_size_t size = sizeof b->bytes;
    assert_true(png_image_write_to_memory(&image, b->bytes, &size, 0, p, 0, NULL));
    b->size = size;
}
/* The picture of pixels(w, h, channels, key). */
static inline void make_png(blob *b, int w, int h, int channels, int key)
{
    uint8_t *p = pixels(w, h, channels, key);
    encode_png(b, w, h, channels, p);
    free(p);
}
/* A smooth ramp, since noise does not survive JPEG. */
static inline void make_jpeg(blob *b, int w, int h, int channels, bool progressive)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, row[3 * 256];
    unsigned long size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &size);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = channels;
    c.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    if (progressive)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w * channels; x++)
            row[x] = (unsigned char)(20 + 3 * y + 5 * (x / channels) + 40 * (x % channels));
        JSAMPROW rows[1] = {row};
        jpeg_write_scanlines(&c, rows, 1);
    }
    jpeg_finish_compress(&c);
    assert_true(size <= sizeof b->bytes);
    memcpy(b->bytes, bytes, size);
    b->size = size;
    jpeg_destroy_compress(&c);
    free(bytes);
}
static inline const char *put_png(const char *name, int w, int h, int channels, int key)
{
    blob b;
    make_png(&b, w, h, channels, key);
    return put(name, b.bytes, b.size);
}

typedef enum pack_kind { PACK_TAR, PACK_TAR_GZ, PACK_ZIP } pack_kind;
typedef struct packer {
    struct archive *a;
} packer;
static inline packer pack_open(const char *path, pack_kind kind)
{
    packer p = {archive_write_new()};
    if (kind == PACK_TAR_GZ)
        archive_write_add_filter_gzip(p.a);
    assert_int_equal(kind == PACK_ZIP ? archive_write_set_format_zip(p.a) : archive_write_set_format_pax_restricted(p.a),
                     ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(p.a, path), ARCHIVE_OK);
    return p;
}
/* bytes NULL: a folder. */
static inline void pack_add(packer p, const char *name, const void *bytes, size_t size)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, bytes ? AE_IFREG : AE_IFDIR);
    archive_entry_set_perm(e, 0755);
    archive_entry_set_size(e, (la_int64_t)size);
    assert_int_equal(archive_write_header(p.a, e), ARCHIVE_OK);
    if (bytes)
        assert_int_equal(archive_write_data(p.a, bytes, size), (la_ssize_t)size);
    archive_entry_free(e);
}
static inline void pack_png(packer p, const char *name, int w, int h, int key)
{
    blob b;
    make_png(&b, w, h, 3, key);
    pack_add(p, name, b.bytes, b.size);
}
static inline void pack_close(packer p)
{
    assert_int_equal(archive_write_close(p.a), ARCHIVE_OK);
    archive_write_free(p.a);
}

#endif
