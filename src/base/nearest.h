/* "did you mean ...?": the known name that lies nearest to a mistyped one. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

/* The name among `names` with the least edit distance (insert, delete, change, swap of
 * neighbours), or NULL if none is near enough to be meant. The result is one of `names`. */
const char *nearest_name(const char *wanted, const char *const *names, size_t count);

#endif
