/* How far a scan is, for a person at a terminal, and what came of it. To standard error only. */
#ifndef OUTPUT_PROGRESS_H
#define OUTPUT_PROGRESS_H

#include "scan/tally.h"

#include <stdbool.h>
#include <stdio.h>

/* One line: hosts done and known, services done, rate, in flight, time left, and `waiting`, what is
 * being waited for at the end ("" if there is more to do). On a terminal it is drawn over the one before,
 * else it is a line of its own. */
void progress_show(FILE *file, const struct tally *tally, const char *waiting, bool terminal);

/* Wipe the line off the terminal. */
void progress_clear(FILE *file);

/* After many hosts: per service how many open, closed, filtered, failed, with warnings; time taken. */
void progress_summary(FILE *file, const struct tally *tally);

/* What the scan itself took: turns of its loops by length, connections, descriptors, memory. */
void progress_effort(FILE *file, const struct effort *effort);

#endif
