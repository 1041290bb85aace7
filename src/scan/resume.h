/* What the output of a former run already holds, so that a scan can go on where it was broken off. */
#ifndef SCAN_RESUME_H
#define SCAN_RESUME_H

#include "scan/selection.h"

#include <stdbool.h>
#include <stddef.h>

struct resume;

/* Read the JSON lines of `path`; a last line without its end, which an interrupted run may leave, does
 * not count, and neither do records whose state is "failed". NULL: `error` says why. */
struct resume *resume_load(const char *path, const struct selection *selection, char *error, size_t size);
void           resume_free(struct resume *resume); /* NULL is fine */

/* Is the result of this service of `host` there already? */
bool resume_holds(const struct resume *resume, const char *host, const struct choice *choice);

#endif
