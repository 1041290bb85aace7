/* What a program of the user's own needs to be a server: scan.listen, listener:accept, scan.pair, and the other
 * side of TLS. */
#ifndef SCRIPT_SERVE_API_H
#define SCRIPT_SERVE_API_H

#include <stdbool.h>
#include <stddef.h>

struct lua_State;
struct tls_context;

void serve_api_register(struct lua_State *L); /* [-0, +0, m] */

/* scan.listen([address [, port]]): on 127.0.0.1 and at a port that the system chooses, unless told otherwise. */
int serve_api_listen(struct lua_State *L);

/* scan.pair(): two connections that are each other's other side. */
int serve_api_pair(struct lua_State *L);

/* The context for the server's side of TLS, with the certificate and key of a PEM file or, NULL, one made on the
 * spot. It lasts as long as the Lua state. Raises why there is none. [-0, +0, e] */
struct tls_context *serve_api_context(struct lua_State *L, const char *pem);

/* Is the value at `index` a listener? The names of its methods and facts: the n-th, or NULL behind the last. */
bool        serve_api_listens(struct lua_State *L, int index);
const char *serve_api_member(size_t n, bool *is_method);

#endif
