/* What came of one service of one host: the record. */
#ifndef SCAN_OUTCOME_H
#define SCAN_OUTCOME_H

#include "base/failure.h"
#include "net/address.h"
#include "script/report.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum state {
	STATE_PENDING,  /* not known yet */
	STATE_OPEN,     /* the connection was made */
	STATE_CLOSED,   /* refused or reset */
	STATE_FILTERED, /* no answer, or an ICMP error */
	STATE_FAILED    /* this machine's fault: no descriptors, no such name */
};

struct outcome {
	const char    *service; /* the catalogue's */
	uint16_t       port;
	enum state     state;
	bool           finished;    /* nothing more will come */
	struct address address;     /* the one that answered, or that was tried last; family 0: none */
	struct address local;       /* our own, where somebody watches the conversation; else family 0 */
	unsigned       connections; /* that were made */
	double         ms;          /* from the first connect to the end */
	struct failure failure;
	struct report  report;
	json_t        *tls;       /* facts, or NULL */
	json_t        *exchanges; /* of one that failed: what was said last; or NULL */
	bool           mute;      /* open, and not a byte came, though something was waited for */
	bool           broken;    /* the script has a bug or broke a limit: .failure says which */
	char          *traceback; /* of a broken script, or NULL */
};

void outcome_init(struct outcome *outcome, const char *service, uint16_t port);
void outcome_free(struct outcome *outcome);

/* The state that a failed connect leaves: refused is closed, no answer is filtered, ... */
enum state outcome_state_of(const struct failure *failure);

/* "open", "closed", "filtered", "failed". */
const char *outcome_state_name(enum state state);

#endif
