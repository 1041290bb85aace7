#include "workbench/eval.h"

#include "base/escape.h"
#include "output/trace.h"
#include "script/conn_api.h"
#include "workbench/program.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int refuse(const char *text)
{
	fprintf(stderr, "scan: %s\n", text);
	return EVAL_REFUSED;
}

bool eval_target(struct target *target, bool *tls, const struct catalogue *catalogue, const char *word,
                 int family, char *error, size_t size)
{
	const struct service *service;

	if (!target_parse(target, word, family, error, size))
		return false;
	if (target->port == 0) {
		snprintf(error, size, "a port is missing: HOST:PORT");
		return false;
	}
	service = catalogue_port(catalogue, target->port);
	*tls = service && service->tls;
	return true;
}

static void told(void *owner, const struct handle *handle, double ms, enum event event, const char *bytes,
                 size_t length)
{
	char name[PROGRAM_LABEL];

	(void)owner;
	program_label(handle, name);
	trace_said(stderr, name, 0, handle->serves, ms, event, bytes, length);
}

/* arg, as Lua's own interpreter has it. */
static int set_arg(lua_State *L)
{
	const struct eval *eval = lua_touserdata(L, 1);

	lua_createtable(L, (int)eval->word_count, 1);
	lua_pushstring(L, eval->file);
	lua_rawseti(L, -2, 0);
	for (size_t i = 0; i < eval->word_count; i++) {
		lua_pushstring(L, eval->words[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_setglobal(L, "arg");
	return 0;
}

/* [-0, +0, e] The program's own word on its exit status. */
static int read_status(lua_State *L)
{
	int *status = lua_touserdata(L, 1);

	if (!lua_istable(L, 2) || lua_rawgeti(L, 2, 1) != LUA_TNUMBER || !lua_isinteger(L, -1))
		return 0;
	if (lua_tointeger(L, -1) < 0 || lua_tointeger(L, -1) > EVAL_STATUS)
		return luaL_error(L, "the program returned %I; an exit status is from 0 to %d",
		                  lua_tointeger(L, -1), EVAL_STATUS);
	*status = (int)lua_tointeger(L, -1);
	return 0;
}

int eval_status(enum task_end end)
{
	return end == TASK_RETURNED ? 0 : end == TASK_FAILED ? EVAL_FAILED : EVAL_BROKEN;
}

static int ending(struct program *program, enum task_end end)
{
	int status = eval_status(end);

	if (end != TASK_RETURNED)
		program_complain(program, "scan: ");
	else if (!program_inspect(program, read_status, &status))
		status = EVAL_BROKEN;
	return status != 0 ? status : eval_status(program_lost(program));
}

static int run(struct program *program, const struct eval *eval)
{
	struct piece piece = { .name = eval->file,
		               .arguments = eval->words,
		               .argument_count = eval->word_count };

	if (eval->code)
		piece = (struct piece){ .name = "-e", .code = eval->code, .length = strlen(eval->code) };
	else if (!program_inspect(program, set_arg, (void *)eval))
		return EVAL_BROKEN;
	if (program_load(program, &piece) != LOAD_DONE) {
		program_complain(program, "scan: ");
		return EVAL_BROKEN;
	}
	return ending(program, program_run(program));
}

static int open_and_run(struct program *program, const struct eval *eval)
{
	struct target target;
	bool          tls;
	char          error[600];

	if (!eval->code || eval->word_count == 0)
		return run(program, eval);
	if (!eval_target(&target, &tls, eval->catalogue, eval->words[0], eval->family, error, sizeof error))
		return refuse(error);
	if (program_open(program, &target, tls) == TASK_RETURNED)
		return run(program, eval);
	program_complain(program, "scan: ");
	return EVAL_FAILED;
}

/* What was printed must have been written. */
static int flushed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "scan: cannot write output: %s\n", strerror(errno));
	return EVAL_FAILED;
}

int eval_run(const struct eval *eval)
{
	struct program *program;
	int             status;

	if (eval->file && strcmp(eval->file, "-") != 0) {
		FILE *file = fopen(eval->file, "re");

		if (!file) {
			fprintf(stderr, "scan: %s: %s\n", eval->file, strerror(errno));
			return EVAL_REFUSED;
		}
		fclose(file);
	}
	signal(SIGPIPE, SIG_DFL); /* like any program that prints; sockets do not raise it */
	program = program_new(&(struct program_setup){ .catalogue = eval->catalogue,
	                                               .connect_timeout = eval->connect_timeout,
	                                               .reply_timeout = eval->reply_timeout,
	                                               .family = eval->family,
	                                               .told = eval->trace ? told : NULL });
	if (!program)
		return refuse("could not start: no memory or descriptors left");
	status = open_and_run(program, eval);
	program_free(program);
	return flushed(status);
}
