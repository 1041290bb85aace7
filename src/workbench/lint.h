/* The rules of --check: a script's source held against what there is. */
#ifndef WORKBENCH_LINT_H
#define WORKBENCH_LINT_H

#include "script/catalogue.h"
#include "workbench/source.h"

#include <jansson.h>
#include <stddef.h>

/* What is wrong in a line. */
struct finding {
	unsigned line;
	char    *text;
};

struct findings {
	struct finding *finding;
	size_t          count;
};

void findings_add(struct findings *findings, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* By line, none twice. */
void findings_sort(struct findings *findings);
void findings_free(struct findings *findings);

/* What there is: objects whose keys are names. The value of one that has members, a global such as string or a
 * library, is such an object itself; else it is true. */
struct known {
	json_t *globals, *methods, *fields, *libraries; /* methods, fields: of conn */
};

/* `script` has what it declares. */
void lint(struct findings *findings, const struct source *source, const struct known *known,
          const struct script *script);

#endif
