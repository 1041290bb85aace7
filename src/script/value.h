/* Lua values to facts for the record, and back. */
#ifndef SCRIPT_VALUE_H
#define SCRIPT_VALUE_H

#include <jansson.h>

struct lua_State;

enum { VALUE_DEPTH = 8, VALUE_KEYS = 256 };

/* The value at `index` as a new tree. A table with elements 1 to n is an array, any other an object
 * whose keys must be strings. Raises for a function, a key of another type, more than VALUE_KEYS
 * keys a table, tables nested deeper than VALUE_DEPTH, or more bytes than *budget, which is counted down:
 * see report.h. [-0, +0, e] */
json_t *value_to_json(struct lua_State *L, int index, size_t *budget);

/* What value_to_json took from the budget for this tree; 0 for NULL. */
size_t value_cost(const json_t *value);

/* Push a tree (NULL as nil). [-0, +1, m] */
void value_push(struct lua_State *L, const json_t *value);

#endif
