/* Fuzzing of --resume: the bytes are the output of a former run. */
#include "scan/resume.h"
#include "fuzz.h"
#include "shipped.h"

#include <sys/mman.h>
#include <unistd.h>

enum { ERROR = 400 };

static struct selection selection;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	selection = choose_shipped(load_shipped());
	return 0;
}

/* The first line, if it is a record of one of our services that did not fail, is remembered. */
static bool names(struct input input, char host[256], struct choice *choice)
{
	struct input line = take_until(&input, '\n');
	json_t      *record = line.left > 0 ? json_loadb(line.bytes, line.left, JSON_ALLOW_NUL, NULL) : NULL;
	const char  *service = json_string_value(json_object_get(record, "service"));
	const char  *state = json_string_value(json_object_get(record, "state"));
	json_int_t   port = json_integer_value(json_object_get(record, "port"));
	bool         found = false;

	snprintf(host, 256, "%s", record ? json_string_value(json_object_get(record, "host")) : "");
	for (size_t i = 0; service && state && strcmp(state, "failed") != 0 && i < selection.count; i++) {
		if (strcmp(selection.choices[i].service->name, service) != 0 || strlen(host) >= 255)
			continue;
		*choice = (struct choice){ selection.choices[i].service, (uint16_t)port };
		found = port > 0 && port <= 65535;
	}
	json_decref(record);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char           path[40], error[ERROR] = "", host[256];
	int            file = memfd_create("results", MFD_CLOEXEC);
	struct resume *resume;
	struct choice  choice;

	if (file < 0 || (size > 0 && write(file, bytes, size) != (ssize_t)size))
		exit(0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	resume = resume_load(path, &selection, error, sizeof error);
	demand(resume || error[0] != '\0', "an error is explained");
	if (resume && names(input_of(bytes, size), host, &choice) && memchr(bytes, '\n', size))
		demand(resume_holds(resume, host, &choice), "what is there is remembered");
	for (size_t i = 0; resume && i < selection.count; i++)
		resume_holds(resume, "192.0.2.7", &selection.choices[i]);
	resume_free(resume);
	close(file);
	return 0;
}
