#include "scan/outcome.h"

#include <stdlib.h>
#include <string.h>

void outcome_init(struct outcome *outcome, const char *service, uint16_t port)
{
	memset(outcome, 0, sizeof *outcome);
	outcome->service = service;
	outcome->port = port;
	report_init(&outcome->report);
}

void outcome_free(struct outcome *outcome)
{
	report_free(&outcome->report);
	json_decref(outcome->tls);
	json_decref(outcome->exchanges);
	free(outcome->traceback);
	outcome->tls = NULL;
	outcome->exchanges = NULL;
	outcome->traceback = NULL;
}

enum state outcome_state_of(const struct failure *failure)
{
	static const struct {
		const char *code;
		enum state  state;
	} known[] = {
		{ "refused", STATE_CLOSED },
		{ "reset", STATE_CLOSED },
		{ "timeout", STATE_FILTERED },
		{ "unreachable", STATE_FILTERED },
	};

	if (failure->phase == PHASE_RESOLVE)
		return STATE_FAILED;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(failure->code, known[i].code) == 0)
			return known[i].state;
	return STATE_FAILED;
}

const char *outcome_state_name(enum state state)
{
	static const char *const names[] = { "pending", "open", "closed", "filtered", "failed" };

	return names[state];
}
