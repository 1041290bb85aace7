/* Greetings: whether a server's first line is what a probe expects, and whose it is if not. */
#ifndef SCRIPT_GREETING_H
#define SCRIPT_GREETING_H

#include "script/catalogue.h"

#include <stddef.h>

/* The most telling pattern of a script is its first: an SMTP server says "SMTP" in its greeting, but need
 * not. So of two probes whose patterns both fit, the one with the earlier pattern is right. */
enum { GREETING_NONE = 1000 };

/* The place, from 0, of the first of the script's patterns that the line fits; GREETING_NONE if it fits none; 0 if
 * there are none. */
size_t greeting_rank(const struct script *script, const char *line, size_t length);

/* The name of the service whose script has the earliest pattern that fits, if that is earlier than
 * `rank`; NULL if there is none, or two have it equally early. */
const char *greeting_owner(const struct catalogue *catalogue, const char *line, size_t length, size_t rank);

/* What bytes that no probe knows look like: "vnc", "mysql", "tls", ..., or NULL. */
const char *greeting_likeness(const char *bytes, size_t length);

#endif
