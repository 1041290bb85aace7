/* One stream to a server: connect, lines, bytes, TLS on the live connection, close.
 *
 * Every verb is a single try that never blocks and never calls back: it does what can be done now
 * and answers in the alphabet of io.h. On IO_WANT_READ or IO_WANT_WRITE the caller may conn_await
 * and then call the same verb again, which goes on where it stopped. On IO_FAILED conn_failure says
 * why. Who waits, and until when, is the caller's business; nothing here extends a deadline.
 *
 * Limits per connection: CONN_RECEIVED bytes in, counted as the script sees them (plain and
 * decrypted alike), CONN_SENT bytes out, a line of CONN_LINE bytes.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/failure.h"
#include "net/address.h"
#include "net/io.h"
#include "net/loop.h"
#include "net/observer.h"
#include "net/tls.h"

enum { CONN_LINE = 4096, CONN_RECEIVED = 64 * 1024, CONN_SENT = 16 * 1024 };

struct conn;

/* NULL: no memory. */
struct conn *conn_new(struct loop *loop);

/* Tell `observer` (not owned, may be NULL) from now on. */
void conn_observe(struct conn *conn, struct observer *observer);

/* For programs of the user's own: no limit of bytes in or out, and a socket that is closed still sends what it
 * has to send, instead of being reset. Before it is opened. */
void conn_trust(struct conn *conn);

/* Take over a connected stream socket, of whatever family; it is made non-blocking. The conn owns the
 * descriptor from here on, also if the answer is IO_FAILED. */
enum io conn_adopt(struct conn *conn, int fd);

/* conn_close and free; NULL is fine. The socket is reset (SO_LINGER 0) unless the server closed
 * first, so that a scan leaves no port of this machine in TIME_WAIT. */
void conn_free(struct conn *conn);

/* Whatever the socket is: let conn_remote, conn_local and, once there is TLS, conn_tls_facts answer so, for
 * conversations without a network. NULL in place of facts: those that there really are. */
void conn_pretend(struct conn *conn, const struct address *remote, const struct address *local,
                  json_t *facts);

/* Start to connect. IO_DONE: connected at once; IO_WANT_WRITE: await, then ask conn_connected. A
 * conn whose attempt failed may try another address. */
enum io conn_connect(struct conn *conn, const struct address *address);
enum io conn_connected(struct conn *conn);

/* What stands for conn_connect where there is no network, and answers like it. */
typedef enum io conn_dial(void *owner, struct conn *conn, const struct address *address);

/* One line without its CRLF or LF. The bytes are good until the next call. What lies beyond
 * CONN_LINE bytes is dropped up to the LF, and `cut` set. Bytes before the end of the stream count
 * as a line; the end itself, with nothing before it, is IO_FAILED "closed-early". */
struct line {
	const char *bytes;
	size_t      length;
	bool        cut;
};
enum io conn_readline(struct conn *conn, struct line *line);

/* Exactly `count` bytes (at most CONN_RECEIVED), or, for `count` 0, what has arrived, at least one. */
enum io conn_read(struct conn *conn, size_t count, struct line *bytes);

/* Read what has come, without taking it: for those who want to see early what a verb will give later. IO_DONE:
 * there was something. */
enum io conn_look(struct conn *conn);

/* All of the bytes. The same bytes must be given again after IO_WANT_*; progress is remembered. From within a turn of
 * the loop, a short one on a plain connection that conn_connect made, and nobody trusts, counts as written and is sent
 * at the turn's end, together with those of other connections; if that fails, the next verb says so. */
enum io conn_write(struct conn *conn, const char *bytes, size_t length);

/* Was a write given up in the middle? Then the server would take other bytes for its rest: conn_failure says so. */
bool conn_unfinished(struct conn *conn);

/* Turn the live connection into TLS; `name` as for tls_new. Fails with "plaintext-at-starttls",
 * quoting them, if bytes of the plain conversation are left over or arrive before our hello. Once the
 * handshake has failed all verbs fail, with the same words. */
enum io conn_starttls(struct conn *conn, struct tls_context *context, enum tls_manner manner,
                      const char *name);

/* Close the socket now, under TLS with a close_notify; what was read stays. Idempotent, never waits.
 * The struct is still the owner's to free. */
void conn_close(struct conn *conn);

/* Wait for what the last try wanted. `wake` is called once, from the loop, with false if the
 * `deadline` came first. One wait at a time; conn_forget ends it without a call. */
typedef void conn_wake(void *owner, bool ready);
void         conn_await(struct conn *conn, enum io want, moment deadline, conn_wake *wake, void *owner);
void         conn_forget(struct conn *conn);

/* Of what will be waited for, made of several reads, a part is there already, or not. */
void conn_begun(struct conn *conn, bool begun);

/* Put into words that the last wait, of `seconds`, was in vain: what was waited for, what came. */
void conn_overdue(struct conn *conn, double seconds);

const struct failure *conn_failure(const struct conn *conn);

/* Bytes that have been read from the socket but not yet been taken by a verb. */
const char *conn_unread(const struct conn *conn, size_t *length);

const struct address *conn_remote(const struct conn *conn);
bool                  conn_local(const struct conn *conn, struct address *address); /* false: not connected */
bool                  conn_open(const struct conn *conn);     /* has a socket, connected or on the way */
bool                  conn_silent(const struct conn *conn);   /* connected, and no byte has come */
bool                  conn_heard(const struct conn *conn);    /* any byte has come, TLS records included */
bool                  conn_secure(const struct conn *conn);   /* the TLS handshake is done */
bool                  conn_securing(const struct conn *conn); /* it has begun, and not failed yet */

/* The record's `tls` object, a new reference; NULL if there was no TLS. Ask when the conversation is over,
 * or the handshake done: the answer is kept. */
json_t *conn_tls_facts(struct conn *conn);

#endif
