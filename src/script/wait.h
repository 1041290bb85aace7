/* Blocking calls for scripts: the one place that yields.
 *
 * A blocking call is a step: a function that tries once and is called again each time what it waits
 * for has come. It keeps nothing in C variables between tries; all it needs is in its arguments on
 * the Lua stack, which stay there, and in its objects.
 */
#ifndef SCRIPT_WAIT_H
#define SCRIPT_WAIT_H

#include "net/conn.h"
#include "script/task.h"

struct lua_State;

enum { WAIT = -1 };

/* Push results and return their number; or call wait_for (or wait_until) and return WAIT. May raise. */
typedef int wait_step(struct lua_State *L, struct task *task);

/* Run `step` until it is done, `seconds` at most and never past the task's deadline. Tail-call it from
 * the C function that Lua called: `return wait_run(L, step, seconds)`. Raises where a script cannot
 * wait, and raises the connection's failure when the time is over. [-0, +n, e] */
int wait_run(struct lua_State *L, wait_step *step, double seconds);

/* For steps: say what is waited for. `*waiter` is the task as long as it waits: it must be NULL before, and last
 * as long as the wait. wait_other is for what calls wait_over when it comes; wait_end for the end of wait_run's
 * `seconds`. */
int wait_for(struct task *task, struct task **waiter, struct conn *conn, enum io want);
int wait_other(struct task *task, struct task **waiter);
int wait_end(struct task *task);

/* For steps that come to another part of their work: from now on it is this many seconds again. */
void wait_renew(struct task *task, double seconds);

/* What the task waits for, by wait_other, has come: go on with it. From the loop only. */
void wait_over(struct task *task);

/* The same from anywhere, whatever it waits for: let it look again on the loop's next turn. */
void wait_soon(struct task *task);

/* Forget what is waited for, when the task ends. */
void wait_forget(struct task *task);

/* The task that L runs; raises if L is not the coroutine of a running task. [-0, +0, e] */
struct task *wait_task(struct lua_State *L);

/* The task for which L runs, be it in a coroutine that the script made; raises if there is none. [-0, +0, e] */
struct task *wait_owner(struct lua_State *L);

#endif
