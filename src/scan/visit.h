/* One service of one host: connect, TLS from the first byte, probe, outcome.
 *
 * A visit is a machine that lives on the worker's loop. It tries the host's addresses in order, waits
 * out shortages of this machine (descriptors, ports) before it blames them, and always closes its
 * connection. It frees itself after `done`.
 */
#ifndef SCAN_VISIT_H
#define SCAN_VISIT_H

#include "net/conn.h"
#include "net/observer.h"
#include "scan/host.h"
#include "scan/settings.h"
#include "script/states.h"

struct visit_setup {
	const struct settings *settings;
	struct loop           *loop;
	struct tls_context    *tls;
	struct states         *states; /* to run the probe in */
	struct host           *host;
	size_t                 index;                    /* of the outcome, and of the choice */
	void (*changed)(void *owner, struct host *host); /* something new is known */
	/* NULL: nobody wants to see it. `connection`: from 1, in the order in which they were made. */
	void (*observe)(void *owner, const struct host *host, const struct outcome *outcome,
	                unsigned connection, double ms, enum event event, const char *bytes, size_t length);
	conn_dial
	    *dial; /* called with `owner`, also for connections of the probe's own; NULL: conn_connect */
	void (*done)(void *owner, struct host *host, struct outcome *outcome);
	void *owner;
};

/* Start; `done` may be called before this returns. */
void visit_start(const struct visit_setup *setup);

#endif
