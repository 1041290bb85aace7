/* Alarms of a loop: moments at which something is due.
 *
 * They ring from loop_run, in the order of their moments, after the events that had come by then; none in the turn that
 * set it, and none before its moment. A loop's alarms belong to its thread.
 */
#ifndef NET_ALARM_H
#define NET_ALARM_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;

/* Embedded in its owner; rings once. */
struct alarm {
	void (*ring)(struct alarm *alarm);
	moment at;
	size_t place; /* in the heap, 0 while not set */
};

bool alarm_set(struct loop *loop, struct alarm *alarm, moment at); /* sets anew if set; false: no memory */
void alarm_clear(struct loop *loop, struct alarm *alarm);          /* idempotent */

/* For whom an alarm that cannot be set would be a wait without end: a place for it from now on, so that to set it
 * cannot fail. False: no memory. */
bool alarm_reserve(struct loop *loop);
void alarm_release(struct loop *loop);

/* --- for the loop ---------------------------------------------------------------------------- */

struct alarms {              /* zeroed: none */
	struct alarm **heap; /* binary, by .at; places 1 to count */
	size_t         count, capacity;
	size_t         reserved; /* places */
};

void          alarms_free(struct alarms *alarms);
struct alarm *alarms_first(const struct alarms *alarms);         /* the next one; NULL: none is set */
void          alarms_postpone(struct alarms *alarms, moment by); /* all, by so many nanoseconds */

#endif
