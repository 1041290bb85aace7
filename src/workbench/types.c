#include "workbench/types.h"

#include "workbench/help.h"

#include <stdbool.h>
#include <string.h>

static const char preface[] =
    "---@meta scan\n"
    "-- What probes and programs of scan can call, for editors that know the annotations of the Lua "
    "language\n"
    "-- server. Made by `scan --types`; nothing loads it. In a probe, say above its table: ---@type "
    "scan.probe\n"
    "\n--- The open connection of -i, and of -e with HOST:PORT.\n---@type scan.conn\nconn = nil\n";

/* What conn.tls and conn:starttls() give. */
static const char facts[] = "\n---@class scan.tls\n"
			    "---@field version string\n"
			    "---@field cipher string\n"
			    "---@field subject? string\n"
			    "---@field issuer? string\n"
			    "---@field names? string[]\n"
			    "---@field not_before? string\n"
			    "---@field not_after? string\n"
			    "---@field days_left? integer\n"
			    "---@field key? string\n"
			    "---@field sha256? string\n"
			    "---@field verified boolean\n"
			    "---@field verify_error? string\n"
			    "---@field problems? string[]\n"
			    "---@field settings string\n"
			    "---@field handshake boolean\n"
			    "---@field client_certificate? boolean\n";

/* In the order in which they stand in the file; `more` stands behind the class's name. */
static const struct group {
	const char *of, *class, *more;
} groups[] = {
	{ "error", "scan.error", "" },
	{ "conn", "scan.conn", "" },
	{ "report", "scan.report", "---@overload fun(key: string, value: any, text?: string|boolean)\n" },
	{ "listener", "scan.listener", "" },
	{ "task", "scan.task", "" },
	{ "scan", "scan", "" },
	{ "service", "scan.service", "" },
	{ "argument", "scan.argument", "" },
	{ "probe", "scan.probe", "" },
};

static bool is_function(const struct entry *entry)
{
	return entry->type[0] == '\0' || entry->type[0] == '@';
}

static bool belongs(const struct entry *entry, const struct group *group)
{
	return entry->of && strcmp(entry->of, group->of) == 0;
}

/* "string?" is the type of a field that may be left out. */
static void put_field(struct buffer *out, const struct entry *entry)
{
	size_t length = strlen(entry->type);
	bool   optional = length > 0 && entry->type[length - 1] == '?';

	buffer_format(out, "---@field %s%s %.*s # %s\n", entry->name, optional ? "?" : "",
	              (int)(length - optional), entry->type, entry->about);
}

/* "conn:read([n [, seconds]])" as "conn:read(n, seconds)" */
static void put_signature(struct buffer *out, const char *form)
{
	for (; *form; form++)
		if (!strchr("[]", *form) && !(*form == ' ' && form[1] == '['))
			buffer_append(out, form, 1);
}

static void put_function(struct buffer *out, const struct entry *entry)
{
	buffer_format(out, "\n--- %s\n", entry->about);
	for (const char *line = entry->type; *line;) {
		size_t length = strcspn(line, "\n");

		buffer_format(out, "---%.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
	buffer_text(out, "function ");
	put_signature(out, entry->form);
	buffer_text(out, " end\n");
}

static void put_group(struct buffer *out, const struct group *group)
{
	const struct entry *entry;
	bool                global = strcmp(group->of, group->class) == 0;

	buffer_format(out, "\n---@class %s\n%s", group->class, group->more);
	for (size_t n = 0; (entry = help_entry(n)) != NULL; n++)
		if (belongs(entry, group) && !is_function(entry))
			put_field(out, entry);
	buffer_format(out, "%s%s = {}\n", global ? "" : "local ", group->of);
	for (size_t n = 0; (entry = help_entry(n)) != NULL; n++)
		if (belongs(entry, group) && is_function(entry))
			put_function(out, entry);
}

void types_write(struct buffer *out)
{
	buffer_text(out, preface);
	buffer_text(out, facts);
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		put_group(out, &groups[i]);
}
