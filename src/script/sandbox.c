#include "script/sandbox.h"

#include "script/chunk.h"
#include "script/conn_api.h"
#include "script/report_api.h"
#include "script/scan_api.h"
#include "script/socket_error.h"
#include "script/string_api.h"
#include "script/table_api.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

/* --- environments ---------------------------------------------------------------------------- */

static int require(lua_State *L);

static const char *const globals[] = { "assert",       "error",        "getmetatable",  "ipairs",
	                               "next",         "pairs",        "pcall",         "rawequal",
	                               "rawget",       "rawlen",       "rawset",        "select",
	                               "tonumber",     "tostring",     "type",          "_VERSION",
	                               LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME, LUA_UTF8LIBNAME };

/* [-1, +0, m] Copy the fields of the table on top to the one below it. */
static void copy_fields(lua_State *L)
{
	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_settable(L, -5);
	}
	lua_pop(L, 1);
}

enum { ENVIRONMENT = 32 }; /* names in one, about */

static const char shared_key = 0; /* registry[&shared_key] = what is in every environment of the state */

/* [-0, +1, m] A state belongs to one script: what that changes in `string`, say, its libraries see as well, and nobody
 * else. Names that it adds are its own. */
static void push_environment(lua_State *L)
{
	luaL_checkstack(L, 6, NULL);
	lua_createtable(L, 0, ENVIRONMENT);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &shared_key);
	copy_fields(L);
	lua_newtable(L);
	lua_pushcclosure(L, require, 1);
	lua_setfield(L, -2, "require");
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "_G");
}

/* [-0, +1, m] The environment of a trusted script: all there is, but what it adds is its own. */
static void copy_globals(lua_State *L)
{
	luaL_checkstack(L, 6, NULL);
	lua_newtable(L);
	lua_pushglobaltable(L);
	copy_fields(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "_G");
}

/* [-0, +0, m] Give the function on top an environment of its own. */
static void use_environment(lua_State *L)
{
	if (vm_of(L)->trusted)
		copy_globals(L);
	else
		push_environment(L);
	lua_setupvalue(L, -2, 1);
}

/* [-0, +1, m] The function, without environment, or the error; `mode` is of luaL_loadbufferx. */
static bool compile(lua_State *L, const char *path, const char *code, size_t length, const char *mode)
{
	const char *name = lua_pushfstring(L, "@%s", path);
	bool        good = luaL_loadbufferx(L, code, length, name, mode) == LUA_OK;

	lua_remove(L, -2);
	return good;
}

bool sandbox_compile(lua_State *L, const char *path, const char *source, size_t length)
{
	if (!compile(L, path, source, length, "t"))
		return false;
	use_environment(L);
	return true;
}

/* --- libraries of lib/ ------------------------------------------------------------------------ */

/* More than the 64 KiB of a library's text are compiled to. */
enum { LIBRARY_CODE = 1024 * 1024 };

static bool plain_name(const char *name)
{
	return *name != '\0' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
	           strlen(name);
}

static int append(lua_State *L, const void *bytes, size_t length, void *code)
{
	(void)L;
	return buffer_append(code, bytes, length) ? 0 : 1;
}

/* Keep what stands on top, the function that this file was compiled to. */
static void keep_library(lua_State *L, const char *path)
{
	struct catalogue *keeper = vm_of(L)->keeper;
	struct buffer     code;

	if (!keeper)
		return;
	buffer_init(&code, LIBRARY_CODE);
	if (lua_dump(L, append, &code, false) == 0)
		catalogue_keep(keeper, path, buffer_bytes(&code), buffer_length(&code));
	buffer_free(&code);
}

/* [-0, +1, e] The function that this file is compiled to; nil if it is not there. */
static void compile_file(lua_State *L, const char *path)
{
	const char *name = lua_pushfstring(L, "@%s", path);
	char        reason[CHUNK_REASON];
	size_t      length;
	char       *text = chunk_read(path, vm_of(L)->trusted ? CHUNK_FILE : CHUNK_LIBRARY, &length, reason);
	bool        good = true;

	if (text)
		good = luaL_loadbufferx(L, text, length, name, "t") == LUA_OK; /* raises nothing */
	else if (reason[0])
		luaL_error(L, "%s: %s", path, reason);
	else
		lua_pushnil(L);
	free(text);
	if (!good)
		lua_error(L);
	lua_remove(L, -2);
}

/* [-0, +1, e] The function that this file is, from its text or as it was compiled before; nil if it is not there. */
static void push_library(lua_State *L, const char *path)
{
	const struct library *library = catalogue_library(vm_of(L)->catalogue, path);

	if (!library) {
		compile_file(L, path);
		if (!lua_isnil(L, -1))
			keep_library(L, path);
	} else if (!compile(L, path, library->code, library->length, "b")) {
		lua_error(L);
	}
}

/* [-0, +1, e] Load lib/NAME.lua from the first folder that has it, and push what it returns. */
static void load_library(lua_State *L, const char *name)
{
	const struct catalogue *catalogue = vm_of(L)->catalogue;

	for (size_t i = 0; i < catalogue->folder_count; i++) {
		const char *path = lua_pushfstring(L, "%s/lib/%s.lua", catalogue->folders[i], name);

		push_library(L, path);
		lua_remove(L, -2);
		if (!lua_isnil(L, -1)) {
			use_environment(L);
			lua_call(L, 0, 1);
			return;
		}
		lua_pop(L, 1);
	}
	if (catalogue->tolerant)
		lua_newtable(L);
	else
		luaL_error(L, "there is no library \"%s\" (lib/%s.lua) beside the probes", name, name);
}

/* require(name): a library of lib/, loaded once an environment. Upvalue 1 holds the loaded ones. */
static int require(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	lua_settop(L, 1);
	if (!plain_name(name))
		return luaL_error(L, "require wants the plain name of a library of lib/, not \"%s\"", name);
	if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL)
		return 1;
	load_library(L, name);
	lua_pushvalue(L, -1);
	lua_setfield(L, lua_upvalueindex(1), name);
	return 1;
}

/* --- preparing a state ------------------------------------------------------------------------ */

/* [-0, +0, m] Keep, of the globals at `from`, what environments have. */
static void share(lua_State *L, int from)
{
	lua_createtable(L, 0, ENVIRONMENT);
	for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
		lua_getfield(L, from, globals[i]);
		lua_setfield(L, -2, globals[i]);
	}
	table_api_push_setmetatable(L);
	lua_setfield(L, -2, "setmetatable");
	scan_api_push(L);
	lua_setfield(L, -2, "scan");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &shared_key);
}

/* [-0, +0, e] Open the libraries, take out what scripts must not have, and lock what is left. */
int sandbox_prepare(lua_State *L)
{
	static const luaL_Reg opened[] = { { LUA_GNAME, luaopen_base },
		                           { LUA_STRLIBNAME, luaopen_string },
		                           { LUA_TABLIBNAME, luaopen_table },
		                           { LUA_MATHLIBNAME, luaopen_math },
		                           { LUA_UTF8LIBNAME, luaopen_utf8 } };

	for (size_t i = 0; i < sizeof opened / sizeof *opened; i++)
		luaL_requiref(L, opened[i].name, opened[i].func, 1);
	lua_settop(L, 0);
	lua_pushglobaltable(L);
	lua_getfield(L, 1, LUA_STRLIBNAME);
	lua_pushnil(L);
	lua_setfield(L, 2, "dump");
	string_api_register(L);
	lua_getfield(L, 1, LUA_TABLIBNAME);
	table_api_register(L);
	lua_pop(L, 2);
	share(L, 1);
	lua_pop(L, 1);
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	socket_error_register(L);
	conn_api_register(L);
	report_api_register(L);
	return 0;
}

/* [-0, +0, e] Let require look into the folders of the scripts first. */
static void extend_path(lua_State *L)
{
	const struct catalogue *catalogue = vm_of(L)->catalogue;

	lua_getglobal(L, LUA_LOADLIBNAME);
	lua_getfield(L, -1, "path");
	for (size_t i = catalogue->folder_count; i-- > 0;) {
		lua_pushfstring(L, "%s/lib/?.lua;%s", catalogue->folders[i], lua_tostring(L, -1));
		lua_replace(L, -2);
	}
	lua_setfield(L, -2, "path");
	lua_pop(L, 1);
}

/* [-0, +0, e] The same for a state without sandbox. */
int sandbox_prepare_trusted(lua_State *L)
{
	luaL_openlibs(L);
	extend_path(L);
	socket_error_register(L);
	conn_api_register(L);
	report_api_register(L);
	scan_api_push(L);
	lua_setglobal(L, "scan");
	return 0;
}
