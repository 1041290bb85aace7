/* Names to addresses, on libuv's threads: a slow resolver never holds up the loop. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "base/failure.h"
#include "net/address.h"
#include "net/loop.h"

enum { RESOLVE_ADDRESSES = 8, RESOLVE_SECONDS = 10 };

/* The addresses of a name in the order in which to try them, without duplicates, at most
 * RESOLVE_ADDRESSES of them; ports are 0. */
struct addresses {
	struct address address[RESOLVE_ADDRESSES];
	size_t         count;
};

struct resolve;

/* So many threads will look up names: call it before the first look-up. */
void resolve_prepare(size_t threads);

/* Called once, from the loop: with addresses (at least one), or with a failure of PHASE_RESOLVE
 * whose code is "no-name" or, past RESOLVE_SECONDS, "timeout". The other one is NULL. */
typedef void resolve_done(void *owner, const struct addresses *addresses, const struct failure *failure);

/* Look up `name` (copied) for AF_INET, AF_INET6 or AF_UNSPEC. The answer comes later, never from
 * inside this call. NULL: it could not be started, and `failure` says why. The request frees itself after
 * `done`. Where many are asked for at once some wait for others; the seconds count from when it is its turn. */
struct resolve *resolve_start(struct loop *loop, const char *name, int family, resolve_done *done,
                              void *owner, struct failure *failure);

/* Forget the request: `done` will not be called. NULL is fine. */
void resolve_cancel(struct resolve *resolve);

/* Is any look-up of the process still under way, wanted or not? libuv joins its threads in exit(), which
 * would wait for it. */
bool resolve_under_way(void);

#endif
