/* The whole way of a service: the shipped scripts, run by a visit, against a server made of bytes.
 *
 * The input's first line is the name of a service, then a space and letters: `c` the server closes when it has said
 * all, `r` it breaks the connection off, else it is silent; `n` notes are taken of what is said, as for --record.
 * Behind that line is what it says: each time the client is silent it goes on to the next '|'. Every connection hears
 * the same.
 *
 * The words come twice: up to the next '|' in one piece, and also cut at each '^'. The record, and what is printed,
 * must be the same. Where time must pass, it does so at once.
 */
#ifndef TESTS_FUZZ_VISITING_H
#define TESTS_FUZZ_VISITING_H

#include "fuzz.h"
#include "scan/visit.h"
#include "shipped.h"

#include "output/json.h"
#include "output/text.h"
#include "script/states.h"
#include "workbench/conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 4 * 1024 * 1024, CHUNK = 16 * 1024, WORDS = 64 * 1024, CONNECTIONS = 4 };

/* After so many turns in which nothing was said a client is silent; so many turns are no conversation. */
enum { QUIET_TURNS = 2, TURNS = 100000 };

/* A TLS record with a hello begins with it. */
enum { HANDSHAKE = 22 };

static struct catalogue   *catalogue;
static struct selection    services;
static struct loop        *loop;
static struct tls_context *client, *server;
static struct states      *states;

static inline bool prepare_visits(void)
{
	struct failure failure;

	setenv("SSL_CERT_FILE", "/dev/null", 1);
	setenv("SSL_CERT_DIR", "/dev/null", 1);
	catalogue = load_shipped();
	services = choose_shipped(catalogue);
	loop = loop_new();
	client = tls_context_new();
	server = tls_context_new_server(NULL, &failure);
	states = states_new(catalogue, loop, client);
	return loop && server && states;
}

/* --- the input ------------------------------------------------------------------------------- */

struct play {
	struct choice choice;
	bool
	    secures; /* a TLS handshake is answered as it should be, and the rest of the words are said in it */
	bool         closes, resets, noted, cuts;
	struct input words;
};

static struct choice choose(struct input name)
{
	for (size_t i = 0; i < services.count; i++)
		if (strlen(services.choices[i].service->name) == name.left &&
		    memcmp(services.choices[i].service->name, name.bytes, name.left) == 0)
			return services.choices[i];
	return services.choices[take_below(&name, (unsigned)services.count)];
}

static bool has(struct input line, char letter)
{
	return line.left > 0 && memchr(line.bytes, letter, line.left);
}

static struct play read_play(struct input input, bool secures)
{
	struct input line = take_until(&input, '\n'), name = take_until(&line, ' ');
	struct play  play = { .choice = choose(name), .secures = secures, .words = input };

	if (play.choice.port == 0)
		play.choice.port = 4711;
	play.closes = has(line, 'c');
	play.resets = has(line, 'r');
	play.noted = has(line, 'n');
	return play;
}

/* --- the server ------------------------------------------------------------------------------ */

struct side {
	int           fd, client; /* client: the other end, which is the client's to close */
	struct tls   *tls;
	bool          secure, spoken, ended, gone;
	struct input  words; /* still to be said */
	struct buffer out;
};

struct run {
	const struct play    *play;
	struct host          *host;
	struct side           sides[CONNECTIONS];
	unsigned              dialled;
	int                   quiet, turns;
	const struct outcome *outcome; /* once it is over */
	struct notes          notes;
};

static enum io dial(void *owner, struct conn *conn, const struct address *address)
{
	struct run    *run = owner;
	struct side   *side = &run->sides[run->dialled];
	struct address local = { 0 };
	enum io        result;
	int            ends[2];

	if (run->dialled == CONNECTIONS ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		return conn_adopt(conn, -1);
	demand(ends[0] < 64, "descriptors are closed");
	run->dialled++;
	side->fd = ends[0];
	side->client = ends[1];
	side->words = run->play->words;
	buffer_init(&side->out, LARGE);
	address_parse(&local, "192.0.2.4");
	result = conn_adopt(conn, ends[1]);
	conn_pretend(conn, address, &local, NULL);
	return result;
}

static void collect(struct side *side)
{
	char   bytes[CHUNK];
	size_t length;

	while (side->tls && (length = tls_take(side->tls, bytes, sizeof bytes)) > 0)
		buffer_append(&side->out, bytes, length);
}

/* Our side of the handshake; what the client says in it does not matter. */
static void decrypt(struct side *side)
{
	struct failure failure;
	char           bytes[CHUNK];
	size_t         length;

	if (!side->secure)
		side->secure = tls_handshake(side->tls, &failure) == IO_DONE;
	while (side->secure && tls_read(side->tls, bytes, sizeof bytes, &length, &failure) == IO_DONE)
		;
	collect(side);
}

/* A client that begins a handshake is answered, if this is that kind of server. */
static void hear(const struct run *run, struct side *side, const char *bytes, size_t length)
{
	if (!side->tls && run->play->secures && bytes[0] == HANDSHAKE)
		side->tls = tls_new(server, TLS_STRICT, NULL);
	if (side->tls && tls_feed(side->tls, bytes, length))
		decrypt(side);
}

/* False: the client has said nothing. */
static bool listen_to(const struct run *run, struct side *side)
{
	char    bytes[CHUNK];
	ssize_t count;

	if (side->fd < 0 || side->gone)
		return false;
	count = recv(side->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (count > 0)
		hear(run, side, bytes, (size_t)count);
	else if (count == 0 || errno != EAGAIN)
		side->gone = true;
	return count >= 0;
}

static bool flush(struct side *side)
{
	size_t  length = buffer_length(&side->out);
	ssize_t count;

	if (side->fd < 0 || side->gone)
		buffer_clear(&side->out);
	if (buffer_length(&side->out) == 0)
		return false;
	count = send(side->fd, buffer_bytes(&side->out), length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count > 0)
		buffer_consume(&side->out, (size_t)count);
	return count > 0;
}

static void speak(struct side *side, const char *bytes, size_t length)
{
	struct failure failure;

	if (side->secure)
		tls_write(side->tls, bytes, length, &failure);
	else
		buffer_append(&side->out, bytes, length);
	collect(side);
}

/* All up to the next '|', or, where it is cut, up to a '^' before it. */
static void speak_on(struct side *side, bool cut)
{
	struct input *words = &side->words;
	size_t        length = 0, kept = 0;
	char          said[WORDS];

	while (length < words->left && words->bytes[length] != '|' && !(cut && words->bytes[length] == '^') &&
	       kept < sizeof said) {
		if (words->bytes[length] != '^')
			said[kept++] = words->bytes[length];
		length++;
	}
	speak(side, said, kept);
	length += length < words->left; /* the mark */
	words->bytes += length;
	words->left -= length;
}

/* An end that is closed while there is something to be read at it has broken off. */
static void end(const struct play *play, struct side *side)
{
	side->ended = true;
	if (play->resets) {
		send(side->client, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(side->fd);
		side->fd = -1;
	} else if (play->closes) {
		if (side->secure)
			tls_goodbye(side->tls);
		collect(side);
		flush(side);
		shutdown(side->fd, SHUT_WR);
	}
}

/* False: it has nothing to do any more. */
static bool go_on(const struct play *play, struct side *side)
{
	if (side->fd < 0 || side->gone || side->ended)
		return false;
	if (side->words.left > 0)
		speak_on(side, play->cuts);
	else
		end(play, side);
	return true;
}

static void hang_up(struct side *side)
{
	if (side->fd >= 0)
		close(side->fd);
	tls_free(side->tls);
	buffer_free(&side->out);
}

/* --- a visit --------------------------------------------------------------------------------- */

static void observe(void *owner, const struct host *host, const struct outcome *outcome, unsigned connection,
                    double ms, enum event event, const char *bytes, size_t length)
{
	struct run *run = owner;

	(void)host;
	(void)outcome;
	notes_event(&run->notes, connection, ms, event, bytes, length);
}

static void done(void *owner, struct host *host, struct outcome *outcome)
{
	struct run *run = owner;

	(void)host;
	demand(!run->outcome, "a visit ends once");
	run->outcome = outcome;
}

static void pass_time(void)
{
	moment due = loop_due(loop), now = clock_now();

	demand(due != MOMENT_NEVER, "nobody waits for ever");
	if (due > now)
		clock_skip(due - now);
}

static bool turn(void *owner)
{
	struct run *run = owner;
	bool        busy = false;

	if (run->outcome) {
		loop_stop(loop);
		return false;
	}
	demand(++run->turns < TURNS, "a conversation comes to its end");
	for (unsigned i = 0; i < run->dialled; i++) {
		busy = listen_to(run, &run->sides[i]) || busy;
		busy = flush(&run->sides[i]) || busy;
	}
	run->quiet = busy ? 0 : run->quiet + 1;
	if (run->quiet < QUIET_TURNS)
		return true;
	run->quiet = 0;
	for (unsigned i = 0; i < run->dialled; i++)
		busy = go_on(run->play, &run->sides[i]) || busy;
	if (!busy)
		pass_time();
	return true;
}

static struct host *new_host(const struct choice *choice)
{
	struct target target = { .name = "server.example", .literal = true };
	struct unit  *unit = calloc(1, sizeof *unit);
	struct host  *host;

	address_parse(&target.address, "192.0.2.7");
	host = unit ? host_new(&target, unit) : NULL;
	if (!host || !host_choose(host, choice, 1))
		exit(0);
	host->addresses = (struct addresses){ .address = { target.address }, .count = 1 };
	return host;
}

static void visit(struct run *run, const struct play *play)
{
	static const struct settings settings = { .connect_timeout = 3, .reply_timeout = 10, .deadline = 30 };

	*run = (struct run){ .play = play, .host = new_host(&play->choice) };
	for (unsigned i = 0; i < CONNECTIONS; i++)
		run->sides[i].fd = -1;
	notes_init(&run->notes);
	visit_start(&(struct visit_setup){ .settings = &settings,
	                                   .loop = loop,
	                                   .tls = client,
	                                   .states = states,
	                                   .host = run->host,
	                                   .observe = play->noted ? observe : NULL,
	                                   .dial = dial,
	                                   .done = done,
	                                   .owner = run });
	loop_run(loop, turn, run);
	demand(states_for(states, play->choice.service->script)->task_count == 0 &&
	           loop_due(loop) == MOMENT_NEVER,
	       "nothing is left of a visit");
	run->host->finished = 1;
}

static void leave(struct run *run)
{
	for (unsigned i = 0; i < run->dialled; i++)
		hang_up(&run->sides[i]);
	notes_free(&run->notes);
	host_free(run->host);
}

/* --- what came of it ------------------------------------------------------------------------- */

struct result {
	json_t       *record; /* without its times */
	struct buffer line, text;
};

static void take_result(struct result *result, struct run *run)
{
	static const struct text_style style = { 0 };

	demand_of(!run->outcome->broken, "a script has no bug", run->outcome->failure.message,
	          strlen(run->outcome->failure.message));
	buffer_init(&result->line, LARGE);
	buffer_init(&result->text, LARGE);
	demand(json_record(&result->line, run->host, run->outcome), "there is room for the record");
	demand_safe(buffer_bytes(&result->line), buffer_length(&result->line), true);
	result->record = json_loadb(buffer_bytes(&result->line), buffer_length(&result->line),
	                            JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	demand_of(result->record != NULL, "the record is JSON", buffer_bytes(&result->line),
	          buffer_length(&result->line));
	json_object_del(result->record, "ms");
	json_object_del(result->record, "exchanges");
	json_object_del(json_object_get(result->record, "tls"),
	                "days_left"); /* one more may be over by now */
	text_advance(&result->text, &style, run->host);
	demand_safe(buffer_bytes(&result->text), buffer_length(&result->text), true);
}

static void free_result(struct result *result)
{
	json_decref(result->record);
	buffer_free(&result->line);
	buffer_free(&result->text);
}

/* What --record would write --replay must be able to read. */
static void check_notes(const struct run *run)
{
	struct head         head;
	struct buffer       file, problems;
	struct conversation conversation;
	bool                good;

	head_init(&head);
	strcpy(head.service, run->play->choice.service->name);
	head.port = run->play->choice.port;
	buffer_init(&file, LARGE);
	buffer_init(&problems, LARGE);
	conversation_write(&file, "Written down by a fuzzer.", &head, &run->notes, NULL);
	good = conversation_parse(&conversation, "notes", buffer_bytes(&file), buffer_length(&file),
	                          &problems);
	buffer_append(&problems, buffer_bytes(&file), buffer_length(&file));
	demand_of(good, "what was written down can be read", buffer_bytes(&problems),
	          buffer_length(&problems));
	conversation_free(&conversation);
	buffer_free(&file);
	buffer_free(&problems);
}

static bool same(const struct buffer *one, const struct buffer *other)
{
	return buffer_length(one) == buffer_length(other) &&
	       memcmp(buffer_bytes(one), buffer_bytes(other), buffer_length(one)) == 0;
}

static void check_same(const struct result *whole, const struct result *cut)
{
	if (same(&whole->text, &cut->text) && json_equal(whole->record, cut->record))
		return;
	fwrite(buffer_bytes(&whole->line), 1, buffer_length(&whole->line), stderr);
	demand_of(false, "pieces change nothing", buffer_bytes(&cut->line), buffer_length(&cut->line));
}

/* What is said out of turn, as an answer or as plain text where TLS should begin, is known for that only if it comes
 * together with the words before it. */
static bool is_early(const struct result *result)
{
	static const char *const signs[] = { "plaintext-at-starttls", "said before it was asked" };

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (memmem(buffer_bytes(&result->line), buffer_length(&result->line), signs[i],
		           strlen(signs[i])))
			return true;
	return false;
}

static inline void check_visits(const uint8_t *bytes, size_t size, bool secures)
{
	struct play   play = read_play(input_of(bytes, size), secures);
	struct run    run;
	struct result whole, cut;

	visit(&run, &play);
	take_result(&whole, &run);
	if (play.noted)
		check_notes(&run);
	leave(&run);
	if (size > 0 && memchr(bytes, '^', size) && !is_early(&whole)) {
		play.cuts = true;
		visit(&run, &play);
		take_result(&cut, &run);
		leave(&run);
		check_same(&whole, &cut);
		free_result(&cut);
	}
	free_result(&whole);
}

#endif
