/* What the shell's :help knows: a line or two for each command, and for each name of the API. */
#ifndef WORKBENCH_HELP_H
#define WORKBENCH_HELP_H

#include <stddef.h>

struct entry {
	const char *name; /* "connect", "readline", ":open" */
	const char *form; /* as it is written: "scan.connect(host, port [, options])" */
	const char *about;
};

/* The n-th entry, NULL behind the last: commands first, then `conn`, `scan` and the rest. */
const struct entry *help_entry(size_t n);

/* By name, or by its last part: "scan.connect", "conn:readline", "readline". NULL: there is none. */
const struct entry *help_find(const char *name);

/* All at a glance: lines that fit into a terminal of 80 columns and 24 rows. */
const char *help_overview(void);

#endif
