#include "script/load.h"

#include "script/chunk.h"
#include "script/declare.h"
#include "script/vm.h"

#include <dirent.h>
#include <errno.h>
#include <lua.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_TEXT = 4096 };

static const char suffix[] = ".lua";
static const char groups_file[] = "groups.lua";

/* --- a file ---------------------------------------------------------------------------------- */

/* It is not told before those of the files before it. */
static void fail(struct script *file, const char *reason)
{
	char *text;

	if (strncmp(reason, file->path, strlen(file->path)) == 0)
		text = strdup(reason);
	else if (asprintf(&text, "%s: %s", file->path, reason) < 0)
		text = NULL;
	file->failure = text;
}

static bool read_file(struct script *file)
{
	char reason[CHUNK_REASON];

	file->source = chunk_read(file->path, CHUNK_FILE, &file->length, reason);
	if (!file->source)
		fail(file, reason[0] ? reason : strerror(ENOENT));
	return file->source != NULL;
}

/* A state of its own for each file: what one does while it loads, no other can see. */
static void run_file(struct catalogue *catalogue, struct script *file, int (*declare)(lua_State *L),
                     void *argument)
{
	struct vm *vm = file->trusted ? vm_new_trusted(catalogue, NULL, NULL) : vm_new(catalogue, NULL, NULL);
	char       error[600] = "not enough memory";

	if (vm) {
		vm->keeper = catalogue;
		lua_gc(vm->state, LUA_GCSTOP); /* it does not live long enough */
	}
	if (!vm || !vm_protected(vm, declare, argument, error, sizeof error))
		fail(file, error);
	vm_free(vm);
}

static void add_problem(struct catalogue *catalogue, const char *text)
{
	catalogue_add(&catalogue->problems, &catalogue->problem_count, text);
}

static void load_groups(struct catalogue *catalogue, const char *path)
{
	struct grouping grouping = { .catalogue = catalogue, .file.path = path };

	if (read_file(&grouping.file))
		run_file(catalogue, &grouping.file, declare_groups, &grouping);
	if (grouping.file.failure)
		add_problem(catalogue, grouping.file.failure);
	free((char *)grouping.file.failure);
	free((char *)grouping.file.source);
}

/* --- scripts, side by side ------------------------------------------------------------------- */

/* Those of the catalogue from a place on, each of which is taken by the thread that comes to it first. That thread
 * alone touches it until both are through; to all others it is broken for so long, and not looked into. */
struct batch {
	struct catalogue *catalogue;
	atomic_size_t     next;
	cpu_set_t         processors;
};

static void work(struct batch *batch)
{
	struct catalogue *catalogue = batch->catalogue;
	size_t            next;

	while ((next = atomic_fetch_add(&batch->next, 1)) < catalogue->script_count) {
		struct script *script = catalogue->scripts[next];

		if (read_file(script))
			run_file(catalogue, script, declare_script, script);
	}
}

static void *help(void *argument)
{
	struct batch *batch = argument;

	sched_setaffinity(0, sizeof batch->processors, &batch->processors);
	if (vm_watch_thread())
		work(batch);
	vm_unwatch_thread();
	return NULL;
}

/* A thread on another processor than this one, if we may use more of them. Left to itself it would often share ours for
 * the few milliseconds that there is something to do; once it is there, it may move as others do. */
static bool start_helper(struct batch *batch, pthread_t *helper)
{
	pthread_attr_t attributes;
	cpu_set_t      others;
	bool           started;

	if (sched_getaffinity(0, sizeof batch->processors, &batch->processors) != 0 ||
	    pthread_attr_init(&attributes) != 0)
		return false;
	others = batch->processors;
	CPU_CLR((size_t)sched_getcpu(), &others);
	started = CPU_COUNT(&others) > 0 &&
	          pthread_attr_setaffinity_np(&attributes, sizeof others, &others) == 0 &&
	          pthread_create(helper, &attributes, help, batch) == 0;
	pthread_attr_destroy(&attributes);
	return started;
}

static void collect(struct catalogue *catalogue, struct script *script)
{
	if (script->failure)
		add_problem(catalogue, script->failure);
	for (size_t i = 0; i < script->fault_count; i++)
		add_problem(catalogue, script->faults[i]);
	script->broken = !script->declared || script->flawed;
}

/* What trusted scripts do to the machine, they do one after another. */
static void load_from(struct catalogue *catalogue, size_t first, bool trusted)
{
	struct batch batch = { .catalogue = catalogue, .next = first };
	pthread_t    helper;
	bool helped = catalogue->script_count > first + 1 && !trusted && start_helper(&batch, &helper);

	work(&batch);
	if (helped)
		pthread_join(helper, NULL);
	for (size_t i = first; i < catalogue->script_count; i++)
		collect(catalogue, catalogue->scripts[i]);
}

/* --- which there are ------------------------------------------------------------------------- */

static void free_script(struct script *script)
{
	free((char *)script->name);
	free((char *)script->path);
	free(script);
}

/* False: no memory. */
static bool append_script(struct catalogue *catalogue, struct script *script)
{
	struct script **grown = catalogue_grow(catalogue->scripts, &catalogue->script_count, sizeof *grown);

	if (!grown)
		return false;
	catalogue->scripts = grown;
	script->index = catalogue->script_count - 1;
	grown[script->index] = script;
	return true;
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
static bool add_script(struct catalogue *catalogue, const char *path, bool trusted)
{
	const char    *slash = strrchr(path, '/');
	const char    *base = slash ? slash + 1 : path;
	struct script *script;

	if (is_overridden(catalogue, path))
		return true;
	script = calloc(1, sizeof *script);
	if (!script)
		return false;
	script->name = strndup(base, strlen(base) - strlen(suffix));
	script->path = strdup(path);
	script->trusted = trusted;
	script->broken = true;
	if (script->name && script->path && append_script(catalogue, script))
		return true;
	free_script(script);
	return false;
}

static int is_script(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(suffix) &&
	       strcmp(entry->d_name + length - strlen(suffix), suffix) == 0 &&
	       strcmp(entry->d_name, groups_file) != 0;
}

static bool add_entry(struct catalogue *catalogue, const char *folder, const char *name, bool trusted)
{
	char path[PATH_TEXT];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return add_script(catalogue, path, trusted);
}

static bool load_file(struct catalogue *catalogue, const char *path, bool trusted)
{
	size_t first = catalogue->script_count;
	bool   good = add_script(catalogue, path, trusted);

	if (good)
		load_from(catalogue, first, trusted);
	else
		errno = ENOMEM;
	return good;
}

static bool load_folder(struct catalogue *catalogue, const char *folder, bool trusted)
{
	struct dirent **entries;
	size_t          first = catalogue->script_count;
	int             count = scandir(folder, &entries, is_script, alphasort);
	char            path[PATH_TEXT];
	struct stat     status;
	bool            good = true;

	if (count < 0)
		return false;
	for (int i = 0; i < count; i++) {
		good = good && add_entry(catalogue, folder, entries[i]->d_name, trusted);
		free(entries[i]);
	}
	free(entries);
	if (good)
		load_from(catalogue, first, trusted);
	snprintf(path, sizeof path, "%s/%s", folder, groups_file);
	if (good && stat(path, &status) == 0)
		load_groups(catalogue, path);
	if (!good)
		errno = ENOMEM;
	return good;
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
