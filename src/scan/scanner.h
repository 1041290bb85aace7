/* The scan as a whole: workers over one list of targets, until it is done, stopped or broken off. */
#ifndef SCAN_SCANNER_H
#define SCAN_SCANNER_H

#include "net/observer.h"
#include "scan/host.h"
#include "scan/resume.h"
#include "scan/selection.h"
#include "scan/settings.h"
#include "scan/tally.h"
#include "scan/targets.h"
#include "script/catalogue.h"

#include <stdbool.h>

/* Who wants to know. Called from the workers' threads, several at a time, but for one host always from
 * the same; a listener locks what it shares. */
enum { SCANNER_TICK = 500 };

struct listener {
	void *owner;
	void (*changed)(void *owner, struct host *host); /* NULL: not interested in what is not finished */
	/* What is said on the service's connections, which are counted from 1, `ms` after it was begun; NULL: not
	 * interested. */
	void (*observe)(void *owner, const struct host *host, const struct outcome *outcome,
	                unsigned connection, double ms, enum event event, const char *bytes, size_t length);
	void (*outcome)(void *owner, const struct host *host, const struct outcome *outcome);
	void (*host)(void *owner, struct host *host);
	void (*flush)(void *owner);  /* what was told may go out now */
	bool (*full)(void *owner);   /* no more for now: scanner_nudge will be called */
	bool (*broken)(void *owner); /* nothing can be delivered any more: give up */
	/* From scanner_run's own thread, every SCANNER_TICK ms, and when SIGUSR1 asks: `waiting` says what
	 * the end of the scan waits for, or "". */
	void (*tick)(void *owner, const char *waiting, bool asked);
};

struct scan {
	const struct settings  *settings;
	const struct catalogue *catalogue;
	const struct selection *selection;
	const struct resume    *resume; /* NULL: nothing is there yet */
	struct tally           *tally;
	const struct exclude   *exclude; /* for the addresses of names; those of targets are gone already */
	struct targets         *targets;
	struct listener         listener;
};

enum scan_end { SCAN_COMPLETED, SCAN_BROKEN_OFF, SCAN_INTERRUPTED, SCAN_NOT_STARTED };

struct scanner;

struct scanner *scanner_new(const struct scan *scan); /* NULL: no memory; `scan` is copied */
void            scanner_free(struct scanner *scanner);

/* Run to the end. SCAN_INTERRUPTED: *signal is SIGINT or SIGTERM. */
enum scan_end scanner_run(struct scanner *scanner, int *signal);

/* From any thread: there is room again, or the listener is broken. */
void scanner_nudge(struct scanner *scanner);

#endif
