/* What -e, --run and -i have in common: a Lua state without sandbox, on a loop of its own, in which one piece of
 * code after the other is run to its end.
 *
 * Connections and spawned tasks outlive the piece that made them; they end with the program. On a terminal,
 * print() escapes what a terminal would obey; io.write() does not.
 */
#ifndef WORKBENCH_PROGRAM_H
#define WORKBENCH_PROGRAM_H

#include "net/observer.h"
#include "scan/target.h"
#include "script/task.h"

#include <stdbool.h>
#include <stddef.h>

struct program;

struct program_setup {
	const struct catalogue *catalogue;
	double                  connect_timeout, reply_timeout; /* seconds */
	int                     family;                         /* AF_UNSPEC, AF_INET, AF_INET6 */
	/* What is said on a connection; may be NULL. */
	void (*told)(void *owner, const struct handle *handle, double ms, enum event event, const char *bytes,
	             size_t length);
	/* Something is about to be printed by a task, and has been; may be NULL. */
	void (*printing)(void *owner, bool begins);
	void *owner;
};

/* NULL: no memory or no descriptors. */
struct program *program_new(const struct program_setup *setup);
void            program_free(struct program *program); /* NULL is fine */

/* A piece of code: `code`, or, where that is NULL, the file `name` ("-" is standard input). `before` is put in
 * front of the code, such as "return ". Its arguments are texts. */
struct piece {
	const char        *name; /* in messages */
	size_t             line; /* how many lines are before those of `code` there */
	const char        *before, *code;
	size_t             length;
	const char *const *arguments;
	size_t             argument_count;
};

enum load { LOAD_DONE, LOAD_WRONG, LOAD_INCOMPLETE };

/* Compile it. LOAD_INCOMPLETE: it is wrong only because more must follow. */
enum load program_load(struct program *program, const struct piece *piece);

/* Run what was loaded last. Tasks that were spawned go on meanwhile. */
enum task_end program_run(struct program *program);

/* Both: connect to the target, with TLS from the first byte or without, and let the global `conn` be it. */
enum task_end program_open(struct program *program, const struct target *target, bool tls);

/* For a signal handler: break off what runs, or waits, or program_await. False: it was told to already, and has not
 * come to it yet. */
bool program_interrupt(struct program *program);

/* Serve the loop until a byte can be read from the descriptor; `turn` is as for loop_run. False: it was interrupted
 * instead. */
bool program_await(struct program *program, int fd, loop_turn *turn, void *owner);

/* Forget an interrupt that has had its effect: before a prompt is shown, for one that comes after it is meant for it. */
void program_calm(struct program *program);

/* Put into words, on standard error and behind `prefix`, why the code could not be loaded or how it ended. */
void program_complain(struct program *program, const char *prefix);

const struct failure *program_failure(const struct program *program); /* of a run */
const char           *program_words(const struct program *program);   /* the same in words, or "" */

/* The worst end of a spawned task for which nobody waited; TASK_RETURNED: there was none. */
enum task_end program_lost(const struct program *program);

/* Run `function`, protected, with `argument` as a light userdata and, in the second place, the list of what the code
 * returned, as table.pack makes it. [-2, ...] False: it raised; the text has been printed to standard error. */
bool program_inspect(struct program *program, int (*function)(struct lua_State *L), void *argument);

/* Whom a connection is with, in words. */
enum { PROGRAM_LABEL = TARGET_NAME + 16 };
void program_label(const struct handle *handle, char label[PROGRAM_LABEL]);

#endif
