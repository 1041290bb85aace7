/* Fuzzing of what is put out: an outcome is made from the bytes, and must become one line of JSON that a parser of
 * somebody else's reads back as the same, and text that no terminal minds.
 */
#include "../reporting.h"
#include "fuzz.h"
#include "output/json.h"

#include "output/text.h"
#include "scan/host.h"
#include "scan/transcript.h"

#include <math.h>
#include <openssl/evp.h>

enum { LARGE = 4 * 1024 * 1024, DEEPEST = 12, MEMBERS = 6, TEXT = 64 };

/* --- making one ------------------------------------------------------------------------------ */

static struct input take_text(struct input *input)
{
	size_t       length = take_below(input, TEXT);
	struct input taken = { input->bytes, length < input->left ? length : input->left };

	if (taken.left == 0)
		taken.bytes = "";
	input->bytes += taken.left;
	input->left -= taken.left;
	return taken;
}

static json_t *take_string(struct input *input)
{
	struct input text = take_text(input);

	return json_stringn_nocheck(text.bytes, text.left);
}

static json_t *take_tree(struct input *input, int depth);

static json_t *take_array(struct input *input, int depth)
{
	json_t  *array = json_array();
	unsigned count = take_below(input, MEMBERS);

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, take_tree(input, depth - 1));
	return array;
}

/* Keys are a script's own words, and differ. */
static json_t *take_object(struct input *input, int depth)
{
	json_t  *object = json_object();
	unsigned count = take_below(input, MEMBERS);
	char     key[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof key, "%u\"\\\n\t%c", i, (char)take_below(input, 0x80));
		json_object_set_new(object, key, take_tree(input, depth - 1));
	}
	return object;
}

static json_t *take_number(struct input *input)
{
	int64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = (int64_t)((uint64_t)number << 8 | take_byte(input));
	return take_below(input, 2) ? json_integer(number) : json_real((double)number / 1e6);
}

static json_t *take_tree(struct input *input, int depth)
{
	switch (take_below(input, depth > 0 ? 8 : 5)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(take_below(input, 2));
	case 2:
		return take_number(input);
	case 5:
		return take_array(input, depth);
	case 6:
	case 7:
		return take_object(input, depth);
	default:
		return take_string(input);
	}
}

static void take_failure(struct input *input, struct failure *failure)
{
	struct input text = take_text(input);

	failure_quote(failure, (enum phase)(1 + take_below(input, PHASE_SCRIPT)), "not-protocol",
	              "the server said", text.bytes, text.left);
	failure->error = (int)take_byte(input);
}

static void take_report(struct input *input, struct report *report)
{
	static const char *const keys[] = { "banner", "starttls", "server", "status" };
	struct input             text;

	for (unsigned i = 0; i < sizeof keys / sizeof *keys && take_below(input, 4) > 0; i++)
		report_tree(report, keys[i], take_tree(input, DEEPEST));
	while (take_below(input, 3) > 0) {
		text = take_text(input);
		if (take_below(input, 2))
			report_warn(report, "oversize", text.bytes, text.left);
		else
			report_print(report, text.bytes, text.left);
	}
}

static void take_exchanges(struct input *input, struct outcome *outcome)
{
	struct transcript transcript = { 0 };
	unsigned          count = take_below(input, 8);

	for (unsigned i = 0; i < count; i++) {
		struct input text = take_text(input);

		transcript_note(&transcript, i, (enum event)take_below(input, EVENT_CLOSED + 1), text.bytes,
		                text.left);
	}
	outcome->exchanges = transcript_json(&transcript);
}

static void take_outcome(struct input *input, struct outcome *outcome)
{
	unsigned parts = take_byte(input);

	outcome->state = (enum state)(STATE_OPEN + take_below(input, STATE_FAILED));
	outcome->finished = true;
	outcome->ms = take_byte(input) * 1000.0 / (1 + take_byte(input));
	if (parts & 1)
		address_parse(&outcome->address, parts & 2 ? "2001:db8::7" : "192.0.2.7");
	if (parts & 4 || outcome->state != STATE_OPEN)
		take_failure(input, &outcome->failure);
	if (parts & 8)
		outcome->tls = take_object(input, DEEPEST);
	if (parts & 16)
		take_exchanges(input, outcome);
	take_report(input, &outcome->report);
}

/* --- reading it back ------------------------------------------------------------------------- */

static bool same_text(const json_t *made, const json_t *read)
{
	struct buffer wanted;
	bool          same;

	buffer_init(&wanted, LARGE);
	escape_utf8(&wanted, json_string_value(made), json_string_length(made));
	same = json_is_string(read) && json_string_length(read) == buffer_length(&wanted) &&
	       memcmp(json_string_value(read), buffer_bytes(&wanted), buffer_length(&wanted)) == 0;
	buffer_free(&wanted);
	return same;
}

static bool same_number(const json_t *made, const json_t *read)
{
	double one = json_number_value(made), other = json_number_value(read);

	if (json_is_integer(made) && json_is_integer(read))
		return json_integer_value(made) == json_integer_value(read);
	return json_is_real(made) && json_is_number(read) && fabs(one - other) <= fabs(one) * 1e-14;
}

/* What was no UTF-8 stands beside its replacement, in base64. */
static void check_exact(const json_t *made, const json_t *object, const char *key)
{
	char           name[100];
	const json_t  *coded;
	unsigned char *bytes;
	int            length;

	snprintf(name, sizeof name, "%s_base64", key);
	coded = json_object_get(object, name);
	if (json_is_string(made) && utf8_valid(json_string_value(made), json_string_length(made)))
		demand(!coded, "what is UTF-8 is not there twice");
	if (!json_is_string(made) || !coded)
		return;
	bytes = malloc(json_string_length(coded) + 1);
	length = EVP_DecodeBlock(bytes, (const unsigned char *)json_string_value(coded),
	                         (int)json_string_length(coded));
	demand(length >= (int)json_string_length(made) &&
	           memcmp(bytes, json_string_value(made), json_string_length(made)) == 0,
	       "the exact bytes are there");
	free(bytes);
}

static void check_tree(const json_t *made, const json_t *read)
{
	const char *key;
	json_t     *value;

	if (json_is_string(made))
		demand(same_text(made, read), "a text is read back");
	else if (json_is_number(made))
		demand(same_number(made, read), "a number is read back");
	else
		demand(json_typeof(made) == json_typeof(read), "a value is read back as what it was");
	for (size_t i = 0; json_is_array(made) && i < json_array_size(made); i++)
		check_tree(json_array_get(made, i), json_array_get(read, i));
	demand(json_array_size(made) == json_array_size(read), "all of an array is read back");
	json_object_foreach ((json_t *)made, key, value) {
		demand(json_object_get(read, key) != NULL, "a member is read back");
		check_tree(value, json_object_get(read, key));
		check_exact(value, read, key);
	}
}

static void check_members(const struct outcome *outcome, const json_t *record)
{
	static const char *const names[] = { "schema", "host", "address", "port",     "service", "state",
		                             "ms",     "data", "tls",     "warnings", "error" };
	json_t                  *data;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		demand_of(json_object_get(record, names[i]) != NULL, "a record has all members", names[i],
		          strlen(names[i]));
	data = pack_members(&outcome->report.data);
	check_tree(data, json_object_get(record, "data"));
	json_decref(data);
	if (outcome->report.warnings)
		check_tree(outcome->report.warnings, json_object_get(record, "warnings"));
	if (outcome->tls)
		check_tree(outcome->tls, json_object_get(record, "tls"));
	if (outcome->exchanges)
		check_tree(outcome->exchanges, json_object_get(record, "exchanges"));
}

static void check_json(const struct host *host, const struct outcome *outcome)
{
	struct buffer line;
	json_t       *record;
	json_error_t  fault;

	buffer_init(&line, LARGE);
	demand(json_record(&line, host, outcome), "there is room for the record");
	demand(buffer_length(&line) > 0 && memchr(buffer_bytes(&line), '\n', buffer_length(&line)) ==
	                                       buffer_bytes(&line) + buffer_length(&line) - 1,
	       "a record is one line");
	demand_safe(buffer_bytes(&line), buffer_length(&line), true);
	record = json_loadb(buffer_bytes(&line), buffer_length(&line),
	                    JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &fault);
	demand_of(record != NULL, fault.text, buffer_bytes(&line), buffer_length(&line));
	check_members(outcome, record);
	json_decref(record);
	buffer_free(&line);
}

static void check_text(struct host *host)
{
	struct text_style style = { .verbose = true };
	struct buffer     out;

	buffer_init(&out, LARGE);
	text_advance(&out, &style, host);
	demand_safe(buffer_bytes(&out), buffer_length(&out), true);
	demand(host->shown.outcome == host->count, "all that is known is shown");
	buffer_free(&out);
}

/* A record that does not fit is refused, not cut. */
static void check_room(const struct host *host, const struct outcome *outcome, size_t room)
{
	struct buffer whole, out;

	buffer_init(&whole, LARGE);
	buffer_init(&out, room);
	json_record(&whole, host, outcome);
	demand(json_record(&out, host, outcome) == (buffer_length(&whole) <= room),
	       "a record that fits is there");
	demand(buffer_length(&out) == 0 || buffer_length(&out) == buffer_length(&whole),
	       "all of it or nothing");
	buffer_free(&whole);
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input   input = input_of(bytes, size);
	struct outcome outcome;
	struct host    host = { .outcomes = &outcome, .count = 1, .finished = 1 };
	struct input   name;

	outcome_init(&outcome, "smtp", 25);
	name = take_text(&input);
	memcpy(host.target.name, name.bytes, name.left);
	take_outcome(&input, &outcome);
	check_json(&host, &outcome);
	check_text(&host);
	check_room(&host, &outcome, 8 * (size_t)take_byte(&input));
	outcome_free(&outcome);
	return 0;
}
