/* A Lua script as --check sees it, without running it: which names it uses, of what, with which arguments.
 *
 * The text must compile; what is then seen is right about scopes (a local is never taken for a global), and
 * knows of a value where it comes from if that can be read off the page: a parameter, a global, a library that
 * was required, a connection that scan.connect opened.
 */
#ifndef WORKBENCH_SOURCE_H
#define WORKBENCH_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

/* Where a value comes from. */
enum origin_kind {
	ORIGIN_UNKNOWN,
	ORIGIN_GLOBAL,     /* .name */
	ORIGIN_PARAMETER,  /* the .index-th, from 0, of function .function */
	ORIGIN_LIBRARY,    /* require(.name) */
	ORIGIN_CONNECTION, /* scan.connect(...) */
	ORIGIN_FUNCTION    /* .function */
};

struct origin {
	enum origin_kind kind;
	const char      *name;
	size_t           function, index;
};

/* A function; that of index 0 is the file itself. */
enum { FUNCTION_PARAMETERS = 8 };

struct function {
	unsigned    line;
	const char *name; /* as it is written, "http.ask"; NULL: none */
	const char *parameters[FUNCTION_PARAMETERS];
	size_t      parameter_count;
	bool        probe; /* the `probe` of the table that the file returns */
};

/* Something given to a call. */
enum { CALL_ARGUMENTS = 4 };

struct given {
	struct origin origin;
	const char   *text; /* of a literal text, else NULL */
	size_t        length;
	bool          is_true; /* the literal true */
};

enum sight {
	SIGHT_READ,   /* the global .name */
	SIGHT_SET,    /* ... is given a value */
	SIGHT_MEMBER, /* .base.name, and what of that: .below */
	SIGHT_METHOD, /* .base:name(.given...) */
	SIGHT_CALL,   /* .base(.given...) */
	SIGHT_FIELD   /* of the table that the file returns: .name is a path like services[1].port */
};

struct sighting {
	enum sight    kind;
	unsigned      line;
	size_t        function; /* in which it stands */
	struct origin base;
	const char   *base_name; /* the variable, or NULL */
	const char   *name, *below;
	bool          called, set; /* SIGHT_MEMBER: base.name(.given...); base.name = value */
	struct given  given[CALL_ARGUMENTS];
	size_t        given_count;
	const char   *nearest; /* SIGHT_READ: a local that may have been meant, or NULL */
};

struct source {
	struct sighting *sightings; /* in the order in which things happen, as far as the page tells */
	size_t           sighting_count;
	struct function *functions;
	size_t           function_count;
	unsigned         return_line; /* of the file's own return; 0: none */
	bool            *excused;     /* [line]: it has a comment "check: ok" */
	unsigned         lines;

	struct source_text *texts; /* all names and literals, for source_free */
};

/* False: no memory, or the text is no Lua. Either way source_free frees. */
bool source_read(struct source *source, const char *text, size_t length);
void source_free(struct source *source);

#endif
