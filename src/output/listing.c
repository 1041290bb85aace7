#include "output/listing.h"

#include "base/escape.h"

#include <string.h>

enum { COLUMNS = 200 };

static void text_line(struct buffer *out, const char *text)
{
	escape_terminal(out, text, strlen(text), COLUMNS);
	buffer_text(out, "\n");
}

static void service_line(struct buffer *out, const struct service *service)
{
	const char *notes = service->optional ? service->tls ? " [tls, optional]" : " [optional]"
	                    : service->tls    ? " [tls]"
	                                      : "";

	if (service->port != 0)
		buffer_format(out, "%-14s %5u  ", service->name, service->port);
	else
		buffer_format(out, "%-14s     -  ", service->name);
	escape_terminal(out, service->script->about, strlen(service->script->about), COLUMNS);
	buffer_format(out, "%s\n", notes);
}

static void group_line(struct buffer *out, const struct group *group)
{
	buffer_format(out, "@%-13s        ", group->name);
	for (size_t i = 0; i < group->member_count; i++)
		buffer_format(out, "%s%s", i > 0 ? " " : "", group->members[i]);
	buffer_text(out, "\n");
}

void listing_all(struct buffer *out, const struct catalogue *catalogue)
{
	for (size_t i = 0; i < catalogue->script_count; i++) {
		const struct script *script = catalogue->scripts[i];

		for (size_t j = 0; j < script->service_count && !script->broken; j++)
			service_line(out, &script->services[j]);
	}
	for (size_t i = 0; i < catalogue->group_count; i++)
		group_line(out, &catalogue->groups[i]);
}

static void argument_line(struct buffer *out, const struct script *script, const struct argument *argument)
{
	static const char *const types[] = { "text", "number", "true or false" };

	buffer_format(out, "  --arg %s.%s=%s", script->name, argument->name,
	              argument->type == ARGUMENT_TEXT     ? "TEXT"
	              : argument->type == ARGUMENT_NUMBER ? "N"
	                                                  : "true|false");
	buffer_format(out, "  (%s", types[argument->type]);
	if (argument->initial) {
		buffer_text(out, ", default ");
		escape_terminal(out, argument->initial, strlen(argument->initial), COLUMNS);
	}
	buffer_text(out, ")  ");
	text_line(out, argument->about);
}

static void describe(struct buffer *out, const struct script *script)
{
	buffer_format(out, "%s: ", script->name);
	text_line(out, script->about);
	buffer_text(out, "file: ");
	text_line(out, script->path);
	buffer_text(out, "services:\n");
	for (size_t i = 0; i < script->service_count; i++) {
		buffer_text(out, "  ");
		service_line(out, &script->services[i]);
	}
	for (size_t i = 0; i < script->greeting_count; i++) {
		buffer_text(out, "greeting: ");
		text_line(out, script->greetings[i]);
	}
	if (script->argument_count > 0)
		buffer_text(out, "arguments:\n");
	for (size_t i = 0; i < script->argument_count; i++)
		argument_line(out, script, &script->arguments[i]);
	if (!script->has_probe)
		buffer_text(out, "This is a connect test: it reports whether the port is open.\n");
}

bool listing_one(struct buffer *out, const struct catalogue *catalogue, const char *name)
{
	const struct service *service = catalogue_service(catalogue, name);
	const struct script  *script = service ? service->script : catalogue_script(catalogue, name);

	if (!script || script->broken) {
		const char *nearest = catalogue_nearest(catalogue, name);

		buffer_text(out, nearest ? nearest : "");
		return false;
	}
	describe(out, script);
	return true;
}
