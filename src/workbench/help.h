/* The reference of the API, in a table: for the shell's :help, for --types, and held against the guide by a test. */
#ifndef WORKBENCH_HELP_H
#define WORKBENCH_HELP_H

#include <stddef.h>

struct entry {
	const char *name;  /* "connect", "readline", ":open" */
	const char *form;  /* as it is written: "scan.connect(host, port [, options])" */
	const char *about; /* in the guide the same, but for links */
	const char *of;    /* what it is a member of: "conn", "service"; NULL: of nothing */
	const char *type; /* for editors: of a field its type, of a function lines that begin with @, or "" */
};

/* The n-th entry, NULL behind the last: commands first, then `conn`, `scan` and the rest. */
const struct entry *help_entry(size_t n);

/* By its form without what it is given, or by its last part: "scan.connect", "conn:readline", "readline". NULL:
 * there is none. */
const struct entry *help_find(const char *name);

/* All at a glance: lines that fit into a terminal of 80 columns and 24 rows. */
const char *help_overview(void);

#endif
