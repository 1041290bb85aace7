#include "script/conn_api.h"

#include "script/value.h"
#include "script/vm.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

static const char conn_type[] = "conn";
static const char error_type[] = "socket error";

/* --- errors ---------------------------------------------------------------------------------- */

static void set_text(lua_State *L, const char *key, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, key);
}

static void push_error(lua_State *L, const struct failure *failure)
{
	lua_createtable(L, 0, 5);
	set_text(L, "phase", phase_name(failure->phase));
	set_text(L, "code", failure->code);
	set_text(L, "message", failure->message);
	if (failure->error != 0) {
		lua_pushinteger(L, failure->error);
		lua_setfield(L, -2, "errno");
	}
	luaL_setmetatable(L, error_type);
}

/* What had come of the line that was waited for is the error's `partial`. */
int conn_api_raise_failure(lua_State *L, const struct failure *failure, struct conn *conn)
{
	size_t      length = 0;
	const char *bytes = conn ? conn_unread(conn, &length) : NULL;

	push_error(L, failure);
	if (length > 0) {
		lua_pushlstring(L, bytes, length);
		lua_setfield(L, -2, "partial");
	}
	return lua_error(L);
}

int conn_api_raise(lua_State *L, struct conn *conn)
{
	return conn_api_raise_failure(L, conn_failure(conn), conn);
}

/* [-0, +0, -] Copy a text field of the table at `index`. */
static void get_text(lua_State *L, int index, const char *key, char *text, size_t size)
{
	const char *value;

	lua_pushstring(L, key);
	value = lua_rawget(L, index) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	snprintf(text, size, "%s", value);
	lua_pop(L, 1);
}

bool conn_api_error(lua_State *L, int index, struct failure *failure)
{
	char phase[16];
	bool same;

	index = lua_absindex(L, index);
	if (!lua_istable(L, index) || !lua_getmetatable(L, index))
		return false;
	luaL_getmetatable(L, error_type);
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	if (!same)
		return false;
	failure_clear(failure);
	get_text(L, index, "phase", phase, sizeof phase);
	failure->phase = phase_of_name(phase);
	get_text(L, index, "code", failure->code, sizeof failure->code);
	get_text(L, index, "message", failure->message, sizeof failure->message);
	lua_pushliteral(L, "errno");
	lua_rawget(L, index);
	failure->error = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (failure->phase == PHASE_NONE)
		failure->phase = PHASE_SCRIPT;
	return true;
}

static int error_tostring(lua_State *L)
{
	struct failure failure;

	if (!conn_api_error(L, 1, &failure))
		return luaL_error(L, "not a socket error");
	lua_pushfstring(L, "[%s] %s", phase_name(failure.phase), failure.message);
	return 1;
}

/* --- handles --------------------------------------------------------------------------------- */

/* A handle lives as long as its task, whatever the script does with it: registry[handle] = handle. */
static void anchor(lua_State *L, const struct handle *handle)
{
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, handle);
}

/* To set what is there to nil takes no memory, so it cannot fail. */
static void let_go(const struct task *task, const struct handle *handle)
{
	lua_State *L = task->setup.vm->state;

	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, handle);
}

struct handle *conn_api_push(lua_State *L, struct task *task, struct conn *conn, bool owned)
{
	struct handle *handle;

	if (task->handle_count == TASK_CONNS)
		luaL_error(L, "a probe has at most %d connections", TASK_CONNS);
	handle = lua_newuserdatauv(L, sizeof *handle, 1);
	handle->conn = conn;
	handle->owned = owned;
	handle->mark = conn_type;
	luaL_setmetatable(L, conn_type);
	anchor(L, handle);
	task->handles[task->handle_count++] = handle;
	return handle;
}

void conn_api_release(struct task *task)
{
	for (size_t i = 0; i < task->handle_count; i++) {
		struct handle *handle = task->handles[i];

		if (handle->owned)
			conn_free(handle->conn);
		handle->conn = NULL;
		let_go(task, handle);
	}
	task->handle_count = 0;
}

/* Each verb comes here, so the type is told by a mark in the handle and not by a look for its name. */
static struct handle *check_handle(lua_State *L)
{
	struct handle *handle = lua_touserdata(L, 1);

	if (!handle || lua_rawlen(L, 1) != sizeof *handle || handle->mark != conn_type)
		return luaL_checkudata(L, 1, conn_type); /* raises, in the usual words */
	return handle;
}

static struct conn *check_open(lua_State *L)
{
	struct handle *handle = check_handle(L);

	if (!handle->conn)
		luaL_error(L, "conn is closed");
	return handle->conn;
}

/* Seconds at `index`, or the default where there are none. */
static double check_seconds(lua_State *L, int index, double otherwise)
{
	double seconds = luaL_optnumber(L, index, otherwise);

	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, index, "seconds from 0 to 86400");
	return seconds;
}

static double reply_timeout(lua_State *L)
{
	return wait_task(L)->setup.reply_timeout;
}

/* Wait for what the try wants, or raise why it failed. [-0, +0, e] */
static int not_done(lua_State *L, struct task *task, struct conn *conn, enum io result)
{
	return result == IO_FAILED ? conn_api_raise(L, conn) : wait_for(task, conn, result);
}

/* --- methods: Lua's conn:name(...) ----------------------------------------------------------- */

/* The first line of the first connection tells what the server really speaks. */
static void note_first(struct task *task, const struct conn *conn, const struct line *line)
{
	if (task->first_seen || conn != task->setup.conn)
		return;
	task->first_seen = true;
	task->first_length = line->length < TASK_FIRST_LINE ? line->length : TASK_FIRST_LINE;
	memcpy(task->first, line->bytes, task->first_length);
}

static int readline_step(lua_State *L, struct task *task)
{
	struct conn *conn = check_open(L);
	struct line  line;
	enum io      result = conn_readline(conn, &line);

	if (result != IO_DONE)
		return not_done(L, task, conn, result);
	note_first(task, conn, &line);
	lua_pushlstring(L, line.bytes, line.length);
	if (!line.cut)
		return 1;
	lua_pushboolean(L, true);
	return 2;
}

static int method_readline(lua_State *L)
{
	double seconds = check_seconds(L, 2, reply_timeout(L));

	check_open(L);
	lua_settop(L, 1);
	return wait_run(L, readline_step, seconds);
}

static int read_step(lua_State *L, struct task *task)
{
	struct conn *conn = check_open(L);
	struct line  bytes;
	enum io      result = conn_read(conn, (size_t)lua_tointeger(L, 2), &bytes);

	if (result != IO_DONE)
		return not_done(L, task, conn, result);
	lua_pushlstring(L, bytes.bytes, bytes.length);
	return 1;
}

static int method_read(lua_State *L)
{
	double      seconds = check_seconds(L, 3, reply_timeout(L));
	lua_Integer count = luaL_optinteger(L, 2, 0);

	luaL_argcheck(L, lua_isnoneornil(L, 2) || (count >= 1 && count <= CONN_RECEIVED), 2, "1 to 65536 bytes");
	check_open(L);
	lua_settop(L, 1);
	lua_pushinteger(L, count);
	return wait_run(L, read_step, seconds);
}

static int write_step(lua_State *L, struct task *task)
{
	struct conn *conn = check_open(L);
	size_t       length;
	const char  *bytes = lua_tolstring(L, 2, &length);
	enum io      result = conn_write(conn, bytes, length);

	if (result == IO_DONE)
		return 0;
	return not_done(L, task, conn, result);
}

static int method_write(lua_State *L)
{
	check_open(L);
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

	value_push(L, facts);
	json_decref(facts);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, 1);
	return 1;
}

/* Injected plain text is a finding whatever the script makes of the error. */
static void note_injection(struct task *task, const struct conn *conn)
{
	static const char     code[] = "plaintext-at-starttls";
	const struct failure *failure = conn_failure(conn);

	if (strcmp(failure->code, code) == 0)
		report_warn(task->setup.report, code, failure->message, strlen(failure->message));
}

/* Some servers speak only settings that are no longer sound. Whether this is one takes a second
 * conversation to learn, which the task's starter makes; the script goes on here as with any failure. */
static void note_curable(struct task *task, const struct conn *conn)
{
	if (task->setup.manner != TLS_STRICT || conn != task->setup.conn || !tls_curable(conn_failure(conn)))
		return;
	task->tls_failure = *conn_failure(conn);
	report_hold(task->setup.report);
}

static int starttls_step(lua_State *L, struct task *task)
{
	const struct task_setup *setup = &task->setup;
	struct conn             *conn = check_open(L);
	const char              *name = setup->nameless ? NULL : setup->host;
	enum io                  result;

	vm_pause(setup->vm);
	result = conn_starttls(conn, setup->vm->tls, setup->manner, name);
	vm_go_on(setup->vm, L);
	if (result == IO_DONE)
		return push_tls(L, conn);
	if (result == IO_FAILED) {
		note_injection(task, conn);
		note_curable(task, conn);
	}
	return not_done(L, task, conn, result);
}

static int method_starttls(lua_State *L)
{
	struct conn *conn = check_open(L);

	luaL_argcheck(L, !conn_secure(conn), 1, "speaks TLS already");
	lua_settop(L, 1);
	return wait_run(L, starttls_step, reply_timeout(L));
}

static int method_close(lua_State *L)
{
	struct handle *handle = check_handle(L);

	if (!handle->conn)
		return 0;
	if (handle->owned)
		conn_free(handle->conn);
	else
		conn_close(handle->conn);
	handle->conn = NULL;
	return 0;
}

/* --- fields ---------------------------------------------------------------------------------- */

static int push_address(lua_State *L, const struct address *address)
{
	char text[ADDRESS_TEXT];

	address_format(address, text);
	lua_pushstring(L, text);
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

static int push_field(lua_State *L, struct conn *conn, const char *field)
{
	const struct task *task = wait_task(L);

	if (strcmp(field, "tls") == 0)
		return push_tls(L, conn);
	if (strcmp(field, "address") == 0)
		return push_address(L, conn_remote(conn));
	if (strcmp(field, "local_address") == 0)
		return push_local(L, conn);
	if (strcmp(field, "unread") == 0)
		return push_unread(L, conn);
	if (strcmp(field, "port") == 0)
		lua_pushinteger(L, address_port(conn_remote(conn)));
	else if (strcmp(field, "host") == 0)
		lua_pushstring(L, task->setup.host);
	else if (strcmp(field, "service") == 0)
		lua_pushstring(L, task->setup.service);
	else
		return luaL_error(L, "conn has no field or method \"%s\"", field);
	return 1;
}

/* conn.name: a method (upvalue 1 holds them) or a fact. */
static int conn_index(lua_State *L)
{
	struct handle *handle = check_handle(L);

	luaL_checktype(L, 2, LUA_TSTRING);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	if (!handle->conn)
		return luaL_error(L, "conn is closed");
	return push_field(L, handle->conn, lua_tostring(L, 2));
}

static const luaL_Reg methods[] = {
	{ "readline", method_readline }, { "read", method_read },   { "write", method_write },
	{ "starttls", method_starttls }, { "close", method_close }, { NULL, NULL },
};

void conn_api_register(lua_State *L)
{
	luaL_newmetatable(L, conn_type);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, conn_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, method_close);
	lua_setfield(L, -2, "__close");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);

	luaL_newmetatable(L, error_type);
	lua_pushcfunction(L, error_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
