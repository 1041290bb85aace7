/* A run of consecutive addresses, never expanded: "192.0.2.0/24", "192.0.2.10-40", "2001:db8::/120". */
#ifndef SCAN_RANGE_H
#define SCAN_RANGE_H

#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

struct range {
	struct address first;
	uint64_t       count; /* at least 1 */
};

enum range_parse { RANGE_NONE, RANGE_GOOD, RANGE_BAD };

/* RANGE_NONE: the text does not have the form of a range. RANGE_BAD: it has, but *fault says what is
 * wrong with it (static text). One address alone is no range here. */
enum range_parse range_parse(struct range *range, const char *text, const char **fault);

/* The address at `index`, from 0 to count - 1; port 0. */
struct address range_address(const struct range *range, uint64_t index);

bool range_contains(const struct range *range, const struct address *address);

#endif
