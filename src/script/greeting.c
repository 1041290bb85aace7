#include "script/greeting.h"

#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>

/* Lua's own string.find does the matching; the string metatable holds it, out of scripts' reach. */
static bool matches(lua_State *L, int index, const char *pattern)
{
	bool found;

	luaL_getmetafield(L, index, "__index");
	lua_getfield(L, -1, "find");
	lua_pushvalue(L, index);
	lua_pushstring(L, pattern);
	lua_call(L, 2, 1);
	found = lua_toboolean(L, -1);
	lua_pop(L, 2);
	return found;
}

static bool declared(lua_State *L, const struct script *script, int index)
{
	for (size_t i = 0; i < script->greeting_count; i++)
		if (matches(L, index, script->greetings[i]))
			return true;
	return false;
}

bool greeting_fits(lua_State *L, const struct script *script, int index)
{
	return script->greeting_count == 0 || declared(L, script, index);
}

const char *greeting_owner(lua_State *L, int index)
{
	const struct catalogue *catalogue = vm_of(L)->catalogue;

	for (size_t i = 0; i < catalogue->script_count; i++)
		if (!catalogue->scripts[i]->broken && declared(L, catalogue->scripts[i], index))
			return catalogue->scripts[i]->services[0].name;
	return NULL;
}
