#include "script/socket_error.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

static const char type_name[] = "socket error";

static void set_text(lua_State *L, const char *key, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, key);
}

static void push_error(lua_State *L, const struct failure *failure)
{
	lua_createtable(L, 0, 5);
	set_text(L, "phase", phase_name(failure->phase));
	set_text(L, "code", failure->code);
	set_text(L, "message", failure->message);
	if (failure->error != 0) {
		lua_pushinteger(L, failure->error);
		lua_setfield(L, -2, "errno");
	}
	luaL_setmetatable(L, type_name);
}

int socket_error_raise_failure(lua_State *L, const struct failure *failure, struct conn *conn)
{
	size_t      length = 0;
	const char *bytes = conn ? conn_unread(conn, &length) : NULL;

	push_error(L, failure);
	if (length > 0) {
		lua_pushlstring(L, bytes, length);
		lua_setfield(L, -2, "partial");
	}
	return lua_error(L);
}

int socket_error_raise(lua_State *L, struct conn *conn)
{
	return socket_error_raise_failure(L, conn_failure(conn), conn);
}

/* [-0, +0, -] Copy a text field of the table at `index`. */
static void get_text(lua_State *L, int index, const char *key, char *text, size_t size)
{
	const char *value;

	lua_pushstring(L, key);
	value = lua_rawget(L, index) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	snprintf(text, size, "%s", value);
	lua_pop(L, 1);
}

bool socket_error_read(lua_State *L, int index, struct failure *failure)
{
	char phase[16];
	bool same;

	index = lua_absindex(L, index);
	if (!lua_istable(L, index) || !lua_getmetatable(L, index))
		return false;
	luaL_getmetatable(L, type_name);
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	if (!same)
		return false;
	failure_clear(failure);
	get_text(L, index, "phase", phase, sizeof phase);
	failure->phase = phase_of_name(phase);
	get_text(L, index, "code", failure->code, sizeof failure->code);
	get_text(L, index, "message", failure->message, sizeof failure->message);
	lua_pushliteral(L, "errno");
	lua_rawget(L, index);
	failure->error = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (failure->phase == PHASE_NONE)
		failure->phase = PHASE_SCRIPT;
	return true;
}

static int error_tostring(lua_State *L)
{
	struct failure failure;

	if (!socket_error_read(L, 1, &failure))
		return luaL_error(L, "not a socket error");
	lua_pushfstring(L, "[%s] %s", phase_name(failure.phase), failure.message);
	return 1;
}

void socket_error_register(lua_State *L)
{
	luaL_newmetatable(L, type_name);
	lua_pushcfunction(L, error_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
