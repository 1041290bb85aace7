#include "script/table_api.h"

#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <string.h>

/* A guard has Lua's own function as its upvalue 1, and calls it as if Lua had. */
static int call_guarded(lua_State *L)
{
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* A metatable's functions could say that there are any number of elements. */
static void check_plain(lua_State *L, int index)
{
	luaL_checktype(L, index, LUA_TTABLE);
	if (lua_getmetatable(L, index))
		luaL_argerror(L, index, "the table has a metatable");
}

static lua_Unsigned distance(lua_Integer from, lua_Integer to)
{
	return to > from ? (lua_Unsigned)to - (lua_Unsigned)from : 0;
}

/* What Lua takes for the length of a table with holes may be as large as its keys. */
static lua_Integer check_length(lua_State *L)
{
	check_plain(L, 1);
	return (lua_Integer)lua_rawlen(L, 1);
}

/* insert(table, [place,] value) and remove(table [, place]) move all that is behind the place. */
static int shift(lua_State *L)
{
	lua_Integer length = check_length(L);
	int         given;
	lua_Integer place = lua_tointegerx(L, 2, &given);

	if (given && distance(place, length) > TABLE_ELEMENTS)
		return luaL_error(L, "too many elements to move");
	return call_guarded(L);
}

/* move(from, first, last, to [, other]) */
static int move(lua_State *L)
{
	lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);

	check_plain(L, 1);
	if (!lua_isnoneornil(L, 5))
		check_plain(L, 5);
	if (distance(first, last) > TABLE_ELEMENTS)
		return luaL_argerror(L, 3, "too many elements to move");
	return call_guarded(L);
}

/* concat(table [, separator [, first [, last]]]) and unpack(table [, first [, last]]) */
static int gather(lua_State *L)
{
	check_plain(L, 1);
	return call_guarded(L);
}

/* --- sort ------------------------------------------------------------------------------------ */

/* What is sorted quickly enough without a look at the clock. */
enum { FEW = 1000, SHORT = 256 };

/* The order of two values, by the function that is upvalue 1 if there is one. */
static int less(lua_State *L)
{
	vm_check(L);
	if (lua_isnil(L, lua_upvalueindex(1))) {
		lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
		return 1;
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 2, 1);
	return 1;
}

/* Is the table at 1 short, and made of numbers and short texts? */
static bool sorted_soon(lua_State *L, lua_Integer length)
{
	for (lua_Integer i = 1; length <= FEW && i <= length; i++) {
		int  type = lua_rawgeti(L, 1, i);
		bool small = type == LUA_TNUMBER || (type == LUA_TSTRING && lua_rawlen(L, -1) <= SHORT);

		lua_pop(L, 1);
		if (!small)
			return false;
	}
	return length <= FEW;
}

/* sort(table [, less]): comparisons that are no functions of Lua are never interrupted, so they look at the
 * clock themselves. */
static int sort(lua_State *L)
{
	lua_Integer length = check_length(L);
	bool        is_lua = lua_isfunction(L, 2) && !lua_iscfunction(L, 2);

	if (length > TABLE_ELEMENTS)
		return luaL_argerror(L, 1, "array too big");
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	if (is_lua || (lua_isnil(L, 2) && sorted_soon(L, length)))
		return call_guarded(L);
	lua_pushcclosure(L, less, 1);
	return call_guarded(L);
}

/* [-0, +0, m] Put the guard before the function of that name in the table on top. */
static void guard(lua_State *L, const char *name, lua_CFunction function)
{
	lua_getfield(L, -1, name);
	lua_pushcclosure(L, function, 1);
	lua_setfield(L, -2, name);
}

void table_api_register(lua_State *L)
{
	static const luaL_Reg guards[] = { { "insert", shift },  { "remove", shift },  { "move", move },
		                           { "concat", gather }, { "unpack", gather }, { "sort", sort } };

	for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
		guard(L, guards[i].name, guards[i].func);
}

/* --- setmetatable ---------------------------------------------------------------------------- */

/* A table's metatable is a copy of the one that the script gave, made when it is given: so what was refused
 * then cannot be slipped in afterwards. getmetatable gives the script's own, through __metatable. */

static const char copy_key = 0; /* copy[&copy_key] = may setmetatable change it? */

static const char *const events[] = {
	"__add",      "__band",  "__bnot", "__bor", "__bxor", "__call",      "__concat",   "__div", "__eq",
	"__idiv",     "__index", "__le",   "__len", "__lt",   "__metatable", "__mod",      "__mul", "__name",
	"__newindex", "__pairs", "__pow",  "__shl", "__shr",  "__sub",       "__tostring", "__unm",
};

/* [-0, +1, m] A copy of the metatable at 2. */
static void push_copy(lua_State *L)
{
	bool open;

	lua_pushliteral(L, "__metatable");
	open = lua_rawget(L, 2) == LUA_TNIL;
	lua_pop(L, 1);
	lua_createtable(L, 0, 4);
	lua_pushboolean(L, open);
	lua_rawsetp(L, -2, &copy_key);
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "__metatable");
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		lua_pushstring(L, events[i]);
		if (lua_rawget(L, 2) == LUA_TNIL)
			lua_pop(L, 1);
		else
			lua_setfield(L, -2, events[i]);
	}
}

/* These run at times that nobody can bound: when memory is collected, or when a probe was ended. */
static void check_events(lua_State *L)
{
	static const char *const refused[] = { "__gc", "__mode", "__close" };

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		lua_pushstring(L, refused[i]);
		if (lua_rawget(L, 2) != LUA_TNIL)
			luaL_error(L, "%s is not allowed in a probe", refused[i]);
		lua_pop(L, 1);
	}
}

/* Is there a metatable that is not to be changed: one with a __metatable of its own, or not a script's? */
static bool is_protected(lua_State *L)
{
	bool changeable;

	if (!lua_getmetatable(L, 1))
		return false;
	lua_rawgetp(L, -1, &copy_key);
	changeable = lua_toboolean(L, -1);
	lua_pop(L, 2);
	return !changeable;
}

static int set_metatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, lua_istable(L, 2) || lua_isnil(L, 2), 2, "nil or table");
	if (lua_istable(L, 2))
		check_events(L);
	if (is_protected(L))
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	if (lua_istable(L, 2))
		push_copy(L);
	lua_setmetatable(L, 1);
	lua_settop(L, 1);
	return 1;
}

void table_api_push_setmetatable(lua_State *L)
{
	lua_pushcfunction(L, set_metatable);
}
