/* The command line as a struct: pure, no I/O, no exit. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum action {
	ACTION_SCAN,
	ACTION_SHORT_HELP, /* no arguments at all: to stderr, status 2 */
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_SCHEMA,
	ACTION_TYPES,
	ACTION_LIST,
	ACTION_DESCRIBE, /* .subject names the probe */
	ACTION_REPLAY,   /* .targets are files; at least one */
	ACTION_CHECK,    /* likewise */
	ACTION_NEW,      /* .subject names the probe to be made */
	ACTION_EVAL,     /* .subject is Lua code */
	ACTION_RUN,      /* .subject is a file of it, .targets are its arguments */
	ACTION_SHELL,
};

enum family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6 };

/* A list of words from argv; the words themselves stay argv's. */
struct words {
	const char **word;
	size_t       count;
};

struct options {
	enum action action;
	const char *subject; /* --describe, --new, --eval, --run */
	unsigned    port;    /* of --new, or 0 */

	struct words targets;    /* TARGET..., as typed; at least one (or a file) where action is a scan,
	                           and at most one for --eval and --interactive */
	struct words files;      /* -f FILE, in order; "-" is stdin */
	const char  *services;   /* -s, or NULL for @default */
	struct words scripts;    /* -S, in order */
	bool         trust;      /* run these without sandbox */
	size_t       trusted;    /* so many of them, the first */
	bool         try_hidden; /* the argument try_hidden of all probes that have one */
	struct words arguments;  /* -a PROBE.NAME=VALUE, of this form; not yet held against the probes */
	struct words excludes;   /* --exclude LIST|FILE, in order */
	bool         shuffle;
	uint64_t     seed;          /* of --shuffle */
	bool         seeded;        /* was it given? */
	uint64_t     shard, shards; /* --shard I/N; 1, 1 if not given */

	double connect_timeout, reply_timeout, deadline; /* seconds, > 0 */

	unsigned parallel; /* connections in flight */
	unsigned per_host; /* connections in flight to one address */
	unsigned threads;  /* 0: as many as fit the job */
	unsigned retries;  /* connects again after a time-out */
	double   rate;     /* new connections a second, 0: as fast as it goes */

	enum family family;
	bool        all_addresses;

	const char *resume;         /* JSON lines of a former run, or NULL */
	const char *where, *expect; /* expressions, or NULL */

	const char *output; /* -o FILE, or NULL for stdout */
	bool        json, only_open, verbose, quiet;
	bool        trace;  /* the conversations on stderr */
	bool        stats;  /* what the scan took, on stderr */
	const char *record; /* a folder for the conversations, or NULL */
};

enum { OPTIONS_ERROR_TEXT = 512 };

/* Parse argv into `options`. False: `error` says which word is wrong and the way out, in one
 * line, escaped for a terminal. Options may stand anywhere; "--" ends them. What is given twice
 * is taken from the last time, but for what adds up (-S, -a, -f) and for -s, which is refused.
 * Nothing after --help or --version is looked at. Either way options_free releases what was
 * allocated. argv is not changed and must outlive the struct. */
bool options_parse(struct options *options, int argc, char *const argv[], char error[OPTIONS_ERROR_TEXT]);
void options_free(struct options *options);

/* The short help (a few lines) and the long one (every option with its default). Static. */
const char *options_short_help(void);
const char *options_help(void);

#endif
