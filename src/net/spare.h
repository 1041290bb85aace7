/* TCP sockets between two connections: disconnected, still in the loop's set, good for another address.
 *
 * A scan makes one short connection after another. To make a socket for each, put it into the epoll set and destroy
 * it takes the kernel half as long again as the connection itself; connect(2) with AF_UNSPEC does with a fraction of
 * that. It resets the connection (ABORT of RFC 9293 section 3.10.5), as close does under SO_LINGER 0, and forgets all of it
 * but options of the socket, of which we set none.
 *
 * One thing Linux carries over: the next connection's first sequence number is a little beyond this one's last, where
 * a fresh socket gets one by RFC 6528. Who is scanned, and can forge the packets of another target, would know it; he
 * would not know the port, nor which of the spares is taken for that target, for it is drawn by lot. */
#ifndef NET_SPARE_H
#define NET_SPARE_H

#include "net/address.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPARES = 256 };

struct spares { /* of one loop, which has them and ends them */
	struct spare {
		int      fd, family;
		uint32_t slot;      /* see watch_leave */
		bool     connected; /* still, until it is taken or the turn ends */
	} spare[SPARES];
	size_t       count;
	struct later later; /* disconnects them */
	uint64_t     lot;   /* state of a generator of numbers */
};

void spares_init(struct spares *spares);

/* Disconnect the socket from `remote`, now or at the end of the turn, take `watch` off it and keep it. False: there are
 * enough of them, or it would not be as good as new; it is still watched then, and must be closed. */
bool spare_keep(struct loop *loop, struct watch *watch, int fd, const struct address *remote);

/* One of them, watched by `watch`; -1: there is none. There are never more sockets, with the spares, than were in use
 * at once: where only those of another family are left, one of these is closed, for the caller makes a new one. */
int spare_take(struct loop *loop, struct watch *watch, int family);

/* Disconnect and close all. */
void spares_close(struct loop *loop);

#endif
