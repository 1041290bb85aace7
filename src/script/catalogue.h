/* What the scripts declare, as plain data: which probes there are, which services they serve, on
 * which ports, with which arguments. No Lua here: a worker's Lua state is made from it.
 *
 * A catalogue owns all its strings; it is filled once by load.h and only read from then on, so
 * threads may share it. Libraries may be kept and looked up by threads at the same time.
 */
#ifndef SCRIPT_CATALOGUE_H
#define SCRIPT_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct script;

struct service {
	const char          *name;
	uint16_t             port;     /* 0: none of its own */
	bool                 tls;      /* TLS from the first byte */
	bool                 optional; /* only when asked for by name or group */
	const struct script *script;
};

enum argument_type { ARGUMENT_TEXT, ARGUMENT_NUMBER, ARGUMENT_BOOLEAN };

struct argument {
	const char        *name;
	const char        *about; /* may be "" */
	enum argument_type type;
	const char        *initial; /* the default as text, or NULL for none */
	const char        *value;   /* set by the user, or NULL */
};

struct script {
	const char *name; /* the file's name without .lua */
	const char *path;
	const char *source;
	size_t      length;
	size_t      index; /* place in the catalogue */

	const char      *about;
	struct service  *services;
	size_t           service_count;
	struct argument *arguments;
	size_t           argument_count;
	const char   *
            *fields; /* what it reports, as paths: "banner", "starttls.accepted"; none: not declared */
	size_t field_count;
	const char **greetings; /* Lua patterns of a right first line */
	size_t       greeting_count;
	bool         has_probe; /* false: the connect test is all */
	const char **faults;    /* what is wrong with its table, "path: ...", or none */
	size_t       fault_count;
	const char  *failure;  /* why it could not be read or run, "path: ...", or NULL */
	bool         declared; /* its table was read to the end, whatever is wrong with it */
	bool         flawed;   /* something is wrong with it */
	bool         broken;   /* not loaded (yet): it still overrides others, but serves nothing */
	bool         trusted;  /* run without sandbox */
};

struct group {
	const char  *name;
	const char **members; /* names of services */
	size_t       member_count;
};

/* A library as Lua has compiled it: many scripts use the same ones, and compiling is most of what loading takes. */
struct library {
	const char     *path, *code;
	size_t          length;
	struct library *next;
	size_t          rank; /* how many there are from here on */
};

struct catalogue {
	struct script **scripts;
	size_t          script_count;
	struct group   *groups;
	size_t          group_count;
	size_t trusted; /* how many of the paths, the first ones, hold scripts to be run without sandbox */
	const char   *
            *folders; /* where require looks for lib/NAME.lua, in this order; also those of single files */
	size_t folder_count;
	bool   tolerant; /* require gives an empty table for a library that is not there */
	_Atomic(struct library *) libraries; /* the newest first */
	const char **problems; /* one line a script that could not be loaded: file, line, reason */
	size_t       problem_count;
};

void catalogue_free(struct catalogue *catalogue);

/* NULL if there is none. Of services of one name (or port), the one loaded first is it. */
const struct service *catalogue_service(const struct catalogue *catalogue, const char *name);
const struct service *catalogue_port(const struct catalogue *catalogue, uint16_t port);
const struct group   *catalogue_group(const struct catalogue *catalogue, const char *name);
struct script        *catalogue_script(const struct catalogue *catalogue, const char *name);

/* The name of the service nearest to a mistyped one, or NULL. */
const char *catalogue_nearest(const struct catalogue *catalogue, const char *name);

/* The service for a port that no probe declares: "unknown", or a bare connect test without it. */
const struct service *catalogue_unknown(const struct catalogue *catalogue);

/* Keep a library of this file; `code` is copied. Where it is kept already, there are too many, or there is no memory,
 * it is not kept. */
void catalogue_keep(struct catalogue *catalogue, const char *path, const char *code, size_t length);

/* The library of this file, or NULL. It stays where it is until catalogue_free. */
const struct library *catalogue_library(const struct catalogue *catalogue, const char *path);

/* Set an argument from "script.name=value". False: `error` says why, with the nearest name. */
bool catalogue_set_argument(struct catalogue *catalogue, const char *setting, char *error, size_t size);

/* Set the argument of this name of every script that declares it as one of this type. */
void catalogue_set_all(struct catalogue *catalogue, const char *name, const char *value);

/* Grow an array of `count` elements of `size` bytes by one zeroed element and return it; NULL: no
 * memory. For the arrays of this header while they are being filled. */
void *catalogue_grow(void *array, size_t *count, size_t size);

/* The same for an array of texts, which gets a copy of this one. False: no memory. */
bool catalogue_add(const char ***texts, size_t *count, const char *text);

#endif
