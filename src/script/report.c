#include "script/report.h"

#include <string.h>

/* What a warning takes up beside its text. */
enum { WARNING_BYTES = 64 };

void report_init(struct report *report)
{
	memset(report, 0, sizeof *report);
	pack_init(&report->data, REPORT_BYTES);
	buffer_init(&report->lines, REPORT_LINES);
}

void report_free(struct report *report)
{
	pack_free(&report->data);
	json_decref(report->warnings);
	buffer_free(&report->lines);
	report->warnings = NULL;
}

/* What stands before the bytes of a line, which may be any. */
struct head {
	size_t length;
	bool   warning;
};

static void add_line(struct report *report, const char *text, size_t length, bool warning)
{
	struct head head = { .length = length, .warning = warning };

	if (report->wordless || buffer_room(&report->lines) < sizeof head + length)
		return; /* the record has it all the same */
	buffer_append(&report->lines, &head, sizeof head);
	buffer_append(&report->lines, text, length);
	if (report->changed)
		report->changed(report->owner);
}

void report_print(struct report *report, const char *text, size_t length)
{
	const char *lf;

	while ((lf = memchr(text, '\n', length)) != NULL) {
		add_line(report, text, (size_t)(lf - text), false);
		length -= (size_t)(lf - text) + 1;
		text = lf + 1;
	}
	add_line(report, text, length, false);
}

void report_note(struct report *report, const char *code, const char *text, size_t length)
{
	json_t *warning;

	if (!pack_afford(&report->data, length + WARNING_BYTES))
		return;
	warning = json_object();
	if (!report->warnings)
		report->warnings = json_array();
	json_object_set_new_nocheck(warning, "code", json_string_nocheck(code));
	json_object_set_new_nocheck(warning, "text", json_stringn_nocheck(text, length));
	json_array_append_new(report->warnings, warning);
}

void report_remark(struct report *report, const char *text, size_t length)
{
	static const char prefix[] = "warning: ";
	struct buffer     line;

	buffer_init(&line, sizeof prefix + length);
	if (buffer_text(&line, prefix) && buffer_append(&line, text, length))
		add_line(report, buffer_bytes(&line), buffer_length(&line), true);
	buffer_free(&line);
}

void report_warn(struct report *report, const char *code, const char *text, size_t length)
{
	report_note(report, code, text, length);
	report_remark(report, text, length);
}

void report_hold(struct report *report)
{
	if (report->held)
		return;
	report->held = true;
	report->hold = buffer_length(&report->lines);
}

void report_release(struct report *report)
{
	report->held = false;
	if (report->changed)
		report->changed(report->owner);
}

static size_t count_lines(const struct report *report)
{
	struct report_line line;
	size_t             place = 0, count = 0;

	while (report_next(report, &place, &line))
		count++;
	return count;
}

void report_replace(struct report *report, struct report *other)
{
	size_t             shown = count_lines(report), place = 0;
	struct report_line line;

	pack_free(&report->data);
	json_decref(report->warnings);
	report->data = other->data;
	report->warnings = other->warnings;
	pack_init(&other->data, 0);
	other->warnings = NULL;
	if (report->held)
		report->lines.end = report->lines.start + report->hold;
	report->held = false;
	while (report_next(other, &place, &line))
		if (shown > 0)
			shown--;
		else
			add_line(report, line.bytes, line.length, line.warning);
}

bool report_next(const struct report *report, size_t *place, struct report_line *line)
{
	size_t      end = report->held ? report->hold : buffer_length(&report->lines);
	struct head head;

	if (*place + sizeof head > end)
		return false;
	memcpy(&head, buffer_bytes(&report->lines) + *place, sizeof head);
	line->bytes = buffer_bytes(&report->lines) + *place + sizeof head;
	line->length = head.length;
	line->warning = head.warning;
	*place += sizeof head + head.length;
	return true;
}
