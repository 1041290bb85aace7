#include "script/states.h"

#include <stdlib.h>

/* `old`: retired, its last tasks are still running. There is one of them at most, lest a script that breaks
 * limits over and over has more and more memory. */
struct pair {
	struct vm *now, *old;
	size_t     peak; /* bytes, of those that are gone */
};

struct states {
	const struct catalogue *catalogue;
	struct loop            *loop;
	struct tls_context     *tls;
	struct pair            *pairs; /* by script index */
	size_t                  count;
};

struct states *states_new(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls)
{
	struct states *states = calloc(1, sizeof *states);

	if (!states)
		return NULL;
	*states = (struct states){ catalogue, loop, tls, NULL, catalogue->script_count };
	states->pairs = calloc(states->count + 1, sizeof *states->pairs);
	if (states->pairs)
		return states;
	free(states);
	return NULL;
}

void states_free(struct states *states)
{
	if (!states)
		return;
	for (size_t i = 0; i < states->count; i++) {
		vm_free(states->pairs[i].now);
		vm_free(states->pairs[i].old);
	}
	free(states->pairs);
	free(states);
}

static size_t larger(size_t one, size_t other)
{
	return one > other ? one : other;
}

static void discard(struct pair *pair, struct vm *vm)
{
	pair->peak = larger(pair->peak, vm->memory_peak);
	vm_free(vm);
}

static void retire(struct pair *pair)
{
	if (pair->old && pair->old->task_count == 0) {
		discard(pair, pair->old);
		pair->old = NULL;
	}
	if (!pair->now || !pair->now->retired || (pair->old && pair->now->task_count > 0))
		return;
	if (pair->now->task_count > 0)
		pair->old = pair->now;
	else
		discard(pair, pair->now);
	pair->now = NULL;
}

struct vm *states_for(struct states *states, const struct script *script)
{
	struct pair *pair = &states->pairs[script->index];

	retire(pair);
	if (!pair->now && script->trusted)
		pair->now = vm_new_trusted(states->catalogue, states->loop, states->tls);
	else if (!pair->now)
		pair->now = vm_new(states->catalogue, states->loop, states->tls);
	return pair->now;
}

size_t states_memory(const struct states *states)
{
	size_t all = 0;

	for (size_t i = 0; i < states->count; i++) {
		const struct pair *pair = &states->pairs[i];

		all += larger(pair->peak, pair->now ? pair->now->memory_peak : 0);
		all += pair->old ? pair->old->memory_peak : 0;
	}
	return all;
}
