#include "scan/resume.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One slot a host: a million of them take some 32 MB, whatever the number of their services. */
struct slot {
	uint64_t key;  /* hash of the host; 0: free */
	uint64_t done; /* a bit for each of the first 64 choices */
};

struct resume {
	const struct selection *selection;
	struct slot            *slots;
	size_t                  count, capacity; /* capacity: a power of two */
};

/* FNV-1a over the bytes and a NUL. */
static uint64_t hash(uint64_t value, const char *text)
{
	do
		value = (value ^ (unsigned char)*text) * 0x100000001b3U;
	while (*text++ != '\0');
	return value;
}

static uint64_t key_of(const char *host)
{
	uint64_t key = hash(0xcbf29ce484222325U, host);

	key ^= key >> 29;
	return key ? key : 1;
}

/* A service that is not of the selection, of a target with a port of its own, has a slot to itself. */
static uint64_t key_of_service(const char *host, const char *service, unsigned port)
{
	char number[8];

	snprintf(number, sizeof number, "%u", port & 0xffff);
	return hash(hash(key_of(host), service), number) | 1;
}

/* --- the table ------------------------------------------------------------------------------- */

static struct slot *slot_of(const struct resume *resume, uint64_t key)
{
	size_t place = (size_t)(key * 0x9e3779b97f4a7c15U) & (resume->capacity - 1);

	while (resume->slots[place].key != 0 && resume->slots[place].key != key)
		place = (place + 1) & (resume->capacity - 1);
	return &resume->slots[place];
}

static bool grow(struct resume *resume)
{
	struct resume larger = *resume;

	larger.capacity = resume->capacity ? resume->capacity * 2 : 1024;
	larger.slots = calloc(larger.capacity, sizeof *larger.slots);
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < resume->capacity; i++)
		if (resume->slots[i].key != 0)
			*slot_of(&larger, resume->slots[i].key) = resume->slots[i];
	free(resume->slots);
	*resume = larger;
	return true;
}

static bool mark(struct resume *resume, uint64_t key, uint64_t bit)
{
	struct slot *slot;

	if (2 * resume->count >= resume->capacity && !grow(resume))
		return false;
	slot = slot_of(resume, key);
	resume->count += slot->key == 0;
	slot->key = key;
	slot->done |= bit;
	return true;
}

/* --- reading --------------------------------------------------------------------------------- */

static size_t index_of(const struct selection *selection, const char *service, unsigned port)
{
	for (size_t i = 0; i < selection->count && i < 64; i++)
		if (selection->choices[i].port == port &&
		    strcmp(selection->choices[i].service->name, service) == 0)
			return i;
	return SIZE_MAX;
}

static bool add(struct resume *resume, const char *host, const char *service, unsigned port)
{
	size_t index = index_of(resume->selection, service, port);

	if (index == SIZE_MAX)
		return mark(resume, key_of_service(host, service, port), 1);
	return mark(resume, key_of(host), (uint64_t)1 << index);
}

static bool add_record(struct resume *resume, const json_t *record, const char **fault)
{
	const char *host = json_string_value(json_object_get(record, "host"));
	const char *service = json_string_value(json_object_get(record, "service"));
	const char *state = json_string_value(json_object_get(record, "state"));
	json_int_t  port = json_integer_value(json_object_get(record, "port"));

	*fault = "not a record of scan --json";
	if (!host || !service || !state || port < 1 || port > 65535)
		return false;
	*fault = "not enough memory";
	return strcmp(state, "failed") == 0 || add(resume, host, service, (unsigned)port);
}

static bool add_line(struct resume *resume, const char *line, size_t length, const char **fault)
{
	json_t *record = json_loadb(line, length, JSON_ALLOW_NUL, NULL);
	bool    good = add_record(resume, record, fault);

	json_decref(record);
	return good;
}

static bool read_lines(struct resume *resume, FILE *file, size_t *number, const char **fault)
{
	char   *line = NULL;
	size_t  size = 0;
	ssize_t length;
	bool    good = true;

	while (good && (length = getline(&line, &size, file)) > 0) {
		++*number;
		if (line[length - 1] == '\n' && length > 1)
			good = add_line(resume, line, (size_t)length, fault);
	}
	free(line);
	return good;
}

struct resume *resume_load(const char *path, const struct selection *selection, char *error, size_t size)
{
	struct resume *resume = calloc(1, sizeof *resume);
	FILE          *file = fopen(path, "re");
	size_t         number = 0;
	const char    *fault = "not enough memory";
	bool           good;

	if (!file) {
		snprintf(error, size, "--resume %s: %s", path, strerror(errno));
		free(resume);
		return NULL;
	}
	good = resume && grow(resume);
	if (good) {
		resume->selection = selection;
		good = read_lines(resume, file, &number, &fault);
	}
	fclose(file);
	if (good)
		return resume;
	snprintf(error, size, "--resume %s:%zu: %s", path, number, fault);
	resume_free(resume);
	return NULL;
}

void resume_free(struct resume *resume)
{
	if (!resume)
		return;
	free(resume->slots);
	free(resume);
}

bool resume_holds(const struct resume *resume, const char *host, const struct choice *choice)
{
	size_t             index = index_of(resume->selection, choice->service->name, choice->port);
	const struct slot *slot;

	if (index == SIZE_MAX)
		return slot_of(resume, key_of_service(host, choice->service->name, choice->port))->done != 0;
	slot = slot_of(resume, key_of(host));
	return (slot->done >> index & 1) != 0;
}
