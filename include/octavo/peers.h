/* Several processes that work on one job. */
#ifndef OCTAVO_PEERS_H
#define OCTAVO_PEERS_H

#include <stdint.h>
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rank of size, and what they do together; the library knows no more of it (the command line's is MPI). The functions answer OCT_OK or the status that the call
 * shall return; every process makes the same calls in the same order. NULL instead of a pointer to this means one process. */
typedef struct oct_peers {
    void *user;
    int rank, size;
    /* Sums over all processes, in place, the same bits for each. */
    oct_status (*sum)(void *user, float *values, int64_t count);
    oct_status (*sum_double)(void *user, double *values, int64_t count);
    /* The bytes of rank 0 to all others, in place. */
    oct_status (*send)(void *user, void *bytes, int64_t count);
} oct_peers;

#ifdef __cplusplus
}
#endif
#endif
