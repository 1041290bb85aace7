#include "scan/field.h"

#include <string.h>

static json_t *address_text(const struct address *address)
{
	char text[ADDRESS_TEXT];

	if (address_family(address) == AF_UNSPEC)
		return NULL;
	address_format(address, text);
	return json_string_nocheck(text);
}

static json_t *failure_object(const struct failure *failure)
{
	json_t *object;

	if (!failure_present(failure))
		return NULL;
	object = json_object();
	json_object_set_new_nocheck(object, "phase", json_string_nocheck(phase_name(failure->phase)));
	json_object_set_new_nocheck(object, "code", json_string_nocheck(failure->code));
	json_object_set_new_nocheck(object, "message", json_string_nocheck(failure->message));
	if (failure->error)
		json_object_set_new_nocheck(object, "errno", json_integer(failure->error));
	return object;
}

/* The member that the first part of `path` names, and in *rest what is left of the path. */
static json_t *member(const struct outcome *outcome, const char *path, const char **rest)
{
	size_t length = strcspn(path, ".");
	char   name[64];

	*rest = path[length] ? path + length + 1 : "";
	if (length >= sizeof name)
		return NULL;
	memcpy(name, path, length);
	name[length] = '\0';
	if (strcmp(name, "open") == 0)
		return json_boolean(outcome->state == STATE_OPEN);
	if (strcmp(name, "state") == 0)
		return json_string_nocheck(outcome_state_name(outcome->state));
	if (strcmp(name, "port") == 0)
		return json_integer(outcome->port);
	if (strcmp(name, "address") == 0)
		return address_text(&outcome->address);
	if (strcmp(name, "ms") == 0)
		return json_real(outcome->ms);
	if (strcmp(name, "tls") == 0)
		return json_incref(outcome->tls);
	if (strcmp(name, "error") == 0)
		return failure_object(&outcome->failure);
	if (strcmp(name, "warnings") == 0)
		return json_incref(outcome->report.warnings);
	if (strcmp(name, "data") == 0)
		return pack_empty(&outcome->report.data) ? NULL : pack_members(&outcome->report.data);
	return pack_member(&outcome->report.data, name);
}

/* Go down the rest of the path; takes the reference to `value`. */
static json_t *descend(json_t *value, const char *path)
{
	while (value && *path) {
		size_t  length = strcspn(path, ".");
		char    name[64];
		json_t *below;

		if (length >= sizeof name) {
			json_decref(value);
			return NULL;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		below = json_incref(json_object_get(value, name));
		json_decref(value);
		value = below;
		path += path[length] ? length + 1 : length;
	}
	return value;
}

static json_t *outcome_field(const struct outcome *outcome, const char *path)
{
	const char *rest;
	json_t     *value;

	if (*path == '\0')
		return json_boolean(outcome->state == STATE_OPEN);
	value = member(outcome, path, &rest);
	return descend(value, rest);
}

json_t *field_of(void *owner, const char *path)
{
	const struct host *host = owner;
	size_t             length = strcspn(path, ".");

	if (strcmp(path, "host") == 0)
		return json_string_nocheck(host->target.name);
	if (strcmp(path, "address") == 0)
		return host->addresses.count > 0 ? address_text(&host->addresses.address[0]) : NULL;
	for (size_t i = 0; i < host->count; i++) {
		const struct outcome *outcome = &host->outcomes[i];

		if (strlen(outcome->service) == length && strncmp(outcome->service, path, length) == 0)
			return outcome_field(outcome, path[length] ? path + length + 1 : "");
	}
	return NULL;
}
