/* Data sets: image folders, archives, CSV lists, npy/npz, and the loader that turns them into model inputs. */
#ifndef OCTAVO_DATA_H
#define OCTAVO_DATA_H

#include <stdbool.h>
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_dataset oct_dataset;
typedef struct oct_loader oct_loader;

/* From a pixel v in 0..1 to a model input: (v - mean) / std per channel. Zero-initialise, then oct_preprocess_default. */
typedef struct oct_preprocess {
    int resize;         /* shorter side in pixels (antialiased bilinear); 0 = as it is */
    int resize_w;       /* with resize_w > 0: exact size resize_w x resize (height = resize) */
    int crop_h, crop_w; /* centre crop; 0 = none */
    float mean[4], std[4];
    int layout;         /* 0 = as the model's shape says, 1 = NCHW, 2 = NHWC */
    int color;          /* 0 = as the model's channel count says (3 = RGB, 1 = grey), 1 = RGB, 2 = BGR, 3 = grey */
} oct_preprocess;

OCT_API void oct_preprocess_default(oct_preprocess *p);
/* Names: "imagenet" (shorter side 256, crop 224, ImageNet mean and std). USAGE for an unknown name. */
OCT_API OCT_MUST_USE oct_status oct_preprocess_preset(oct_preprocess *p, const char *name);
/* One line of text kept in ONNX metadata under "octavo.preprocess", and back. Free with oct_string_free. */
OCT_API OCT_MUST_USE oct_status oct_preprocess_format(const oct_preprocess *p, char **text);
OCT_API OCT_MUST_USE oct_status oct_preprocess_parse(oct_preprocess *p, const char *text);

typedef struct oct_data_options {
    int64_t limit;      /* 0 = all; else a seeded random subset over all classes, never the first ones */
    uint64_t seed;
    int shard, shards;  /* contiguous part shard (1-based) of shards; 0 = all. Taken after limit. */
    bool strict;        /* a corrupt image is fatal; else it is counted, named by oct_dataset_get_fault, and skipped */
    double split;       /* 0 = whole set; else this fraction of every class, drawn by seed, is held out: two sets opened with the same */
    bool held_out;      /* split and seed, one with held_out and one without, share no sample and are all. Taken before limit. */
} oct_data_options;

/* Open a source: folder or tar/zip with one sub-folder a class (class = bytewise rank of its name), CSV/TSV of
 * path,label, .npz with one array per model input (+ optional "labels"), or .npy for a single input.
 * A flat folder or archive of images is an unlabelled set. Samples come by class, then name; those of an archive in its own
 * order (folders that all its images share in front are ignored), those of a table or array in its rows' order.
 * Errors: IO, CONTENT (names the file), USAGE. */
OCT_API OCT_MUST_USE oct_status oct_dataset_open(const char *path, const oct_data_options *opts, oct_dataset **out);
OCT_API void oct_dataset_destroy(oct_dataset *set);
OCT_API int64_t oct_dataset_count(const oct_dataset *set);        /* samples after limit and shard */
OCT_API int64_t oct_dataset_first(const oct_dataset *set);        /* index of this shard's first sample in the limited set */
OCT_API bool oct_dataset_has_labels(const oct_dataset *set);
OCT_API int64_t oct_dataset_class_count(const oct_dataset *set);  /* 0 without labels */
OCT_API const char *oct_dataset_class_name(const oct_dataset *set, int64_t cls); /* "" when unnamed */
OCT_API int64_t oct_dataset_fault_count(const oct_dataset *set);
OCT_API const char *oct_dataset_get_fault(const oct_dataset *set, int64_t index); /* "file: reason" */

/* Random changes of training images, made of the sized 8-bit pixels before normalisation, in the order of the fields. All zero = none.
 * What happens to a sample follows from (seed, epoch, its place in the source) only: threads, batch and order do not show. */
typedef struct oct_augment {
    int crop;         /* a window of the picture's size out of the picture with so many pixels of border on each side */
    bool reflect;     /* the border mirrors the picture (its outer pixels are not repeated); else it is black */
    bool flip;        /* left and right are exchanged one time in two */
    float brightness, contrast, saturation; /* each by a factor uniform in 1 - x ... 1 + x; 0 to 1 */
    int cutout;       /* a square of this side around any pixel becomes what normalises to about 0 */
    float mixup;      /* l * picture + (1 - l) * another sample's augmented picture, l from Beta(mixup, mixup); 0 to 2 */
} oct_augment;
/* "crop:4,flip,jitter:0.2,cutout:8,mixup:0.2": any of crop (4 pixels), crop:PIXELS[:reflect], flip, jitter:X (all three) or
 * jitter:BRIGHTNESS:CONTRAST:SATURATION, cutout:PIXELS, mixup:ALPHA, each once; or "none". USAGE names the part that is wrong. */
OCT_API OCT_MUST_USE oct_status oct_augment_parse(const char *text, oct_augment *out);

/* A loader yields batches in sample order, decoded and preprocessed ahead on `threads` background threads.
 * inputs: the model's (or plan's) input ports; the first dimension is the batch. Images feed the single input: floats as (v - mean) / std,
 * 8-bit codes with the scale of the port as these floats quantized, other uint8 as the pixels themselves (mean and std are then not used);
 * array sets feed each port by name (a .npy the only one). Memory is a fixed number of batches. */
OCT_API OCT_MUST_USE oct_status oct_loader_create(oct_dataset *set, const oct_port *inputs, int input_count, const oct_preprocess *pre,
                                     int64_t batch, int threads, oct_loader **out);
/* What training asks for beyond that. Zero-initialise; batch is required. */
typedef struct oct_loader_options {
    int64_t batch;
    int threads;                /* 0 = as many as cores */
    uint64_t seed;              /* of the order and of augmentation */
    bool shuffle;               /* each epoch has its own random order, of seed and epoch only */
    const oct_augment *augment; /* NULL = none; copied. Images only: an array set is refused (USAGE) */
} oct_loader_options;
/* The same with options; stands at the start of epoch 0. With shuffle or mixup an archive's files or an array's rows are held in
 * memory, as they are in the source. */
OCT_API OCT_MUST_USE oct_status oct_loader_create_with(oct_dataset *set, const oct_port *inputs, int input_count, const oct_preprocess *pre,
                                          const oct_loader_options *options, oct_loader **out);
/* Goes to the start of an epoch (>= 0), wherever the loader stands; epochs differ in order and augmentation. Not after an error. */
OCT_API OCT_MUST_USE oct_status oct_loader_start_epoch(oct_loader *loader, int64_t epoch);
OCT_API void oct_loader_destroy(oct_loader *loader);
typedef struct oct_batch {
    int64_t count;             /* samples in this batch; 0 = end of data */
    int64_t first;             /* index of the first sample, counted over delivered samples */
    const oct_tensor *inputs;  /* one per port, dims[0] = count */
    const int64_t *labels;     /* count labels, NULL without labels */
    const int64_t *samples;    /* count indices into the set, 0 ... oct_dataset_count - 1 */
    const float *mix;          /* with mixup: the target is mix[i] of labels[i] and 1 - mix[i] of label2[i]; else NULL */
    const int64_t *label2;     /* NULL without labels or mixup; labels[i] where a sample is not mixed */
} oct_batch;
/* The batch is borrowed until the next call. */
OCT_API OCT_MUST_USE oct_status oct_loader_next(oct_loader *loader, oct_batch *out);

/* Arrays in NumPy's .npy format (C order; little-endian; version 1 to 3 headers). The caller frees with oct_tensor_free. */
OCT_API OCT_MUST_USE oct_status oct_npy_load(const char *path, oct_tensor *out);
OCT_API OCT_MUST_USE oct_status oct_npy_save(const char *path, const oct_tensor *tensor);
OCT_API void oct_tensor_free(oct_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
