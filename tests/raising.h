/* For the analyzers alone, before each file: which functions of Lua never come back. Lua's own header does not say it,
 * so that behind `if (!memory) luaL_error(...)` they would go on with no memory.
 */
#ifndef TESTS_RAISING_H
#define TESTS_RAISING_H

#include <lauxlib.h>
#include <lua.h>

_Noreturn int(lua_error)(lua_State *L);
_Noreturn int(luaL_error)(lua_State *L, const char *format, ...);
_Noreturn int(luaL_argerror)(lua_State *L, int argument, const char *message);
_Noreturn int(luaL_typeerror)(lua_State *L, int argument, const char *type);

#endif
