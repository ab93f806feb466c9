/* The thread team: one caller plus N-1 workers; units are claimed dynamically.  DESIGN 5.6.
 *
 * begin/end bracket a run: between them workers spin for a bounded time (tens of microseconds) for the next loop, then
 * sleep on a futex; outside they sleep. A busy neighbour on one core therefore never stalls the others for long. */
#ifndef OCT_BASE_TEAM_H
#define OCT_BASE_TEAM_H

#include <stdint.h>
#include "base/status.h"

typedef struct oct_team oct_team;

/* threads 0 = all cores this process may use, by its affinity and its CPU quota; the calling thread counts as one. */
oct_status oct_team_create(int threads, oct_team **out);
void oct_team_destroy(oct_team *team);
int oct_team_size(const oct_team *team);
void oct_team_begin(oct_team *team);
void oct_team_end(oct_team *team);

/* Call fn(arg, unit, worker) for every unit in [0, units), each once, worker in [0, size); returns when all are done, with
 * all their writes visible. One thread or one unit runs inline. Legal outside begin/end too. Not reentrant. */
typedef void oct_team_fn(void *arg, int64_t unit, int worker);
void oct_team_for(oct_team *team, int64_t units, oct_team_fn *fn, void *arg);

#endif
