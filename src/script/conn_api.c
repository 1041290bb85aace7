#include "script/conn_api.h"

#include "base/nearest.h"
#include "script/pattern.h"
#include "script/serve_api.h"
#include "script/socket_error.h"
#include "script/string_api.h"
#include "script/value.h"
#include "script/vm.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECT_EVERY = 128 };

static const char conn_type[] = "conn";

/* --- handles --------------------------------------------------------------------------------- */

static struct handle *of_held(struct held *held)
{
	return (struct handle *)(void *)((char *)held - offsetof(struct handle, held));
}

/* A handle that a probe opened lives as long as its task, whatever the script does with it: registry[handle] =
 * handle. That is cheaper than a finalizer, which keeps all that hangs on it until the collector has come by twice. */
static void anchor(lua_State *L, struct handle *handle, lua_State *state)
{
	handle->anchor = state;
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, handle);
}

/* To set what is there to nil takes no memory, so it cannot fail. */
static void let_go(const struct handle *handle)
{
	lua_pushnil(handle->anchor);
	lua_rawsetp(handle->anchor, LUA_REGISTRYINDEX, handle);
}

static void drop(struct held *held)
{
	struct handle *handle = of_held(held);

	if (handle->owned)
		conn_free(handle->conn);
	handle->conn = NULL;
	if (handle->anchor)
		let_go(handle);
}

/* User values: the TLS facts once they were asked for, the host's name. */
static struct handle *push_handle(lua_State *L, struct task *task)
{
	struct vm     *vm = task->setup.vm;
	struct handle *handle;

	if (!vm->trusted && task->scope->opened == TASK_CONNS)
		luaL_error(L, "a probe has at most %d connections", TASK_CONNS);
	handle = lua_newuserdatauv(L, sizeof *handle, 2);
	*handle = (struct handle){ .held = { .drop = drop },
		                   .mark = conn_type,
		                   .scope = task->scope,
		                   .since = loop_now(vm->loop),
		                   .service = task->setup.service };
	luaL_setmetatable(L, conn_type);
	scope_hold(task->scope, &handle->held);
	task->scope->opened++;
	return handle;
}

struct handle *conn_api_push(lua_State *L, struct task *task, struct conn *conn, const char *host)
{
	struct handle *handle = push_handle(L, task);

	handle->conn = conn;
	handle->host = host;
	return handle;
}

static void told(struct observer *observer, enum event event, const char *bytes, size_t length)
{
	struct handle *handle = (struct handle *)(void *)((char *)observer -
	                                                  offsetof(struct handle, observer));
	struct scope  *scope = handle->scope;
	double         ms = clock_ms(handle->since, clock_now());

	if (scope->told)
		scope->told(scope->owner, handle, ms, event, bytes, length);
}

/* What a connection takes is not Lua's memory: nothing else would make it look for those that are dropped. */
static void collect_some(lua_State *L, const struct task *task)
{
	if (task->setup.vm->trusted && task->scope->opened % COLLECT_EVERY == COLLECT_EVERY - 1)
		lua_gc(L, LUA_GCCOLLECT);
}

struct handle *conn_api_open(lua_State *L, struct task *task)
{
	struct handle *handle = push_handle(L, task);

	if (!task->setup.vm->trusted)
		anchor(L, handle, task->setup.vm->state);
	handle->owned = true;
	handle->host = task->setup.host;
	handle->observer.told = told;
	handle->conn = conn_new(task->setup.vm->loop);
	if (!handle->conn)
		luaL_error(L, "not enough memory");
	conn_observe(handle->conn, task->setup.observer ? task->setup.observer : &handle->observer);
	if (task->setup.vm->trusted)
		conn_trust(handle->conn);
	collect_some(L, task);
	return handle;
}

void conn_api_name(lua_State *L, int index, struct handle *handle)
{
	handle->host = lua_tostring(L, -1);
	lua_setiuservalue(L, index, 2);
}

/* Each verb comes here, so the type is told by a mark in the handle and not by a look for its name. */
static struct handle *check_type(lua_State *L)
{
	struct handle *handle = lua_touserdata(L, 1);

	if (!handle || lua_rawlen(L, 1) != sizeof *handle || handle->mark != conn_type)
		return luaL_checkudata(L, 1, conn_type); /* raises, in the usual words */
	return handle;
}

/* A script can keep a handle where another run of it finds it; the connection is not that one's. */
static void check_own(lua_State *L, const struct handle *handle)
{
	const struct task *task = vm_of(L)->running;

	if (task && handle->scope != task->scope)
		luaL_error(L, "conn belongs to another run of the probe");
}

static struct handle *check_handle(lua_State *L)
{
	struct handle *handle = check_type(L);

	if (!handle->conn)
		luaL_error(L, "conn is closed");
	check_own(L, handle);
	return handle;
}

static struct conn *check_open(lua_State *L)
{
	return check_handle(L)->conn;
}

/* For steps: the call has made sure whose handle it is, but while it waited another task may have closed it. */
static struct handle *still_open(lua_State *L)
{
	struct handle *handle = lua_touserdata(L, 1);

	if (!handle->conn)
		luaL_error(L, "conn is closed");
	return handle;
}

static double reply_timeout(lua_State *L)
{
	return wait_task(L)->setup.reply_timeout;
}

/* Seconds at `index`, or the reply timeout where there are none. */
static double check_seconds(lua_State *L, int index)
{
	double otherwise = reply_timeout(L), seconds;

	if (lua_gettop(L) < index)
		return otherwise;
	seconds = luaL_optnumber(L, index, otherwise);
	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, index, "seconds from 0 to 86400");
	return seconds;
}

/* Wait for what the try wants, or raise why it failed. [-0, +0, e] */
static int not_done(lua_State *L, struct task *task, struct conn *conn, enum io result)
{
	struct handle *handle = lua_touserdata(L, 1);

	if (result == IO_FAILED)
		return socket_error_raise(L, conn);
	if (handle->waiter)
		return luaL_error(L, "another task waits for this connection");
	return wait_for(task, &handle->waiter, conn, result);
}

/* --- methods: Lua's conn:name(...) ----------------------------------------------------------- */

/* The first line of the first connection tells what the server really speaks, also where it is read as bytes: up to
 * an LF, or as much of it as is read at all. */
static void note_first(struct task *task, const struct conn *conn, const struct line *words, bool whole)
{
	size_t      room = TASK_FIRST_LINE - task->first_length;
	size_t      length = words->length < room ? words->length : room;
	const char *end;

	if (task->first_seen || conn != task->setup.conn)
		return;
	end = !whole && length > 0 ? memchr(words->bytes, '\n', length) : NULL;
	if (end)
		length = (size_t)(end - words->bytes);
	if (length > 0)
		memcpy(task->first + task->first_length, words->bytes, length);
	task->first_length += length;
	task->first_seen = whole || end || task->first_length == TASK_FIRST_LINE;
}

static int readline_step(lua_State *L, struct task *task)
{
	struct conn *conn = still_open(L)->conn;
	struct line  line;
	enum io      result;

	vm_pause(task->setup.vm); /* to receive what a server pours out is not the script's doing */
	result = conn_readline(conn, &line);
	vm_go_on(task->setup.vm, L);

	if (result != IO_DONE)
		return not_done(L, task, conn, result);
	note_first(task, conn, &line, true);
	lua_pushlstring(L, line.bytes, line.length);
	if (!line.cut)
		return 1;
	lua_pushboolean(L, true);
	return 2;
}

static int method_readline(lua_State *L)
{
	double seconds = check_seconds(L, 2);

	conn_begun(check_open(L), false);
	lua_settop(L, 1);
	return wait_run(L, readline_step, seconds);
}

/* A list has at most so many lines, and no more than so many bytes before its last one. */
enum { LIST_LINES = 128, LIST_BYTES = 16 * 1024 };

/* What readuntil and readwhile have on the stack: what comes from LIST on is what they give. A probe's task waits
 * in the middle of it, so all that it has to know is there. */
enum { PATTERN = 2, BYTES, LIST, CUT };

/* Slots that are left beside the captures for the lines behind, or an error: Lua has twenty for each call. */
enum { ROOM = 10 };

/* [-0, +0, e] Does the line fit the pattern? */
static bool fits(lua_State *L, const struct line *line, struct pattern_match *match)
{
	size_t                length;
	const char           *pattern = lua_tolstring(L, PATTERN, &length);
	struct pattern_search search = pattern_search(line->bytes, line->length, pattern, length);
	enum pattern_result   result = pattern_find(&search, 0, SIZE_MAX, &vm_of(L)->steps, match);

	if (result != PATTERN_NONE && result != PATTERN_FOUND)
		luaL_error(L, "%s", match->fault);
	return result == PATTERN_FOUND;
}

/* Is the value at `index` this capture of the line? */
static bool is_capture(lua_State *L, int index, const struct line *line,
                       const struct pattern_capture *capture)
{
	size_t      length;
	const char *text;

	if (capture->length == PATTERN_POSITION)
		return lua_tointeger(L, index) == (lua_Integer)capture->start + 1;
	text = lua_tolstring(L, index, &length);
	return (size_t)capture->length == length && memcmp(line->bytes + capture->start, text, length) == 0;
}

/* Does the line have the captures that stand behind CUT? */
static bool has_captures(lua_State *L, const struct line *line, const struct pattern_match *match)
{
	for (size_t i = 0; i < match->count; i++)
		if (!is_capture(L, CUT + 1 + (int)i, line, &match->captures[i]))
			return false;
	return true;
}

/* [-0, +n, e] Is the line the last one of the list? */
static bool is_last(lua_State *L, const struct line *line, bool until, bool first)
{
	struct pattern_match match;

	if (!fits(L, line, &match))
		return !until;
	if (!until && !first)
		return !has_captures(L, line, &match);
	luaL_checkstack(L, (int)match.count + ROOM, NULL);
	string_api_push_captures(L, line->bytes, &match);
	return until;
}

/* [-0, +0, e] Put the line into the list, as its element `place`. */
static void add_line(lua_State *L, const struct line *line, lua_Integer place)
{
	lua_pushlstring(L, line->bytes, line->length);
	lua_rawseti(L, LIST, place);
	if (line->cut) {
		lua_pushboolean(L, true);
		lua_replace(L, CUT);
	}
}

/* Read lines into the list, up to the first that fits (`until`) or does not, or until the list is full. */
static int read_lines(lua_State *L, struct task *task, bool until)
{
	struct conn *conn = still_open(L)->conn;
	lua_Integer  count = (lua_Integer)lua_rawlen(L, LIST), bytes = lua_tointeger(L, BYTES);
	struct line  line;
	bool         first, last;

	do {
		enum io result;

		vm_pause(task->setup.vm);
		result = conn_readline(conn, &line);
		vm_go_on(task->setup.vm, L);
		if (result != IO_DONE) {
			lua_pushinteger(L, bytes);
			lua_replace(L, BYTES);
			return not_done(L, task, conn, result);
		}
		note_first(task, conn, &line, true);
		conn_begun(conn, true);
		add_line(L, &line, ++count);
		first = bytes < 0;
		bytes += (lua_Integer)line.length + first;
		last = is_last(L, &line, until, first);
	} while (!last && count < LIST_LINES && bytes < LIST_BYTES);
	return lua_gettop(L) - BYTES;
}

static int readuntil_step(lua_State *L, struct task *task)
{
	return read_lines(L, task, true);
}

static int readwhile_step(lua_State *L, struct task *task)
{
	return read_lines(L, task, false);
}

/* conn:readuntil(pattern [, list [, seconds]]), and readwhile. */
static int run_read_lines(lua_State *L, wait_step *step)
{
	double seconds = check_seconds(L, 4);

	luaL_checkstring(L, PATTERN);
	conn_begun(check_open(L), false);
	lua_settop(L, 3);
	if (lua_isnil(L, 3)) {
		lua_createtable(L, 4, 1);
	} else {
		luaL_checktype(L, 3, LUA_TTABLE);
		lua_pushvalue(L, 3);
	}
	lua_pushinteger(L, -1); /* no line yet */
	lua_replace(L, BYTES);
	lua_pushboolean(L, false);
	return wait_run(L, step, seconds);
}

static int method_readuntil(lua_State *L)
{
	return run_read_lines(L, readuntil_step);
}

static int method_readwhile(lua_State *L)
{
	return run_read_lines(L, readwhile_step);
}

static int read_step(lua_State *L, struct task *task)
{
	struct conn *conn = still_open(L)->conn;
	struct line  bytes;
	enum io      result = conn_read(conn, (size_t)lua_tointeger(L, 2), &bytes);

	if (result != IO_DONE)
		return not_done(L, task, conn, result);
	note_first(task, conn, &bytes, false);
	lua_pushlstring(L, bytes.bytes, bytes.length);
	return 1;
}

static int method_read(lua_State *L)
{
	double      seconds = check_seconds(L, 3);
	lua_Integer count = luaL_optinteger(L, 2, 0);

	luaL_argcheck(L, lua_isnoneornil(L, 2) || (count >= 1 && count <= CONN_RECEIVED), 2,
	              "1 to 65536 bytes");
	conn_begun(check_open(L), false);
	lua_settop(L, 1);
	lua_pushinteger(L, count);
	return wait_run(L, read_step, seconds);
}

static int write_step(lua_State *L, struct task *task)
{
	struct handle *handle = still_open(L);
	size_t         length;
	const char    *bytes = lua_tolstring(L, 2, &length);
	enum io        result = conn_write(handle->conn, bytes, length);

	handle->writing = result == IO_WANT_WRITE || result == IO_WANT_READ;
	if (result == IO_DONE)
		return 0;
	return not_done(L, task, handle->conn, result);
}

static int method_write(lua_State *L)
{
	const struct handle *handle = check_handle(L);

	if (handle->writing && handle->waiter)
		return luaL_error(L, "another task writes to this connection");
	if (conn_unfinished(handle->conn))
		return socket_error_raise(L, handle->conn);
	for (int i = 2; i <= lua_gettop(L); i++)
		luaL_checkstring(L, i);
	lua_concat(L, lua_gettop(L) - 1);
	return wait_run(L, write_step, reply_timeout(L));
}

static int push_tls(lua_State *L, struct conn *conn)
{
	if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE)
		return 1;
	lua_pop(L, 1);
	if (!conn_secure(conn)) {
		lua_pushnil(L);
		return 1;
	}
	json_t *facts = conn_tls_facts(conn);

	json_decref(facts); /* the connection has it, too, and to push it may raise */
	value_push(L, facts);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, 1);
	return 1;
}

/* Injected plain text is a finding whatever the script makes of the error. */
static void note_injection(struct task *task, const struct conn *conn)
{
	static const char     code[] = "plaintext-at-starttls";
	const struct failure *failure = conn_failure(conn);

	if (task->setup.report && strcmp(failure->code, code) == 0)
		report_warn(task->setup.report, code, failure->message, strlen(failure->message));
}

/* Some servers speak only settings that are no longer sound. Whether this is one takes a second
 * conversation to learn, which the task's starter makes; the script goes on here as with any failure. */
static void note_curable(struct task *task, const struct conn *conn)
{
	if (task->setup.manner != TLS_STRICT || conn != task->setup.conn || !tls_curable(conn_failure(conn)))
		return;
	if (!task->tls_failure)
		task->tls_failure = malloc(sizeof *task->tls_failure);
	if (!task->tls_failure)
		return;
	*task->tls_failure = *conn_failure(conn);
	report_hold(task->setup.report);
}

static int starttls_step(lua_State *L, struct task *task)
{
	const struct task_setup *setup = &task->setup;
	struct handle           *handle = check_handle(L);
	struct conn             *conn = handle->conn;
	struct tls_context      *server = lua_touserdata(L, 2);
	const char              *name = lua_isstring(L, 3) ? lua_tostring(L, 3) : handle->host;
	enum io                  result;

	vm_pause(setup->vm);
	result = conn_starttls(conn, server ? server : setup->vm->tls, setup->manner,
	                       setup->nameless ? NULL : name);
	vm_go_on(setup->vm, L);
	if (result == IO_DONE)
		return push_tls(L, conn);
	if (result == IO_FAILED) {
		note_injection(task, conn);
		note_curable(task, conn);
	}
	return not_done(L, task, conn, result);
}

/* "; did you mean tls?", or nothing. [-0, +1, m] */
static const char *push_hint(lua_State *L, const char *name, const char *const *names, size_t count)
{
	const char *nearest = nearest_name(name, names, count);

	return nearest ? lua_pushfstring(L, "; did you mean %s?", nearest) : lua_pushstring(L, "");
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void conn_api_options(lua_State *L, int index, const char *const *names, size_t count)
{
	const char *name;

	luaL_checktype(L, index, LUA_TTABLE);
	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		lua_pop(L, 1);
		luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index, "options are NAME = VALUE");
		name = lua_tostring(L, -1);
		if (!is_among(name, names, count))
			luaL_argerror(L, index,
			              lua_pushfstring(L, "there is no option %s%s", name,
			                              push_hint(L, name, names, count)));
	}
}

/* [-0, +2, e] From the options at slot 2: the context to be a server with, or nil; the name for SNI, or nil. */
static void read_options(lua_State *L)
{
	static const char *const names[] = { "server", "certificate", "name" };

	luaL_argcheck(L, vm_of(L)->trusted, 2, "options are for programs of your own (-e, --run, -i)");
	conn_api_options(L, 2, names, sizeof names / sizeof *names);
	lua_getfield(L, 2, "server");
	if (lua_toboolean(L, -1)) {
		lua_getfield(L, 2, "certificate");
		lua_pushlightuserdata(L, serve_api_context(L, luaL_optstring(L, -1, NULL)));
	} else {
		lua_pushnil(L);
	}
	lua_getfield(L, 2, "name");
}

/* conn:starttls([{server = true, certificate = FILE, name = NAME}]). Slots: 1 conn, 2 context, 3 name. */
static int method_starttls(lua_State *L)
{
	struct conn *conn = check_open(L);

	if (conn_secure(conn))
		return luaL_error(L, "conn speaks TLS already");
	lua_settop(L, 2);
	if (lua_isnil(L, 2)) {
		lua_settop(L, 1);
	} else {
		read_options(L);
		lua_replace(L, 3);
		lua_replace(L, 2);
		lua_settop(L, 3);
	}
	return wait_run(L, starttls_step, reply_timeout(L));
}

/* While a probe is being ended, whose handle it is cannot be told; what is the probe's is closed with it. */
static int method_close(lua_State *L)
{
	struct handle *handle = check_type(L);

	if (!handle->conn || (!vm_of(L)->running && !vm_of(L)->trusted))
		return 0;
	check_own(L, handle);
	if (handle->waiter)
		wait_soon(handle->waiter);
	if (!handle->owned)
		conn_close(handle->conn);
	scope_drop(&handle->held);
	return 0;
}

static int collect(lua_State *L)
{
	struct handle *handle = lua_touserdata(L, 1);

	scope_drop(&handle->held);
	return 0;
}

/* --- fields ---------------------------------------------------------------------------------- */

static int push_address(lua_State *L, const struct address *address)
{
	char text[ADDRESS_TEXT];

	if (address_family(address) == AF_UNSPEC)
		return 0;
	address_format(address, text);
	lua_pushstring(L, text);
	return 1;
}

static int push_port(lua_State *L, const struct address *address)
{
	if (address_family(address) == AF_UNSPEC)
		return 0;
	lua_pushinteger(L, address_port(address));
	return 1;
}

static int push_local(lua_State *L, const struct conn *conn)
{
	struct address local;

	if (!conn_local(conn, &local))
		return 0;
	return push_address(L, &local);
}

static int push_unread(lua_State *L, const struct conn *conn)
{
	size_t length;

	conn_unread(conn, &length);
	lua_pushinteger(L, (lua_Integer)length);
	return 1;
}

enum fact { FACT_HOST, FACT_ADDRESS, FACT_PORT, FACT_SERVICE, FACT_LOCAL, FACT_TLS, FACT_UNREAD, FACTS };

static const char *const facts[] = { "host", "address", "port", "service", "local_address", "tls", "unread" };

static int fail_nameless(lua_State *L, const char *field)
{
	const char *names[16];
	size_t      count = 0;
	bool        is_method;

	while (count < sizeof names / sizeof *names && (names[count] = conn_api_member(count, &is_method)))
		count++;
	return luaL_error(L, "conn has no field or method \"%s\"%s", field,
	                  push_hint(L, field, names, count));
}

static int push_fact(lua_State *L, const struct handle *handle, enum fact fact)
{
	struct conn *conn = handle->conn;

	switch (fact) {
	case FACT_ADDRESS:
		return push_address(L, conn_remote(conn));
	case FACT_PORT:
		return push_port(L, conn_remote(conn));
	case FACT_LOCAL:
		return push_local(L, conn);
	case FACT_TLS:
		return push_tls(L, conn);
	case FACT_UNREAD:
		return push_unread(L, conn);
	case FACT_HOST:
		lua_pushstring(L, handle->host);
		return 1;
	default:
		lua_pushstring(L, handle->service);
		return 1;
	}
}

/* conn.name. Upvalue 1 has all names: a method stands there itself, which makes sure whose handle it is, and a fact as
 * its number. */
static int conn_index(lua_State *L)
{
	struct handle *handle;
	int            type;

	lua_pushvalue(L, 2);
	type = lua_rawget(L, lua_upvalueindex(1));
	if (type == LUA_TFUNCTION)
		return 1;
	handle = check_type(L); /* debug.getmetatable leads here with anything */
	luaL_checktype(L, 2, LUA_TSTRING);
	if (!handle->conn)
		return luaL_error(L, "conn is closed");
	if (type != LUA_TNUMBER)
		return fail_nameless(L, lua_tostring(L, 2));
	check_own(L, handle);
	return push_fact(L, handle, (enum fact)lua_tointeger(L, -1));
}

static int conn_tostring(lua_State *L)
{
	const struct handle *handle = luaL_checkudata(L, 1, conn_type);

	if (!handle->conn)
		lua_pushliteral(L, "conn (closed)");
	else if (address_family(conn_remote(handle->conn)) == AF_UNSPEC)
		lua_pushfstring(L, "conn to %s", handle->host);
	else
		lua_pushfstring(L, "conn to %s port %d%s", handle->host,
		                (int)address_port(conn_remote(handle->conn)),
		                conn_secure(handle->conn) ? ", TLS" : "");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "readline", method_readline },   { "readuntil", method_readuntil },
	{ "readwhile", method_readwhile }, { "read", method_read },
	{ "write", method_write },         { "starttls", method_starttls },
	{ "close", method_close },         { NULL, NULL },
};

const struct handle *conn_api_handle(lua_State *L, int index)
{
	return luaL_testudata(L, index, conn_type);
}

const char *conn_api_member(size_t n, bool *is_method)
{
	size_t count = sizeof methods / sizeof *methods - 1;

	*is_method = n < count;
	if (n < count)
		return methods[n].name;
	return n - count < FACTS ? facts[n - count] : NULL;
}

void conn_api_register(lua_State *L)
{
	luaL_newmetatable(L, conn_type);
	luaL_newlib(L, methods);
	for (int fact = 0; fact < FACTS; fact++) {
		lua_pushinteger(L, fact);
		lua_setfield(L, -2, facts[fact]);
	}
	lua_pushcclosure(L, conn_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, method_close);
	lua_setfield(L, -2, "__close");
	if (vm_of(L)->trusted) {
		lua_pushcfunction(L, collect);
		lua_setfield(L, -2, "__gc");
	}
	lua_pushcfunction(L, conn_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
