#include "script/catalogue.h"

#include "base/nearest.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIBRARIES = 256 };

void *catalogue_grow(void *array, size_t *count, size_t size)
{
	char *grown = realloc(array, (*count + 1) * size);

	if (!grown)
		return NULL;
	memset(grown + *count * size, 0, size);
	(*count)++;
	return grown;
}

bool catalogue_add(const char ***texts, size_t *count, const char *text)
{
	char        *copy = strdup(text);
	const char **grown = copy ? catalogue_grow(*texts, count, sizeof **texts) : NULL;

	if (!grown) {
		free(copy);
		return false;
	}
	*texts = grown;
	grown[*count - 1] = copy;
	return true;
}

static void free_texts(const char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((char *)texts[i]);
	free(texts);
}

static void free_argument(const struct argument *argument)
{
	free((char *)argument->name);
	free((char *)argument->about);
	free((char *)argument->initial);
	free((char *)argument->value);
}

static void free_script(struct script *script)
{
	for (size_t i = 0; i < script->service_count; i++)
		free((char *)script->services[i].name);
	for (size_t i = 0; i < script->argument_count; i++)
		free_argument(&script->arguments[i]);
	free(script->services);
	free(script->arguments);
	free_texts(script->greetings, script->greeting_count);
	free_texts(script->fields, script->field_count);
	free_texts(script->faults, script->fault_count);
	free((char *)script->name);
	free((char *)script->path);
	free((char *)script->source);
	free((char *)script->about);
	free((char *)script->failure);
	free(script);
}

static void free_library(struct library *library)
{
	if (!library)
		return;
	free((char *)library->path);
	free((char *)library->code);
	free(library);
}

static void free_libraries(struct library *library)
{
	while (library) {
		struct library *next = library->next;

		free_library(library);
		library = next;
	}
}

void catalogue_free(struct catalogue *catalogue)
{
	for (size_t i = 0; i < catalogue->script_count; i++)
		free_script(catalogue->scripts[i]);
	for (size_t i = 0; i < catalogue->group_count; i++) {
		free((char *)catalogue->groups[i].name);
		free_texts(catalogue->groups[i].members, catalogue->groups[i].member_count);
	}
	free(catalogue->scripts);
	free(catalogue->groups);
	free_texts(catalogue->folders, catalogue->folder_count);
	free_texts(catalogue->problems, catalogue->problem_count);
	free_libraries(catalogue->libraries);
	*catalogue = (struct catalogue){ 0 };
}

static struct library *make_library(const char *path, const char *code, size_t length)
{
	struct library *library = calloc(1, sizeof *library);
	char           *copy = library ? malloc(length) : NULL;

	if (!library)
		return NULL;
	library->path = strdup(path);
	library->code = copy;
	library->length = length;
	if (!library->path || !copy) {
		free_library(library);
		return NULL;
	}
	memcpy(copy, code, length);
	return library;
}

static const struct library *find_library(const struct library *library, const char *path)
{
	while (library && strcmp(library->path, path) != 0)
		library = library->next;
	return library;
}

/* The list grows at its front, and nothing is taken out of it: whoever reads it needs no lock. */
void catalogue_keep(struct catalogue *catalogue, const char *path, const char *code, size_t length)
{
	struct library *library = make_library(path, code, length);
	struct library *newest = atomic_load(&catalogue->libraries);

	if (!library)
		return;
	do {
		library->next = newest;
		library->rank = newest ? newest->rank + 1 : 1;
		if (library->rank > LIBRARIES || find_library(newest, path)) {
			free_library(library);
			return;
		}
	} while (!atomic_compare_exchange_weak(&catalogue->libraries, &newest, library));
}

const struct library *catalogue_library(const struct catalogue *catalogue, const char *path)
{
	return find_library(atomic_load(&catalogue->libraries), path);
}

static bool named(const struct service *service, const void *name)
{
	return strcmp(service->name, name) == 0;
}

static bool on_port(const struct service *service, const void *port)
{
	return service->port != 0 && service->port == *(const uint16_t *)port;
}

static const struct service *find(const struct catalogue *catalogue, const void *wanted,
                                  bool (*fits)(const struct service *service, const void *wanted))
{
	for (size_t i = 0; i < catalogue->script_count; i++) {
		const struct script *script = catalogue->scripts[i];

		for (size_t j = 0; j < script->service_count && !script->broken; j++)
			if (fits(&script->services[j], wanted))
				return &script->services[j];
	}
	return NULL;
}

const struct service *catalogue_service(const struct catalogue *catalogue, const char *name)
{
	return find(catalogue, name, named);
}

const struct service *catalogue_port(const struct catalogue *catalogue, uint16_t port)
{
	return find(catalogue, &port, on_port);
}

const struct group *catalogue_group(const struct catalogue *catalogue, const char *name)
{
	for (size_t i = 0; i < catalogue->group_count; i++)
		if (strcmp(catalogue->groups[i].name, name) == 0)
			return &catalogue->groups[i];
	return NULL;
}

struct script *catalogue_script(const struct catalogue *catalogue, const char *name)
{
	for (size_t i = 0; i < catalogue->script_count; i++)
		if (strcmp(catalogue->scripts[i]->name, name) == 0)
			return catalogue->scripts[i];
	return NULL;
}

const char *catalogue_nearest(const struct catalogue *catalogue, const char *name)
{
	const char **names = NULL;
	size_t       count = 0;
	const char  *nearest;

	for (size_t i = 0; i < catalogue->script_count; i++) {
		const struct script *script = catalogue->scripts[i];

		for (size_t j = 0; j < script->service_count && !script->broken; j++) {
			const char **grown = catalogue_grow(names, &count, sizeof *names);

			if (!grown)
				break;
			names = grown;
			names[count - 1] = script->services[j].name;
		}
	}
	nearest = nearest_name(name, names, count);
	free(names);
	return nearest;
}

const struct service *catalogue_unknown(const struct catalogue *catalogue)
{
	static const struct script  none = { .name = "unknown", .about = "connect test" };
	static const struct service bare = { .name = "unknown", .optional = true, .script = &none };
	const struct service       *unknown = catalogue_service(catalogue, bare.name);

	return unknown ? unknown : &bare;
}

/* --- arguments ------------------------------------------------------------------------------- */

/* The nearest of all "script.argument" names, into `text`; "" if none is near. */
static void suggest(const struct catalogue *catalogue, const char *wanted, char *text, size_t size)
{
	const char **names = NULL;
	size_t       count = 0;
	const char  *nearest;

	text[0] = '\0';
	for (size_t i = 0; i < catalogue->script_count; i++) {
		const struct script *script = catalogue->scripts[i];

		for (size_t j = 0; j < script->argument_count; j++) {
			const char **grown = catalogue_grow(names, &count, sizeof *names);
			char        *name = NULL;

			if (!grown)
				break;
			names = grown;
			if (asprintf(&name, "%s.%s", script->name, script->arguments[j].name) < 0)
				name = NULL;
			names[count - 1] = name ? name : calloc(1, 1);
		}
	}
	nearest = nearest_name(wanted, names, count);
	if (nearest)
		snprintf(text, size, "; did you mean %s?", nearest);
	free_texts(names, count);
}

static struct argument *find_argument(const struct catalogue *catalogue, const char *name)
{
	const char    *dot = strchr(name, '.');
	struct script *script;

	for (size_t i = 0; dot && i < catalogue->script_count; i++) {
		script = catalogue->scripts[i];
		if (strlen(script->name) != (size_t)(dot - name) ||
		    strncmp(script->name, name, (size_t)(dot - name)) != 0)
			continue;
		for (size_t j = 0; j < script->argument_count; j++)
			if (strcmp(script->arguments[j].name, dot + 1) == 0)
				return &script->arguments[j];
	}
	return NULL;
}

static const char *type_fault(const struct argument *argument, const char *value)
{
	char *end;

	if (argument->type == ARGUMENT_BOOLEAN && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return "true or false";
	if (argument->type == ARGUMENT_NUMBER && (strtod(value, &end), *value == '\0' || *end != '\0'))
		return "a number";
	return NULL;
}

static bool set_value(struct argument *argument, const char *value)
{
	free((char *)argument->value);
	argument->value = strdup(value);
	return argument->value != NULL;
}

bool catalogue_set_argument(struct catalogue *catalogue, const char *setting, char *error, size_t size)
{
	const char      *equals = strchr(setting, '=');
	char             name[128], hint[160];
	struct argument *argument;
	const char      *fault;

	if (!equals || (size_t)(equals - setting) >= sizeof name) {
		snprintf(error, size, "an argument is SCRIPT.NAME=VALUE, not \"%s\"", setting);
		return false;
	}
	memcpy(name, setting, (size_t)(equals - setting));
	name[equals - setting] = '\0';
	argument = find_argument(catalogue, name);
	if (!argument) {
		suggest(catalogue, name, hint, sizeof hint);
		snprintf(error, size, "no probe declares the argument \"%s\"%s", name, hint);
		return false;
	}
	fault = type_fault(argument, equals + 1);
	if (fault) {
		snprintf(error, size, "the argument %s wants %s, not \"%s\"", name, fault, equals + 1);
		return false;
	}
	return set_value(argument, equals + 1);
}

void catalogue_set_all(struct catalogue *catalogue, const char *name, const char *value)
{
	for (size_t i = 0; i < catalogue->script_count; i++) {
		const struct script *script = catalogue->scripts[i];

		for (size_t j = 0; j < script->argument_count; j++)
			if (strcmp(script->arguments[j].name, name) == 0 &&
			    !type_fault(&script->arguments[j], value))
				set_value(&script->arguments[j], value);
	}
}
