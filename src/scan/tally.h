/* Counts of a scan while it runs: for the progress line, and for the summary at its end.
 *
 * Counters are atomic: workers count, the main thread reads.
 */
#ifndef SCAN_TALLY_H
#define SCAN_TALLY_H

#include "base/clock.h"
#include "net/loop.h"
#include "scan/outcome.h"
#include "scan/selection.h"

#include <stdatomic.h>
#include <stdint.h>

struct service_tally {
	const char          *service;
	atomic_uint_fast64_t open, closed, filtered, failed, warnings;
};

/* What the scan itself took, for --stats: of all workers together, once they have ended. Not atomic. */
struct effort {
	size_t       threads;
	struct turns turns;       /* of their loops */
	uint64_t     connections; /* that were made */
	size_t       most_in_flight;
	size_t       lua; /* bytes, at most */
};

enum { TALLY_SERVICES = 256 };

struct tally {
	moment               started;
	uint64_t             hosts_known; /* 0: not known */
	atomic_uint_fast64_t hosts_done, services_done, in_flight;
	atomic_uint_fast64_t lost;                     /* hosts or records for which there was no memory */
	struct service_tally services[TALLY_SERVICES]; /* of the selection, in its order */
	size_t               service_count;
	bool                 unread; /* whoever was to read the output has gone; known at the end */
	struct effort        effort;
};

void tally_init(struct tally *tally, const struct selection *selection, uint64_t hosts_known);

/* Count a finished service. One that is not of the selection counts for the totals only. */
void tally_outcome(struct tally *tally, const struct outcome *outcome);

/* Add what one worker took. */
void tally_effort(struct tally *tally, const struct effort *effort);

#endif
