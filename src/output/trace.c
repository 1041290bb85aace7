#include "output/trace.h"

#include "base/escape.h"
#include "scan/transcript.h"

#include <string.h>

enum { COLUMNS = 200, LINES_ROOM = 256 * 1024 };

static void line(struct buffer *out, const char *prefix, const char *bytes, size_t length)
{
	buffer_text(out, prefix);
	escape_terminal(out, bytes, length, COLUMNS);
	buffer_text(out, "\n");
}

/* Each line apart; the CR LF that ends one goes without saying. */
static void said(struct buffer *out, const char *prefix, const char *bytes, size_t length)
{
	while (length > 0) {
		const char *lf = memchr(bytes, '\n', length);
		size_t      taken = lf ? (size_t)(lf - bytes) + 1 : length;
		size_t      shown = lf ? taken - 1 : taken;

		if (lf && shown > 0 && bytes[shown - 1] == '\r')
			shown--;
		line(out, prefix, bytes, shown);
		bytes += taken;
		length -= taken;
	}
}

static const char *plain_words(enum event event, bool serves)
{
	switch (event) {
	case EVENT_CONNECTED:
		return "connected";
	case EVENT_ENDED:
		return serves ? "the client closed" : "the server closed";
	case EVENT_RESET:
		return serves ? "the client broke off" : "the server broke off";
	case EVENT_CLOSED:
		return "closed";
	default:
		return NULL;
	}
}

static char who_of(enum event event, bool serves)
{
	char who = transcript_who(event);

	if (!serves || who == 0 || who == 'T')
		return who;
	return who == 'C' ? 'S' : 'C';
}

void trace_said(FILE *file, const char *name, unsigned number, bool serves, double ms, enum event event,
                const char *bytes, size_t length)
{
	const char   *words = plain_words(event, serves);
	char          who = who_of(event, serves);
	char          which[12] = "", prefix[TARGET_NAME + 140];
	struct buffer out;

	if (number > 0)
		snprintf(which, sizeof which, "%u", number);
	snprintf(prefix, sizeof prefix, "%8.1f %s%s%c%s%s ", ms, name, *name ? " " : "", who ? who : '-',
	         which, who ? ":" : "");
	buffer_init(&out, LINES_ROOM);
	if (words)
		line(&out, prefix, words, strlen(words));
	else
		said(&out, prefix, bytes, length);
	fwrite(buffer_bytes(&out), 1, buffer_length(&out), file);
	buffer_free(&out);
}

void trace_event(FILE *file, const struct host *host, const struct outcome *outcome, bool named,
                 unsigned connection, double ms, enum event event, const char *bytes, size_t length)
{
	char name[TARGET_NAME + 80];

	snprintf(name, sizeof name, "%s%s%s", named ? host->target.name : "", named ? " " : "",
	         outcome->service);
	trace_said(file, name, connection > 1 ? connection : 0, false, ms, event, bytes, length);
}
