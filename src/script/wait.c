#include "script/wait.h"

#include "script/conn_api.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>

struct task *wait_task(lua_State *L)
{
	struct vm *vm = vm_of(L);

	if (!vm->running || vm->running->thread != L)
		luaL_error(L, "this works only while a probe runs");
	return vm->running;
}

/* --- what is waited for ---------------------------------------------------------------------- */

static void awake(struct task *task, bool came)
{
	task->wait.armed = false;
	task->wait.expired = !came;
	task_wake(task);
}

static void woken(void *owner, bool came)
{
	awake(owner, came);
}

static void rung(struct alarm *alarm)
{
	awake((struct task *)(void *)((char *)alarm - offsetof(struct task, wait.alarm)), false);
}

int wait_for(struct task *task, struct conn *conn, enum io want)
{
	task->wait.armed = true;
	task->wait.conn = conn;
	conn_await(conn, want, task->wait.deadline, woken, task);
	return WAIT;
}

int wait_end(struct task *task)
{
	task->wait.armed = true;
	task->wait.conn = NULL;
	task->wait.alarm.ring = rung;
	alarm_set(task->setup.vm->loop, &task->wait.alarm, task->wait.deadline);
	return WAIT;
}

void wait_forget(struct task *task)
{
	if (task->wait.armed && task->wait.conn)
		conn_forget(task->wait.conn);
	if (task->wait.armed)
		alarm_clear(task->setup.vm->loop, &task->wait.alarm);
	task->wait.armed = false;
}

/* --- running a step -------------------------------------------------------------------------- */

/* The step was tried once more after its time was over, and what it waits for has still not come. */
static int overdue(lua_State *L, struct task *task)
{
	struct conn *conn = task->wait.conn;

	wait_forget(task);
	conn_overdue(conn, task->wait.seconds);
	return conn_api_raise(L, conn);
}

static bool is_late(const struct task *task)
{
	return loop_now(task->setup.vm->loop) >= task->setup.deadline;
}

/* The time of the whole probe is over. A script that catches this can still report what it knows; but from now
 * on every wait ends like this, at once, and its CPU time is counted. */
static int fail_late(lua_State *L, struct task *task)
{
	struct failure failure;

	wait_forget(task);
	failure_set(&failure, PHASE_DEADLINE, "too-slow", "not finished within %g s", task->setup.deadline_seconds);
	return conn_api_raise_failure(L, &failure, task->wait.conn);
}

/* The only continuation: `context` is the step. */
static int go_on(lua_State *L, int status, lua_KContext context)
{
	struct task *task = wait_task(L);
	wait_step   *step = (wait_step *)context;
	bool         expired = task->wait.expired;
	int          results = step(L, task);

	(void)status;
	if (is_late(task) && (results == WAIT || (expired && !task->wait.conn)))
		return fail_late(L, task);
	if (results != WAIT)
		return results;
	if (expired && task->wait.conn)
		return overdue(L, task);
	return lua_yieldk(L, 0, context, go_on);
}

int wait_run(lua_State *L, wait_step *step, double seconds)
{
	struct task *task = wait_task(L);
	moment       now = loop_now(task->setup.vm->loop);

	if (!lua_isyieldable(L))
		return luaL_error(L, "cannot wait here: inside a callback of table.sort or string.gsub, a metamethod "
		                     "called from C, or while closing");
	task->wait.seconds = seconds;
	task->wait.deadline = clock_after(now, seconds);
	if (task->wait.deadline > task->setup.deadline)
		task->wait.deadline = task->setup.deadline;
	task->wait.expired = false;
	return go_on(L, LUA_OK, (lua_KContext)step);
}
