/* A thread of the scan: a loop, a Lua state, a TLS context, and the hosts that it is working on.
 *
 * It takes one target after the other from the scanner and keeps as many connections in flight as keep
 * it busy, and never more than it may. All that happens to a host happens in its worker's thread.
 */
#ifndef SCAN_WORKER_H
#define SCAN_WORKER_H

#include "base/clock.h"
#include "net/observer.h"
#include "scan/host.h"
#include "scan/resume.h"
#include "scan/settings.h"
#include "scan/tally.h"
#include "scan/targets.h"
#include "script/catalogue.h"

#include <stdbool.h>
#include <stdint.h>

/* What a worker asks of the scanner, and tells it. All of it may be called from any worker's thread. */
struct employer {
	const struct settings  *settings;
	const struct catalogue *catalogue;
	const struct selection *selection;
	const struct exclude   *exclude;
	const struct resume    *resume; /* NULL: nothing is there yet */
	struct tally           *tally;
	size_t                  parallel; /* connections in flight for one worker */
	void                   *owner;

	/* The next target and its number. */
	enum targets_step (*next)(void *owner, struct target *target, uint64_t *sequence);
	/* May a connection be made at `now`? If not, *when says when to ask again. */
	bool (*pace)(void *owner, moment now, moment *when);
	/* Must new work wait, because what was found is not yet written? */
	bool (*full)(void *owner);
	void (*changed)(void *owner, struct host *host); /* something new is known of it; may be NULL */
	/* What is said on the connections; NULL: nobody wants to see it. */
	void (*observe)(void *owner, const struct host *host, const struct outcome *outcome,
	                unsigned connection, double ms, enum event event, const char *bytes, size_t length);
	void (*outcome)(void *owner, const struct host *host, const struct outcome *outcome);
	void (*host)(void *owner, struct host *host); /* all of it is known; it is freed after the call */
	void (*flush)(void *owner);                   /* a turn is over: what was told may go out */
	void (*overworked)(void *owner);              /* there is more to do than this thread can */
	void (*finished)(void *owner);                /* the thread is about to end */
};

struct worker;

/* NULL: no memory or no descriptors. The employer must outlive the worker. */
struct worker *worker_new(const struct employer *employer);

/* Run in a thread of its own, until there is no target left or it is stopped. False: no thread. */
bool worker_start(struct worker *worker);

/* From any thread: look again whether there is work; end as soon as possible. */
void worker_nudge(struct worker *worker);
void worker_stop(struct worker *worker);

/* From any thread: at the end of the scan, what the worker is still waiting for, like "smtp on
 * 192.0.2.7"; before that, "". */
void worker_waiting(struct worker *worker, char *text, size_t size);

/* Wait for the thread and free. */
void worker_join(struct worker *worker);

#endif
