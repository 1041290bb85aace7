#include "workbench/check.h"

#include "base/escape.h"
#include "script/conn_api.h"
#include "script/load.h"
#include "script/sandbox.h"
#include "script/vm.h"
#include "workbench/lint.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* COLUMNS: of a finding. */
enum { SOURCE_LIMIT = 256 * 1024, PATH_TEXT = 4096, ERROR_TEXT = 600, COLUMNS = 400, NAME_TEXT = 100 };

/* One file, and what it is checked with. */
struct check {
	const char      *path;
	char            *text;
	size_t           length;
	struct catalogue catalogue;
	struct known     known;
	struct source    source;
	struct findings  findings;
};

/* What a file is. */
enum nature { NATURE_PROBE, NATURE_LIBRARY, NATURE_GROUPS };

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A library stands in a folder lib. */
static enum nature nature_of(const char *path)
{
	const char *base = base_of(path);
	size_t      folder = (size_t)(base - path);

	if (strcmp(base, "groups.lua") == 0)
		return NATURE_GROUPS;
	if (folder >= 4 && strncmp(base - 4, "lib/", 4) == 0 && (folder == 4 || base[-5] == '/'))
		return NATURE_LIBRARY;
	return NATURE_PROBE;
}

/* --- what there is: each runs protected ------------------------------------------------------- */

/* [-0, +0, m] The keys of the table on top, and those of its tables. */
static json_t *keys_of(lua_State *L, int depth)
{
	json_t *keys = json_object();

	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		bool below = lua_istable(L, -1) && depth > 0;

		if (lua_type(L, -2) == LUA_TSTRING)
			json_object_set_new_nocheck(keys, lua_tostring(L, -2),
			                            below ? keys_of(L, depth - 1) : json_true());
		lua_pop(L, 1);
	}
	return keys;
}

static int list_globals(lua_State *L)
{
	static const char code[] = "return _ENV";
	struct known     *known = lua_touserdata(L, 1);

	if (!sandbox_compile(L, "globals", code, sizeof code - 1))
		return lua_error(L);
	lua_call(L, 0, 1);
	lua_pushnil(L);
	lua_setfield(L, -2, "_G");
	known->globals = keys_of(L, 1);
	json_object_set_new_nocheck(known->globals, "_G", json_true());
	return 0;
}

static void list_members(struct known *known)
{
	const char *name;
	bool        is_method;

	known->methods = json_object();
	known->fields = json_object();
	for (size_t n = 0; (name = conn_api_member(n, &is_method)) != NULL; n++)
		json_object_set_new_nocheck(is_method ? known->methods : known->fields, name, json_true());
}

struct wanted {
	const char *name;
	json_t     *members;
};

static int list_library(lua_State *L)
{
	struct wanted *wanted = lua_touserdata(L, 1);
	char           code[NAME_TEXT + 40];
	int            length = snprintf(code, sizeof code, "return require \"%s\"", wanted->name);

	if (!sandbox_compile(L, wanted->name, code, (size_t)length))
		return lua_error(L);
	lua_call(L, 0, 1);
	wanted->members = lua_istable(L, -1) ? keys_of(L, 0) : json_true();
	return 0;
}

static bool plain_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < NAME_TEXT &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == length;
}

/* A library that cannot be loaded is one of which nothing is known. Where it is not there the line that names it is
 * the file's, not that of the code above. */
static void learn_library(struct check *check, struct vm *vm, const struct sighting *sighting)
{
	struct wanted wanted = { .name = sighting->given_count > 0 ? sighting->given[0].text : NULL };
	char          error[ERROR_TEXT], where[NAME_TEXT + 4];
	size_t        length;

	if (!wanted.name || !plain_name(wanted.name) || json_object_get(check->known.libraries, wanted.name))
		return;
	length = (size_t)snprintf(where, sizeof where, "%s:1: ", wanted.name);
	if (!vm_protected(vm, list_library, &wanted, error, sizeof error)) {
		findings_add(&check->findings, sighting->line, "%s",
		             error + (strncmp(error, where, length) == 0 ? length : 0));
		json_object_set_new_nocheck(check->known.libraries, wanted.name, json_true());
		return;
	}
	json_object_set_new_nocheck(check->known.libraries, wanted.name, wanted.members);
}

/* A state as the file will find it. */
static struct vm *new_vm(const struct check *check)
{
	return check->catalogue.trusted > 0 ? vm_new_trusted(&check->catalogue, NULL, NULL)
	                                    : vm_new(&check->catalogue, NULL, NULL);
}

static void learn(struct check *check)
{
	struct vm *vm = new_vm(check);
	char       error[ERROR_TEXT];

	check->known.libraries = json_object();
	check->catalogue.tolerant = false;
	if (!vm)
		return;
	vm_protected(vm, list_globals, &check->known, error, sizeof error);
	list_members(&check->known);
	for (size_t i = 0; i < check->source.sighting_count; i++) {
		const struct sighting *sighting = &check->source.sightings[i];

		if (sighting->kind == SIGHT_CALL && sighting->base.kind == ORIGIN_GLOBAL &&
		    strcmp(sighting->base.name, "require") == 0)
			learn_library(check, vm, sighting);
	}
	vm_free(vm);
}

/* --- where in the file something is ----------------------------------------------------------- */

/* The line of a field of the table that is returned, or of the innermost table that should have it. */
static unsigned line_of(const struct source *source, char *path)
{
	for (;;) {
		char *dot;

		for (size_t i = 0; i < source->sighting_count && *path; i++)
			if (source->sightings[i].kind == SIGHT_FIELD &&
			    strcmp(source->sightings[i].name, path) == 0)
				return source->sightings[i].line;
		dot = strrchr(path, '.');
		if (!dot)
			return source->return_line > 0 ? source->return_line : 1;
		*dot = '\0';
	}
}

/* "services[1].port must be ..." and 'args.x: unknown field "y"' begin with what they are about. */
static unsigned line_of_fault(const struct source *source, const char *fault)
{
	static const char unknown[] = "unknown field \"";
	const char       *named = strstr(fault, unknown);
	size_t            length = strcspn(fault, named ? ":" : " ");
	char              path[ERROR_TEXT];

	if (named == fault)
		length = 0;
	if (named)
		snprintf(path, sizeof path, "%.*s%s%.*s", (int)length, fault, length > 0 ? "." : "",
		         (int)strcspn(named + strlen(unknown), "\""), named + strlen(unknown));
	else
		snprintf(path, sizeof path, "%.*s", (int)length, fault);
	return line_of(source, path);
}

/* What load.h says is "path:line: reason", or "path: reason" of the table. */
static void add_problem(struct check *check, const char *problem)
{
	size_t   length = strlen(check->path);
	unsigned line = 0;
	int      taken = 0;

	if (strncmp(problem, check->path, length) != 0 || problem[length] != ':') {
		findings_add(&check->findings, 1, "%s", problem);
		return;
	}
	problem += length + 1;
	if (sscanf(problem, "%u: %n", &line, &taken) == 1 && taken > 0) {
		findings_add(&check->findings, line, "%s", problem + taken);
		return;
	}
	problem += strspn(problem, " ");
	findings_add(&check->findings, line_of_fault(&check->source, problem), "%s", problem);
}

/* --- loading --------------------------------------------------------------------------------- */

static bool read_text(struct check *check)
{
	FILE       *file = fopen(check->path, "rbe");
	struct stat status;
	bool        good = false;

	if (!file || fstat(fileno(file), &status) != 0)
		findings_add(&check->findings, 1, "%s", strerror(errno));
	else if (!S_ISREG(status.st_mode))
		findings_add(&check->findings, 1, "not a regular file");
	else if (status.st_size > SOURCE_LIMIT)
		findings_add(&check->findings, 1, "larger than 256 KiB");
	else
		good = (check->text = malloc(SOURCE_LIMIT)) != NULL;
	if (good)
		check->length = fread(check->text, 1, SOURCE_LIMIT, file);
	if (file)
		fclose(file);
	return good;
}

static int compile(lua_State *L)
{
	struct check *check = lua_touserdata(L, 1);

	if (!sandbox_compile(L, check->path, check->text, check->length))
		return lua_error(L);
	return 0;
}

/* A file that does not compile has one finding, which is Lua's. */
static bool compiles(struct check *check)
{
	struct vm *vm = new_vm(check);
	char       error[ERROR_TEXT] = "not enough memory";
	bool       good = vm && vm_protected(vm, compile, check, error, sizeof error);

	if (!good)
		add_problem(check, error);
	vm_free(vm);
	return good;
}

static void load_table(struct check *check)
{
	char error[PATH_TEXT + ERROR_TEXT];

	if (!load_scripts(&check->catalogue, &check->path, 1, error, sizeof error))
		findings_add(&check->findings, 1, "%s", error);
	for (size_t i = 0; i < check->catalogue.problem_count; i++)
		add_problem(check, check->catalogue.problems[i]);
}

static void run_rules(struct check *check)
{
	static const struct script nothing = { .path = "" };
	const struct script       *script = check->catalogue.script_count > 0 ? check->catalogue.scripts[0]
	                                                                      : &nothing;

	lint(&check->findings, &check->source, &check->known, script);
}

/* --- folders --------------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void add_folder(struct check *check, const char *folder)
{
	const char **grown;

	if (!is_folder(folder))
		return;
	grown = catalogue_grow(check->catalogue.folders, &check->catalogue.folder_count, sizeof *grown);
	if (!grown)
		return;
	check->catalogue.folders = grown;
	grown[check->catalogue.folder_count - 1] = strdup(folder);
}

/* The file's own folder comes first, if it has libraries; so does the one beside which a library is. */
static void add_own_folder(struct check *check, enum nature nature)
{
	size_t length = (size_t)(base_of(check->path) - check->path);
	char   folder[PATH_TEXT], library[PATH_TEXT + 8];

	if (nature == NATURE_LIBRARY)
		length -= 4;
	if (length >= sizeof folder)
		return;
	if (length == 0)
		strcpy(folder, ".");
	else
		snprintf(folder, sizeof folder, "%.*s", length > 1 ? (int)length - 1 : 1, check->path);
	snprintf(library, sizeof library, "%s/lib", folder);
	if (is_folder(library))
		add_folder(check, folder);
}

/* --- one file after the other ----------------------------------------------------------------- */

/* Safe for a terminal: anybody may have named the file. */
static void print_text(const char *text, size_t columns, FILE *out)
{
	struct buffer safe;

	buffer_init(&safe, 16 * columns);
	escape_terminal(&safe, text, strlen(text), columns);
	fwrite(buffer_bytes(&safe), 1, buffer_length(&safe), out);
	buffer_free(&safe);
}

/* Each on one line. */
static void print(const struct check *check, FILE *out)
{
	for (size_t i = 0; i < check->findings.count; i++) {
		const struct finding *finding = &check->findings.finding[i];

		print_text(check->path, PATH_TEXT, out);
		fprintf(out, ":%u: ", finding->line);
		print_text(finding->text, COLUMNS, out);
		fputc('\n', out);
	}
	if (check->findings.count == 0) {
		fputs("ok ", out);
		print_text(check->path, PATH_TEXT, out);
		fputc('\n', out);
	}
}

static void examine(struct check *check, enum nature nature)
{
	if (!read_text(check) || !compiles(check))
		return;
	if (!source_read(&check->source, check->text, check->length))
		findings_add(&check->findings, 1, "too deeply nested, or too many locals, to be checked");
	check->catalogue.tolerant = true; /* or the table could not be looked at */
	if (nature == NATURE_PROBE)
		load_table(check);
	learn(check);
	run_rules(check);
}

static bool check_file(const struct check_setup *setup, const char *path)
{
	struct check check = { .path = path, .catalogue = { .trusted = setup->trusted } };
	enum nature  nature = nature_of(path);
	bool         clean;

	add_own_folder(&check, nature);
	for (size_t i = 0; i < setup->folder_count; i++)
		add_folder(&check, setup->folders[i]);
	examine(&check, nature);
	findings_sort(&check.findings);
	print(&check, setup->out);
	clean = check.findings.count == 0;
	json_decref(check.known.globals);
	json_decref(check.known.methods);
	json_decref(check.known.fields);
	json_decref(check.known.libraries);
	source_free(&check.source);
	findings_free(&check.findings);
	catalogue_free(&check.catalogue);
	free(check.text);
	return clean;
}

bool check_files(const struct check_setup *setup, const char *const *files, size_t count)
{
	bool clean = true;

	for (size_t i = 0; i < count; i++)
		clean = check_file(setup, files[i]) && clean;
	return clean;
}
