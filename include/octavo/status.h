/* Status codes and the error record of every Octavo call.
 *
 * Every fallible function returns oct_status; outputs are untouched on failure.  The detail is a thread-local record,
 * set once, where the fault is detected.  The library never prints, exits or aborts. */
#ifndef OCTAVO_STATUS_H
#define OCTAVO_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_API __attribute__((visibility("default")))
#define OCT_MUST_USE __attribute__((warn_unused_result))

/* The values 1 to 5 and 70 are also the exit statuses of the command line. */
typedef enum oct_status {
    OCT_OK = 0,
    OCT_ERR_DEMAND = 1,       /* a demand was not met: a check failed, "obey" without range or kernel */
    OCT_ERR_USAGE = 2,        /* bad argument: unknown option or name, min > max, NaN in an option */
    OCT_ERR_CONTENT = 3,      /* bad content of a file or tensor: corrupt, wrong hash, wrong shape, scale <= 0 */
    OCT_ERR_UNSUPPORTED = 4,  /* operator, attribute, type or instruction set that this build does not do */
    OCT_ERR_IO = 5,           /* missing, unreadable, unwritable, full */
    OCT_ERR_MEMORY = 6,       /* allocation failed (exit status 70) */
    OCT_ERR_INTERNAL = 70     /* a broken invariant: a bug in Octavo */
} oct_status;

typedef struct oct_error {
    oct_status status;
    const char *message;  /* full sentence, "" when no error has happened in this thread */
    const char *node;     /* ONNX node or tensor concerned, "" when none */
    const char *file;     /* file concerned, "" when none */
} oct_error;

/* The last error of the calling thread; valid until this thread's next failing call.  Never NULL. */
OCT_API const oct_error *oct_last_error(void);

/* Short constant name of a status ("ok", "content", ...). */
OCT_API const char *oct_status_name(oct_status status);

/* Version of the library, "MAJOR.MINOR.PATCH". */
OCT_API const char *oct_version(void);

#ifdef __cplusplus
}
#endif
#endif
