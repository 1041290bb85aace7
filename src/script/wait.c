#include "script/wait.h"

#include "script/socket_error.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>

struct task *wait_owner(lua_State *L)
{
	struct vm *vm = vm_of(L);

	if (!vm->running)
		luaL_error(L, "this works only while a probe runs");
	return vm->running;
}

struct task *wait_task(lua_State *L)
{
	struct task *task = wait_owner(L);

	if (task->thread != L)
		luaL_error(L, "cannot wait inside a coroutine of your own; use scan.spawn");
	return task;
}

/* --- what is waited for ---------------------------------------------------------------------- */

static void begin(struct task *task, struct task **waiter, struct conn *conn)
{
	task->wait.armed = true;
	task->wait.conn = conn;
	task->wait.waiter = waiter;
	if (waiter)
		*waiter = task;
}

static void finish(struct task *task)
{
	task->wait.armed = false;
	if (task->wait.waiter)
		*task->wait.waiter = NULL;
	task->wait.waiter = NULL;
}

static void awake(struct task *task, bool came)
{
	finish(task);
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

int wait_for(struct task *task, struct task **waiter, struct conn *conn, enum io want)
{
	begin(task, waiter, conn);
	conn_await(conn, want, task->wait.deadline, woken, task);
	return WAIT;
}

int wait_other(struct task *task, struct task **waiter)
{
	begin(task, waiter, NULL);
	task->wait.alarm.ring = rung;
	alarm_set(task->setup.vm->loop, &task->wait.alarm, task->wait.deadline);
	return WAIT;
}

int wait_end(struct task *task)
{
	return wait_other(task, NULL);
}

void wait_over(struct task *task)
{
	alarm_clear(task->setup.vm->loop, &task->wait.alarm);
	awake(task, true);
}

void wait_soon(struct task *task)
{
	struct loop *loop = task->setup.vm->loop;

	wait_forget(task);
	begin(task, NULL, NULL);
	task->wait.alarm.ring = rung;
	alarm_set(loop, &task->wait.alarm, loop_now(loop));
}

void wait_forget(struct task *task)
{
	if (!task->wait.armed)
		return;
	if (task->wait.conn)
		conn_forget(task->wait.conn);
	alarm_clear(task->setup.vm->loop, &task->wait.alarm);
	finish(task);
}

/* --- running a step -------------------------------------------------------------------------- */

/* The step was tried once more after its time was over, and what it waits for has still not come. */
static int overdue(lua_State *L, struct task *task)
{
	struct conn *conn = task->wait.conn;

	wait_forget(task);
	conn_overdue(conn, task->wait.seconds);
	return socket_error_raise(L, conn);
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
	failure_set(&failure, PHASE_DEADLINE, "too-slow", "not finished within %g s",
	            task->setup.deadline_seconds);
	return socket_error_raise_failure(L, &failure, task->wait.conn);
}

static int go_on(lua_State *L, int status, lua_KContext context);

static int try(lua_State *L, struct task *task, wait_step *step)
{
	int results = step(L, task);

	if (is_late(task) && (results == WAIT || (task->wait.expired && !task->wait.conn)))
		return fail_late(L, task);
	if (results != WAIT)
		return results;
	if (task->wait.expired && task->wait.conn)
		return overdue(L, task);
	return lua_yieldk(L, 0, (lua_KContext)step, go_on);
}

/* The only continuation: `context` is the step. */
static int go_on(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	return try(L, wait_task(L), (wait_step *)context);
}

void wait_renew(struct task *task, double seconds)
{
	task->wait.seconds = seconds;
	task->wait.deadline = clock_after(loop_now(task->setup.vm->loop), seconds);
	if (task->wait.deadline > task->setup.deadline)
		task->wait.deadline = task->setup.deadline;
	task->wait.expired = false;
}

int wait_run(lua_State *L, wait_step *step, double seconds)
{
	struct task *task = wait_task(L);

	if (!lua_isyieldable(L))
		return luaL_error(
		    L, "cannot wait here: inside require, a callback of table.sort or string.gsub, a "
		       "metamethod called from C, or while closing");
	wait_renew(task, seconds);
	return try(L, task, step);
}
