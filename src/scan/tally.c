#include "scan/tally.h"

#include <jansson.h>
#include <string.h>

void tally_init(struct tally *tally, const struct selection *selection, uint64_t hosts_known)
{
	memset(tally, 0, sizeof *tally);
	tally->started = clock_now();
	tally->hosts_known = hosts_known;
	for (size_t i = 0; i < selection->count && i < TALLY_SERVICES; i++)
		tally->services[tally->service_count++].service = selection->choices[i].service->name;
}

static void count(struct service_tally *service, const struct outcome *outcome)
{
	switch (outcome->state) {
	case STATE_OPEN:
		atomic_fetch_add(&service->open, 1);
		break;
	case STATE_CLOSED:
		atomic_fetch_add(&service->closed, 1);
		break;
	case STATE_FILTERED:
		atomic_fetch_add(&service->filtered, 1);
		break;
	case STATE_FAILED:
	case STATE_PENDING:
		atomic_fetch_add(&service->failed, 1);
		break;
	}
	if (outcome->report.warnings)
		atomic_fetch_add(&service->warnings, json_array_size(outcome->report.warnings));
}

/* Names of services are the catalogue's own strings: the same service has the same pointer. */
void tally_outcome(struct tally *tally, const struct outcome *outcome)
{
	atomic_fetch_add(&tally->services_done, 1);
	for (size_t i = 0; i < tally->service_count; i++) {
		if (tally->services[i].service == outcome->service) {
			count(&tally->services[i], outcome);
			return;
		}
	}
}

static void add_turns(struct turns *all, const struct turns *more)
{
	for (size_t i = 0; i < TURN_LENGTHS; i++)
		all->count[i] += more->count[i];
	if (more->longest > all->longest)
		all->longest = more->longest;
	if (more->most_cpu > all->most_cpu)
		all->most_cpu = more->most_cpu;
}

void tally_effort(struct tally *tally, const struct effort *effort)
{
	tally->effort.threads += effort->threads;
	add_turns(&tally->effort.turns, &effort->turns);
	tally->effort.connections += effort->connections;
	tally->effort.most_in_flight += effort->most_in_flight;
	tally->effort.lua += effort->lua;
}
