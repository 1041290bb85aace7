#include "workbench/prompt.h"

#include "base/escape.h"
#include "workbench/complete.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#ifdef HAVE_LIBEDIT
#include "workbench/libedit.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#endif

enum { LINE = 64 * 1024, PATH = 4096, KEPT_LINES = 1000 };

struct prompt {
	struct program *program;
	const char     *text;     /* in front of the line that is open; NULL: none is */
	bool            attended; /* a terminal */
#ifdef HAVE_LIBEDIT
	EditLine *editor; /* NULL: plain lines */
	History  *history;
	char      path[PATH]; /* of the history; "": nowhere */
#endif
};

bool prompt_attended(const struct prompt *prompt)
{
	return prompt->attended;
}

/* --- plain lines ----------------------------------------------------------------------------- */

/* One byte at a time: what is behind the line is left to the program, which may read it. */
static enum input read_plain(struct prompt *prompt, struct buffer *line)
{
	char    byte;
	ssize_t count;

	for (;;) {
		if (!program_await(prompt->program, STDIN_FILENO, NULL, NULL))
			return INPUT_INTERRUPTED;
		count = read(STDIN_FILENO, &byte, 1);
		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count <= 0)
			return buffer_length(line) > 0 ? INPUT_LINE : INPUT_END;
		if (byte == '\n')
			return INPUT_LINE;
		buffer_append(line, &byte, 1);
	}
}

static enum input ask_plainly(struct prompt *prompt, struct buffer *line)
{
	enum input input;

	if (prompt->attended) {
		fputs(prompt->text, stdout);
		fflush(stdout);
	}
	input = read_plain(prompt, line);
	if (prompt->attended && input != INPUT_LINE)
		putchar('\n');
	return input;
}

#ifdef HAVE_LIBEDIT

static struct libedit libedit;

/* --- where the history is -------------------------------------------------------------------- */

static bool make_folder(char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* $XDG_STATE_HOME/scan/history, ~/.local/state/scan/history; "" where there is no such place. */
static void find_history(char *path)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int         length = -1;

	if (state && *state == '/')
		length = snprintf(path, PATH, "%s/scan/history", state);
	else if (home && *home == '/')
		length = snprintf(path, PATH, "%s/.local/state/scan/history", home);
	if (length < 0 || length >= PATH) {
		*path = '\0';
		return;
	}
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!make_folder(path)) {
			*path = '\0';
			return;
		}
		*slash = '/';
	}
}

static void open_history(struct prompt *prompt)
{
	HistEvent event;

	prompt->history = libedit.history_init();
	if (!prompt->history)
		return;
	libedit.history(prompt->history, &event, H_SETSIZE, KEPT_LINES);
	libedit.history(prompt->history, &event, H_SETUNIQUE, 1);
	find_history(prompt->path);
	if (*prompt->path)
		libedit.history(prompt->history, &event, H_LOAD, prompt->path);
	libedit.set(prompt->editor, EL_HIST, libedit.history, prompt->history);
}

/* --- the terminal's ways --------------------------------------------------------------------- */

static struct termios        usual; /* as they were when we came */
static volatile sig_atomic_t edited, continued, resized;

/* However the process ends while a line is open, the terminal is left as it was. */
static void restore(void)
{
	if (edited)
		tcsetattr(STDIN_FILENO, TCSANOW, &usual);
}

static void end_by(int number)
{
	restore();
	signal(number, SIG_DFL);
	raise(number);
}

/* Behind Ctrl-Z and fg the terminal is as the user's shell left it. */
static void come_back(int number)
{
	(void)number;
	continued = 1;
}

static void change_size(int number)
{
	(void)number;
	resized = 1;
}

static void mind_terminal(void)
{
	struct sigaction end = { .sa_handler = end_by }, back = { .sa_handler = come_back };
	struct sigaction size = { .sa_handler = change_size };

	tcgetattr(STDIN_FILENO, &usual);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	sigaction(SIGCONT, &back, NULL);
	sigaction(SIGWINCH, &size, NULL);
	atexit(restore);
}

/* --- characters ------------------------------------------------------------------------------ */

static struct prompt *of_editor(EditLine *editor)
{
	struct prompt *prompt;

	libedit.get(editor, EL_CLIENTDATA, &prompt);
	return prompt;
}

/* Once a turn of the loop. */
static bool look_up(void *owner)
{
	const struct prompt *prompt = owner;

	if (resized) {
		resized = 0;
		libedit.resize(prompt->editor);
	}
	if (!continued)
		return false;
	continued = 0;
	libedit.set(prompt->editor, EL_PREP_TERM, 1);
	libedit.set(prompt->editor, EL_REFRESH);
	return false;
}

static int read_byte(struct prompt *prompt, char *byte)
{
	ssize_t count;

	do {
		if (!program_await(prompt->program, STDIN_FILENO, look_up, prompt)) {
			errno = EINTR;
			return -1;
		}
		count = read(STDIN_FILENO, byte, 1);
	} while (count < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)count;
}

/* For libedit: the next character; 0: the end, -1: none. Bytes that are no character are passed over. */
static int read_character(EditLine *editor, wchar_t *character)
{
	struct prompt *prompt = of_editor(editor);
	mbstate_t      state = { 0 };
	char           byte;

	for (;;) {
		int    count = read_byte(prompt, &byte);
		size_t length;

		if (count <= 0)
			return count;
		length = mbrtowc(character, &byte, 1, &state);
		if (length == (size_t)-1)
			state = (mbstate_t){ 0 };
		else if (length != (size_t)-2)
			return 1;
	}
}

/* --- completion ------------------------------------------------------------------------------ */

static void list_names(const struct completion *completion)
{
	putchar('\n');
	for (size_t i = 0; i < completion->count; i++)
		printf("%s%s", i > 0 ? "  " : "", completion->names[i]);
	putchar('\n');
	fflush(stdout);
}

/* Where no name has begun there is nothing to complete: a tab, such as those of pasted code, indents. */
static bool indents(const LineInfo *line)
{
	return line->cursor == line->buffer || strchr(" ,;(){}[]=\"'", line->cursor[-1]);
}

static unsigned char complete(EditLine *editor, int key)
{
	const LineInfo   *line = libedit.line(editor);
	struct completion completion;
	char              rest[COMPLETE_NAME];
	size_t            common;

	(void)key;
	if (indents(line))
		return libedit.insertstr(editor, "  ") == 0 ? CC_REFRESH : CC_ERROR;
	complete_line(of_editor(editor)->program, line->buffer, (size_t)(line->cursor - line->buffer),
	              &completion);
	if (completion.count == 0)
		return CC_REFRESH_BEEP;
	common = complete_common(&completion);
	if (common > completion.typed) {
		snprintf(rest, sizeof rest, "%.*s", (int)(common - completion.typed),
		         completion.names[0] + completion.typed);
		libedit.insertstr(editor, rest);
		return CC_REFRESH;
	}
	if (completion.count == 1)
		return CC_REFRESH;
	list_names(&completion);
	return CC_REDISPLAY;
}

/* --- lines with editing ---------------------------------------------------------------------- */

static char *prompt_text(EditLine *editor)
{
	const struct prompt *prompt = of_editor(editor);

	return (char *)(prompt->text ? prompt->text : "");
}

static enum input ask_editor(struct prompt *prompt, struct buffer *line)
{
	int         count;
	const char *text;

	edited = 1;
	/* Or a Ctrl-D that is quicker than el_gets would be lost. */
	libedit.set(prompt->editor, EL_PREP_TERM, 1);
	text = libedit.gets(prompt->editor, &count);
	edited = 0;
	if (!text && count == -1 && errno == EINTR) {
		libedit.reset(prompt->editor);
		fputs("^C\n", stdout);
		return INPUT_INTERRUPTED;
	}
	if (!text || count <= 0) {
		putchar('\n');
		return INPUT_END;
	}
	buffer_append(line, text, (size_t)count - (text[count - 1] == '\n'));
	return INPUT_LINE;
}

static bool can_edit(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal && *terminal &&
	       strcmp(terminal, "dumb") != 0;
}

static void open_editor(struct prompt *prompt)
{
	if (!can_edit() || !libedit_load(&libedit))
		return;
	setlocale(LC_CTYPE, "");
	mind_terminal();
	prompt->editor = libedit.init("scan", stdin, stdout, stderr);
	if (!prompt->editor)
		return;
	libedit.set(prompt->editor, EL_CLIENTDATA, prompt);
	libedit.set(prompt->editor, EL_PROMPT, prompt_text);
	libedit.set(prompt->editor, EL_EDITOR, "emacs");
	libedit.set(prompt->editor, EL_GETCFN, read_character);
	/* el_set would leak these words. */
	libedit.wset(prompt->editor, EL_ADDFN, L"complete", L"complete a name", complete);
	libedit.set(prompt->editor, EL_BIND, "^I", "complete", NULL);
	open_history(prompt);
	libedit.source(prompt->editor, NULL);
}

static void close_editor(struct prompt *prompt)
{
	if (prompt->history)
		libedit.history_end(prompt->history);
	if (prompt->editor)
		libedit.end(prompt->editor);
}

/* The file is written each time: a session may end in any way. */
void prompt_remember(struct prompt *prompt, const char *line)
{
	HistEvent event;

	if (!prompt->history || *line == '\0' || *line == ' ')
		return;
	libedit.history(prompt->history, &event, H_ENTER, line);
	if (*prompt->path)
		libedit.history(prompt->history, &event, H_SAVE, prompt->path);
}

static bool editing(const struct prompt *prompt)
{
	return prompt->editor != NULL;
}

/* How wide a character is as libedit shows it: some as ^A, some as \U+200E. */
static size_t width_of(wchar_t character, size_t column)
{
	int width = wcwidth(character);

	if (character == L'\t')
		return 8 - column % 8;
	if (character < 0x20 || character == 0x7f)
		return 2;
	if (width < 0)
		return character > 0xffff ? 8 : 7;
	return (size_t)width;
}

/* In which row of the line, which may have several, the cursor is. */
static size_t cursor_row(struct prompt *prompt)
{
	const LineInfoW *line = libedit.wline(prompt->editor);
	struct winsize   size;
	size_t           columns = 80, column = strlen(prompt->text);

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	for (const wchar_t *at = line->buffer; at < line->cursor; at++) {
		size_t width = width_of(*at, column);

		if (width > 1 && column % columns + width > columns) /* it is not broken */
			column += columns - column % columns;
		column += width;
	}
	return column / columns;
}

static void hide_line(struct prompt *prompt)
{
	size_t row = cursor_row(prompt);

	if (row > 0)
		printf("\033[%zuA", row);
	fputs("\r\033[J", stdout);
	fflush(stdout);
}

static void show_line(struct prompt *prompt)
{
	libedit.set(prompt->editor, EL_REFRESH);
}

#else

static void open_editor(struct prompt *prompt)
{
	(void)prompt;
}

static void close_editor(struct prompt *prompt)
{
	(void)prompt;
}

void prompt_remember(struct prompt *prompt, const char *line)
{
	(void)prompt;
	(void)line;
}

static bool editing(const struct prompt *prompt)
{
	(void)prompt;
	return false;
}

static enum input ask_editor(struct prompt *prompt, struct buffer *line)
{
	return ask_plainly(prompt, line);
}

static void hide_line(struct prompt *prompt)
{
	(void)prompt;
}

static void show_line(struct prompt *prompt)
{
	(void)prompt;
}

#endif

/* --- all ------------------------------------------------------------------------------------- */

struct prompt *prompt_new(struct program *program)
{
	struct prompt *prompt = calloc(1, sizeof *prompt);

	if (!prompt)
		return NULL;
	prompt->program = program;
	prompt->attended = isatty(STDIN_FILENO);
	setvbuf(stdin, NULL, _IONBF, 0); /* io.read() must not take more than it gives */
	open_editor(prompt);
	return prompt;
}

void prompt_free(struct prompt *prompt)
{
	if (!prompt)
		return;
	close_editor(prompt);
	free(prompt);
}

/* A line that the terminal itself keeps can only be left where it is. */
void prompt_step_aside(struct prompt *prompt)
{
	if (!prompt->text || !prompt->attended)
		return;
	if (editing(prompt))
		hide_line(prompt);
	else
		putchar('\n');
	fflush(stdout);
}

void prompt_step_back(struct prompt *prompt)
{
	if (!prompt->text || !prompt->attended)
		return;
	fflush(stderr);
	if (editing(prompt))
		show_line(prompt);
	else
		fputs(prompt->text, stdout);
	fflush(stdout);
}

enum input prompt_read(struct prompt *prompt, const char *text, struct buffer *line)
{
	enum input input;

	fflush(stdout);
	buffer_clear(line);
	program_calm(prompt->program);
	prompt->text = text;
	input = editing(prompt) ? ask_editor(prompt, line) : ask_plainly(prompt, line);
	prompt->text = NULL;
	return input;
}
