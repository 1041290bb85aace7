/* -i [HOST:PORT]: Lua by hand, on an open connection. */
#ifndef WORKBENCH_SHELL_H
#define WORKBENCH_SHELL_H

#include "script/catalogue.h"

#include <stdbool.h>

struct shell_setup {
	const struct catalogue *catalogue;
	const char             *target;                         /* HOST:PORT to begin with, or NULL */
	double                  connect_timeout, reply_timeout; /* seconds */
	int                     family;
	bool                    quiet; /* do not show the conversation */
};

/* Until the input ends or somebody leaves. The exit status: 0 if somebody was at a terminal, who has seen it all; else
 * that of the worst there was, as with eval_run. */
int shell_run(const struct shell_setup *setup);

#endif
