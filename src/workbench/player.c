#include "workbench/player.h"

#include "base/array.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* HEARD, OUT: more than a client takes or gives. REPEATED: so much is said at a time, over and over. SHOWN:
 * bytes of a quotation. */
enum {
	HEARD = 128 * 1024,
	OUT = 8 * 1024 * 1024,
	SAID = 4 * 1024 * 1024,
	REPEATED = 4096,
	SHOWN = 100,
	PIECES = 4096
};
enum { CHUNK = 16 * 1024, FAULT_TEXT = 1024 };

/* The first byte of a TLS record with a hello in it. */
enum { HANDSHAKE = 22 };

/* Something to be done: a turn, or several turns of words that are said as one. */
struct step {
	enum turn_kind     kind;
	const struct turn *turn;       /* the first */
	size_t             start, end; /* in the score's words */
	size_t             run;        /* where the run of words began */
};

struct piece {
	size_t start, end;
};

/* --- the score ------------------------------------------------------------------------------- */

static struct step *last_step(const struct score *score)
{
	return score->step_count > 0 ? &score->steps[score->step_count - 1] : NULL;
}

static bool add_step(struct score *score, const struct turn *turn)
{
	struct step *grown = array_grow(score->steps, &score->step_count, sizeof *grown);

	if (!grown)
		return false;
	score->steps = grown;
	grown[score->step_count - 1] = (struct step){ .kind = turn->kind, .turn = turn };
	return true;
}

/* The words since `start` are never cut. */
static bool keep_whole(struct score *score, size_t start)
{
	struct piece *grown = array_grow(score->whole, &score->whole_count, sizeof *grown);

	if (!grown)
		return false;
	score->whole = grown;
	grown[score->whole_count - 1] = (struct piece){ start, buffer_length(&score->words) };
	return true;
}

/* What is being compiled: where its run and its turn of words began, and whether a segment ended there. */
struct compiling {
	struct score      *score;
	const struct turn *before; /* of words, in this run */
	size_t             run, start;
	bool               border;
};

static bool add_words(struct compiling *compiling, const struct turn *turn)
{
	struct score *score = compiling->score;
	struct step  *last = last_step(score);
	size_t        start = buffer_length(&score->words);

	if (!compiling->before || compiling->before->connection != turn->connection)
		compiling->run = start;
	else if (last->kind != TURN_SAYS || compiling->border)
		last = NULL;
	if (!phrase_example(&turn->words, &score->words))
		return false;
	if (compiling->run == start || !last) {
		if (!add_step(score, turn))
			return false;
		last = last_step(score);
		last->start = start;
		last->run = compiling->run;
	}
	last->end = buffer_length(&score->words);
	if (last->end - compiling->run > score->longest)
		score->longest = last->end - compiling->run;
	if (turn->glued && !keep_whole(score, compiling->start))
		return false;
	if (!turn->glued)
		compiling->start = start;
	compiling->before = turn;
	compiling->border = false;
	return true;
}

static bool add_turn(struct compiling *compiling, const struct turn *turn, bool as_written)
{
	struct score *score = compiling->score;

	if (turn->connection > score->connections)
		score->connections = turn->connection;
	switch (turn->kind) {
	case TURN_SAYS:
		return add_words(compiling, turn);
	case TURN_BORDER:
		score->cuts = true;
		compiling->border = as_written;
		return true;
	case TURN_PAUSES:
		return add_step(score, turn);
	default:
		compiling->before = NULL;
		return add_step(score, turn);
	}
}

bool score_make(struct score *score, const struct conversation *conversation, bool as_written)
{
	struct compiling compiling = { .score = score };
	bool             good = true;

	*score = (struct score){ .conversation = conversation, .connections = 1 };
	buffer_init(&score->words, SAID);
	for (size_t i = 0; good && i < conversation->turn_count; i++)
		good = add_turn(&compiling, &conversation->turns[i], as_written);
	return good;
}

void score_free(struct score *score)
{
	free(score->steps);
	free(score->whole);
	buffer_free(&score->words);
	*score = (struct score){ 0 };
}

/* Where the segment that begins at `place` of the step ends. */
static size_t segment_end(const struct score *score, const struct step *step, size_t place, struct cut cut)
{
	size_t end = step->end;

	if (cut.how == CUT_EVERY && cut.size < step->end - place)
		end = place + cut.size;
	else if (cut.how == CUT_AT && place < step->run + cut.size && step->run + cut.size < step->end)
		end = step->run + cut.size;
	for (size_t i = 0; i < score->whole_count; i++)
		if (score->whole[i].start < end && end < score->whole[i].end)
			end = score->whole[i].end;
	return end;
}

/* --- connections ----------------------------------------------------------------------------- */

struct side {
	int           fd, client; /* client: the number of the other end, which is the client's to close */
	bool          dialled;
	bool          over; /* we closed it, and what still comes does not matter */
	bool          gone; /* the client closed it */
	bool          deaf; /* a hello is not answered, and what still comes does not matter */
	uint16_t      port;
	struct tls   *tls;
	bool          secure;
	size_t        run;   /* bytes of TLS since the client last said something */
	struct buffer heard; /* and not yet held against the conversation */
	struct buffer out;   /* must go to the client before anything else is done */
};

struct player {
	struct loop        *loop;
	const struct score *score;
	struct cut          cut;
	struct tls_context *tls;
	struct side         sides[CONVERSATION_CONNECTIONS + 1]; /* from 1 */
	unsigned            dialled;
	size_t              at;      /* the next step */
	size_t              place;   /* in its words */
	moment              due;     /* 0: there is no pause */
	size_t              longest; /* of all runs of TLS */
	struct buffer       repeated;
	char                fault[FAULT_TEXT];
};

struct player *player_new(struct loop *loop, const struct score *score, struct cut cut,
                          struct tls_context *tls)
{
	struct player *player = calloc(1, sizeof *player);

	if (!player)
		return NULL;
	player->loop = loop;
	player->score = score;
	player->cut = cut;
	player->tls = tls;
	buffer_init(&player->repeated, OUT);
	for (unsigned i = 0; i <= CONVERSATION_CONNECTIONS; i++) {
		player->sides[i].fd = -1;
		buffer_init(&player->sides[i].heard, HEARD);
		buffer_init(&player->sides[i].out, OUT);
	}
	return player;
}

static void hang_up(struct side *side)
{
	if (side->fd >= 0)
		close(side->fd);
	side->fd = -1;
	side->over = true;
}

void player_free(struct player *player)
{
	if (!player)
		return;
	for (unsigned i = 0; i <= CONVERSATION_CONNECTIONS; i++) {
		hang_up(&player->sides[i]);
		tls_free(player->sides[i].tls);
		buffer_free(&player->sides[i].heard);
		buffer_free(&player->sides[i].out);
	}
	buffer_free(&player->repeated);
	free(player);
}

/* It is over with the first fault: the client is hung up on. */
__attribute__((format(printf, 3, 4))) static bool blame(struct player *player, unsigned line,
                                                        const char *format, ...)
{
	const struct conversation *conversation = player->score->conversation;
	va_list                    arguments;
	int                        length;

	if (player->fault[0])
		return true;
	length = snprintf(player->fault, sizeof player->fault, "%.200s:%u: ", conversation->path, line);
	va_start(arguments, format);
	vsnprintf(player->fault + length, sizeof player->fault - (size_t)length, format, arguments);
	va_end(arguments);
	for (unsigned i = 1; i <= CONVERSATION_CONNECTIONS; i++)
		hang_up(&player->sides[i]);
	return true;
}

const char *player_fault(const struct player *player)
{
	return player->fault[0] ? player->fault : NULL;
}

/* The words in a message; a line without its end. */
struct shown {
	char text[4 * SHOWN + 8];
};

static struct shown show(const char *bytes, size_t length)
{
	struct shown  shown = { "" };
	struct buffer text;
	bool          cut = length > SHOWN;

	if (length > 1 && bytes[0] == HANDSHAKE && bytes[1] == 3)
		return (struct shown){ "(a TLS handshake)" };
	if (!cut && length >= 2 && memcmp(bytes + length - 2, "\r\n", 2) == 0)
		length -= 2;
	buffer_init(&text, sizeof shown.text - 4);
	phrase_quote(&text, bytes, cut ? SHOWN : length);
	snprintf(shown.text, sizeof shown.text, "%.*s%s", (int)buffer_length(&text), buffer_bytes(&text),
	         cut ? "..." : "");
	buffer_free(&text);
	return shown;
}

static struct shown show_heard(const struct side *side)
{
	return show(buffer_bytes(&side->heard), buffer_length(&side->heard));
}

enum io player_dial(struct player *player, struct conn *conn, const struct address *address)
{
	const struct head *head = &player->score->conversation->head;
	struct side *side = player->dialled < CONVERSATION_CONNECTIONS ? &player->sides[++player->dialled]
	                                                               : NULL;
	int          ends[2];
	enum io      result;

	if (!side || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		return conn_adopt(conn, -1);
	side->fd = ends[0];
	side->client = ends[1];
	side->port = address_port(address);
	side->dialled = true;
	result = conn_adopt(conn, ends[1]);
	conn_pretend(conn, address, &head->local, player->score->conversation->tls);
	if (player->fault[0])
		hang_up(side);
	else if (player->dialled > player->score->connections)
		blame(player, player->score->conversation->last_line,
		      "the client opens another connection, to port %u, of which nothing is said here; what "
		      "is said on "
		      "it begins with S%u:, C%u:, T%u:",
		      side->port, player->dialled, player->dialled, player->dialled);
	return result;
}

/* --- hearing --------------------------------------------------------------------------------- */

static void decrypt(struct side *side)
{
	char           bytes[CHUNK];
	size_t         length;
	struct failure failure;
	enum io        result;

	while ((result = tls_read(side->tls, bytes, sizeof bytes, &length, &failure)) == IO_DONE)
		buffer_append(&side->heard, bytes, length);
	if (result == IO_EOF || result == IO_FAILED)
		side->gone = true;
}

static void hear(struct side *side, const char *bytes, size_t length)
{
	if (side->over || side->deaf)
		return;
	if (!side->tls)
		buffer_append(&side->heard, bytes, length);
	else
		tls_feed(side->tls, bytes, length);
	if (side->secure)
		decrypt(side);
}

/* Take what has come; false: nothing. */
static bool listen_to(struct side *side)
{
	char    bytes[CHUNK];
	ssize_t count;

	if (side->fd < 0 || side->gone)
		return false;
	count = recv(side->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (count > 0) {
		side->run = 0;
		hear(side, bytes, (size_t)count);
	} else if (count == 0 || (errno != EAGAIN && errno != EINTR))
		side->gone = true;
	return count >= 0;
}

/* --- speaking -------------------------------------------------------------------------------- */

static void collect(struct side *side)
{
	char   bytes[CHUNK];
	size_t length;

	while ((length = tls_take(side->tls, bytes, sizeof bytes)) > 0)
		buffer_append(&side->out, bytes, length);
}

static void speak(struct side *side, const char *bytes, size_t length)
{
	struct failure failure;

	if (!side->secure) {
		buffer_append(&side->out, bytes, length);
		return;
	}
	tls_write(side->tls, bytes, length, &failure);
	collect(side);
}

/* How much of `length` bytes is one segment: TLS is cut by its own bytes, words were before. */
static size_t segment(const struct player *player, const struct side *side, size_t length)
{
	size_t size = player->cut.size;

	if (side->tls && player->cut.how == CUT_EVERY && size < length)
		return size;
	if (side->tls && player->cut.how == CUT_AT && side->run < size && size < side->run + length)
		return size - side->run;
	return length;
}

static void count_run(struct player *player, struct side *side, size_t sent)
{
	if (!side->tls)
		return;
	side->run += sent;
	if (side->run > player->longest)
		player->longest = side->run;
}

/* Send one segment of what must go out; false: the client takes nothing, or there is nothing. */
static bool flush(struct player *player, struct side *side)
{
	size_t  length = buffer_length(&side->out);
	ssize_t count;

	if (length == 0)
		return false;
	if (side->fd < 0 || side->gone) {
		buffer_clear(&side->out);
		return true;
	}
	length = segment(player, side, length);
	count = send(side->fd, buffer_bytes(&side->out), length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count > 0) {
		count_run(player, side, (size_t)count);
		buffer_consume(&side->out, (size_t)count);
	} else if (count < 0 && errno != EAGAIN)
		side->gone = true;
	return count > 0 || side->gone;
}

/* --- steps: each returns whether there was something to be done ------------------------------- */

static bool next_step(struct player *player)
{
	player->at++;
	player->place = 0;
	player->due = 0;
	buffer_clear(&player->repeated);
	return true;
}

/* Each piece under TLS is a record, and a client takes only so many bytes of these: where there are many words, the
 * pieces grow. The records themselves are cut as finely as ever. */
static struct cut cut_of(const struct player *player, const struct side *side)
{
	struct cut cut = player->cut;

	if (cut.how == CUT_EVERY && side->secure)
		cut.size += buffer_length(&player->score->words) / PIECES;
	return cut;
}

/* The server speaks only where the client is silent. */
static bool say(struct player *player, struct side *side, const struct step *step)
{
	size_t start = player->place > 0 ? player->place : step->start;
	size_t end;

	if (side->gone || step->end == step->start)
		return next_step(player);
	if (buffer_length(&side->heard) > 0)
		return blame(player, step->turn->line,
		             "the client says \"%s\" before the server has said this", show_heard(side).text);
	end = segment_end(player->score, step, start, cut_of(player, side));
	speak(side, buffer_bytes(&player->score->words) + start, end - start);
	player->place = end;
	return end < step->end || next_step(player);
}

static bool repeat(struct player *player, struct side *side, const struct step *step)
{
	struct buffer *repeated = &player->repeated;
	bool           more = true;

	if (side->gone)
		return next_step(player);
	while (more && buffer_length(repeated) < REPEATED)
		more = phrase_example(&step->turn->words, repeated) && buffer_length(repeated) > 0;
	speak(side, buffer_bytes(repeated), buffer_length(repeated));
	return true;
}

/* So much of what was heard is held against the client's words; 0: not all of it is there. */
static size_t heard_length(const struct side *side, const struct turn *turn)
{
	size_t      length = buffer_length(&side->heard);
	const char *bytes = buffer_bytes(&side->heard);
	const char *lf = length > 0 ? memchr(bytes, '\n', length) : NULL;

	if (turn->whole_line)
		return lf ? (size_t)(lf - bytes) + 1 : 0;
	return length >= phrase_width(&turn->words) ? phrase_width(&turn->words) : 0;
}

static bool missing(struct player *player, const struct side *side, const struct turn *turn)
{
	if (buffer_length(&side->heard) > 0)
		return blame(player, turn->line, "the client says \"%s\" and no more, where \"%s\" is due",
		             show_heard(side).text, turn->text);
	return blame(player, turn->line, "the client leaves where \"%s\" is due", turn->text);
}

static bool expect(struct player *player, struct side *side, const struct step *step)
{
	const struct turn *turn = step->turn;
	size_t             length = heard_length(side, turn);
	const char        *bytes = buffer_bytes(&side->heard);
	bool               bare;

	if (length == 0)
		return side->gone && missing(player, side, turn);
	bare = turn->whole_line && (length == 1 || bytes[length - 2] != '\r');
	if (!phrase_fits(&turn->words, bytes, length))
		return blame(player, turn->line, "the client says \"%s\", where \"%s%s\" is due",
		             show(bytes, length).text, turn->text, bare ? "\\r\\n" : "");
	buffer_consume(&side->heard, length);
	return next_step(player);
}

/* Has the client begun a handshake? If it did something else it is blamed. */
static bool begun(struct player *player, struct side *side, const struct step *step)
{
	if (buffer_length(&side->heard) > 0 && *buffer_bytes(&side->heard) != HANDSHAKE)
		blame(player, step->turn->line, "the client says \"%s\", where a TLS handshake is due",
		      show_heard(side).text);
	else if (buffer_length(&side->heard) == 0 && side->gone)
		blame(player, step->turn->line, "the client leaves where a TLS handshake is due");
	return !player->fault[0] && buffer_length(&side->heard) > 0;
}

static bool secure(struct player *player, struct side *side, const struct step *step)
{
	struct failure failure;
	enum io        result;

	if (!side->tls) {
		if (!begun(player, side, step))
			return player->fault[0] != '\0';
		side->tls = tls_new(player->tls, TLS_STRICT, NULL);
		if (!side->tls)
			return blame(player, step->turn->line, "not enough memory");
		tls_feed(side->tls, buffer_bytes(&side->heard), buffer_length(&side->heard));
		buffer_clear(&side->heard);
	}
	result = tls_handshake(side->tls, &failure);
	collect(side);
	if (result == IO_FAILED || (result != IO_DONE && side->gone))
		return blame(player, step->turn->line, "the TLS handshake does not come to its end: %s",
		             result == IO_FAILED ? failure.message : "the client leaves");
	if (result != IO_DONE)
		return buffer_length(&side->out) > 0;
	side->secure = true;
	decrypt(side);
	return next_step(player);
}

static bool ignore(struct player *player, struct side *side, const struct step *step)
{
	if (!begun(player, side, step))
		return player->fault[0] != '\0';
	buffer_clear(&side->heard);
	side->deaf = true;
	return next_step(player);
}

static bool is_anybody_there(const struct player *player)
{
	for (unsigned i = 1; i <= player->dialled; i++)
		if (!player->sides[i].gone && !player->sides[i].over)
			return true;
	return false;
}

static bool pause_for(struct player *player, const struct step *step)
{
	if (player->due == 0)
		player->due = clock_after(loop_now(player->loop), step->turn->seconds);
	if (loop_now(player->loop) >= player->due || !is_anybody_there(player))
		return next_step(player);
	return false;
}

/* The client may still write, as one may for a while to a server that has gone. */
static bool end_words(struct player *player, struct side *side)
{
	if (side->secure) {
		tls_goodbye(side->tls);
		collect(side);
		send(side->fd, buffer_bytes(&side->out), buffer_length(&side->out),
		     MSG_DONTWAIT | MSG_NOSIGNAL);
		buffer_clear(&side->out);
	}
	shutdown(side->fd, SHUT_WR);
	side->over = true;
	return next_step(player);
}

/* An end that is closed while there is something to be read at it has broken off. */
static bool break_off(struct player *player, struct side *side)
{
	if (!side->gone)
		send(side->client, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	hang_up(side);
	return next_step(player);
}

static bool check_port(struct player *player, const struct side *side, const struct step *step)
{
	if (side->port != step->turn->port)
		return blame(player, step->turn->line, "the client connects to port %u, not %u", side->port,
		             step->turn->port);
	return next_step(player);
}

static bool act(struct player *player, const struct step *step)
{
	struct side *side = &player->sides[step->turn->connection];

	if (step->kind == TURN_PAUSES)
		return pause_for(player, step);
	if (!side->dialled)
		return false;
	switch (step->kind) {
	case TURN_SAYS:
		return say(player, side, step);
	case TURN_REPEATS:
		return repeat(player, side, step);
	case TURN_HEARS:
		return expect(player, side, step);
	case TURN_SECURES:
		return secure(player, side, step);
	case TURN_HELLO:
		return ignore(player, side, step);
	case TURN_CLOSES:
		return end_words(player, side);
	case TURN_RESETS:
		return break_off(player, side);
	case TURN_CONNECTS:
		return check_port(player, side, step);
	default:
		return next_step(player);
	}
}

/* Behind the last line: nobody may say anything. */
static bool keep_silent(struct player *player)
{
	for (unsigned i = 1; i <= player->dialled; i++)
		if (buffer_length(&player->sides[i].heard) > 0)
			return blame(player, player->score->conversation->last_line,
			             "at the end the client still says \"%s\"",
			             show_heard(&player->sides[i]).text);
	return false;
}

bool player_act(struct player *player)
{
	bool busy = false;

	if (player->fault[0])
		return false;
	for (unsigned i = 1; i <= player->dialled; i++)
		busy = listen_to(&player->sides[i]) || busy;
	for (unsigned i = 1; i <= player->dialled; i++) {
		busy = flush(player, &player->sides[i]) || busy;
		if (buffer_length(&player->sides[i].out) > 0)
			return busy;
	}
	if (busy)
		return true;
	if (player->at < player->score->step_count)
		return act(player, &player->score->steps[player->at]);
	return keep_silent(player);
}

moment player_due(const struct player *player)
{
	return player->due > 0 ? player->due : MOMENT_NEVER;
}

size_t player_longest(const struct player *player)
{
	return player->longest;
}

void player_finish(struct player *player)
{
	const struct step *step;

	while (player_act(player))
		;
	if (player->fault[0] || player->at == player->score->step_count)
		return;
	step = &player->score->steps[player->at];
	blame(player, step->turn->line,
	      player->sides[step->turn->connection].dialled
	          ? "the client leaves before this"
	          : "the client leaves and has not opened this connection");
}
