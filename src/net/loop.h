/* The event loop of one thread: sockets, alarms, and what libuv does off the thread.
 *
 * Sockets are watched edge-triggered in an epoll set of our own: one epoll_ctl in the life of a
 * connection, none when it closes. libuv's loop lives inside as one more descriptor of that set
 * (uv_backend_fd), and does name look-ups, signals and wake-ups from other threads.
 *
 * Callbacks are called from loop_run only, never from inside the call that asked for them, so a
 * callback stands at the top of the stack and may do anything: end a task, close connections,
 * start others. An event for a watch that was removed earlier in the same batch is dropped.
 *
 * A loop belongs to the thread that runs it. Only uv_async_send on a handle of loop_uv may be
 * called from another.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alarms;
struct loop;
struct spares;
struct uv_loop_s;

/* NULL with errno set where the system has no descriptors or memory for one. */
struct loop *loop_new(void);

/* Every watch and alarm must be gone, every libuv handle closed or closing. NULL is fine. A loop
 * that still has a name look-up under way on another thread is left to the end of the process. */
void loop_free(struct loop *loop);

/* Serve events until loop_stop. `turn` (may be NULL) is called once a turn, after its events. It
 * returns true if it has more to do at once: then the next turn does not wait. */
typedef bool loop_turn(void *owner);
void         loop_run(struct loop *loop, loop_turn *turn, void *owner);
void         loop_stop(struct loop *loop);

/* The time as of this turn; all deadlines are computed from it. */
moment loop_now(const struct loop *loop);

/* When the next alarm is due; MOMENT_NEVER if none is set. */
moment         loop_due(const struct loop *loop);
struct alarms *loop_alarms(struct loop *loop); /* see alarm.h */

/* Has nothing come since the turn before? Then all that has come by now is served. */
bool loop_quiet(const struct loop *loop);

struct uv_loop_s *loop_uv(struct loop *loop);

/* Sockets of the loop that nobody uses: see spare.h. */
struct spares *loop_spares(struct loop *loop);

/* How long turns took: each one's callbacks, without the wait before them. */
enum { TURN_LENGTHS = 8 };
extern const double turn_lengths[TURN_LENGTHS - 1]; /* milliseconds, ascending */

struct turns {
	uint64_t count
	    [TURN_LENGTHS]; /* count[i] of less than turn_lengths[i], but of no less than the one before */
	double longest;     /* milliseconds, in which others may have had the processor */
	double most_cpu;    /* milliseconds of CPU time, if loop_measure asked for it */
};

const struct turns *loop_turns(const struct loop *loop);

/* How long it has waited for something to happen, in all; milliseconds. */
double loop_waited(const struct loop *loop);

/* Take the CPU time of each turn from now on; that costs two system calls a turn. */
void loop_measure(struct loop *loop);

/* A 64 KiB scratch area for reads, good until the next call into any connection of the loop. */
char  *loop_scratch(struct loop *loop);
size_t loop_scratch_size(void);

/* Readiness of a descriptor. Embedded in its owner; `ready` gets EPOLLIN, EPOLLPRI, EPOLLOUT,
 * EPOLLRDHUP, EPOLLHUP, EPOLLERR as they came, each edge once. */
struct watch {
	void (*ready)(struct watch *watch, uint32_t events);
	uint32_t slot; /* place in the loop's table, 0 while not watching */
};

bool watch_add(struct loop *loop, struct watch *watch, int fd); /* false: errno */

/* Leave the descriptor in the set for another watch, which gives `slot` to watch_join; events that were fetched before
 * it joins are not told to it. */
uint32_t watch_leave(struct loop *loop, struct watch *watch);
void     watch_join(struct loop *loop, struct watch *watch, uint32_t slot);

/* Must come before close(fd), which takes the descriptor out of the set. Idempotent. */
void watch_remove(struct loop *loop, struct watch *watch);

/* Something that is done in one go with all of its kind. A turn has stages: the sockets' events are told, in which
 * connections receive; those for whom something has come are woken; at its end, what was put off is sent. Each
 * processor's caches hold little more than one of these at a time, and system calls that make packets cost less one
 * right behind the other, not least where the peer is on this machine and need not be woken for each.
 * Embedded in its owner; runs once. True: it has called somebody back, who may have ended what the turn was waiting
 * for; so the next turn comes at once. */
enum stage {
	STAGE_WAKE, /* behind the events, before alarms ring */
	STAGE_SEND, /* the last of the turn */
	STAGES,
};

struct later {
	bool (*run)(struct later *later);
	struct later *next, *previous; /* in the loop's ring; NULL while it is not in there */
};

/* False: no turn is under way, and nothing will run. */
bool later_set(struct loop *loop, enum stage stage, struct later *later);
void later_clear(struct later *later); /* idempotent */

#endif
