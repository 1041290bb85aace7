/* For tests in C: what a probe would have reported, given as a tree. */
#ifndef TESTS_REPORTING_H
#define TESTS_REPORTING_H

#include "script/report.h"

#include <stdlib.h>

/* The value is stolen. */
static inline void report_tree(struct report *report, const char *key, json_t *value)
{
	if (!pack_begin(&report->data, key) || !pack_tree(&report->data, value, 16))
		abort();
	pack_commit(&report->data);
	json_decref(value);
}

#endif
