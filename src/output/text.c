#include "output/text.h"

#include "base/escape.h"

#include <string.h>

/* The widest line that is made of a server's words. */
enum { COLUMNS = 200 };

static const char bold[] = "\033[1m", green[] = "\033[32m", yellow[] = "\033[33m", red[] = "\033[31m",
		  plain[] = "\033[0m";

static void paint(struct buffer *out, const struct text_style *style, const char *colour)
{
	if (style->colour)
		buffer_text(out, colour);
}

static void end_line(struct buffer *out, const struct text_style *style)
{
	paint(out, style, plain);
	buffer_text(out, "\n");
}

/* A line that somebody else wrote. */
static void foreign_line(struct buffer *out, const char *bytes, size_t length)
{
	escape_terminal(out, bytes, length, COLUMNS);
	buffer_text(out, "\n");
}

/* "[connect] Connection refused", escaped, without its LF. */
static void failure_words(struct buffer *out, const struct failure *failure)
{
	struct buffer words;

	buffer_init(&words, sizeof failure->message + 32);
	buffer_format(&words, "[%s] ", phase_name(failure->phase));
	buffer_text(&words, failure->message);
	escape_terminal(out, buffer_bytes(&words), buffer_length(&words), COLUMNS);
	buffer_free(&words);
}

static void failure_line(struct buffer *out, const struct text_style *style, const struct failure *failure)
{
	paint(out, style, red);
	failure_words(out, failure);
	end_line(out, style);
}

static void header(struct buffer *out, const struct text_style *style, struct host *host)
{
	char address[ADDRESS_TEXT];

	host->shown.header = true;
	paint(out, style, bold);
	buffer_text(out, "Testing ");
	escape_terminal(out, host->target.name, strlen(host->target.name), COLUMNS);
	if (host->one_of_many) {
		address_format(&host->addresses.address[0], address);
		buffer_format(out, " (%s)", address);
	}
	buffer_text(out, ":");
	end_line(out, style);
}

static void verdict(struct buffer *out, const struct text_style *style, const struct outcome *outcome)
{
	bool open = outcome->state == STATE_OPEN;

	paint(out, style, open ? green : "");
	buffer_format(out, "port %u (%s) %s", outcome->port, outcome->service, open ? "open." : "not open: ");
	if (!open)
		failure_words(out, &outcome->failure);
	end_line(out, style);
}

static void reported_lines(struct buffer *out, const struct text_style *style, const struct outcome *outcome,
                           size_t *place)
{
	struct report_line line;

	while (report_next(&outcome->report, place, &line)) {
		paint(out, style, line.warning ? yellow : "");
		escape_terminal(out, line.bytes, line.length, COLUMNS);
		paint(out, style, line.warning ? plain : "");
		buffer_text(out, "\n");
	}
}

/* --- more, for -v ---------------------------------------------------------------------------- */

static void fact(struct buffer *out, const json_t *facts, const char *key, const char *label)
{
	const json_t *value = json_object_get(facts, key);

	if (!json_is_string(value))
		return;
	buffer_format(out, "  %s: ", label);
	foreign_line(out, json_string_value(value), json_string_length(value));
}

static void certificate_names(struct buffer *out, const json_t *facts)
{
	struct buffer names;
	size_t        index;
	json_t       *name;

	buffer_init(&names, 8192);
	json_array_foreach (json_object_get(facts, "names"), index, name) {
		buffer_text(&names, index > 0 ? ", " : "");
		buffer_append(&names, json_string_value(name), json_string_length(name));
	}
	if (buffer_length(&names) > 0) {
		buffer_text(out, "  names: ");
		foreign_line(out, buffer_bytes(&names), buffer_length(&names));
	}
	buffer_free(&names);
}

static void certificate_problems(struct buffer *out, const json_t *facts)
{
	size_t  index;
	json_t *problem;

	json_array_foreach (json_object_get(facts, "problems"), index, problem)
		buffer_format(out, "%s%s", index == 0 ? "  problems: " : ", ", json_string_value(problem));
	if (json_array_size(json_object_get(facts, "problems")) > 0)
		buffer_text(out, "\n");
}

static void tls_facts(struct buffer *out, const json_t *facts)
{
	const json_t *days = json_object_get(facts, "days_left");

	fact(out, facts, "version", "tls");
	fact(out, facts, "cipher", "cipher");
	fact(out, facts, "subject", "subject");
	fact(out, facts, "issuer", "issuer");
	certificate_names(out, facts);
	fact(out, facts, "not_after", "valid until");
	if (days)
		buffer_format(out, "  days left: %lld\n", (long long)json_integer_value(days));
	fact(out, facts, "key", "key");
	fact(out, facts, "sha256", "sha256");
	fact(out, facts, "verify_error", "not verified");
	certificate_problems(out, facts);
}

/* Each line apart; the CR LF that ends one goes without saying. */
static void exchange_lines(struct buffer *out, double ms, const char *who, const char *at, size_t length)
{
	const char *end = at + length;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		size_t      taken = lf ? (size_t)(lf - at) + 1 : (size_t)(end - at);
		size_t      shown = lf ? taken - 1 : taken;

		if (lf && shown > 0 && at[shown - 1] == '\r')
			shown--;
		buffer_format(out, "  %8.1f %s: ", ms, who);
		foreign_line(out, at, shown);
		at += taken;
	}
}

static void exchanges(struct buffer *out, const json_t *list)
{
	size_t  index;
	json_t *exchange;

	json_array_foreach (list, index, exchange) {
		const json_t *text = json_object_get(exchange, "text");

		exchange_lines(out, json_real_value(json_object_get(exchange, "ms")),
		               json_string_value(json_object_get(exchange, "who")), json_string_value(text),
		               json_string_length(text));
	}
}

static void details(struct buffer *out, const struct outcome *outcome)
{
	char address[ADDRESS_TEXT];

	if (address_family(&outcome->address) != AF_UNSPEC) {
		address_format(&outcome->address, address);
		buffer_format(out, "  address: %s, %.1f ms\n", address, outcome->ms);
	}
	if (outcome->tls)
		tls_facts(out, outcome->tls);
	exchanges(out, outcome->exchanges);
}

/* --- in order -------------------------------------------------------------------------------- */

static bool hidden(const struct text_style *style, const struct outcome *outcome)
{
	return style->only_open && outcome->state != STATE_OPEN;
}

/* A bug of a script goes to standard error, not into the report. */
static void ending(struct buffer *out, const struct text_style *style, const struct outcome *outcome)
{
	if (outcome->state == STATE_OPEN && failure_present(&outcome->failure) && !outcome->broken)
		failure_line(out, style, &outcome->failure);
	if (style->verbose)
		details(out, outcome);
}

/* Show what is new of one outcome; true if there is nothing more to come. */
static bool advance(struct buffer *out, const struct text_style *style, struct host *host,
                    const struct outcome *outcome)
{
	if (outcome->state == STATE_PENDING)
		return false;
	if (hidden(style, outcome))
		return outcome->finished;
	if (!host->shown.header)
		header(out, style, host);
	if (!host->shown.verdict)
		verdict(out, style, outcome);
	host->shown.verdict = true;
	reported_lines(out, style, outcome, &host->shown.place);
	if (outcome->finished)
		ending(out, style, outcome);
	return outcome->finished;
}

static void unreachable(struct buffer *out, const struct text_style *style, struct host *host)
{
	header(out, style, host);
	failure_line(out, style, host->failure);
	host->shown.outcome = host->count;
}

void text_advance(struct buffer *out, const struct text_style *style, struct host *host)
{
	if (host->failure) {
		unreachable(out, style, host);
		return;
	}
	if (!host->shown.header && !style->only_open && host->count > 0)
		header(out, style, host);
	while (host->shown.outcome < host->count &&
	       advance(out, style, host, &host->outcomes[host->shown.outcome])) {
		host->shown.outcome++;
		host->shown.place = 0;
		host->shown.verdict = false;
	}
}
