/* Time. Deadlines are absolute and monotonic; only a certificate's dates look at the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t moment; /* nanoseconds on the monotonic clock; 0 is "never set" */

#define MOMENT_NEVER UINT64_MAX

moment clock_now(void);

/* Let the calling thread's clock, from now on, be ahead by so much more: for replays, in which nobody waits for
 * anybody, time passes in no time. */
void   clock_skip(moment nanoseconds);
moment clock_skipped(void); /* in all */

/* `seconds` from `from`, clamped to [0, MOMENT_NEVER); NaN counts as 0. */
moment clock_after(moment from, double seconds);

/* Milliseconds from `from` to `to`, 0 if `to` is the earlier. */
double clock_ms(moment from, moment to);

#endif
