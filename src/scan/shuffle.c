#include "scan/shuffle.h"

/* A Feistel network over the least even number of bits that holds all numbers, walked until it lands
 * on one below count ("cycle walking", Black and Rogaway, Ciphers with Arbitrary Finite Domains,
 * 2002): at most four steps on average. For order, not for secrecy. */
enum { ROUNDS = 6 };

void shuffle_init(struct shuffle *shuffle, uint64_t count, uint64_t seed)
{
	shuffle->count = count;
	shuffle->seed = seed;
	shuffle->half = 1;
	while (shuffle->half < 32 && count > (uint64_t)1 << (2 * shuffle->half))
		shuffle->half++;
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit depends on every bit. */
static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
	value = (value ^ value >> 27) * 0x94d049bb133111ebU;
	return value ^ value >> 31;
}

static uint64_t permute(const struct shuffle *shuffle, uint64_t number)
{
	uint64_t mask = ((uint64_t)1 << shuffle->half) - 1;
	uint64_t left = number >> shuffle->half, right = number & mask;

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		uint64_t next = left ^
		                (mix(right + round * 0x9e3779b97f4a7c15U + mix(shuffle->seed + round)) &
		                 mask);

		left = right;
		right = next;
	}
	return left << shuffle->half | right;
}

uint64_t shuffle_at(const struct shuffle *shuffle, uint64_t place)
{
	uint64_t number = place;

	do
		number = permute(shuffle, number);
	while (number >= shuffle->count);
	return number;
}
