/* Which services to try, on which ports, in which order. */
#ifndef SCAN_SELECTION_H
#define SCAN_SELECTION_H

#include "script/catalogue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choice {
	const struct service *service;
	uint16_t              port;
};

struct selection {
	struct choice *choices;
	size_t         count;
	bool           named; /* by the user, not @default */
};

/* From a list like "ssh,smtp=2525,@mail", or NULL for @default: the group's services in its order, then
 * every other service that is not optional. False: `error` names the word and the nearest one. */
bool selection_parse(struct selection *selection, const struct catalogue *catalogue, const char *list,
                     char *error, size_t size);

/* The same for a target with a port of its own: the named services on that port; of @default the
 * service that declares the port, or else "unknown". */
bool selection_for_port(struct selection *selection, const struct catalogue *catalogue,
                        const struct selection *general, uint16_t port);

/* Add one; naming a service twice tries it once. False: no memory. */
bool selection_add(struct selection *selection, const struct service *service, uint16_t port);

void selection_free(struct selection *selection);

#endif
