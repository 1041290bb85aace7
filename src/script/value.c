#include "script/value.h"

#include "script/pack.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <string.h>

static bool refuse(struct pack *pack, const char *fault)
{
	pack->fault = fault;
	return false;
}

static bool pack_value(lua_State *L, int index, int depth, struct pack *pack);

static bool pack_array(lua_State *L, int index, lua_Integer count, int depth, struct pack *pack)
{
	int    element = lua_gettop(L) + 1;
	size_t place;
	bool   good = pack_open(pack, PACK_ARRAY, &place);

	for (lua_Integer i = 1; good && i <= count; i++) {
		lua_rawgeti(L, index, i);
		good = pack_value(L, element, depth - 1, pack);
		lua_pop(L, 1);
	}
	if (good)
		pack_close(pack, place);
	return good;
}

/* A key, and where on the Lua stack its value stands. */
struct key {
	const char *text;
	int         index;
};

/* Put it where it belongs among `count` keys that are in order: most tables have three or four. */
static void insert(struct key *keys, int count, struct key key)
{
	for (; count > 0 && strcmp(key.text, keys[count - 1].text) < 0; count--)
		keys[count] = keys[count - 1];
	keys[count] = key;
}

/* [-0, +n, -] The keys of the table in order, for Lua's own order changes from run to run. They stay on the stack, each
 * with its value, for to make a text anew could raise. Their number, or -1. */
static int sorted_keys(lua_State *L, int index, struct key keys[VALUE_KEYS], struct pack *pack)
{
	int count = 0, top = lua_gettop(L);

	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		top += 2;
		if (!lua_checkstack(L, 4))
			pack->fault = "not enough memory";
		else if (lua_type(L, -2) != LUA_TSTRING)
			pack->fault = "a key of a reported table is not a text";
		else if (count == VALUE_KEYS)
			pack->fault = "a reported table has more than 256 keys";
		else {
			insert(keys, count++, (struct key){ lua_tostring(L, -2), top });
			lua_pushvalue(L, -2);
			continue;
		}
		return -1;
	}
	return count;
}

/* A key ends at its first NUL; of those that are the same then, one counts. [-0, +0, -] */
static bool pack_object(lua_State *L, int index, int depth, struct pack *pack)
{
	struct key keys[VALUE_KEYS] __attribute__((uninitialized)); /* clearing 4 KiB each time would cost */
	int        top = lua_gettop(L), count = sorted_keys(L, index, keys, pack);
	size_t     place;
	bool       good = count >= 0 && pack_open(pack, PACK_OBJECT, &place);

	for (int i = 0; good && i < count; i++)
		if (i == 0 || strcmp(keys[i].text, keys[i - 1].text) != 0)
			good = pack_key(pack, keys[i].text) && pack_value(L, keys[i].index, depth - 1, pack);
	if (good)
		pack_close(pack, place);
	lua_settop(L, top);
	return good;
}

static bool pack_table(lua_State *L, int index, int depth, struct pack *pack)
{
	lua_Unsigned count = lua_rawlen(L, index);

	if (depth == 0 || !lua_checkstack(L, 4))
		return refuse(pack, "a reported table is nested too deep");
	if (count > VALUE_KEYS)
		return refuse(pack, "a reported table has more than 256 elements");
	return count > 0 ? pack_array(L, index, (lua_Integer)count, depth, pack)
	                 : pack_object(L, index, depth, pack);
}

static bool pack_number(lua_State *L, int index, struct pack *pack)
{
	lua_Number number = lua_tonumber(L, index);

	if (lua_isinteger(L, index))
		return pack_integer(pack, lua_tointeger(L, index));
	return isfinite(number) ? pack_real(pack, number) : pack_simple(pack, PACK_NULL);
}

static bool pack_string(lua_State *L, int index, struct pack *pack)
{
	size_t      length;
	const char *text = lua_tolstring(L, index, &length);

	return pack_text(pack, text, length);
}

static bool pack_value(lua_State *L, int index, int depth, struct pack *pack)
{
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		return pack_simple(pack, PACK_NULL);
	case LUA_TBOOLEAN:
		return pack_simple(pack, lua_toboolean(L, index) ? PACK_TRUE : PACK_FALSE);
	case LUA_TNUMBER:
		return pack_number(L, index, pack);
	case LUA_TSTRING:
		return pack_string(L, index, pack);
	case LUA_TTABLE:
		return pack_table(L, index, depth, pack);
	default:
		return refuse(pack, "a reported value is neither text, number, boolean nor table");
	}
}

bool value_pack(lua_State *L, int index, struct pack *pack)
{
	return pack_value(L, lua_absindex(L, index), VALUE_DEPTH, pack);
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
