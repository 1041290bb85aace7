/* What was said on the connection of an interactive session: for :hex, and for :save, which makes of it a probe that
 * says the same again, and the conversation that tests it. */
#ifndef WORKBENCH_SESSION_H
#define WORKBENCH_SESSION_H

#include "net/conn.h"
#include "workbench/conversation.h"

#include <stdbool.h>
#include <stddef.h>

/* Of longer conversations the beginning is kept. */
enum { SESSION_BYTES = 1024 * 1024 };

struct said {
	enum event event;
	size_t     from, length; /* in .bytes */
};

struct session {
	struct buffer  bytes; /* of all that was said */
	struct said   *said;
	size_t         count;
	bool           cut;
	struct notes   notes;
	struct buffer  last; /* what came since we said something */
	struct address remote, local;
	char           host[TARGET_NAME];
};

void session_init(struct session *session);
void session_free(struct session *session);

/* Another connection, with `host`: what was said before is forgotten. */
void session_begin(struct session *session, const char *host, const struct conn *conn);

void session_event(struct session *session, double ms, enum event event, const char *bytes, size_t length);

/* Write NAME.lua and NAME.conversation, or neither; files that are there are never overwritten. `words` tells what
 * was done, or why not. */
bool session_save(const struct session *session, const char *name, char *words, size_t size);

#endif
