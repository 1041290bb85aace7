#include "scan/scanner.h"

#include "scan/worker.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

/* Descriptors that connections must leave free: standard streams, loops, files, the resolver's. */
enum { RESERVE = 32, DESCRIPTORS_PER_WORKER = 8, MOST_THREADS = 64 };

struct scanner {
	struct scan     scan;
	struct employer employer;
	struct worker **workers;
	size_t          worker_count, most_workers;
	atomic_size_t   working;
	atomic_bool     short_handed, complete; /* another worker is wanted; there will be no more */

	uv_mutex_t lock;
	uint64_t   sequence; /* of the next target; with the list of targets under the lock */

	_Atomic moment next_free; /* when the next connection may be made, with --rate */

	uv_loop_t     loop;
	uv_async_t    nudge;
	uv_signal_t   interrupt, terminate, report;
	uv_timer_t    ticker;
	bool          stopped;
	enum scan_end end;
	int           signal;
};

/* --- for the workers ------------------------------------------------------------------------- */

static enum targets_step next(void *owner, struct target *target, uint64_t *sequence)
{
	struct scanner   *scanner = owner;
	enum targets_step step;

	uv_mutex_lock(&scanner->lock);
	step = targets_next(scanner->scan.targets, target);
	if (step == TARGETS_ONE)
		*sequence = scanner->sequence++;
	uv_mutex_unlock(&scanner->lock);
	return step;
}

/* Connections are spread evenly over time: each takes the next of the moments that lie 1/rate apart.
 * What was not used of the past is lost, so that nothing comes in a burst. */
static bool pace(void *owner, moment now, moment *when)
{
	struct scanner *scanner = owner;
	moment          interval, next_free;

	if (!(scanner->scan.settings->rate > 0))
		return true;
	interval = (moment)(1e9 / scanner->scan.settings->rate);
	next_free = atomic_load(&scanner->next_free);
	do {
		if (next_free > now) {
			*when = next_free;
			return false;
		}
	} while (!atomic_compare_exchange_weak(&scanner->next_free, &next_free,
	                                       (now - next_free < interval ? next_free : now) + interval));
	return true;
}

static bool full(void *owner)
{
	struct scanner *scanner = owner;

	return scanner->scan.listener.full(scanner->scan.listener.owner);
}

static void changed(void *owner, struct host *host)
{
	struct scanner *scanner = owner;

	scanner->scan.listener.changed(scanner->scan.listener.owner, host);
}

static void observe(void *owner, const struct host *host, const struct outcome *about, unsigned connection,
                    double ms, enum event event, const char *bytes, size_t length)
{
	struct scanner *scanner = owner;

	scanner->scan.listener.observe(scanner->scan.listener.owner, host, about, connection, ms, event,
	                               bytes, length);
}

static void outcome(void *owner, const struct host *host, const struct outcome *result)
{
	struct scanner *scanner = owner;

	scanner->scan.listener.outcome(scanner->scan.listener.owner, host, result);
}

static void host_over(void *owner, struct host *host)
{
	struct scanner *scanner = owner;

	scanner->scan.listener.host(scanner->scan.listener.owner, host);
}

static void flush(void *owner)
{
	struct scanner *scanner = owner;

	scanner->scan.listener.flush(scanner->scan.listener.owner);
}

static void overworked(void *owner)
{
	struct scanner *scanner = owner;

	if (!atomic_load(&scanner->complete) && !atomic_exchange(&scanner->short_handed, true))
		uv_async_send(&scanner->nudge);
}

static void finished(void *owner)
{
	struct scanner *scanner = owner;

	atomic_fetch_sub(&scanner->working, 1);
	uv_async_send(&scanner->nudge);
}

/* --- the main thread ------------------------------------------------------------------------- */

static void stop(struct scanner *scanner, enum scan_end end)
{
	if (scanner->stopped)
		return;
	scanner->stopped = true;
	scanner->end = end;
	for (size_t i = 0; i < scanner->worker_count; i++)
		worker_stop(scanner->workers[i]);
}

static void close_handles(struct scanner *scanner)
{
	uv_close((uv_handle_t *)&scanner->nudge, NULL);
	uv_close((uv_handle_t *)&scanner->interrupt, NULL);
	uv_close((uv_handle_t *)&scanner->terminate, NULL);
	uv_close((uv_handle_t *)&scanner->report, NULL);
	uv_close((uv_handle_t *)&scanner->ticker, NULL);
}

/* One more, if it can be had. */
static void start_worker(struct scanner *scanner)
{
	struct worker *worker = worker_new(&scanner->employer);

	if (worker) {
		atomic_fetch_add(&scanner->working, 1);
		scanner->workers[scanner->worker_count++] = worker;
		if (worker_start(worker))
			return;
		atomic_fetch_sub(&scanner->working, 1);
		scanner->worker_count--;
		worker_join(worker);
	}
	scanner->most_workers = scanner->worker_count;
}

static void start_workers(struct scanner *scanner, size_t count)
{
	while (scanner->worker_count < count && scanner->worker_count < scanner->most_workers)
		start_worker(scanner);
	atomic_store(&scanner->complete, scanner->worker_count == scanner->most_workers);
}

static void nudged(uv_async_t *handle)
{
	struct scanner *scanner = handle->data;

	if (atomic_load(&scanner->working) == 0) {
		close_handles(scanner);
		return;
	}
	if (scanner->scan.listener.broken(scanner->scan.listener.owner))
		stop(scanner, SCAN_BROKEN_OFF);
	if (atomic_exchange(&scanner->short_handed, false) && !scanner->stopped)
		start_workers(scanner, scanner->worker_count + 1);
	for (size_t i = 0; i < scanner->worker_count; i++)
		worker_nudge(scanner->workers[i]);
}

/* The first signal stops the scan in good order, a second one ends the process by its default. */
static void signalled(uv_signal_t *handle, int number)
{
	struct scanner *scanner = handle->data;

	scanner->signal = number;
	stop(scanner, SCAN_INTERRUPTED);
	uv_signal_stop(&scanner->interrupt);
	uv_signal_stop(&scanner->terminate);
}

/* What all workers wait for, once there is nothing more to begin. */
static void tick(struct scanner *scanner, bool asked)
{
	char   waiting[400] = "";
	size_t length = 0;

	for (size_t i = 0; i < scanner->worker_count && length + 3 < sizeof waiting; i++) {
		size_t before = length;

		if (length > 0)
			length += (size_t)snprintf(waiting + length, sizeof waiting - length, ", ");
		worker_waiting(scanner->workers[i], waiting + length, sizeof waiting - length);
		length += strlen(waiting + length);
		if (length == before + 2)
			waiting[length = before] = '\0';
	}
	scanner->scan.listener.tick(scanner->scan.listener.owner, waiting, asked);
}

/* That nobody reads any more may show long before there is something to write. */
static void ticked(uv_timer_t *handle)
{
	struct scanner *scanner = handle->data;

	if (scanner->scan.listener.broken(scanner->scan.listener.owner))
		stop(scanner, SCAN_BROKEN_OFF);
	tick(scanner, false);
}

static void asked(uv_signal_t *handle, int number)
{
	(void)number;
	tick(handle->data, true);
}

static void watch_time(struct scanner *scanner)
{
	uv_signal_init(&scanner->loop, &scanner->report);
	uv_timer_init(&scanner->loop, &scanner->ticker);
	scanner->report.data = scanner->ticker.data = scanner;
	uv_signal_start(&scanner->report, asked, SIGUSR1);
	uv_timer_start(&scanner->ticker, ticked, SCANNER_TICK, SCANNER_TICK);
}

static void watch_signals(struct scanner *scanner)
{
	uv_signal_init(&scanner->loop, &scanner->interrupt);
	uv_signal_init(&scanner->loop, &scanner->terminate);
	scanner->interrupt.data = scanner->terminate.data = scanner;
	uv_signal_start(&scanner->interrupt, signalled, SIGINT);
	uv_signal_start(&scanner->terminate, signalled, SIGTERM);
}

static void there_is_more(void *owner)
{
	scanner_nudge(owner);
}

void scanner_nudge(struct scanner *scanner)
{
	uv_async_send(&scanner->nudge);
}

/* --- how many -------------------------------------------------------------------------------- */

static size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* The descriptors that workers and connections may use. The soft limit is raised first. */
static size_t descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return SIZE_MAX;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur > RESERVE ? limit.rlim_cur - RESERVE : 0;
}

/* As many as asked for, but each with a target and a connection to work on, and all together with no
 * more than half of the descriptors for themselves. */
static size_t threads(const struct scan *scan)
{
	size_t   count = scan->settings->threads;
	uint64_t total = targets_total(scan->targets);

	if (count == 0)
		count = uv_available_parallelism();
	if (total > 0 && count > total)
		count = (size_t)total;
	count = least(least(count, MOST_THREADS), scan->settings->parallel);
	count = least(count, descriptors() / (2 * DESCRIPTORS_PER_WORKER));
	return count > 0 ? count : 1;
}

/* Connections in flight for each of the workers: as many as asked for and as descriptors allow. */
static size_t connections(const struct settings *settings, size_t workers)
{
	size_t own = workers * DESCRIPTORS_PER_WORKER;
	size_t left = descriptors();

	left = left > own ? left - own : 1;
	return least(settings->parallel, left) / workers > 0 ? least(settings->parallel, left) / workers : 1;
}

/* --- life ------------------------------------------------------------------------------------ */

struct scanner *scanner_new(const struct scan *scan)
{
	struct scanner *scanner = calloc(1, sizeof *scanner);
	size_t          count = threads(scan);

	if (!scanner)
		return NULL;
	scanner->scan = *scan;
	scanner->workers = calloc(count, sizeof(struct worker *));
	if (!scanner->workers || uv_loop_init(&scanner->loop) != 0) {
		free(scanner->workers);
		free(scanner);
		return NULL;
	}
	resolve_prepare(count);
	uv_mutex_init(&scanner->lock);
	uv_async_init(&scanner->loop, &scanner->nudge, nudged);
	scanner->nudge.data = scanner;
	scanner->most_workers = count;
	scanner->employer = (struct employer){
		.settings = scan->settings,
		.catalogue = scan->catalogue,
		.selection = scan->selection,
		.exclude = scan->exclude,
		.resume = scan->resume,
		.tally = scan->tally,
		.parallel = connections(scan->settings, count),
		.owner = scanner,
		.next = next,
		.pace = pace,
		.full = full,
		.changed = scan->listener.changed ? changed : NULL,
		.observe = scan->listener.observe ? observe : NULL,
		.outcome = outcome,
		.host = host_over,
		.flush = flush,
		.overworked = overworked,
		.finished = finished,
	};
	return scanner;
}

/* As many threads as were asked for; where none were, one, and others once there is too much for those that there are:
 * a few hosts are done before it pays to prepare a second. At least one must start; with fewer than wished for the scan
 * takes longer, that is all. */
static bool begin(struct scanner *scanner)
{
	start_workers(scanner, scanner->scan.settings->threads > 0 ? scanner->most_workers : 1);
	return scanner->worker_count > 0;
}

enum scan_end scanner_run(struct scanner *scanner, int *signal)
{
	scanner->end = SCAN_COMPLETED;
	watch_signals(scanner);
	watch_time(scanner);
	targets_listen(scanner->scan.targets, there_is_more, scanner);
	if (!begin(scanner)) {
		close_handles(scanner);
		scanner->end = SCAN_NOT_STARTED;
	}
	uv_run(&scanner->loop, UV_RUN_DEFAULT);
	targets_listen(scanner->scan.targets, NULL, NULL);
	for (size_t i = 0; i < scanner->worker_count; i++)
		worker_join(scanner->workers[i]);
	*signal = scanner->signal;
	return scanner->end;
}

void scanner_free(struct scanner *scanner)
{
	uv_loop_close(&scanner->loop);
	uv_mutex_destroy(&scanner->lock);
	free(scanner->workers);
	free(scanner);
}
