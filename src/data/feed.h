/* One sample of a data set to one row of each model input: the part of the loader that knows files and formats. */
#ifndef OCT_DATA_FEED_H
#define OCT_DATA_FEED_H

#include "data/augment.h"
#include "data/preprocess.h"
#include "data/set.h"

typedef struct oct_feed {
    oct_tensor shape;     /* of one batch: dims[0] is left 0, no data */
    int64_t row_bytes;    /* of one sample in the model's type */
    int64_t source_bytes; /* and in the file's */
    oct_dtype source;
    oct_row_reader *rows; /* NULL for images */
} oct_feed;

typedef struct oct_archive oct_archive;
typedef struct oct_held oct_held;

typedef struct oct_feeder {
    oct_dataset *set;
    oct_feed *feeds; /* one per input port */
    int count;
    oct_pixel_plan plan;
    oct_archive *archive;
    int64_t entry; /* ordinal of the archive's next entry */
    oct_held *held; /* NULL, or all samples' bytes */
    bool augmented;
    oct_augment augment;
    uint64_t seed; /* of augmentation, in this epoch */
    int64_t epoch;
    uint8_t fill[3]; /* by channel of a decoded image: the pixel that normalises to about 0 */
} oct_feeder;

/* What one thread needs to make samples. Zero-initialise. */
typedef struct oct_feed_scratch {
    uint8_t *bytes; /* an encoded image, or one row of each array */
    int64_t capacity, size;
    oct_pixel_scratch pixels;
    oct_image augmented, partner;
} oct_feed_scratch;
void oct_feed_scratch_free(oct_feed_scratch *s);

/* Matches the set with the ports. CONTENT (names the file and array or input), USAGE, IO. Close it also after an error. */
oct_status oct_feeder_open(oct_feeder *f, oct_dataset *set, const oct_port *inputs, int count, const oct_preprocess *pre);
void oct_feeder_close(oct_feeder *f);
/* Augments from now on, until closed; a is copied. USAGE for arrays and for options outside their range. */
oct_status oct_feeder_augment(oct_feeder *f, const oct_augment *a, uint64_t seed);
/* Reads all samples into memory, so that they may be read in any order. Of one sample's fault, reading it tells. */
oct_status oct_feeder_hold(oct_feeder *f);
/* False when samples may be read by any thread at any time; else read them ascending, one thread at a time. */
static inline bool oct_feeder_in_order(const oct_feeder *f) { return f->set->kind != OCT_SET_FILES && !f->held; }
/* The bytes of a sample into s. */
oct_status oct_feeder_read(oct_feeder *f, int64_t sample, oct_feed_scratch *s);
/* What a sample was mixed with. */
typedef struct oct_feed_mix {
    int64_t partner;
    float weight; /* of the sample itself; 1 and itself as its partner when not mixed */
} oct_feed_mix;
/* What was read into s to out[port], row_bytes each. *fatal: an error is not this one sample's fault. Any thread. */
oct_status oct_feeder_fill(oct_feeder *f, int64_t sample, oct_feed_scratch *s, uint8_t *const *out, oct_feed_mix *mix, bool *fatal);
/* File or entry, for messages; borrowed from the set. */
const char *oct_feeder_name(const oct_feeder *f, int64_t sample);

#endif
