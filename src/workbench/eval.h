/* -e CODE [HOST:PORT] and --run FILE [ARGUMENT...]: a program in Lua, from its beginning to its exit status. */
#ifndef WORKBENCH_EVAL_H
#define WORKBENCH_EVAL_H

#include "script/catalogue.h"
#include "script/task.h"

#include <stdbool.h>
#include <stddef.h>

struct eval {
	const struct catalogue *catalogue;
	const char             *code;  /* or NULL */
	const char             *file;  /* or NULL; "-" is standard input */
	const char *const      *words; /* of --run its arguments, of -e the HOST:PORT */
	size_t                  word_count;
	double                  connect_timeout, reply_timeout; /* seconds */
	int                     family;
	bool                    trace; /* the conversations on standard error */
};

/* The exit status: what the program returns, an integer from 0 to 125; else 0. EVAL_FAILED for a socket error that
 * it did not catch, EVAL_BROKEN for any other, EVAL_REFUSED where it could not start. */
enum { EVAL_REFUSED = 2, EVAL_FAILED = 3, EVAL_BROKEN = 4, EVAL_STATUS = 125 };
int eval_run(const struct eval *eval);

/* The exit status for such an end. */
int eval_status(enum task_end end);

/* HOST:PORT, and whether the probe that declares the port speaks TLS from the first byte. False: `error` says
 * what is wrong. */
struct target;
bool eval_target(struct target *target, bool *tls, const struct catalogue *catalogue, const char *word,
                 int family, char *error, size_t size);

#endif
