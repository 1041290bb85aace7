#include "workbench/conversation.h"

#include "base/array.h"
#include "base/escape.h"
#include "base/nearest.h"
#include "output/json.h"
#include "output/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is written down of a conversation at most, and what of a report. */
enum { NOTES_BYTES = 256 * 1024, REPORTED_BYTES = 2 * 1024 * 1024 };

/* From so many milliseconds on, a silence is written down. */
static const double silence = 10;

/* --- the head -------------------------------------------------------------------------------- */

static const char usual_host[] = "server.example";

static struct address address_of(const char *text)
{
	struct address address = { 0 };

	address_parse(&address, text);
	return address;
}

static struct address usual_local(const struct address *address)
{
	return address_of(address_family(address) == AF_INET6 ? "2001:db8::4" : "192.0.2.4");
}

void head_init(struct head *head)
{
	*head = (struct head){ .address = address_of("192.0.2.7"), .local = address_of("192.0.2.4") };
	strcpy(head->host, usual_host);
}

void head_free(struct head *head)
{
	for (size_t i = 0; i < head->argument_count; i++)
		free(head->arguments[i]);
	head->argument_count = 0;
}

bool head_add_argument(struct head *head, const char *setting)
{
	char *copy = head->argument_count < CONVERSATION_ARGUMENTS ? strdup(setting) : NULL;

	if (copy)
		head->arguments[head->argument_count++] = copy;
	return copy != NULL;
}

static void put_address(struct buffer *out, const char *name, const struct address *address,
                        const struct address *usual)
{
	char text[ADDRESS_TEXT];

	if (address_family(address) == AF_UNSPEC || address_same(address, usual))
		return;
	address_format(address, text);
	buffer_format(out, "%s: %s\n", name, text);
}

static void put_seconds(struct buffer *out, const char *name, double seconds)
{
	if (seconds > 0)
		buffer_format(out, "%s: %.15g\n", name, seconds);
}

static void put_head(struct buffer *out, const struct head *head)
{
	struct address usual = address_of("192.0.2.7"), local = usual_local(&head->address);

	buffer_format(out, "service: %s\n", head->service);
	if (head->script[0])
		buffer_format(out, "script: %s\n", head->script);
	if (head->port != 0)
		buffer_format(out, "port: %u\n", head->port);
	if (strcmp(head->host, usual_host) != 0)
		buffer_format(out, "host: %s\n", head->host);
	put_address(out, "address", &head->address, &usual);
	put_address(out, "local", &head->local, &local);
	for (size_t i = 0; i < head->argument_count; i++)
		buffer_format(out, "arg: %s\n", head->arguments[i]);
	put_seconds(out, "connect-timeout", head->connect_timeout);
	put_seconds(out, "reply-timeout", head->reply_timeout);
	put_seconds(out, "deadline", head->deadline);
}

/* --- notes ----------------------------------------------------------------------------------- */

void notes_init(struct notes *notes)
{
	*notes = (struct notes){ 0 };
	buffer_init(&notes->lines, NOTES_BYTES);
}

void notes_free(struct notes *notes)
{
	buffer_free(&notes->lines);
}

/* A whole line or nothing of it. */
static void put_line(struct notes *notes, const char *mark, const char *bytes, size_t length)
{
	struct buffer line;

	buffer_init(&line, NOTES_BYTES);
	if (notes->connection > 1 && strchr("SCT", *mark))
		buffer_format(&line, "%c%u%s", mark[0], notes->connection, mark + 1);
	else
		buffer_text(&line, mark);
	if (length > 0)
		buffer_text(&line, " ");
	if (notes->cut || !phrase_quote(&line, bytes, length) || !buffer_text(&line, "\n") ||
	    !buffer_append(&notes->lines, buffer_bytes(&line), buffer_length(&line)))
		notes->cut = true;
	buffer_free(&line);
}

static void put_words(struct notes *notes, const char *mark, const char *words)
{
	put_line(notes, mark, words, strlen(words));
}

/* What was said, a line of the file for each of its lines. */
static void put_said(struct notes *notes, char who, const char *bytes, size_t length)
{
	const char whole[] = { who, ':', '\0' }, part[] = { who, '-', '\0' };

	while (length > 0) {
		const char *lf = memchr(bytes, '\n', length);
		size_t      taken = lf ? (size_t)(lf - bytes) + 1 : length;
		bool        ended = lf && taken > 1 && bytes[taken - 2] == '\r';

		put_line(notes, ended ? whole : part, bytes, ended ? taken - 2 : taken);
		bytes += taken;
		length -= taken;
	}
}

/* The time at which the server did something, if it took its time; else that it is a piece of its own. */
static void put_time(struct notes *notes, double ms, bool says)
{
	char pause[32];

	if (ms - notes->ms >= silence) {
		snprintf(pause, sizeof pause, "+%.3f", (ms - notes->ms) / 1000);
		put_words(notes, pause, "");
	} else if (says && notes->last == 'S') {
		put_words(notes, "|", "");
	}
}

/* That the server has gone is written when it is known that this did not end a handshake. */
static void put_end(struct notes *notes)
{
	put_words(notes, "S!", notes->ended);
	notes->ended = NULL;
}

/* Plain text that came together with the server's "go ahead" must do so whenever this is played: its lines are
 * made lines that are never apart. */
static void join_run(struct notes *notes)
{
	struct buffer joined;
	const char   *at = buffer_bytes(&notes->lines) + notes->run;
	const char   *end = buffer_bytes(&notes->lines) + buffer_length(&notes->lines);
	bool          first = true;

	buffer_init(&joined, NOTES_BYTES);
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *colon = memchr(at, ':', (size_t)(lf - at));

		if (*at == 'S' && colon && !first) {
			buffer_append(&joined, at, (size_t)(colon - at));
			buffer_text(&joined, "+");
			buffer_append(&joined, colon + 1, (size_t)(lf - colon));
		} else if (*at == 'S') {
			buffer_append(&joined, at, (size_t)(lf - at) + 1);
		}
		first = first && *at != 'S';
		at = lf + 1;
	}
	notes->lines.end = notes->lines.start + notes->run;
	buffer_append(&notes->lines, buffer_bytes(&joined), buffer_length(&joined));
	buffer_free(&joined);
}

static bool begins(const char *bytes, size_t length, const char *words)
{
	return length >= strlen(words) && memcmp(bytes, words, strlen(words)) == 0;
}

/* An alert, as the server sent it: "the server sent alert 40, ..." */
static void put_alert(struct notes *notes, const char *digits, size_t length)
{
	char record[] = { 21, 3, 3, 0, 2, 2, 0 };

	for (size_t i = 0; i < length && digits[i] >= '0' && digits[i] <= '9'; i++)
		record[sizeof record - 1] = (char)(record[sizeof record - 1] * 10 + digits[i] - '0');
	put_line(notes, "S-", record, sizeof record);
}

/* What comes to the client when its handshake fails is not told; it follows from why it failed. */
static void put_broken(struct notes *notes, const char *why, size_t length)
{
	static const char plain[] = "the server answered in plain text: ", alert[] = "the server sent alert ";
	size_t            quoted = sizeof plain - 1, number = sizeof alert - 1;

	bool injected = begins(why, length, "plain text where TLS should start");

	if (injected && notes->last == 'S')
		join_run(notes);
	else if (!injected)
		put_words(notes, "T:", "hello");
	if (begins(why, length, plain))
		put_line(notes, "S:", why + quoted, length - quoted);
	else if (begins(why, length, alert))
		put_alert(notes, why + number, length - number);
	else
		put_line(notes, "#", why, length);
	if (notes->ended)
		put_end(notes);
}

static unsigned bit_of(unsigned connection)
{
	return connection < 32 ? 1U << connection : 0;
}

void notes_event(struct notes *notes, unsigned connection, double ms, enum event event, const char *bytes,
                 size_t length)
{
	if (notes->ended && (event != EVENT_BROKEN || connection != notes->connection))
		put_end(notes);
	if (connection != notes->connection)
		notes->last = 0;
	notes->connection = connection;
	if (event == EVENT_ENDED || event == EVENT_RESET)
		notes->over |= bit_of(connection);
	switch (event) {
	case EVENT_RECEIVED:
		if (notes->last != 'S')
			notes->run = buffer_length(&notes->lines);
		put_time(notes, ms, true);
		put_said(notes, 'S', bytes, length);
		notes->last = 'S';
		break;
	case EVENT_SENT:
		if (notes->over & bit_of(connection))
			break;
		put_said(notes, 'C', bytes, length);
		notes->last = 'C';
		break;
	case EVENT_SECURED:
		put_line(notes, "T:", bytes, length);
		notes->last = 'T';
		break;
	case EVENT_BROKEN:
		put_broken(notes, bytes, length);
		notes->last = 'T';
		break;
	case EVENT_ENDED:
	case EVENT_RESET:
		put_time(notes, ms, false);
		notes->ended = event == EVENT_ENDED ? "close" : "reset";
		break;
	default:
		break;
	}
	notes->ms = ms;
}

/* --- what was reported ----------------------------------------------------------------------- */

/* All of a host with this one service, without the two lines at its top. */
static bool put_text(struct buffer *out, const struct host *host, const struct outcome *outcome)
{
	static const struct text_style plain = { 0 };
	struct host                    alone = { .target = host->target };
	const char                    *line;

	alone.outcomes = (struct outcome *)outcome;
	alone.count = alone.finished = 1;
	text_advance(out, &plain, &alone);
	for (int i = 0; i < 2; i++) {
		line = memchr(buffer_bytes(out), '\n', buffer_length(out));
		if (!line)
			return false;
		buffer_consume(out, (size_t)(line - buffer_bytes(out)) + 1);
	}
	return true;
}

static json_t *whole_record(const struct host *host, const struct outcome *outcome)
{
	struct buffer line;
	json_t       *record = NULL;

	buffer_init(&line, REPORTED_BYTES);
	if (json_record(&line, host, outcome))
		record = json_loadb(buffer_bytes(&line), buffer_length(&line), JSON_ALLOW_NUL, NULL);
	buffer_free(&line);
	return record;
}

bool reported_of(struct reported *reported, const struct host *host, const struct outcome *outcome)
{
	buffer_init(&reported->text, REPORTED_BYTES);
	reported->record = whole_record(host, outcome);
	return reported->record && put_text(&reported->text, host, outcome);
}

void reported_free(struct reported *reported)
{
	buffer_free(&reported->text);
	json_decref(reported->record);
	reported->record = NULL;
}

static void put_report_line(struct buffer *out, const char *text, size_t length)
{
	buffer_text(out, length > 0 ? "R: " : "R:");
	buffer_append(out, text, length);
	buffer_text(out, "\n");
}

static void put_report_lines(struct buffer *out, const struct buffer *text)
{
	const char *at = buffer_bytes(text), *end = at + buffer_length(text);

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		put_report_line(out, at, (size_t)((lf ? lf : end) - at));
		at = lf ? lf + 1 : end;
	}
}

/* Would somebody who reads the text see it as it is? */
static bool is_readable(const char *text)
{
	size_t        length = strlen(text);
	struct buffer shown;
	bool          same;

	buffer_init(&shown, REPORTED_BYTES);
	escape_terminal(&shown, text, length, REPORTED_BYTES);
	same = buffer_length(&shown) == length && memcmp(buffer_bytes(&shown), text, length) == 0;
	buffer_free(&shown);
	return same;
}

static void put_json(struct buffer *out, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	if (text && !is_readable(text)) {
		free(text);
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	}
	buffer_text(out, text ? text : "null");
	free(text);
}

/* "R= {...}", a line for each member. */
static void put_members(struct buffer *out, char who, const json_t *object)
{
	const char *key;
	json_t     *value;
	bool        first = true;

	json_object_foreach ((json_t *)object, key, value) {
		buffer_format(out, first ? "%c= {\"%s\": " : ",\n%c=  \"%s\": ", who, key);
		put_json(out, value);
		first = false;
	}
	if (!first)
		buffer_text(out, "}\n");
}

/* What is recorded of an error, without the errno, which is the machine's business. */
static json_t *error_of(const json_t *record)
{
	json_t *error = json_copy(json_object_get(record, "error"));

	json_object_del(error, "errno");
	return error;
}

void reported_write(struct buffer *out, const struct reported *reported)
{
	static const char *const kept[] = { "state", "data", "warnings" };
	json_t                  *members = json_object();

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		json_object_set(members, kept[i], json_object_get(reported->record, kept[i]));
	json_object_set_new(members, "error", error_of(reported->record));
	put_report_lines(out, &reported->text);
	put_members(out, 'R', members);
	json_decref(members);
}

/* What the certificate was, so that a probe that looks at it finds it again. */
static void put_facts(struct buffer *out, const json_t *facts)
{
	if (!json_is_object(facts))
		return;
	put_members(out, 'T', facts);
	buffer_text(out, "\n");
}

void conversation_write(struct buffer *out, const char *about, const struct head *head,
                        const struct notes *notes, const struct reported *reported)
{
	buffer_format(out, "# %s\n", about);
	put_head(out, head);
	buffer_text(out, "\n");
	buffer_append(out, buffer_bytes(&notes->lines), buffer_length(&notes->lines));
	if (notes->ended && notes->connection > 1)
		buffer_format(out, "S%u! %s\n", notes->connection, notes->ended);
	else if (notes->ended)
		buffer_format(out, "S! %s\n", notes->ended);
	if (notes->cut)
		buffer_text(out, "# What came behind this was too long to be written down.\n");
	if (reported) {
		buffer_text(out, "\n");
		put_facts(out, json_object_get(reported->record, "tls"));
		reported_write(out, reported);
	}
}

/* --- reading --------------------------------------------------------------------------------- */

enum { REASON_TEXT = 200 };

/* JSON that goes over several lines. */
struct json_lines {
	struct buffer text;
	unsigned      first, count; /* the line it begins in; how many there are up to the last */
};

struct reading {
	struct conversation *conversation;
	struct buffer       *problems;
	unsigned             line;
	unsigned             refused;    /* how often */
	bool                 good, body; /* body: the head is over */
	unsigned             closed;     /* a bit a connection on which nothing more is said */
	struct json_lines    record, tls;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct reading *reading, const char *format, ...)
{
	const char *path = reading->conversation->path;
	unsigned    line = reading->line > 0 ? reading->line : 1; /* 0: of an empty file */
	char        reason[REASON_TEXT];
	va_list     arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	reading->good = false;
	if (++reading->refused <= CONVERSATION_PROBLEMS)
		buffer_format(reading->problems, "%s:%u: %s\n", path, line, reason);
	else if (reading->refused == CONVERSATION_PROBLEMS + 1)
		buffer_format(reading->problems, "%s:%u: and more\n", path, line);
	return false;
}

/* --- the head -------------------------------------------------------------------------------- */

static bool read_seconds(struct reading *reading, double *seconds, const char *value)
{
	char *end;

	*seconds = strtod(value, &end);
	if (end == value || *end != '\0' || !(*seconds > 0 && *seconds <= 86400))
		return refuse(reading, "wants seconds above 0, not \"%.40s\"", value);
	return true;
}

static bool read_port(struct reading *reading, uint16_t *port, const char *value)
{
	char         *end;
	unsigned long number = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || number < 1 || number > 65535)
		return refuse(reading, "wants a port from 1 to 65535, not \"%.40s\"", value);
	*port = (uint16_t)number;
	return true;
}

static bool read_address(struct reading *reading, struct address *address, const char *value)
{
	return address_parse(address, value) || refuse(reading, "\"%.60s\" is not an IP address", value);
}

static bool read_text(struct reading *reading, char *text, size_t size, const char *value)
{
	size_t length = strlen(value);

	if (length == 0 || length >= size)
		return refuse(reading, "wants 1 to %zu bytes", size - 1);
	memcpy(text, value, length + 1);
	return true;
}

static bool read_argument(struct reading *reading, const char *value)
{
	if (!strchr(value, '.') || !strchr(value, '='))
		return refuse(reading, "wants PROBE.NAME=VALUE, not \"%.60s\"", value);
	if (!head_add_argument(&reading->conversation->head, value))
		return refuse(reading, "more than %d arguments", CONVERSATION_ARGUMENTS);
	reading->conversation->argument_lines[reading->conversation->head.argument_count - 1] = reading->line;
	return true;
}

static bool refuse_header(struct reading *reading, const char *name)
{
	static const char *const names[] = { "service",       "script",  "port", "host",
		                             "address",       "local",   "arg",  "connect-timeout",
		                             "reply-timeout", "deadline" };
	const char              *nearest = nearest_name(name, names, sizeof names / sizeof *names);

	if (nearest)
		return refuse(reading, "the head has no \"%.40s\"; did you mean %s?", name, nearest);
	return refuse(reading,
	              "the head has no \"%.40s\"; there is service, script, port, host, address, local, arg, "
	              "connect-timeout, reply-timeout and deadline",
	              name);
}

static bool read_header(struct reading *reading, const char *name, const char *value)
{
	struct conversation *conversation = reading->conversation;
	struct head         *head = &conversation->head;

	if (strcmp(name, "service") == 0)
		conversation->service_line = reading->line;
	if (strcmp(name, "script") == 0)
		conversation->script_line = reading->line;
	if (strcmp(name, "service") == 0)
		return read_text(reading, head->service, sizeof head->service, value);
	if (strcmp(name, "script") == 0)
		return read_text(reading, head->script, sizeof head->script, value);
	if (strcmp(name, "host") == 0)
		return read_text(reading, head->host, sizeof head->host, value);
	if (strcmp(name, "port") == 0)
		return read_port(reading, &head->port, value);
	if (strcmp(name, "address") == 0)
		return read_address(reading, &head->address, value);
	if (strcmp(name, "local") == 0)
		return read_address(reading, &head->local, value);
	if (strcmp(name, "arg") == 0)
		return read_argument(reading, value);
	if (strcmp(name, "connect-timeout") == 0)
		return read_seconds(reading, &head->connect_timeout, value);
	if (strcmp(name, "reply-timeout") == 0)
		return read_seconds(reading, &head->reply_timeout, value);
	if (strcmp(name, "deadline") == 0)
		return read_seconds(reading, &head->deadline, value);
	return refuse_header(reading, name);
}

/* "name: value"; the text is taken apart in place. */
static void read_head_line(struct reading *reading, char *text)
{
	char *colon = strchr(text, ':');
	char *value, *end;

	if (reading->body) {
		refuse(reading,
		       "the head must come before what is said, and what is said begins with S:, C: or T:");
		return;
	}
	if (!colon) {
		refuse(reading, "neither a line of the head (NAME: VALUE) nor something said (S:, C:, T:) or "
		                "reported (R:)");
		return;
	}
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	read_header(reading, text, value);
}

/* What the marks {host}, ... stand for is known when the head is over. */
static void end_head(struct reading *reading)
{
	struct conversation *conversation = reading->conversation;
	struct head         *head = &conversation->head;
	struct fact         *fact = conversation->facts;

	if (reading->body)
		return;
	reading->body = true;
	if (!head->service[0])
		refuse(reading, "the head has no \"service: NAME\", whose probe is to be run");
	if (address_family(&head->local) == AF_UNSPEC)
		head->local = usual_local(&head->address);
	address_format(&head->address, conversation->address);
	address_format(&head->local, conversation->local);
	snprintf(conversation->port, sizeof conversation->port, "%u", head->port);
	*fact++ = (struct fact){ "host", head->host };
	*fact++ = (struct fact){ "address", conversation->address };
	*fact++ = (struct fact){ "local", conversation->local };
	if (head->port != 0)
		*fact = (struct fact){ "port", conversation->port };
}

/* --- what is said ---------------------------------------------------------------------------- */

static struct turn *add_turn(struct reading *reading, enum turn_kind kind, unsigned connection)
{
	struct conversation *conversation = reading->conversation;
	struct turn *grown = array_grow(conversation->turns, &conversation->turn_count, sizeof *grown);
	struct turn *turn;

	if (!grown) {
		refuse(reading, "not enough memory");
		return NULL;
	}
	conversation->turns = grown;
	turn = &grown[conversation->turn_count - 1];
	turn->kind = kind;
	turn->line = reading->line;
	turn->connection = connection;
	return turn;
}

static bool read_words(struct reading *reading, struct phrase *words, const char *text, size_t length,
                       bool escapes)
{
	const char *fault;

	if (reading->conversation->head.port == 0 && strstr(text, "{port}"))
		return refuse(reading, "{port} wants \"port: NUMBER\" in the head");
	return phrase_read(words, text, length, escapes, reading->conversation->facts, &fault) ||
	       refuse(reading, "%s", fault);
}

static bool add_line_end(struct reading *reading, struct phrase *words)
{
	return phrase_add(words, "\r\n", 2) || refuse(reading, "not enough memory");
}

static void read_server(struct reading *reading, unsigned connection, char mark, const char *text)
{
	const struct conversation *conversation = reading->conversation;
	const struct turn         *before = NULL;
	bool                       glued = mark == '+';
	struct turn               *turn;

	if (conversation->turn_count > 0)
		before = &conversation->turns[conversation->turn_count - 1];
	if (glued && !(before && before->kind == TURN_SAYS && before->connection == connection)) {
		refuse(reading, "S+ has nothing before it to come in one piece with");
		return;
	}
	turn = add_turn(reading, mark == '*' ? TURN_REPEATS : TURN_SAYS, connection);
	if (!turn || !read_words(reading, &turn->words, text, strlen(text), true))
		return;
	turn->glued = glued;
	if (mark != '-')
		add_line_end(reading, &turn->words);
	if (mark == '*')
		reading->closed |= 1U << connection;
}

static void read_ending(struct reading *reading, unsigned connection, const char *text)
{
	if (strcmp(text, "close") == 0)
		add_turn(reading, TURN_CLOSES, connection);
	else if (strcmp(text, "reset") == 0)
		add_turn(reading, TURN_RESETS, connection);
	else
		refuse(reading, "S! wants close or reset, not \"%.40s\"", text);
	reading->closed |= 1U << connection;
}

static void read_client(struct reading *reading, unsigned connection, char mark, const char *text)
{
	struct turn *turn = add_turn(reading, TURN_HEARS, connection);

	if (turn) {
		turn->whole_line = mark == ':';
		turn->text = strdup(text);
	}
	if (!turn || !read_words(reading, &turn->words, text, strlen(text), true))
		return;
	if (mark == ':')
		add_line_end(reading, &turn->words);
	else if (turn->words.count == 0)
		refuse(reading, "C- without words");
	else if (phrase_stretches(&turn->words))
		refuse(reading,
		       "in C- the end of a mark cannot be known; say {any:N}, with the number of bytes");
}

static void read_connect(struct reading *reading, unsigned connection, const char *text)
{
	struct turn *turn;

	if (strncmp(text, "connect ", 8) != 0) {
		refuse(reading, "C! wants connect and a port, not \"%.40s\"", text);
		return;
	}
	turn = add_turn(reading, TURN_CONNECTS, connection);
	if (turn)
		read_port(reading, &turn->port, text + 8);
}

static void read_tls(struct reading *reading, unsigned connection, const char *text)
{
	if (strcmp(text, "starttls") == 0 || strcmp(text, "tls") == 0 || strncmp(text, "TLS", 3) == 0)
		add_turn(reading, TURN_SECURES, connection);
	else if (strcmp(text, "hello") == 0)
		add_turn(reading, TURN_HELLO, connection);
	else
		refuse(reading, "T: wants starttls or hello, not \"%.40s\"", text);
}

/* --- what was reported ----------------------------------------------------------------------- */

static void read_report_line(struct reading *reading, const char *text)
{
	struct conversation *conversation = reading->conversation;
	struct expected *grown = array_grow(conversation->lines, &conversation->line_count, sizeof *grown);
	struct expected *line;

	if (!grown) {
		refuse(reading, "not enough memory");
		return;
	}
	conversation->lines = grown;
	line = &grown[conversation->line_count - 1];
	line->line = reading->line;
	line->text = strdup(text);
	read_words(reading, &line->words, text, strlen(text), false);
}

/* Line for line as in the file, so that the parser's line numbers tell where an error is. */
static void read_json_line(struct reading *reading, struct json_lines *lines, const char *text)
{
	if (lines->count == 0)
		lines->first = reading->line;
	for (; lines->first + lines->count < reading->line + 1; lines->count++)
		if (lines->count > 0)
			buffer_text(&lines->text, "\n");
	buffer_text(&lines->text, text);
}

/* What the lines say together; NULL if there are none, or if they are no object. */
static json_t *read_json(struct reading *reading, struct json_lines *lines, const char *what)
{
	json_error_t error;
	json_t      *value = NULL;

	if (lines->count == 0)
		return NULL;
	value = json_loadb(buffer_bytes(&lines->text), buffer_length(&lines->text),
	                   JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	reading->line = lines->first;
	if (!value) {
		reading->line += error.line > 0 ? (unsigned)error.line - 1 : 0;
		refuse(reading, "%s is not JSON: %s", what, error.text);
	} else if (!json_is_object(value)) {
		refuse(reading, "%s must be an object, like {\"error\": null}", what);
		json_decref(value);
		value = NULL;
	}
	return value;
}

/* --- lines ----------------------------------------------------------------------------------- */

static void read_time(struct reading *reading, const char *text)
{
	char        *end;
	double       seconds = strtod(text, &end);
	struct turn *turn;

	if (*end == 's')
		end++;
	if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 86400)) {
		refuse(reading, "+ wants seconds, not \"%.40s\"", text);
		return;
	}
	turn = add_turn(reading, TURN_PAUSES, 0);
	if (turn)
		turn->seconds = seconds;
}

/* "S: text", with a number before the mark on other connections than the first. */
static void read_mark(struct reading *reading, const char *text)
{
	char        who = text[0];
	bool        numbered = text[1] >= '1' && text[1] <= '0' + CONVERSATION_CONNECTIONS;
	unsigned    connection = numbered ? (unsigned)(text[1] - '0') : 1;
	char        mark = text[1 + numbered];
	const char *words = mark ? text + 2 + numbered : text + 1 + numbered;

	words += *words == ' ';
	if (who == 'R' && mark == ':' && !numbered)
		read_report_line(reading, words);
	else if (who == 'R' && mark == '=' && !numbered)
		read_json_line(reading, &reading->record, words);
	else if (who == 'T' && mark == '=' && !numbered)
		read_json_line(reading, &reading->tls, words);
	else if (!mark || !strchr(who == 'S' ? ":-+*!" : who == 'C' ? ":-!" : who == 'T' ? ":" : "", mark))
		refuse(
		    reading,
		    "a line begins with S: S- S+ S* S! C: C- C! T: T= R: R= or with | + #, not with \"%.3s\"",
		    text);
	else if (reading->closed & 1U << connection && !(who == 'S' && mark == '!'))
		refuse(reading, "behind the end of the connection nothing more can be said on it");
	else if (who == 'S' && mark == '!')
		read_ending(reading, connection, words);
	else if (who == 'S')
		read_server(reading, connection, mark, words);
	else if (mark == '!')
		read_connect(reading, connection, words);
	else if (who == 'C')
		read_client(reading, connection, mark, words);
	else
		read_tls(reading, connection, words);
}

static void read_line(struct reading *reading, char *text)
{
	size_t length = strlen(text);

	if (length > 0 && text[length - 1] == '\r')
		text[--length] = '\0';
	if (text[strspn(text, " \t")] == '\0' || text[0] == '#')
		return;
	if (text[0] >= 'a' && text[0] <= 'z') {
		read_head_line(reading, text);
		return;
	}
	end_head(reading);
	if (text[0] == '+')
		read_time(reading, text + 1);
	else if (text[0] == '|' && text[1 + strspn(text + 1, " \t")] == '\0')
		add_turn(reading, TURN_BORDER, 0);
	else
		read_mark(reading, text);
}

static void read_lines(struct reading *reading, const char *text, size_t length)
{
	const char *end = text + length;

	while (text < end) {
		const char *lf = memchr(text, '\n', (size_t)(end - text));
		size_t      taken = (size_t)((lf ? lf : end) - text);
		char       *line = strndup(text, taken);

		reading->line++;
		if (line && strlen(line) == taken)
			read_line(reading, line);
		else
			refuse(reading, line ? "a NUL byte; say \\0" : "not enough memory");
		free(line);
		text = lf ? lf + 1 : end;
	}
}

bool conversation_parse(struct conversation *conversation, const char *path, const char *text, size_t length,
                        struct buffer *problems)
{
	struct reading reading = { .conversation = conversation, .problems = problems, .good = true };

	*conversation = (struct conversation){ .path = strdup(path) };
	head_init(&conversation->head);
	conversation->head.local = (struct address){ 0 };
	buffer_init(&reading.record.text, CONVERSATION_BYTES);
	buffer_init(&reading.tls.text, CONVERSATION_BYTES);
	read_lines(&reading, text, length);
	end_head(&reading);
	conversation->last_line = reading.line;
	conversation->record_line = reading.record.first;
	conversation->record = read_json(&reading, &reading.record, "what was reported");
	conversation->tls = read_json(&reading, &reading.tls, "what conn.tls holds");
	buffer_free(&reading.record.text);
	buffer_free(&reading.tls.text);
	return reading.good;
}

bool conversation_read(struct conversation *conversation, const char *path, struct buffer *problems)
{
	FILE  *file = fopen(path, "rbe");
	char  *text = file ? malloc(CONVERSATION_BYTES + 1) : NULL;
	size_t length = text ? fread(text, 1, CONVERSATION_BYTES + 1, file) : 0;
	bool   good = false;

	*conversation = (struct conversation){ 0 };
	if (!text || ferror(file))
		buffer_format(problems, "%s: %s\n", path, strerror(errno));
	else if (length > CONVERSATION_BYTES)
		buffer_format(problems, "%s: larger than 4 MiB\n", path);
	else
		good = conversation_parse(conversation, path, text, length, problems);
	free(text);
	if (file)
		fclose(file);
	return good;
}

void conversation_free(struct conversation *conversation)
{
	for (size_t i = 0; i < conversation->turn_count; i++) {
		free(conversation->turns[i].text);
		phrase_free(&conversation->turns[i].words);
	}
	for (size_t i = 0; i < conversation->line_count; i++) {
		free(conversation->lines[i].text);
		phrase_free(&conversation->lines[i].words);
	}
	free(conversation->turns);
	free(conversation->lines);
	json_decref(conversation->record);
	json_decref(conversation->tls);
	head_free(&conversation->head);
	free(conversation->path);
	*conversation = (struct conversation){ 0 };
}
