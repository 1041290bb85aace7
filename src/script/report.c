#include "script/report.h"

#include <string.h>

void report_init(struct report *report)
{
	memset(report, 0, sizeof *report);
	report->budget = REPORT_BYTES;
	buffer_init(&report->lines, REPORT_LINES);
}

void report_free(struct report *report)
{
	json_decref(report->data);
	json_decref(report->warnings);
	buffer_free(&report->lines);
	report->data = NULL;
	report->warnings = NULL;
}

void report_set(struct report *report, const char *key, json_t *value)
{
	if (!report->data)
		report->data = json_object();
	json_object_set_new_nocheck(report->data, key, value);
}

/* A line is kept as its length and its bytes, for it may hold any byte. */
static void add_line(struct report *report, const char *text, size_t length)
{
	if (report->muted > 0) {
		report->muted--;
		return;
	}
	if (buffer_room(&report->lines) < sizeof length + length)
		return; /* the record has it all the same */
	report->line_count++;
	buffer_append(&report->lines, &length, sizeof length);
	buffer_append(&report->lines, text, length);
	if (report->changed)
		report->changed(report->owner);
}

void report_print(struct report *report, const char *text, size_t length)
{
	const char *lf;

	while ((lf = memchr(text, '\n', length)) != NULL) {
		add_line(report, text, (size_t)(lf - text));
		length -= (size_t)(lf - text) + 1;
		text = lf + 1;
	}
	add_line(report, text, length);
}

void report_note(struct report *report, const char *code, const char *text, size_t length)
{
	json_t *warning;

	if (report->budget < length)
		return;
	report->budget -= length;
	warning = json_object();
	if (!report->warnings)
		report->warnings = json_array();
	json_object_set_new_nocheck(warning, "code", json_string_nocheck(code));
	json_object_set_new_nocheck(warning, "text", json_stringn_nocheck(text, length));
	json_array_append_new(report->warnings, warning);
}

void report_warn(struct report *report, const char *code, const char *text, size_t length)
{
	static const char prefix[] = "warning: ";
	struct buffer     line;

	report_note(report, code, text, length);
	buffer_init(&line, sizeof prefix + length);
	if (buffer_text(&line, prefix) && buffer_append(&line, text, length))
		add_line(report, buffer_bytes(&line), buffer_length(&line));
	buffer_free(&line);
}

void report_restart(struct report *report)
{
	json_decref(report->data);
	json_decref(report->warnings);
	report->data = NULL;
	report->warnings = NULL;
	report->budget = REPORT_BYTES;
	report->muted = report->line_count;
}

bool report_next(const struct report *report, size_t *place, const char **bytes, size_t *length)
{
	if (*place + sizeof *length > buffer_length(&report->lines))
		return false;
	memcpy(length, buffer_bytes(&report->lines) + *place, sizeof *length);
	*bytes = buffer_bytes(&report->lines) + *place + sizeof *length;
	*place += sizeof *length + *length;
	return true;
}
