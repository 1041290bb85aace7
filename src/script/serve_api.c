#include "script/serve_api.h"

#include "net/listener.h"
#include "script/conn_api.h"
#include "script/socket_error.h"
#include "script/vm.h"
#include "script/wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char listener_type[] = "listener";
static const char context_type[] = "tls context";

/* What Lua holds of a listener. */
struct ear {
	struct held      held;
	struct listener *listener; /* NULL once closed or over */
	struct task     *waiter;
};

/* --- listeners ------------------------------------------------------------------------------- */

static void drop(struct held *held)
{
	struct ear *ear = (struct ear *)(void *)((char *)held - offsetof(struct ear, held));

	listener_free(ear->listener);
	ear->listener = NULL;
}

static struct ear *check_open(lua_State *L)
{
	struct ear *ear = luaL_checkudata(L, 1, listener_type);

	if (!ear->listener)
		luaL_error(L, "listener is closed");
	return ear;
}

static void knocked(void *owner)
{
	const struct ear *ear = owner;

	if (ear->waiter)
		wait_over(ear->waiter);
}

static void check_address(lua_State *L, struct address *address)
{
	const char *text = luaL_optstring(L, 1, "127.0.0.1");
	lua_Integer port = luaL_optinteger(L, 2, 0);

	luaL_argcheck(L, address_parse(address, strcmp(text, "localhost") == 0 ? "127.0.0.1" : text), 1,
	              "an address of this machine, such as 127.0.0.1 or ::1");
	luaL_argcheck(L, port >= 0 && port <= 65535, 2, "a port, or 0 for any");
	address_set_port(address, (uint16_t)port);
}

int serve_api_listen(lua_State *L)
{
	struct task   *task = wait_owner(L);
	struct address address;
	struct failure failure;
	struct ear    *ear;

	check_address(L, &address);
	ear = lua_newuserdatauv(L, sizeof *ear, 0);
	*ear = (struct ear){ .held = { .drop = drop } };
	luaL_setmetatable(L, listener_type);
	scope_hold(task->scope, &ear->held);
	ear->listener = listener_new(task->setup.vm->loop, &address, knocked, ear, &failure);
	return ear->listener ? 1 : socket_error_raise_failure(L, &failure, NULL);
}

static int method_close(lua_State *L)
{
	struct ear *ear = luaL_checkudata(L, 1, listener_type);

	if (ear->waiter)
		wait_soon(ear->waiter);
	scope_drop(&ear->held);
	return 0;
}

/* --- accepting ------------------------------------------------------------------------------- */

/* The handle at `index` is a connection with the other end of `fd`, which it owns from here on. */
static void adopt(lua_State *L, int index, int fd)
{
	struct handle *handle = lua_touserdata(L, index);
	char           host[ADDRESS_TEXT];

	handle->since = clock_now();
	handle->host = "client"; /* as long as its address is not known */
	if (conn_adopt(handle->conn, fd) != IO_DONE)
		socket_error_raise(L, handle->conn);
	address_format(conn_remote(handle->conn), host);
	lua_pushstring(L, host);
	conn_api_name(L, index, handle);
}

static int fail_alone(lua_State *L, const struct task *task)
{
	struct failure failure;

	failure_set(&failure, PHASE_CONNECT, "timeout", "nobody connected within %g s", task->wait.seconds);
	return socket_error_raise_failure(L, &failure, NULL);
}

/* Slots: 1 listener, 2 handle for the connection to come. */
static int accept_step(lua_State *L, struct task *task)
{
	struct ear    *ear = check_open(L);
	struct failure failure;
	int            fd;
	enum io        result = listener_accept(ear->listener, &fd, &failure);

	if (result == IO_FAILED)
		return socket_error_raise_failure(L, &failure, NULL);
	if (result == IO_DONE) {
		adopt(L, 2, fd);
		return 1;
	}
	if (task->wait.expired)
		return fail_alone(L, task);
	if (ear->waiter)
		return luaL_error(L, "another task waits at this listener");
	return wait_other(task, &ear->waiter);
}

/* listener:accept([seconds]) */
static int method_accept(lua_State *L)
{
	double         seconds = luaL_optnumber(L, 2, INFINITY);
	struct handle *handle;

	luaL_argcheck(L, seconds >= 0, 2, "seconds from 0");
	check_open(L);
	lua_settop(L, 1);
	handle = conn_api_open(L, wait_task(L));
	handle->serves = true;
	return wait_run(L, accept_step, seconds);
}

int serve_api_pair(lua_State *L)
{
	struct task   *task = wait_owner(L);
	struct handle *one, *other;
	struct failure failure;
	int            ends[2];

	lua_settop(L, 0);
	one = conn_api_open(L, task);
	other = conn_api_open(L, task);
	other->serves = true;
	one->host = other->host = "pair";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
		failure_errno(&failure, PHASE_CONNECT, errno);
		return socket_error_raise_failure(L, &failure, NULL);
	}
	if (conn_adopt(one->conn, ends[0]) == IO_FAILED || conn_adopt(other->conn, ends[1]) == IO_FAILED)
		return socket_error_raise(L, conn_open(one->conn) ? other->conn : one->conn);
	return 2;
}

/* --- what Lua sees --------------------------------------------------------------------------- */

static const luaL_Reg methods[] = { { "accept", method_accept }, { "close", method_close }, { NULL, NULL } };
static const char *const facts[] = { "address", "port" };

static int push_field(lua_State *L, const struct ear *ear, const char *field)
{
	char text[ADDRESS_TEXT];

	if (strcmp(field, "port") == 0) {
		lua_pushinteger(L, address_port(listener_address(ear->listener)));
		return 1;
	}
	if (strcmp(field, "address") != 0)
		return luaL_error(L, "listener has no field or method \"%s\"", field);
	address_format(listener_address(ear->listener), text);
	lua_pushstring(L, text);
	return 1;
}

/* listener.name: a method (upvalue 1 holds them) or a fact. */
static int listener_index(lua_State *L)
{
	luaL_checkudata(L, 1, listener_type);
	luaL_checktype(L, 2, LUA_TSTRING);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	return push_field(L, check_open(L), lua_tostring(L, 2));
}

static int listener_tostring(lua_State *L)
{
	const struct ear *ear = luaL_checkudata(L, 1, listener_type);
	char              text[ADDRESS_TEXT];

	if (!ear->listener) {
		lua_pushliteral(L, "listener (closed)");
		return 1;
	}
	address_format(listener_address(ear->listener), text);
	lua_pushfstring(L, "listener at %s port %d", text,
	                (int)address_port(listener_address(ear->listener)));
	return 1;
}

bool serve_api_listens(lua_State *L, int index)
{
	return luaL_testudata(L, index, listener_type) != NULL;
}

const char *serve_api_member(size_t n, bool *is_method)
{
	size_t count = sizeof methods / sizeof *methods - 1;

	*is_method = n < count;
	if (n < count)
		return methods[n].name;
	return n - count < sizeof facts / sizeof *facts ? facts[n - count] : NULL;
}

/* --- TLS ------------------------------------------------------------------------------------- */

static int collect_context(lua_State *L)
{
	struct tls_context **context = lua_touserdata(L, 1);

	tls_context_free(*context);
	*context = NULL;
	return 0;
}

/* [-0, +1, e] */
static struct tls_context *push_context(lua_State *L, const char *pem)
{
	struct tls_context **context = lua_newuserdatauv(L, sizeof(struct tls_context *), 0);
	struct failure       failure;

	*context = NULL;
	luaL_setmetatable(L, context_type);
	*context = tls_context_new_server(pem, &failure);
	if (!*context)
		luaL_error(L, "%s%s", pem ? "" : "a certificate of our own: ", failure.message);
	return *context;
}

/* registry["tls context"].contexts[pem] = the context, once it was made */
struct tls_context *serve_api_context(lua_State *L, const char *pem)
{
	struct tls_context **known, *context;

	luaL_getmetatable(L, context_type);
	lua_getfield(L, -1, "contexts");
	lua_getfield(L, -1, pem ? pem : "");
	known = lua_touserdata(L, -1);
	context = known ? *known : NULL;
	if (!known) {
		context = push_context(L, pem);
		lua_setfield(L, -3, pem ? pem : "");
	}
	lua_pop(L, 3);
	return context;
}

void serve_api_register(lua_State *L)
{
	luaL_newmetatable(L, listener_type);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, listener_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, method_close);
	lua_setfield(L, -2, "__close");
	lua_pushcfunction(L, method_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, listener_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);

	luaL_newmetatable(L, context_type);
	lua_pushcfunction(L, collect_context);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	lua_setfield(L, -2, "contexts");
	lua_pop(L, 1);
}
