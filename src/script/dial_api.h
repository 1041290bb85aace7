/* scan.connect(host, port [, options]) and scan.resolve(name), for programs of the user's own: from a name to
 * addresses to a connection.
 *
 * options: tls = true (from the first byte), name = NAME (for SNI and the certificate; default: host),
 * timeout = S (for each address).
 */
#ifndef SCRIPT_DIAL_API_H
#define SCRIPT_DIAL_API_H

struct lua_State;

void dial_api_register(struct lua_State *L); /* [-0, +0, m] */

int dial_api_connect(struct lua_State *L);
int dial_api_resolve(struct lua_State *L);

#endif
