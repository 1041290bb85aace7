#include "scan/host.h"

#include <stdlib.h>

enum { MUTE_SERVICES = 4 };

struct host *host_new(const struct target *target, struct unit *unit)
{
	struct host *host = calloc(1, sizeof *host);

	if (!host)
		return NULL;
	host->target = *target;
	host->unit = unit;
	return host;
}

bool host_choose(struct host *host, const struct choice *choices, size_t count)
{
	host->outcomes = calloc(count, sizeof *host->outcomes);
	if (!host->outcomes)
		return false;
	host->choices = choices;
	host->count = count;
	for (size_t i = 0; i < count; i++)
		outcome_init(&host->outcomes[i], choices[i].service->name, choices[i].port);
	return true;
}

void host_free(struct host *host)
{
	for (size_t i = 0; i < host->count; i++)
		outcome_free(&host->outcomes[i]);
	free(host->outcomes);
	free(host->failure);
	selection_free(&host->own);
	if (host->unit->hosts == 0)
		free(host->unit);
	free(host);
}

/* Without memory for the one that is told of all, each service tells its own. */
void host_fail(struct host *host, const struct failure *failure)
{
	host->failure = malloc(sizeof *failure);
	if (host->failure)
		*host->failure = *failure;
	host->started = host->finished = host->count;
	for (size_t i = 0; i < host->count; i++) {
		host->outcomes[i].failure = *failure;
		host->outcomes[i].state = STATE_FAILED;
		host->outcomes[i].finished = true;
	}
}

bool host_done(const struct host *host)
{
	return host->finished == host->count;
}

bool host_mute(const struct host *host)
{
	size_t mute = 0;

	for (size_t i = 0; i < host->count; i++) {
		const struct outcome *outcome = &host->outcomes[i];

		if (outcome->state != STATE_OPEN || (failure_present(&outcome->failure) && !outcome->mute) ||
		    !pack_empty(&outcome->report.data))
			return false;
		mute += outcome->mute;
	}
	return mute >= MUTE_SERVICES;
}
