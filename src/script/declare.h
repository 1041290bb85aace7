/* What a script's table declares, and that of a file of groups: read once, and held against what is known.
 *
 * Both functions are for vm_protected, with a light userdata as their only argument. They run the file's text, and take
 * what it returns apart; whatever they make belongs to the catalogue, also where they raise in the middle. A text that
 * does not compile, or does not run to its end, raises.
 */
#ifndef SCRIPT_DECLARE_H
#define SCRIPT_DECLARE_H

#include "script/catalogue.h"

struct lua_State;

/* Of a `struct script` with path, source and length: fill in the rest. What is wrong with its table does not raise but
 * becomes its faults, "path: reason", so that all that is wrong is told at once. Any number of threads may do so, each
 * for a script of its own. [-0, +0, e] */
int declare_script(struct lua_State *L);

/* Of a `struct grouping`: add those groups to its catalogue that it does not have. A table that is none of groups
 * raises "path: reason"; those before are there. [-0, +0, e] */
struct grouping {
	struct catalogue *catalogue;
	struct script     file; /* its path, source and length */
};
int declare_groups(struct lua_State *L);

#endif
