/* Greetings: whether a server's first line is what a probe expects, and whose it is if not. */
#ifndef SCRIPT_GREETING_H
#define SCRIPT_GREETING_H

#include "script/catalogue.h"

#include <stdbool.h>
#include <stddef.h>

struct lua_State;

/* Does the text at `index` fit one of the script's greeting patterns? True if it declares none.
 * Raises if a pattern is malformed. [-0, +0, e] */
bool greeting_fits(struct lua_State *L, const struct script *script, int index);

/* The name of the service whose script declares a greeting that fits, or NULL. A script's first pattern is
 * the most telling one: it is tried before any other script's second. [-0, +0, e] */
const char *greeting_owner(struct lua_State *L, int index);

/* What bytes that no probe knows look like: "vnc", "mysql", "tls", ..., or NULL. */
const char *greeting_likeness(const char *bytes, size_t length);

#endif
