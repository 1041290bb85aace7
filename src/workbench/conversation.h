/* A conversation with a server as a file for people: who said what, in which pieces, where TLS began, and
 * what the probe reported. `--record` writes such files, `--replay` reads them, and anybody can write one by hand from the example of an RFC:
 *
 *	# POP3 without TLS (RFC 1939 and RFC 2595).
 *	service: pop3
 *
 *	S: +OK POP3 ready {any}
 *	C: STLS
 *	S: -ERR what?
 *	C: QUIT
 *	S: +OK bye
 *
 *	R: +OK POP3 ready {any}
 *	R: TLS not available: -ERR what?
 *	R= {"error": null}
 *
 * Lines that are empty or begin with # are comments. The first lines are the head, NAME: VALUE:
 *
 *	service        the service whose probe is run; must be there
 *	script         a probe's file, as seen from here, for a service that is not among the scripts
 *	port           of the server; left out: the service's own
 *	host           the target as a user would name it; left out: server.example
 *	address        the server's; left out: 192.0.2.7
 *	local          our own address; left out: 192.0.2.4
 *	arg            an argument of the probe, PROBE.NAME=VALUE; once for each
 *	reply-timeout  seconds, in place of the option's; likewise connect-timeout and deadline
 *
 * Then comes what is said, in the order in which it is said:
 *
 *	S: text        the server says a line, and ends it with CR LF
 *	S- text        ... bytes, with no end of line
 *	S* text        ... a line over and over, until the client has gone
 *	S+ text        ... a line that comes in one piece with the one before, however the rest is cut
 *	S! close       the server closes; "S! reset" breaks the connection off
 *	|              what the server says next comes in a segment of its own
 *	+0.25          nothing is said for so many seconds
 *	C: text        the client says this line now, and CR LF; C- as above
 *	C! connect 17  the client opens another connection, to this port (it need not be told)
 *	T: starttls    the TLS handshake. What it came to ("TLSv1.3 ...") may stand there, too
 *	T: hello       the client begins a handshake, and is not answered as it should be
 *	T= JSON        what the probe finds in conn.tls; left out: what is so of a throw-away certificate. The
 *	               object may go on over several such lines
 *	S2: C2: T2: .. on the second connection, if the client opens one; likewise S3, ...
 *
 * Behind the last line the server says no more, and the client must leave without another word. In what
 * is said \r \n \t \0 \e \xNN and \\ stand for the bytes that cannot be seen. One space behind the mark is
 * no part of the text.
 *
 * What differs from one time to the next is marked. In what the client says and in what is reported, a mark
 * stands for whatever fits it; in what the server says, for an example:
 *
 *	{any}  {any:N}  any bytes of a line; in what is said, exactly N bytes of any kind
 *	{word} {number} {date}      no space; digits; what dates and times are made of
 *	{host} {port} {address} {local}      what the head says
 *
 * Any other braces stand for themselves. Last comes what was reported:
 *
 *	R: text        a line of the report, as it is printed below "port 25 (smtp) open."
 *	R= JSON        members of the record, in one or several such lines. A member that is
 *	               not there does not count; what is there must be the same, and of `error` and `tls`
 *	               so much as is there. Marks may stand in its texts
 */
#ifndef WORKBENCH_CONVERSATION_H
#define WORKBENCH_CONVERSATION_H

#include "base/buffer.h"
#include "net/address.h"
#include "net/observer.h"
#include "scan/host.h"
#include "workbench/phrase.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- what the head says ---------------------------------------------------------------------- */

enum { CONVERSATION_BYTES = 4 * 1024 * 1024, CONVERSATION_ARGUMENTS = 32 };

struct head {
	char           service[64], script[256], host[TARGET_NAME];
	struct address address, local;
	uint16_t       port;                                     /* 0: the service's own */
	double         connect_timeout, reply_timeout, deadline; /* 0: the option's */
	char          *arguments[CONVERSATION_ARGUMENTS];        /* PROBE.NAME=VALUE */
	size_t         argument_count;
};

/* With the defaults, nothing else. */
void head_init(struct head *head);
void head_free(struct head *head);

/* Copied; false: too many, or no memory. */
bool head_add_argument(struct head *head, const char *setting);

/* --- writing one down while it happens ------------------------------------------------------- */

/* Lines as they stand in the file, made from what observers are told. Bounded; what is beyond is left out,
 * and `cut` set. */
struct notes {
	struct buffer lines;
	size_t        run;        /* place in .lines where the server's words begin, if they are the last */
	double        ms;         /* of the last event */
	char          last;       /* who it was: 'S', 'C', 'T' or 0 */
	unsigned      connection; /* on which one */
	unsigned      over; /* a bit a connection that the server closed: what we still say there is lost */
	bool          cut;
	const char   *ended; /* how the server ended it, "close" or "reset", if that is not written yet */
};

void notes_init(struct notes *notes);
void notes_free(struct notes *notes);

/* `connection` counts from 1; `ms` from any beginning. */
void notes_event(struct notes *notes, unsigned connection, double ms, enum event event, const char *bytes,
                 size_t length);

/* What was reported of an outcome that is finished: the lines as printed, each with its LF, and the record's
 * state, data, warnings and error. */
struct reported {
	struct buffer text;
	json_t       *record;
};

bool reported_of(struct reported *reported, const struct host *host, const struct outcome *outcome);
void reported_free(struct reported *reported);

/* Append the lines R: and R= that want just this. */
void reported_write(struct buffer *out, const struct reported *reported);

/* Append the whole file to `out`, which has room for CONVERSATION_BYTES. `about` becomes the comment at the
 * top, `reported` may be NULL. The head's defaults are left out. */
void conversation_write(struct buffer *out, const char *about, const struct head *head,
                        const struct notes *notes, const struct reported *reported);

/* --- reading one ----------------------------------------------------------------------------- */

enum turn_kind {
	TURN_SAYS,     /* the server says .words; .glued: in one piece with what is before */
	TURN_REPEATS,  /* ... over and over */
	TURN_HEARS,    /* the client says .words */
	TURN_SECURES,  /* the handshake, to its end */
	TURN_HELLO,    /* the client's hello, which is not answered */
	TURN_BORDER,   /* a segment ends */
	TURN_PAUSES,   /* for .seconds */
	TURN_CONNECTS, /* the client connects to .port */
	TURN_CLOSES,
	TURN_RESETS
};

struct turn {
	enum turn_kind kind;
	unsigned       line; /* of the file */
	unsigned       connection;
	bool           glued, whole_line; /* whole_line: of the client's, up to its LF */
	double         seconds;
	uint16_t       port;
	struct phrase  words;
	char          *text; /* of the client's words: as they stand in the file */
};

struct expected {
	unsigned      line;
	char         *text; /* as it stands in the file */
	struct phrase words;
};

/* At most so many connections are told apart. */
enum { CONVERSATION_CONNECTIONS = 9, CONVERSATION_FACTS = 5 };

struct conversation {
	char            *path;
	struct head      head;
	unsigned         service_line, script_line, argument_lines[CONVERSATION_ARGUMENTS];
	struct fact      facts[CONVERSATION_FACTS]; /* {host}, ...; the last has no name */
	char             port[8], address[ADDRESS_TEXT], local[ADDRESS_TEXT];
	struct turn     *turns;
	size_t           turn_count;
	struct expected *lines; /* R: */
	size_t           line_count;
	json_t          *record, *tls; /* R= and T=, or NULL */
	unsigned         record_line;
	unsigned         last_line;
};

/* So many faults of a file are told. */
enum { CONVERSATION_PROBLEMS = 20 };

/* Read a file. False: each of `problems`' lines is one, "path:line: what is wrong". Either way
 * conversation_free frees. */
bool conversation_read(struct conversation *conversation, const char *path, struct buffer *problems);

/* The same from memory. */
bool conversation_parse(struct conversation *conversation, const char *path, const char *text, size_t length,
                        struct buffer *problems);

void conversation_free(struct conversation *conversation);

#endif
