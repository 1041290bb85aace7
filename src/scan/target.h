/* What to scan: words from the command line to one host after the other. */
#ifndef SCAN_TARGET_H
#define SCAN_TARGET_H

#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TARGET_NAME = 256 };

struct target {
	char           name[TARGET_NAME]; /* as the user named the host, without brackets and port */
	bool           literal;           /* the name is the address */
	struct address address;           /* if literal; port 0 */
	uint16_t       port;              /* 0: the services' own ports */
};

/* Read one word: a name, an IPv4 or IPv6 address, each with ":port" or not, IPv6 in brackets then.
 * `family` (AF_UNSPEC, AF_INET, AF_INET6) restricts addresses. False: `error` names the word, escaped,
 * and the way out. */
bool target_parse(struct target *target, const char *word, int family, char *error, size_t size);

#endif
