#include "script/load.h"

#include "script/chunk.h"
#include "script/declare.h"
#include "script/vm.h"

#include <dirent.h>
#include <errno.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_TEXT = 4096 };

static const char suffix[] = ".lua";
static const char groups_file[] = "groups.lua";

static void add_problem(struct catalogue *catalogue, const char *text)
{
	catalogue_add(&catalogue->problems, &catalogue->problem_count, text);
}

/* A state of its own for each file: what one does while it loads, no other can see. */
static bool run_file(struct catalogue *catalogue, const char *path, bool trusted, int (*read)(lua_State *L),
                     void *argument)
{
	struct vm *vm = trusted ? vm_new_trusted(catalogue, NULL, NULL) : vm_new(catalogue, NULL, NULL);
	char       error[600] = "not enough memory", line[PATH_TEXT + 600];
	bool       good;

	if (vm) {
		vm->keeper = catalogue;
		lua_gc(vm->state, LUA_GCSTOP); /* it does not live long enough */
	}
	good = vm && vm_protected(vm, read, argument, error, sizeof error);
	snprintf(line, sizeof line, "%s: %s", path, error);
	if (!good)
		add_problem(catalogue, strncmp(error, path, strlen(path)) == 0 ? error : line);
	vm_free(vm);
	return good;
}

static bool read_file(struct catalogue *catalogue, struct script *file, const char *path)
{
	char line[PATH_TEXT + CHUNK_REASON], reason[CHUNK_REASON];

	file->path = strdup(path);
	file->source = chunk_read(path, CHUNK_FILE, &file->length, reason);
	if (file->source)
		return true;
	snprintf(line, sizeof line, "%s: %s", path, reason[0] ? reason : strerror(ENOENT));
	add_problem(catalogue, line);
	return false;
}

static void load_groups(struct catalogue *catalogue, const char *path)
{
	struct grouping grouping = { .catalogue = catalogue };

	if (read_file(catalogue, &grouping.file, path))
		run_file(catalogue, path, false, declare_groups, &grouping);
	free((char *)grouping.file.path);
	free((char *)grouping.file.source);
}

static struct script *add_script(struct catalogue *catalogue, const char *path)
{
	const char     *slash = strrchr(path, '/');
	const char     *base = slash ? slash + 1 : path;
	struct script  *script = calloc(1, sizeof *script);
	char           *name = strndup(base, strlen(base) - strlen(suffix));
	struct script **grown = NULL;

	if (script && name)
		grown = catalogue_grow(catalogue->scripts, &catalogue->script_count, sizeof *grown);
	if (!grown) {
		free(script);
		free(name);
		return NULL;
	}
	catalogue->scripts = grown;
	script->name = name;
	script->index = catalogue->script_count - 1;
	grown[script->index] = script;
	return script;
}

/* Of scripts of one name the first is it. */
static bool is_overridden(const struct catalogue *catalogue, const char *path)
{
	const char *slash = strrchr(path, '/');
	char        name[PATH_TEXT];

	snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
	name[strlen(name) - strlen(suffix)] = '\0';
	return catalogue_script(catalogue, name) != NULL;
}

/* False: no memory. */
static bool load_file(struct catalogue *catalogue, const char *path, bool trusted)
{
	struct script *script;

	if (is_overridden(catalogue, path))
		return true;
	script = add_script(catalogue, path);
	if (!script) {
		errno = ENOMEM;
		return false;
	}
	script->trusted = trusted;
	script->broken = !read_file(catalogue, script, path) ||
	                 !run_file(catalogue, path, trusted, declare_script, script);
	for (size_t i = 0; i < script->fault_count; i++)
		add_problem(catalogue, script->faults[i]);
	script->broken = script->broken || script->fault_count > 0;
	return true;
}

static int is_script(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(suffix) &&
	       strcmp(entry->d_name + length - strlen(suffix), suffix) == 0 &&
	       strcmp(entry->d_name, groups_file) != 0;
}

static bool load_entry(struct catalogue *catalogue, const char *folder, const char *name, bool trusted)
{
	char path[PATH_TEXT];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return load_file(catalogue, path, trusted);
}

static bool load_folder(struct catalogue *catalogue, const char *folder, bool trusted)
{
	struct dirent **entries;
	int             count = scandir(folder, &entries, is_script, alphasort);
	char            path[PATH_TEXT];
	struct stat     status;
	bool            loaded = true;

	if (count < 0)
		return false;
	for (int i = 0; i < count; i++) {
		loaded = loaded && load_entry(catalogue, folder, entries[i]->d_name, trusted);
		free(entries[i]);
	}
	free(entries);
	snprintf(path, sizeof path, "%s/%s", folder, groups_file);
	if (loaded && stat(path, &status) == 0)
		load_groups(catalogue, path);
	return loaded;
}

/* What is wrong with `path` as a source of scripts, or NULL. */
static const char *fault(const char *path, bool *is_folder)
{
	size_t      length = strlen(path);
	struct stat status;

	if (stat(path, &status) != 0)
		return strerror(errno);
	*is_folder = S_ISDIR(status.st_mode);
	if (!*is_folder && (length <= strlen(suffix) || strcmp(path + length - strlen(suffix), suffix) != 0))
		return "neither a folder nor a file that ends in .lua";
	return NULL;
}

/* Of a single file, the folder it is in, if that has libraries. False: no memory. */
static bool add_folder_of(struct catalogue *catalogue, const char *path)
{
	const char *slash = strrchr(path, '/');
	char        folder[PATH_TEXT] = ".", library[PATH_TEXT + 8];
	struct stat status;

	if (slash)
		snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	snprintf(library, sizeof library, "%s/lib", folder);
	if (stat(library, &status) != 0 || !S_ISDIR(status.st_mode))
		return true;
	for (size_t i = 0; i < catalogue->folder_count; i++)
		if (strcmp(catalogue->folders[i], folder) == 0)
			return true;
	return catalogue_add(&catalogue->folders, &catalogue->folder_count, folder);
}

static bool add_folder(struct catalogue *catalogue, const char *path, bool is_folder)
{
	return is_folder ? catalogue_add(&catalogue->folders, &catalogue->folder_count, path)
	                 : add_folder_of(catalogue, path);
}

/* All folders are known before the first script runs: it may require a library of any of them. */
bool load_scripts(struct catalogue *catalogue, const char *const *paths, size_t count, char *error,
                  size_t size)
{
	bool is_folder = false;

	for (size_t i = 0; i < count; i++) {
		const char *reason = fault(paths[i], &is_folder);

		if (reason) {
			snprintf(error, size, "%s: %s", paths[i], reason);
			return false;
		}
		if (!add_folder(catalogue, paths[i], is_folder)) {
			snprintf(error, size, "%s: %s", paths[i], strerror(ENOMEM));
			return false;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (fault(paths[i], &is_folder))
			continue;
		if (is_folder ? !load_folder(catalogue, paths[i], i < catalogue->trusted)
		              : !load_file(catalogue, paths[i], i < catalogue->trusted)) {
			snprintf(error, size, "%s: %s", paths[i], strerror(errno));
			return false;
		}
	}
	return true;
}
