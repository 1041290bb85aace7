/* What probes there are, for --list and --describe: made from the scripts' own tables. */
#ifndef OUTPUT_LISTING_H
#define OUTPUT_LISTING_H

#include "base/buffer.h"
#include "script/catalogue.h"

#include <stdbool.h>

/* A line a service: name, port, what for; then the groups. */
void listing_all(struct buffer *out, const struct catalogue *catalogue);

/* All of one probe, by the name of its script or of one of its services. False: there is none; then
 * `out` has the nearest name, or is empty. */
bool listing_one(struct buffer *out, const struct catalogue *catalogue, const char *name);

#endif
