/* The functions for tables that scripts see, among them those of Lua's that could run for ever without a
 * single instruction of Lua at which to stop them: these take tables without a metatable only, move at
 * most TABLE_ELEMENTS at a time, and look at the clock.
 */
#ifndef SCRIPT_TABLE_API_H
#define SCRIPT_TABLE_API_H

struct lua_State;

enum { TABLE_ELEMENTS = 1024 * 1024 };

/* Guard the functions of Lua's table library, which is on top of the stack. [-0, +0, m] */
void table_api_register(struct lua_State *L);

/* setmetatable(table, metatable) for scripts. [-0, +1, m] */
void table_api_push_setmetatable(struct lua_State *L);

#endif
