/* What went wrong: in which phase, under which short name, in which words.
 *
 * One struct from the socket to the report. `code` is one of a closed set of short names
 * ("refused", "timeout", ...), listed in scripts/README.md and in the record's schema. `message` may
 * hold bytes of a server: whoever prints it escapes it.
 */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* How much of a server's words a message quotes at most. */
enum { FAILURE_QUOTE = 200 };

enum phase {
	PHASE_NONE,
	PHASE_RESOLVE,
	PHASE_CONNECT,
	PHASE_TLS,
	PHASE_READ,
	PHASE_WRITE,
	PHASE_DEADLINE,
	PHASE_SCRIPT
};

struct failure {
	enum phase phase; /* PHASE_NONE: nothing failed */
	int        error; /* errno, or 0 where the system gave none */
	char       code[28];
	char       message[348];
};

/* "connect", "tls", ... as it stands between the brackets of "[connect] ...". */
const char *phase_name(enum phase phase);
enum phase  phase_of_name(const char *name); /* PHASE_NONE if there is none such */

void failure_clear(struct failure *failure);
bool failure_present(const struct failure *failure);

/* Fill in; the message is cut where it does not fit, never inside a UTF-8 sequence that we wrote. */
void failure_set(struct failure *failure, enum phase phase, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Fill in with `text` and, behind it, at most FAILURE_QUOTE bytes of a server, a NUL among them as \\x00. */
void failure_quote(struct failure *failure, enum phase phase, const char *code, const char *text,
                   const char *bytes, size_t length);

/* Fill in from errno: the code and the system's own words for it. */
void failure_errno(struct failure *failure, enum phase phase, int error);

/* The short name of an errno ("refused", "unreachable", ...); "system" for one we do not know. */
const char *failure_code_of(int error);

#endif
