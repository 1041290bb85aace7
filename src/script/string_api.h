/* The string functions of scripts that differ from Lua's own: find, match, gmatch and gsub go through
 * pattern.h, and what one resume does with them is bounded (vm.h: VM_STEPS), past which they raise
 * "pattern too complex"; rep makes no more than a megabyte. Everything else about them is Lua's.
 */
#ifndef SCRIPT_STRING_API_H
#define SCRIPT_STRING_API_H

#include "script/pattern.h"

struct lua_State;

/* Put the functions into the table on top of the stack, in place of Lua's. [-0, +0, m] */
void string_api_register(struct lua_State *L);

/* Push the captures of a match in `subject`, and give their number. [-0, +n, e] */
int string_api_push_captures(struct lua_State *L, const char *subject, const struct pattern_match *match);

#endif
