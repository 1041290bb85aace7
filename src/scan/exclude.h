/* Addresses and names that must not be touched. */
#ifndef SCAN_EXCLUDE_H
#define SCAN_EXCLUDE_H

#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>

struct exclude;

struct exclude *exclude_new(void); /* NULL: no memory */
void            exclude_free(struct exclude *exclude);

/* Add "192.0.2.0/24,mail.example,list.txt,...", files by their lines. What looks like the name of a file, with
 * a slash in it or such an ending, and is none is wrong, and so is a name in the list itself that is not found: it is
 * looked up, which may take seconds, unless it ends in a dot. False: `error` says which word, or line, is wrong. */
bool exclude_add(struct exclude *exclude, const char *list_or_file, char *error, size_t size);

bool exclude_address(const struct exclude *exclude, const struct address *address);
bool exclude_name(const struct exclude *exclude, const char *name); /* case does not matter */

#endif
