#include "output/json.h"

#include "base/escape.h"

#include <jansson.h>
#include <string.h>

/* Encoded here, byte by byte into the record, and not by jansson's encoder: that one wants trees of
 * valid UTF-8, and building them anew took more time than all else that is done for a connection. */

enum { SCHEMA_VERSION = 1, DEPTH = 16 };

/* --- values ---------------------------------------------------------------------------------- */

static inline void put(struct buffer *out, const char *text)
{
	buffer_append(out, text, strlen(text));
}

/* Can the byte stand in a JSON string as it is, whatever its neighbours? */
static inline bool plain(unsigned char byte)
{
	return (unsigned char)(byte - 0x20) < 0x7f - 0x20 && byte != '"' && byte != '\\';
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
	size_t start = 0, at = 0;

	for (;;) {
		while (at < length && plain((unsigned char)bytes[at]))
			at++;
		buffer_append(out, bytes + start, at - start);
		if (at == length)
			return;
		at += put_special(out, bytes + at, length - at);
		start = at;
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

static void put_base64(struct buffer *out, const json_t *string)
{
	buffer_append(out, "\"", 1);
	escape_base64(out, json_string_value(string), json_string_length(string));
	buffer_append(out, "\"", 1);
}

/* --- trees ----------------------------------------------------------------------------------- */

static bool dirty(const json_t *value)
{
	size_t  index;
	json_t *element;

	if (json_is_string(value))
		return !utf8_valid(json_string_value(value), json_string_length(value));
	json_array_foreach (value, index, element)
		if (json_is_string(element) && dirty(element))
			return true;
	return false;
}

/* The exact bytes of a string, or of each string of an array. */
static void put_exact(struct buffer *out, const json_t *value)
{
	size_t  index;
	json_t *element;

	if (json_is_string(value)) {
		put_base64(out, value);
		return;
	}
	put(out, "[");
	json_array_foreach (value, index, element) {
		put(out, index > 0 ? "," : "");
		if (json_is_string(element))
			put_base64(out, element);
		else
			put(out, "null");
	}
	put(out, "]");
}

static void put_value(struct buffer *out, const json_t *value, int depth);

static void put_array(struct buffer *out, const json_t *array, int depth)
{
	size_t  index;
	json_t *element;

	put(out, "[");
	json_array_foreach (array, index, element) {
		put(out, index > 0 ? "," : "");
		put_value(out, element, depth);
	}
	put(out, "]");
}

static void put_object(struct buffer *out, const json_t *object, int depth)
{
	const char *key;
	json_t     *member;
	bool        first = true;

	put(out, "{");
	json_object_foreach ((json_t *)object, key, member) {
		put(out, first ? "" : ",");
		first = false;
		put_string(out, key, strlen(key));
		put(out, ":");
		put_value(out, member, depth);
		if (!dirty(member))
			continue;
		put(out, ",\"");
		put_characters(out, key, strlen(key));
		put(out, "_base64\":");
		put_exact(out, member);
	}
	put(out, "}");
}

static void put_value(struct buffer *out, const json_t *value, int depth)
{
	switch (depth > 0 && value ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		put_object(out, value, depth - 1);
		break;
	case JSON_ARRAY:
		put_array(out, value, depth - 1);
		break;
	case JSON_STRING:
		put_string(out, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		put_integer(out, json_integer_value(value));
		break;
	case JSON_REAL:
		buffer_format(out, "%.15g", json_real_value(value));
		break;
	case JSON_TRUE:
		put(out, "true");
		break;
	case JSON_FALSE:
		put(out, "false");
		break;
	case JSON_NULL:
		put(out, "null");
		break;
	}
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
	if (outcome->report.data)
		put_value(out, outcome->report.data, DEPTH);
	else
		put(out, "{}");
	put(out, ",\"tls\":");
	put_value(out, outcome->tls, DEPTH);
	put(out, ",\"warnings\":");
	if (outcome->report.warnings)
		put_value(out, outcome->report.warnings, DEPTH);
	else
		put(out, "[]");
	put(out, ",\"error\":");
	put_failure(out, &outcome->failure);
	if (outcome->exchanges) {
		put(out, ",\"exchanges\":");
		put_value(out, outcome->exchanges, DEPTH);
	}
}

/* All of it or nothing. */
bool json_record(struct buffer *out, const struct host *host, const struct outcome *outcome)
{
	size_t length = buffer_length(out);

	out->refused = false;
	put_who(out, host, outcome);
	put_what(out, outcome);
	put(out, "}\n");
	if (out->refused)
		out->end = out->start + length;
	return !out->refused;
}
