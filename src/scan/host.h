/* One host being scanned: its addresses and the outcomes of its services, in the order asked for. */
#ifndef SCAN_HOST_H
#define SCAN_HOST_H

#include "net/resolve.h"
#include "scan/outcome.h"
#include "scan/selection.h"
#include "scan/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands for one target word: one host, or with --all-addresses one for each address of the name.
 * Shared by these hosts, who free it together. */
struct unit {
	uint64_t sequence; /* of the target, from 0 */
	size_t   hosts;    /* not finished yet */
};

struct host {
	struct target    target;
	struct addresses addresses; /* to be tried in this order */
	struct failure  *failure;   /* why there are none, or NULL; see host_fail */
	struct unit     *unit;
	bool             one_of_many; /* --all-addresses: the address is part of what it is called */

	struct selection     own; /* for a target with a port; else empty */
	const struct choice *choices;
	struct outcome      *outcomes; /* one a choice */
	size_t               count;
	size_t               started, finished; /* of the outcomes */
	size_t               in_flight;

	/* How far the text output has come: outcome, place in its lines; for output/text only. */
	struct {
		size_t outcome, place;
		bool   header, verdict;
	} shown;

	struct host *next; /* the worker's queue of hosts with services to start */
	bool         queued;
	struct host *newer, *older; /* all hosts of the worker */
	void        *owner;         /* the worker */
};

/* NULL: no memory. `choices` must outlive the host unless they are its `own`. */
struct host *host_new(const struct target *target, struct unit *unit);
bool         host_choose(struct host *host, const struct choice *choices, size_t count);
void         host_free(struct host *host); /* the unit too, if it was its last host */

/* There is no address to be had, and this is why: of all services. */
void host_fail(struct host *host, const struct failure *failure);

bool host_done(const struct host *host);

/* Is every service open, and does not one of those that were waited for, several at least, say a byte? So are
 * tarpits, and proxies that take all connections themselves. Once it is done. */
bool host_mute(const struct host *host);

#endif
