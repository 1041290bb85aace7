#include "workbench/shell.h"

#include "base/escape.h"
#include "output/trace.h"
#include "script/conn_api.h"
#include "workbench/eval.h"
#include "workbench/help.h"
#include "workbench/program.h"
#include "workbench/prompt.h"
#include "workbench/session.h"
#include "workbench/show.h"

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, OUTPUT = 1024 * 1024, COLUMNS = 78, WORDS = 600 };

struct shell {
	struct shell_setup setup;
	struct program    *program;
	struct prompt     *prompt;
	struct session     session;
	struct buffer      piece; /* the code so far, while more of it must follow */
	size_t             lines; /* that have come from a pipe */
	size_t first; /* how many of them before the piece; at a terminal each is one of its own */
	int    worst; /* exit status */

	struct target target; /* of :open */
	bool          known;  /* is there one? */
	bool          tls;
	bool          opening; /* what connects now will be `conn` */
	bool          hex, leaving;

	const struct handle *main;     /* what `conn` was when we looked last; NULL: no connection */
	int                  anchor;   /* registry reference of it */
	bool                 watching; /* for what comes while the prompt is open */
	bool                 ended;    /* it was said that the server has gone */
};

/* --- what is said on connections ------------------------------------------------------------- */

static void show_bytes(enum event event, const char *bytes, size_t length)
{
	struct buffer text;

	if (event != EVENT_RECEIVED && event != EVENT_SENT)
		return;
	buffer_init(&text, OUTPUT);
	show_hex(&text, bytes, length);
	fwrite(buffer_bytes(&text), 1, buffer_length(&text), stderr);
	buffer_free(&text);
}

/* Connections other than `conn` are named by whom they are with. */
static void show_event(const struct shell *shell, const struct handle *handle, double ms, enum event event,
                       const char *bytes, size_t length)
{
	char name[PROGRAM_LABEL] = "";

	if (shell->setup.quiet)
		return;
	if (handle != shell->main)
		program_label(handle, name);
	fflush(stdout);
	prompt_step_aside(shell->prompt);
	trace_said(stderr, name, 0, handle->serves, ms, event, bytes, length);
	if (shell->hex)
		show_bytes(event, bytes, length);
	prompt_step_back(shell->prompt);
}

static void told(void *owner, const struct handle *handle, double ms, enum event event, const char *bytes,
                 size_t length)
{
	struct shell *shell = owner;

	if (shell->opening && event == EVENT_CONNECTED) {
		shell->main = handle;
		session_begin(&shell->session, shell->target.name, handle->conn);
	}
	if (handle == shell->main)
		session_event(&shell->session, ms, event, bytes, length);
	show_event(shell, handle, ms, event, bytes, length);
}

static void printing(void *owner, bool begins)
{
	const struct shell *shell = owner;

	if (begins)
		prompt_step_aside(shell->prompt);
	else
		prompt_step_back(shell->prompt);
}

static void say(const char *text)
{
	struct buffer line;

	buffer_init(&line, 8 * WORDS);
	escape_terminal(&line, text, strlen(text), WORDS);
	fflush(stdout);
	fprintf(stderr, "%.*s\n", (int)buffer_length(&line), buffer_bytes(&line));
	buffer_free(&line);
}

/* --- what goes wrong --------------------------------------------------------------------------- */

static void note(struct shell *shell, int status)
{
	if (shell->worst < status)
		shell->worst = status;
}

static void complain(struct shell *shell, enum task_end end)
{
	note(shell, eval_status(end));
	program_complain(shell->program, "");
}

/* A command that cannot be done. */
static void refuse(struct shell *shell, const char *text)
{
	note(shell, EVAL_BROKEN);
	say(text);
}

static void refuse_word(struct shell *shell, const char *wanted, const char *word)
{
	char words[WORDS];

	snprintf(words, sizeof words, "%s, not %s", wanted, word);
	refuse(shell, words);
}

/* --- `conn` ---------------------------------------------------------------------------------- */

/* Note what `conn` is, and keep it from the collector while we look at it. */
static int find_conn(lua_State *L)
{
	struct shell        *shell = lua_touserdata(L, 1);
	const struct handle *handle;

	if (shell->anchor != 0)
		luaL_unref(L, LUA_REGISTRYINDEX, shell->anchor);
	lua_getglobal(L, "conn");
	handle = conn_api_handle(L, -1);
	if (handle != shell->main && handle && handle->conn)
		session_begin(&shell->session, handle->host, handle->conn);
	if (handle != shell->main)
		shell->ended = false;
	shell->main = handle;
	shell->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static bool is_open(const struct shell *shell)
{
	return shell->main && shell->main->conn && conn_open(shell->main->conn);
}

static void note_end(struct shell *shell)
{
	if (shell->ended)
		return;
	shell->ended = true;
	prompt_step_aside(shell->prompt);
	say(shell->known ? "The connection is over. :open opens it again." : "The connection is over.");
	prompt_step_back(shell->prompt);
}

/* --- what comes while the prompt is open ------------------------------------------------------ */

static void watch_conn(struct shell *shell);

static void came(void *owner, bool is_ready)
{
	struct shell *shell = owner;

	(void)is_ready;
	shell->watching = false;
	watch_conn(shell);
}

/* Unless a task waits for the connection already, which will see it by itself. */
static void watch_conn(struct shell *shell)
{
	enum io result = IO_DONE;

	if (!is_open(shell) || shell->main->waiter || shell->ended)
		return;
	while (result == IO_DONE)
		result = conn_look(shell->main->conn);
	if (result == IO_EOF || result == IO_FAILED) {
		note_end(shell);
		return;
	}
	shell->watching = true;
	conn_await(shell->main->conn, result, MOMENT_NEVER, came, shell);
}

static void leave_conn(struct shell *shell)
{
	if (shell->watching && is_open(shell) && !shell->main->waiter)
		conn_forget(shell->main->conn);
	shell->watching = false;
}

/* --- evaluating ------------------------------------------------------------------------------ */

static int show_results(lua_State *L)
{
	struct buffer text;

	(void)lua_touserdata(L, 1);
	if (!lua_istable(L, 2))
		return 0;
	lua_getfield(L, 2, "n");
	for (int i = 1, count = (int)lua_tointeger(L, -1); i <= count; i++) {
		buffer_init(&text, OUTPUT);
		lua_rawgeti(L, 2, i);
		show_value(L, -1, COLUMNS, &text);
		fwrite(buffer_bytes(&text), 1, buffer_length(&text), stdout);
		putchar('\n');
		buffer_free(&text);
		lua_pop(L, 1);
	}
	return 0;
}

/* Is the failure one after which there is no connection any more? */
static bool is_end(const struct failure *failure)
{
	return strcmp(failure->code, "closed-early") == 0 || strcmp(failure->code, "reset") == 0;
}

static void explain(struct shell *shell, enum task_end end)
{
	const struct failure *failure = program_failure(shell->program);

	if (end == TASK_FAILED && failure->phase != PHASE_CONNECT && is_end(failure) && shell->main)
		note_end(shell);
	else if (end == TASK_BROKEN && !is_open(shell) && strstr(program_words(shell->program), "conn"))
		say(shell->known ? "There is no connection. :open opens it again."
		                 : "There is no connection. :open HOST:PORT opens one.");
}

static enum load load(struct shell *shell, const char *before, const char *code, size_t length)
{
	return program_load(
	    shell->program,
	    &(struct piece){
		.name = "stdin", .line = shell->first, .before = before, .code = code, .length = length });
}

/* Nothing can be said on a connection whose handshake was left in the middle. */
static void give_up_handshake(struct shell *shell)
{
	const char code[] = "conn:close()";

	if (load(shell, NULL, code, sizeof code - 1) == LOAD_DONE)
		program_run(shell->program);
	program_inspect(shell->program, find_conn, shell);
	note_end(shell);
}

/* Run what was loaded and show what came of it. */
static bool run(struct shell *shell, bool show)
{
	enum task_end end = program_run(shell->program);

	program_inspect(shell->program, find_conn, shell);
	if (end == TASK_RETURNED) {
		if (show)
			program_inspect(shell->program, show_results, shell);
		return true;
	}
	if (end == TASK_CANCELLED && prompt_attended(shell->prompt))
		putchar('\n'); /* behind ^C */
	complain(shell, end);
	if (end != TASK_CANCELLED)
		explain(shell, end);
	else if (is_open(shell) && conn_securing(shell->main->conn))
		give_up_handshake(shell);
	return false;
}

static bool run_code(struct shell *shell, const char *code, bool show)
{
	if (load(shell, NULL, code, strlen(code)) == LOAD_DONE)
		return run(shell, show);
	complain(shell, TASK_BROKEN);
	return false;
}

/* An expression is shown, a statement is run; what is not yet whole waits for the next line. */
static void evaluate(struct shell *shell)
{
	const char *code = buffer_bytes(&shell->piece);
	size_t      length = buffer_length(&shell->piece);
	enum load   expression = load(shell, "return ", code, length);
	enum load   result = expression == LOAD_DONE ? expression : load(shell, NULL, code, length);

	if (result == LOAD_INCOMPLETE || (result == LOAD_WRONG && expression == LOAD_INCOMPLETE))
		return;
	if (result == LOAD_DONE)
		run(shell, true);
	else
		complain(shell, TASK_BROKEN);
	buffer_clear(&shell->piece);
}

/* --- commands -------------------------------------------------------------------------------- */

static void open_conn(struct shell *shell)
{
	enum task_end end;

	shell->opening = true;
	end = program_open(shell->program, &shell->target, shell->tls);
	shell->opening = false;
	program_inspect(shell->program, find_conn, shell);
	shell->ended = false;
	if (end != TASK_RETURNED)
		complain(shell, end);
}

static bool is_manner(const char *word)
{
	return strcmp(word, "tls") == 0 || strcmp(word, "plain") == 0;
}

static void command_open(struct shell *shell, char *words)
{
	char         *place = strtok(words, " \t"), *how = NULL, *more;
	char          error[WORDS];
	struct target target;

	if (place && is_manner(place)) {
		how = place;
		place = NULL;
	} else {
		how = strtok(NULL, " \t");
	}
	more = strtok(NULL, " \t");
	if (how && !is_manner(how)) {
		refuse_word(shell, "tls or plain", how);
		return;
	}
	if (more) {
		refuse_word(shell, ":open takes HOST:PORT and tls or plain", more);
		return;
	}
	if (!place && !shell->known) {
		refuse(shell, ":open wants HOST:PORT");
		return;
	}
	if (place && !eval_target(&target, &shell->tls, shell->setup.catalogue, place, shell->setup.family,
	                          error, sizeof error)) {
		refuse(shell, error);
		return;
	}
	if (place)
		shell->target = target;
	shell->known = true;
	if (how)
		shell->tls = strcmp(how, "tls") == 0;
	open_conn(shell);
}

static void command_close(struct shell *shell, char *words)
{
	(void)words;
	run_code(shell, "if conn then conn:close() end", false);
}

static void command_tls(struct shell *shell, char *words)
{
	(void)words;
	run_code(shell, "conn:starttls()", false);
}

static void command_cert(struct shell *shell, char *words)
{
	(void)words;
	run_code(shell, "return conn.tls or 'no TLS on this connection'", true);
}

static void command_hex(struct shell *shell, char *words)
{
	const struct buffer *last = &shell->session.last;
	struct buffer        text;

	if (strcmp(words, "on") == 0 || strcmp(words, "off") == 0) {
		shell->hex = strcmp(words, "on") == 0;
		return;
	}
	if (*words) {
		refuse_word(shell, "on or off", words);
		return;
	}
	if (buffer_length(last) == 0) {
		say("nothing has come since we said something");
		return;
	}
	buffer_init(&text, 8 * OUTPUT);
	show_hex(&text, buffer_bytes(last), buffer_length(last));
	fwrite(buffer_bytes(&text), 1, buffer_length(&text), stdout);
	buffer_free(&text);
}

static void command_save(struct shell *shell, char *words)
{
	char said[WORDS];

	if (!session_save(&shell->session, words, said, sizeof said))
		note(shell, EVAL_BROKEN);
	say(said);
}

static void command_help(struct shell *shell, char *words)
{
	const struct entry *entry = help_find(words);

	if (entry) {
		printf("%s\n  %s\n", entry->form, entry->about);
		return;
	}
	if (*words)
		refuse(shell, "there is no help on that; :help lists what there is");
	else
		fputs(help_overview(), stdout);
}

static void command_quit(struct shell *shell, char *words)
{
	(void)words;
	shell->leaving = true;
}

static const struct command {
	const char *name;
	void (*run)(struct shell *shell, char *words);
	bool alone; /* it takes no words */
} commands[] = {
	{ "open", command_open, false }, { "close", command_close, true }, { "tls", command_tls, true },
	{ "cert", command_cert, true },  { "hex", command_hex, false },    { "save", command_save, false },
	{ "help", command_help, false }, { "quit", command_quit, true },
};

enum { COMMANDS = sizeof commands / sizeof *commands };

/* By its name or the beginning of it that no other has; else it is said why there is none. */
static const struct command *find_command(struct shell *shell, const char *name, size_t length)
{
	const struct command *found = NULL;
	char                  words[WORDS];

	for (size_t i = 0; i < COMMANDS && length > 0; i++) {
		if (strncmp(commands[i].name, name, length) != 0)
			continue;
		if (found) {
			snprintf(words, sizeof words, ":%.*s could be :%s or :%s", (int)length, name,
			         found->name, commands[i].name);
			refuse(shell, words);
			return NULL;
		}
		found = &commands[i];
	}
	if (!found)
		refuse(shell, "no such command; :help lists them");
	return found;
}

static void run_command(struct shell *shell, const char *line)
{
	size_t                length = strcspn(line, " \t"), end;
	const struct command *command = find_command(shell, line, length);
	char                  wanted[40];
	char                 *words = command ? strdup(line + length + strspn(line + length, " \t")) : NULL;

	if (!words)
		return;
	end = strlen(words);
	while (end > 0 && strchr(" \t\r", words[end - 1]))
		words[--end] = '\0';
	if (command->alone && *words) {
		snprintf(wanted, sizeof wanted, ":%s takes nothing", command->name);
		refuse_word(shell, wanted, words);
	} else {
		command->run(shell, words);
	}
	free(words);
}

/* --- lines ----------------------------------------------------------------------------------- */

static void take_line(struct shell *shell, const char *line)
{
	bool first = buffer_length(&shell->piece) == 0;

	prompt_remember(shell->prompt, line);
	if (first)
		shell->first = shell->lines;
	if (!prompt_attended(shell->prompt))
		shell->lines++;
	if (first && line[strspn(line, " \t\r")] == '\0')
		return;
	if (first && line[0] == ':' && line[1] != ':') {
		run_command(shell, line + 1);
		return;
	}
	if (!buffer_text(&shell->piece, line) || !buffer_text(&shell->piece, "\n")) {
		refuse(shell, "that is too long");
		buffer_clear(&shell->piece);
		return;
	}
	evaluate(shell);
}

/* Code that the end of the input has cut off is wrong after all. */
static void finish_piece(struct shell *shell)
{
	if (buffer_length(&shell->piece) > 0 && !prompt_attended(shell->prompt))
		complain(shell, TASK_BROKEN);
}

static bool serve(struct shell *shell, struct buffer *line)
{
	enum input input;

	watch_conn(shell);
	input = prompt_read(shell->prompt, buffer_length(&shell->piece) > 0 ? ">> " : "> ", line);
	leave_conn(shell);
	if (input == INPUT_END) {
		finish_piece(shell);
		return false;
	}
	if (input == INPUT_INTERRUPTED) {
		buffer_clear(&shell->piece);
	} else {
		buffer_append(line, "", 1);
		take_line(shell, buffer_bytes(line));
	}
	return !shell->leaving;
}

/* --- the shell ------------------------------------------------------------------------------- */

static struct program *volatile interrupted; /* by Ctrl-C */

/* The second one before the first has had an effect ends the process, like any. */
static void interrupt(int number)
{
	if (!program_interrupt(interrupted)) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

static void converse(struct shell *shell)
{
	struct buffer line;

	buffer_init(&line, PIECE);
	if (prompt_attended(shell->prompt) && !shell->setup.quiet)
		say("Lua by hand. :help says what there is, Ctrl-D leaves.");
	if (shell->known)
		open_conn(shell);
	while (serve(shell, &line))
		continue;
	buffer_free(&line);
}

static int start(struct shell *shell)
{
	struct sigaction action = { .sa_handler = interrupt };

	shell->program = program_new(&(struct program_setup){ .catalogue = shell->setup.catalogue,
	                                                      .connect_timeout = shell->setup.connect_timeout,
	                                                      .reply_timeout = shell->setup.reply_timeout,
	                                                      .family = shell->setup.family,
	                                                      .told = told,
	                                                      .printing = printing,
	                                                      .owner = shell });
	shell->prompt = shell->program ? prompt_new(shell->program) : NULL;
	if (!shell->prompt) {
		say("scan: could not start: no memory or descriptors left");
		return EVAL_REFUSED;
	}
	interrupted = shell->program;
	sigaction(SIGINT, &action, NULL);
	converse(shell);
	signal(SIGINT, SIG_DFL);
	note(shell, eval_status(program_lost(shell->program)));
	return prompt_attended(shell->prompt) ? 0 : shell->worst;
}

int shell_run(const struct shell_setup *setup)
{
	struct shell shell = { .setup = *setup };
	char         error[WORDS];
	int          status;

	if (setup->target && !eval_target(&shell.target, &shell.tls, setup->catalogue, setup->target,
	                                  setup->family, error, sizeof error)) {
		fprintf(stderr, "scan: %s\n", error);
		return EVAL_REFUSED;
	}
	shell.known = setup->target != NULL;
	session_init(&shell.session);
	buffer_init(&shell.piece, PIECE);
	status = start(&shell);
	program_free(shell.program);
	prompt_free(shell.prompt);
	session_free(&shell.session);
	buffer_free(&shell.piece);
	return fflush(stdout) == 0 ? status : EVAL_FAILED;
}
