/* Several processes under mpirun. Without mpirun no MPI library is loaded. */
#ifndef OCT_CLI_PEERS_H
#define OCT_CLI_PEERS_H

#include "cli.h"

/* The other processes, or NULL: asked once, where a command is about to share its work. Processes of other rank than 0 become
 * quiet: their stdout is closed to /dev/null, --quiet is set. 0 or the exit status. */
int cli_peers_open(cli *c, const oct_peers **out);
/* Ends the sharing, by cli_finish: an exit status other than 0 ends all processes. */
void cli_peers_close(int exit_status);

/* What the module (cli/mpi/mpi.c) exports under this name. */
#define CLI_PEERS_MODULE "liboctavo_mpi.so"
#define CLI_PEERS_ENTRY  "octavo_mpi_peers"
typedef struct cli_peers_module {
    oct_peers peers;
    void (*close)(int exit_status);
} cli_peers_module;
typedef const cli_peers_module *cli_peers_entry(void);

#endif
