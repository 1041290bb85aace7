#include "workbench/verdict.h"

#include <stdlib.h>
#include <string.h>

/* PLACE: a path in a record, such as data.starttls.handshake. More lines than LINES are not compared in pairs. */
enum { PLACE = 256, LINES = 1000 };

bool verdict_take(struct verdict *verdict, const char *fault, const struct host *host,
                  const struct outcome *outcome)
{
	*verdict = (struct verdict){ 0 };
	if (!reported_of(&verdict->reported, host, outcome)) {
		reported_free(&verdict->reported);
		return false;
	}
	json_object_del(verdict->reported.record, "ms");
	json_object_del(verdict->reported.record, "exchanges");
	json_object_del(json_object_get(verdict->reported.record, "tls"),
	                "days_left"); /* time is pretended */
	if (fault)
		verdict->fault = strdup(fault);
	if (outcome->broken)
		verdict->broken = strdup(outcome->failure.message);
	return true;
}

void verdict_free(struct verdict *verdict)
{
	free(verdict->fault);
	free(verdict->broken);
	reported_free(&verdict->reported);
}

/* --- lines ----------------------------------------------------------------------------------- */

/* A line of a report: as the file wants it, or as it was. */
struct line {
	const struct expected *wanted; /* NULL: it was reported */
	const char            *text;
	size_t                 length;
};

struct lines {
	struct line *line;
	size_t       count;
};

/* The lines of a report. False: no memory. */
static bool split(struct lines *lines, const struct buffer *text)
{
	const char *at = buffer_bytes(text), *end = at + buffer_length(text);

	*lines = (struct lines){ calloc(buffer_length(text) + 1, sizeof *lines->line), 0 };
	while (lines->line && at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		size_t      length = (size_t)((lf ? lf : end) - at);

		lines->line[lines->count++] = (struct line){ NULL, at, length };
		at += length + (lf != NULL);
	}
	return lines->line != NULL;
}

static bool want(struct lines *lines, const struct conversation *conversation)
{
	*lines = (struct lines){ calloc(conversation->line_count + 1, sizeof *lines->line), 0 };
	if (lines->line)
		lines->count = conversation->line_count;
	for (size_t i = 0; i < lines->count; i++) {
		const struct expected *wanted = &conversation->lines[i];

		lines->line[i] = (struct line){ wanted, wanted->text, strlen(wanted->text) };
	}
	return lines->line != NULL;
}

/* Spaces at the end, which editors take away, do not count. */
static size_t trimmed(const char *text, size_t length)
{
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return length;
}

static bool alike(const struct line *one, const struct line *seen)
{
	size_t length = trimmed(seen->text, seen->length);

	if (one->wanted && (phrase_fits(&one->wanted->words, seen->text, length) ||
	                    phrase_fits(&one->wanted->words, seen->text, seen->length)))
		return true;
	return trimmed(one->text, one->length) == length && memcmp(one->text, seen->text, length) == 0;
}

static void print_line(struct buffer *findings, char sign, const struct line *line)
{
	buffer_format(findings, "%c ", sign);
	buffer_append(findings, line->text, line->length);
	if (line->wanted)
		buffer_format(findings, "   (line %u)", line->wanted->line);
	buffer_text(findings, "\n");
}

/* common[i][j]: how many lines behind the i-th of the first and the j-th of the second can be paired. */
static unsigned short *pair(const struct lines *first, const struct lines *second)
{
	size_t          width = second->count + 1;
	unsigned short *common = calloc((first->count + 1) * width, sizeof *common);

	for (size_t i = first->count; common && i-- > 0;) {
		for (size_t j = second->count; j-- > 0;) {
			unsigned short skip = common[(i + 1) * width + j], other = common[i * width + j + 1];

			if (alike(&first->line[i], &second->line[j]))
				common[i * width + j] = (unsigned short)(common[(i + 1) * width + j + 1] + 1);
			else
				common[i * width + j] = skip > other ? skip : other;
		}
	}
	return common;
}

/* What both have, what only the first has (-), what only the second has (+). */
static void print_difference(struct buffer *findings, const struct lines *first, const struct lines *second)
{
	size_t          i = 0, j = 0, width = second->count + 1;
	unsigned short *common = first->count <= LINES && second->count <= LINES ? pair(first, second) : NULL;

	while (i < first->count || j < second->count) {
		bool both = i < first->count && j < second->count && alike(&first->line[i], &second->line[j]);

		if (both)
			print_line(findings, ' ', &second->line[(i++, j++)]);
		else if (i < first->count && (j == second->count || !common ||
		                              common[(i + 1) * width + j] >= common[i * width + j + 1]))
			print_line(findings, '-', &first->line[i++]);
		else
			print_line(findings, '+', &second->line[j++]);
	}
	free(common);
}

static bool same_lines(const struct lines *first, const struct lines *second)
{
	if (first->count != second->count)
		return false;
	for (size_t i = 0; i < first->count; i++)
		if (!alike(&first->line[i], &second->line[i]))
			return false;
	return true;
}

static bool compare_lines(struct lines *first, const struct buffer *text, const char *what,
                          struct buffer *findings)
{
	struct lines seen;
	bool         read = split(&seen, text) && first->line;
	bool         same = read && same_lines(first, &seen);

	if (!read) {
		buffer_text(findings, "not enough memory\n");
	} else if (!same) {
		buffer_text(findings, what);
		print_difference(findings, first, &seen);
	}
	free(first->line);
	free(seen.line);
	return same;
}

/* --- records --------------------------------------------------------------------------------- */

struct comparing {
	const struct fact *facts;
	const char        *before; /* of each finding */
	struct buffer     *findings;
};

static void print_value(struct buffer *findings, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	buffer_text(findings, text ? text : "nothing");
	free(text);
}

static bool differ(const struct comparing *comparing, const char *place, const json_t *wanted,
                   const json_t *seen)
{
	buffer_format(comparing->findings, "%s%s is ", comparing->before, place);
	if (seen)
		print_value(comparing->findings, seen);
	else
		buffer_text(comparing->findings, "not there");
	if (wanted) {
		buffer_text(comparing->findings, ", not ");
		print_value(comparing->findings, wanted);
	} else {
		buffer_text(comparing->findings, ", and should not be there");
	}
	buffer_text(comparing->findings, "\n");
	return false;
}

static bool same_text(const struct comparing *comparing, const json_t *wanted, const json_t *seen)
{
	struct phrase words;
	const char   *fault;
	bool          same;

	same = phrase_read(&words, json_string_value(wanted), json_string_length(wanted), false,
	                   comparing->facts, &fault) &&
	       phrase_fits(&words, json_string_value(seen), json_string_length(seen));
	phrase_free(&words);
	return same || json_equal(wanted, seen);
}

static bool compare(const struct comparing *comparing, const char *place, const json_t *wanted,
                    const json_t *seen, bool whole);

static bool compare_arrays(const struct comparing *comparing, const char *place, const json_t *wanted,
                           const json_t *seen)
{
	size_t count = json_array_size(wanted), has = json_array_size(seen);
	char   below[PLACE];
	bool   same = true;

	for (size_t i = 0; i < count || i < has; i++) {
		snprintf(below, sizeof below, "%s[%zu]", place, i + 1);
		same = compare(comparing, below, json_array_get(wanted, i), json_array_get(seen, i), true) &&
		       same;
	}
	return same;
}

static bool compare_objects(const struct comparing *comparing, const char *place, const json_t *wanted,
                            const json_t *seen, bool whole)
{
	const char *key;
	json_t     *value;
	char        below[PLACE];
	bool        same = true;

	json_object_foreach ((json_t *)wanted, key, value) {
		bool some = *place == '\0' && (strcmp(key, "error") == 0 || strcmp(key, "tls") == 0);

		snprintf(below, sizeof below, "%s%s%s", place, *place ? "." : "", key);
		same = compare(comparing, below, value, json_object_get(seen, key), !some) && same;
	}
	json_object_foreach ((json_t *)seen, key, value) {
		snprintf(below, sizeof below, "%s%s%s", place, *place ? "." : "", key);
		if (whole && !json_object_get(wanted, key))
			same = differ(comparing, below, NULL, value);
	}
	return same;
}

static bool compare(const struct comparing *comparing, const char *place, const json_t *wanted,
                    const json_t *seen, bool whole)
{
	if (json_is_object(wanted) && json_is_object(seen))
		return compare_objects(comparing, place, wanted, seen, whole);
	if (json_is_array(wanted) && json_is_array(seen))
		return compare_arrays(comparing, place, wanted, seen);
	if (json_is_string(wanted) && json_is_string(seen) && same_text(comparing, wanted, seen))
		return true;
	if (json_is_number(wanted) && json_is_number(seen) &&
	    !(json_number_value(wanted) < json_number_value(seen)) &&
	    !(json_number_value(wanted) > json_number_value(seen)))
		return true;
	return json_equal(wanted, seen) || differ(comparing, place, wanted, seen);
}

/* --- verdicts -------------------------------------------------------------------------------- */

/* A file may want the probe to fail, but must say so. */
static bool wants_failure(const struct conversation *conversation)
{
	return json_is_object(json_object_get(conversation->record, "error"));
}

/* What to put into the file. */
static void suggest(const struct verdict *verdict, struct buffer *findings)
{
	buffer_text(findings, "the file does not say what must be reported; it was:\n");
	reported_write(findings, &verdict->reported);
}

static bool reported_right(const struct verdict *verdict, const struct conversation *conversation,
                           struct buffer *findings)
{
	char             before[300];
	struct comparing comparing = { conversation->facts, before, findings };
	struct lines     wanted = { 0 };
	bool             right = true;

	snprintf(before, sizeof before, "%.256s:%u: ", conversation->path, conversation->record_line);
	if (conversation->line_count > 0)
		right = want(&wanted, conversation) &&
		        compare_lines(&wanted, &verdict->reported.text,
		                      "not reported (-), reported instead (+):\n", findings);
	if (conversation->record)
		right = compare(&comparing, "", conversation->record, verdict->reported.record, false) &&
		        right;
	if (conversation->line_count == 0 && !conversation->record)
		suggest(verdict, findings);
	return right;
}

bool verdict_right(const struct verdict *verdict, const struct conversation *conversation,
                   struct buffer *findings)
{
	bool broken = verdict->broken && !wants_failure(conversation);

	if (broken)
		buffer_format(findings, "the probe failed: %s\n", verdict->broken);
	if (verdict->fault)
		buffer_format(findings, "%s\n", verdict->fault);
	return !broken && !verdict->fault && reported_right(verdict, conversation, findings);
}

bool verdict_same(const struct verdict *verdict, const struct verdict *first, const char *how,
                  struct buffer *findings)
{
	struct comparing comparing = { NULL, "", findings };
	struct lines     wanted;
	size_t           length = buffer_length(findings);
	bool             same = !verdict->fault;

	buffer_format(findings, "%s it is not the same:\n", how);
	if (verdict->fault)
		buffer_format(findings, "%s\n", verdict->fault);
	if (same && split(&wanted, &first->reported.text))
		same = compare_lines(&wanted, &verdict->reported.text, "", findings) &&
		       compare(&comparing, "", first->reported.record, verdict->reported.record, true);
	if (same && !json_equal(first->reported.record, verdict->reported.record)) {
		buffer_text(findings, "there is more in its error, or in what is said of TLS\n");
		same = false;
	}
	if (same)
		findings->end = findings->start + length; /* it was not needed */
	return same;
}
