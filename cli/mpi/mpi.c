/* The processes of an mpirun, as a module of its own, so that the program itself does not depend on an MPI library. */
#include <mpi.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../peers.h"

/* Elements of one message. */
enum { CHUNK = 1 << 20 };

static oct_status status_of(int mpi) { return mpi == MPI_SUCCESS ? OCT_OK : OCT_ERR_IO; }

/* All parts come to rank 0, are added there in the order of the ranks, and go back: the same bits for all, whatever algorithm the library prefers. */
static oct_status sum(void *values, int64_t count, MPI_Datatype type, size_t element)
{
    int rank, size, s = MPI_SUCCESS;
    char *parts = NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (rank == 0 && !(parts = malloc((size_t)size * CHUNK * element)))
        return OCT_ERR_MEMORY;
    for (int64_t at = 0; s == MPI_SUCCESS && at < count; at += CHUNK) {
        const int n = (int)(count - at < CHUNK ? count - at : CHUNK);
        char *mine = (char *)values + (size_t)at * element;
        s = MPI_Gather(mine, n, type, parts, n, type, 0, MPI_COMM_WORLD);
        for (int r = 1; rank == 0 && s == MPI_SUCCESS && r < size; r++)
            for (int i = 0; i < n; i++) {
                if (type == MPI_FLOAT)
                    ((float *)mine)[i] += ((float *)parts)[(size_t)r * (size_t)n + (size_t)i];
                else
                    ((double *)mine)[i] += ((double *)parts)[(size_t)r * (size_t)n + (size_t)i];
            }
        if (s == MPI_SUCCESS)
            s = MPI_Bcast(mine, n, type, 0, MPI_COMM_WORLD);
    }
    free(parts);
    return status_of(s);
}

static oct_status sum_float(void *user, float *values, int64_t count)
{
    (void)user;
    return sum(values, count, MPI_FLOAT, sizeof(float));
}

static oct_status sum_double(void *user, double *values, int64_t count)
{
    (void)user;
    return sum(values, count, MPI_DOUBLE, sizeof(double));
}

static oct_status send(void *user, void *bytes, int64_t count)
{
    int s = MPI_SUCCESS;
    (void)user;
    for (int64_t at = 0; s == MPI_SUCCESS && at < count; at += INT_MAX)
        s = MPI_Bcast((char *)bytes + at, (int)(count - at < INT_MAX ? count - at : INT_MAX), MPI_BYTE, 0, MPI_COMM_WORLD);
    return status_of(s);
}

/* A process that fails takes the others with it: they would wait for it for ever. */
static void end(int exit_status)
{
    if (exit_status)
        MPI_Abort(MPI_COMM_WORLD, exit_status);
    MPI_Finalize();
}

__attribute__((visibility("default"))) const cli_peers_module *octavo_mpi_peers(void);
const cli_peers_module *octavo_mpi_peers(void)
{
    static cli_peers_module module = {.peers = {.sum = sum_float, .sum_double = sum_double, .send = send}, .close = end};
    int given;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS)
        return NULL;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &module.peers.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &module.peers.size);
    return &module;
}
