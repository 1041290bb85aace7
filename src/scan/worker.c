#include "scan/worker.h"

#include "base/buffer.h"
#include "net/alarm.h"
#include "net/loop.h"
#include "net/spare.h"
#include "net/tls.h"
#include "scan/visit.h"
#include "script/states.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* STARTS: connects in one turn, so that events are served in between. NAMES: hosts that wait for their addresses. */
enum { STARTS = 64, NAMES = 512 };

/* So many connections are in flight at first, and so many more each time that all are waiting: as few as keep the
 * processor busy, for what they take is then still in its cache when their turn comes. */
enum { WINDOW = 128 };

/* Who has not waited for a fifth of the last so many milliseconds could do with another thread. */
enum { PERIOD = 50, SLACK = 5 };

/* When so few hosts are left, it is said what they are waiting for. */
enum { LAST_HOSTS = 4, WAITING_TEXT = 200 };

struct worker {
	const struct employer *employer;
	uv_thread_t            thread;
	bool                   threaded;
	struct loop           *loop;
	struct tls_context    *tls;
	struct states         *states;
	uv_async_t             nudge;
	struct alarm           pacer;
	atomic_bool            stopping;

	struct host *first, *last; /* queue of hosts with services to start */
	struct host *newest;       /* list of all hosts */
	size_t       hosts, names; /* being worked on; being looked up */
	size_t       in_flight, most_in_flight;
	size_t       window;        /* how many may be in flight, for now */
	bool         widened, full; /* the window: in this turn; there would be more to do */
	uint64_t     connections;   /* that were made */
	moment       since;         /* when the last PERIOD began; */
	double       waited;        /* and how long the loop had waited by then */
	bool         exhausted;     /* the scanner has no more targets */

	uv_mutex_t lock;
	char       waiting[WAITING_TEXT]; /* under the lock */
};

/* --- the queue ------------------------------------------------------------------------------- */

static void enqueue(struct worker *worker, struct host *host)
{
	if (host->queued || host->started == host->count)
		return;
	host->queued = true;
	host->next = NULL;
	if (worker->last)
		worker->last->next = host;
	else
		worker->first = host;
	worker->last = host;
}

static void dequeue(struct worker *worker)
{
	struct host *host = worker->first;

	host->queued = false;
	worker->first = host->next;
	if (!worker->first)
		worker->last = NULL;
}

/* --- hosts ----------------------------------------------------------------------------------- */

static void adopt(struct worker *worker, struct host *host)
{
	host->owner = worker;
	host->older = worker->newest;
	if (worker->newest)
		worker->newest->newer = host;
	worker->newest = host;
	worker->hosts++;
}

static void release(struct worker *worker, struct host *host)
{
	if (host->newer)
		host->newer->older = host->older;
	else
		worker->newest = host->older;
	if (host->older)
		host->older->newer = host->newer;
	worker->hosts--;
}

static void host_over(struct worker *worker, struct host *host)
{
	host->unit->hosts--;
	if (host->unit->hosts == 0)
		atomic_fetch_add(&worker->employer->tally->hosts_done, 1);
	worker->employer->host(worker->employer->owner, host);
	release(worker, host);
	host_free(host);
}

static void changed(void *owner, struct host *host)
{
	struct worker *worker = owner;

	if (worker->employer->changed)
		worker->employer->changed(worker->employer->owner, host);
}

static void finished(struct worker *worker, const struct host *host, const struct outcome *outcome)
{
	tally_outcome(worker->employer->tally, outcome);
	worker->employer->outcome(worker->employer->owner, host, outcome);
}

/* It is recorded with the one that ended last, and shown with the last in order, of which nothing is shown yet unless
 * it is that one. */
static void note_muteness(const struct host *host, struct outcome *last)
{
	char text[100];
	int  length;

	if (!host_mute(host))
		return;
	length = snprintf(text, sizeof text,
	                  "all %zu ports are open, and none says a word: a proxy or a tarpit?", host->count);
	report_note(&last->report, "all-silent", text, (size_t)length);
	report_remark(&host->outcomes[host->count - 1].report, text, (size_t)length);
}

static void visited(void *owner, struct host *host, struct outcome *outcome)
{
	struct worker *worker = owner;

	worker->in_flight--;
	worker->connections += outcome->connections;
	atomic_fetch_sub(&worker->employer->tally->in_flight, 1);
	host->in_flight--;
	host->finished++;
	if (host_done(host))
		note_muteness(host, outcome);
	finished(worker, host, outcome);
	if (host_done(host))
		host_over(worker, host);
	else
		enqueue(worker, host);
}

static void observe(void *owner, const struct host *host, const struct outcome *outcome, unsigned connection,
                    double ms, enum event event, const char *bytes, size_t length)
{
	const struct worker *worker = owner;

	worker->employer->observe(worker->employer->owner, host, outcome, connection, ms, event, bytes,
	                          length);
}

static void start_service(struct worker *worker, struct host *host)
{
	size_t index = host->started++;

	if (host->started == host->count || host->in_flight + 1 >= worker->employer->settings->per_host)
		dequeue(worker);
	worker->in_flight++;
	if (worker->in_flight > worker->most_in_flight)
		worker->most_in_flight = worker->in_flight;
	atomic_fetch_add(&worker->employer->tally->in_flight, 1);
	host->in_flight++;
	visit_start(&(struct visit_setup){ .settings = worker->employer->settings,
	                                   .loop = worker->loop,
	                                   .tls = worker->tls,
	                                   .states = worker->states,
	                                   .host = host,
	                                   .index = index,
	                                   .changed = changed,
	                                   .observe = worker->employer->observe ? observe : NULL,
	                                   .done = visited,
	                                   .owner = worker });
}

/* All services of a host without an address fail alike. */
static void fail_host(struct worker *worker, struct host *host, const struct failure *failure)
{
	host_fail(host, failure);
	for (size_t i = 0; i < host->count; i++)
		finished(worker, host, &host->outcomes[i]);
	host_over(worker, host);
}

/* A host for which there is not even a record. */
static void lose(const struct worker *worker)
{
	atomic_fetch_add(&worker->employer->tally->lost, 1);
}

static void fail_memory(struct worker *worker, struct host *host)
{
	struct failure failure;

	if (host->count == 0)
		lose(worker); /* there are not even the records to say so in */
	failure_set(&failure, PHASE_RESOLVE, "local-limit", "not enough memory");
	fail_host(worker, host, &failure);
}

/* --- names ----------------------------------------------------------------------------------- */

/* What the output of a former run holds is not tried again. */
static bool choose_missing(const struct resume *resume, struct host *host, const struct selection *selection)
{
	struct selection missing = { 0 };

	for (size_t i = 0; i < selection->count; i++) {
		const struct choice *choice = &selection->choices[i];

		if (!resume_holds(resume, host->target.name, choice) &&
		    !selection_add(&missing, choice->service, choice->port)) {
			selection_free(&missing);
			return false;
		}
	}
	selection_free(&host->own);
	host->own = missing;
	return host_choose(host, host->own.choices, host->own.count);
}

static bool choose(const struct worker *worker, struct host *host)
{
	const struct employer  *employer = worker->employer;
	const struct selection *selection = employer->selection;

	if (host->target.port != 0) {
		if (!selection_for_port(&host->own, employer->catalogue, selection, host->target.port))
			return false;
		selection = &host->own;
	}
	if (employer->resume)
		return choose_missing(employer->resume, host, selection);
	return host_choose(host, selection->choices, selection->count);
}

/* A host of its own for each further address of a name. */
static void add_sibling(struct worker *worker, const struct host *host, const struct address *address)
{
	struct host *sibling = host_new(&host->target, host->unit);

	if (!sibling) {
		lose(worker);
		return;
	}
	host->unit->hosts++;
	adopt(worker, sibling);
	sibling->one_of_many = true;
	sibling->addresses = (struct addresses){ .address = { *address }, .count = 1 };
	if (choose(worker, sibling))
		enqueue(worker, sibling);
	else
		fail_memory(worker, sibling);
}

static void split(struct worker *worker, struct host *host)
{
	size_t count = host->addresses.count;

	host->one_of_many = count > 1;
	host->addresses.count = 1;
	for (size_t i = 1; i < count; i++)
		add_sibling(worker, host, &host->addresses.address[i]);
	enqueue(worker, host);
}

/* A name may lead to an address that must not be touched. */
static void keep_allowed(const struct worker *worker, struct host *host, const struct addresses *addresses)
{
	const struct exclude *exclude = worker->employer->exclude;

	for (size_t i = 0; i < addresses->count; i++)
		if (!exclude || !exclude_address(exclude, &addresses->address[i]))
			host->addresses.address[host->addresses.count++] = addresses->address[i];
}

static void fail_excluded(struct worker *worker, struct host *host)
{
	struct failure failure;

	failure_set(&failure, PHASE_RESOLVE, "excluded", "all addresses of the name are excluded");
	fail_host(worker, host, &failure);
}

static void resolved(void *owner, const struct addresses *addresses, const struct failure *failure)
{
	struct host   *host = owner;
	struct worker *worker = host->owner;

	worker->names--;
	if (failure) {
		fail_host(worker, host, failure);
		return;
	}
	keep_allowed(worker, host, addresses);
	if (host->addresses.count == 0)
		fail_excluded(worker, host);
	else if (worker->employer->settings->all_addresses)
		split(worker, host);
	else
		enqueue(worker, host);
}

static void look_up(struct worker *worker, struct host *host)
{
	struct failure failure;

	worker->names++;
	if (resolve_start(worker->loop, host->target.name, worker->employer->settings->family, resolved, host,
	                  &failure))
		return;
	worker->names--;
	fail_host(worker, host, &failure);
}

/* --- taking work ----------------------------------------------------------------------------- */

static struct host *new_host(struct worker *worker, const struct target *target, uint64_t sequence)
{
	struct unit *unit = calloc(1, sizeof *unit);
	struct host *host = unit ? host_new(target, unit) : NULL;

	if (!host) {
		free(unit);
		return NULL;
	}
	unit->sequence = sequence;
	unit->hosts = 1;
	adopt(worker, host);
	return host;
}

/* False: there is none, or none just now. */
static bool take_host(struct worker *worker)
{
	struct target target;
	uint64_t      sequence;
	struct host  *host;

	switch (worker->employer->next(worker->employer->owner, &target, &sequence)) {
	case TARGETS_END:
		worker->exhausted = true;
		return false;
	case TARGETS_AGAIN:
		worker->full = true;
		return false;
	case TARGETS_LATER:
		return false;
	case TARGETS_ONE:
		break;
	}
	host = new_host(worker, &target, sequence);
	if (!host) {
		lose(worker);
		return true;
	}
	if (!choose(worker, host)) {
		fail_memory(worker, host);
	} else if (host->count == 0) {
		host_over(worker, host);
	} else if (target.literal) {
		host->addresses = (struct addresses){ .address = { target.address }, .count = 1 };
		enqueue(worker, host);
	} else {
		look_up(worker, host);
	}
	return true;
}

/* The alarm does nothing by itself: the turn that it brings about looks again. */
static void paced(struct alarm *alarm)
{
	(void)alarm;
}

static bool may_start(struct worker *worker)
{
	moment when;

	if (worker->employer->pace(worker->employer->owner, loop_now(worker->loop), &when))
		return true;
	alarm_set(worker->loop, &worker->pacer, when);
	return false;
}

/* More in flight are of use only when those that are have nothing to say. */
static bool has_room(struct worker *worker)
{
	if (worker->in_flight >= worker->employer->parallel)
		return false;
	if (worker->in_flight < worker->window)
		return true;
	worker->full = worker->widened || !loop_quiet(worker->loop);
	if (worker->full)
		return false;
	worker->window += WINDOW;
	worker->widened = true;
	return true;
}

/* Start one more service, or take one more host; false if there is nothing to do now. */
static bool step(struct worker *worker)
{
	if (!worker->first && (worker->exhausted || worker->names >= NAMES))
		return false;
	if (worker->employer->full(worker->employer->owner) || !has_room(worker))
		return false;
	if (worker->first) {
		if (!may_start(worker))
			return false;
		start_service(worker, worker->first);
		return true;
	}
	return take_host(worker);
}

/* --- what it waits for ----------------------------------------------------------------------- */

/* Add "smtp on 192.0.2.7" for each service of the host that is not finished, as far as there is room. */
static void describe(const struct host *host, struct buffer *text)
{
	if (host->count > 0 && host->started == 0)
		buffer_format(text, "%s%s", buffer_length(text) > 0 ? ", " : "", host->target.name);
	for (size_t i = 0; i < host->started; i++)
		if (!host->outcomes[i].finished)
			buffer_format(text, "%s%s on %s", buffer_length(text) > 0 ? ", " : "",
			              host->outcomes[i].service, host->target.name);
}

static void note_waiting(struct worker *worker)
{
	struct buffer text;

	buffer_init(&text, WAITING_TEXT - 1);
	for (const struct host *host = worker->newest; host; host = host->older)
		describe(host, &text);
	uv_mutex_lock(&worker->lock);
	memcpy(worker->waiting, buffer_bytes(&text), buffer_length(&text));
	worker->waiting[buffer_length(&text)] = '\0';
	uv_mutex_unlock(&worker->lock);
	buffer_free(&text);
}

void worker_waiting(struct worker *worker, char *text, size_t size)
{
	uv_mutex_lock(&worker->lock);
	snprintf(text, size, "%s", worker->waiting);
	uv_mutex_unlock(&worker->lock);
}

/* --- too much for one ------------------------------------------------------------------------ */

static bool is_busy(struct worker *worker)
{
	double elapsed = clock_ms(worker->since, loop_now(worker->loop)), waited;

	if (elapsed < PERIOD)
		return false;
	waited = loop_waited(worker->loop) - worker->waited;
	worker->since = loop_now(worker->loop);
	worker->waited += waited;
	return waited * SLACK < elapsed;
}

/* What is short may be the processor, or what each thread has its share of: connections, and names looked up. */
static bool is_overworked(struct worker *worker)
{
	return !worker->exhausted &&
	       (worker->in_flight >= worker->employer->parallel || worker->names >= NAMES || is_busy(worker));
}

/* --- turns ----------------------------------------------------------------------------------- */

/* One turn of the loop. Whatever ends during it waits its turn: nothing here recurses. */
static bool turn(void *owner)
{
	struct worker *worker = owner;
	int            started = 0;

	if (atomic_load(&worker->stopping)) {
		loop_stop(worker->loop);
		return true;
	}
	worker->widened = worker->full = false;
	if (!loop_quiet(worker->loop) && worker->window > WINDOW)
		worker->window--;
	while (started < STARTS && step(worker))
		started++;
	if (worker->in_flight == 0)
		spares_close(worker->loop); /* the next target may be long in coming */
	worker->employer->flush(worker->employer->owner);
	if (is_overworked(worker))
		worker->employer->overworked(worker->employer->owner);
	if (worker->exhausted && worker->hosts <= LAST_HOSTS)
		note_waiting(worker);
	if (worker->exhausted && worker->hosts == 0)
		loop_stop(worker->loop);
	return started == STARTS || worker->full;
}

/* --- the thread ------------------------------------------------------------------------------ */

static void run(void *argument)
{
	struct worker *worker = argument;

	vm_watch_thread();
	worker->since = clock_now();
	loop_run(worker->loop, turn, worker);
	worker->employer->finished(worker->employer->owner);
}

static void nudged(uv_async_t *handle)
{
	(void)handle; /* the turn that follows does the work */
}

struct worker *worker_new(const struct employer *employer)
{
	struct worker *worker = calloc(1, sizeof *worker);

	if (!worker)
		return NULL;
	worker->employer = employer;
	worker->pacer.ring = paced;
	worker->window = WINDOW;
	uv_mutex_init(&worker->lock);
	worker->loop = loop_new();
	worker->tls = tls_context_new();
	if (!worker->loop || !worker->tls)
		goto failed;
	if (employer->settings->measured)
		loop_measure(worker->loop);
	worker->states = states_new(employer->catalogue, worker->loop, worker->tls);
	if (!worker->states || uv_async_init(loop_uv(worker->loop), &worker->nudge, nudged) != 0)
		goto failed;
	return worker;
failed:
	states_free(worker->states);
	tls_context_free(worker->tls);
	loop_free(worker->loop);
	free(worker);
	return NULL;
}

bool worker_start(struct worker *worker)
{
	worker->threaded = uv_thread_create(&worker->thread, run, worker) == 0;
	return worker->threaded;
}

void worker_nudge(struct worker *worker)
{
	uv_async_send(&worker->nudge);
}

void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stopping, true);
	worker_nudge(worker);
}

static void add_effort(const struct worker *worker)
{
	tally_effort(worker->employer->tally, &(struct effort){ .threads = 1,
	                                                        .turns = *loop_turns(worker->loop),
	                                                        .connections = worker->connections,
	                                                        .most_in_flight = worker->most_in_flight,
	                                                        .lua = states_memory(worker->states) });
}

/* A worker that was stopped leaves its connections to the end of the process, which is near. */
void worker_join(struct worker *worker)
{
	if (worker->threaded)
		uv_thread_join(&worker->thread);
	if (worker->threaded)
		add_effort(worker);
	if (atomic_load(&worker->stopping))
		return;
	uv_close((uv_handle_t *)&worker->nudge, NULL);
	states_free(worker->states);
	tls_context_free(worker->tls);
	loop_free(worker->loop);
	free(worker);
}
