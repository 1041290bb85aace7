#include "workbench/program.h"

#include "base/escape.h"
#include "net/resolve.h"
#include "script/conn_api.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { TEXT = 64 * 1024, COLUMNS = 4096 };

struct program {
	struct program_setup setup;
	struct loop         *loop;
	struct tls_context  *tls;
	struct vm           *vm;
	struct scope         scope;

	int                call; /* registry reference of the list that was loaded or has run; 0: none */
	struct task       *task; /* while it runs */
	struct task_result result;
	char              *message, *traceback; /* of what went wrong last; NULL: nothing did */
	enum task_end      lost;

	uv_async_t    nudge; /* the interrupt has come */
	volatile bool interrupted;
	struct watch  input;
	int           input_fd; /* watched; -1: none */
};

/* --- words ----------------------------------------------------------------------------------- */

/* One line, safe for a terminal. */
static void say(FILE *file, const char *prefix, const char *line, size_t length)
{
	struct buffer text;

	buffer_init(&text, TEXT);
	buffer_text(&text, prefix);
	escape_terminal(&text, line, length, COLUMNS);
	buffer_text(&text, "\n");
	fwrite(buffer_bytes(&text), 1, buffer_length(&text), file);
	buffer_free(&text);
}

static void complain(const char *prefix, const char *text)
{
	fflush(stdout);
	while (*text) {
		size_t length = strcspn(text, "\n");

		say(stderr, prefix, text, length);
		prefix = "";
		text += length + (text[length] == '\n');
	}
}

/* Is a function of the user's in it? If not, the message has said as much. */
static bool tells_more(const char *traceback)
{
	static const char main[] = "in main chunk";

	for (const char *line = strchr(traceback, '\n'); line; line = strchr(line + 1, '\n')) {
		size_t length = strcspn(line + 1, "\n");

		if (strncmp(line + 1, "\t[C]:", 5) != 0 && !memmem(line + 1, length, main, strlen(main)))
			return true;
	}
	return false;
}

/* A traceback has its lines indented by a tab, which would be escaped. */
static void complain_where(const char *traceback)
{
	if (!tells_more(traceback))
		return;
	while (*traceback) {
		size_t length = strcspn(traceback, "\n");
		bool   indented = *traceback == '\t';

		say(stderr, indented ? "    " : "  ", traceback + indented, length - indented);
		traceback += length + (traceback[length] == '\n');
	}
}

static void describe(char *text, size_t size, const struct task_result *result)
{
	const struct failure *failure = &result->failure;

	if (result->end == TASK_FAILED)
		snprintf(text, size, "%s%s[%s] %s", result->place, *result->place ? ": " : "",
		         phase_name(failure->phase), failure->message);
	else
		snprintf(text, size, "%s", failure->message);
}

void program_complain(struct program *program, const char *prefix)
{
	if (!program->message)
		return;
	if (program->result.end == TASK_FAILED) { /* may quote the server, which could end a line, too */
		fflush(stdout);
		say(stderr, prefix, program->message, strlen(program->message));
		return;
	}
	complain(prefix, program->message);
	if (program->traceback)
		complain_where(program->traceback);
}

static void forget_words(struct program *program)
{
	free(program->message);
	free(program->traceback);
	program->message = program->traceback = NULL;
}

/* print(...) for a terminal: what would be an order to it is escaped, lines and tabs are kept. */
static void print_safely(const char *text, size_t length)
{
	struct buffer shown;

	while (length > 0) {
		size_t plain = 0;

		while (plain < length && text[plain] != '\n' && text[plain] != '\t')
			plain++;
		buffer_init(&shown, 16 * plain + 16);
		escape_terminal(&shown, text, plain, SIZE_MAX / 2);
		fwrite(buffer_bytes(&shown), 1, buffer_length(&shown), stdout);
		buffer_free(&shown);
		if (plain < length)
			putchar(text[plain++]);
		text += plain;
		length -= plain;
	}
}

static void announce(const struct program *program, bool begins)
{
	if (program->setup.printing)
		program->setup.printing(program->setup.owner, begins);
}

/* Upvalue 1: the program. */
static int print(lua_State *L)
{
	const struct program *program = lua_touserdata(L, lua_upvalueindex(1));
	int                   count = lua_gettop(L);

	luaL_checkstack(L, 2, NULL);
	for (int i = 1; i <= count; i++) {
		luaL_tolstring(L, i, NULL);
		lua_replace(L, i);
	}
	announce(program, true);
	for (int i = 1; i <= count; i++) {
		size_t      length;
		const char *text = lua_tolstring(L, i, &length);

		if (i > 1)
			putchar('\t');
		print_safely(text, length);
	}
	putchar('\n');
	fflush(stdout);
	announce(program, false);
	return 0;
}

static int guard_print(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushcclosure(L, print, 1);
	lua_setglobal(L, "print");
	return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static void lost(void *owner, const struct task_result *result)
{
	struct program *program = owner;
	char            text[sizeof result->failure.message + 200];

	if (program->lost == TASK_RETURNED || result->end == TASK_BROKEN)
		program->lost = result->end;
	describe(text, sizeof text, result);
	announce(program, true);
	complain("scan: in a task for which nobody waited: ", text);
	if (result->traceback && result->end == TASK_BROKEN)
		complain_where(result->traceback);
	announce(program, false);
}

static void told(void *owner, const struct handle *handle, double ms, enum event event, const char *bytes,
                 size_t length)
{
	const struct program *program = owner;

	if (program->setup.told)
		program->setup.told(program->setup.owner, handle, ms, event, bytes, length);
}

static void nudged(uv_async_t *handle)
{
	struct program *program = handle->data;

	if (!program->interrupted)
		return;
	if (program->task)
		task_cancel(program->task);
	loop_stop(program->loop);
}

static void readable(struct watch *watch, uint32_t events)
{
	struct program *program = (struct program *)(void *)((char *)watch - offsetof(struct program, input));

	(void)events;
	if (!program->task)
		loop_stop(program->loop);
}

struct program *program_new(const struct program_setup *setup)
{
	struct program *program = calloc(1, sizeof *program);
	char            error[200];

	if (!program)
		return NULL;
	program->setup = *setup;
	program->input_fd = -1;
	program->input.ready = readable;
	program->scope = (struct scope){
		.family = setup->family, .told = told, .lost = lost, .owner = program
	};
	resolve_prepare(1);
	program->loop = loop_new();
	program->tls = tls_context_new();
	if (!program->loop || !program->tls)
		goto failed;
	program->vm = vm_new_trusted(setup->catalogue, program->loop, program->tls);
	if (!program->vm || uv_async_init(loop_uv(program->loop), &program->nudge, nudged) != 0)
		goto failed;
	program->nudge.data = program;
	if (isatty(STDOUT_FILENO))
		vm_protected(program->vm, guard_print, program, error, sizeof error);
	return program;
failed:
	vm_free(program->vm);
	tls_context_free(program->tls);
	loop_free(program->loop);
	free(program);
	return NULL;
}

void program_free(struct program *program)
{
	if (!program)
		return;
	scope_release(&program->scope);
	watch_remove(program->loop, &program->input);
	uv_close((uv_handle_t *)&program->nudge, NULL);
	vm_free(program->vm);
	tls_context_free(program->tls);
	loop_free(program->loop);
	forget_words(program);
	free(program);
}

/* --- loading --------------------------------------------------------------------------------- */

/* In the main state, protected. */
struct loading {
	struct program     *program;
	const struct piece *piece;
	enum load           load;
};

/* [-0, +1, m] So many lines with nothing in them, for Lua counts from the first. */
static void push_lines(lua_State *L, size_t count)
{
	luaL_Buffer lines;

	memset(luaL_buffinitsize(L, &lines, count), '\n', count);
	luaL_pushresultsize(&lines, count);
}

/* [-0, +1, m] The chunk, or why there is none. */
static int compile(lua_State *L, const struct piece *piece)
{
	const char *name, *code;
	size_t      length;
	int         status;

	if (!piece->code)
		return luaL_loadfilex(L, strcmp(piece->name, "-") == 0 ? NULL : piece->name, "t");
	name = lua_pushfstring(L, "=%s", piece->name);
	push_lines(L, piece->line);
	lua_pushstring(L, piece->before ? piece->before : "");
	lua_pushlstring(L, piece->code, piece->length);
	lua_concat(L, 3);
	code = lua_tolstring(L, -1, &length);
	status = luaL_loadbufferx(L, code, length, name, "t");
	lua_replace(L, -3);
	lua_pop(L, 1);
	return status;
}

/* Lua complains of what it met where it wanted more. */
static bool wants_more(const char *message)
{
	static const char end[] = "<eof>";
	size_t            length = strlen(message);

	return length >= strlen(end) && strcmp(message + length - strlen(end), end) == 0;
}

/* {chunk, argument..., n = elements} */
static void keep(lua_State *L, struct program *program, const struct piece *piece)
{
	lua_createtable(L, (int)piece->argument_count + 1, 1);
	lua_insert(L, -2);
	lua_rawseti(L, -2, 1);
	for (size_t i = 0; i < piece->argument_count; i++) {
		lua_pushstring(L, piece->arguments[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 2);
	}
	lua_pushinteger(L, (lua_Integer)piece->argument_count + 1);
	lua_setfield(L, -2, "n");
	program->call = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int load(lua_State *L)
{
	struct loading *loading = lua_touserdata(L, 1);
	struct program *program = loading->program;

	if (program->call != 0)
		luaL_unref(L, LUA_REGISTRYINDEX, program->call);
	program->call = 0;
	if (compile(L, loading->piece) == LUA_OK) {
		keep(L, program, loading->piece);
		loading->load = LOAD_DONE;
		return 0;
	}
	loading->load = wants_more(lua_tostring(L, -1)) ? LOAD_INCOMPLETE : LOAD_WRONG;
	program->message = strdup(lua_tostring(L, -1));
	return 0;
}

enum load program_load(struct program *program, const struct piece *piece)
{
	struct loading loading = { .program = program, .piece = piece, .load = LOAD_WRONG };
	char           error[200];

	forget_words(program);
	if (!vm_protected(program->vm, load, &loading, error, sizeof error))
		program->message = strdup(error);
	return loading.load;
}

/* --- running --------------------------------------------------------------------------------- */

static void done(void *owner, const struct task_result *result)
{
	struct program *program = owner;

	program->task = NULL;
	program->result = *result;
	if (result->end == TASK_BROKEN && result->traceback)
		program->traceback = strdup(result->traceback);
	loop_stop(program->loop);
}

static int start(lua_State *L)
{
	struct program *program = lua_touserdata(L, 1);

	program->task = task_spawn(L, &(struct task_setup){
					  .vm = program->vm,
					  .manner = TLS_LEGACY,
					  .deadline = MOMENT_NEVER,
					  .connect_timeout = program->setup.connect_timeout,
					  .reply_timeout = program->setup.reply_timeout,
					  .scope = &program->scope,
					  .call = program->call,
					  .done = done,
					  .owner = program,
				      });
	return 0;
}

/* What Lua has to say is longer than what the task keeps of it. */
static int take_message(lua_State *L)
{
	struct program *program = lua_touserdata(L, 1);
	bool            worded;

	lua_rawgeti(L, LUA_REGISTRYINDEX, program->call);
	lua_getfield(L, -1, "error");
	worded = lua_isstring(L, -1);
	if (!worded && luaL_getmetafield(L, -1, "__tostring") != LUA_TNIL) {
		lua_pop(L, 1);
		worded = true;
	}
	if (worded)
		program->message = strdup(luaL_tolstring(L, -1, NULL));
	return 0;
}

static void keep_words(struct program *program)
{
	char text[sizeof program->result.failure.message + 200];

	if (program->result.end == TASK_RETURNED)
		return;
	if (program->result.end == TASK_BROKEN)
		vm_protected(program->vm, take_message, program, text, sizeof text);
	if (program->message)
		return;
	describe(text, sizeof text, &program->result);
	program->message = strdup(text);
}

static void follow(struct program *program)
{
	while (program->task)
		loop_run(program->loop, NULL, NULL);
}

enum task_end program_run(struct program *program)
{
	char error[200];

	forget_words(program);
	program->interrupted = false;
	failure_clear(&program->result.failure);
	if (!vm_protected(program->vm, start, program, error, sizeof error)) {
		program->message = strdup(error);
		return program->result.end = TASK_BROKEN;
	}
	follow(program);
	keep_words(program);
	return program->result.end;
}

/* A line of code that the user has not written does not help: whom it was meant for does. */
static void blame(struct program *program, const struct target *target)
{
	const struct failure *failure = &program->result.failure;
	char                  text[TARGET_NAME + sizeof failure->message + 64];

	snprintf(text, sizeof text, strchr(target->name, ':') ? "[%s]:%u: [%s] %s" : "%s:%u: [%s] %s",
	         target->name, target->port, phase_name(failure->phase), failure->message);
	free(program->message);
	program->message = strdup(text);
}

enum task_end program_open(struct program *program, const struct target *target, bool tls)
{
	static const char code[] = "local host, port, tls = ...\n"
				   "if conn then conn:close() end\n"
				   "conn = nil\n"
				   "conn = scan.connect(host, port, { tls = tls ~= nil })\n";
	char              port[8];
	const char *const arguments[] = { target->name, port, "tls" };

	snprintf(port, sizeof port, "%u", target->port);
	if (program_load(program, &(struct piece){ .name = "open",
	                                           .code = code,
	                                           .length = strlen(code),
	                                           .arguments = arguments,
	                                           .argument_count = tls ? 3 : 2 }) != LOAD_DONE)
		return TASK_BROKEN;
	if (program_run(program) == TASK_FAILED)
		blame(program, target);
	return program->result.end;
}

bool program_interrupt(struct program *program)
{
	if (program->interrupted)
		return false;
	program->interrupted = true;
	vm_interrupt(program->vm);
	uv_async_send(&program->nudge); /* it may be about to wait */
	return true;
}

/* --- waiting for input ----------------------------------------------------------------------- */

static bool can_read(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) != 0;
}

/* What cannot be watched, a file, can always be read. */
static bool watch(struct program *program, int fd)
{
	if (program->input_fd != fd && watch_add(program->loop, &program->input, fd))
		program->input_fd = fd;
	return program->input_fd == fd;
}

bool program_await(struct program *program, int fd, loop_turn *turn, void *owner)
{
	bool interrupted;

	while (watch(program, fd) && !can_read(fd) && !program->interrupted)
		loop_run(program->loop, turn, owner);
	interrupted = program->interrupted;
	program->interrupted = false; /* it is told now */
	return !interrupted;
}

void program_calm(struct program *program)
{
	program->interrupted = false;
}

/* --- answers --------------------------------------------------------------------------------- */

const struct failure *program_failure(const struct program *program)
{
	return &program->result.failure;
}

const char *program_words(const struct program *program)
{
	return program->message ? program->message : "";
}

enum task_end program_lost(const struct program *program)
{
	return program->lost;
}

void program_label(const struct handle *handle, char label[PROGRAM_LABEL])
{
	const struct address *remote = conn_remote(handle->conn);

	if (address_family(remote) == AF_UNSPEC)
		snprintf(label, PROGRAM_LABEL, "%s", handle->host);
	else
		snprintf(label, PROGRAM_LABEL, strchr(handle->host, ':') ? "[%s]:%u" : "%s:%u", handle->host,
		         address_port(remote));
}

struct inspection {
	struct program *program;
	int (*function)(lua_State *L);
	void *argument;
};

static int inspect(lua_State *L)
{
	struct inspection *inspection = lua_touserdata(L, 1);

	lua_settop(L, 0);
	lua_pushcfunction(L, inspection->function);
	lua_pushlightuserdata(L, inspection->argument);
	lua_rawgeti(L, LUA_REGISTRYINDEX, inspection->program->call);
	if (lua_istable(L, 3)) {
		lua_getfield(L, 3, "results");
		lua_replace(L, 3);
	}
	lua_call(L, 2, 0);
	return 0;
}

bool program_inspect(struct program *program, int (*function)(lua_State *L), void *argument)
{
	struct inspection inspection = { program, function, argument };
	char              error[400];

	if (vm_protected(program->vm, inspect, &inspection, error, sizeof error))
		return true;
	complain("scan: ", error);
	return false;
}
