/* A socket that waits for clients: for programs of the user's own and for tests, never for a scan.
 *
 * Like the verbs of conn.h, listener_accept is a single try that never blocks. On IO_WANT_READ the owner
 * waits for `ready`, which is called from the loop whenever somebody may be there, asked for or not.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/failure.h"
#include "net/address.h"
#include "net/io.h"
#include "net/loop.h"

struct listener;

typedef void listener_ready(void *owner);

/* Listen at `address`; port 0 lets the system choose one. NULL: `failure` says why. */
struct listener *listener_new(struct loop *loop, const struct address *address, listener_ready *ready,
                              void *owner, struct failure *failure);
void             listener_free(struct listener *listener); /* NULL is fine */

/* The next client: a connected, non-blocking socket, which is the caller's from here on. */
enum io listener_accept(struct listener *listener, int *fd, struct failure *failure);

/* Where it listens, with the port that it really has. */
const struct address *listener_address(const struct listener *listener);

#endif
