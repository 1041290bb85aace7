/* Conversations on standard error while they happen: "smtp C: EHLO me", "smtp S: 250 ...", "smtp T: ...". */
#ifndef OUTPUT_TRACE_H
#define OUTPUT_TRACE_H

#include "net/observer.h"
#include "scan/host.h"

#include <stdbool.h>
#include <stdio.h>

/* One event; each line of what was said on a line of its own, with milliseconds, escaped, in one write.
 * `name` (may be "") says on which connection, `number` (0: none) which of several it is: "smtp C2: ...";
 * `serves`: we are its server. */
void trace_said(FILE *file, const char *name, unsigned number, bool serves, double ms, enum event event,
                const char *bytes, size_t length);

/* The same of a scan. `named`: several hosts are scanned, say which. */
void trace_event(FILE *file, const struct host *host, const struct outcome *outcome, bool named,
                 unsigned connection, double ms, enum event event, const char *bytes, size_t length);

#endif
