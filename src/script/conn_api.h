/* `conn` as scripts see it, and the socket errors that they can catch.
 *
 * Lua holds a handle, C owns the connection: once it is closed or its task is over the handle is
 * empty, and using it raises "conn is closed".
 */
#ifndef SCRIPT_CONN_API_H
#define SCRIPT_CONN_API_H

#include "base/failure.h"
#include "net/conn.h"
#include "script/task.h"

#include <stdbool.h>

struct lua_State;

struct handle {
	struct conn *conn;  /* NULL once closed or over */
	bool         owned; /* opened by the probe: the task frees it */
	const char  *mark;  /* tells it from any other userdata of its size */
};

/* Make the metatables. [-0, +0, m] */
void conn_api_register(struct lua_State *L);

/* Push a handle of `task` for `conn`; raises past TASK_CONNS. `conn` may be set later. [-0, +1, e] */
struct handle *conn_api_push(struct lua_State *L, struct task *task, struct conn *conn, bool owned);

/* Empty all handles of the task; connections that it owns are closed and freed. Never raises. */
void conn_api_release(struct task *task);

/* Raise a socket error: a table {phase, code, message, errno, partial} whose tostring is "[phase] message".
 * The first raises the connection's own failure; in the second `conn` (may be NULL) is for `partial` only. */
int conn_api_raise(struct lua_State *L, struct conn *conn);
int conn_api_raise_failure(struct lua_State *L, const struct failure *failure, struct conn *conn);

/* Is the value at `index` a socket error? If so fill `failure` from it. [-0, +0, -] */
bool conn_api_error(struct lua_State *L, int index, struct failure *failure);

#endif
