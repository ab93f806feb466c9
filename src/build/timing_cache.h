/* The timing cache: measured seconds by step signature, in memory and as a text file.  DESIGN 5.4.
 *
 * The file is text, one fact a line, '\n' at the end of each; equal contents give equal bytes:
 *   octavo-timing 1                 format and its version
 *   version 0.1.0                   of the Octavo that measured
 *   level avx512vnni                CPU level
 *   cpu <model name>                as the CPU names itself
 *   kernels 0123456789abcdef        oct_kernel_list_hash
 *   <picoseconds> <signature>       any number of entries, signatures ascending by byte; 1 .. 3600e12, decimal, no sign
 *   end                             nothing may follow
 * Times are whole picoseconds, so that what was measured and what a file gives back is the same number. A file of another version,
 * level, CPU model or kernel list is refused, never half used. Where two sources know a step, the smaller time counts: noise only
 * adds, and the result does not depend on the order of merging. */
#ifndef OCT_BUILD_TIMING_CACHE_H
#define OCT_BUILD_TIMING_CACHE_H

#include "base/mem.h"
#include "cpu/cpu.h"

typedef struct oct_timing_entry {
    char *signature;
    int64_t picoseconds;
} oct_timing_entry;

typedef struct oct_timing_cache {
    oct_isa isa;
    oct_arena *arena;          /* of the signatures */
    oct_timing_entry *entries; /* ascending by signature */
    int64_t count, capacity;
} oct_timing_cache;

oct_status oct_timing_cache_create(oct_isa isa, oct_timing_cache **out);
void oct_timing_cache_destroy(oct_timing_cache *c);
/* Seconds of a step; false when it is not known. */
bool oct_timing_cache_find(const oct_timing_cache *c, const char *signature, double *seconds);
/* Keeps the smaller of the two when the signature is known. INTERNAL for seconds that are NaN, negative or above an hour; times
 * below a picosecond count as one. */
oct_status oct_timing_cache_put(oct_timing_cache *c, const char *signature, double seconds);
/* All entries of from into c. */
oct_status oct_timing_cache_merge(oct_timing_cache *c, const oct_timing_cache *from);
/* Merge a file into c. IO when it cannot be read, CONTENT (naming file and line) when it is damaged or of another version, level,
 * CPU model or kernel list; c is unchanged then. */
oct_status oct_timing_cache_read(oct_timing_cache *c, const char *path);
/* Replace the file atomically. */
oct_status oct_timing_cache_write(const oct_timing_cache *c, const char *path);

#endif
