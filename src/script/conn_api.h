/* `conn` as scripts see it. Its errors are those of socket_error.h.
 *
 * Lua holds a handle, C owns the connection: once it is closed or its task is over the handle is
 * empty, and using it raises "conn is closed".
 */
#ifndef SCRIPT_CONN_API_H
#define SCRIPT_CONN_API_H

#include "net/conn.h"
#include "script/task.h"

#include <stdbool.h>

struct lua_State;

struct handle {
	struct held       held;
	const char       *mark;   /* tells it from any other userdata of its size */
	struct conn      *conn;   /* NULL once closed or over */
	struct lua_State *anchor; /* NULL, or the state in which it is kept from the collector */
	struct scope     *scope;
	struct task      *waiter;
	struct observer   observer;
	moment            since;   /* opened */
	const char       *host;    /* as the user named it */
	const char       *service; /* NULL: none */
	bool              owned;   /* opened by the script: it is freed with the handle */
	bool              serves;  /* accepted: the other side is the client */
	bool              writing; /* a part of some bytes is written; no others may come between */
};

/* Make the metatables. [-0, +0, m] */
void conn_api_register(struct lua_State *L);

/* Push a handle for a connection of others, to `host`. The caller sees to it that it lasts as long as the task.
 * [-0, +1, e] */
struct handle *conn_api_push(struct lua_State *L, struct task *task, struct conn *conn, const char *host);

/* Push a handle with a connection of its own, not yet open; raises past TASK_CONNS. [-0, +1, e] */
struct handle *conn_api_open(struct lua_State *L, struct task *task);

/* The handle, which stands at `index`, is one for the host whose name, a text, is on top of the stack. [-1, +0, -] */
void conn_api_name(struct lua_State *L, int index, struct handle *handle);

/* The connection at `index`; NULL: it is none. [-0, +0, -] */
const struct handle *conn_api_handle(struct lua_State *L, int index);

/* The table of options at `index` has no keys but these; raises what is wrong, with the nearest. [-0, +0, e] */
void conn_api_options(struct lua_State *L, int index, const char *const *names, size_t count);

/* The names of a connection's methods and facts, for completion and help: the n-th, or NULL behind the last. */
const char *conn_api_member(size_t n, bool *is_method);

#endif
