/* --check FILE...: what is wrong with a probe that can be seen before it runs.
 *
 * Syntax and the table (as load.h judges it); names that are not there, of globals, of conn, scan, report and
 * the libraries, with the nearest; arguments and fields that are not declared; patterns that can take very
 * long; speaking before the greeting. A line that says so in a comment, "check: ok", is excused. No network.
 */
#ifndef WORKBENCH_CHECK_H
#define WORKBENCH_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct check_setup {
	const char *const
	      *folders; /* of the scripts, where libraries are; what is no folder is passed over */
	size_t folder_count;
	bool   trusted; /* the files will run without sandbox */
	FILE  *out;
};

/* Check the files: all findings of each, "path:line: what is wrong", or "ok path". True: nothing was found. */
bool check_files(const struct check_setup *setup, const char *const *files, size_t count);

#endif
