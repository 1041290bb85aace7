#include "workbench/lint.h"

#include "base/buffer.h"
#include "base/escape.h"
#include "base/nearest.h"
#include "script/pattern.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MANY_QUANTIFIERS in a pattern are too many. SHOWN: columns of a pattern in a finding. */
enum { MANY_QUANTIFIERS = 4, SHOWN = 60, NAMES = 512, FINDINGS = 500 };

/* What a value is used as. */
enum role { ROLE_NONE, ROLE_CONN, ROLE_REPORT, ROLE_ARGS };

struct linting {
	struct findings     *findings;
	const struct source *source;
	const struct known  *known;
	const struct script *script;
	enum role (*roles)[FUNCTION_PARAMETERS]; /* of each function's parameters */
};

/* What conn.tls may hold, see tls_facts. */
static const char *const facts[] = { "version",  "cipher",     "subject",   "issuer",
	                             "names",    "not_before", "not_after", "days_left",
	                             "key",      "sha256",     "verified",  "verify_error",
	                             "problems", "settings",   "handshake", "client_certificate" };

enum { FACTS = sizeof facts / sizeof *facts };

/* --- findings -------------------------------------------------------------------------------- */

void findings_add(struct findings *findings, unsigned line, const char *format, ...)
{
	struct finding *grown;
	va_list         arguments;
	char           *text = NULL;

	if (findings->count == FINDINGS)
		return;
	grown = realloc(findings->finding, (findings->count + 1) * sizeof *grown);
	va_start(arguments, format);
	if (grown && vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (grown)
		findings->finding = grown;
	if (text)
		grown[findings->count++] = (struct finding){ line, text };
}

static int by_line(const void *one, const void *other)
{
	const struct finding *first = one, *second = other;

	if (first->line != second->line)
		return first->line < second->line ? -1 : 1;
	return strcmp(first->text, second->text);
}

void findings_sort(struct findings *findings)
{
	size_t kept = 0;

	if (findings->count > 0)
		qsort(findings->finding, findings->count, sizeof *findings->finding, by_line);
	for (size_t i = 0; i < findings->count; i++) {
		if (kept > 0 && by_line(&findings->finding[kept - 1], &findings->finding[i]) == 0)
			free(findings->finding[i].text);
		else
			findings->finding[kept++] = findings->finding[i];
	}
	findings->count = kept;
}

void findings_free(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		free(findings->finding[i].text);
	free(findings->finding);
	*findings = (struct findings){ 0 };
}

/* --- names ----------------------------------------------------------------------------------- */

struct names {
	const char *name[NAMES];
	size_t      count;
};

static void add_name(struct names *names, const char *name)
{
	if (names->count < NAMES)
		names->name[names->count++] = name;
}

static void add_names(struct names *names, const char *const *more, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_name(names, more[i]);
}

static void add_keys(struct names *names, json_t *object)
{
	const char *key;
	json_t     *value;

	json_object_foreach (object, key, value)
		add_name(names, key);
}

static bool holds(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->name[i], name) == 0)
			return true;
	return false;
}

/* "; did you mean scan.now?" or nothing. */
struct hint {
	char text[160];
};

static struct hint hint(const struct names *names, const char *name, const char *before)
{
	struct hint hint = { "" };
	const char *nearest = nearest_name(name, names->name, names->count);

	if (nearest)
		snprintf(hint.text, sizeof hint.text, "; did you mean %.60s%.80s?", before, nearest);
	return hint;
}

/* --- roles ----------------------------------------------------------------------------------- */

static enum role role_of(const struct linting *linting, const struct origin *origin)
{
	if (origin->kind == ORIGIN_CONNECTION)
		return ROLE_CONN;
	return origin->kind == ORIGIN_PARAMETER ? linting->roles[origin->function][origin->index] : ROLE_NONE;
}

static bool is_global(const struct origin *origin, const char *name)
{
	return origin->kind == ORIGIN_GLOBAL && strcmp(origin->name, name) == 0;
}

/* The function that is called, and which of the given is its first argument: pcall(f, conn) calls f. NULL: one that
 * is not in the file. */
static const struct origin *called(const struct sighting *sighting, size_t *first)
{
	*first = 0;
	if (sighting->kind != SIGHT_CALL)
		return NULL;
	if (sighting->base.kind == ORIGIN_FUNCTION)
		return &sighting->base;
	*first = 1;
	if (is_global(&sighting->base, "pcall") && sighting->given_count > 0 &&
	    sighting->given[0].origin.kind == ORIGIN_FUNCTION)
		return &sighting->given[0].origin;
	return NULL;
}

/* What a function is given tells what its parameters are. True: something was learnt. */
static bool learn(struct linting *linting, const struct sighting *sighting)
{
	size_t               first;
	const struct origin *function = called(sighting, &first);
	bool                 learnt = false;

	for (size_t i = first; function && i < sighting->given_count; i++) {
		enum role  role = role_of(linting, &sighting->given[i].origin);
		enum role *parameter = &linting->roles[function->function][i - first];

		if (role != ROLE_NONE && *parameter == ROLE_NONE) {
			*parameter = role;
			learnt = true;
		}
	}
	return learnt;
}

/* What is called conn or report is one. */
static void guess(struct linting *linting)
{
	static const char *const names[] = { "", "conn", "report" };

	for (size_t i = 0; i < linting->source->function_count; i++) {
		const struct function *function = &linting->source->functions[i];

		for (size_t j = 0; j < function->parameter_count; j++)
			for (enum role role = ROLE_CONN; role <= ROLE_REPORT; role++)
				if (linting->roles[i][j] == ROLE_NONE &&
				    strcmp(function->parameters[j], names[role]) == 0)
					linting->roles[i][j] = role;
	}
}

static void find_roles(struct linting *linting)
{
	const struct source *source = linting->source;
	bool                 learnt = true;

	for (size_t i = 0; i < source->function_count; i++)
		for (size_t j = 0; source->functions[i].probe && j < 3; j++)
			linting->roles[i][j] = (enum role)(ROLE_CONN + j);
	guess(linting);
	while (learnt) {
		learnt = false;
		for (size_t i = 0; i < source->sighting_count; i++)
			learnt = learn(linting, &source->sightings[i]) || learnt;
	}
}

/* --- globals --------------------------------------------------------------------------------- */

static bool is_set(const struct source *source, const char *name)
{
	for (size_t i = 0; i < source->sighting_count; i++)
		if (source->sightings[i].kind == SIGHT_SET && strcmp(source->sightings[i].name, name) == 0)
			return true;
	return false;
}

static void look_at_global(const struct linting *linting, const struct sighting *sighting)
{
	struct names names = { .count = 0 };

	if (sighting->kind == SIGHT_SET) {
		findings_add(linting->findings, sighting->line,
		             "sets the global \"%s\", which outlives the run; say local", sighting->name);
		return;
	}
	if (json_object_get(linting->known->globals, sighting->name) ||
	    is_set(linting->source, sighting->name))
		return;
	add_keys(&names, linting->known->globals);
	if (sighting->nearest)
		add_name(&names, sighting->nearest);
	findings_add(linting->findings, sighting->line, "there is no \"%s\" here, neither local nor global%s",
	             sighting->name, hint(&names, sighting->name, "").text);
}

/* --- members --------------------------------------------------------------------------------- */

static void look_at_tls(const struct linting *linting, const struct sighting *sighting)
{
	struct names names = { .count = 0 };

	add_names(&names, facts, FACTS);
	if (!holds(&names, sighting->below))
		findings_add(linting->findings, sighting->line, "conn.tls has no \"%s\"%s", sighting->below,
		             hint(&names, sighting->below, "conn.tls.").text);
}

static bool is_itself_given(const struct sighting *sighting)
{
	const struct origin *base = &sighting->base, *given = &sighting->given[0].origin;

	return sighting->given_count > 0 && base->kind == given->kind && base->function == given->function &&
	       base->index == given->index;
}

static void look_at_conn(const struct linting *linting, const struct sighting *sighting)
{
	struct names names = { .count = 0 };
	bool         method = json_object_get(linting->known->methods, sighting->name) != NULL;

	if (sighting->kind == SIGHT_MEMBER)
		add_keys(&names, linting->known->fields);
	add_keys(&names, linting->known->methods);
	if (!holds(&names, sighting->name))
		findings_add(
		    linting->findings, sighting->line, "conn has no %s \"%s\"%s",
		    sighting->kind == SIGHT_METHOD ? "method" : "field or method", sighting->name,
		    hint(&names, sighting->name, sighting->kind == SIGHT_METHOD ? "conn:" : "conn.").text);
	else if (sighting->kind == SIGHT_MEMBER && sighting->called && method && !is_itself_given(sighting))
		findings_add(linting->findings, sighting->line, "conn.%s(...) wants a colon: conn:%s(...)",
		             sighting->name, sighting->name);
	else if (sighting->below && strcmp(sighting->name, "tls") == 0)
		look_at_tls(linting, sighting);
}

static void look_at_report(const struct linting *linting, const struct sighting *sighting)
{
	if (strcmp(sighting->name, "warn") != 0)
		findings_add(linting->findings, sighting->line,
		             "report has no \"%s\"; there is report(key, value) and report.warn(code, text)",
		             sighting->name);
	else if (sighting->kind == SIGHT_METHOD)
		findings_add(linting->findings, sighting->line,
		             "report:warn(...) wants a dot: report.warn(...)");
}

static void look_at_args(const struct linting *linting, const struct sighting *sighting)
{
	const struct script *script = linting->script;
	struct names         names = { .count = 0 };

	for (size_t i = 0; i < script->argument_count; i++)
		add_name(&names, script->arguments[i].name);
	if (!holds(&names, sighting->name))
		findings_add(linting->findings, sighting->line,
		             "the argument \"%s\" is not declared in args%s", sighting->name,
		             hint(&names, sighting->name, "").text);
}

/* Of scan, string, ... or a library, whose members are known. */
static void look_at_table(const struct linting *linting, const struct sighting *sighting, const char *name,
                          json_t *members)
{
	struct names names = { .count = 0 };
	char         before[80];

	snprintf(before, sizeof before, "%.60s.", name);
	add_keys(&names, members);
	if (!holds(&names, sighting->name))
		findings_add(linting->findings, sighting->line, "%s has no \"%s\"%s", name, sighting->name,
		             hint(&names, sighting->name, before).text);
	else if (sighting->kind == SIGHT_METHOD)
		findings_add(linting->findings, sighting->line, "%s:%s(...) wants a dot: %s.%s(...)", name,
		             sighting->name, name, sighting->name);
}

/* Does the file itself make something of this name? */
static bool is_made(const struct source *source, const char *name)
{
	for (size_t i = 0; i < source->function_count; i++) {
		const char *whole = source->functions[i].name;
		const char *dot = whole ? strrchr(whole, '.') : NULL;

		if (whole && strcmp(dot ? dot + 1 : whole, name) == 0)
			return true;
	}
	for (size_t i = 0; i < source->sighting_count; i++)
		if (source->sightings[i].set && strcmp(source->sightings[i].name, name) == 0)
			return true;
	return false;
}

/* x:name(...) of something unknown: it will be a text, unless the file has methods of its own. */
static void look_at_method(const struct linting *linting, const struct sighting *sighting)
{
	struct names names = { .count = 0 };

	add_keys(&names, json_object_get(linting->known->globals, "string"));
	add_keys(&names, linting->known->methods);
	if (holds(&names, sighting->name) || is_made(linting->source, sighting->name))
		return;
	if (nearest_name(sighting->name, names.name, names.count))
		findings_add(linting->findings, sighting->line,
		             "neither texts nor conn have a method \"%s\"%s", sighting->name,
		             hint(&names, sighting->name, "").text);
}

static void look_at_member(const struct linting *linting, const struct sighting *sighting)
{
	const struct origin *base = &sighting->base;
	json_t              *members = NULL;

	if (base->kind == ORIGIN_GLOBAL)
		members = json_object_get(linting->known->globals, base->name);
	else if (base->kind == ORIGIN_LIBRARY)
		members = json_object_get(linting->known->libraries, base->name);
	switch (role_of(linting, base)) {
	case ROLE_CONN:
		look_at_conn(linting, sighting);
		return;
	case ROLE_REPORT:
		look_at_report(linting, sighting);
		return;
	case ROLE_ARGS:
		look_at_args(linting, sighting);
		return;
	case ROLE_NONE:
		break;
	}
	if (json_is_object(members) && !sighting->set)
		look_at_table(linting, sighting, sighting->base_name ? sighting->base_name : base->name,
		              members);
	else if (sighting->kind == SIGHT_METHOD && base->kind != ORIGIN_GLOBAL &&
	         base->kind != ORIGIN_LIBRARY)
		look_at_method(linting, sighting);
}

/* --- what is reported ------------------------------------------------------------------------ */

static void look_at_key(const struct linting *linting, const struct sighting *sighting)
{
	const struct script *script = linting->script;
	const char          *key = sighting->given_count > 0 ? sighting->given[0].text : NULL;
	struct names         names = { .count = 0 };

	if (!key || script->field_count == 0)
		return;
	for (size_t i = 0; i < script->field_count; i++) {
		const char *field = script->fields[i];
		size_t      length = strlen(key);

		if (strncmp(field, key, length) == 0 && (field[length] == '\0' || field[length] == '.'))
			return;
		add_name(&names, field);
	}
	findings_add(linting->findings, sighting->line,
	             "reports \"%s\", which is not among the declared fields%s", key,
	             hint(&names, key, "").text);
}

/* --- patterns -------------------------------------------------------------------------------- */

/* What stands in a pattern, as far as it tells how long it may take. */
struct shape {
	bool   anchored;
	size_t quantifiers;   /* of * + - */
	bool   neighbours;    /* two that take anything, one behind the other */
	bool   long_way_back; /* the last item, before the $, is one */
};

/* Behind the item that begins at `at`: a byte, %x, or [set]. */
static const char *skip_item(const char *at, const char *end)
{
	if (*at == '%' && end - at > 1)
		return at + 2;
	if (*at != '[')
		return at + 1;
	at += 1 + (end - at > 1 && at[1] == '^');
	at += at < end; /* a ] here is one of the set */
	while (at < end && *at != ']')
		at += *at == '%' && end - at > 1 ? 2 : 1;
	return at < end ? at + 1 : end;
}

static struct shape shape_of(const char *pattern, size_t length)
{
	const char  *at = pattern, *end = pattern + length;
	struct shape shape = { .anchored = length > 0 && *pattern == '^' };
	bool         anything = false; /* the item before takes any number of anything */
	bool         quantified = false;

	at += shape.anchored;
	while (at < end) {
		const char *next = skip_item(at, end);
		bool        dot = *at == '.';

		if (*at == '(' || *at == ')') { /* stands between items, and takes nothing */
			at = next;
			continue;
		}
		if (*at == '$' && next == end) {
			shape.long_way_back = quantified;
			break;
		}
		quantified = next < end && strchr("*+-", *next);
		shape.quantifiers += quantified;
		shape.neighbours = shape.neighbours || (anything && quantified && dot);
		anything = quantified && dot;
		at = next + (quantified || (next < end && *next == '?'));
	}
	return shape;
}

__attribute__((format(printf, 5, 6))) static void blame_pattern(struct findings *findings, unsigned line,
                                                                const char *pattern, size_t length,
                                                                const char *format, ...)
{
	char          why[200];
	struct buffer shown;
	va_list       arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof why, format, arguments);
	va_end(arguments);
	buffer_init(&shown, 16 * SHOWN);
	escape_terminal(&shown, pattern, length, SHOWN);
	findings_add(findings, line, "the pattern \"%.*s\"%s", (int)buffer_length(&shown),
	             buffer_bytes(&shown), why);
	buffer_free(&shown);
}

static void look_at_pattern(struct findings *findings, unsigned line, const char *pattern, size_t length)
{
	struct shape shape = shape_of(pattern, length);
	const char  *why = NULL;

	if (shape.quantifiers >= MANY_QUANTIFIERS)
		why = "it has more than three of * + -";
	else if (shape.neighbours && !shape.anchored)
		why = "two that take anything stand one behind the other, and no ^ says where it begins";
	else if (shape.long_way_back && !shape.anchored)
		why = "what repeats at its end is tried from every place; begin it with ^";
	if (why)
		blame_pattern(findings, line, pattern, length, " can take very long: %s", why);
}

/* Of s:find(p), string.find(s, p) and their like, and of conn:readuntil(p). */
static void look_at_search(const struct linting *linting, const struct sighting *sighting)
{
	static const char *const searches[] = { "find", "match", "gmatch", "gsub", "readuntil", "readwhile" };
	bool                library = sighting->kind == SIGHT_MEMBER && is_global(&sighting->base, "string");
	size_t              at = library ? 1 : 0;
	bool                is_search = false;
	const struct given *pattern;
	const char         *wrong;

	for (size_t i = 0; i < sizeof searches / sizeof *searches; i++)
		is_search = is_search || (sighting->name && strcmp(sighting->name, searches[i]) == 0);
	if (!is_search || !(library || sighting->kind == SIGHT_METHOD) || sighting->given_count <= at ||
	    !sighting->given[at].text)
		return;
	if (strcmp(sighting->name, "find") == 0 && sighting->given_count > at + 2 &&
	    sighting->given[at + 2].is_true)
		return; /* plain text */
	pattern = &sighting->given[at];
	wrong = pattern_fault(pattern->text, pattern->length);
	if (wrong)
		blame_pattern(linting->findings, sighting->line, pattern->text, pattern->length, ": %s",
		              wrong);
	else
		look_at_pattern(linting->findings, sighting->line, pattern->text, pattern->length);
}

static unsigned line_of_field(const struct source *source, const char *name)
{
	for (size_t i = 0; i < source->sighting_count; i++)
		if (source->sightings[i].kind == SIGHT_FIELD && strcmp(source->sightings[i].name, name) == 0)
			return source->sightings[i].line;
	return source->return_line > 0 ? source->return_line : 1;
}

/* --- who speaks first ------------------------------------------------------------------------ */

/* The first thing that a function does with its connection: is it to write? The line, or 0. It may be done by a
 * function that it calls with it; of those in libraries nothing is known. */
static unsigned writes_first(const struct linting *linting, size_t function, size_t parameter, unsigned depth)
{
	const struct source *source = linting->source;

	for (size_t i = 0; i < source->sighting_count && depth < 20; i++) {
		const struct sighting *sighting = &source->sightings[i];
		const struct origin   *base = &sighting->base;
		const struct origin   *callee;
		size_t                 first;

		if (base->kind == ORIGIN_PARAMETER && base->function == function &&
		    base->index == parameter) {
			if (strcmp(sighting->name ? sighting->name : "", "write") == 0)
				return sighting->line;
			if (json_object_get(linting->known->methods, sighting->name ? sighting->name : ""))
				return 0;
		}
		callee = called(sighting, &first);
		for (size_t j = 0; j < sighting->given_count; j++) {
			const struct origin *given = &sighting->given[j].origin;

			if (given->kind != ORIGIN_PARAMETER || given->function != function ||
			    given->index != parameter)
				continue;
			if (callee && j >= first && j - first < FUNCTION_PARAMETERS)
				return writes_first(linting, callee->function, j - first, depth + 1);
			return 0;
		}
	}
	return 0;
}

static void look_at_beginning(const struct linting *linting)
{
	const struct source *source = linting->source;

	for (size_t i = 0; i < source->function_count && linting->script->greeting_count > 0; i++) {
		unsigned line = source->functions[i].probe ? writes_first(linting, i, 0, 0) : 0;

		if (line > 0)
			findings_add(linting->findings, line,
			             "writes before it has read the greeting that the probe declares; "
			             "servers hang up on that");
	}
}

/* --- all of it ------------------------------------------------------------------------------- */

static void look_at(const struct linting *linting, const struct sighting *sighting)
{
	switch (sighting->kind) {
	case SIGHT_READ:
	case SIGHT_SET:
		look_at_global(linting, sighting);
		break;
	case SIGHT_MEMBER:
	case SIGHT_METHOD:
		look_at_member(linting, sighting);
		look_at_search(linting, sighting);
		break;
	case SIGHT_CALL:
		if (role_of(linting, &sighting->base) == ROLE_REPORT)
			look_at_key(linting, sighting);
		break;
	case SIGHT_FIELD:
		break;
	}
}

static void drop_excused(struct findings *findings, const struct source *source)
{
	size_t kept = 0;

	for (size_t i = 0; i < findings->count; i++) {
		if (findings->finding[i].line < source->lines && source->excused[findings->finding[i].line])
			free(findings->finding[i].text);
		else
			findings->finding[kept++] = findings->finding[i];
	}
	findings->count = kept;
}

void lint(struct findings *findings, const struct source *source, const struct known *known,
          const struct script *script)
{
	struct linting linting = { .findings = findings, .source = source, .known = known, .script = script };

	linting.roles = calloc(source->function_count, sizeof *linting.roles);
	if (!linting.roles)
		return;
	find_roles(&linting);
	for (size_t i = 0; i < source->sighting_count; i++)
		look_at(&linting, &source->sightings[i]);
	for (size_t i = 0; i < script->greeting_count; i++)
		look_at_pattern(findings, line_of_field(source, "greeting"), script->greetings[i],
		                strlen(script->greetings[i]));
	look_at_beginning(&linting);
	drop_excused(findings, source);
	free(linting.roles);
}
