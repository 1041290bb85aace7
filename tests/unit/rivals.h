/* The same call of a string function made by Lua's own library and by ours: they must agree.
 *
 * A call is made from bytes, however random: they choose among subjects and patterns over a small
 * alphabet, so that many match, and among ways to get a pattern wrong.
 */
#ifndef TESTS_RIVALS_H
#define TESTS_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rivals;

struct rivals *rivals_new(void);
void           rivals_free(struct rivals *rivals);

/* Make the call that the bytes describe, by both. False: they disagree, and `difference` says how. */
bool rivals_agree(struct rivals *rivals, const uint8_t *bytes, size_t size, char *difference, size_t room);

/* The same for a call that is given. `start` 0: none is given. */
bool rivals_find(struct rivals *rivals, const char *subject, size_t length, const char *pattern,
                 size_t pattern_length, int start, char *difference, size_t room);

/* How many of the calls found something, raised an error, and were too much work to be compared. */
struct rivals_figures {
	size_t calls, found, raised, dropped;
};
struct rivals_figures rivals_figures(const struct rivals *rivals);

#endif
