/* The server's side of a conversation, played to a probe without a network.
 *
 * What the client connects to is one end of a socket pair; the player, on the same loop, holds the other: it
 * says the server's lines, hears whether the client says its own, in order and in its turn, and makes the
 * handshake of a server of TLS. It never blocks, and does one small thing at a time, so that the client sees
 * one segment before the next is sent.
 */
#ifndef WORKBENCH_PLAYER_H
#define WORKBENCH_PLAYER_H

#include "net/conn.h"
#include "workbench/conversation.h"

#include <stdbool.h>
#include <stddef.h>

/* A conversation as it is to be played: with the segments of the file, or, to be cut otherwise, without. */
struct score {
	const struct conversation *conversation;
	struct step               *steps;
	size_t                     step_count;
	struct buffer              words; /* all of the server's */
	struct piece              *whole; /* of these, what must not be cut */
	size_t                     whole_count;
	size_t                     longest; /* run of the server's words, in bytes */
	bool                       cuts;    /* the file cuts some */
	unsigned                   connections;
};

/* The conversation must outlive it. False: no memory. Either way score_free frees. */
bool score_make(struct score *score, const struct conversation *conversation, bool as_written);
void score_free(struct score *score);

/* Into which segments the server's words are cut, apart from where the file says so. */
enum cutting {
	CUT_NOT,
	CUT_EVERY, /* pieces of .size bytes, TLS records likewise */
	CUT_AT     /* each run of words in two, behind its first .size bytes, and each run of TLS likewise */
};

struct cut {
	enum cutting how;
	size_t       size;
};

struct player;

/* All it is given must outlive it; `tls` is a server's. NULL: no memory. */
struct player *player_new(struct loop *loop, const struct score *score, struct cut cut,
                          struct tls_context *tls);
void           player_free(struct player *player); /* NULL is fine */

/* A connection for the client. */
enum io player_dial(struct player *player, struct conn *conn, const struct address *address);

/* Do the next thing. False: there is nothing to be done before the client does something, or time passes. */
bool player_act(struct player *player);

/* Until when it waits; MOMENT_NEVER: not for time. */
moment player_due(const struct player *player);

/* The most bytes of TLS that were sent in a run: there are so many places at which it can be cut. */
size_t player_longest(const struct player *player);

/* The client has gone: was all said that is in the conversation? */
void player_finish(struct player *player);

/* What the client did that it should not have, "file:line: ..."; NULL: nothing so far. */
const char *player_fault(const struct player *player);

#endif
