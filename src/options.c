#include "options.h"

#include "base/buffer.h"
#include "base/escape.h"
#include "base/nearest.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How an option's value is read, and where it goes. */
enum kind {
	FLAG,     /* no value; a bool */
	ACTION,   /* no value; .number is the enum action */
	FAMILY,   /* no value; .number is the enum family */
	TEXT,     /* a word */
	LIST,     /* a word; a second one would silently replace the first, so it is refused */
	SUBJECT,  /* a word; .number is the enum action */
	WORDS,    /* one more word */
	ARGUMENT, /* one more word, PROBE.NAME=VALUE */
	SECONDS,  /* a double above 0; numbers from here on */
	RATE,     /* a double from 0 */
	WHOLE,    /* an unsigned from .least to .number */
	SEED,     /* a uint64_t, and .seeded */
	SHARD,    /* I/N: .shard and .shards */
};

struct option {
	const char *name;
	char        letter; /* or 0 */
	enum kind   kind;
	size_t      field; /* offset in struct options */
	const char *wants; /* the value in words; NULL: takes none */
	unsigned    least, number;
};

#define FIELD(name) offsetof(struct options, name)

static const struct option table[] = {
	{ "services", 's', LIST, FIELD(services), "a list of services", 0, 0 },
	{ "scripts", 'S', WORDS, FIELD(scripts), "a folder or a .lua file", 0, 0 },
	{ "trust", 0, FLAG, FIELD(trust), NULL, 0, 0 },
	{ "try-hidden", 0, FLAG, FIELD(try_hidden), NULL, 0, 0 },
	{ "arg", 'a', ARGUMENT, FIELD(arguments), "PROBE.NAME=VALUE", 0, 0 },
	{ "file", 'f', WORDS, FIELD(files), "a file of targets", 0, 0 },
	{ "connect-timeout", 0, SECONDS, FIELD(connect_timeout), "a number of seconds", 0, 0 },
	{ "reply-timeout", 0, SECONDS, FIELD(reply_timeout), "a number of seconds", 0, 0 },
	{ "deadline", 0, SECONDS, FIELD(deadline), "a number of seconds", 0, 0 },
	{ "parallel", 'P', WHOLE, FIELD(parallel), "a number of connections", 1, 1000000 },
	{ "per-host", 0, WHOLE, FIELD(per_host), "a number of connections", 1, 1000000 },
	{ "rate", 0, RATE, FIELD(rate), "connections a second", 0, 0 },
	{ "threads", 'j', WHOLE, FIELD(threads), "a number of threads", 0, 1024 },
	{ "exclude", 0, WORDS, FIELD(excludes), "a list of targets or a file of them", 0, 0 },
	{ "shuffle", 0, FLAG, FIELD(shuffle), NULL, 0, 0 },
	{ "seed", 0, SEED, FIELD(seed), "a whole number", 0, 0 },
	{ "shard", 0, SHARD, FIELD(shard), "I/N, like 1/8", 0, 0 },
	{ "resume", 0, TEXT, FIELD(resume), "the output of a former run", 0, 0 },
	{ "where", 0, TEXT, FIELD(where), "an expression", 0, 0 },
	{ "expect", 0, TEXT, FIELD(expect), "an expression", 0, 0 },
	{ "retries", 0, WHOLE, FIELD(retries), "a number", 0, 10 },
	{ "ipv4", '4', FAMILY, FIELD(family), NULL, 0, FAMILY_IPV4 },
	{ "ipv6", '6', FAMILY, FIELD(family), NULL, 0, FAMILY_IPV6 },
	{ "all-addresses", 0, FLAG, FIELD(all_addresses), NULL, 0, 0 },
	{ "output", 'o', TEXT, FIELD(output), "a file", 0, 0 },
	{ "json", 0, FLAG, FIELD(json), NULL, 0, 0 },
	{ "open", 0, FLAG, FIELD(only_open), NULL, 0, 0 },
	{ "verbose", 'v', FLAG, FIELD(verbose), NULL, 0, 0 },
	{ "quiet", 'q', FLAG, FIELD(quiet), NULL, 0, 0 },
	{ "trace", 0, FLAG, FIELD(trace), NULL, 0, 0 },
	{ "stats", 0, FLAG, FIELD(stats), NULL, 0, 0 },
	{ "record", 0, TEXT, FIELD(record), "a folder", 0, 0 },
	{ "list", 0, ACTION, FIELD(action), NULL, 0, ACTION_LIST },
	{ "describe", 0, SUBJECT, FIELD(subject), "the name of a probe", 0, ACTION_DESCRIBE },
	{ "replay", 0, ACTION, FIELD(action), NULL, 0, ACTION_REPLAY },
	{ "check", 0, ACTION, FIELD(action), NULL, 0, ACTION_CHECK },
	{ "new", 0, SUBJECT, FIELD(subject), "a name for the probe", 0, ACTION_NEW },
	{ "port", 0, WHOLE, FIELD(port), "a port", 1, 65535 },
	{ "schema", 0, ACTION, FIELD(action), NULL, 0, ACTION_SCHEMA },
	{ "types", 0, ACTION, FIELD(action), NULL, 0, ACTION_TYPES },
	{ "eval", 'e', SUBJECT, FIELD(subject), "Lua code", 0, ACTION_EVAL },
	{ "run", 0, SUBJECT, FIELD(subject), "a file of Lua code", 0, ACTION_RUN },
	{ "interactive", 'i', ACTION, FIELD(action), NULL, 0, ACTION_SHELL },
	{ "help", 'h', ACTION, FIELD(action), NULL, 0, ACTION_HELP },
	{ "version", 'V', ACTION, FIELD(action), NULL, 0, ACTION_VERSION },
};

enum { OPTIONS = sizeof table / sizeof *table };

static const double longest_time = 86400; /* a day */
static const double lowest_rate = 1e-4, highest_rate = 1e9;

static bool is_number(const struct option *option)
{
	return option->kind >= SECONDS;
}

/* One run over argv. */
struct parse {
	struct options *options;
	int             argc;
	char *const    *argv;
	int             next;      /* the word to look at next */
	bool            ended;     /* "--" was seen: the rest are targets */
	char            given[24]; /* the option in hand as it was typed: "-s", "--services" */
	char           *error;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct parse *parse, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(parse->error, OPTIONS_ERROR_TEXT, format, arguments);
	va_end(arguments);
	return false;
}

/* Somebody's words, safe to show and short enough for one line. */
struct quoted {
	char text[200];
};

static struct quoted quote(const char *bytes, size_t length)
{
	struct quoted quoted = { "" };
	struct buffer buffer;

	buffer_init(&buffer, sizeof quoted.text - 1);
	escape_terminal(&buffer, bytes, length, 60);
	memcpy(quoted.text, buffer_bytes(&buffer), buffer_length(&buffer));
	buffer_free(&buffer);
	return quoted;
}

static struct quoted quote_word(const char *word)
{
	return quote(word, strlen(word));
}

/* Values */

static bool add_word(struct parse *parse, struct words *words, const char *word)
{
	size_t       count = words->count;
	const char **grown = words->word;

	if ((count & (count - 1)) == 0) /* a power of two, or none: full */
		grown = realloc(words->word, (count > 0 ? 2 * count : 1) * sizeof *grown);
	if (!grown)
		return refuse(parse, "out of memory");
	words->word = grown;
	words->word[words->count++] = word;
	return true;
}

/* Decimal digits with at most one point, whatever the locale; -1 for anything else. */
static double decimal(const char *text)
{
	double number = 0, scale = 1;
	bool   digits = false, point = false;

	for (; *text; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return -1;
		digits = true;
		number = number * 10 + (*text - '0');
		scale *= point ? 10 : 1;
	}
	return digits ? number / scale : -1;
}

static bool set_seconds(struct parse *parse, double *seconds, const char *value)
{
	double number = decimal(value);

	if (!(number > 0))
		return refuse(parse, "%s wants seconds above 0, not \"%s\"", parse->given,
		              quote_word(value).text);
	if (number > longest_time)
		return refuse(parse, "%s wants at most %.0f seconds, not \"%s\"", parse->given, longest_time,
		              quote_word(value).text);
	*seconds = number;
	return true;
}

static bool set_rate(struct parse *parse, double *rate, const char *value)
{
	double number = decimal(value);

	if (!(number == 0 || (number >= lowest_rate && number <= highest_rate)))
		return refuse(parse, "%s wants connections a second, 0 for no limit, not \"%s\"",
		              parse->given, quote_word(value).text);
	*rate = number;
	return true;
}

static bool set_whole(struct parse *parse, const struct option *option, unsigned *whole, const char *value)
{
	uint64_t number = 0;
	bool     right = *value != '\0';

	for (const char *digit = value; right && *digit; digit++) {
		right = *digit >= '0' && *digit <= '9';
		number = number * 10 + (unsigned char)(*digit - '0');
		right = right && number <= option->number;
	}
	if (!right || number < option->least)
		return refuse(parse, "%s wants a whole number from %u to %u, not \"%s\"", parse->given,
		              option->least, option->number, quote_word(value).text);
	*whole = (unsigned)number;
	return true;
}

static bool read_whole(const char *text, size_t length, uint64_t *whole)
{
	if (length == 0 || length > 18 || strspn(text, "0123456789") < length)
		return false;
	*whole = strtoull(text, NULL, 10);
	return true;
}

static bool set_seed(struct parse *parse, uint64_t *seed, const char *value)
{
	parse->options->seeded = true;
	if (read_whole(value, strlen(value), seed))
		return true;
	return refuse(parse, "%s wants a whole number, not \"%s\"", parse->given, quote_word(value).text);
}

static bool set_shard(struct parse *parse, const char *value)
{
	struct options *options = parse->options;
	size_t          length = strcspn(value, "/");

	if (value[length] == '/' && read_whole(value, length, &options->shard) &&
	    read_whole(value + length + 1, strlen(value + length + 1), &options->shards) &&
	    options->shard >= 1 && options->shard <= options->shards)
		return true;
	return refuse(parse, "%s wants I/N with I from 1 to N, like 1/8, not \"%s\"", parse->given,
	              quote_word(value).text);
}

static bool add_argument(struct parse *parse, struct words *arguments, const char *value)
{
	size_t name = strcspn(value, "=");
	size_t probe = strcspn(value, ".");

	if (value[name] == '\0' || probe == 0 || probe + 1 >= name)
		return refuse(parse, "%s wants PROBE.NAME=VALUE such as smtp.ehlo=me.example, not \"%s\"",
		              parse->given, quote_word(value).text);
	return add_word(parse, arguments, value);
}

static bool set_family(struct parse *parse, enum family *family, enum family wanted)
{
	if (*family != FAMILY_ANY && *family != wanted)
		return refuse(parse, "-4 and -6 exclude each other; leave one out");
	*family = wanted;
	return true;
}

/* The long name of the option that asks for `action`. */
static const char *action_name(enum action action)
{
	const struct option *option = table;

	while ((option->kind != ACTION && option->kind != SUBJECT) || option->number != (unsigned)action)
		option++;
	return option->name;
}

static bool set_action(struct parse *parse, enum action wanted)
{
	enum action *action = &parse->options->action;
	bool         question = wanted == ACTION_HELP || wanted == ACTION_VERSION; /* always answered */

	if (*action != ACTION_SCAN && *action != wanted && !question)
		return refuse(parse, "--%s and --%s exclude each other; leave one out", action_name(*action),
		              action_name(wanted));
	*action = wanted;
	return true;
}

/* All that follows --run FILE is the program's. */
static bool set_subject(struct parse *parse, enum action wanted, const char **subject, const char *value)
{
	if (wanted == ACTION_EVAL && parse->options->action == wanted)
		return refuse(parse, "%s is given twice; put all the code into one", parse->given);
	parse->ended = wanted == ACTION_RUN;
	*subject = value;
	return set_action(parse, wanted);
}

static bool set_list(struct parse *parse, const char **list, const char *value)
{
	if (*list)
		return refuse(parse, "%s is given twice; write one list: %s %s,%s", parse->given,
		              parse->given, quote_word(*list).text, quote_word(value).text);
	*list = value;
	return true;
}

static bool apply(struct parse *parse, const struct option *option, const char *value)
{
	void *field = (char *)parse->options + option->field;

	if (option->wants && !is_number(option) && *value == '\0')
		return refuse(parse, "%s needs %s", parse->given, option->wants);
	switch (option->kind) {
	case FLAG:
		*(bool *)field = true;
		return true;
	case ACTION:
		return set_action(parse, (enum action)option->number);
	case FAMILY:
		return set_family(parse, field, (enum family)option->number);
	case SUBJECT:
		return set_subject(parse, (enum action)option->number, field, value);
	case TEXT:
		*(const char **)field = value;
		return true;
	case LIST:
		return set_list(parse, field, value);
	case WORDS:
		return add_word(parse, field, value);
	case ARGUMENT:
		return add_argument(parse, field, value);
	case SECONDS:
		return set_seconds(parse, field, value);
	case RATE:
		return set_rate(parse, field, value);
	case WHOLE:
		return set_whole(parse, option, field, value);
	case SEED:
		return set_seed(parse, field, value);
	case SHARD:
		return set_shard(parse, value);
	}
	return false;
}

/* Words */

/* The value of the option in hand, from the word behind it; NULL: there is none. "-o --json" is a forgotten file name rather
 * than a file of that name; a number that is none complains better by itself. */
static const char *next_value(struct parse *parse, const struct option *option)
{
	const char *word = parse->next < parse->argc ? parse->argv[parse->next] : NULL;

	if (!word) {
		refuse(parse, "%s needs %s", parse->given, option->wants);
	} else if (!is_number(option) && word[0] == '-' && word[1] != '\0') {
		refuse(parse, "%s needs %s, not the option %s", parse->given, option->wants,
		       quote_word(word).text);
		word = NULL;
	} else {
		parse->next++;
	}
	return word;
}

static bool refuse_unknown(struct parse *parse, const char *dashes, const char *name, size_t length)
{
	const char   *names[OPTIONS];
	const char   *nearest;
	struct quoted shown = quote(name, length);

	for (size_t i = 0; i < OPTIONS; i++)
		names[i] = table[i].name;
	nearest = nearest_name(shown.text, names, OPTIONS);
	if (nearest)
		return refuse(parse, "unknown option %s%s; did you mean --%s?", dashes, shown.text, nearest);
	return refuse(parse, "unknown option %s%s; see scan --help", dashes, shown.text);
}

static bool refuse_ambiguous(struct parse *parse, const char *name, size_t length)
{
	char        list[OPTIONS_ERROR_TEXT / 2] = "";
	const char *between = "";

	for (size_t i = 0; i < OPTIONS; i++) {
		size_t used = strlen(list);

		if (strncmp(table[i].name, name, length) != 0)
			continue;
		snprintf(list + used, sizeof list - used, "%s--%s", between, table[i].name);
		between = " or ";
	}
	return refuse(parse, "--%s could be %s", quote(name, length).text, list);
}

/* The option of this name, or the only one that begins so. NULL: refused. */
static const struct option *find_long(struct parse *parse, const char *name, size_t length)
{
	const struct option *found = NULL;
	size_t               count = 0;

	for (size_t i = 0; i < OPTIONS && length > 0; i++) {
		if (strncmp(table[i].name, name, length) != 0)
			continue;
		if (table[i].name[length] == '\0')
			return &table[i];
		found = &table[i];
		count++;
	}
	if (count == 1)
		return found;
	if (count > 1)
		refuse_ambiguous(parse, name, length);
	else
		refuse_unknown(parse, "--", name, length);
	return NULL;
}

static bool take_long(struct parse *parse, const char *name)
{
	size_t               length = strcspn(name, "=");
	const char          *value = name[length] == '=' ? name + length + 1 : NULL;
	const struct option *option = find_long(parse, name, length);

	if (!option)
		return false;
	snprintf(parse->given, sizeof parse->given, "--%s", option->name);
	if (!option->wants && value)
		return refuse(parse, "%s takes no value, not \"%s\"", parse->given, quote_word(value).text);
	if (!option->wants)
		return apply(parse, option, "");
	if (!value)
		value = next_value(parse, option);
	return value && apply(parse, option, value);
}

static const struct option *find_letter(char letter)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (table[i].letter == letter)
			return &table[i];
	return NULL;
}

/* "-open" is --open with a dash too few, not the file "pen" for -o. */
static bool is_long_name(const char *letters)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (strcmp(table[i].name, letters) == 0)
			return true;
	return false;
}

/* "-p22" of other scanners. */
static bool is_port(const char *letters)
{
	return *letters == 'p' && letters[1 + strspn(letters + 1, "0123456789,-")] == '\0';
}

static bool refuse_letter(struct parse *parse, const char *letters, const char *letter)
{
	if (is_port(letters))
		return refuse(parse,
		              "unknown option -p; a port is HOST:PORT, or that of a service: -s NAME=PORT");
	if (letter > letters)
		return refuse(parse, "unknown letter in -%s; see scan --help", quote_word(letters).text);
	if (letters[1] != '\0')
		return refuse_unknown(parse, "-", letters, strlen(letters));
	return refuse(parse, "unknown option -%s; see scan --help", quote_word(letters).text);
}

/* "-4v", "-sssh", "-s". */
static bool take_letters(struct parse *parse, const char *letters)
{
	if (is_long_name(letters))
		return refuse_unknown(parse, "-", letters, strlen(letters));
	for (const char *letter = letters; *letter; letter++) {
		const struct option *option = find_letter(*letter);
		const char          *value = letter + 1;

		if (!option)
			return refuse_letter(parse, letters, letter);
		snprintf(parse->given, sizeof parse->given, "-%c", *letter);
		if (option->wants && *value == '\0')
			value = next_value(parse, option);
		if (!value || !apply(parse, option, value))
			return false;
		if (option->wants)
			break;
	}
	return true;
}

static bool take_word(struct parse *parse)
{
	const char *word = parse->argv[parse->next++];

	if (parse->ended || word[0] != '-' || word[1] == '\0')
		return add_word(parse, &parse->options->targets, word);
	if (word[1] != '-')
		return take_letters(parse, word + 1);
	if (word[2] != '\0')
		return take_long(parse, word + 2);
	parse->ended = true;
	return true;
}

static bool answered(const struct options *options)
{
	return options->action == ACTION_HELP || options->action == ACTION_VERSION;
}

static bool takes_files(enum action action)
{
	return action == ACTION_REPLAY || action == ACTION_CHECK;
}

/* How many targets an action other than a scan takes. */
static bool check_targets(struct parse *parse)
{
	const struct options *options = parse->options;
	enum action           action = options->action;
	bool                  one = action == ACTION_EVAL || action == ACTION_SHELL;

	if (takes_files(action) && options->targets.count == 0)
		return refuse(parse, "--%s needs a file", action_name(action));
	if (action == ACTION_SCAN || action == ACTION_RUN || takes_files(action) ||
	    options->targets.count <= one)
		return true;
	return refuse(parse, "--%s takes %s, not \"%s\"", action_name(action),
	              one ? "one HOST:PORT" : "no target", quote_word(options->targets.word[one]).text);
}

/* What no single word can be blamed for. */
static bool check_whole(struct parse *parse)
{
	const struct options *options = parse->options;

	if (answered(options))
		return true;
	if (options->action == ACTION_SCAN && options->targets.count + options->files.count == 0)
		return refuse(parse, "no target; try: scan localhost");
	if (options->port != 0 && options->action != ACTION_NEW)
		return refuse(
		    parse, "--port is the port of a probe to be made, and goes with --new; a port to scan is "
			   "HOST:PORT, or -s NAME=PORT");
	if (options->resume && options->all_addresses)
		return refuse(
		    parse, "--resume goes by names, and cannot tell the addresses of --all-addresses apart");
	if (options->trust && options->scripts.count == 0 && options->action != ACTION_CHECK)
		return refuse(parse, "--trust is for the scripts that -S names; there are none");
	parse->options->trusted = options->trust ? options->scripts.count : 0;
	return check_targets(parse);
}

bool options_parse(struct options *options, int argc, char *const argv[], char error[OPTIONS_ERROR_TEXT])
{
	struct parse parse = { .options = options, .argc = argc, .argv = argv, .next = 1, .error = error };

	*options = (struct options){
		.connect_timeout = 3,
		.reply_timeout = 10,
		.deadline = 30,
		.parallel = 512,
		.per_host = 32,
		.shard = 1,
		.shards = 1,
	};
	error[0] = '\0';
	if (argc < 2) {
		options->action = ACTION_SHORT_HELP;
		return true;
	}
	while (parse.next < argc && !answered(options))
		if (!take_word(&parse))
			return false;
	return check_whole(&parse);
}

void options_free(struct options *options)
{
	struct words *lists[] = {
		&options->targets,   &options->files,    &options->scripts,
		&options->arguments, &options->excludes,
	};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		free(lists[i]->word);
		*lists[i] = (struct words){ NULL, 0 };
	}
}

const char *options_short_help(void)
{
	return "Use: scan [options] TARGET...\n"
	       "Which services of a host are open, what do they say, do they speak TLS?\n"
	       "\n"
	       "  scan localhost                the usual services of one host\n"
	       "  scan -s ssh,smtp mx.example   only these, in this order\n"
	       "  scan --json mx.example        for another program\n"
	       "  scan --list                   what services there are\n"
	       "  scan --help                   every option\n";
}

const char *options_help(void)
{
	return "Use: scan [options] TARGET...\n"
	       "Which services of a host are open, what do they say, do they speak TLS?\n"
	       "\n"
	       "TARGET is a name or an address; name:port, address:port or [IPv6]:port for one\n"
	       "port; 192.0.2.0/24, 192.0.2.10-40 or 2001:db8::/120 for a range. Options may\n"
	       "stand anywhere; -- ends them. Scan only what is yours, or what you were asked to\n"
	       "scan.\n"
	       "\n"
	       "What to scan\n"
	       "  -f, --file FILE         targets from a file, one a line; - is standard input;\n"
	       "                          repeatable (default: none)\n"
	       "      --exclude LIST      never these: targets, and files of such, with commas\n"
	       "                          between them; a name is only that target, and not\n"
	       "                          its addresses; repeatable (default: none)\n"
	       "      --shuffle           in a random order (default: as listed)\n"
	       "      --seed N            the same order again (default: another one each time)\n"
	       "      --shard I/N         the I-th of N parts of the targets (default: 1/1)\n"
	       "      --resume FILE       without what FILE, JSON lines of a former run, holds\n"
	       "                          (default: all)\n"
	       "  -4, --ipv4              IPv4 only (default: both)\n"
	       "  -6, --ipv6              IPv6 only (default: both)\n"
	       "      --all-addresses     every address of a name, each as a host of its own\n"
	       "                          (default: the first that answers)\n"
	       "\n"
	       "What to ask\n"
	       "  -s, --services LIST     which services, in this order: ssh,smtp; at another\n"
	       "                          port: ssh=2222; a group: @mail (default: @default)\n"
	       "  -S, --scripts DIR       more probes, from a folder or a .lua file; repeatable\n"
	       "                          (default: $SCAN_SCRIPTS, scripts/ beside the program\n"
	       "                          or else the installed folder; these come after yours)\n"
	       "      --trust             without sandbox the probes that -S names (default: no)\n"
	       "  -a, --arg PROBE.NAME=VALUE\n"
	       "                          an argument that a probe declares; repeatable\n"
	       "                          (default: what the probe says, see --describe)\n"
	       "      --try-hidden        STARTTLS also where it is not advertised (default: no)\n"
	       "\n"
	       "How long, in seconds\n"
	       "      --connect-timeout S for the TCP connection (default: 3)\n"
	       "      --reply-timeout S   for each greeting or reply, and for the TLS handshake\n"
	       "                          (default: 10)\n"
	       "      --deadline S        for one service in all (default: 30)\n"
	       "      --retries N         further connects after one timed out (default: 0)\n"
	       "\n"
	       "How many\n"
	       "  -P, --parallel N        connections in flight (default: 512)\n"
	       "      --per-host N        connections in flight to one host (default: 32)\n"
	       "      --rate N            new connections a second, 0 for no limit (default: 0)\n"
	       "  -j, --threads N         worker threads; 0: as many as help, and processors\n"
	       "                          (default: 0)\n"
	       "\n"
	       "What to show\n"
	       "  -o, --output FILE       write there (default: standard output)\n"
	       "      --json              JSON lines, one object a service (default: text)\n"
	       "      --open              only open services (default: all)\n"
	       "      --where EXPR        only hosts for which a Lua expression holds, such as\n"
	       "                          'ssh.open and not smtp.open' (default: all)\n"
	       "      --expect EXPR       name the others, and end with status 1 if there are\n"
	       "                          any (default: none)\n"
	       "  -v, --verbose           also TLS facts, addresses and timings (default: no)\n"
	       "  -q, --quiet             results only, no progress, no summary (default: no)\n"
	       "      --trace             the conversations, on standard error (default: no)\n"
	       "      --stats             what the scan itself took, on standard error: turns of\n"
	       "                          its loops, connections, memory (default: no)\n"
	       "      --record DIR        each conversation as a file there (default: none)\n"
	       "\n"
	       "Writing probes\n"
	       "      --new NAME          a probe to begin with, NAME.lua, and its conversation\n"
	       "      --port N            the port of the new probe (default: none)\n"
	       "      --check FILE...     what is wrong with probes, before they run\n"
	       "      --replay FILE...    probes against recorded conversations; no network\n"
	       "\n"
	       "By hand, in Lua: the connections that probes have, to any host, and Lua's own\n"
	       "libraries\n"
	       "  -e, --eval CODE [HOST:PORT]\n"
	       "                          run it; conn is the open connection\n"
	       "      --run FILE [ARG...] run a file; all words behind it are its arguments\n"
	       "  -i, --interactive [HOST:PORT]\n"
	       "                          talk to it; :help says how\n"
	       "\n"
	       "What there is\n"
	       "      --list              the services and groups\n"
	       "      --describe NAME     one probe: its services, its arguments\n"
	       "      --schema            the JSON schema of the records of --json\n"
	       "      --types             the API in Lua's annotations, for editors\n"
	       "\n"
	       "  -h, --help              this text\n"
	       "  -V, --version           the version\n"
	       "\n"
	       "Examples\n"
	       "  scan localhost\n"
	       "  scan -s @mail --open mx.example\n"
	       "  scan -a smtp.ehlo=me.example -s smtp mx.example\n"
	       "  scan --json -o found.jsonl 192.0.2.7 2001:db8::7\n"
	       "  scan -s ssh --rate 100 --exclude 192.0.2.1 192.0.2.0/24\n"
	       "\n"
	       "Exit status\n"
	       "  0    the scan was completed, whatever was open\n"
	       "  1    it was, and a host is not as --expect says; or a probe is not as\n"
	       "       --check and --replay want it\n"
	       "  2    wrong use, or the scan could not start\n"
	       "  3    some target could not be examined, or the output could not be written\n"
	       "  4    a probe script failed\n"
	       "       with -e and --run: what the program returned or os.exit said; 3 for a\n"
	       "       socket error, 4 for any other\n"
	       "  130, 143  interrupted or ended; the finished hosts are printed\n";
}
