#include "workbench/replay.h"

#include "base/escape.h"
#include "output/trace.h"
#include "scan/visit.h"
#include "script/states.h"
#include "workbench/player.h"
#include "workbench/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* After so many turns in which nothing happened, only time can help. COLUMNS: of a line that is printed. */
enum { QUIET_TURNS = 2, COLUMNS = 4000, FINDINGS = 256 * 1024 };

struct file {
	const char         *path;
	struct conversation conversation;
	bool                read;
	struct buffer       problems; /* why not */
};

struct replay {
	struct file *files;
	size_t       count;
	const char **scripts;
	size_t       script_count;

	/* While it runs. */
	const struct replay_setup *setup;
	struct loop               *loop;
	struct tls_context        *client, *server;
	struct states             *states;
};

/* One conversation played once. */
struct play {
	struct replay        *replay;
	const struct file    *file;
	struct settings       settings;
	struct choice         choice;
	struct player        *player;
	struct host          *host;
	const struct outcome *outcome; /* once it is over */
	FILE                 *trace;
	int                   quiet;
	size_t                longest; /* run of TLS, of all plays so far */
};

/* --- playing once ---------------------------------------------------------------------------- */

static enum io dial(void *owner, struct conn *conn, const struct address *address)
{
	const struct play *play = owner;

	return player_dial(play->player, conn, address);
}

static void observe(void *owner, const struct host *host, const struct outcome *outcome, unsigned connection,
                    double ms, enum event event, const char *bytes, size_t length)
{
	const struct play *play = owner;

	trace_event(play->trace, host, outcome, false, connection, ms, event, bytes, length);
}

static void done(void *owner, struct host *host, struct outcome *outcome)
{
	struct play *play = owner;

	(void)host;
	play->outcome = outcome;
}

/* Nobody does anything before the next moment that somebody waits for: let it come. */
static void pass_time(const struct play *play)
{
	moment due = loop_due(play->replay->loop), paused = player_due(play->player), now = clock_now();

	if (paused < due)
		due = paused;
	if (due != MOMENT_NEVER && due > now)
		clock_skip(due - now);
}

static bool turn(void *owner)
{
	struct play *play = owner;

	if (play->outcome) {
		loop_stop(play->replay->loop);
		return false;
	}
	if (player_act(play->player)) {
		play->quiet = 0;
	} else if (++play->quiet >= QUIET_TURNS) {
		play->quiet = 0;
		pass_time(play);
	}
	return true;
}

static struct host *new_host(const struct head *head, const struct choice *choice)
{
	struct target target = { .literal = true, .address = head->address };
	struct unit  *unit = calloc(1, sizeof *unit);
	struct host  *host;

	memcpy(target.name, head->host, sizeof target.name);
	host = unit ? host_new(&target, unit) : NULL;
	if (!host) {
		free(unit);
		return NULL;
	}
	host->addresses = (struct addresses){ .address = { head->address }, .count = 1 };
	if (host_choose(host, choice, 1))
		return host;
	host_free(host);
	return NULL;
}

/* Play, and keep in `verdict` what came of it. False: no memory. */
static bool play_once(struct play *play, const struct score *score, struct cut cut, struct verdict *verdict)
{
	struct replay *replay = play->replay;
	bool           good;

	play->outcome = NULL;
	play->quiet = 0;
	play->player = player_new(replay->loop, score, cut, replay->server);
	play->host = play->player ? new_host(&score->conversation->head, &play->choice) : NULL;
	good = play->host != NULL;
	if (good) {
		visit_start(&(struct visit_setup){ .settings = &play->settings,
		                                   .loop = replay->loop,
		                                   .tls = replay->client,
		                                   .states = replay->states,
		                                   .host = play->host,
		                                   .observe = play->trace ? observe : NULL,
		                                   .dial = dial,
		                                   .done = done,
		                                   .owner = play });
		loop_run(replay->loop, turn, play);
		player_finish(play->player);
		if (player_longest(play->player) > play->longest)
			play->longest = player_longest(play->player);
		good = verdict_take(verdict, player_fault(play->player), play->host, play->outcome);
		host_free(play->host);
	}
	player_free(play->player);
	return good;
}

/* --- playing in all ways --------------------------------------------------------------------- */

/* The same must come of it. */
static bool play_again(struct play *play, const struct score *score, struct cut cut,
                       const struct verdict *first, struct buffer *findings)
{
	struct verdict verdict;
	char           how[100] = "with each run of the server's words in one piece";
	bool           same;

	if (cut.how == CUT_EVERY)
		snprintf(how, sizeof how, "with the server's words in pieces of %zu byte%s", cut.size,
		         cut.size > 1 ? "s" : "");
	else if (cut.how == CUT_AT)
		snprintf(how, sizeof how, "with the server's words cut in two behind %zu byte%s", cut.size,
		         cut.size > 1 ? "s" : "");
	if (!play_once(play, score, cut, &verdict))
		return false;
	same = verdict_same(&verdict, first, how, findings);
	verdict_free(&verdict);
	return same;
}

/* The next place at which to cut. Each byte of the words is one, but of many those of the second half at distances;
 * of what is longer than these, a handshake, there are some. */
static size_t next_place(size_t place, size_t words, size_t longest)
{
	size_t half = REPLAY_PLACES / 2;

	if (place >= words)
		return place + 1 + (longest - words) / REPLAY_PLACES_OF_TLS;
	if (place >= half && words > REPLAY_PLACES)
		return place + 1 + (words - half) / half;
	return place + 1;
}

static bool play_cut(struct play *play, const struct score *score, const struct verdict *first, size_t *plays,
                     struct buffer *findings)
{
	size_t words = score->longest;
	size_t longest = words > play->longest ? words : play->longest;
	bool   same = true;

	if (score->cuts)
		same = play_again(play, score, (struct cut){ CUT_NOT, 0 }, first, findings);
	for (size_t size = 1; same && size <= 2 && longest > size; size++, ++*plays)
		same = play_again(play, score, (struct cut){ CUT_EVERY, size }, first, findings);
	for (size_t place = 1; same && place < longest; place = next_place(place, words, longest), ++*plays)
		same = play_again(play, score, (struct cut){ CUT_AT, place }, first, findings);
	return same;
}

/* As it is written, and, if that is right, with other segments. */
static bool play_all(struct play *play, size_t *plays, struct buffer *findings)
{
	const struct conversation *conversation = &play->file->conversation;
	struct score               written = { 0 }, whole = { 0 };
	struct verdict             first;
	bool                       good;

	good = score_make(&written, conversation, true) && score_make(&whole, conversation, false);
	if (!good)
		buffer_format(findings, "%s: the server says more than can be kept in memory\n",
		              play->file->path);
	good = good && play_once(play, &written, (struct cut){ CUT_NOT, 0 }, &first);
	play->trace = NULL;
	*plays = 1;
	if (good) {
		good = verdict_right(&first, conversation, findings) &&
		       play_cut(play, &whole, &first, plays, findings);
		verdict_free(&first);
	}
	score_free(&written);
	score_free(&whole);
	return good;
}

/* --- one file -------------------------------------------------------------------------------- */

static struct settings settings_of(const struct settings *given, const struct head *head)
{
	struct settings settings = *given;

	if (head->connect_timeout > 0)
		settings.connect_timeout = head->connect_timeout;
	if (head->reply_timeout > 0)
		settings.reply_timeout = head->reply_timeout;
	if (head->deadline > 0)
		settings.deadline = head->deadline;
	settings.retries = 0;
	settings.wordless = false;
	return settings;
}

/* The script that the file brings along, as far as it could be loaded; NULL if it brings none. */
static const struct script *brought(const struct play *play)
{
	const char *path = play->file->conversation.head.script;
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	char        name[sizeof play->file->conversation.head.script];

	if (path[0] == '\0')
		return NULL;
	snprintf(name, sizeof name, "%.*s", (int)(strlen(base) - strlen(".lua")), base);
	return catalogue_script(play->replay->setup->catalogue, name);
}

static const struct service *find_service(const struct play *play, const struct script *script)
{
	const char *name = play->file->conversation.head.service;

	for (size_t i = 0; script && !script->broken && i < script->service_count; i++)
		if (strcmp(script->services[i].name, name) == 0)
			return &script->services[i];
	return script ? NULL : catalogue_service(play->replay->setup->catalogue, name);
}

static void miss(const struct play *play, const struct script *script, struct buffer *findings)
{
	const struct conversation *conversation = &play->file->conversation;
	const char                *wanted = conversation->head.service;
	const char                *nearest = catalogue_nearest(play->replay->setup->catalogue, wanted);

	buffer_format(findings, "%s:%u: ", play->file->path, conversation->service_line);
	if (script)
		buffer_format(findings,
		              script->broken ? "%s could not be loaded\n" : "%s has no service \"%s\"\n",
		              conversation->head.script, wanted);
	else
		buffer_format(
		    findings,
		    "there is no service \"%s\"%s%s%s; -S, or \"script:\" in the file, brings more\n", wanted,
		    nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static bool choose(struct play *play, struct buffer *findings)
{
	const struct head    *head = &play->file->conversation.head;
	const struct script  *script = brought(play);
	const struct service *service = find_service(play, script);

	if (!service) {
		miss(play, script, findings);
		return false;
	}
	play->choice = (struct choice){ service, head->port ? head->port : service->port };
	if (play->choice.port == 0)
		buffer_format(findings,
		              "%s:%u: the service %s has no port of its own; say \"port:\" in the file\n",
		              play->file->path, play->file->conversation.service_line, head->service);
	return play->choice.port != 0;
}

/* The arguments that the user gave are put aside in `kept` while those of the file hold. */
static bool set_arguments(struct play *play, const char *kept[], struct buffer *findings)
{
	const struct head   *head = &play->file->conversation.head;
	const struct script *script = play->choice.service->script;
	char                 error[400];
	bool                 good = true;

	for (size_t i = 0; i < script->argument_count; i++) {
		kept[i] = script->arguments[i].value;
		script->arguments[i].value = kept[i] ? strdup(kept[i]) : NULL;
	}
	for (size_t i = 0; i < head->argument_count; i++) {
		if (catalogue_set_argument(play->replay->setup->catalogue, head->arguments[i], error,
		                           sizeof error))
			continue;
		buffer_format(findings, "%s:%u: %s\n", play->file->path,
		              play->file->conversation.argument_lines[i], error);
		good = false;
	}
	return good;
}

static void give_arguments_back(const struct play *play, const char *kept[])
{
	const struct script *script = play->choice.service->script;

	for (size_t i = 0; i < script->argument_count; i++) {
		free((char *)script->arguments[i].value);
		script->arguments[i].value = kept[i];
	}
}

static bool play_file(struct play *play, size_t *plays, struct buffer *findings)
{
	const char **kept;
	bool         good;

	if (!choose(play, findings))
		return false;
	kept = calloc(play->choice.service->script->argument_count + 1, sizeof *kept);
	if (!kept)
		return false;
	play->settings = settings_of(play->replay->setup->settings, &play->file->conversation.head);
	good = set_arguments(play, kept, findings) && play_all(play, plays, findings);
	give_arguments_back(play, kept);
	free(kept);
	return good;
}

/* Each finding is a line of its own, indented, safe for a terminal. */
static void print_findings(FILE *out, const struct buffer *findings)
{
	const char   *at = buffer_bytes(findings), *end = at + buffer_length(findings);
	struct buffer line;

	buffer_init(&line, 16 * COLUMNS);
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		size_t      length = (size_t)((lf ? lf : end) - at);

		buffer_clear(&line);
		escape_terminal(&line, at, length, COLUMNS);
		fprintf(out, "  %.*s\n", (int)buffer_length(&line), buffer_bytes(&line));
		at += length + (lf != NULL);
	}
	buffer_free(&line);
}

static void hint(struct buffer *findings, const char *path, unsigned line, const char *text)
{
	const char *at, *meant = text ? phrase_misspelt(text, &at) : NULL;

	if (meant)
		buffer_format(findings, "%s:%u: %.*s is no mark; did you mean {%s}?\n", path, line,
		              (int)strcspn(at, "}") + 1, at, meant);
}

/* Braces that are no mark are no fault, but may be the reason for one. */
static void hint_at_marks(struct buffer *findings, const struct file *file)
{
	const struct conversation *conversation = &file->conversation;

	for (size_t i = 0; i < conversation->turn_count; i++)
		hint(findings, file->path, conversation->turns[i].line, conversation->turns[i].text);
	for (size_t i = 0; i < conversation->line_count; i++)
		hint(findings, file->path, conversation->lines[i].line, conversation->lines[i].text);
}

static bool run_file(struct replay *replay, const struct file *file)
{
	struct play   play = { .replay = replay, .file = file, .trace = replay->setup->trace };
	struct buffer findings;
	size_t        plays = 0;
	bool          good;

	buffer_init(&findings, FINDINGS);
	good = file->read && play_file(&play, &plays, &findings);
	if (!good)
		hint_at_marks(&findings, file);
	if (good && replay->setup->verbose)
		fprintf(replay->setup->out, "ok %s (%zu ways to cut it)\n", file->path, plays);
	else
		fprintf(replay->setup->out, "%sok %s\n", good ? "" : "not ", file->path);
	print_findings(replay->setup->out, file->read ? &findings : &file->problems);
	buffer_free(&findings);
	return good;
}

/* --- all of them ----------------------------------------------------------------------------- */

static bool prepare(struct replay *replay, const struct replay_setup *setup)
{
	struct failure failure;

	replay->setup = setup;
	replay->loop = loop_new();
	replay->client = tls_context_new();
	replay->server = tls_context_new_server(NULL, &failure);
	replay->states = states_new(setup->catalogue, replay->loop, replay->client);
	return replay->loop && replay->client && replay->server && replay->states;
}

bool replay_run(struct replay *replay, const struct replay_setup *setup)
{
	bool good = true;

	if (!prepare(replay, setup)) {
		fputs("not ok: could not start: no memory or descriptors left\n", setup->out);
		return false;
	}
	for (size_t i = 0; i < replay->count; i++)
		good = run_file(replay, &replay->files[i]) && good;
	return good;
}

/* --- life ------------------------------------------------------------------------------------ */

static void add_script(struct replay *replay, struct file *file)
{
	const char *slash = strrchr(file->path, '/');
	int         folder = slash ? (int)(slash - file->path) + 1 : 0;
	char       *path;

	if (asprintf(&path, "%.*s%s", folder, file->path, file->conversation.head.script) < 0)
		return;
	if (access(path, R_OK) != 0) {
		buffer_format(&file->problems, "%s:%u: %s: %s\n", file->path, file->conversation.script_line,
		              path, strerror(errno));
		file->read = false;
		free(path);
		return;
	}
	for (size_t i = 0; i < replay->script_count; i++) {
		if (strcmp(replay->scripts[i], path) == 0) {
			free(path);
			return;
		}
	}
	replay->scripts[replay->script_count++] = path;
}

struct replay *replay_new(const char *const *files, size_t count)
{
	struct replay *replay = calloc(1, sizeof *replay);

	if (!replay)
		return NULL;
	replay->files = calloc(count, sizeof *replay->files);
	replay->scripts = calloc(count, sizeof *replay->scripts);
	if (!replay->files || !replay->scripts) {
		replay_free(replay);
		return NULL;
	}
	for (replay->count = 0; replay->count < count; replay->count++) {
		struct file *file = &replay->files[replay->count];

		file->path = files[replay->count];
		buffer_init(&file->problems, FINDINGS);
		file->read = conversation_read(&file->conversation, file->path, &file->problems);
		if (file->conversation.head.script[0])
			add_script(replay, file);
	}
	return replay;
}

const char *const *replay_scripts(const struct replay *replay, size_t *count)
{
	*count = replay->script_count;
	return replay->scripts;
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	for (size_t i = 0; i < replay->count; i++) {
		conversation_free(&replay->files[i].conversation);
		buffer_free(&replay->files[i].problems);
	}
	for (size_t i = 0; i < replay->script_count; i++)
		free((char *)replay->scripts[i]);
	states_free(replay->states);
	tls_context_free(replay->client);
	tls_context_free(replay->server);
	loop_free(replay->loop);
	free(replay->scripts);
	free(replay->files);
	free(replay);
}
