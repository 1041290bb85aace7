/* Lua values as text for people: strings quoted and escaped, tables with their keys in order, a few levels deep. */
#ifndef WORKBENCH_SHOW_H
#define WORKBENCH_SHOW_H

#include "base/buffer.h"

#include <stddef.h>

struct lua_State;

/* Append the value at `index`, in at most about `width` columns where it can be broken. May call the value's
 * __tostring. [-0, +0, e] */
void show_value(struct lua_State *L, int index, size_t width, struct buffer *out);

/* Bytes as 00000000  48 65 6c 6c 6f ...  |Hello|, sixteen a line. */
void show_hex(struct buffer *out, const char *bytes, size_t length);

#endif
