/* Lua values to what a record is made of, and back. */
#ifndef SCRIPT_VALUE_H
#define SCRIPT_VALUE_H

#include <jansson.h>
#include <stdbool.h>

struct lua_State;

enum { VALUE_DEPTH = 8, VALUE_KEYS = 256 };

struct pack;

/* Pack the value at `index`. A table with elements 1 to n is an array, any other an object whose keys must be
 * strings, in their order. False, and why in pack->fault: a function, a key of another type, more than VALUE_KEYS keys a
 * table, tables nested deeper than VALUE_DEPTH, or what pack.h says. Never raises, for the pack is half made then.
 * [-0, +0, -] */
bool value_pack(struct lua_State *L, int index, struct pack *pack);

/* Push a tree (NULL as nil). [-0, +1, m] */
void value_push(struct lua_State *L, const json_t *value);

#endif
