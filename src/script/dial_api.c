#include "script/dial_api.h"

#include "net/resolve.h"
#include "script/conn_api.h"
#include "script/socket_error.h"
#include "script/wait.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>

static const char dial_type[] = "dial";

/* How far an attempt has come. A userdata, so that a look-up is given up when nobody wants it any more. */
struct dial {
	struct resolve  *resolve; /* under way, or NULL */
	struct task     *waiter;
	struct addresses addresses; /* none: not yet known */
	struct failure   failure;   /* of the look-up */
	size_t           next;      /* the address to try next */
	bool             trying, connected, securing;
	bool             tls;
	uint16_t         port;
	double           timeout;
};

/* --- names ----------------------------------------------------------------------------------- */

static void resolved(void *owner, const struct addresses *addresses, const struct failure *failure)
{
	struct dial *dial = owner;

	dial->resolve = NULL;
	if (addresses)
		dial->addresses = *addresses;
	else
		dial->failure = *failure;
	if (dial->waiter)
		wait_over(dial->waiter);
}

static enum io ask(struct task *task, struct dial *dial, const char *name)
{
	if (!dial->resolve)
		dial->resolve = resolve_start(task->setup.vm->loop, name, task->scope->family, resolved, dial,
		                              &dial->failure);
	return dial->resolve ? IO_WANT_READ : IO_FAILED;
}

/* An address is its own answer. */
static enum io look_up(struct task *task, struct dial *dial, const char *name)
{
	if (failure_present(&dial->failure))
		return IO_FAILED;
	if (dial->addresses.count > 0)
		return IO_DONE;
	if (!address_parse(&dial->addresses.address[0], name))
		return ask(task, dial, name);
	dial->addresses.count = 1;
	return IO_DONE;
}

static int collect(lua_State *L)
{
	struct dial *dial = lua_touserdata(L, 1);

	resolve_cancel(dial->resolve);
	dial->resolve = NULL;
	return 0;
}

static struct dial *push_dial(lua_State *L)
{
	struct dial *dial = lua_newuserdatauv(L, sizeof *dial, 0);

	*dial = (struct dial){ .timeout = wait_task(L)->setup.connect_timeout };
	luaL_setmetatable(L, dial_type);
	return dial;
}

static void push_addresses(lua_State *L, const struct addresses *addresses)
{
	char text[ADDRESS_TEXT];

	lua_createtable(L, (int)addresses->count, 0);
	for (size_t i = 0; i < addresses->count; i++) {
		address_format(&addresses->address[i], text);
		lua_pushstring(L, text);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

/* Slots: 1 name, 2 dial. */
static int resolve_step(lua_State *L, struct task *task)
{
	struct dial *dial = lua_touserdata(L, 2);
	enum io      result = look_up(task, dial, lua_tostring(L, 1));

	if (result == IO_FAILED)
		return socket_error_raise_failure(L, &dial->failure, NULL);
	if (result != IO_DONE)
		return wait_other(task, &dial->waiter);
	push_addresses(L, &dial->addresses);
	return 1;
}

int dial_api_resolve(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	push_dial(L);
	return wait_run(L, resolve_step, INFINITY); /* the look-up has an end of its own */
}

/* --- connecting ------------------------------------------------------------------------------ */

enum { SLOT_HOST = 1, SLOT_NAME, SLOT_DIAL, SLOT_HANDLE };

/* What came of the address that is being tried. */
static enum io attempted(const struct task *task, const struct dial *dial, struct conn *conn)
{
	enum io result = conn_connected(conn);

	if (result != IO_WANT_WRITE || !task->wait.expired)
		return result;
	conn_overdue(conn, dial->timeout);
	return IO_FAILED;
}

/* One address after the other. */
static enum io reach(struct task *task, struct dial *dial, struct conn *conn)
{
	enum io result = IO_FAILED;

	if (dial->connected)
		return IO_DONE;
	if (dial->trying)
		result = attempted(task, dial, conn);
	while (result == IO_FAILED && dial->next < dial->addresses.count) {
		struct address address = dial->addresses.address[dial->next++];

		address_set_port(&address, dial->port);
		wait_renew(task, dial->timeout);
		dial->trying = true;
		result = conn_connect(conn, &address);
	}
	dial->connected = result == IO_DONE;
	return result;
}

static enum io secure(struct task *task, struct dial *dial, struct conn *conn, const char *name)
{
	if (!dial->securing)
		wait_renew(task, task->setup.reply_timeout);
	dial->securing = true;
	return conn_starttls(conn, task->setup.vm->tls, TLS_LEGACY, name);
}

static int connect_step(lua_State *L, struct task *task)
{
	struct dial   *dial = lua_touserdata(L, SLOT_DIAL);
	struct handle *handle = lua_touserdata(L, SLOT_HANDLE);
	enum io        result = look_up(task, dial, lua_tostring(L, SLOT_HOST));

	if (result == IO_FAILED)
		return socket_error_raise_failure(L, &dial->failure, NULL);
	if (result != IO_DONE)
		return wait_other(task, &dial->waiter);
	result = reach(task, dial, handle->conn);
	if (result == IO_DONE && dial->tls)
		result = secure(task, dial, handle->conn, lua_tostring(L, SLOT_NAME));
	if (result == IO_FAILED)
		return socket_error_raise(L, handle->conn);
	return result == IO_DONE ? 1 : wait_for(task, &handle->waiter, handle->conn, result);
}

/* From the options at slot 3, the name for TLS goes to slot 2. */
static void read_options(lua_State *L, struct dial *dial)
{
	static const char *const names[] = { "tls", "timeout", "name" };

	if (lua_isnoneornil(L, 3))
		return;
	conn_api_options(L, 3, names, sizeof names / sizeof *names);
	lua_getfield(L, 3, "tls");
	dial->tls = lua_toboolean(L, -1);
	lua_getfield(L, 3, "timeout");
	dial->timeout = luaL_optnumber(L, -1, dial->timeout);
	luaL_argcheck(L, dial->timeout > 0 && dial->timeout <= 86400, 3, "timeout: seconds up to 86400");
	lua_getfield(L, 3, "name");
	luaL_argcheck(L, lua_isnil(L, -1) || lua_isstring(L, -1), 3, "name: a text");
	if (!lua_isnil(L, -1))
		lua_replace(L, 2);
	lua_settop(L, 4);
}

int dial_api_connect(lua_State *L)
{
	struct task   *task = wait_task(L);
	lua_Integer    port = luaL_checkinteger(L, 2);
	struct dial   *dial;
	struct handle *handle;

	luaL_checkstring(L, 1);
	luaL_argcheck(L, port >= 1 && port <= 65535, 2, "a port from 1 to 65535");
	lua_settop(L, 3);
	lua_pushvalue(L, 1);
	lua_replace(L, 2);
	dial = push_dial(L);
	dial->port = (uint16_t)port;
	read_options(L, dial);
	lua_replace(L, SLOT_DIAL);
	handle = conn_api_open(L, task);
	lua_pushvalue(L, SLOT_HOST);
	conn_api_name(L, SLOT_HANDLE, handle);
	return wait_run(L, connect_step, INFINITY); /* each part has an end of its own */
}

void dial_api_register(lua_State *L)
{
	luaL_newmetatable(L, dial_type);
	lua_pushcfunction(L, collect);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}
