#include "script/task.h"

#include "script/conn_api.h"
#include "script/greeting.h"
#include "script/report_api.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a coroutine left the processor for good. */
enum exit { EXIT_RETURN, EXIT_ERROR, EXIT_KILLED, EXIT_MEMORY, EXIT_STRAY_YIELD };

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

/* In the main state, protected: make the coroutine with the probe and its arguments on its stack. */
static int prepare(lua_State *L)
{
	struct task *task = lua_touserdata(L, 1);

	vm_push_probe(L, task->setup.script);
	conn_api_push(L, task, task->setup.conn, false);
	report_api_push(L);
	push_arguments(L, task->setup.script);
	task->thread = vm_take_thread(L, &task->reference);
	lua_xmove(L, task->thread, 4);
	return 0;
}

static void give_up(struct task *task, const char *why)
{
	struct task_result result = { .end = TASK_BROKEN };

	failure_set(&result.failure, PHASE_SCRIPT, "script-error", "%s", why);
	conn_api_release(task);
	task->setup.vm->task_count--;
	task->setup.done(task->setup.owner, &result);
	free(task);
}

static void resume(struct task *task, int arguments)
{
	struct vm *vm = task->setup.vm;
	int        count, status;

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
	struct task *task = calloc(1, sizeof *task);
	char         why[200] = "not enough memory";

	if (!task) {
		struct task_result result = { .end = TASK_BROKEN };

		failure_set(&result.failure, PHASE_SCRIPT, "script-error", "%s", why);
		setup->done(setup->owner, &result);
		return;
	}
	task->setup = *setup;
	setup->vm->task_count++;
	if (vm_protected(setup->vm, prepare, task, why, sizeof why))
		resume(task, 3);
	else
		give_up(task, why);
}

void task_wake(struct task *task)
{
	resume(task, 0);
}

/* --- ending ---------------------------------------------------------------------------------- */

/* The probe broke a limit, or the rules. */
static void judge_broken(const struct task *task, struct task_result *result, const char *code, const char *why)
{
	result->end = TASK_BROKEN;
	failure_set(&result->failure, PHASE_SCRIPT, code, "%s: the probe %s", task->setup.script->path, why);
}

/* An error that is no text says nothing of where it comes from; the stack does. */
static void judge_wordless(lua_State *L, struct task_result *result)
{
	lua_Debug place = { .currentline = -1 };

	for (int level = 0; place.currentline <= 0 && lua_getstack(L, level, &place); level++)
		lua_getinfo(L, "Sl", &place);
	failure_set(&result->failure, PHASE_SCRIPT, "script-error", "%s:%d: the error is not a text", place.short_src,
	            place.currentline);
}

/* What stands on the stopped coroutine's stack top is its error. */
static void judge_error(const struct task *task, struct task_result *result)
{
	lua_State *L = task->thread;

	if (conn_api_error(L, -1, &result->failure)) {
		result->end = TASK_FAILED;
		return;
	}
	result->end = TASK_BROKEN;
	if (lua_type(L, -1) == LUA_TSTRING)
		failure_set(&result->failure, PHASE_SCRIPT, "script-error", "%s", lua_tostring(L, -1));
	else
		judge_wordless(L, result);
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
		judge_broken(task, result, "script-killed", "used more memory than the 16 MiB that there are for all");
		break;
	case EXIT_STRAY_YIELD:
		judge_broken(task, result, "script-error", "yielded by itself");
		break;
	}
}

/* In the main state, protected. */
struct closing {
	struct task        *task;
	enum exit           exit;
	struct task_result *result;
	char                traceback[2048];
};

static void take_traceback(lua_State *L, struct closing *closing)
{
	luaL_traceback(L, closing->task->thread, NULL, 0);
	snprintf(closing->traceback, sizeof closing->traceback, "%s", lua_tostring(L, -1));
	closing->result->traceback = closing->traceback;
	lua_pop(L, 1);
}

/* A server whose first words are not the probe's is named: by the probe whose they are, or by its looks.
 * Words that nobody knows are the probe's to judge: lines may come before what it waits for. */
static void judge_words(lua_State *L, const struct task *task, const char *words, size_t length)
{
	size_t      rank;
	const char *owner;
	char        text[120];
	int         size;

	lua_pushlstring(L, words, length);
	rank = greeting_rank(L, task->setup.script, lua_gettop(L));
	owner = rank > 0 ? greeting_owner(L, lua_gettop(L), rank) : NULL;
	if (!owner && rank == GREETING_NONE)
		owner = greeting_likeness(words, length);
	if (owner) {
		size = snprintf(text, sizeof text, "this is %s, not %s", owner, task->setup.service);
		report_warn(task->setup.report, "wrong-protocol", text, (size_t)size);
	}
	lua_pop(L, 1);
}

static void judge_greeting(lua_State *L, const struct task *task)
{
	const char *unread;
	size_t      length;

	if (task->first_seen) {
		judge_words(L, task, task->first, task->first_length);
		return;
	}
	unread = conn_unread(task->setup.conn, &length);
	if (length > 0)
		judge_words(L, task, unread, length);
}

/* That a server said nothing at all is a finding of its own, whatever the probe made of it. */
static void note_silence(const struct task *task, const struct task_result *result)
{
	const struct failure *failure = &result->failure;
	bool in_vain = failure->phase == PHASE_DEADLINE ||
	               (failure->phase == PHASE_READ && strcmp(failure->code, "timeout") == 0);

	if (in_vain && conn_silent(task->setup.conn))
		report_note(task->setup.report, "silent", failure->message, strlen(failure->message));
}

/* A coroutine that was killed is left as it is: closing it would run more of the script. */
static int close_thread(lua_State *L)
{
	struct closing *closing = lua_touserdata(L, 1);
	struct task    *task = closing->task;
	bool            killed = closing->exit == EXIT_KILLED;
	int             status = LUA_OK;

	if (closing->result->end == TASK_BROKEN)
		take_traceback(L, closing);
	if (!killed)
		status = lua_resetthread(task->thread);
	vm_give_thread(L, task->thread, task->reference, !killed && (status == LUA_OK || closing->exit == EXIT_ERROR));
	judge_greeting(L, task);
	note_silence(task, closing->result);
	return 0;
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
	judge(task, exit, &result);
	if (failure_present(&task->tls_failure))
		result.tls_failure = &task->tls_failure;
	vm_protected(vm, close_thread, &closing, error, sizeof error);
	if (exit == EXIT_KILLED || exit == EXIT_MEMORY)
		vm->retired = true;
	conn_api_release(task);
	vm->task_count--;
	task->setup.done(task->setup.owner, &result);
	free(task);
}
