#include "output/json.h"

#include "base/escape.h"

#include <jansson.h>
#include <string.h>

/* Encoded here, byte by byte into the record, and not by jansson's encoder: that one wants trees of
 * valid UTF-8, and building them anew took more time than all else that is done for a connection. */

enum { SCHEMA_VERSION = 1, DEPTH = 16, USUAL = 1000 /* bytes of a record */ };

/* --- values ---------------------------------------------------------------------------------- */

static inline void put(struct buffer *out, const char *text)
{
	buffer_append(out, text, strlen(text));
}

/* Beyond U+FFFF JSON escapes a character as the two halves of UTF-16 (RFC 8259 section 7). */
static void put_escape(struct buffer *out, uint32_t code)
{
	if (code > 0xffff)
		buffer_format(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
		              (unsigned)(0xdc00 + (code & 0x3ff)));
	else
		buffer_format(out, "\\u%04x", (unsigned)code);
}

/* One character that is not plain, or a bad byte; returns how many bytes it took. What a terminal would not
 * show, or would show as something else, is written as an escape. */
static size_t put_special(struct buffer *out, const char *bytes, size_t length)
{
	uint32_t code = 0;
	size_t   taken = utf8_decode(bytes, length, &code);

	if (taken == 0) {
		put(out, "\xef\xbf\xbd"); /* U+FFFD */
		return 1;
	}
	if (code == '"' || code == '\\')
		buffer_append(out, (char[]){ '\\', (char)code }, 2);
	else if (escape_hidden(code))
		put_escape(out, code);
	else
		buffer_append(out, bytes, taken);
	return taken;
}

/* What stands between the quotes. */
static void put_characters(struct buffer *out, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		size_t run = json_plain(bytes + at, length - at);

		buffer_append(out, bytes + at, run);
		at += run;
		if (at < length)
			at += put_special(out, bytes + at, length - at);
	}
}

static void put_string(struct buffer *out, const char *bytes, size_t length)
{
	put(out, "\"");
	put_characters(out, bytes, length);
	put(out, "\"");
}

static void put_unsigned(struct buffer *out, uint64_t number)
{
	char  digits[20];
	char *at = digits + sizeof digits;

	do
		*--at = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	buffer_append(out, at, (size_t)(digits + sizeof digits - at));
}

static void put_integer(struct buffer *out, int64_t number)
{
	if (number < 0)
		buffer_append(out, "-", 1);
	put_unsigned(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

/* Milliseconds to the microsecond. */
static void put_ms(struct buffer *out, double ms)
{
	uint64_t microseconds = (uint64_t)(ms * 1000 + 0.5);
	char fraction[4] = { '.', (char)('0' + microseconds / 100 % 10), (char)('0' + microseconds / 10 % 10),
		             (char)('0' + microseconds % 10) };

	put_unsigned(out, microseconds / 1000);
	buffer_append(out, fraction, sizeof fraction);
}

static void put_base64(struct buffer *out, const char *bytes, size_t length)
{
	put(out, "\"");
	escape_base64(out, bytes, length);
	put(out, "\"");
}

/* --- packs ----------------------------------------------------------------------------------- */

/* Without a look at each of its characters where it is known to have none that need one. */
static void put_text(struct buffer *out, const struct pack_node *text)
{
	put(out, "\"");
	if (text->plain)
		buffer_append(out, text->bytes, text->length);
	else
		put_characters(out, text->bytes, text->length);
	put(out, "\"");
}

/* The exact bytes of a text, or of each text of an array. */
static void put_exact(struct buffer *out, const struct pack_node *value)
{
	const char      *at = value->bytes, *end = at + value->length;
	struct pack_node element;

	if (value->type == PACK_TEXT) {
		put_base64(out, value->bytes, value->length);
		return;
	}
	put(out, "[");
	while (at < end) {
		put(out, at > value->bytes ? "," : "");
		at = pack_read(at, &element);
		if (element.type == PACK_TEXT)
			put_base64(out, element.bytes, element.length);
		else
			put(out, "null");
	}
	put(out, "]");
}

static void put_node(struct buffer *out, const struct pack_node *node);

static void put_array(struct buffer *out, const char *at, const char *end)
{
	struct pack_node element;

	put(out, "[");
	for (const char *first = at; at < end;) {
		if (at > first)
			put(out, ",");
		at = pack_read(at, &element);
		put_node(out, &element);
	}
	put(out, "]");
}

static void put_object(struct buffer *out, const char *at, const char *end)
{
	struct pack_node key, value;

	put(out, "{");
	for (const char *first = at; at < end;) {
		if (at > first)
			put(out, ",");
		at = pack_read(pack_read(at, &key), &value);
		put_text(out, &key);
		put(out, ":");
		put_node(out, &value);
		if (!value.broken)
			continue;
		put(out, ",\"");
		put_characters(out, key.bytes, key.length);
		put(out, "_base64\":");
		put_exact(out, &value);
	}
	put(out, "}");
}

static void put_node(struct buffer *out, const struct pack_node *node)
{
	switch (node->type) {
	case PACK_OBJECT:
		put_object(out, node->bytes, node->bytes + node->length);
		break;
	case PACK_ARRAY:
		put_array(out, node->bytes, node->bytes + node->length);
		break;
	case PACK_TEXT:
		put_text(out, node);
		break;
	case PACK_INTEGER:
		put_integer(out, node->integer);
		break;
	case PACK_REAL:
		buffer_format(out, "%.15g", node->real);
		break;
	case PACK_TRUE:
		put(out, "true");
		break;
	case PACK_FALSE:
		put(out, "false");
		break;
	case PACK_NULL:
		put(out, "null");
		break;
	}
}

/* What few records have is a tree, and is packed only here: texts are looked at in one place. */
static void put_tree(struct buffer *out, const json_t *tree)
{
	struct pack      pack;
	struct pack_node node;

	pack_init(&pack, SIZE_MAX);
	buffer_grow(&pack.bytes, USUAL);
	if (pack_tree(&pack, tree, DEPTH)) {
		pack_read(pack_first(&pack), &node);
		put_node(out, &node);
	} else {
		out->refused = true;
	}
	pack_free(&pack);
}

/* --- the record ------------------------------------------------------------------------------ */

/* A text of ours that may hold bytes of a server: with its exact bytes beside it where they are not
 * valid UTF-8. */
static void put_member(struct buffer *out, const char *key, const char *text)
{
	size_t length = strlen(text);

	buffer_append(out, "\"", 1);
	put(out, key);
	put(out, "\":");
	put_string(out, text, length);
	if (utf8_valid(text, length))
		return;
	put(out, ",\"");
	put(out, key);
	put(out, "_base64\":\"");
	escape_base64(out, text, length);
	put(out, "\"");
}

static void put_address(struct buffer *out, const struct address *address)
{
	char text[ADDRESS_TEXT];

	if (address_family(address) == AF_UNSPEC) {
		put(out, "null");
		return;
	}
	address_format(address, text);
	put_string(out, text, strlen(text));
}

static void put_failure(struct buffer *out, const struct failure *failure)
{
	if (!failure_present(failure)) {
		put(out, "null");
		return;
	}
	put(out, "{\"phase\":\"");
	put(out, phase_name(failure->phase));
	put(out, "\",\"code\":");
	put_string(out, failure->code, strlen(failure->code));
	put(out, ",");
	put_member(out, "message", failure->message);
	put(out, ",\"errno\":");
	if (failure->error)
		put_integer(out, failure->error);
	else
		put(out, "null");
	put(out, "}");
}

static void put_who(struct buffer *out, const struct host *host, const struct outcome *outcome)
{
	put(out, "{\"schema\":");
	put_unsigned(out, SCHEMA_VERSION);
	put(out, ",");
	put_member(out, "host", host->target.name);
	put(out, ",\"address\":");
	put_address(out, &outcome->address);
	put(out, ",\"port\":");
	put_unsigned(out, outcome->port);
	put(out, ",\"service\":");
	put_string(out, outcome->service, strlen(outcome->service));
}

static void put_what(struct buffer *out, const struct outcome *outcome)
{
	put(out, ",\"state\":\"");
	put(out, outcome_state_name(outcome->state));
	put(out, "\",\"ms\":");
	put_ms(out, outcome->ms);
	put(out, ",\"data\":");
	put_object(out, pack_first(&outcome->report.data), pack_end(&outcome->report.data));
	put(out, ",\"tls\":");
	if (outcome->tls)
		put_tree(out, outcome->tls);
	else
		put(out, "null");
	put(out, ",\"warnings\":");
	if (outcome->report.warnings)
		put_tree(out, outcome->report.warnings);
	else
		put(out, "[]");
	put(out, ",\"error\":");
	put_failure(out, &outcome->failure);
	if (outcome->exchanges) {
		put(out, ",\"exchanges\":");
		put_tree(out, outcome->exchanges);
	}
}

/* All of it or nothing. */
bool json_record(struct buffer *out, const struct host *host, const struct outcome *outcome)
{
	size_t length = buffer_length(out);

	buffer_grow(out, USUAL);
	out->refused = false;
	put_who(out, host, outcome);
	put_what(out, outcome);
	put(out, "}\n");
	if (out->refused)
		out->end = out->start + length;
	return !out->refused;
}
