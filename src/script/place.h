/* Where in the scripts something went wrong: "file:line".
 *
 * What a library raises it raises for the script that called it, whose line comes first: the author of a probe knows
 * that one. The library's own stands behind the message.
 */
#ifndef SCRIPT_PLACE_H
#define SCRIPT_PLACE_H

#include <stddef.h>

struct lua_State;

enum { PLACE_TEXT = 200 };

/* The innermost line that was running; "" if there is none. [-0, +0, -] */
void place_innermost(struct lua_State *L, char *text, size_t size);

/* The same of the file to which the outermost function belongs: the script itself, and no library. Where that is far
 * away, in a recursion that went astray, it is the innermost after all. [-0, +0, -] */
void place_own(struct lua_State *L, char *text, size_t size);

/* What was raised, in words: it should be a text, and of a table `code` and `message` are told. It may be inside the
 * value on top of the stack, and lasts as long as that and `text`. [-0, +0, -] */
const char *place_raised(struct lua_State *L, char *text, size_t size);

/* What was raised, with where. Lua's own errors say it already, those from C do not. [-0, +0, -] */
void place_tell(struct lua_State *L, const char *raised, char *text, size_t size);

#endif
