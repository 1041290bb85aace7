/* What a script finds around it: the names it may use, a table of globals of its own, `require` of lib/.
 *
 * Scripts get base, string, table, math, utf8, scan and require, without what reaches the machine or gets around the
 * bounds. Trusted ones get all of Lua. What a script adds or changes no other sees.
 */
#ifndef SCRIPT_SANDBOX_H
#define SCRIPT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct lua_State;

/* Open the libraries of a new state, and lock what its scripts share. For vm_protected. [-0, +0, e] */
int sandbox_prepare(struct lua_State *L);
int sandbox_prepare_trusted(struct lua_State *L);

/* Compile `source` as text, named `path` in messages, and push the chunk, with an environment of its own; on error
 * push the message and return false. [-0, +1, m] */
bool sandbox_compile(struct lua_State *L, const char *path, const char *source, size_t length);

#endif
