#include "script/spawn_api.h"

#include "script/vm.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>

static const char task_type[] = "task";

/* What Lua holds of a task. Its user value is the list that was called, which later holds the outcome. */
struct job {
	struct vm    *vm;
	struct scope *scope;
	struct task  *waiter; /* in join */
	int           call;   /* registry reference of the list, as long as the task runs */
	bool          over;
};

/* The list, and with it the job, which is its field, is anchored until here. */
static void over(void *owner, const struct task_result *result)
{
	struct job   *job = owner;
	struct scope *scope = job->scope;
	bool          failed = result->end == TASK_FAILED || result->end == TASK_BROKEN;

	job->over = true;
	luaL_unref(job->vm->state, LUA_REGISTRYINDEX, job->call);
	if (job->waiter)
		wait_soon(job->waiter);
	else if (failed && scope->lost)
		scope->lost(scope->owner, result);
}

/* [-n, +1, m] All that is on the stack, a function and its arguments, as the list that task_spawn wants. */
static void pack(lua_State *L)
{
	int count = lua_gettop(L);

	lua_createtable(L, count, 2);
	lua_insert(L, 1);
	for (int i = count; i >= 1; i--)
		lua_rawseti(L, 1, i);
	lua_pushinteger(L, count);
	lua_setfield(L, 1, "n");
}

static void start(lua_State *L, struct job *job)
{
	struct task_setup setup = wait_owner(L)->setup;

	setup.scope = wait_owner(L)->scope;
	setup.call = job->call;
	setup.conn = NULL;
	setup.done = over;
	setup.owner = job;
	task_spawn(L, &setup);
}

int spawn_api_spawn(lua_State *L)
{
	struct task *task = wait_owner(L);
	struct job  *job;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	pack(L);
	job = lua_newuserdatauv(L, sizeof *job, 1);
	*job = (struct job){ .vm = task->setup.vm, .scope = task->scope };
	luaL_setmetatable(L, task_type);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 2, 1);
	lua_pushvalue(L, 2);
	lua_setfield(L, 1, "job");
	lua_pushvalue(L, 1);
	job->call = luaL_ref(L, LUA_REGISTRYINDEX);
	start(L, job);
	return 1;
}

/* [-1, +n, e] The elements of the list on top. */
static int unpack(lua_State *L)
{
	int list = lua_gettop(L), count;

	lua_getfield(L, list, "n");
	count = (int)lua_tointeger(L, -1);
	luaL_checkstack(L, count, "too many results");
	for (int i = 1; i <= count; i++)
		lua_rawgeti(L, list, i);
	return count;
}

/* Slot 1: the job. */
static int join_step(lua_State *L, struct task *task)
{
	struct job *job = luaL_checkudata(L, 1, task_type);

	if (!job->over && job->waiter)
		return luaL_error(L, "another task waits for this one");
	if (!job->over)
		return wait_other(task, &job->waiter);
	lua_getiuservalue(L, 1, 1);
	if (lua_getfield(L, -1, "results") == LUA_TTABLE)
		return unpack(L);
	lua_getfield(L, -2, "error");
	return lua_error(L);
}

/* task:join() */
static int method_join(lua_State *L)
{
	luaL_checkudata(L, 1, task_type);
	lua_settop(L, 1);
	return wait_run(L, join_step, INFINITY);
}

static int task_tostring(lua_State *L)
{
	const struct job *job = luaL_checkudata(L, 1, task_type);

	lua_pushstring(L, job->over ? "task (over)" : "task (running)");
	return 1;
}

void spawn_api_register(lua_State *L)
{
	static const luaL_Reg methods[] = { { "join", method_join }, { NULL, NULL } };

	luaL_newmetatable(L, task_type);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, task_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
}
