/* Raising and passing on errors inside the library.  DESIGN 11. */
#ifndef OCT_BASE_STATUS_H
#define OCT_BASE_STATUS_H

#include <octavo/status.h>

/* Record the detail (printf form, a full sentence naming the culprit) and return status. Set once, where detected. */
oct_status oct_fail(oct_status status, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
/* Add the node or file to the current error record if it has none yet; return status unchanged. For callers that know more. */
oct_status oct_fail_node(oct_status status, const char *node);
oct_status oct_fail_file(oct_status status, const char *file);

#define OCT_TRY(expr)                                  \
    do {                                               \
        oct_status oct_try_s_ = (expr);                \
        if (__builtin_expect(oct_try_s_ != OCT_OK, 0)) \
            return oct_try_s_;                         \
    } while (0)

/* The same inside a function that owns things: needs `oct_status s = OCT_OK;` and a `done:` label. */
#define OCT_TRY_DONE(expr)                      \
    do {                                        \
        s = (expr);                             \
        if (__builtin_expect(s != OCT_OK, 0))   \
            goto done;                          \
    } while (0)

#define OCT_FAIL_DONE(...)        \
    do {                          \
        s = oct_fail(__VA_ARGS__); \
        goto done;                \
    } while (0)

#endif
