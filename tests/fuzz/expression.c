/* Fuzzing of --where and --expect: the text is an expression over the record of a host that is made up. */
#include "script/expression.h"
#include "../reporting.h"
#include "fuzz.h"
#include "shipped.h"

#include "scan/field.h"

enum { ERROR = 400 };

static const struct catalogue *catalogue;
static const struct service  **services;
static size_t                  service_count;
static struct host            *host;

/* Something of all that a record can have. */
static void fill(struct outcome *outcome, unsigned number)
{
	outcome->finished = true;
	outcome->state = (enum state)(STATE_OPEN + number % STATE_FAILED);
	outcome->ms = number;
	address_parse(&outcome->address, "192.0.2.7");
	report_tree(&outcome->report, "banner", json_string("220 mail.example"));
	report_tree(&outcome->report, "extensions", json_pack("[s, s]", "SIZE", "STARTTLS"));
	report_tree(&outcome->report, "starttls", json_pack("{s:b, s:b}", "advertised", 1, "accepted", 0));
	report_note(&outcome->report, "oversize", "too long", 8);
	if (number % 2)
		outcome->tls = json_pack("{s:i, s:s, s:[s]}", "days_left", 7, "version", "TLSv1.3", "names",
		                         "a.example");
	if (number % 3 == 0)
		failure_set(&outcome->failure, PHASE_READ, "timeout", "no greeting within 10 s");
}

static void make_host(const struct selection *selection)
{
	struct target target = { .name = "mail.example" };
	struct unit  *unit = calloc(1, sizeof *unit);

	host = unit ? host_new(&target, unit) : NULL;
	if (!host || !host_choose(host, selection->choices, selection->count))
		exit(0);
	for (size_t i = 0; i < host->count; i++)
		fill(&host->outcomes[i], (unsigned)i);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct selection selection;

	(void)argc;
	(void)argv;
	catalogue = load_shipped();
	selection = choose_shipped(catalogue);
	service_count = selection.count;
	services = calloc(service_count + 1, sizeof *services);
	for (size_t i = 0; i < service_count; i++)
		services[i] = selection.choices[i].service;
	make_host(&selection);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char              *text = text_of(input_of(bytes, size)), error[ERROR] = "";
	struct expression *expression = expression_new(catalogue, text, services, service_count, error,
	                                               sizeof error);

	if (expression)
		expression_holds(expression, field_of, host);
	else
		demand(error[0] != '\0', "an error is explained");
	expression_free(expression);
	free(text);
	return 0;
}
