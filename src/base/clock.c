#include "base/clock.h"

#include <time.h>

static const double second = 1e9; /* in nanoseconds */

static _Thread_local moment ahead;

moment clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (moment)now.tv_sec * 1000000000U + (moment)now.tv_nsec + ahead;
}

void clock_skip(moment nanoseconds)
{
	ahead += nanoseconds;
}

moment clock_skipped(void)
{
	return ahead;
}

moment clock_after(moment from, double seconds)
{
	if (!(seconds > 0))
		return from;
	if (from >= MOMENT_NEVER - 1 || seconds >= (double)(MOMENT_NEVER - 1 - from) / second)
		return MOMENT_NEVER - 1;
	return from + (moment)(seconds * second);
}

double clock_ms(moment from, moment to)
{
	return to > from ? (double)(to - from) / 1e6 : 0;
}
