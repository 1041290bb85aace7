/* The list of all targets as one lazy sequence: words of the command line, then files. Nothing is
 * expanded in memory, whatever the size of a range or a file.
 *
 * Not thread-safe: whoever shares it locks it.
 */
#ifndef SCAN_TARGETS_H
#define SCAN_TARGETS_H

#include "scan/exclude.h"
#include "scan/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct targets;

struct targets_setup {
	const char *const    *words;
	size_t                word_count;
	const char *const    *files; /* "-" is standard input */
	size_t                file_count;
	int                   family; /* AF_UNSPEC, AF_INET, AF_INET6 */
	const struct exclude *exclude;
	bool                  shuffle; /* each range, and the words among themselves, in a random order */
	uint64_t              seed;
	uint64_t              shard, shards; /* this one of so many, from 1; 1 of 1: all */
	/* A line of a file is wrong: where and why, for standard error. The scan goes on. */
	void (*complain)(const char *text);
};

/* NULL: `error` says which word is wrong, or which file cannot be read, and the way out. */
struct targets *targets_new(const struct targets_setup *setup, char *error, size_t size);
void            targets_free(struct targets *targets);

/* TARGETS_LATER: the input is a pipe that has nothing to say just now; `nudge` will be called. TARGETS_AGAIN: so many
 * were passed over, excluded or another shard's, that it is time to do something else before going on. */
enum targets_step { TARGETS_ONE, TARGETS_LATER, TARGETS_AGAIN, TARGETS_END };
enum targets_step targets_next(struct targets *targets, struct target *target);

/* From whatever thread reads the files: there is more now. With NULL nobody is nudged any more. */
void targets_listen(struct targets *targets, void (*nudge)(void *owner), void *owner);

/* How many targets there are in all, of this shard and before exclusion; 0: not known. */
uint64_t targets_total(const struct targets *targets);

bool targets_ports(const struct targets *targets);  /* may a target bring no port of its own? */
bool targets_flawed(const struct targets *targets); /* was a line wrong? */

/* At the end: why there was no target at all (static text); NULL: there was one. */
const char *targets_missing(const struct targets *targets);

#endif
