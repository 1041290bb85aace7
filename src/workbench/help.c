#include "workbench/help.h"

#include <string.h>

static const struct entry entries[] = {
	{ ":open", ":open [HOST:PORT] [tls|plain]", "connect, or connect anew; conn is the connection" },
	{ ":close", ":close", "close conn" },
	{ ":tls", ":tls", "upgrade conn to TLS, after the server has agreed to it" },
	{ ":cert", ":cert", "what TLS and the certificate of conn are" },
	{ ":hex", ":hex [on|off]", "the bytes that came last; on: of all that comes and goes" },
	{ ":save", ":save NAME", "the session as a probe, NAME.lua, and as its test, NAME.conversation" },
	{ ":help", ":help [NAME]", "this; or what NAME is" },
	{ ":quit", ":quit", "leave; so does Ctrl-D" },

	{ "readline", "conn:readline([seconds])",
	  "one line, without its end; and true, if it was too long and is cut" },
	{ "read", "conn:read([n [, seconds]])", "exactly n bytes; without n what has come, at least one" },
	{ "write", "conn:write(text, ...)", "all of it; a line needs its \\r\\n" },
	{ "starttls", "conn:starttls([options])",
	  "TLS from here on; gives conn.tls. options: name, server = true, certificate = FILE" },
	{ "close", "conn:close(), listener:close()", "close it; more than once does no harm" },
	{ "host", "conn.host", "the other side, as it was named" },
	{ "address", "conn.address, listener.address", "the other side's address; of a listener, its own" },
	{ "port", "conn.port, listener.port", "the other side's port; of a listener, its own" },
	{ "service", "conn.service", "in a probe, the service" },
	{ "local_address", "conn.local_address", "our address" },
	{ "tls", "conn.tls", "version, cipher and certificate; nil without TLS" },
	{ "unread", "conn.unread", "how many bytes have come that nobody has read" },

	{ "connect", "scan.connect(host, port [, options])",
	  "a connection. options: tls = true, name = NAME, timeout = SECONDS" },
	{ "resolve", "scan.resolve(name)", "the addresses of a name, a list" },
	{ "listen", "scan.listen([address [, port]])", "a listener; without a port the system chooses one" },
	{ "accept", "listener:accept([seconds])", "the next client, a connection" },
	{ "pair", "scan.pair()", "two connections, each the other's other side" },
	{ "spawn", "scan.spawn(f, ...)", "run f(...) beside this; gives a task" },
	{ "join", "task:join()", "wait for a task; gives what it returned, or raises what it raised" },
	{ "sleep", "scan.sleep(seconds)", "wait" },
	{ "now", "scan.now()", "seconds, on a clock that only goes forward" },
	{ "escape", "scan.escape(text)", "as it can be shown on a terminal" },
	{ "hex", "scan.hex(bytes)", "two digits a byte; nothing else" },
	{ "unhex", "scan.unhex(text)", "the bytes, or nil if the text is not hex" },
	{ "base64", "scan.base64(bytes)", "as RFC 4648 writes them, padded, in one line" },
	{ "unbase64", "scan.unbase64(text)", "the bytes, or nil if the text is not base64" },
	{ "is_error", "scan.is_error(e)", "did a connection fail, or is it a bug?" },
	{ "classify", "scan.classify(line)", "the service whose greeting this is, or nil" },
	{ "conn", "conn", "the open connection: conn:write(\"HELP\\r\\n\"), conn:readline()" },
	{ "scan", "scan", "connect, listen, spawn, ...: :help scan.connect" },
};

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
    "  conn:     readline read write starttls close\n"
    "  conn.     host address port local_address unread tls service\n"
    "  scan.     connect resolve listen pair spawn sleep now escape is_error classify\n"
    "  listener: accept close     listener.  address port     task:  join\n"
    "Try: conn:write(\"HELP\\r\\n\"), then conn:readline()\n";

const char *help_overview(void)
{
	return overview;
}

const struct entry *help_entry(size_t n)
{
	return n < sizeof entries / sizeof *entries ? &entries[n] : NULL;
}

/* "scan.connect" is "connect", "conn:readline" is "readline"; ":open" stays. */
static const char *last_part(const char *name)
{
	size_t length = strcspn(name, ".:");

	return length > 0 && name[length] != '\0' && name[length + 1] != '\0' ? name + length + 1 : name;
}

const struct entry *help_find(const char *name)
{
	const char *part = last_part(name);

	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
		if (strcmp(entries[i].name, part) == 0)
			return &entries[i];
	for (size_t i = 0; entries[i].name[0] == ':'; i++)
		if (strcmp(entries[i].name + 1, part) == 0)
			return &entries[i];
	return NULL;
}
