/* scan: options to a scan to an exit status. The only place that exits. */
#include "base/escape.h"
#include "net/resolve.h"
#include "options.h"
#include "output/json.h"
#include "output/listing.h"
#include "output/output.h"
#include "output/progress.h"
#include "scan/scanner.h"
#include "script/load.h"
#include "workbench/check.h"
#include "workbench/eval.h"
#include "workbench/record.h"
#include "workbench/replay.h"
#include "workbench/scaffold.h"
#include "workbench/shell.h"
#include "workbench/types.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_VERSION "0.1"

#ifndef SCAN_SCRIPTS_DIR
#define SCAN_SCRIPTS_DIR "/usr/local/share/scan/scripts"
#endif

enum status {
	STATUS_DONE = 0,
	/* A host is not as --expect says, or a probe not as --check and --replay want it. */
	STATUS_FELL_SHORT = 1,
	STATUS_USAGE = 2,      /* usage, or it could not start */
	STATUS_INCOMPLETE = 3, /* some target not examined, or output not written */
	STATUS_SCRIPT = 4,     /* a probe script failed */
	STATUS_SIGNAL = 128
};

/* From so many hosts on, a summary follows. */
enum { MANY_HOSTS = 16 };

enum { PATH_TEXT = 4096, ERROR_TEXT = 1024, LISTING = 1024 * 1024, TYPES_ROOM = 64 * 1024 };

/* --- small things ---------------------------------------------------------------------------- */

/* A line on standard error, safe for a terminal. */
static void complain(const char *text)
{
	struct buffer line;

	buffer_init(&line, 8 * ERROR_TEXT);
	escape_terminal(&line, text, strlen(text), ERROR_TEXT);
	fprintf(stderr, "scan: %.*s\n", (int)buffer_length(&line), buffer_bytes(&line));
	buffer_free(&line);
}

static enum status usage(const char *text)
{
	complain(text);
	return STATUS_USAGE;
}

/* A closed standard stream would give its number to the first socket, and words meant for people
 * would go to a server. What is written to such a stream fails. */
static void open_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): see aborted */
static bool is_of_libuv(void *frame)
{
	Dl_info     place;
	const char *name = dladdr(frame, &place) != 0 ? place.dli_fname : NULL;
	const char *slash = name ? strrchr(name, '/') : NULL;

	return slash && strncmp(slash, "/libuv", 6) == 0;
}

/* libuv aborts where the system refuses it memory, a descriptor or a call that its loops cannot do without. That
 * is a shortage like others, and no crash: all records so far are whole. Other aborts take their usual course.
 * It is called by abort() alone, in a place that is known; so it may do more than other handlers. */
static void aborted(int signal)
{
	static const char words[] = "scan: cannot go on: this machine lacks memory or descriptors\n";
	void             *frames[16];
	int               count = backtrace(frames, sizeof frames / sizeof *frames);
	bool              is_short = count == 0; /* there is not even the memory to look where it is */

	(void)signal;
	for (int i = 0; i < count; i++)
		is_short = is_short || is_of_libuv(frames[i]);
	if (is_short && write(STDERR_FILENO, words, sizeof words - 1) > 0)
		_exit(STATUS_INCOMPLETE);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

/* A scan takes and gives back the same memory for each connection; without this, malloc would ask the
 * system for it, and return it, again and again. */
static void keep_memory(void)
{
	mallopt(M_TOP_PAD, 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
}

/* Whoever closes a pipe, like head, has read enough, and wants no words about it. */
static enum status unwritten(int error)
{
	if (error != EPIPE)
		fprintf(stderr, "scan: cannot write output: %s\n", strerror(error));
	return STATUS_INCOMPLETE;
}

/* Text for standard output; its failure is the exit status. */
static enum status show(const char *bytes, size_t length)
{
	if (fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0)
		return STATUS_DONE;
	return unwritten(errno);
}

/* --- scripts --------------------------------------------------------------------------------- */

/* scripts/ beside the program, or else the installed folder. */
static void default_folder(char path[PATH_TEXT])
{
	ssize_t     length = readlink("/proc/self/exe", path, PATH_TEXT - sizeof "/scripts");
	struct stat status;
	char       *slash;

	if (length > 0) {
		path[length] = '\0';
		slash = strrchr(path, '/');
		strcpy(slash ? slash : path, "/scripts");
		if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
			return;
	}
	snprintf(path, PATH_TEXT, "%s", SCAN_SCRIPTS_DIR);
}

static bool set_arguments(struct catalogue *catalogue, const struct options *options)
{
	char error[ERROR_TEXT];

	if (options->try_hidden)
		catalogue_set_all(catalogue, "try_hidden", "true");
	for (size_t i = 0; i < options->arguments.count; i++) {
		if (!catalogue_set_argument(catalogue, options->arguments.word[i], error, sizeof error)) {
			complain(error);
			return false;
		}
	}
	return true;
}

/* Where scripts are: the user's own folders first, then $SCAN_SCRIPTS, then the shipped ones, whose name goes to
 * `shipped`. The array is the caller's to free; NULL: no memory. */
static const char **script_paths(const struct options *options, char shipped[PATH_TEXT], size_t *count)
{
	const char **paths = calloc(options->scripts.count + 2, sizeof *paths);
	const char  *environment = getenv("SCAN_SCRIPTS");

	*count = 0;
	if (!paths)
		complain("not enough memory");
	for (size_t i = 0; paths && i < options->scripts.count; i++)
		paths[(*count)++] = options->scripts.word[i];
	if (paths && environment && *environment)
		paths[(*count)++] = environment;
	default_folder(shipped);
	if (paths && (*count == 0 || access(shipped, F_OK) == 0))
		paths[(*count)++] = shipped;
	return paths;
}

/* Programs of the user's own: what is wrong with some probe is nothing to them. */
static bool by_hand(enum action action)
{
	return action == ACTION_EVAL || action == ACTION_RUN || action == ACTION_SHELL;
}

static bool load(struct catalogue *catalogue, const struct options *options)
{
	size_t       count;
	char         shipped[PATH_TEXT], error[PATH_TEXT + ERROR_TEXT];
	const char **paths = script_paths(options, shipped, &count);
	bool         good;

	if (!paths)
		return false;
	catalogue->trusted = options->trusted;
	good = load_scripts(catalogue, paths, count, error, sizeof error);
	free(paths);
	if (!good)
		complain(error);
	for (size_t i = 0; i < catalogue->problem_count && !by_hand(options->action); i++)
		complain(catalogue->problems[i]);
	return good && set_arguments(catalogue, options);
}

/* --- scanning -------------------------------------------------------------------------------- */

static int family_of(const struct options *options)
{
	return options->family == FAMILY_IPV4   ? AF_INET
	       : options->family == FAMILY_IPV6 ? AF_INET6
	                                        : AF_UNSPEC;
}

static struct settings settings_of(const struct options *options)
{
	return (struct settings){
		.connect_timeout = options->connect_timeout,
		.reply_timeout = options->reply_timeout,
		.deadline = options->deadline,
		.family = family_of(options),
		.all_addresses = options->all_addresses,
		.parallel = options->parallel,
		.per_host = options->per_host,
		.threads = options->threads,
		.rate = options->rate,
		.retries = (int)options->retries,
		.measured = options->stats,
		.wordless = options->json && !options->record,
	};
}

/* A service without a port of its own can only be tried on one that the user names. */
static bool ports_known(const struct selection *selection, const struct targets *targets)
{
	char error[ERROR_TEXT];

	for (size_t i = 0; i < selection->count && targets_ports(targets); i++) {
		const char *name = selection->choices[i].service->name;

		if (selection->choices[i].port != 0)
			continue;
		snprintf(error, sizeof error, "the service %s has no port of its own; say -s %s=PORT", name,
		         name);
		complain(error);
		return false;
	}
	return true;
}

static void nudge(void *owner)
{
	scanner_nudge(owner);
}

static enum status ending(enum scan_end end, int signal, int write_error, const struct output *output,
                          const struct scan *scan)
{
	struct tally *tally = scan->tally;

	tally->unread = write_error == EPIPE;
	/* A Ctrl-C ends the readers of a pipe as well, perhaps first. */
	if (signal != 0 && (write_error == 0 || tally->unread))
		return STATUS_SIGNAL + (enum status)signal;
	if (write_error != 0)
		return unwritten(write_error);
	if (end == SCAN_NOT_STARTED)
		return usage("could not start: no memory, descriptors or threads left");
	if (atomic_load(&tally->lost) > 0)
		fprintf(stderr, "scan: not enough memory: %" PRIu64 " results are missing\n",
		        (uint64_t)atomic_load(&tally->lost));
	if (output_some_broken(output) || scan->catalogue->problem_count > 0)
		return STATUS_SCRIPT;
	if (output_some_failed(output) || atomic_load(&tally->lost) > 0)
		return STATUS_INCOMPLETE;
	return output_fell_short(output) > 0 ? STATUS_FELL_SHORT : STATUS_DONE;
}

/* Last words from a signal's handler. The status says it too, where nobody reads them any more. */
static void leave(int signal, const char *words)
{
	ssize_t written = write(STDERR_FILENO, words, strlen(words));

	(void)written;
	_exit(STATUS_SIGNAL + signal);
}

static void on_signals(void (*handler)(int signal))
{
	struct sigaction stop = { .sa_handler = handler };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
}

/* A reader may be slow with what is left. */
static void stopped_late(int signal)
{
	leave(signal,
	      "scan: ended before all was written. A run whose lines of --json are in FILE goes on with "
	      "--resume FILE.\n");
}

static enum status run(const struct scan *scan, struct output *output, struct writer *writer)
{
	struct scanner *scanner = scanner_new(scan);
	enum scan_end   end;
	int             signal = 0, write_error;

	if (!scanner) {
		writer_close(writer);
		return usage("could not start: no memory, descriptors or threads left");
	}
	writer_listen(writer, nudge, scanner);
	end = scanner_run(scanner, &signal);
	on_signals(stopped_late);
	output_finish(output);
	write_error = writer_close(writer);
	on_signals(SIG_DFL);
	scanner_free(scanner);
	return ending(end, signal, write_error, output, scan);
}

/* The same, with the conversations written to files. */
static enum status run_recorded(const struct options *options, const struct scan *plan, struct output *output,
                                struct writer *writer)
{
	struct scan    scan = *plan;
	char           error[PATH_TEXT + ERROR_TEXT];
	struct record *record = record_new(options->record, plan->settings, options->scripts.word,
	                                   options->scripts.count, &plan->listener, error, sizeof error);
	enum status    status;
	int            write_error;

	if (!record) {
		writer_close(writer);
		return usage(error);
	}
	scan.listener = record_listener(record);
	status = run(&scan, output, writer);
	write_error = record_free(record);
	if (write_error == 0)
		return status;
	snprintf(error, sizeof error, "cannot write all conversations to %s: %s", options->record,
	         strerror(write_error));
	complain(error);
	return status < STATUS_SIGNAL ? STATUS_INCOMPLETE : status;
}

static bool colours(const struct options *options, const struct writer *writer)
{
	const char *no_color = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	return !options->json && writer_terminal(writer) && !(no_color && *no_color) && terminal &&
	       strcmp(terminal, "dumb") != 0;
}

/* A scan that goes on writes behind what it found in the file before. */
static bool continues_output(const struct options *options)
{
	struct stat output, resume;

	if (!options->output || !options->resume)
		return false;
	return strcmp(options->output, options->resume) == 0 ||
	       (stat(options->output, &output) == 0 && stat(options->resume, &resume) == 0 &&
	        output.st_dev == resume.st_dev && output.st_ino == resume.st_ino);
}

/* NULL where there is no expression, and where it is wrong: then *good is false. */
static struct expression *read_expression(const struct scan *scan, const char *option, const char *text,
                                          bool *good)
{
	const struct service **services;
	struct expression     *expression = NULL;
	char                   error[ERROR_TEXT], line[2 * ERROR_TEXT];

	if (!text)
		return NULL;
	services = calloc(scan->selection->count + 1, sizeof *services);
	for (size_t i = 0; services && i < scan->selection->count; i++)
		services[i] = scan->selection->choices[i].service;
	if (services)
		expression = expression_new(scan->catalogue, text, services, scan->selection->count, error,
		                            sizeof error);
	free(services);
	if (!expression) {
		snprintf(line, sizeof line, "%s: %s", option, error);
		complain(line);
		*good = false;
	}
	return expression;
}

static enum status deliver_to(struct writer *writer, const struct options *options, const struct scan *scan,
                              struct expression *where, struct expression *expect)
{
	struct output_style style = {
		.json = options->json,
		.only_open = options->only_open,
		.verbose = options->verbose,
		.colour = colours(options, writer),
		.single = targets_total(scan->targets) == 1 && !options->all_addresses,
		.trace = options->trace,
		.where = where,
		.expect = expect,
		.progress = !options->quiet && isatty(STDERR_FILENO),
	};
	struct output *output = output_new(&style, writer, scan->tally);
	struct scan    listened = *scan;
	enum status    status;

	if (!output) {
		writer_close(writer);
		return usage("not enough memory");
	}
	listened.listener = output_listener(output);
	status = options->record ? run_recorded(options, &listened, output, writer)
	                         : run(&listened, output, writer);
	output_free(output);
	return status;
}

static enum status deliver(const struct options *options, const struct scan *scan)
{
	bool               good = true;
	struct expression *where = read_expression(scan, "--where", options->where, &good);
	struct expression *expect = read_expression(scan, "--expect", options->expect, &good);
	struct writer     *writer = good ? writer_open(options->output, continues_output(options)) : NULL;
	enum status        status = STATUS_USAGE;
	char               error[PATH_TEXT];

	if (writer) {
		status = deliver_to(writer, options, scan, where, expect);
	} else if (good) {
		snprintf(error, sizeof error, "%s: %s", options->output ? options->output : "standard output",
		         strerror(errno));
		status = usage(error);
	}
	expression_free(where);
	expression_free(expect);
	return status;
}

static struct targets *open_targets(const struct options *options, const struct exclude *exclude)
{
	char            error[ERROR_TEXT];
	struct targets *targets = targets_new(
	    &(struct targets_setup){ .words = options->targets.word,
	                             .word_count = options->targets.count,
	                             .files = options->files.word,
	                             .file_count = options->files.count,
	                             .family = family_of(options),
	                             .exclude = exclude,
	                             .shuffle = options->shuffle,
	                             .seed = options->seeded ? options->seed : clock_now(),
	                             .shard = options->shard,
	                             .shards = options->shards,
	                             .complain = complain },
	    error, sizeof error);

	if (!targets)
		complain(error);
	return targets;
}

static bool read_excludes(struct exclude *exclude, const struct options *options)
{
	char error[PATH_TEXT + ERROR_TEXT];

	for (size_t i = 0; i < options->excludes.count; i++) {
		if (!exclude_add(exclude, options->excludes.word[i], error, sizeof error)) {
			complain(error);
			return false;
		}
	}
	return true;
}

static void tell_interrupted(const struct tally *tally)
{
	fprintf(stderr, "scan: interrupted after %" PRIu64, (uint64_t)atomic_load(&tally->hosts_done));
	if (tally->hosts_known > 0)
		fprintf(stderr, " of %" PRIu64, tally->hosts_known);
	fprintf(stderr, " hosts%s. A run whose lines of --json are in FILE goes on with --resume FILE.\n",
	        tally->unread ? "" : "; what is finished has been written");
}

/* That it was interrupted is the last line. */
static void tell_ending(enum status status, const struct options *options, const struct tally *tally,
                        const struct targets *targets)
{
	const char *missing = targets_missing(targets);

	if (missing && status < STATUS_SIGNAL && !options->quiet)
		fprintf(stderr, "scan: no host was scanned: %s\n", missing);
	if (atomic_load(&tally->hosts_done) >= MANY_HOSTS && !options->quiet && !tally->unread)
		progress_summary(stderr, tally);
	if (options->stats)
		progress_effort(stderr, &tally->effort);
	if (status >= STATUS_SIGNAL)
		tell_interrupted(tally);
}

/* What the run before has found; *resume is NULL without, and where this run is the first to write to the file. */
static bool read_former(const struct options *options, const struct selection *selection,
                        struct resume **resume)
{
	char error[PATH_TEXT + ERROR_TEXT] =
	    "-o FILE is the file of --resume, which holds JSON lines, and wants --json";
	bool        continues = continues_output(options);
	struct stat status;

	if (!options->resume ||
	    (continues && options->json && stat(options->resume, &status) != 0 && errno == ENOENT))
		return true;
	if (!continues || options->json)
		*resume = resume_load(options->resume, selection, error, sizeof error);
	if (!*resume)
		complain(error);
	return *resume != NULL;
}

/* There may be much to read before a scan begins, and names slow to be found. The scanner has its own handler in place of this. */
static void stopped_early(int signal)
{
	leave(signal, "scan: interrupted before the first host; to begin, run the same command again\n");
}

static enum status scan(const struct options *options, const struct catalogue *catalogue)
{
	static struct tally tally; /* too large for the stack */

	struct settings  settings = settings_of(options);
	struct selection selection = { 0 };
	struct exclude  *exclude = exclude_new();
	struct targets  *targets = NULL;
	struct resume   *resume = NULL;
	enum status      status = STATUS_USAGE;
	char             error[PATH_TEXT + ERROR_TEXT];

	if (!exclude)
		complain("not enough memory");
	else if (read_excludes(exclude, options))
		targets = open_targets(options, exclude);
	if (!targets)
		goto out;
	if (!selection_parse(&selection, catalogue, options->services, error, sizeof error)) {
		complain(error);
		goto out;
	}
	if (!read_former(options, &selection, &resume))
		goto out;
	tally_init(&tally, &selection, targets_total(targets));
	if (ports_known(&selection, targets))
		status = deliver(options, &(struct scan){ .settings = &settings,
		                                          .catalogue = catalogue,
		                                          .selection = &selection,
		                                          .resume = resume,
		                                          .tally = &tally,
		                                          .exclude = exclude,
		                                          .targets = targets });
	if (status == STATUS_DONE && targets_flawed(targets))
		status = STATUS_INCOMPLETE;
	if (status != STATUS_USAGE)
		tell_ending(status, options, &tally, targets);
out:
	resume_free(resume);
	selection_free(&selection);
	targets_free(targets);
	exclude_free(exclude);
	return status;
}

/* --- the other actions ----------------------------------------------------------------------- */

static enum status list(const struct options *options, const struct catalogue *catalogue)
{
	struct buffer text;
	bool          found = true;
	enum status   status;
	char          error[ERROR_TEXT];

	buffer_init(&text, LISTING);
	if (options->action == ACTION_LIST)
		listing_all(&text, catalogue);
	else
		found = listing_one(&text, catalogue, options->subject);
	if (found) {
		status = show(buffer_bytes(&text), buffer_length(&text));
	} else {
		snprintf(error, sizeof error, "no probe or service \"%s\"%s%.*s%s; --list shows all",
		         options->subject, buffer_length(&text) > 0 ? "; did you mean " : "",
		         (int)buffer_length(&text), buffer_bytes(&text), buffer_length(&text) > 0 ? "?" : "");
		status = usage(error);
	}
	buffer_free(&text);
	return status;
}

static int run_program(const struct options *options, const struct catalogue *catalogue)
{
	return eval_run(&(struct eval){ .catalogue = catalogue,
	                                .code = options->action == ACTION_EVAL ? options->subject : NULL,
	                                .file = options->action == ACTION_RUN ? options->subject : NULL,
	                                .words = options->targets.word,
	                                .word_count = options->targets.count,
	                                .connect_timeout = options->connect_timeout,
	                                .reply_timeout = options->reply_timeout,
	                                .family = family_of(options),
	                                .trace = options->trace });
}

static int run_shell(const struct options *options, const struct catalogue *catalogue)
{
	return shell_run(&(struct shell_setup){
	    .catalogue = catalogue,
	    .target = options->targets.count > 0 ? options->targets.word[0] : NULL,
	    .connect_timeout = options->connect_timeout,
	    .reply_timeout = options->reply_timeout,
	    .family = family_of(options),
	    .quiet = options->quiet,
	});
}

static enum status with_catalogue(const struct options *options, const struct catalogue *catalogue)
{
	switch (options->action) {
	case ACTION_SCAN:
		return scan(options, catalogue);
	case ACTION_EVAL:
	case ACTION_RUN:
		return (enum status)run_program(options, catalogue);
	case ACTION_SHELL:
		return (enum status)run_shell(options, catalogue);
	default:
		return list(options, catalogue);
	}
}

/* --- for the authors of probes --------------------------------------------------------------- */

static enum status replay_with(struct replay *replay, const struct options *options)
{
	struct catalogue catalogue = { 0 };
	struct settings  settings = settings_of(options);
	bool             good = false;
	enum status      status = STATUS_USAGE;

	if (load(&catalogue, options)) {
		good = replay_run(replay, &(struct replay_setup){ .catalogue = &catalogue,
		                                                  .settings = &settings,
		                                                  .out = stdout,
		                                                  .trace = options->trace ? stderr : NULL,
		                                                  .verbose = options->verbose });
		status = show("", 0);
	}
	catalogue_free(&catalogue);
	return status != STATUS_DONE || good ? status : STATUS_FELL_SHORT;
}

/* The scripts that the files bring along come behind the user's own. */
static enum status replay(const struct options *options)
{
	struct replay     *replay = replay_new(options->targets.word, options->targets.count);
	struct options     more = *options;
	size_t             count = 0, own = options->scripts.count;
	const char *const *scripts = replay ? replay_scripts(replay, &count) : NULL;
	enum status        status = STATUS_USAGE;

	more.scripts.word = calloc(own + count + 1, sizeof *more.scripts.word);
	if (replay && more.scripts.word) {
		for (size_t i = 0; i < own + count; i++)
			more.scripts.word[i] = i < own ? options->scripts.word[i] : scripts[i - own];
		more.scripts.count = own + count;
		status = replay_with(replay, &more);
	}
	free(more.scripts.word);
	replay_free(replay);
	return status;
}

static enum status check(const struct options *options)
{
	size_t       count;
	char         shipped[PATH_TEXT];
	const char **paths = script_paths(options, shipped, &count);
	bool clean = paths && check_files(&(struct check_setup){ paths, count, options->trust, stdout },
	                                  options->targets.word, options->targets.count);
	enum status status = show("", 0);

	free(paths);
	return status == STATUS_DONE && !clean ? STATUS_FELL_SHORT : status;
}

static enum status make_probe(const struct options *options)
{
	char said[ERROR_TEXT];

	if (!scaffold_make(options->subject, (uint16_t)options->port, said, sizeof said))
		return usage(said);
	return show(said, strlen(said));
}

static enum status with_scripts(const struct options *options)
{
	struct catalogue catalogue = { 0 };
	enum status      status = STATUS_USAGE;

	if (options->action == ACTION_SCAN)
		on_signals(stopped_early);
	if (load(&catalogue, options))
		status = with_catalogue(options, &catalogue);
	catalogue_free(&catalogue);
	return status;
}

static enum status show_types(void)
{
	struct buffer text;
	enum status   status;

	buffer_init(&text, TYPES_ROOM);
	types_write(&text);
	status = show(buffer_bytes(&text), buffer_length(&text));
	buffer_free(&text);
	return status;
}

static enum status act(const struct options *options)
{
	const char *text;

	switch (options->action) {
	case ACTION_SHORT_HELP:
		fputs(options_short_help(), stderr);
		return STATUS_USAGE;
	case ACTION_HELP:
		text = options_help();
		break;
	case ACTION_VERSION:
		text = "scan " SCAN_VERSION "\n";
		break;
	case ACTION_SCHEMA:
		text = json_schema();
		break;
	case ACTION_TYPES:
		return show_types();
	case ACTION_REPLAY:
		return replay(options);
	case ACTION_CHECK:
		return check(options);
	case ACTION_NEW:
		return make_probe(options);
	default:
		return with_scripts(options);
	}
	return show(text, strlen(text));
}

int main(int argc, char *argv[])
{
	struct options options;
	char           error[OPTIONS_ERROR_TEXT];
	enum status    status;

	open_streams();
	keep_memory();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, aborted);
	if (options_parse(&options, argc, argv, error))
		status = act(&options);
	else
		status = usage(error);
	options_free(&options);
	if (!resolve_under_way())
		return (int)status;
	fflush(stdout); /* a return would wait for the name server */
	_exit((int)status);
}
