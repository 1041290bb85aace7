#include "net/loop.h"

#include "net/alarm.h"
#include "net/spare.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
	BATCH = 256,
	FULL_BATCHES = 8
}; /* so many in a row alarms wait for: by then all that had come was served */

/* A turn that has taken so many ns leaves the rest of its batch to the next one: so a crowd of sockets, each of which
 * takes its time, does not keep the others waiting. */
enum { LONG_TURN = 4000000 };

/* No turn takes so many ns of its own: the process was stopped in it, or had no processor. */
enum { HELD_UP = 200000000 };

enum { SCRATCH = 64 * 1024 };

/* One watched descriptor. The generation tells an event of this descriptor from one of that which had the slot before
 * and was removed while its event waited in the batch; `since`, the same of two watches of one descriptor. */
struct slot {
	struct watch *watch;
	uint64_t      since; /* the batch that was in hand when the watch joined */
	uint32_t      generation;
	uint32_t      next_free;
};

struct loop {
	int       poller;
	uv_loop_t uv;
	moment    now;
	moment    gathered; /* when the batch in hand was fetched */
	moment    ended;    /* when the turn before was over */
	double    waited;   /* see loop_waited */
	bool      stopping, measured;
	bool      quiet;   /* nothing came when it was asked last */
	bool      held;    /* up, the turn before was: see forgive_delay */
	moment    skipped; /* when the turn began: see clock_skipped */
	double    cpu;     /* milliseconds of this thread, when the turn began */

	struct turns turns;

	struct slot *slots; /* slot 0 stands for libuv */
	uint32_t     slot_count, first_free;

	struct later laters[STAGES]; /* rings, of which these are no parts but the places where they begin */
	bool         running;        /* a turn */

	struct alarms alarms;
	unsigned      full_batches;

	struct epoll_event events[BATCH];
	int                event_count; /* of the batch in hand */
	uint64_t           batch;       /* its number */

	struct spares spares;

	char scratch[SCRATCH];
};

static bool watch_uv(struct loop *loop)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = 0 } };

	return epoll_ctl(loop->poller, EPOLL_CTL_ADD, uv_backend_fd(&loop->uv), &event) == 0;
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof *loop);
	int          error;

	if (!loop)
		return NULL;
	loop->slot_count = 1; /* slot 0 is libuv's */
	for (size_t i = 0; i < STAGES; i++)
		loop->laters[i].next = loop->laters[i].previous = &loop->laters[i];
	spares_init(&loop->spares);
	loop->now = clock_now();
	loop->poller = epoll_create1(EPOLL_CLOEXEC);
	if (loop->poller < 0)
		goto no_poller;
	error = uv_loop_init(&loop->uv);
	if (error < 0) {
		errno = -error;
		goto no_uv;
	}
	if (!watch_uv(loop))
		goto no_watch;
	return loop;
no_watch:
	uv_loop_close(&loop->uv);
no_uv:
	error = errno;
	close(loop->poller);
	errno = error;
no_poller:
	free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	uv_run(&loop->uv, UV_RUN_NOWAIT); /* lets closing handles finish */
	if (uv_loop_close(&loop->uv) != 0)
		return; /* a look-up that was given up still runs on another thread and will write here */
	spares_close(loop);
	close(loop->poller);
	free(loop->slots);
	alarms_free(&loop->alarms);
	free(loop);
}

moment loop_now(const struct loop *loop)
{
	return loop->now;
}

moment loop_due(const struct loop *loop)
{
	const struct alarm *first = alarms_first(&loop->alarms);

	return first ? first->at : MOMENT_NEVER;
}

struct alarms *loop_alarms(struct loop *loop)
{
	return &loop->alarms;
}

struct spares *loop_spares(struct loop *loop)
{
	return &loop->spares;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

const struct turns *loop_turns(const struct loop *loop)
{
	return &loop->turns;
}

double loop_waited(const struct loop *loop)
{
	return loop->waited;
}

void loop_measure(struct loop *loop)
{
	loop->measured = true;
}

char *loop_scratch(struct loop *loop)
{
	return loop->scratch;
}

size_t loop_scratch_size(void)
{
	return SCRATCH;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

/* --- watches --------------------------------------------------------------------------------- */

static bool grow_slots(struct loop *loop)
{
	uint32_t     count = loop->slots ? loop->slot_count * 2 : 64;
	struct slot *slots = realloc(loop->slots, count * sizeof *slots);

	if (!slots)
		return false;
	for (uint32_t i = loop->slots ? loop->slot_count : 1; i < count; i++)
		slots[i] = (struct slot){ .next_free = i + 1 < count ? i + 1 : 0 };
	loop->first_free = loop->slots ? loop->slot_count : 1;
	loop->slots = slots;
	loop->slot_count = count;
	return true;
}

bool watch_add(struct loop *loop, struct watch *watch, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	struct slot       *slot;
	uint32_t           place;

	if (loop->first_free == 0 && !grow_slots(loop)) {
		errno = ENOMEM;
		return false;
	}
	place = loop->first_free;
	slot = &loop->slots[place];
	event.data.u64 = (uint64_t)slot->generation << 32 | place;
	if (epoll_ctl(loop->poller, EPOLL_CTL_ADD, fd, &event) < 0)
		return false;
	loop->first_free = slot->next_free;
	slot->watch = watch;
	slot->since = 0;
	watch->slot = place;
	return true;
}

uint32_t watch_leave(struct loop *loop, struct watch *watch)
{
	uint32_t place = watch->slot;

	loop->slots[place].watch = NULL;
	watch->slot = 0;
	return place;
}

void watch_join(struct loop *loop, struct watch *watch, uint32_t slot)
{
	loop->slots[slot].watch = watch;
	loop->slots[slot].since = loop->batch;
	watch->slot = slot;
}

void watch_remove(struct loop *loop, struct watch *watch)
{
	struct slot *slot;

	if (watch->slot == 0)
		return;
	slot = &loop->slots[watch->slot];
	slot->watch = NULL;
	slot->generation++;
	slot->next_free = loop->first_free;
	loop->first_free = watch->slot;
	watch->slot = 0;
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	uint32_t     place = (uint32_t)event->data.u64;
	uint32_t     generation = (uint32_t)(event->data.u64 >> 32);
	struct slot *slot;

	if (place == 0) {
		uv_run(&loop->uv, UV_RUN_NOWAIT);
		return;
	}
	slot = &loop->slots[place];
	if (slot->watch && slot->generation == generation && slot->since < loop->batch)
		slot->watch->ready(slot->watch, event->events);
}

/* --- the stages of a turn --------------------------------------------------------------------- */

bool later_set(struct loop *loop, enum stage stage, struct later *later)
{
	struct later *ring = &loop->laters[stage];

	if (!loop->running)
		return false;
	if (later->next)
		return true;
	later->next = ring;
	later->previous = ring->previous;
	later->previous->next = later->next->previous = later;
	return true;
}

void later_clear(struct later *later)
{
	if (!later->next)
		return;
	later->next->previous = later->previous;
	later->previous->next = later->next;
	later->next = later->previous = NULL;
}

static bool is_left(const struct loop *loop, enum stage stage)
{
	return loop->laters[stage].next != &loop->laters[stage];
}

/* Was somebody called back? */
static bool run_first(struct loop *loop, enum stage stage)
{
	struct later *later = loop->laters[stage].next;

	later_clear(later);
	return later->run(later);
}

/* --- turns ----------------------------------------------------------------------------------- */

static bool long_since(moment when)
{
	return clock_now() - when >= LONG_TURN;
}

/* Ring what was due when events were last fetched, as far as there is time for it: what came since is not known yet. An
 * alarm set meanwhile is later than that. */
static void ring_due(struct loop *loop)
{
	moment        began = clock_now();
	struct alarm *alarm;

	while ((alarm = alarms_first(&loop->alarms)) && alarm->at <= loop->gathered && !long_since(began)) {
		alarm_clear(loop, alarm);
		alarm->ring(alarm);
	}
}

/* How long libuv may wait for its own affairs, in milliseconds; -1: for ever. A loop of libuv's that
 * has nothing to do would say 0. */
static int uv_patience(struct loop *loop)
{
	int wait = uv_loop_alive(&loop->uv) ? uv_backend_timeout(&loop->uv) : -1;

	if (wait <= 0)
		return wait;
	uv_update_time(&loop->uv); /* it has a timer, and counts from when it ran last */
	return uv_backend_timeout(&loop->uv);
}

/* Milliseconds that epoll may wait: until the next alarm, rounded up so that it is due then. */
static int patience(struct loop *loop, bool busy)
{
	int    uv = uv_patience(loop);
	moment due = loop_due(loop), left;

	if (busy || uv == 0)
		return 0;
	if (due == MOMENT_NEVER)
		return uv;
	if (due <= loop->now)
		return 0;
	left = (due - loop->now + 999999) / 1000000;
	if (left > INT_MAX)
		left = INT_MAX;
	return uv >= 0 && uv < (int)left ? uv : (int)left;
}

const double turn_lengths[TURN_LENGTHS - 1] = { 1, 2, 5, 10, 20, 50, 100 };

static double cpu_now(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	return (double)spent.tv_sec * 1e3 + (double)spent.tv_nsec / 1e6;
}

static void note_turn(struct loop *loop)
{
	double took, cpu = loop->measured ? cpu_now() - loop->cpu : 0;
	size_t length = 0;

	loop->ended = clock_now();
	took = clock_ms(loop->now, loop->ended);
	while (length < TURN_LENGTHS - 1 && took >= turn_lengths[length])
		length++;
	loop->turns.count[length]++;
	if (took > loop->turns.longest)
		loop->turns.longest = took;
	if (cpu > loop->turns.most_cpu)
		loop->turns.most_cpu = cpu;
}

/* What a turn that was held up has sent at last was not on its way meanwhile: the time does not count. (One held up
 * while it waits has sent all before.) Of turns that are held up one after the other only the first: else alarms would
 * never ring in a program that always computes. */
static void forgive_delay(struct loop *loop)
{
	moment took = loop->ended - loop->now - (clock_skipped() - loop->skipped);
	bool   held = took >= HELD_UP;

	if (held && !loop->held)
		alarms_postpone(&loop->alarms, took);
	loop->held = held;
}

static void gather(struct loop *loop, bool busy)
{
	loop->event_count = epoll_wait(loop->poller, loop->events, BATCH, patience(loop, busy));
	loop->batch++;
	loop->gathered = clock_now();
	loop->waited += clock_ms(loop->ended, loop->gathered);
	loop->quiet = loop->event_count == 0;
}

static void run_wakes(struct loop *loop)
{
	while (is_left(loop, STAGE_WAKE)) {
		run_first(loop, STAGE_WAKE);
		if (long_since(loop->now))
			return;
	}
}

/* Events are served before alarms ring, and only the end of a batch that was not full lets them: data that
 * already lies in a socket is never judged late because this process was held up. A wait that a signal
 * broke off, as it does after SIGSTOP and SIGCONT, has looked at no socket. */
static bool serve(struct loop *loop, bool busy)
{
	bool fetches = !is_left(loop, STAGE_WAKE);

	if (fetches)
		gather(loop, busy);
	loop->now = clock_now();
	loop->skipped = clock_skipped();
	loop->cpu = loop->measured ? cpu_now() : 0;
	if (uv_patience(loop) == 0)
		uv_run(&loop->uv, UV_RUN_NOWAIT);
	for (int i = 0; fetches && i < loop->event_count; i++)
		dispatch(loop, &loop->events[i]);
	run_wakes(loop);
	if (loop->event_count < 0 || is_left(loop, STAGE_WAKE))
		return false;
	loop->full_batches = loop->event_count < BATCH ? 0 : loop->full_batches + 1;
	return loop->full_batches == 0 || loop->full_batches > FULL_BATCHES;
}

bool loop_quiet(const struct loop *loop)
{
	return loop->quiet;
}

void loop_run(struct loop *loop, loop_turn *turn, void *owner)
{
	bool busy = true;

	loop->stopping = false;
	loop->now = loop->ended = clock_now();
	while (!loop->stopping) {
		loop->running = true;
		if (serve(loop, busy))
			ring_due(loop);
		busy = turn && turn(owner);
		while (is_left(loop, STAGE_SEND))
			busy |= run_first(loop, STAGE_SEND);
		loop->running = false;
		note_turn(loop);
		forgive_delay(loop);
	}
}
