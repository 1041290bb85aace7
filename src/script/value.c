#include "script/value.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_BYTES = 8 };

struct building {
	const char *fault;  /* why there is no tree */
	size_t     *budget; /* bytes left */
};

/* Take this from the budget: the bytes of texts and keys, and for each value NODE_BYTES. */
static bool afford(struct building *building, size_t bytes)
{
	if (bytes > *building->budget) {
		building->fault = "a probe reports at most 256 KiB";
		return false;
	}
	*building->budget -= bytes;
	return true;
}

/* Builds a tree or returns NULL and says the fault: nothing raises while a tree is half made. */
static json_t *build(lua_State *L, int index, int depth, struct building *building);

static json_t *build_array(lua_State *L, int index, lua_Integer count, int depth, struct building *building)
{
	json_t *array = json_array();

	for (lua_Integer i = 1; i <= count; i++) {
		json_t *element;

		lua_rawgeti(L, index, i);
		element = build(L, lua_gettop(L), depth - 1, building);
		lua_pop(L, 1);
		if (!element) {
			json_decref(array);
			return NULL;
		}
		json_array_append_new(array, element);
	}
	return array;
}

/* A key, and where on the Lua stack it stands. */
struct key {
	const char *text;
	int         index;
};

static int by_text(const void *one, const void *other)
{
	return strcmp(((const struct key *)one)->text, ((const struct key *)other)->text);
}

/* [-0, +n, -] The keys of the table in order, for Lua's own order changes from run to run. They stay on the stack, for
 * to make a text anew could raise. Their number, or -1. */
static int sorted_keys(lua_State *L, int index, struct key keys[VALUE_KEYS], struct building *building)
{
	int count = 0;

	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		lua_pop(L, 1);
		if (!lua_checkstack(L, 4))
			return -1;
		if (lua_type(L, -1) != LUA_TSTRING)
			building->fault = "a key of a reported table is not a text";
		else if (count == VALUE_KEYS)
			building->fault = "a reported table has more than 256 keys";
		else {
			keys[count++] = (struct key){ lua_tostring(L, -1), lua_gettop(L) };
			lua_pushvalue(L, -1);
			continue;
		}
		return -1;
	}
	if (count > 1)
		qsort(keys, (size_t)count, sizeof *keys, by_text);
	return count;
}

/* [-0, +0, -] */
static json_t *build_object(lua_State *L, int index, int depth, struct building *building)
{
	struct key keys[VALUE_KEYS] __attribute__((uninitialized)); /* clearing 4 KiB each time would cost */
	int        top = lua_gettop(L), count = sorted_keys(L, index, keys, building);
	json_t    *object = count >= 0 ? json_object() : NULL;

	for (int i = 0; object && i < count; i++) {
		json_t *value;

		lua_pushvalue(L, keys[i].index);
		lua_rawget(L, index);
		value = afford(building, strlen(keys[i].text)) ? build(L, lua_gettop(L), depth - 1, building)
		                                               : NULL;
		lua_pop(L, 1);
		if (value && json_object_set_new_nocheck(object, keys[i].text, value) == 0)
			continue;
		json_decref(object);
		object = NULL;
	}
	lua_settop(L, top);
	return object;
}

static json_t *build_table(lua_State *L, int index, int depth, struct building *building)
{
	lua_Unsigned count = lua_rawlen(L, index);

	if (depth == 0 || !lua_checkstack(L, 4)) {
		building->fault = "a reported table is nested too deep";
		return NULL;
	}
	if (count > VALUE_KEYS) {
		building->fault = "a reported table has more than 256 elements";
		return NULL;
	}
	return count > 0 ? build_array(L, index, (lua_Integer)count, depth, building)
	                 : build_object(L, index, depth, building);
}

static json_t *build_number(lua_State *L, int index)
{
	lua_Number number = lua_tonumber(L, index);

	if (lua_isinteger(L, index))
		return json_integer(lua_tointeger(L, index));
	return isfinite(number) ? json_real(number) : json_null();
}

static json_t *build(lua_State *L, int index, int depth, struct building *building)
{
	const char *text;
	size_t      length;

	if (!afford(building, NODE_BYTES))
		return NULL;
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		return json_null();
	case LUA_TBOOLEAN:
		return json_boolean(lua_toboolean(L, index));
	case LUA_TNUMBER:
		return build_number(L, index);
	case LUA_TSTRING:
		text = lua_tolstring(L, index, &length);
		return afford(building, length) ? json_stringn_nocheck(text, length) : NULL;
	case LUA_TTABLE:
		return build_table(L, index, depth, building);
	default:
		building->fault = "a reported value is neither text, number, boolean nor table";
		return NULL;
	}
}

json_t *value_to_json(lua_State *L, int index, size_t *budget)
{
	struct building building = { "not enough memory", budget };
	json_t         *value = build(L, lua_absindex(L, index), VALUE_DEPTH, &building);

	if (!value)
		luaL_error(L, "%s", building.fault);
	return value;
}

static size_t cost_of_children(const json_t *value)
{
	const char *key;
	json_t     *child;
	size_t      index, cost = 0;

	if (json_is_array(value))
		json_array_foreach (value, index, child)
			cost += value_cost(child);
	else
		json_object_foreach ((json_t *)value, key, child)
			cost += strlen(key) + value_cost(child);
	return cost;
}

size_t value_cost(const json_t *value)
{
	return value ? NODE_BYTES + json_string_length(value) + cost_of_children(value) : 0;
}

static void push_array(lua_State *L, const json_t *array)
{
	lua_createtable(L, (int)json_array_size(array), 0);
	for (size_t i = 0; i < json_array_size(array); i++) {
		value_push(L, json_array_get(array, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_object(lua_State *L, const json_t *object)
{
	const char *key;
	json_t     *value;

	lua_createtable(L, 0, (int)json_object_size(object));
	json_object_foreach ((json_t *)object, key, value) {
		value_push(L, value);
		lua_setfield(L, -2, key);
	}
}

void value_push(lua_State *L, const json_t *value)
{
	luaL_checkstack(L, 4, NULL);
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		push_object(L, value);
		break;
	case JSON_ARRAY:
		push_array(L, value);
		break;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		lua_pushinteger(L, (lua_Integer)json_integer_value(value));
		break;
	case JSON_REAL:
		lua_pushnumber(L, json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(L, json_is_true(value));
		break;
	case JSON_NULL:
		lua_pushnil(L);
		break;
	}
}
