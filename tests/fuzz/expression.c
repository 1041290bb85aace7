/* Fuzzing of --where and --expect: the text is an expression over the record of a host that is made up. */
#include "script/expression.h"
#include "fuzz.h"
#include "shipped.h"

enum { ERROR = 400 };

static const struct catalogue *catalogue;
static const struct service  **services;
static size_t                  service_count;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct selection selection;

	(void)argc;
	(void)argv;
	catalogue = load_shipped();
	selection = choose_shipped(catalogue);
	service_count = selection.count;
	services = calloc(service_count + 1, sizeof *services);
	for (size_t i = 0; i < service_count; i++)
		services[i] = selection.choices[i].service;
	selection_free(&selection);
	return 0;
}

/* Some value of some type for each path. */
static json_t *field(void *owner, const char *path)
{
	size_t length = strlen(path);

	++*(unsigned *)owner;
	switch (length % 6) {
	case 0:
		return NULL;
	case 1:
		return json_string(path);
	case 2:
		return json_integer((json_int_t)length);
	case 3:
		return json_true();
	case 4:
		return json_pack("[s, s]", "a", path);
	default:
		return json_pack("{s: b}", "accepted", 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char              *text = text_of(input_of(bytes, size)), error[ERROR] = "";
	unsigned           asked = 0;
	struct expression *expression = expression_new(catalogue, text, services, service_count, error,
	                                               sizeof error);

	if (expression)
		expression_holds(expression, field, &asked);
	else
		demand(error[0] != '\0', "an error is explained");
	expression_free(expression);
	free(text);
	return 0;
}
