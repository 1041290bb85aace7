/* scan.spawn(f, ...): another task on the same loop, for programs of the user's own.
 *
 * The task begins on the loop's next turn and belongs to the scope of the one that started it. task:join()
 * gives what the function returned, or raises what it raised.
 */
#ifndef SCRIPT_SPAWN_API_H
#define SCRIPT_SPAWN_API_H

struct lua_State;

void spawn_api_register(struct lua_State *L); /* [-0, +0, m] */

int spawn_api_spawn(struct lua_State *L);

#endif
