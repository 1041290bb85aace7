#include "workbench/help.h"

#include <stdbool.h>
#include <string.h>

static const struct entry entries[] = {
	{ ":open", ":open [HOST:PORT] [tls|plain]", "connect, or connect anew; conn is the connection", NULL,
	  NULL },
	{ ":close", ":close", "close conn", NULL, NULL },
	{ ":tls", ":tls", "upgrade conn to TLS, after the server has agreed to it", NULL, NULL },
	{ ":cert", ":cert", "what TLS and the certificate of conn are", NULL, NULL },
	{ ":hex", ":hex [on|off]", "the bytes that came last; on: of all that comes and goes", NULL, NULL },
	{ ":save", ":save NAME", "the session as a probe, NAME.lua, and as its test, NAME.conversation", NULL,
	  NULL },
	{ ":help", ":help [NAME]", "this; or what NAME is", NULL, NULL },
	{ ":quit", ":quit", "leave; so does Ctrl-D", NULL, NULL },

	{ "conn", "conn", "the open connection: conn:write(\"HELP\\r\\n\"), conn:readline()", NULL, NULL },
	{ "scan", "scan", "connect, listen, spawn, ...: :help scan.connect", NULL, NULL },

	{ "readline", "conn:readline([seconds])",
	  "The next line without its LF or CRLF. A second result is `true` if the line had more than 4,096 "
	  "bytes; the "
	  "rest of it is dropped. The last bytes before the server closes count as a line.",
	  "conn", "@param seconds? number\n@return string line\n@return true? cut" },
	{ "readuntil", "conn:readuntil(pattern [, list [, seconds]])",
	  "Lines up to the first that fits the pattern, that one too, as a list. They join `list` where "
	  "there is one, which "
	  "also has those that came before an error. A second result is `true` if a line was cut; "
	  "behind it come the pattern's captures in the last line. It ends early when the list "
	  "has 128 lines or 16 KiB have come: the last line tells.",
	  "conn",
	  "@param pattern string\n@param list? string[]\n@param seconds? number\n@return string[] "
	  "lines\n@return true? cut\n@return string|integer? ..." },
	{ "readwhile", "conn:readwhile(pattern [, list [, seconds]])",
	  "The same up to the first line that does not fit, or has other captures than the first: "
	  "`\"^(%d%d%d)%-\"` goes on while the code stays the same. The captures given are those of the "
	  "first line, "
	  "none if it does not fit.",
	  "conn",
	  "@param pattern string\n@param list? string[]\n@param seconds? number\n@return string[] "
	  "lines\n@return true? cut\n@return string|integer? ..." },
	{ "read", "conn:read([n [, seconds]])",
	  "Exactly n bytes, at most 65,536. Without n: what has arrived, at least one byte.", "conn",
	  "@param n? integer\n@param seconds? number\n@return string bytes" },
	{ "write", "conn:write(text, ...)", "Sends all of it, as one. A line wants its `\\r\\n`.", "conn",
	  "@param text string|number\n@param ... string|number" },
	{ "starttls", "conn:starttls([options])",
	  "Makes this live connection speak TLS. Gives the TLS facts, as in `conn.tls`. The options are for "
	  "programs of "
	  "your own: `server = true` is the server's side, with a throw-away certificate or that of "
	  "`certificate = FILE`, a PEM file that has its private key too; "
	  "`name` is for SNI.",
	  "conn",
	  "@param options? { server?: boolean, certificate?: string, name?: string }\n@return scan.tls "
	  "facts" },
	{ "close", "conn:close()",
	  "Closes now. May be called again; every other use raises `conn is closed`.", "conn", "" },
	{ "host", "conn.host", "The target as the user named it.", "conn", "string" },
	{ "address", "conn.address", "The server's address, as text.", "conn", "string" },
	{ "port", "conn.port", "The server's port.", "conn", "integer" },
	{ "local_address", "conn.local_address", "Our own address on this connection.", "conn", "string" },
	{ "unread", "conn.unread", "How many bytes have come that were not read yet.", "conn", "integer" },
	{ "service", "conn.service",
	  "The name of the service that is being tried: one probe may serve several. `nil` in programs.",
	  "conn", "string?" },
	{ "tls", "conn.tls",
	  "`nil` on a plain connection, else the facts: `version`, `cipher`, `subject`, `issuer`, `names`, "
	  "`not_before`, "
	  "`not_after`, `days_left`, `key`, `sha256`, `verified`, `verify_error`, `problems`, `settings`, "
	  "`handshake`, "
	  "`client_certificate`.",
	  "conn", "scan.tls?" },

	{ "report", "report(key, value [, text])",
	  "Records `value` under `data.key`, and prints `text`: by default the value, if it is a text or a "
	  "number; "
	  "`false` prints nothing. A later report under the same key replaces the earlier in the record.",
	  NULL, NULL },
	{ "warn", "report.warn(code, text [, show])",
	  "Adds to the record's `warnings`, and prints `warning: text`; `false` prints nothing.", "report",
	  "@param code string\n@param text string\n@param show? boolean" },

	{ "connect", "scan.connect(host, port [, options])",
	  "A connection to any host. In probes it is `scan.connect(port [, options])`, to the same address. "
	  "`tls = true` "
	  "makes the handshake too; in programs there are also `name`, for SNI, and `timeout`, in seconds.",
	  "scan",
	  "@param host string\n@param port integer\n@param options? { tls?: boolean, name?: string, "
	  "timeout?: number }\n"
	  "@return scan.conn conn\n@overload fun(port: integer, options?: { tls?: boolean }): scan.conn" },
	{ "sleep", "scan.sleep(seconds)", "Waits.", "scan", "@param seconds number" },
	{ "now", "scan.now()", "Seconds, on a clock that only goes forward.", "scan",
	  "@return number seconds" },
	{ "escape", "scan.escape(text)", "The text as the report would print it.", "scan",
	  "@param text string\n@return string shown" },
	{ "hex", "scan.hex(bytes)", "Two digits a byte.", "scan",
	  "@param bytes string\n@return string text" },
	{ "unhex", "scan.unhex(text)", "The bytes; `nil` for a text that is not hex.", "scan",
	  "@param text string\n@return string? bytes" },
	{ "base64", "scan.base64(bytes)", "Base64 (RFC 4648), padded, in one line.", "scan",
	  "@param bytes string\n@return string text" },
	{ "unbase64", "scan.unbase64(text)",
	  "The bytes; `nil` for a text that is not base64. White space does not count.", "scan",
	  "@param text string\n@return string? bytes" },
	{ "is_error", "scan.is_error(value)", "Is it a socket error?", "scan",
	  "@param value any\n@return boolean" },
	{ "classify", "scan.classify(line)",
	  "The name of the first service with a greeting that the line fits, or `nil`.", "scan",
	  "@param line string\n@return string? service" },
	{ "listen", "scan.listen([address [, port]])",
	  "A listener, at 127.0.0.1 if no address is given, and at a port that the system chooses if none "
	  "is.",
	  "scan", "@param address? string\n@param port? integer\n@return scan.listener listener" },
	{ "pair", "scan.pair()", "Two connections, each the other's far side.", "scan",
	  "@return scan.conn one\n@return scan.conn other" },
	{ "spawn", "scan.spawn(f, ...)", "Runs f(...) beside this, and gives a task.", "scan",
	  "@param f function\n@param ... any\n@return scan.task task" },
	{ "resolve", "scan.resolve(name)", "The addresses of a name, a list.", "scan",
	  "@param name string\n@return string[] addresses" },

	{ "accept", "listener:accept([seconds])", "The next client, a connection.", "listener",
	  "@param seconds? number\n@return scan.conn conn" },
	{ "close", "listener:close()", "Takes no more clients.", "listener", "" },
	{ "address", "listener.address", "Its own address.", "listener", "string" },
	{ "port", "listener.port", "Its own port.", "listener", "integer" },
	{ "join", "task:join()", "Waits for the task. Gives what it returned, or raises what it raised.",
	  "task", "@return any ..." },

	{ "phase", "phase",
	  "`resolve`, `connect`, `tls`, `read`, `write` or `deadline`; in records also `script`", "error",
	  "string" },
	{ "code", "code", "a short name, such as `timeout`", "error", "string" },
	{ "message", "message", "the same in words, sometimes the server's own", "error", "string" },
	{ "errno", "errno", "the system's number, or `nil`", "error", "integer?" },
	{ "partial", "partial", "what had come of the line or the bytes that were waited for, or `nil`",
	  "error", "string?" },

	{ "name", "services[i].name",
	  "Made of `a-z`, `0-9`, `-` and `_`. Names are for `-s`; of two services of one name the first "
	  "loaded counts.",
	  "service", "string" },
	{ "port", "services[i].port",
	  "Left out: the service is only tried on a port that the user gives, `-s NAME=PORT`.", "service",
	  "integer?" },
	{ "tls", "services[i].tls",
	  "`true`: TLS from the first byte. The handshake is made before `probe` is called.", "service",
	  "boolean?" },
	{ "optional", "services[i].optional",
	  "`true`: only when asked for by name or in a group. All others are part of `@default`.", "service",
	  "boolean?" },
	{ "default", "args[name].default",
	  "Tells the type: text, number, or `true`/`false`. Left out: text, and `nil` if the user gives "
	  "none.",
	  "argument", "(string|number|boolean)?" },
	{ "about", "args[name].about", "One line for `--describe`.", "argument", "string?" },
	{ "about", "about", "One line for `--list`. Must be there.", "probe", "string" },
	{ "services", "services", "A list, one table a service; at least one.", "probe", "scan.service[]" },
	{ "greeting", "greeting", "A pattern of a right first line, or a list of such: see greetings.",
	  "probe", "(string|string[])?" },
	{ "fields", "fields",
	  "What the probe reports, as a list of paths: `{ \"banner\", \"starttls.accepted\" }`. With it, "
	  "`--where` and "
	  "`--expect` find misspelt names before the scan, and a report under another key is an error. Left "
	  "out: anything "
	  "goes.",
	  "probe", "string[]?" },
	{ "args", "args", "`{ NAME = { default = ..., about = \"...\" } }`.", "probe",
	  "table<string, scan.argument>?" },
	{ "probe", "probe", "`function(conn, report, args)`. Left out: the connect test is all.", "probe",
	  "fun(conn: scan.conn, report: scan.report, args: table<string, any>)?" },
};

enum { ENTRIES = sizeof entries / sizeof *entries };

static const char overview[] =
    "Lua, line by line; the value of an expression is shown. What is said\n"
    "is shown at once: C are we, S is the server, T is TLS. Ctrl-C ends a wait.\n"
    "  :open [HOST:PORT] [tls|plain]  connect, or connect anew; conn is it\n"
    "  :close                         close conn\n"
    "  :tls                           upgrade conn, after the server's go-ahead\n"
    "  :cert                          what TLS and the certificate of conn are\n"
    "  :hex [on|off]                  bytes that came last; on: of all that is said\n"
    "  :save NAME                     write what was said as a probe and its test\n"
    "  :help NAME                     what a command or one of the names below is\n"
    "  :quit                          leave; so does Ctrl-D\n"
    "The names of the API; Tab completes them:\n"
    "  conn:     readline readuntil readwhile read write starttls close\n"
    "  conn.     host address port local_address unread tls service\n"
    "  scan.     connect resolve listen pair spawn sleep now escape is_error classify\n"
    "            hex unhex base64 unbase64\n"
    "  listener: accept close     listener.  address port     task:  join\n"
    "Try: conn:write(\"HELP\\r\\n\"), then conn:readline()\n";

const char *help_overview(void)
{
	return overview;
}

const struct entry *help_entry(size_t n)
{
	return n < ENTRIES ? &entries[n] : NULL;
}

/* "scan.connect" is "connect", "conn:readline" is "readline"; ":open" stays. */
static const char *last_part(const char *name)
{
	size_t length = strcspn(name, ".:");

	return length > 0 && name[length] != '\0' && name[length + 1] != '\0' ? name + length + 1 : name;
}

/* Is it the form up to what it is given? */
static bool is_whole(const struct entry *entry, const char *name)
{
	size_t length = strcspn(entry->form, "( ");

	return strlen(name) == length && strncmp(entry->form, name, length) == 0;
}

const struct entry *help_find(const char *name)
{
	const char *part = last_part(name);

	for (size_t i = 0; i < ENTRIES; i++)
		if (is_whole(&entries[i], name))
			return &entries[i];
	for (size_t i = 0; i < ENTRIES; i++)
		if (strcmp(entries[i].name, part) == 0)
			return &entries[i];
	for (size_t i = 0; entries[i].name[0] == ':'; i++)
		if (strcmp(entries[i].name + 1, part) == 0)
			return &entries[i];
	return NULL;
}
