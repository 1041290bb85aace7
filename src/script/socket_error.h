/* Socket errors as scripts catch them: a table {phase, code, message, errno, partial} whose tostring is
 * "[phase] message". `partial` is what had come of what was waited for.
 */
#ifndef SCRIPT_SOCKET_ERROR_H
#define SCRIPT_SOCKET_ERROR_H

#include "base/failure.h"
#include "net/conn.h"

#include <stdbool.h>

struct lua_State;

/* Make the metatable. [-0, +0, m] */
void socket_error_register(struct lua_State *L);

/* Raise one. The first raises the connection's own failure; in the second `conn` (may be NULL) is for `partial` only.
 * [-0, +0, e] */
int socket_error_raise(struct lua_State *L, struct conn *conn);
int socket_error_raise_failure(struct lua_State *L, const struct failure *failure, struct conn *conn);

/* Is the value at `index` one? If so fill `failure` from it. [-0, +0, -] */
bool socket_error_read(struct lua_State *L, int index, struct failure *failure);

#endif
