#include "net/alarm.h"

#include "net/loop.h"

#include <stdlib.h>

enum { FIRST = 64, UNRESERVED = 64 }; /* places: at first; for alarms for which none is reserved */

/* --- the heap -------------------------------------------------------------------------------- */

static void put(struct alarms *alarms, struct alarm *alarm, size_t place)
{
	alarms->heap[place] = alarm;
	alarm->place = place;
}

/* Let the alarm rise from `place` until its parent is not later. */
static void rise(struct alarms *alarms, struct alarm *alarm, size_t place)
{
	while (place > 1 && alarms->heap[place / 2]->at > alarm->at) {
		put(alarms, alarms->heap[place / 2], place);
		place /= 2;
	}
	put(alarms, alarm, place);
}

/* Let the alarm sink from `place` until no child is earlier. */
static void sink(struct alarms *alarms, struct alarm *alarm, size_t place)
{
	for (;;) {
		size_t child = 2 * place;

		if (child > alarms->count)
			break;
		if (child < alarms->count && alarms->heap[child + 1]->at < alarms->heap[child]->at)
			child++;
		if (alarms->heap[child]->at >= alarm->at)
			break;
		put(alarms, alarms->heap[child], place);
		place = child;
	}
	put(alarms, alarm, place);
}

static void settle(struct alarms *alarms, struct alarm *alarm, size_t place)
{
	if (place > 1 && alarms->heap[place / 2]->at > alarm->at)
		rise(alarms, alarm, place);
	else
		sink(alarms, alarm, place);
}

static bool grow(struct alarms *alarms)
{
	size_t         capacity = alarms->capacity ? alarms->capacity * 2 : FIRST;
	struct alarm **heap = realloc(alarms->heap, capacity * sizeof(struct alarm *));

	if (!heap)
		return false;
	alarms->heap = heap;
	alarms->capacity = capacity;
	return true;
}

void alarms_free(struct alarms *alarms)
{
	free(alarms->heap);
}

struct alarm *alarms_first(const struct alarms *alarms)
{
	return alarms->count > 0 ? alarms->heap[1] : NULL;
}

/* The order stays. */
void alarms_postpone(struct alarms *alarms, moment by)
{
	for (size_t i = 1; i <= alarms->count; i++)
		if (alarms->heap[i]->at < MOMENT_NEVER - by)
			alarms->heap[i]->at += by;
}

/* --- alarms ---------------------------------------------------------------------------------- */

bool alarm_reserve(struct loop *loop)
{
	struct alarms *alarms = loop_alarms(loop);

	if (alarms->reserved + UNRESERVED >= alarms->capacity && !grow(alarms))
		return false;
	alarms->reserved++;
	return true;
}

void alarm_release(struct loop *loop)
{
	loop_alarms(loop)->reserved--;
}

bool alarm_set(struct loop *loop, struct alarm *alarm, moment at)
{
	struct alarms *alarms = loop_alarms(loop);
	moment         now = loop_now(loop);

	alarm->at = at > now ? at : now + 1; /* never due within the turn that sets it */
	if (alarm->place > 0) {
		settle(alarms, alarm, alarm->place);
		return true;
	}
	if (alarms->count + 1 >= alarms->capacity && !grow(alarms))
		return false;
	alarms->count++;
	rise(alarms, alarm, alarms->count);
	return true;
}

void alarm_clear(struct loop *loop, struct alarm *alarm)
{
	struct alarms *alarms = loop_alarms(loop);
	size_t         place = alarm->place;
	struct alarm  *last;

	if (place == 0)
		return;
	alarm->place = 0;
	last = alarms->heap[alarms->count--];
	if (last != alarm)
		settle(alarms, last, place);
}
