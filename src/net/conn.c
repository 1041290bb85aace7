#include "net/conn.h"

#include "base/buffer.h"
#include "base/escape.h"
#include "net/alarm.h"
#include "net/own_port.h"
#include "net/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A plain read takes at most READ_AHEAD bytes beyond what is asked for, so that an endless sender
 * costs little memory. SECRET_BYTES of TLS records at most are taken at a time. */
enum { READ_AHEAD = 8 * 1024, SECRET_BYTES = 17 * 1024, SECRETS = 256 * 1024 };

/* So many bytes, a command, are put off to the end of the turn. */
enum { COMMAND = 1024 };

struct conn {
	struct loop   *loop;
	int            fd; /* -1 while closed */
	struct watch   watch;
	struct address remote, local; /* local: family 0 but for one that pretends */

	/* What the edges said and no try has contradicted since. */
	bool readable, writable, failed, hangup;
	bool urgent; /* there was urgent data: a read ends before it, though more has come */
	bool made;   /* the socket is from make_socket */
	bool connected, refused;
	bool within; /* this machine, at a port that may be one of ours */
	bool trusted;
	bool begun; /* of what is waited for, something was taken already */
	bool ended; /* the server's half is closed, all of it is read from the socket */
	int  reset; /* errno of a reset that came before the connection was noticed; 0: none */
	int  lost;  /* errno with which a read ended, as all later ones do; 0: none */

	struct buffer in;      /* what the server said and no verb has taken */
	struct buffer out;     /* what must go to the socket: TLS records, or a command put off */
	struct later  sending; /* sends it */
	size_t        scanned; /* bytes of `in` known to hold no LF */
	bool          cut;     /* the line at the front of `in` was longer than CONN_LINE */
	size_t        received, sent, written; /* written: progress of the current conn_write */
	size_t        secrets;                 /* TLS bytes from the socket */

	struct tls *tls;
	bool        secure;
	bool        broken;    /* it is over, though the socket may not know: .failure says why */
	json_t     *facts;     /* of the TLS session, once asked for */
	json_t     *pretended; /* what is told of it instead, or NULL */

	struct alarm alarm;
	enum io      want; /* IO_DONE while nobody waits */
	conn_wake   *wake;
	void        *owner;
	struct later waking; /* him who waits */

	struct observer *observer;
	struct failure   failure;
};

/* --- life ------------------------------------------------------------------------------------ */

static void    ready(struct watch *watch, uint32_t events);
static void    ring(struct alarm *alarm);
static bool    send_later(struct later *later);
static bool    wake_later(struct later *later);
static enum io fill(struct conn *conn, size_t held);

struct conn *conn_new(struct loop *loop)
{
	struct conn *conn = calloc(1, sizeof *conn);

	if (!conn || !alarm_reserve(loop)) {
		free(conn);
		return NULL;
	}
	conn->loop = loop;
	conn->fd = -1;
	conn->watch.ready = ready;
	conn->alarm.ring = ring;
	conn->sending.run = send_later;
	conn->waking.run = wake_later;
	conn->want = IO_DONE;
	buffer_init(&conn->in, CONN_RECEIVED);
	buffer_init(&conn->out, SECRETS);
	return conn;
}

static void tell(struct conn *conn, enum event event, const char *bytes, size_t length)
{
	if (conn->observer)
		conn->observer->told(conn->observer, event, bytes, length);
}

void conn_observe(struct conn *conn, struct observer *observer)
{
	conn->observer = observer;
}

void conn_trust(struct conn *conn)
{
	conn->trusted = true;
}

/* May another connection have the socket? Not where the server closed first, which would be reset for it; nor where
 * connecting failed otherwise than by a refusal, for the kernel may remember what an ICMP message said. */
static bool is_reusable(const struct conn *conn)
{
	return conn->made && (conn->connected ? !conn->ended && !conn->trusted : conn->refused);
}

static void destroy_socket(struct conn *conn)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	watch_remove(conn->loop, &conn->watch);
	if (conn->connected && !conn->ended && !conn->trusted)
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(conn->fd);
}

static void close_socket(struct conn *conn)
{
	if (conn->fd < 0)
		return;
	if (!is_reusable(conn) || !spare_keep(conn->loop, &conn->watch, conn->fd, &conn->remote))
		destroy_socket(conn);
	conn->fd = -1;
	if (conn->connected)
		tell(conn, EVENT_CLOSED, NULL, 0);
}

void conn_free(struct conn *conn)
{
	if (!conn)
		return;
	conn_close(conn);
	tls_free(conn->tls);
	json_decref(conn->facts);
	json_decref(conn->pretended);
	buffer_free(&conn->in);
	buffer_free(&conn->out);
	alarm_release(conn->loop);
	free(conn);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void wake(struct conn *conn, bool is_ready)
{
	conn_wake *callback = conn->wake;

	conn_forget(conn);
	callback(conn->owner, is_ready);
}

/* Has what is waited for come, as far as can be told? What is there to be read is received at once, together with that
 * of others; a failure to do so is there for the reader to find. */
static bool has_come(struct conn *conn)
{
	if (conn->want != IO_WANT_READ)
		return conn->want == IO_WANT_WRITE && conn->writable;
	if (!conn->readable || conn->tls || buffer_length(&conn->in) >= READ_AHEAD)
		return conn->readable;
	return fill(conn, READ_AHEAD) != IO_WANT_READ;
}

static void note_events(struct conn *conn, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		conn->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->hangup = true;
	if (events & EPOLLERR)
		conn->failed = true;
	if (events & EPOLLPRI)
		conn->urgent = true;
}

static void ready(struct watch *watch, uint32_t events)
{
	struct conn *conn = (struct conn *)(void *)((char *)watch - offsetof(struct conn, watch));

	note_events(conn, events);
	if (conn->writable && !conn->tls && buffer_length(&conn->out) > 0)
		later_set(conn->loop, STAGE_SEND, &conn->sending);
	if (has_come(conn))
		later_set(conn->loop, STAGE_WAKE, &conn->waking);
}

static bool wake_later(struct later *later)
{
	wake((struct conn *)(void *)((char *)later - offsetof(struct conn, waking)), true);
	return true;
}

static void ring(struct alarm *alarm)
{
	wake((struct conn *)(void *)((char *)alarm - offsetof(struct conn, alarm)), false);
}

void conn_await(struct conn *conn, enum io want, moment deadline, conn_wake *callback, void *owner)
{
	conn->want = want;
	conn->wake = callback;
	conn->owner = owner;
	alarm_set(conn->loop, &conn->alarm, deadline);
}

void conn_forget(struct conn *conn)
{
	alarm_clear(conn->loop, &conn->alarm);
	later_clear(&conn->waking);
	conn->want = IO_DONE;
}

/* --- connecting ------------------------------------------------------------------------------ */

static enum io fail(struct conn *conn, enum phase phase, int error)
{
	failure_errno(&conn->failure, phase, error);
	return IO_FAILED;
}

static enum io fail_connect(struct conn *conn, int error)
{
	close_socket(conn);
	return fail(conn, PHASE_CONNECT, error);
}

static void forget_attempt(struct conn *conn)
{
	later_clear(&conn->sending);
	buffer_clear(&conn->out);
	close_socket(conn);
	conn->readable = conn->writable = conn->failed = conn->hangup = conn->urgent = false;
	conn->made = conn->connected = conn->refused = conn->ended = conn->within = false;
	conn->reset = conn->lost = 0;
	failure_clear(&conn->failure);
}

/* Does it come from this machine, and go to a port that may be one of ours? */
static void note_port(struct conn *conn)
{
	struct address local;

	conn->within = own_port_possible(&conn->remote) && conn_local(conn, &local) &&
	               address_same(&local, &conn->remote);
	if (conn->within)
		own_port_note(&local);
}

static enum io connected(struct conn *conn)
{
	conn->connected = true;
	conn->writable = true;
	if (conn->within && own_port_met(&conn->remote))
		return fail_connect(conn, ECONNREFUSED);
	tell(conn, EVENT_CONNECTED, NULL, 0);
	return IO_DONE;
}

enum io conn_adopt(struct conn *conn, int fd)
{
	struct sockaddr_storage remote;
	socklen_t               size = sizeof remote;

	forget_attempt(conn);
	conn->fd = fd;
	if (getpeername(fd, (struct sockaddr *)&remote, &size) == 0)
		address_from(&conn->remote, (const struct sockaddr *)&remote);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || !watch_add(conn->loop, &conn->watch, fd))
		return fail_connect(conn, errno);
	conn->connected = conn->writable = true;
	tell(conn, EVENT_CONNECTED, NULL, 0);
	return IO_DONE;
}

void conn_pretend(struct conn *conn, const struct address *remote, const struct address *local, json_t *facts)
{
	conn->remote = *remote;
	conn->local = *local;
	json_decref(conn->pretended);
	conn->pretended = json_incref(facts);
}

/* A spare one, which is watched already, or a new one, which is not. */
static bool make_socket(struct conn *conn, int family)
{
	conn->fd = spare_take(conn->loop, &conn->watch, family);
	if (conn->fd < 0)
		conn->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	conn->made = conn->fd >= 0;
	return conn->made;
}

enum io conn_connect(struct conn *conn, const struct address *address)
{
	int result;

	forget_attempt(conn);
	conn->remote = *address;
	if (!make_socket(conn, address_family(address)))
		return fail_connect(conn, errno);
	result = connect(conn->fd, &address->socket.any, address_length(address));
	if (result < 0 && errno != EINPROGRESS && errno != EINTR)
		return fail_connect(conn, errno);
	note_port(conn);
	if (conn->watch.slot == 0 && !watch_add(conn->loop, &conn->watch, conn->fd))
		return fail_connect(conn, errno);
	return result < 0 ? IO_WANT_WRITE : connected(conn);
}

enum io conn_connected(struct conn *conn)
{
	int       error = 0;
	socklen_t size = sizeof error;

	if (conn->connected)
		return IO_DONE;
	if (conn->failed || conn->hangup) {
		getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		conn->failed = false;
		conn->refused = error == ECONNREFUSED;
		if (error == ECONNRESET || error == EPIPE)
			conn->reset =
			    ECONNRESET; /* only what was connected can be reset: the read will tell */
		else if (error != 0)
			return fail_connect(conn, error);
	}
	return conn->writable ? connected(conn) : IO_WANT_WRITE;
}

/* --- bytes in -------------------------------------------------------------------------------- */

static enum io fail_broken_off(struct conn *conn, int error)
{
	conn->lost = error;
	if (error == ECONNRESET)
		tell(conn, EVENT_RESET, NULL, 0);
	return fail(conn, PHASE_READ, error);
}

/* One recv of at most `room` bytes into the loop's scratch area. After a short read the socket is
 * known to be empty, which spares the try that would only say so. */
static enum io receive(struct conn *conn, size_t room, size_t *length)
{
	ssize_t count;

	if (conn->ended)
		return IO_EOF;
	if (conn->lost != 0)
		return fail(conn, PHASE_READ, conn->lost);
	if (!conn->readable)
		return IO_WANT_READ;
	do
		count = recv(conn->fd, loop_scratch(conn->loop), room, 0);
	while (count < 0 && errno == EINTR);
	if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		conn->readable = false;
		return IO_WANT_READ;
	}
	if (count < 0)
		return fail_broken_off(conn, errno);
	if (count == 0 && conn->reset != 0)
		return fail_broken_off(conn, conn->reset);
	if (count == 0) {
		conn->ended = true;
		tell(conn, EVENT_ENDED, NULL, 0);
		return IO_EOF;
	}
	if ((size_t)count < room && !conn->hangup && !conn->urgent)
		conn->readable = false;
	*length = (size_t)count;
	return IO_DONE;
}

static enum io fail_memory(struct conn *conn, enum phase phase)
{
	return fail(conn, phase, ENOMEM);
}

/* Bring TLS records from the socket to the TLS machine. */
static enum io feed(struct conn *conn)
{
	size_t  length;
	enum io result = receive(conn, SECRET_BYTES, &length);

	if (result == IO_EOF) {
		tls_feed_end(conn->tls);
		return IO_DONE;
	}
	if (result != IO_DONE)
		return result;
	conn->secrets += length;
	if (conn->secrets > SECRETS && !conn->trusted) {
		failure_set(&conn->failure, PHASE_TLS, "oversize", "more than %d KiB of TLS records",
		            SECRETS / 1024);
		return IO_FAILED;
	}
	return tls_feed(conn->tls, loop_scratch(conn->loop), length) ? IO_DONE : fail_memory(conn, PHASE_TLS);
}

static enum io flush(struct conn *conn);

/* Decrypt at most `room` bytes into the scratch area. */
static enum io decrypt(struct conn *conn, size_t room, size_t *length)
{
	enum io result;

	for (;;) {
		result = tls_read(conn->tls, loop_scratch(conn->loop), room, length, &conn->failure);
		if (result != IO_WANT_READ)
			return result;
		result = flush(conn); /* what a KeyUpdate or an alert of ours needs */
		if (result == IO_DONE)
			result = feed(conn);
		if (result != IO_DONE)
			return result;
	}
}

/* Get more of the stream into `in`, which holds `held` bytes at most afterwards. */
static enum io fill(struct conn *conn, size_t held)
{
	size_t  room = held - buffer_length(&conn->in);
	size_t  length;
	enum io result;

	if (conn->broken)
		return IO_FAILED;
	if (conn->received >= CONN_RECEIVED && !conn->trusted) {
		failure_set(&conn->failure, PHASE_READ, "oversize", "more than %d KiB from the server",
		            CONN_RECEIVED / 1024);
		return IO_FAILED;
	}
	if (!conn->trusted && room > CONN_RECEIVED - conn->received)
		room = CONN_RECEIVED - conn->received;
	result = conn->tls ? decrypt(conn, room, &length) : receive(conn, room, &length);
	if (result != IO_DONE)
		return result;
	conn->received += length;
	tell(conn, EVENT_RECEIVED, loop_scratch(conn->loop), length);
	conn->broken = !buffer_append(&conn->in, loop_scratch(conn->loop), length);
	return conn->broken ? fail_memory(conn, PHASE_READ) : IO_DONE;
}

static enum io fail_ended(struct conn *conn)
{
	failure_set(&conn->failure, PHASE_READ, "closed-early",
	            conn->received == 0 ? "the server closed the connection without a word"
	                                : "the server closed the connection");
	return IO_FAILED;
}

/* Hand out `length` bytes from the front, of which `taken` leave the buffer. */
static void take(struct conn *conn, struct line *line, size_t length, size_t taken)
{
	line->bytes = buffer_bytes(&conn->in);
	line->length = length;
	line->cut = false;
	buffer_consume(&conn->in, taken);
	conn->scanned = 0;
}

/* A line is cut between characters, where it is made of UTF-8 there. */
static size_t whole_characters(const char *bytes, size_t length)
{
	size_t   start = length;
	uint32_t code;

	while (start > 0 && length - start < 3 && ((unsigned char)bytes[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || ((unsigned char)bytes[start - 1] & 0xc0) != 0xc0)
		return length;
	return utf8_decode(bytes + start - 1, length - start + 1, &code) > 0 ? length : start - 1;
}

/* The line of `length` bytes, its LF being the byte after (`terminated`), without a CR before it. */
static enum io take_line(struct conn *conn, struct line *line, size_t length, bool terminated)
{
	const char *bytes = buffer_bytes(&conn->in);
	size_t      shown = length;
	bool        cut = conn->cut;

	if (terminated && !cut && shown > 0 && bytes[shown - 1] == '\r')
		shown--;
	if (shown > CONN_LINE) {
		shown = CONN_LINE;
		cut = true;
	}
	take(conn, line, cut ? whole_characters(bytes, shown) : shown, length + terminated);
	line->cut = cut;
	conn->cut = false;
	return IO_DONE;
}

/* A line without end: keep what a script may see of it, drop the rest as it comes. A CR behind CONN_LINE
 * bytes is kept, for it may belong to the line's end. */
static void drop_excess(struct conn *conn)
{
	size_t length = buffer_length(&conn->in);

	if (length <= CONN_LINE ||
	    (length == CONN_LINE + 1 && !conn->cut && buffer_bytes(&conn->in)[CONN_LINE] == '\r'))
		return;
	conn->in.end -= length - CONN_LINE;
	conn->cut = true;
	conn->scanned = CONN_LINE;
}

enum io conn_readline(struct conn *conn, struct line *line)
{
	for (;;) {
		const char *bytes = buffer_bytes(&conn->in);
		size_t      length = buffer_length(&conn->in);
		const char *lf = memchr(bytes + conn->scanned, '\n', length - conn->scanned);
		enum io     result;

		if (lf)
			return take_line(conn, line, (size_t)(lf - bytes), true);
		conn->scanned = length;
		drop_excess(conn);
		result = fill(conn, READ_AHEAD);
		if (result == IO_EOF)
			return length > 0 ? take_line(conn, line, buffer_length(&conn->in), false)
			                  : fail_ended(conn);
		if (result != IO_DONE)
			return result;
	}
}

enum io conn_read(struct conn *conn, size_t count, struct line *bytes)
{
	size_t wanted = count > 0 ? count : 1;

	while (buffer_length(&conn->in) < wanted) {
		enum io result = fill(conn, wanted > READ_AHEAD ? wanted : READ_AHEAD);

		if (result == IO_EOF)
			return fail_ended(conn);
		if (result != IO_DONE)
			return result;
	}
	wanted = count > 0 ? count : buffer_length(&conn->in);
	take(conn, bytes, wanted, wanted);
	conn->cut = false;
	return IO_DONE;
}

enum io conn_look(struct conn *conn)
{
	return buffer_length(&conn->in) < READ_AHEAD ? fill(conn, READ_AHEAD) : IO_WANT_READ;
}

/* --- bytes out ------------------------------------------------------------------------------- */

/* Nobody listens any more, but the server's last words may still lie in the socket. The read that follows
 * finds them, and then the end: so what is reported does not depend on which of us was the first. */
static enum io pass_over(struct conn *conn, size_t length, size_t *sent)
{
	if (!conn->ended)
		conn->reset = ECONNRESET;
	conn->readable = true;
	*sent = length;
	return IO_DONE;
}

static enum io transmit(struct conn *conn, const char *bytes, size_t length, size_t *sent)
{
	ssize_t count;

	do
		count = send(conn->fd, bytes, length, MSG_NOSIGNAL);
	while (count < 0 && errno == EINTR);
	if (count >= 0) {
		*sent = (size_t)count;
		return IO_DONE;
	}
	if (errno == EPIPE || errno == ECONNRESET)
		return pass_over(conn, length, sent);
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return fail(conn, PHASE_WRITE, errno);
	conn->writable = false;
	return IO_WANT_WRITE;
}

/* Send what is due. */
static enum io send_out(struct conn *conn)
{
	enum io result = IO_DONE;
	size_t  sent;

	while (result == IO_DONE && buffer_length(&conn->out) > 0) {
		result = transmit(conn, buffer_bytes(&conn->out), buffer_length(&conn->out), &sent);
		if (result == IO_DONE)
			buffer_consume(&conn->out, sent);
	}
	return result;
}

/* Collect what the TLS machine has to say. */
static enum io collect(struct conn *conn)
{
	size_t length;

	for (;;) {
		length = tls_take(conn->tls, loop_scratch(conn->loop), loop_scratch_size());
		if (length == 0)
			return IO_DONE;
		if (!buffer_append(&conn->out, loop_scratch(conn->loop), length))
			return fail_memory(conn, PHASE_TLS);
	}
}

static enum io flush(struct conn *conn)
{
	enum io result = collect(conn);

	return result == IO_DONE ? send_out(conn) : result;
}

/* A command is as good as sent: nothing is waited for but its answer. */
static bool put_off(struct conn *conn, const char *bytes, size_t length)
{
	return conn->made && !conn->trusted && conn->writable && conn->written == 0 &&
	       buffer_length(&conn->out) + length <= COMMAND &&
	       later_set(conn->loop, STAGE_SEND, &conn->sending) && buffer_append(&conn->out, bytes, length);
}

/* Why it could not be sent is the answer to it. */
static bool send_later(struct later *later)
{
	struct conn *conn = (struct conn *)(void *)((char *)later - offsetof(struct conn, sending));

	if (send_out(conn) == IO_FAILED)
		conn->broken = conn->readable = true;
	if (!conn->readable || conn->want != IO_WANT_READ)
		return false;
	wake(conn, true);
	return true;
}

static enum io write_plain(struct conn *conn, const char *bytes, size_t length)
{
	enum io result;
	size_t  sent;

	if (put_off(conn, bytes, length))
		return IO_DONE;
	result = send_out(conn);
	while (result == IO_DONE && conn->written < length) {
		result = transmit(conn, bytes + conn->written, length - conn->written, &sent);
		if (result == IO_DONE)
			conn->written += sent;
	}
	return result;
}

/* In pieces for which there is room. */
static enum io write_secret(struct conn *conn, const char *bytes, size_t length)
{
	enum io result = flush(conn);

	while (result == IO_DONE && conn->written < length) {
		size_t left = length - conn->written;
		size_t piece = left < CONN_SENT ? left : CONN_SENT;

		result = tls_write(conn->tls, bytes + conn->written, piece, &conn->failure);
		if (result == IO_EOF)
			return IO_DONE; /* nobody listens any more: the read that follows tells */
		if (result != IO_DONE)
			return result;
		conn->written += piece;
		result = flush(conn);
	}
	return result;
}

bool conn_unfinished(struct conn *conn)
{
	if (conn->written == 0)
		return false;
	failure_set(&conn->failure, PHASE_WRITE, "timeout", "what was written before did not get through");
	return true;
}

enum io conn_write(struct conn *conn, const char *bytes, size_t length)
{
	enum io result;

	if (conn->broken)
		return IO_FAILED;
	if (!conn->trusted && length > CONN_SENT - conn->sent) {
		failure_set(&conn->failure, PHASE_WRITE, "oversize", "more than %d KiB to the server",
		            CONN_SENT / 1024);
		return IO_FAILED;
	}
	result = conn->tls ? write_secret(conn, bytes, length) : write_plain(conn, bytes, length);
	if (result != IO_DONE)
		return result;
	conn->written = 0;
	conn->sent += length;
	tell(conn, EVENT_SENT, bytes, length);
	return IO_DONE;
}

/* --- TLS ------------------------------------------------------------------------------------- */

static enum io fail_injected(struct conn *conn)
{
	failure_quote(&conn->failure, PHASE_TLS, "plaintext-at-starttls", "plain text where TLS should start",
	              buffer_bytes(&conn->in), buffer_length(&conn->in));
	return IO_FAILED;
}

/* A read that fails for the handshake is the handshake's failure, whether it began before or behind our hello. */
static enum io fail_handshake(struct conn *conn)
{
	if (conn->failure.phase == PHASE_READ)
		conn->failure.phase = PHASE_TLS;
	return IO_FAILED;
}

/* A server may have read the beginning of the client's hello already. */
static enum io begin_server(struct conn *conn, struct tls_context *context, const char *name)
{
	conn->tls = tls_new(context, TLS_STRICT, name);
	if (!conn->tls || !tls_feed(conn->tls, buffer_bytes(&conn->in), buffer_length(&conn->in)))
		return fail_memory(conn, PHASE_TLS);
	buffer_clear(&conn->in);
	conn->scanned = 0;
	return IO_DONE;
}

/* Nothing of the plain conversation may be left when TLS starts: what a server (or somebody on the
 * way) sent behind its "go ahead" would be read as if it had come protected (CVE-2021-22947). */
static enum io begin_tls(struct conn *conn, struct tls_context *context, enum tls_manner manner,
                         const char *name)
{
	bool talked = conn->received + conn->sent > 0;

	if (tls_context_serves(context))
		return begin_server(conn, context, name);
	conn->readable = conn->readable || talked; /* look for what came since the loop was asked last, too */
	if (talked && buffer_length(&conn->in) == 0 && fill(conn, READ_AHEAD) == IO_FAILED)
		return fail_handshake(conn);
	if (buffer_length(&conn->in) > 0)
		return fail_injected(conn);
	conn->tls = tls_new(context, manner, name);
	later_clear(&conn->sending); /* from here on, what is due is sent with the records */
	return conn->tls ? IO_DONE : fail_memory(conn, PHASE_TLS);
}

/* A failed send must not hide what the server said before it closed: read that first. */
static enum io exchange(struct conn *conn)
{
	enum io sent = flush(conn);
	enum io got;

	if (sent == IO_WANT_WRITE)
		return sent;
	got = feed(conn);
	return got == IO_FAILED ? fail_handshake(conn) : got;
}

/* Send our alert. Whether it gets there does not change why the handshake failed. */
static void say_why(struct conn *conn)
{
	struct failure failure = conn->failure;

	flush(conn);
	conn->failure = failure;
}

static void secured(struct conn *conn)
{
	char   text[80];
	size_t length = tls_describe(conn->tls, text, sizeof text);

	conn->secure = true;
	tell(conn, EVENT_SECURED, text, length);
}

static void tell_broken(struct conn *conn)
{
	conn->broken = conn->tls != NULL;
	tell(conn, EVENT_BROKEN, conn->failure.message, strlen(conn->failure.message));
}

enum io conn_starttls(struct conn *conn, struct tls_context *context, enum tls_manner manner,
                      const char *name)
{
	enum io result;

	if (conn->broken)
		return IO_FAILED;
	result = conn->tls ? IO_DONE : begin_tls(conn, context, manner, name);
	while (result == IO_DONE) {
		result = tls_handshake(conn->tls, &conn->failure);
		if (result == IO_DONE)
			break;
		if (result == IO_WANT_READ)
			result = exchange(conn);
		else
			say_why(conn);
	}
	if (result == IO_DONE)
		result = flush(conn);
	if (result == IO_DONE)
		secured(conn);
	else if (result == IO_FAILED)
		tell_broken(conn);
	return result;
}

/* What was put off. Whether it gets there does not change why the connection is closed. */
static void send_before_close(struct conn *conn)
{
	struct failure failure = conn->failure;

	later_clear(&conn->sending);
	send_out(conn);
	conn->failure = failure;
}

void conn_close(struct conn *conn)
{
	conn_forget(conn);
	if (conn->sending.next)
		send_before_close(conn);
	if (conn->secure && conn->fd >= 0 && !conn->ended) {
		tls_goodbye(conn->tls);
		flush(conn);
	}
	close_socket(conn);
}

/* --- words and facts ------------------------------------------------------------------------- */

/* A server that says something, but never comes to the end of it, is quoted. */
static void fail_slow(struct conn *conn, double seconds)
{
	char what[80];

	snprintf(what, sizeof what, "the line did not end within %g s", seconds);
	failure_quote(&conn->failure, PHASE_READ, "too-slow", what, buffer_bytes(&conn->in),
	              buffer_length(&conn->in));
}

void conn_begun(struct conn *conn, bool begun)
{
	conn->begun = begun;
}

void conn_overdue(struct conn *conn, double seconds)
{
	if (!conn->connected) {
		close_socket(conn);
		failure_errno(&conn->failure, PHASE_CONNECT, ETIMEDOUT);
	} else if (conn->tls && !conn->secure) {
		tls_overdue(conn->tls, seconds, &conn->failure);
		tell_broken(conn);
	} else if (!conn->writable) {
		failure_set(&conn->failure, PHASE_WRITE, "timeout", "the server took nothing for %g s",
		            seconds);
	} else if (buffer_length(&conn->in) > 0) {
		fail_slow(conn, seconds);
	} else if (conn->begun) {
		failure_set(&conn->failure, PHASE_READ, "too-slow", "no end of the reply within %g s",
		            seconds);
	} else {
		failure_set(&conn->failure, PHASE_READ, "timeout", "no %s within %g s",
		            conn->received + conn->sent == 0 ? "greeting" : "reply", seconds);
	}
}

bool conn_securing(const struct conn *conn)
{
	return conn->tls && !conn->secure && !conn->broken;
}

const struct failure *conn_failure(const struct conn *conn)
{
	return &conn->failure;
}

const char *conn_unread(const struct conn *conn, size_t *length)
{
	*length = buffer_length(&conn->in);
	return buffer_bytes(&conn->in);
}

const struct address *conn_remote(const struct conn *conn)
{
	return &conn->remote;
}

bool conn_local(const struct conn *conn, struct address *address)
{
	struct sockaddr_storage local;
	socklen_t               size = sizeof local;

	if (address_family(&conn->local) != AF_UNSPEC) {
		*address = conn->local;
		return conn->fd >= 0;
	}
	if (conn->fd < 0 || getsockname(conn->fd, (struct sockaddr *)&local, &size) < 0)
		return false;
	return address_from(address, (const struct sockaddr *)&local);
}

bool conn_open(const struct conn *conn)
{
	return conn->fd >= 0;
}

bool conn_silent(const struct conn *conn)
{
	return conn->connected && conn->received == 0;
}

bool conn_heard(const struct conn *conn)
{
	return conn->received + conn->secrets > 0;
}

bool conn_secure(const struct conn *conn)
{
	return conn->secure;
}

/* Are these the facts of a handshake that failed behind the certificate? */
static bool says_failed(const json_t *facts)
{
	return json_is_false(json_object_get(facts, "handshake"));
}

json_t *conn_tls_facts(struct conn *conn)
{
	if (!conn->facts && conn->pretended && (conn->secure || says_failed(conn->pretended)))
		conn->facts = json_incref(conn->pretended);
	if (!conn->facts && conn->tls)
		conn->facts = tls_facts(conn->tls);
	return json_incref(conn->facts);
}
