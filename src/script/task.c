#include "script/task.h"

#include "script/conn_api.h"
#include "script/greeting.h"
#include "script/place.h"
#include "script/report_api.h"
#include "script/socket_error.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACEBACK = 2048 }; /* bytes of one that are kept */

/* How a coroutine left the processor for good. */
enum exit { EXIT_RETURN, EXIT_ERROR, EXIT_KILLED, EXIT_MEMORY, EXIT_STRAY_YIELD, EXIT_CANCELLED };

static void end(struct task *task, enum exit exit);

/* --- starting -------------------------------------------------------------------------------- */

static void push_argument(lua_State *L, const struct argument *argument)
{
	const char *text = argument->value ? argument->value : argument->initial;

	if (!text)
		lua_pushnil(L);
	else if (argument->type == ARGUMENT_NUMBER)
		lua_pushnumber(L, strtod(text, NULL));
	else if (argument->type == ARGUMENT_BOOLEAN)
		lua_pushboolean(L, strcmp(text, "true") == 0);
	else
		lua_pushstring(L, text);
}

static void push_arguments(lua_State *L, const struct script *script)
{
	lua_createtable(L, 0, (int)script->argument_count);
	for (size_t i = 0; i < script->argument_count; i++) {
		push_argument(L, &script->arguments[i]);
		lua_setfield(L, -2, script->arguments[i].name);
	}
}

/* The handle stands twice on the coroutine's stack: as an argument, which the script may drop, and below the
 * function, where it lasts as long as the coroutine runs. */
static void push_probe(lua_State *L, struct task *task)
{
	conn_api_push(L, task, task->setup.conn, task->setup.host);
	vm_push_probe(L, task->setup.script);
	lua_pushvalue(L, -2);
	report_api_push(L);
	push_arguments(L, task->setup.script);
}

static int integer_field(lua_State *L, int index, const char *name)
{
	int value;

	lua_getfield(L, index, name);
	value = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return value;
}

/* [-0, +n, e] The elements of the list that is to be called. */
static void push_call(lua_State *L, int reference)
{
	int list = lua_gettop(L) + 1, count;

	lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
	count = integer_field(L, list, "n");
	luaL_checkstack(L, count, "too many arguments");
	for (int i = 1; i <= count; i++)
		lua_rawgeti(L, list, i);
	lua_remove(L, list);
}

/* [-n, +0, e] A coroutine with all that stands above `below` on its stack: a function and its arguments. */
static lua_State *make_thread(lua_State *L, int below, int *reference)
{
	int        count = lua_gettop(L) - below;
	lua_State *thread = vm_take_thread(L, reference);

	if (!lua_checkstack(thread, count + LUA_MINSTACK))
		luaL_error(L, "too many arguments");
	lua_xmove(L, thread, count);
	return thread;
}

/* In the main state, protected. */
static int prepare(lua_State *L)
{
	struct task *task = lua_touserdata(L, 1);
	int          below = lua_gettop(L);

	push_probe(L, task);
	task->arguments = lua_gettop(L) - below - 2;
	task->thread = make_thread(L, below, &task->reference);
	return 0;
}

static struct task *new_task(const struct task_setup *setup)
{
	struct task *task = calloc(1, sizeof *task);

	if (!task || !alarm_reserve(setup->vm->loop)) {
		free(task);
		return NULL;
	}
	task->setup = *setup;
	return task;
}

static void free_task(struct task *task)
{
	alarm_release(task->setup.vm->loop);
	free(task->tls_failure);
	free(task);
}

static void give_up(struct task *task, const char *why)
{
	struct task_result result = { .end = TASK_BROKEN };

	failure_set(&result.failure, PHASE_SCRIPT, "script-error", "%s", why);
	scope_release(&task->own);
	task->setup.vm->task_count--;
	task->setup.done(task->setup.owner, &result);
	free_task(task);
}

static void resume(struct task *task)
{
	struct vm *vm = task->setup.vm;
	int        arguments = task->arguments;
	int        count, status;

	task->arguments = 0;
	vm_enter(vm, task->thread, task, task->spent);
	status = lua_resume(task->thread, vm->state, arguments, &count);
	task->spent = vm_leave(vm);
	if (vm->killed)
		end(task, EXIT_KILLED);
	else if (status == LUA_ERRMEM)
		end(task, EXIT_MEMORY);
	else if (status == LUA_OK)
		end(task, EXIT_RETURN);
	else if (status != LUA_YIELD)
		end(task, EXIT_ERROR);
	else if (!task->wait.armed)
		end(task, EXIT_STRAY_YIELD);
	else
		lua_pop(task->thread, count);
}

void task_start(const struct task_setup *setup)
{
	struct task *task = new_task(setup);
	char         why[200] = "not enough memory";

	if (!task) {
		struct task_result result = { .end = TASK_BROKEN };

		failure_set(&result.failure, PHASE_SCRIPT, "script-error", "%s", why);
		setup->done(setup->owner, &result);
		return;
	}
	task->scope = setup->scope ? setup->scope : &task->own;
	setup->vm->task_count++;
	if (vm_protected(setup->vm, prepare, task, why, sizeof why))
		resume(task);
	else
		give_up(task, why);
}

static void join_scope(struct task *task)
{
	task->place = &task->scope->tasks;
	task->next = task->scope->tasks;
	if (task->next)
		task->next->place = &task->next;
	task->scope->tasks = task;
}

static void leave_scope(struct task *task)
{
	if (!task->place)
		return;
	*task->place = task->next;
	if (task->next)
		task->next->place = task->place;
}

struct task *task_spawn(lua_State *L, const struct task_setup *setup)
{
	int          below = lua_gettop(L), reference, arguments;
	lua_State   *thread;
	struct task *task;

	push_call(L, setup->call);
	arguments = lua_gettop(L) - below - 1;
	thread = make_thread(L, below, &reference);
	task = new_task(setup);
	if (!task) {
		vm_give_thread(L, thread, reference, false);
		luaL_error(L, "not enough memory");
	}
	task->scope = setup->scope;
	task->thread = thread;
	task->reference = reference;
	task->arguments = arguments;
	setup->vm->task_count++;
	join_scope(task);
	wait_soon(task);
	return task;
}

void task_cancel(struct task *task)
{
	end(task, EXIT_CANCELLED);
}

void task_wake(struct task *task)
{
	resume(task);
}

/* --- ending ---------------------------------------------------------------------------------- */

/* The probe broke a limit, or the rules. */
static void judge_broken(const struct task *task, struct task_result *result, const char *code,
                         const char *why)
{
	const struct script *script = task->setup.script;

	result->end = TASK_BROKEN;
	place_innermost(task->thread, result->place, sizeof result->place);
	if (result->place[0] == '\0')
		snprintf(result->place, sizeof result->place, "%s", script ? script->path : "");
	failure_set(&result->failure, PHASE_SCRIPT, code, "%s: the %s %s", result->place,
	            script ? "probe" : "task", why);
}

/* An error that does not say where it comes from, or no word at all: the stack knows. */
static void judge_bug(lua_State *L, struct task_result *result)
{
	char words[400], text[sizeof result->failure.message];

	place_own(L, result->place, sizeof result->place);
	place_tell(L, place_raised(L, words, sizeof words), text, sizeof text);
	failure_set(&result->failure, PHASE_SCRIPT, "script-error", "%s", text);
}

/* What stands on the stopped coroutine's stack top is its error. */
static void judge_error(const struct task *task, struct task_result *result)
{
	lua_State *L = task->thread;

	if (socket_error_read(L, -1, &result->failure)) {
		result->end = TASK_FAILED;
		place_own(L, result->place, sizeof result->place);
		return;
	}
	result->end = TASK_BROKEN;
	judge_bug(L, result);
}

static void judge(const struct task *task, enum exit exit, struct task_result *result)
{
	failure_clear(&result->failure);
	result->end = TASK_RETURNED;
	switch (exit) {
	case EXIT_RETURN:
		break;
	case EXIT_ERROR:
		judge_error(task, result);
		break;
	case EXIT_KILLED:
		judge_broken(task, result, "script-killed",
		             task->spent > VM_PROBE_TICKS ? "used up its CPU time, 250 ms in all"
		                                          : "used up its CPU time, 50 ms without waiting");
		break;
	case EXIT_MEMORY:
		judge_broken(task, result, "script-killed",
		             task->setup.vm->excess ? task->setup.vm->excess : "found no memory left");
		break;
	case EXIT_STRAY_YIELD:
		judge_broken(task, result, "script-error", "yielded by itself");
		break;
	case EXIT_CANCELLED:
		result->end = TASK_CANCELLED;
		failure_set(&result->failure, PHASE_SCRIPT, "", "interrupted");
		break;
	}
}

/* In the main state, protected. */
struct closing {
	struct task        *task;
	enum exit           exit;
	struct task_result *result;
	bool                judged;
	char               *traceback; /* allocated, or NULL */
};

static void take_traceback(lua_State *L, struct closing *closing)
{
	luaL_traceback(L, closing->task->thread, NULL, 0);
	closing->traceback = strndup(lua_tostring(L, -1), TRACEBACK);
	closing->result->traceback = closing->traceback;
	lua_pop(L, 1);
}

/* A server whose first words are not the probe's is named: by the probe whose they are, or by its looks.
 * Words that nobody knows are the probe's to judge: lines may come before what it waits for. */
static void judge_words(const struct task *task, const char *words, size_t length)
{
	size_t      rank = greeting_rank(task->setup.script, words, length);
	const char *owner = rank > 0 ? greeting_owner(task->setup.vm->catalogue, words, length, rank) : NULL;
	char        text[120];
	int         size;

	if (!owner && rank == GREETING_NONE)
		owner = greeting_likeness(words, length);
	if (owner && strcmp(owner, task->setup.script->name) != 0) {
		size = snprintf(text, sizeof text, "this is %s, not %s", owner, task->setup.service);
		report_warn(task->setup.report, "wrong-protocol", text, (size_t)size);
	}
}

static void judge_greeting(const struct task *task)
{
	const char *unread;
	size_t      length;

	if (task->first_seen || task->first_length > 0) {
		judge_words(task, task->first, task->first_length);
		return;
	}
	unread = conn_unread(task->setup.conn, &length);
	if (length > 0)
		judge_words(task, unread, length);
}

/* That a server said nothing at all is a finding of its own, whatever the probe made of it. */
static void note_silence(const struct task *task, const struct task_result *result)
{
	const struct failure *failure = &result->failure;
	bool                  in_vain = failure->phase == PHASE_DEADLINE ||
	               (failure->phase == PHASE_READ && strcmp(failure->code, "timeout") == 0);

	if (in_vain && conn_silent(task->setup.conn))
		report_note(task->setup.report, "silent", failure->message, strlen(failure->message));
}

/* [-0, +1, e] What the coroutine returned, as a list; it is over, and nothing else is on its stack. */
static void take_results(lua_State *L, lua_State *thread)
{
	int count = lua_gettop(thread);

	lua_createtable(L, count, 1);
	lua_pushinteger(L, count);
	lua_setfield(L, -2, "n");
	for (int i = count; i >= 1; i--) {
		lua_xmove(thread, L, 1);
		lua_rawseti(L, -2, i);
	}
}

/* [-0, +1, e] What it raised; closing the thread wants that to be still there. */
static void take_error(lua_State *L, const struct closing *closing)
{
	lua_State *thread = closing->task->thread;

	if (closing->exit != EXIT_ERROR) {
		lua_pushstring(L, closing->result->failure.message);
		return;
	}
	lua_xmove(thread, L, 1);
	lua_pushvalue(L, -1);
	lua_xmove(L, thread, 1);
}

static void keep_outcome(lua_State *L, const struct closing *closing)
{
	bool returned = closing->exit == EXIT_RETURN;

	lua_rawgeti(L, LUA_REGISTRYINDEX, closing->task->setup.call);
	if (returned)
		take_results(L, closing->task->thread);
	else
		take_error(L, closing);
	lua_setfield(L, -2, returned ? "results" : "error");
	lua_pop(L, 1);
}

/* A coroutine that came to its end has nothing to be closed. One that was killed is left as it is: closing it would
 * run more of the script. Whether it can be used again. */
static bool reset(lua_State *thread, enum exit exit)
{
	switch (exit) {
	case EXIT_RETURN:
		return true;
	case EXIT_KILLED:
		return false;
	default:
		return lua_resetthread(thread) == LUA_OK || exit == EXIT_ERROR;
	}
}

static int close_thread(lua_State *L)
{
	struct closing *closing = lua_touserdata(L, 1);
	struct task    *task = closing->task;

	judge(task, closing->exit, closing->result);
	closing->judged = true;
	if (closing->result->end == TASK_BROKEN)
		take_traceback(L, closing);
	if (task->setup.call != 0)
		keep_outcome(L, closing);
	vm_give_thread(L, task->thread, task->reference, reset(task->thread, closing->exit));
	if (task->setup.conn) {
		judge_greeting(task);
		note_silence(task, closing->result);
	}
	return 0;
}

/* The state has not even the memory to say how the task ended. */
static void give_way(const struct closing *closing)
{
	closing->task->setup.vm->retired = true;
	if (closing->judged)
		return;
	closing->result->end = TASK_BROKEN;
	failure_set(&closing->result->failure, PHASE_SCRIPT, "script-killed", "%s: found no memory left",
	            closing->task->setup.script ? closing->task->setup.script->path : "a task");
}

/* The one end of every task: disarm, keep the message, traceback, close the thread, release,
 * deliver. */
static void end(struct task *task, enum exit exit)
{
	struct vm         *vm = task->setup.vm;
	struct task_result result = { .end = TASK_RETURNED };
	struct closing     closing = { .task = task, .exit = exit, .result = &result };
	char               error[200];

	wait_forget(task);
	result.tls_failure = task->tls_failure;
	if (!vm_protected(vm, close_thread, &closing, error, sizeof error))
		give_way(&closing);
	if (exit == EXIT_KILLED || exit == EXIT_MEMORY)
		vm->retired = true;
	leave_scope(task);
	scope_release(&task->own);
	vm->task_count--;
	task->setup.done(task->setup.owner, &result);
	free(closing.traceback);
	free_task(task);
}
