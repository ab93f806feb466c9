/* The error record of each thread, and the constant names around it.  DESIGN 9, 11.
 *
 * Fixed buffers in thread-local storage: recording an error never allocates and therefore never fails. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 1024
#define NODE_SIZE    256
#define FILE_SIZE    1024

typedef struct error_record {
    char message[MESSAGE_SIZE];
    char node[NODE_SIZE];
    char file[FILE_SIZE];
    oct_error view;
} error_record;

static _Thread_local error_record record;

/* The arguments may point into the record itself (an error that quotes an earlier one), hence the copies. */
static void keep(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    if (n >= size)
        n = size - 1;
    memmove(to, from, n);
    to[n] = '\0';
}

oct_status oct_fail(oct_status status, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    keep(record.message, MESSAGE_SIZE, message);
    record.node[0] = record.file[0] = '\0';
    record.view.status = status;
    return status;
}

oct_status oct_fail_node(oct_status status, const char *node)
{
    if (node && !record.node[0])
        keep(record.node, NODE_SIZE, node);
    return status;
}

oct_status oct_fail_file(oct_status status, const char *file)
{
    if (file && !record.file[0])
        keep(record.file, FILE_SIZE, file);
    return status;
}

const oct_error *oct_last_error(void)
{
    record.view.message = record.message;
    record.view.node = record.node;
    record.view.file = record.file;
    return &record.view;
}

const char *oct_status_name(oct_status status)
{
    switch (status) {
    case OCT_OK: return "ok";
    case OCT_ERR_DEMAND: return "demand";
    case OCT_ERR_USAGE: return "usage";
    case OCT_ERR_CONTENT: return "content";
    case OCT_ERR_UNSUPPORTED: return "unsupported";
    case OCT_ERR_IO: return "io";
    case OCT_ERR_MEMORY: return "memory";
    case OCT_ERR_INTERNAL: return "internal";
    }
    return "unknown";
}

const char *oct_version(void) { return OCT_VERSION; }
