/* A random order of the numbers 0 to count-1 that needs no memory: a permutation by formula. */
#ifndef SCAN_SHUFFLE_H
#define SCAN_SHUFFLE_H

#include <stdint.h>

struct shuffle {
	uint64_t count;
	uint64_t seed;
	unsigned half; /* bits of each half of a number */
};

void shuffle_init(struct shuffle *shuffle, uint64_t count, uint64_t seed);

/* The number at `place`; each of 0 to count-1 comes at exactly one place. */
uint64_t shuffle_at(const struct shuffle *shuffle, uint64_t place);

#endif
