/* The last things that were said on a connection, kept to explain a failure.
 *
 * What one side says without the other in between is one exchange, however it was cut into segments.
 */
#ifndef SCAN_TRANSCRIPT_H
#define SCAN_TRANSCRIPT_H

#include "base/clock.h"
#include "net/observer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { TRANSCRIPT_EXCHANGES = 5, TRANSCRIPT_BYTES = 120 };

struct exchange {
	float         ms;  /* from the start of the service to its first byte */
	char          who; /* 'C' we, 'S' the server, 'T' TLS */
	unsigned char length;
	char          bytes[TRANSCRIPT_BYTES]; /* the beginning of what was said */
};

struct transcript {
	struct exchange ring[TRANSCRIPT_EXCHANGES];
	size_t          count; /* of all that were ever noted */
};

void transcript_note(struct transcript *transcript, double ms, enum event event, const char *bytes,
                     size_t length);

/* As an array of {ms, who, text}, oldest first; a new reference, or NULL if nothing was said. */
json_t *transcript_json(const struct transcript *transcript);

/* 'C', 'S' or 'T'; 0 for an event that is no part of the conversation. */
char transcript_who(enum event event);

#endif
