#include "output/json.h"

#include "base/escape.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_VERSION = 1, ENCODED = 1024 * 1024 };

/* --- strings that a server may have sent ----------------------------------------------------- */

static json_t *clean_text(const char *bytes, size_t length)
{
	struct buffer text;
	json_t       *clean;

	buffer_init(&text, ENCODED);
	escape_utf8(&text, bytes, length);
	clean = json_stringn_nocheck(buffer_bytes(&text), buffer_length(&text));
	buffer_free(&text);
	return clean;
}

static json_t *base64(const char *bytes, size_t length)
{
	struct buffer text;
	json_t       *encoded;

	buffer_init(&text, ENCODED);
	escape_base64(&text, bytes, length);
	encoded = json_stringn_nocheck(buffer_bytes(&text), buffer_length(&text));
	buffer_free(&text);
	return encoded;
}

static bool dirty(const json_t *value)
{
	return json_is_string(value) && !utf8_valid(json_string_value(value), json_string_length(value));
}

static bool any_dirty(const json_t *array)
{
	size_t  index;
	json_t *element;

	json_array_foreach (array, index, element)
		if (dirty(element))
			return true;
	return false;
}

/* The exact bytes of a string, or of each string of an array. */
static json_t *exact(const json_t *value)
{
	json_t *array, *element;
	size_t  index;

	if (json_is_string(value))
		return base64(json_string_value(value), json_string_length(value));
	array = json_array();
	json_array_foreach (value, index, element)
		json_array_append_new(array, json_is_string(element) ? exact(element) : json_null());
	return array;
}

static json_t *clean(const json_t *value);

static void add_clean(json_t *object, const char *key, const json_t *value)
{
	struct buffer name, sibling;
	bool          needs_exact = dirty(value) || (json_is_array(value) && any_dirty(value));

	buffer_init(&name, ENCODED);
	buffer_init(&sibling, ENCODED);
	escape_utf8(&name, key, strlen(key));
	if (buffer_append(&name, "", 1))
		json_object_set_new_nocheck(object, buffer_bytes(&name), clean(value));
	if (needs_exact && buffer_text(&sibling, buffer_bytes(&name)) && buffer_append(&sibling, "_base64", 8))
		json_object_set_new_nocheck(object, buffer_bytes(&sibling), exact(value));
	buffer_free(&name);
	buffer_free(&sibling);
}

static json_t *clean_object(const json_t *value)
{
	json_t     *object = json_object();
	const char *key;
	json_t     *member;

	json_object_foreach ((json_t *)value, key, member)
		add_clean(object, key, member);
	return object;
}

static json_t *clean_array(const json_t *value)
{
	json_t *array = json_array();
	size_t  index;
	json_t *element;

	json_array_foreach (value, index, element)
		json_array_append_new(array, clean(element));
	return array;
}

/* A copy of the tree in which every string is valid UTF-8. */
static json_t *clean(const json_t *value)
{
	if (json_is_object(value))
		return clean_object(value);
	if (json_is_array(value))
		return clean_array(value);
	if (json_is_string(value))
		return clean_text(json_string_value(value), json_string_length(value));
	return json_incref((json_t *)value);
}

/* --- the record ------------------------------------------------------------------------------ */

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new_nocheck(object, key, value);
}

static void set_raw(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string_nocheck(text);

	add_clean(object, key, value);
	json_decref(value);
}

static json_t *address(const struct outcome *outcome)
{
	char text[ADDRESS_TEXT];

	if (address_family(&outcome->address) == AF_UNSPEC)
		return json_null();
	address_format(&outcome->address, text);
	return json_string_nocheck(text);
}

static json_t *error(const struct failure *failure)
{
	json_t *object;

	if (!failure_present(failure))
		return json_null();
	object = json_object();
	set(object, "phase", json_string_nocheck(phase_name(failure->phase)));
	set(object, "code", json_string_nocheck(failure->code));
	set_raw(object, "message", failure->message);
	set(object, "errno", failure->error ? json_integer(failure->error) : json_null());
	return object;
}

static json_t *record(const struct host *host, const struct outcome *outcome)
{
	json_t *object = json_object();

	set(object, "schema", json_integer(SCHEMA_VERSION));
	set_raw(object, "host", host->target.name);
	set(object, "address", address(outcome));
	set(object, "port", json_integer(outcome->port));
	set(object, "service", json_string_nocheck(outcome->service));
	set(object, "state", json_string_nocheck(outcome_state_name(outcome->state)));
	set(object, "ms", json_real((double)(long long)(outcome->ms * 1000 + 0.5) / 1000));
	set(object, "data", outcome->report.data ? clean(outcome->report.data) : json_object());
	set(object, "tls", outcome->tls ? clean(outcome->tls) : json_null());
	set(object, "warnings", outcome->report.warnings ? clean(outcome->report.warnings) : json_array());
	set(object, "error", error(&outcome->failure));
	return object;
}

static int append(const char *bytes, size_t length, void *out)
{
	return buffer_append(out, bytes, length) ? 0 : -1;
}

bool json_record(struct buffer *out, const struct host *host, const struct outcome *outcome)
{
	json_t *object = record(host, outcome);
	bool    good = object && json_dump_callback(object, append, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 &&
	            buffer_append(out, "\n", 1);

	json_decref(object);
	return good;
}
