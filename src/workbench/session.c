#include "workbench/session.h"

#include "base/escape.h"
#include "workbench/scaffold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMENT_COLUMNS = 60, NAME_MOST = 60, PATH_TEXT = NAME_MOST + 20, REPORT_COLUMNS = 200 };

void session_init(struct session *session)
{
	*session = (struct session){ 0 };
	buffer_init(&session->bytes, SESSION_BYTES);
	buffer_init(&session->last, SESSION_BYTES);
	notes_init(&session->notes);
}

void session_free(struct session *session)
{
	buffer_free(&session->bytes);
	buffer_free(&session->last);
	notes_free(&session->notes);
	free(session->said);
}

void session_begin(struct session *session, const char *host, const struct conn *conn)
{
	session_free(session);
	session_init(session);
	session->remote = *conn_remote(conn);
	conn_local(conn, &session->local);
	snprintf(session->host, sizeof session->host, "%s", host);
}

/* --- taking part ----------------------------------------------------------------------------- */

/* What one side says in several pieces is one thing. */
static void keep(struct session *session, enum event event, const char *bytes, size_t length)
{
	struct said *last = session->count > 0 ? &session->said[session->count - 1] : NULL;
	struct said *grown;

	if (!buffer_append(&session->bytes, bytes, length)) {
		session->cut = true;
		return;
	}
	if (last && last->event == event && event == EVENT_RECEIVED) {
		last->length += length;
		return;
	}
	grown = realloc(session->said, (session->count + 1) * sizeof *grown);
	if (!grown) {
		session->cut = true;
		return;
	}
	session->said = grown;
	grown[session->count++] = (struct said){ event, buffer_length(&session->bytes) - length, length };
}

/* An upgrade that was refused on our side: nothing was sent for it, and the probe would come to it with all that
 * was said read. */
static bool was_refused(enum event event, const char *why, size_t length)
{
	static const char words[] = "plain text where TLS should start";

	return event == EVENT_BROKEN && length >= sizeof words - 1 &&
	       memcmp(why, words, sizeof words - 1) == 0;
}

void session_event(struct session *session, double ms, enum event event, const char *bytes, size_t length)
{
	if (was_refused(event, bytes, length))
		return;
	notes_event(&session->notes, 1, ms, event, bytes, length);
	if (event == EVENT_SENT)
		buffer_clear(&session->last);
	if (event == EVENT_RECEIVED)
		buffer_append(&session->last, bytes, length);
	if (event == EVENT_RECEIVED || event == EVENT_SENT)
		keep(session, event, bytes, length);
	else if (event == EVENT_SECURED || event == EVENT_BROKEN)
		keep(session, event, "", 0);
}

/* --- the probe ------------------------------------------------------------------------------- */

static void put_quoted(struct buffer *out, const char *bytes, size_t length)
{
	buffer_text(out, "\"");
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (byte == '\r' || byte == '\n')
			buffer_text(out, byte == '\r' ? "\\r" : "\\n");
		else if (byte == '"' || byte == '\\')
			buffer_format(out, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			buffer_format(out, "\\x%02x", byte);
		else
			buffer_append(out, &bytes[i], 1);
	}
	buffer_text(out, "\"");
}

/* A line, or, where there is no end of one, its bytes; the first is what the probe reports. */
static void put_read(struct buffer *out, const char *bytes, size_t length, bool whole, bool first)
{
	buffer_text(out, first ? "    report(\"banner\", " : "    ");
	if (whole)
		buffer_text(out, "conn:readline()");
	else
		buffer_format(out, "conn:read(%zu)", length);
	buffer_text(out, first ? ")" : "");
	if (whole && length > 0) {
		buffer_text(out, " -- ");
		escape_terminal(out, bytes, length, COMMENT_COLUMNS);
	}
	buffer_text(out, "\n");
}

static void put_received(struct buffer *out, const char *bytes, size_t length, bool first)
{
	while (length > 0) {
		const char *lf = memchr(bytes, '\n', length);
		size_t      taken = lf ? (size_t)(lf - bytes) + 1 : length;
		size_t      shown = lf ? taken - 1 : taken;

		if (lf && shown > 0 && bytes[shown - 1] == '\r')
			shown--;
		put_read(out, bytes, shown, lf != NULL, first);
		first = false;
		bytes += taken;
		length -= taken;
	}
}

static void put_said(struct buffer *out, const struct session *session, const struct said *said, bool first)
{
	const char *bytes = buffer_bytes(&session->bytes) + said->from;

	switch (said->event) {
	case EVENT_RECEIVED:
		put_received(out, bytes, said->length, first);
		break;
	case EVENT_SENT:
		buffer_text(out, "    conn:write(");
		put_quoted(out, bytes, said->length);
		buffer_text(out, ")\n");
		break;
	default:
		buffer_text(out, "    conn:starttls()\n");
		break;
	}
}

static bool is_secure_first(const struct session *session)
{
	return session->said[0].event == EVENT_SECURED || session->said[0].event == EVENT_BROKEN;
}

static void put_probe(struct buffer *out, const struct session *session, const char *name)
{
	bool first = true;

	buffer_format(out, "-- What was said by hand to %s, port %u.\n", session->host,
	              address_port(&session->remote));
	buffer_format(out, "return {\n  about = \"%s, as it was tried by hand\",\n", name);
	buffer_format(out, "  services = { { name = \"%s\", port = %u%s } },\n", name,
	              address_port(&session->remote), is_secure_first(session) ? ", tls = true" : "");
	buffer_text(out, "  probe = function(conn, report)\n");
	for (size_t i = is_secure_first(session); i < session->count; i++) {
		put_said(out, session, &session->said[i], first);
		first = first && session->said[i].event != EVENT_RECEIVED;
	}
	buffer_text(out, "  end,\n}\n");
}

/* --- the conversation ------------------------------------------------------------------------ */

/* The first line that was received; false: there is none, or it has no end. */
static bool first_line(const struct session *session, const char **bytes, size_t *length)
{
	size_t      i = 0;
	const char *lf;

	while (i < session->count && session->said[i].event != EVENT_RECEIVED)
		i++;
	if (i == session->count)
		return false;
	*bytes = buffer_bytes(&session->bytes) + session->said[i].from;
	lf = memchr(*bytes, '\n', session->said[i].length);
	*length = lf ? (size_t)(lf - *bytes) : 0;
	if (lf && *length > 0 && (*bytes)[*length - 1] == '\r')
		--*length;
	return true;
}

/* What means nothing else in the file and is printed as it is. */
static bool is_plain(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] < 0x20 || bytes[i] > 0x7e || strchr("\\{}", bytes[i]))
			return false;
	return length > 0 && length <= REPORT_COLUMNS && bytes[length - 1] != ' ';
}

static bool handshake_failed(const struct session *session)
{
	for (size_t i = 0; i < session->count; i++)
		if (session->said[i].event == EVENT_BROKEN)
			return true;
	return false;
}

static void put_report(struct buffer *out, const struct session *session)
{
	const char *bytes;
	size_t      length;

	buffer_text(out, "\n");
	if (first_line(session, &bytes, &length) && is_plain(bytes, length))
		buffer_format(out, "R: %.*s\n", (int)length, bytes);
	else if (first_line(session, &bytes, &length))
		buffer_text(out, "R: {any}\n");
	buffer_text(out, handshake_failed(session) ? "R: [tls] {any}\nR= {\"error\": {\"phase\": \"tls\"}}\n"
	                                           : "R= {\"error\": null}\n");
}

static void put_conversation(struct buffer *out, const struct session *session, const char *name)
{
	struct head head;
	char        about[PATH_TEXT + TARGET_NAME];

	head_init(&head);
	snprintf(head.service, sizeof head.service, "%s", name);
	snprintf(head.script, sizeof head.script, "%s.lua", name);
	snprintf(head.host, sizeof head.host, "%s", session->host);
	head.address = session->remote;
	head.local = session->local;
	snprintf(about, sizeof about, "What was said by hand to %s.", session->host);
	conversation_write(out, about, &head, &session->notes, NULL);
	put_report(out, session);
	head_free(&head);
}

/* --- the files ------------------------------------------------------------------------------- */

static const char *fault(const struct session *session, const char *name)
{
	if (*name == '\0' || strlen(name) > NAME_MOST ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(name))
		return ":save wants a name of a-z, 0-9, - and _";
	if (session->count == 0)
		return "nothing has been said yet";
	return session->cut || session->notes.cut ? "too much has been said to be saved" : NULL;
}

bool session_save(const struct session *session, const char *name, char *words, size_t size)
{
	const char   *why = fault(session, name);
	struct buffer probe, conversation;
	bool          good;

	if (why) {
		snprintf(words, size, "%s", why);
		return false;
	}
	buffer_init(&probe, CONVERSATION_BYTES);
	buffer_init(&conversation, CONVERSATION_BYTES);
	put_probe(&probe, session, name);
	put_conversation(&conversation, session, name);
	good = scaffold_write(name, &probe, &conversation, words, size);
	if (good)
		snprintf(words, size,
		         "wrote %s.lua and %s.conversation; scan --replay %s.conversation tests them", name,
		         name, name);
	buffer_free(&probe);
	buffer_free(&conversation);
	return good;
}
