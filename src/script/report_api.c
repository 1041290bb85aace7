#include "script/report_api.h"

#include "script/report.h"
#include "script/value.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

enum { NAME_BYTES = 200 };

static const char type_name[] = "report";
static const char object_key = 0; /* registry[&object_key] = the report object */

/* Print what stands at `index`, if it is a text or a number. */
static void print(lua_State *L, struct report *report, int index)
{
	size_t      length;
	const char *text;

	if (report->wordless || !lua_isstring(L, index))
		return;
	lua_pushvalue(L, index);
	text = lua_tolstring(L, -1, &length);
	report_print(report, text, length);
	lua_pop(L, 1);
}

/* A script that says what it reports is held to it: a misspelt key would be missed by nobody but users. */
static void check_key(lua_State *L, const struct script *script, const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < script->field_count; i++) {
		const char *field = script->fields[i];

		if (strncmp(field, key, length) == 0 && (field[length] == '\0' || field[length] == '.'))
			return;
	}
	if (script->field_count > 0)
		luaL_error(L, "\"%s\" is not among the fields that the probe declares", key);
}

/* Raise unless the text at `index` is short enough for a name. [-0, +0, e] */
static const char *check_name(lua_State *L, int index)
{
	size_t      length;
	const char *name = luaL_checklstring(L, index, &length);

	luaL_argcheck(L, length <= NAME_BYTES, index, "a name of at most 200 bytes");
	return name;
}

/* Record the value at `index` under this key, or raise, and all is as it was. [-0, +0, e] */
static void record(lua_State *L, struct pack *pack, const char *key, int index)
{
	if (pack_begin(pack, key) && value_pack(L, index, pack)) {
		pack_commit(pack);
		return;
	}
	pack_cancel(pack);
	luaL_error(L, "%s", pack->fault);
}

/* report(key, value [, text]): text nil prints the value, false prints nothing. True is like nil, so that
 * report("banner", conn:readline()) may be written: a line that was cut comes with true. */
static int call(lua_State *L)
{
	struct task   *task = wait_owner(L);
	struct report *report = task->setup.report;
	const char    *key = check_name(L, 2);
	int            type = lua_type(L, 4);

	luaL_argcheck(L, lua_gettop(L) >= 3, 3, "a value");
	luaL_argcheck(L, type <= LUA_TNIL || type == LUA_TBOOLEAN || lua_isstring(L, 4), 4,
	              "text, or false to print nothing");
	check_key(L, task->setup.script, key);
	record(L, &report->data, key, 3);
	print(L, report, type <= LUA_TNIL || (type == LUA_TBOOLEAN && lua_toboolean(L, 4)) ? 3 : 4);
	return 0;
}

/* report.warn(code, text [, false]): false prints nothing. */
static int warn(lua_State *L)
{
	struct report *report = wait_owner(L)->setup.report;
	size_t         length;
	const char    *code = check_name(L, 1);
	const char    *text = luaL_checklstring(L, 2, &length);

	luaL_argcheck(L, lua_isnoneornil(L, 3) || lua_isboolean(L, 3), 3, "false to print nothing");
	if (lua_isboolean(L, 3) && !lua_toboolean(L, 3))
		report_note(report, code, text, length);
	else
		report_warn(report, code, text, length);
	return 0;
}

static int get(lua_State *L)
{
	const char *field = luaL_checkstring(L, 2);

	if (strcmp(field, "warn") != 0)
		return luaL_error(L, "report has no field \"%s\"", field);
	lua_pushcfunction(L, warn);
	return 1;
}

void report_api_register(lua_State *L)
{
	lua_newuserdatauv(L, 0, 0);
	luaL_newmetatable(L, type_name);
	lua_pushcfunction(L, call);
	lua_setfield(L, -2, "__call");
	lua_pushcfunction(L, get);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &object_key);
}

void report_api_push(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &object_key);
}
