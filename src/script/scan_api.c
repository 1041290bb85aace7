#include "script/scan_api.h"

#include "base/escape.h"
#include "script/conn_api.h"
#include "script/dial_api.h"
#include "script/greeting.h"
#include "script/serve_api.h"
#include "script/socket_error.h"
#include "script/spawn_api.h"
#include "script/vm.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

enum { ESCAPE_COLUMNS = 200 };

/* The longest bytes that are written as hex or base64; what is read may have four times as many characters. */
enum { ENCODED = 64 * 1024 };

static int sleep_step(lua_State *L, struct task *task)
{
	(void)L;
	return task->wait.expired ? 0 : wait_end(task);
}

/* scan.sleep(seconds) */
static int scan_sleep(lua_State *L)
{
	double seconds = luaL_checknumber(L, 1);

	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 1, "seconds from 0 to 86400");
	return wait_run(L, sleep_step, seconds);
}

/* scan.now(): seconds on a clock that only goes forward */
static int scan_now(lua_State *L)
{
	lua_pushnumber(L, (double)clock_now() / 1e9);
	return 1;
}

enum { ESCAPED = 16 * ESCAPE_COLUMNS }; /* bytes that a text escaped has at most */

/* scan.escape(s): as the report would print it */
static int scan_escape(lua_State *L)
{
	size_t        length;
	const char   *bytes = luaL_checklstring(L, 1, &length);
	struct buffer text;
	char          shown[ESCAPED];

	buffer_init(&text, ESCAPED);
	escape_terminal(&text, bytes, length, ESCAPE_COLUMNS);
	memcpy(shown, buffer_bytes(&text), buffer_length(&text));
	length = buffer_length(&text);
	buffer_free(&text);
	lua_pushlstring(L, shown, length); /* may raise: nothing is held by now */
	return 1;
}

/* Argument 1. Work beside the matching of strings is bounded, too. [-0, +0, e] */
static const char *check_bytes(lua_State *L, size_t *length, size_t most)
{
	const char *bytes = luaL_checklstring(L, 1, length);

	luaL_argcheck(L, *length <= most, 1, "too long");
	return bytes;
}

/* scan.hex(bytes): two digits a byte */
static int scan_hex(lua_State *L)
{
	size_t      length;
	const char *bytes = check_bytes(L, &length, ENCODED);
	luaL_Buffer text;

	hex_encode(luaL_buffinitsize(L, &text, HEX_ROOM(length)), bytes, length);
	luaL_pushresultsize(&text, HEX_ROOM(length));
	return 1;
}

/* scan.base64(bytes): padded, in one line */
static int scan_base64(lua_State *L)
{
	size_t      length;
	const char *bytes = check_bytes(L, &length, ENCODED);
	luaL_Buffer text;

	base64_encode(luaL_buffinitsize(L, &text, BASE64_ROOM(length)), bytes, length);
	luaL_pushresultsize(&text, BASE64_ROOM(length));
	return 1;
}

/* The bytes that a text stands for, or nil. [-0, +1, e] */
static int decode(lua_State *L, bool (*into)(char *, size_t *, const char *, size_t))
{
	size_t      length, count;
	const char *text = check_bytes(L, &length, 4 * ENCODED);
	luaL_Buffer bytes;

	if (into(luaL_buffinitsize(L, &bytes, length), &count, text, length))
		luaL_pushresultsize(&bytes, count);
	else
		lua_pushnil(L);
	return 1;
}

/* scan.unhex(text) */
static int scan_unhex(lua_State *L)
{
	return decode(L, hex_decode);
}

/* scan.unbase64(text) */
static int scan_unbase64(lua_State *L)
{
	return decode(L, base64_decode);
}

/* scan.is_error(e): was it the network, not a bug? */
static int scan_is_error(lua_State *L)
{
	struct failure failure;

	luaL_checkany(L, 1);
	lua_pushboolean(L, socket_error_read(L, 1, &failure));
	return 1;
}

/* scan.classify(line): the probe whose greeting it fits, or else what it looks like, or nil */
static int scan_classify(lua_State *L)
{
	const char *name, *line;
	size_t      length;

	line = luaL_checklstring(L, 1, &length);
	name = greeting_owner(vm_of(L)->catalogue, line, length, GREETING_NONE);
	lua_pushstring(L, name ? name : greeting_likeness(line, length));
	return 1;
}

/* --- scan.connect(port [, {tls = true}]) ----------------------------------------------------- */

/* Slots: 1 port, 2 options, 3 handle. The conn's own state tells how far it has come. */
static int connect_step(lua_State *L, struct task *task)
{
	struct handle *handle = lua_touserdata(L, 3);
	struct conn   *conn = handle->conn;
	enum io        result;

	if (!conn_open(conn)) {
		struct address address = *conn_remote(task->setup.conn);

		address_set_port(&address, (uint16_t)lua_tointeger(L, 1));
		result = task->setup.dial ? task->setup.dial(task->setup.dialer, conn, &address)
		                          : conn_connect(conn, &address);
	} else {
		result = conn_connected(conn);
	}
	vm_pause(task->setup.vm);
	if (result == IO_DONE && lua_toboolean(L, 2))
		result = conn_starttls(conn, task->setup.vm->tls, TLS_LEGACY, task->setup.host);
	vm_go_on(task->setup.vm, L);
	if (result == IO_FAILED)
		return socket_error_raise(L, conn);
	return result == IO_DONE ? 1 : wait_for(task, &handle->waiter, conn, result);
}

static int scan_connect(lua_State *L)
{
	static const char *const names[] = { "tls" };
	struct task             *task = wait_task(L);
	lua_Integer              port = luaL_checkinteger(L, 1);
	double                   seconds = task->setup.connect_timeout;

	luaL_argcheck(L, port >= 1 && port <= 65535, 1, "a port from 1 to 65535");
	if (!lua_isnoneornil(L, 2)) {
		lua_settop(L, 2);
		conn_api_options(L, 2, names, 1);
		lua_getfield(L, 2, "tls");
		lua_replace(L, 2);
	}
	lua_settop(L, 2);
	if (lua_toboolean(L, 2))
		seconds += task->setup.reply_timeout;
	conn_api_open(L, task);
	return wait_run(L, connect_step, seconds);
}

static const luaL_Reg functions[] = {
	{ "connect", scan_connect },
	{ "sleep", scan_sleep },
	{ "now", scan_now },
	{ "escape", scan_escape },
	{ "hex", scan_hex },
	{ "unhex", scan_unhex },
	{ "base64", scan_base64 },
	{ "unbase64", scan_unbase64 },
	{ "is_error", scan_is_error },
	{ "classify", scan_classify },
	{ NULL, NULL },
};

/* scan.connect in a trusted state: a probe's, or with any host. */
static int connect_anywhere(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TNUMBER && wait_task(L)->setup.conn)
		return scan_connect(L);
	return dial_api_connect(L);
}

/* What there is more for programs of the user's own. */
static const luaL_Reg author_functions[] = {
	{ "connect", connect_anywhere }, { "resolve", dial_api_resolve }, { "listen", serve_api_listen },
	{ "pair", serve_api_pair },      { "spawn", spawn_api_spawn },    { NULL, NULL },
};

void scan_api_push(lua_State *L)
{
	luaL_newlib(L, functions);
	if (!vm_of(L)->trusted)
		return;
	dial_api_register(L);
	serve_api_register(L);
	spawn_api_register(L);
	luaL_setfuncs(L, author_functions, 0);
}
