/* The scripts of this source tree, for fuzz targets that need some: they run from the project's top folder. */
#ifndef TESTS_FUZZ_SHIPPED_H
#define TESTS_FUZZ_SHIPPED_H

#include "fuzz.h"

#include "scan/selection.h"
#include "script/load.h"

/* All of them; to be left to the end of the process. */
static inline struct catalogue *load_shipped(void)
{
	static struct catalogue catalogue;
	const char             *folder = "scripts";
	char                    error[1024] = "";

	if (!load_scripts(&catalogue, &folder, 1, error, sizeof error) || catalogue.problem_count > 0) {
		fprintf(stderr, "%s%s\nfuzz targets run from the project's top folder\n", error,
		        catalogue.problem_count > 0 ? catalogue.problems[0] : "");
		exit(2);
	}
	return &catalogue;
}

/* Every service, whatever the groups say. */
static inline struct selection choose_shipped(const struct catalogue *catalogue)
{
	struct selection selection = { 0 };

	for (size_t i = 0; i < catalogue->script_count; i++)
		for (size_t j = 0; j < catalogue->scripts[i]->service_count; j++)
			selection_add(&selection, &catalogue->scripts[i]->services[j],
			              catalogue->scripts[i]->services[j].port);
	return selection;
}

#endif
