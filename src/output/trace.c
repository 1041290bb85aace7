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

static const char *plain_words(enum event event)
{
	switch (event) {
	case EVENT_CONNECTED:
		return "connected";
	case EVENT_ENDED:
		return "the server closed";
	case EVENT_RESET:
		return "the server broke off";
	case EVENT_CLOSED:
		return "closed";
	default:
		return NULL;
	}
}

void trace_event(FILE *file, const struct host *host, const struct outcome *outcome, bool named, unsigned connection,
                 double ms, enum event event, const char *bytes, size_t length)
{
	const char   *words = plain_words(event);
	char          who = transcript_who(event);
	char          number[12] = "", prefix[TARGET_NAME + 100];
	struct buffer out;

	if (connection > 1)
		snprintf(number, sizeof number, "%u", connection);
	snprintf(prefix, sizeof prefix, "%8.1f %s%s%s %c%s%s ", ms, named ? host->target.name : "", named ? " " : "",
	         outcome->service, who ? who : '-', number, who ? ":" : "");
	buffer_init(&out, LINES_ROOM);
	if (words)
		line(&out, prefix, words, strlen(words));
	else
		said(&out, prefix, bytes, length);
	fwrite(buffer_bytes(&out), 1, buffer_length(&out), file);
	buffer_free(&out);
}
