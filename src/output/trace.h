/* Conversations on standard error while they happen: "smtp C: EHLO me", "smtp S: 250 ...", "smtp T: ...". */
#ifndef OUTPUT_TRACE_H
#define OUTPUT_TRACE_H

#include "net/observer.h"
#include "scan/host.h"

#include <stdbool.h>
#include <stdio.h>

/* One event; each line of what was said on a line of its own, with milliseconds, escaped, in one write.
 * `named`: several hosts are scanned, say which. Of a service's further connections it is "smtp C2: ...". */
void trace_event(FILE *file, const struct host *host, const struct outcome *outcome, bool named, unsigned connection,
                 double ms, enum event event, const char *bytes, size_t length);

#endif
