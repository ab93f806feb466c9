/* Finds out whether this process is one of several and loads what they talk through. */
#include "peers.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_peers_module *module;

/* What the launchers of the MPI libraries set. */
static int launched_size(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return atoi(getenv(names[i]));
    return 1;
}

/* Beside the program, as it is built; else where the loader finds it, as it is installed. */
static void *load_module(void)
{
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof CLI_PEERS_MODULE - 1);
    if (length > 0) {
        path[length] = '\0';
        char *slash = strrchr(path, '/');
        strcpy(slash ? slash + 1 : path, CLI_PEERS_MODULE);
        if (access(path, F_OK) == 0)
            return dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    }
    return dlopen(CLI_PEERS_MODULE, RTLD_NOW | RTLD_GLOBAL);
}

int cli_peers_open(cli *c, const oct_peers **out)
{
    *out = NULL;
    if (launched_size() <= 1)
        return 0;
    void *library = load_module();
    cli_peers_entry *entry = library ? (cli_peers_entry *)dlsym(library, CLI_PEERS_ENTRY) : NULL;
    if (!entry)
        return cli_error(c, OCT_ERR_UNSUPPORTED, "started as one of several processes, but this build has no MPI: %s", dlerror());
    if (!(module = entry()))
        return cli_error(c, OCT_ERR_UNSUPPORTED, "MPI does not start");
    if (module->peers.size < 2)
        return 0;
    *out = &module->peers;
    if (module->peers.rank > 0) {
        const int nowhere = open("/dev/null", O_WRONLY);
        c->o.quiet = true;
        if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0)
            return cli_error(c, OCT_ERR_IO, "cannot open /dev/null");
        close(nowhere);
    }
    return 0;
}

void cli_peers_close(int exit_status)
{
    if (module)
        module->close(exit_status);
    module = NULL;
}
