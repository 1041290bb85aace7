/* options: the command line, told by examples as a user would type them. */
#include "options.h"

#include "base/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 64 };

/* The line in hand, split at its blanks; '' is an empty word. */
static char  text[1024];
static char *words[WORDS];
static int   count;

static struct options options;
static char           error[OPTIONS_ERROR_TEXT];

static void split(const char *line)
{
	char *rest;

	assert_true(strlen(line) < sizeof text);
	strcpy(text, line);
	count = 0;
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(count < WORDS - 1);
		words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
	}
	words[count] = NULL;
}

static bool parse(const char *line)
{
	split(line);
	memset(&options, 0xaa, sizeof options); /* what is not set shows */
	memset(error, 'x', sizeof error);
	return options_parse(&options, count, words, error);
}

static void accept(const char *line)
{
	if (!parse(line))
		fail_msg("\"%s\" is refused: %s", line, error);
	assert_string_equal(error, "");
}

static void refuse(const char *line, const char *why)
{
	if (parse(line))
		fail_msg("\"%s\" is accepted", line);
	options_free(&options);
	if (strcmp(error, why) != 0)
		fail_msg("\"%s\" gives:\n%s\nnot:\n%s", line, error, why);
}

static void assert_words(const struct words *list, const char *expected)
{
	char joined[1024] = "";

	for (size_t i = 0; i < list->count; i++) {
		strcat(joined, i > 0 ? " " : "");
		strcat(joined, list->word[i]);
	}
	assert_string_equal(joined, expected);
}

static bool near(double a, double b)
{
	return a - b < 1e-12 && b - a < 1e-12;
}

/* What is understood */

static void one_target_and_the_defaults(void **state)
{
	(void)state;
	accept("scan localhost");
	assert_int_equal(options.action, ACTION_SCAN);
	assert_null(options.subject);
	assert_words(&options.targets, "localhost");
	assert_int_equal(options.files.count + options.scripts.count + options.arguments.count, 0);
	assert_null(options.services);
	assert_true(near(options.connect_timeout, 3));
	assert_true(near(options.reply_timeout, 10));
	assert_true(near(options.deadline, 30));
	assert_int_equal(options.parallel, 512);
	assert_int_equal(options.per_host, 32);
	assert_int_equal(options.threads, 0);
	assert_int_equal(options.retries, 0);
	assert_true(near(options.rate, 0));
	assert_int_equal(options.family, FAMILY_ANY);
	assert_null(options.output);
	assert_false(options.all_addresses || options.json || options.only_open);
	assert_false(options.verbose || options.quiet || options.trace);
	options_free(&options);
}

static void every_option_in_its_short_form(void **state)
{
	(void)state;
	accept("scan -s ssh,smtp=2525 -S here -a smtp.ehlo=me.example -4 -o out.txt -v -q -P 9 -j 2 -f hosts "
	       "a b");
	assert_string_equal(options.services, "ssh,smtp=2525");
	assert_words(&options.scripts, "here");
	assert_words(&options.arguments, "smtp.ehlo=me.example");
	assert_words(&options.files, "hosts");
	assert_words(&options.targets, "a b");
	assert_int_equal(options.family, FAMILY_IPV4);
	assert_string_equal(options.output, "out.txt");
	assert_true(options.verbose && options.quiet);
	assert_int_equal(options.parallel, 9);
	assert_int_equal(options.threads, 2);
	options_free(&options);
	accept("scan -6 a");
	assert_int_equal(options.family, FAMILY_IPV6);
	options_free(&options);
}

static void every_option_in_its_long_form(void **state)
{
	(void)state;
	accept("scan --services @mail --scripts here --arg a.b=c --connect-timeout 1.5 --reply-timeout .25 "
	       "--deadline 86400 --all-addresses --output out --json --open --verbose --quiet --parallel "
	       "1000000 "
	       "--per-host 1 --rate 2.5 --threads 4 --retries 10 --file - --trace a");
	assert_string_equal(options.services, "@mail");
	assert_words(&options.scripts, "here");
	assert_words(&options.arguments, "a.b=c");
	assert_words(&options.files, "-");
	assert_true(near(options.connect_timeout, 1.5));
	assert_true(near(options.reply_timeout, 0.25));
	assert_true(near(options.deadline, 86400));
	assert_true(options.all_addresses && options.json && options.only_open);
	assert_true(options.verbose && options.quiet && options.trace);
	assert_string_equal(options.output, "out");
	assert_int_equal(options.parallel, 1000000);
	assert_int_equal(options.per_host, 1);
	assert_true(near(options.rate, 2.5));
	assert_int_equal(options.threads, 4);
	assert_int_equal(options.retries, 10);
	options_free(&options);
}

/* Each line says the same as the first of its group. */
static void one_meaning_many_spellings(void **state)
{
	static const char *const lines[] = {
		"scan -s ssh -v -4 -o out host",     "scan host -s ssh -v -4 -o out",
		"scan -sssh -v4oout host",           "scan -4vs ssh host -oout",
		"scan --services=ssh host -4vo out", "scan -v --serv ssh -4 --out=out host",
		"scan -v -4 -o out -s ssh -- host",  "scan --verb --ipv4 --output out host --services ssh --",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		accept(lines[i]);
		assert_string_equal(options.services, "ssh");
		assert_string_equal(options.output, "out");
		assert_int_equal(options.family, FAMILY_IPV4);
		assert_true(options.verbose);
		assert_words(&options.targets, "host");
		options_free(&options);
	}
}

static void repeatable_options_add_up_in_order(void **state)
{
	(void)state;
	accept("scan -S one a -a x.y=1 -S two.lua b -a x.y=2 --scripts=three -a z.z= -a p.q=r=s -f f -f - c "
	       "d e f g");
	assert_words(&options.scripts, "one two.lua three");
	assert_words(&options.arguments, "x.y=1 x.y=2 z.z= p.q=r=s");
	assert_words(&options.files, "f -");
	assert_words(&options.targets, "a b c d e f g");
	options_free(&options);
}

static void the_last_one_of_the_others_counts(void **state)
{
	(void)state;
	accept("scan a --deadline 5 -o one --deadline=7 -o two -4 -4 --json --json");
	assert_true(near(options.deadline, 7));
	assert_string_equal(options.output, "two");
	assert_int_equal(options.family, FAMILY_IPV4);
	assert_true(options.json);
	options_free(&options);
}

static void two_dashes_end_the_options(void **state)
{
	(void)state;
	accept("scan -v -- -s --json -- -");
	assert_words(&options.targets, "-s --json -- -");
	assert_true(options.verbose);
	assert_false(options.json);
	options_free(&options);
}

static void targets_are_taken_as_typed(void **state)
{
	(void)state;
	accept("scan 192.0.2.7:22 [::1]:25 fe80::1%eth0 - ''");
	assert_words(&options.targets, "192.0.2.7:22 [::1]:25 fe80::1%eth0 - ");
	assert_int_equal(options.targets.count, 5);
	options_free(&options);
}

static void a_file_of_targets_will_do(void **state)
{
	(void)state;
	accept("scan -f hosts");
	assert_int_equal(options.action, ACTION_SCAN);
	assert_int_equal(options.targets.count, 0);
	options_free(&options);
}

static void times_are_plain_decimals(void **state)
{
	static const struct {
		const char *line;
		double      seconds;
	} cases[] = {
		{ "scan a --deadline 1", 1 },
		{ "scan a --deadline 0.001", 0.001 },
		{ "scan a --deadline 007.50", 7.5 },
		{ "scan a --deadline 5.", 5 },
		{ "scan a --deadline=.5", 0.5 },
		{ "scan a --deadline 86400.000", 86400 },
		{ "scan a --deadline 0.0000001", 1e-7 },
		{ "scan a --deadline 00000000000000000000002", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		accept(cases[i].line);
		assert_true(near(options.deadline, cases[i].seconds));
		options_free(&options);
	}
}

static void asks_for_something_else_than_a_scan(void **state)
{
	static const struct {
		const char *line;
		enum action action;
	} cases[] = {
		{ "scan", ACTION_SHORT_HELP },
		{ "scan --help", ACTION_HELP },
		{ "scan -h", ACTION_HELP },
		{ "scan -vh", ACTION_HELP },
		{ "scan --version", ACTION_VERSION },
		{ "scan -V", ACTION_VERSION },
		{ "scan --list", ACTION_LIST },
		{ "scan -S more --list --json", ACTION_LIST },
		{ "scan --schema", ACTION_SCHEMA },
		{ "scan --types", ACTION_TYPES },
		{ "scan --list --list", ACTION_LIST },
		/* help is given whatever stands beside it */
		{ "scan localhost --help", ACTION_HELP },
		{ "scan --list --help", ACTION_HELP },
		{ "scan --help --nonsense", ACTION_HELP },
		{ "scan --version --deadline never", ACTION_VERSION },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		accept(cases[i].line);
		if (options.action != cases[i].action)
			fail_msg("\"%s\" is taken for action %d", cases[i].line, (int)options.action);
		options_free(&options);
	}
	accept("scan --describe smtp -v");
	assert_int_equal(options.action, ACTION_DESCRIBE);
	assert_string_equal(options.subject, "smtp");
	options_free(&options);
}

static void no_argv_at_all_is_no_crash(void **state)
{
	char *none[] = { NULL };

	(void)state;
	assert_true(options_parse(&options, 0, none, error));
	assert_int_equal(options.action, ACTION_SHORT_HELP);
	options_free(&options);
}

/* What is refused, and in which words */

static void unknown_options_are_named_with_the_nearest(void **state)
{
	(void)state;
	refuse("scan --jsn a", "unknown option --jsn; did you mean --json?");
	refuse("scan a --jsn=1", "unknown option --jsn; did you mean --json?");
	refuse("scan --conect-timeout 3 a",
	       "unknown option --conect-timeout; did you mean --connect-timeout?");
	refuse("scan --QUIET a", "unknown option --QUIET; did you mean --quiet?");
	refuse("scan --frobnicate a", "unknown option --frobnicate; see scan --help");
	refuse("scan --=x a", "unknown option --; see scan --help");
	refuse("scan ---json a", "unknown option ---json; did you mean --json?");
	refuse("scan -x a",
	       "unknown option -x; see scan --help"); /* one letter is too little to guess from */
	refuse("scan -p 22 a", "unknown option -p; a port is HOST:PORT, or that of a service: -s NAME=PORT");
	refuse("scan -4x a", "unknown letter in -4x; see scan --help");
	refuse("scan -json a", "unknown option -json; did you mean --json?");
	refuse("scan -open a", "unknown option -open; did you mean --open?");
	refuse("scan -help", "unknown option -help; did you mean --help?");
}

static void ambiguous_abbreviations_name_the_choices(void **state)
{
	(void)state;
	refuse("scan --re 5 a",
	       "--re could be --reply-timeout or --resume or --retries or --record or --replay");
	refuse("scan --ver a", "--ver could be --verbose or --version");
	refuse("scan --de=5 a", "--de could be --deadline or --describe");
	accept("scan --deadl 5 a");
	assert_true(near(options.deadline, 5));
	options_free(&options);
}

static void missing_values_are_named(void **state)
{
	(void)state;
	refuse("scan a -s", "-s needs a list of services");
	refuse("scan a --services", "--services needs a list of services");
	refuse("scan a --serv", "--services needs a list of services");
	refuse("scan a -s ''", "-s needs a list of services");
	refuse("scan a --services=", "--services needs a list of services");
	refuse("scan a -vs", "-s needs a list of services");
	refuse("scan a -S", "-S needs a folder or a .lua file");
	refuse("scan a -a", "-a needs PROBE.NAME=VALUE");
	refuse("scan a -f ''", "-f needs a file of targets");
	refuse("scan a --output=", "--output needs a file");
	refuse("scan --describe", "--describe needs the name of a probe");
	refuse("scan a --deadline", "--deadline needs a number of seconds");
	refuse("scan a -P", "-P needs a number of connections");
	/* a forgotten value does not swallow the next option */
	refuse("scan -o --json a", "-o needs a file, not the option --json");
	refuse("scan --services -v a", "--services needs a list of services, not the option -v");
	refuse("scan a -o --", "-o needs a file, not the option --");
	/* unless one insists */
	accept("scan a -o--json");
	assert_string_equal(options.output, "--json");
	options_free(&options);
	accept("scan a -o -");
	assert_string_equal(options.output, "-");
	options_free(&options);
}

static void flags_take_no_value(void **state)
{
	(void)state;
	refuse("scan --json=yes a", "--json takes no value, not \"yes\"");
	refuse("scan --list= ", "--list takes no value, not \"\"");
}

static void times_out_of_range_are_named(void **state)
{
	static const char *const bad[] = { "abc", "0",   "0.0",   "-1", "+1", "1e3",    "0x10", "inf",
		                           "nan", "1,5", "1.2.3", ".",  "3s", "--json", "''" };
	static const char *const names[] = { "--connect-timeout", "--reply-timeout", "--deadline" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
			char line[100], why[100];

			snprintf(line, sizeof line, "scan a %s %s", names[j], bad[i]);
			snprintf(why, sizeof why, "%s wants seconds above 0, not \"%s\"", names[j],
			         strcmp(bad[i], "''") == 0 ? "" : bad[i]);
			refuse(line, why);
		}
	}
	refuse("scan a --deadline 86401", "--deadline wants at most 86400 seconds, not \"86401\"");
	refuse("scan a --deadline 86400.001", "--deadline wants at most 86400 seconds, not \"86400.001\"");
}

/* Further digits than a double can count. */
static void endless_numbers_are_refused(void **state)
{
	char line[900];

	(void)state;
	strcpy(line, "scan a --deadline ");
	memset(line + strlen(line), '9', 500);
	line[518] = '\0';
	assert_false(parse(line));
	options_free(&options);
	memset(line + 19, '0', 499);
	line[18] = '.';
	line[517] = '1';
	assert_false(parse(line));
	options_free(&options);
	memset(line + 18, '9', 500);
	line[268] = '.';
	assert_false(parse(line));
	options_free(&options);
}

static void counts_out_of_range_are_named(void **state)
{
	(void)state;
	refuse("scan a -P 0", "-P wants a whole number from 1 to 1000000, not \"0\"");
	refuse("scan a --parallel 1000001",
	       "--parallel wants a whole number from 1 to 1000000, not \"1000001\"");
	refuse("scan a --per-host x", "--per-host wants a whole number from 1 to 1000000, not \"x\"");
	refuse("scan a --per-host ''", "--per-host wants a whole number from 1 to 1000000, not \"\"");
	refuse("scan a -P -5", "-P wants a whole number from 1 to 1000000, not \"-5\"");
	refuse("scan a -P 4294967297", "-P wants a whole number from 1 to 1000000, not \"4294967297\"");
	refuse("scan a -P 18446744073709551617",
	       "-P wants a whole number from 1 to 1000000, not \"18446744073709551617\"");
	refuse("scan a -j 1025", "-j wants a whole number from 0 to 1024, not \"1025\"");
	refuse("scan a -j=4", "-j wants a whole number from 0 to 1024, not \"=4\"");
	refuse("scan a --retries 11", "--retries wants a whole number from 0 to 10, not \"11\"");
	refuse("scan a --retries ''", "--retries wants a whole number from 0 to 10, not \"\"");
	refuse("scan a --retries 1.5", "--retries wants a whole number from 0 to 10, not \"1.5\"");
	refuse("scan a --rate fast", "--rate wants connections a second, 0 for no limit, not \"fast\"");
	refuse("scan a --rate .", "--rate wants connections a second, 0 for no limit, not \".\"");
	refuse("scan a --rate -1", "--rate wants connections a second, 0 for no limit, not \"-1\"");
	refuse("scan a --rate 99999999999",
	       "--rate wants connections a second, 0 for no limit, not \"99999999999\"");
}

static void arguments_have_a_probe_a_name_and_a_value(void **state)
{
	static const char *const bad[] = { "ehlo",    "smtp.ehlo", "ehlo=me",  "=me",  ".=x",
		                           ".ehlo=x", "smtp.=x",   "smtp=a.b", "=a.b", "=smtp.ehlo=x" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char line[100], why[200];

		snprintf(line, sizeof line, "scan a -a %s", bad[i]);
		snprintf(why, sizeof why,
		         "-a wants PROBE.NAME=VALUE such as smtp.ehlo=me.example, not \"%s\"", bad[i]);
		refuse(line, why);
	}
}

static void contradictions_are_named(void **state)
{
	(void)state;
	refuse("scan -4 -6 a", "-4 and -6 exclude each other; leave one out");
	refuse("scan -64 a", "-4 and -6 exclude each other; leave one out");
	refuse("scan --list --schema", "--list and --schema exclude each other; leave one out");
	refuse("scan --describe ssh --list", "--describe and --list exclude each other; leave one out");
	refuse("scan -s ssh -s smtp a", "-s is given twice; write one list: -s ssh,smtp");
	refuse("scan --list localhost", "--list takes no target, not \"localhost\"");
	refuse("scan --describe ssh smtp", "--describe takes no target, not \"smtp\"");
}

static void programs_by_hand(void **state)
{
	(void)state;
	accept("scan -e print(1)");
	assert_int_equal(options.action, ACTION_EVAL);
	assert_string_equal(options.subject, "print(1)");
	assert_words(&options.targets, "");
	options_free(&options);
	accept("scan host:25 --trace --eval=--x");
	assert_string_equal(options.subject, "--x");
	assert_words(&options.targets, "host:25");
	assert_true(options.trace);
	options_free(&options);
	accept("scan -q --run file -v --nonsense -- --run");
	assert_int_equal(options.action, ACTION_RUN);
	assert_string_equal(options.subject, "file");
	assert_words(&options.targets, "-v --nonsense -- --run");
	assert_true(options.quiet && !options.verbose);
	options_free(&options);
	accept("scan -i host:25 -q");
	assert_int_equal(options.action, ACTION_SHELL);
	assert_words(&options.targets, "host:25");
	options_free(&options);
	refuse("scan -e ''", "-e needs Lua code");
	refuse("scan -e", "-e needs Lua code");
	refuse("scan --run", "--run needs a file of Lua code");
	refuse("scan -e 1 -e 2", "-e is given twice; put all the code into one");
	refuse("scan -i -e 1", "--interactive and --eval exclude each other; leave one out");
	refuse("scan -i a:1 b:2", "--interactive takes one HOST:PORT, not \"b:2\"");
	refuse("scan -e 1 a:1 b:2", "--eval takes one HOST:PORT, not \"b:2\"");
}

static void trust_is_for_named_scripts(void **state)
{
	(void)state;
	accept("scan -S a -S b a");
	assert_int_equal(options.trusted, 0);
	options_free(&options);
	accept("scan --trust -S a -S b a");
	assert_int_equal(options.trusted, 2);
	options_free(&options);
	refuse("scan --trust a", "--trust is for the scripts that -S names; there are none");
}

static void a_scan_needs_a_target(void **state)
{
	(void)state;
	refuse("scan -v", "no target; try: scan localhost");
	refuse("scan --", "no target; try: scan localhost");
	refuse("scan -s ssh", "no target; try: scan localhost");
}

/* The word at fault is shown so that it does no harm to a terminal, and the error stays one short line. */
static void errors_are_safe_to_show(void **state)
{
	static const char *const openings[] = { "scan a -a ", "scan --", "scan -4", "scan -s x -s ",
		                                "scan --list " };
	char                     line[1000];

	(void)state;
	refuse("scan --\x1b[2J a", "unknown option --\\x1b[2J; see scan --help");
	refuse("scan -\xc3\xa9 a", "unknown option -\u00e9; see scan --help");
	refuse("scan a --deadline 1\n2", "--deadline wants seconds above 0, not \"1\\x0a2\"");
	refuse("scan a -a \u202e",
	       "-a wants PROBE.NAME=VALUE such as smtp.ehlo=me.example, not \"\\u{202e}\"");
	refuse("scan a --deadline 9999999999999999999999999999999999999999999999999999999999999999999",
	       "--deadline wants at most 86400 seconds, not "
	       "\"999999999999999999999999999999999999999999999999999999999...\"");
	/* many bytes a column */
	for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
		strcpy(line, openings[i]);
		for (int j = 0; j < 60; j++)
			strcat(line, "\u6f22\u0301\u0323");
		assert_false(parse(line));
		assert_true(utf8_valid(error, strlen(error)));
		assert_true(strlen(error) < OPTIONS_ERROR_TEXT - 1);
		options_free(&options);
	}
}

/* The parser keeps nothing between two calls, and leaves argv as it was. */
static void parses_again_and_again(void **state)
{
	char *before[WORDS];

	(void)state;
	for (int i = 0; i < 3; i++) {
		split("scan a -v b -s ssh -- -x c");
		memcpy(before, words, sizeof before);
		assert_true(options_parse(&options, count, words, error));
		assert_memory_equal(before, words, sizeof before);
		assert_words(&options.targets, "a b -x c");
		options_free(&options);
		options_free(&options); /* twice is once */
		assert_int_equal(options.targets.count, 0);
		refuse("scan -4", "no target; try: scan localhost");
		refuse("scan -vx", "unknown letter in -vx; see scan --help");
	}
}

/* Help */

static size_t lines_of(const char *help, size_t *longest)
{
	size_t lines = 0;

	*longest = 0;
	for (size_t length; *help; help += length + 1) {
		length = strcspn(help, "\n");
		assert_int_equal(help[length], '\n');
		*longest = length > *longest ? length : *longest;
		lines++;
	}
	return lines;
}

static void the_short_help_is_short(void **state)
{
	size_t longest;

	(void)state;
	assert_in_range(lines_of(options_short_help(), &longest), 5, 10);
	assert_in_range(longest, 20, 80);
	assert_non_null(strstr(options_short_help(), "scan localhost"));
	assert_non_null(strstr(options_short_help(), "--help"));
}

static void the_help_names_what_works(void **state)
{
	/* clang-format off */
	static const char *const named[] = {
		"-s, --services", "-S, --scripts", "-a, --arg",      "--connect-timeout", "--reply-timeout",
		"--deadline",     "-4",            "-6",             "--all-addresses",   "-o, --output",
		"--json",         "--open",        "-v, --verbose",  "-q, --quiet",       "--list",
		"--describe",     "--schema",      "-h, --help",     "-V, --version",     "default: 3)",
		"default: 10)",   "default: 30)",  "@default",       "Exit status",       "Examples",
	};
	/* clang-format on */
	size_t longest;

	(void)state;
	lines_of(options_help(), &longest);
	assert_in_range(longest, 20, 80);
	for (size_t i = 0; i < sizeof named / sizeof *named; i++)
		if (!strstr(options_help(), named[i]))
			fail_msg("the help is silent on %s", named[i]);
}

/* Every option that the help names is one. */
static void the_help_names_nothing_else(void **state)
{
	(void)state;
	for (const char *at = options_help(); (at = strstr(at, "--")); at++) {
		char   line[64];
		size_t length = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");

		if (length == 0 || length > 20)
			continue;
		snprintf(line, sizeof line, "scan --%.*s", (int)length, at + 2);
		if (!parse(line) && strstr(error, "unknown"))
			fail_msg("%s", error);
		options_free(&options);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_target_and_the_defaults),
		cmocka_unit_test(every_option_in_its_short_form),
		cmocka_unit_test(every_option_in_its_long_form),
		cmocka_unit_test(one_meaning_many_spellings),
		cmocka_unit_test(repeatable_options_add_up_in_order),
		cmocka_unit_test(the_last_one_of_the_others_counts),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(targets_are_taken_as_typed),
		cmocka_unit_test(a_file_of_targets_will_do),
		cmocka_unit_test(times_are_plain_decimals),
		cmocka_unit_test(asks_for_something_else_than_a_scan),
		cmocka_unit_test(no_argv_at_all_is_no_crash),
		cmocka_unit_test(unknown_options_are_named_with_the_nearest),
		cmocka_unit_test(ambiguous_abbreviations_name_the_choices),
		cmocka_unit_test(missing_values_are_named),
		cmocka_unit_test(flags_take_no_value),
		cmocka_unit_test(times_out_of_range_are_named),
		cmocka_unit_test(endless_numbers_are_refused),
		cmocka_unit_test(counts_out_of_range_are_named),
		cmocka_unit_test(arguments_have_a_probe_a_name_and_a_value),
		cmocka_unit_test(contradictions_are_named),
		cmocka_unit_test(programs_by_hand),
		cmocka_unit_test(trust_is_for_named_scripts),
		cmocka_unit_test(a_scan_needs_a_target),
		cmocka_unit_test(errors_are_safe_to_show),
		cmocka_unit_test(parses_again_and_again),
		cmocka_unit_test(the_short_help_is_short),
		cmocka_unit_test(the_help_names_what_works),
		cmocka_unit_test(the_help_names_nothing_else),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
