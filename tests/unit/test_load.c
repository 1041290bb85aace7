/* script/load and script/catalogue: from files to what they declare. */
#include "script/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char             folder[] = "/tmp/scan-load-XXXXXX";
static char             first[64], second[64];
static char             error[5000];
static struct catalogue catalogue;

static int make_folders(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(first, sizeof first, "%s/first", folder);
	snprintf(second, sizeof second, "%s/second", folder);
	return mkdir(first, 0700) + mkdir(second, 0700);
}

static void sweep(const char *path)
{
	char command[100];

	snprintf(command, sizeof command, "rm -rf '%s'/*", path);
	assert_int_equal(system(command), 0);
}

static int remove_folders(void **state)
{
	(void)state;
	sweep(folder);
	return rmdir(folder);
}

static int clear(void **state)
{
	(void)state;
	catalogue_free(&catalogue);
	catalogue_free(&catalogue);
	sweep(first);
	sweep(second);
	return 0;
}

static void write_script(const char *where, const char *name, const char *text)
{
	char  path[200];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", where, name);
	file = fopen(path, "we");
	fputs(text, file);
	fclose(file);
}

static void load(void)
{
	const char *const paths[] = { first, second };

	if (!load_scripts(&catalogue, paths, 2, error, sizeof error))
		fail_msg("%s", error);
}

static void expect_service(const char *name, uint16_t port, const char *script)
{
	const struct service *service = catalogue_service(&catalogue, name);

	assert_non_null(service);
	assert_int_equal(service->port, port);
	assert_string_equal(service->script->name, script);
}

/* --- declarations ---------------------------------------------------------------------------- */

static void reads_what_a_script_declares(void **state)
{
	const struct script *script;

	(void)state;
	write_script(first, "full.lua",
	             "return { about = 'all there is', services = { { name = 'a-1', port = 65535 },"
	             " { name = 'b_2', port = 1, tls = true, optional = true }, { name = 'c' } },"
	             " greeting = { '^x', 'y$' },"
	             " args = { word = { about = 'w' }, times = { default = 3 }, loud = { default = true } },"
	             " probe = function() end }");
	write_script(
	    second, "bare.lua",
	    "return { about = 'bare', services = { { name = 'bare', port = 7 } }, greeting = '^z' }");
	load();
	assert_int_equal(catalogue.problem_count, 0);
	assert_int_equal(catalogue.script_count, 2);
	script = catalogue_script(&catalogue, "full");
	assert_string_equal(script->about, "all there is");
	assert_int_equal(script->service_count, 3);
	assert_true(script->has_probe);
	assert_false(script->services[0].tls || script->services[0].optional);
	assert_true(script->services[1].tls && script->services[1].optional);
	assert_int_equal(script->services[2].port, 0);
	assert_null(catalogue_port(&catalogue, 0));
	assert_int_equal(script->greeting_count, 2);
	assert_string_equal(script->greetings[1], "y$");
	assert_int_equal(script->argument_count, 3); /* by name */
	assert_string_equal(script->arguments[0].name, "loud");
	assert_int_equal(script->arguments[0].type, ARGUMENT_BOOLEAN);
	assert_string_equal(script->arguments[0].initial, "true");
	assert_int_equal(script->arguments[1].type, ARGUMENT_NUMBER);
	assert_int_equal(script->arguments[2].type, ARGUMENT_TEXT);
	assert_null(script->arguments[2].initial);
	assert_string_equal(script->arguments[2].about, "w");
	assert_false(catalogue_script(&catalogue, "bare")->has_probe);
	assert_int_equal(catalogue_script(&catalogue, "bare")->greeting_count, 1);
}

static void finds_by_name_port_and_group(void **state)
{
	(void)state;
	write_script(
	    first, "one.lua",
	    "return { about = '1', services = { { name = 'ssh', port = 22 }, { name = 'x', port = 99 } } }");
	write_script(second, "two.lua",
	             "return { about = '2', services = { { name = 'ssh', port = 2222 }, { name = 'y', port = "
	             "99 } } }");
	write_script(second, "groups.lua",
	             "return { both = { 'ssh', 'y' }, zero = {}, alpha = { 'nobody' } }");
	load();
	expect_service("ssh", 22, "one"); /* the first one is it */
	expect_service("y", 99, "two");
	assert_string_equal(catalogue_port(&catalogue, 99)->name, "x");
	assert_string_equal(catalogue_port(&catalogue, 2222)->script->name, "two");
	assert_null(catalogue_port(&catalogue, 1));
	assert_null(catalogue_port(&catalogue, 0));
	assert_null(catalogue_service(&catalogue, "sh"));
	assert_null(catalogue_script(&catalogue, "groups"));
	assert_string_equal(catalogue_nearest(&catalogue, "shs"), "ssh");
	assert_null(catalogue_nearest(&catalogue, "something else"));
	assert_int_equal(catalogue_group(&catalogue, "both")->member_count, 2);
	assert_string_equal(catalogue_group(&catalogue, "both")->members[1], "y");
	assert_null(catalogue_group(&catalogue, "default"));
	assert_string_equal(catalogue_unknown(&catalogue)->name, "unknown"); /* of no script */
	assert_string_equal(catalogue.groups[0].name, "alpha");              /* in the order of their names */
	assert_string_equal(catalogue.groups[2].name, "zero");
}

static void the_first_of_a_name_overrides(void **state)
{
	(void)state;
	write_script(first, "ssh.lua",
	             "return { about = 'mine', services = { { name = 'mine', port = 22 } } }");
	write_script(first, "bad.lua", "return 1");
	write_script(first, "groups.lua", "return { g = { 'mine' } }");
	write_script(second, "ssh.lua",
	             "return { about = 'theirs', services = { { name = 'ssh', port = 22 } } }");
	write_script(second, "bad.lua",
	             "return { about = 'good', services = { { name = 'good', port = 1 } } }");
	write_script(second, "groups.lua", "return { g = { 'ssh' }, h = { 'ssh' } }");
	load();
	assert_null(catalogue_service(&catalogue, "ssh"));
	expect_service("mine", 22, "ssh");
	assert_null(catalogue_service(&catalogue, "good"));
	assert_true(catalogue_script(&catalogue, "bad")->broken);
	assert_int_equal(catalogue.problem_count, 1);
	assert_string_equal(catalogue_group(&catalogue, "g")->members[0], "mine");
	assert_non_null(catalogue_group(&catalogue, "h"));
	assert_int_equal(catalogue.group_count, 2);
}

static void names_what_is_wrong_and_goes_on(void **state)
{
	char wanted[200];

	(void)state;
	write_script(first, "a.lua", "return {\n x = = 1 }");
	write_script(first, "b.lua",
	             "return { about = 'x', services = { { name = 'b', port = 1 } }, wrong = 1 }");
	write_script(first, "c.lua", "return { about = 'x', services = { { name = 'c', port = 1 } } }");
	load();
	assert_int_equal(catalogue.problem_count, 2);
	snprintf(wanted, sizeof wanted, "%s/a.lua:2: ", first);
	assert_memory_equal(catalogue.problems[0], wanted, strlen(wanted));
	snprintf(wanted, sizeof wanted, "%s/b.lua: unknown field \"wrong\"", first);
	assert_string_equal(catalogue.problems[1], wanted);
	assert_non_null(catalogue_service(&catalogue, "c"));
	assert_null(catalogue_service(&catalogue, "b"));
}

static void takes_files_and_refuses_what_is_neither(void **state)
{
	char        path[200], missing[200];
	const char *paths[] = { path, missing };

	(void)state;
	write_script(first, "one.lua", "return { about = 'x', services = { { name = 'one', port = 1 } } }");
	write_script(first, "two.lua", "return { about = 'x', services = { { name = 'two', port = 2 } } }");
	write_script(first, "notes.txt", "x");
	snprintf(path, sizeof path, "%s/one.lua", first);
	assert_true(load_scripts(&catalogue, paths, 1, error, sizeof error));
	assert_int_equal(catalogue.script_count, 1);
	expect_service("one", 1, "one");
	snprintf(missing, sizeof missing, "%s/nosuch", first);
	assert_false(load_scripts(&catalogue, paths, 2, error, sizeof error));
	assert_non_null(strstr(error, missing));
	snprintf(missing, sizeof missing, "%s/notes.txt", first);
	assert_false(load_scripts(&catalogue, paths, 2, error, sizeof error));
	assert_non_null(strstr(error, ".lua"));
}

/* A script of so many bytes, most of which are a comment. */
static void write_long(const char *where, const char *name, int bytes)
{
	static const char script[] = "return { about = 'x', services = { { name = 'long', port = 1 } } } --";
	char             *text = malloc((size_t)bytes + 1);

	assert_non_null(text);
	snprintf(text, (size_t)bytes + 1, "%s%*s", script, bytes - (int)strlen(script), "");
	write_script(where, name, text);
	free(text);
}

static void expect_problem(size_t number, const char *where, const char *told)
{
	char wanted[200];

	snprintf(wanted, sizeof wanted, "%s/%s", where, told);
	assert_true(number < catalogue.problem_count);
	assert_string_equal(catalogue.problems[number], wanted);
}

static void takes_files_of_any_length_up_to_a_bound(void **state)
{
	char path[200];

	(void)state;
	write_script(first, "a.lua", "");
	write_long(first, "b.lua", 256 * 1024);
	write_long(first, "c.lua", 256 * 1024 + 1);
	write_long(first, "d.lua", 4096);
	snprintf(path, sizeof path, "%s/e.lua", first);
	assert_int_equal(symlink("/proc/version", path), 0); /* says that it has no length */
	snprintf(path, sizeof path, "%s/f.lua", first);
	assert_int_equal(mkfifo(path, 0600), 0);
	load();
	assert_int_equal(catalogue.problem_count, 4);
	expect_problem(0, first,
	               "a.lua: the script must return a table like"
	               " { about = ..., services = ..., probe = ... }");
	expect_problem(1, first, "c.lua: larger than 256 KiB");
	expect_problem(2, first, "e.lua:1: syntax error near 'version'");
	expect_problem(3, first, "f.lua: not a regular file");
	assert_int_equal(catalogue_script(&catalogue, "b")->length, 256 * 1024);
	expect_service("long", 1, "b");
}

static void scripts_do_not_see_each_other(void **state)
{
	(void)state;
	write_script(first, "a.lua",
	             "x = 1 string.y = 2 "
	             "return { about = 'x', services = { { name = 'a', port = 1 } } }");
	write_script(first, "b.lua",
	             "assert(x == nil and string.y == nil and ('').y == nil) "
	             "return { about = 'x', services = { { name = 'b', port = 2 } } }");
	load();
	assert_int_equal(catalogue.problem_count, 0);
}

/* --- many at a time -------------------------------------------------------------------------- */

enum { MANY = 40, TIMES = 20 };

/* For a moment, lest all are through before another thread begins. */
static const char work[] = "local n = 0 for i = 1, 50000 do n = n + i end ";

static void write_numbered(const char *where, const char *prefix, int number, const char *text)
{
	char name[40];

	snprintf(name, sizeof name, "%s%02d.lua", prefix, number);
	write_script(where, name, text);
}

/* Of each four, two are as they should be; one takes its time and has a bad table, and one raises. All use the same
 * libraries. */
static void write_many(void)
{
	static char library[20000];
	char        path[200], text[600];

	snprintf(path, sizeof path, "%s/lib", first);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(library, sizeof library, "return {");
	while (strlen(library) < sizeof library - 40)
		strcat(library, " { 'long', 'to', 'compile' },");
	strcat(library, " works = true }");
	for (int i = 0; i < 5; i++)
		write_numbered(first, "lib/l", i, library);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text,
		         "local works = true for i = 0, 4 do works = require('l0' .. i).works end %s\n%s"
		         "return { about = 'x', services = { { name = 's%d', port = %d } }%s }",
		         i % 4 == 1 ? work : "", i % 4 == 3 ? "error 'no' " : "", i, i + 1,
		         i % 4 == 1 ? ", wrong = 1" : "");
		write_numbered(first, "s", i, text);
	}
	write_script(first, "groups.lua", "return 1");
}

static void expect_many(void)
{
	char   told[100];
	size_t problem = 0;

	assert_int_equal(catalogue.script_count, MANY);
	for (int i = 0; i < MANY; i++) {
		const struct script *script = catalogue.scripts[i];

		assert_int_equal(script->broken, i % 2);
		assert_int_equal(script->service_count, i % 4 == 3 ? 0 : 1);
		if (script->service_count > 0)
			assert_int_equal(script->services[0].port, i + 1);
		snprintf(told, sizeof told, "s%02d.lua%s", i,
		         i % 4 == 3 ? ":2: no" : ": unknown field \"wrong\"");
		if (i % 2)
			expect_problem(problem++, first, told);
	}
	expect_problem(problem++, first, "groups.lua: the file must return a table of groups");
	assert_int_equal(catalogue.problem_count, problem);
	assert_int_equal(catalogue.libraries->rank, 5);
}

static void what_many_scripts_are_and_what_is_wrong_comes_in_their_order(void **state)
{
	(void)state;
	write_many();
	for (int i = 0; i < TIMES; i++) {
		load();
		expect_many();
		catalogue_free(&catalogue);
	}
}

/* It would depend on how far the others have come; those of the folders before are there. */
static void a_script_that_runs_sees_no_other_of_its_folder(void **state)
{
	char text[600];

	(void)state;
	write_script(first, "before.lua",
	             "return { about = 'x', services = { { name = 'before' } }, greeting = '^before' }");
	for (int i = 0; i < MANY; i++) {
		snprintf(
		    text, sizeof text,
		    "%s assert(not scan.classify 'word' and scan.classify 'before' == 'before')"
		    " return setmetatable({ about = 'x', greeting = '^word' }, { __index = function(_, key)"
		    " scan.classify 'word' return key == 'services' and { { name = 's%d' } } or nil end })",
		    work, i);
		write_numbered(second, "s", i, text);
	}
	load();
	if (catalogue.problem_count > 0)
		fail_msg("%s", catalogue.problems[0]);
	assert_non_null(catalogue_service(&catalogue, "s0"));
}

static void what_trusted_scripts_do_is_done_in_their_order(void **state)
{
	char  text[400], path[200], line[40];
	FILE *log;

	(void)state;
	catalogue.trusted = 2;
	snprintf(path, sizeof path, "%s/log", first);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text,
		         "local log = io.open('%s', 'a') %s log:write('%d\\n') log:close()"
		         " return { about = 'x', services = { { name = 's%d' } } }",
		         path, work, i, i);
		write_numbered(first, "s", i, text);
	}
	load();
	assert_int_equal(catalogue.problem_count, 0);
	log = fopen(path, "re");
	assert_non_null(log);
	for (int i = 0; i < MANY; i++)
		assert_true(fgets(line, sizeof line, log) && atoi(line) == i);
	fclose(log);
}

/* --- arguments ------------------------------------------------------------------------------- */

static void set(const char *setting)
{
	if (!catalogue_set_argument(&catalogue, setting, error, sizeof error))
		fail_msg("%s", error);
}

static void refuse(const char *setting, const char *part)
{
	assert_false(catalogue_set_argument(&catalogue, setting, error, sizeof error));
	if (!strstr(error, part))
		fail_msg("%s: %s", setting, error);
}

static void arguments_are_typed_by_their_defaults(void **state)
{
	const struct script *script;

	(void)state;
	write_script(first, "smtp.lua",
	             "return { about = 'x', services = { { name = 'mx', port = 25 } },"
	             " args = { ehlo = {}, times = { default = 1.5 }, loud = { default = false } } }");
	load();
	script = catalogue_script(&catalogue, "smtp");
	set("smtp.ehlo=a=b");
	assert_string_equal(script->arguments[0].value, "a=b");
	set("smtp.ehlo=");
	assert_string_equal(script->arguments[0].value, "");
	set("smtp.times=-2.5e3");
	set("smtp.loud=true");
	refuse("smtp.times=many", "number");
	refuse("smtp.times=", "number");
	refuse("smtp.times=1x", "number");
	refuse("smtp.loud=yes", "true or false");
	refuse("smtp.elho=x", "smtp.ehlo");
	refuse("stmp.ehlo=x", "smtp.ehlo");
	refuse("mx.ehlo=x", "mx.ehlo"); /* by the script's name, not the service's */
	refuse("smtp.ehlo", "smtp.ehlo");
	refuse("ehlo=x", "ehlo");
	assert_string_equal(script->arguments[0].value, "");
}

#define with_files(test) cmocka_unit_test_teardown(test, clear)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_files(reads_what_a_script_declares),
		with_files(finds_by_name_port_and_group),
		with_files(the_first_of_a_name_overrides),
		with_files(names_what_is_wrong_and_goes_on),
		with_files(takes_files_and_refuses_what_is_neither),
		with_files(takes_files_of_any_length_up_to_a_bound),
		with_files(scripts_do_not_see_each_other),
		with_files(what_many_scripts_are_and_what_is_wrong_comes_in_their_order),
		with_files(a_script_that_runs_sees_no_other_of_its_folder),
		with_files(what_trusted_scripts_do_is_done_in_their_order),
		with_files(arguments_are_typed_by_their_defaults),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
