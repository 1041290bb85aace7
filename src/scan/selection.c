#include "scan/selection.h"

#include "base/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parsing {
	struct selection       *selection;
	const struct catalogue *catalogue;
	char                   *error;
	size_t                  size;
};

static bool chosen(const struct selection *selection, const struct service *service, uint16_t port)
{
	for (size_t i = 0; i < selection->count; i++)
		if (selection->choices[i].service == service && selection->choices[i].port == port)
			return true;
	return false;
}

bool selection_add(struct selection *selection, const struct service *service, uint16_t port)
{
	struct choice *grown;

	if (chosen(selection, service, port))
		return true;
	grown = catalogue_grow(selection->choices, &selection->count, sizeof *grown);
	if (!grown)
		return false;
	selection->choices = grown;
	grown[selection->count - 1] = (struct choice){ service, port };
	return true;
}

/* --- names ----------------------------------------------------------------------------------- */

static bool refuse_group(const struct parsing *parsing, const char *name)
{
	const char **names = calloc(parsing->catalogue->group_count + 1, sizeof *names);
	const char  *nearest;

	for (size_t i = 0; names && i < parsing->catalogue->group_count; i++)
		names[i] = parsing->catalogue->groups[i].name;
	nearest = names ? nearest_name(name, names, parsing->catalogue->group_count) : NULL;
	snprintf(parsing->error, parsing->size, "no group @%s%s%s%s; --list shows all", name,
	         nearest ? "; did you mean @" : "", nearest ? nearest : "", nearest ? "?" : "");
	free(names);
	return false;
}

static bool refuse_service(const struct parsing *parsing, const char *name)
{
	const char *nearest = catalogue_nearest(parsing->catalogue, name);

	if (*name && strspn(name, "0123456789") == strlen(name)) {
		snprintf(parsing->error, parsing->size,
		         "no service \"%s\"; a port is HOST:%s, or that of a service: -s NAME=%s", name, name,
		         name);
		return false;
	}
	snprintf(parsing->error, parsing->size, "no service \"%s\"%s%s%s; --list shows all", name,
	         nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return false;
}

/* A group may name a service that no script here serves, one that was taken away: it is passed over. */
static bool choose_group(const struct parsing *parsing, const char *name)
{
	const struct group *group = catalogue_group(parsing->catalogue, name);

	if (!group)
		return refuse_group(parsing, name);
	for (size_t i = 0; i < group->member_count; i++) {
		const struct service *service = catalogue_service(parsing->catalogue, group->members[i]);

		if (service && service->port != 0 &&
		    !selection_add(parsing->selection, service, service->port))
			return false;
	}
	return true;
}

static bool choose_default(const struct parsing *parsing)
{
	if (catalogue_group(parsing->catalogue, "default") && !choose_group(parsing, "default"))
		return false;
	for (size_t i = 0; i < parsing->catalogue->script_count; i++) {
		const struct script *script = parsing->catalogue->scripts[i];

		for (size_t j = 0; j < script->service_count && !script->broken; j++) {
			const struct service *service = &script->services[j];

			if (!service->optional && service->port != 0 &&
			    catalogue_service(parsing->catalogue, service->name) == service &&
			    !selection_add(parsing->selection, service, service->port))
				return false;
		}
	}
	return true;
}

/* "name" or "name=port". */
static bool choose_service(const struct parsing *parsing, char *word)
{
	char                 *equals = strchr(word, '=');
	char                 *end = NULL;
	const struct service *service;
	long                  port;

	if (equals)
		*equals = '\0';
	service = catalogue_service(parsing->catalogue, word);
	if (!service)
		return refuse_service(parsing, word);
	port = equals ? strtol(equals + 1, &end, 10) : service->port;
	if (equals && (equals[1] < '0' || equals[1] > '9' || *end != '\0' || port < 1 || port > 65535)) {
		snprintf(parsing->error, parsing->size, "%s=%s: the port must be a number from 1 to 65535",
		         word, equals + 1);
		return false;
	}
	return selection_add(parsing->selection, service, (uint16_t)port);
}

static bool choose_word(const struct parsing *parsing, char *word)
{
	if (strcmp(word, "@default") == 0)
		return choose_default(parsing);
	return *word == '@' ? choose_group(parsing, word + 1) : choose_service(parsing, word);
}

static bool choose_words(const struct parsing *parsing, char *words)
{
	for (char *word = words, *next; word; word = next) {
		next = strchr(word, ',');
		if (next)
			*next++ = '\0';
		if (*word == '\0') {
			snprintf(parsing->error, parsing->size, "the list of services has an empty place");
			return false;
		}
		if (!choose_word(parsing, word))
			return false;
	}
	return true;
}

bool selection_parse(struct selection *selection, const struct catalogue *catalogue, const char *list,
                     char *error, size_t size)
{
	struct parsing parsing = { selection, catalogue, error, size };
	char          *words = strdup(list ? list : "@default");
	bool           good;

	*selection = (struct selection){ .named = list != NULL };
	snprintf(error, size, "not enough memory");
	good = words && choose_words(&parsing, words);
	if (good && selection->count == 0) {
		snprintf(error, size, "there is no service to try: no probe was found");
		good = false;
	}
	free(words);
	return good;
}

bool selection_for_port(struct selection *selection, const struct catalogue *catalogue,
                        const struct selection *general, uint16_t port)
{
	const struct service *service = catalogue_port(catalogue, port);

	*selection = (struct selection){ .named = general->named };
	if (!general->named)
		return selection_add(selection, service ? service : catalogue_unknown(catalogue), port);
	for (size_t i = 0; i < general->count; i++)
		if (!selection_add(selection, general->choices[i].service, port))
			return false;
	return true;
}

void selection_free(struct selection *selection)
{
	free(selection->choices);
	*selection = (struct selection){ 0 };
}
