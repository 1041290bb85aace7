/* net/spare: sockets that serve one connection after another, of which none may notice. */
#include "net/conn.h"
#include "net/spare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const double patience = 5;

static struct loop *loop;

static int make_loop(void **state)
{
	(void)state;
	loop = loop_new();
	return loop ? 0 : -1;
}

static int free_loop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static size_t spares(void)
{
	return loop_spares(loop)->count;
}

/* --- servers --------------------------------------------------------------------------------- */

struct server {
	struct address address;
	int            listener;
};

/* On a port of its own; with a backlog below 0 nothing listens, but the port is kept. */
static struct server serve(const char *text, int backlog)
{
	struct server server = { 0 };
	socklen_t     length = sizeof server.address.socket;

	assert_true(address_parse(&server.address, text));
	server.listener = socket(address_family(&server.address), SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server.listener >= 0);
	assert_int_equal(bind(server.listener, &server.address.socket.any, address_length(&server.address)),
	                 0);
	assert_int_equal(getsockname(server.listener, &server.address.socket.any, &length), 0);
	if (backlog >= 0)
		assert_int_equal(listen(server.listener, backlog), 0);
	return server;
}

static int take_peer(const struct server *server)
{
	int peer = accept(server->listener, NULL, NULL);

	assert_true(peer >= 0);
	return peer;
}

/* --- clients --------------------------------------------------------------------------------- */

static bool came;

static void woken(void *owner, bool ready)
{
	(void)owner;
	came = ready;
	loop_stop(loop);
}

static bool await(struct conn *conn, enum io want, double seconds)
{
	conn_await(conn, want, clock_after(clock_now(), seconds), woken, NULL);
	loop_run(loop, NULL, NULL);
	return came;
}

static enum io reach(struct conn *conn, const struct server *server)
{
	enum io result = conn_connect(conn, &server->address);

	while (result == IO_WANT_WRITE) {
		assert_true(await(conn, result, patience));
		result = conn_connected(conn);
	}
	return result;
}

static struct conn *connection(const struct server *server, int *peer)
{
	struct conn *conn = conn_new(loop);

	assert_int_equal(reach(conn, server), IO_DONE);
	*peer = take_peer(server);
	return conn;
}

static void say(int peer, const char *text)
{
	assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_line(struct conn *conn, const char *text)
{
	struct line line;
	enum io     result;

	while ((result = conn_readline(conn, &line)) == IO_WANT_READ)
		assert_true(await(conn, result, patience));
	assert_int_equal(result, IO_DONE);
	assert_int_equal(line.length, strlen(text));
	assert_memory_equal(line.bytes, text, line.length);
}

/* The end that the server sees: 0 for an end, or an errno. */
static int end_seen(int peer)
{
	char byte;
	int  count = (int)recv(peer, &byte, 1, 0);

	close(peer);
	return count == 0 ? 0 : errno;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void a_socket_serves_the_next_connection_which_knows_nothing_of_it(void **state)
{
	struct server one = serve("127.0.0.1", 5), other = serve("127.0.0.2", 5);
	struct conn  *conn;
	struct line   line;
	int           peer;

	(void)state;
	conn = connection(&one, &peer);
	say(peer, "read\nnot read\nnor this");
	expect_line(conn, "read");
	say(peer, "nor what came last\n");
	conn_free(conn);
	assert_int_equal(spares(), 1);
	assert_int_equal(end_seen(peer), ECONNRESET);
	for (int i = 0; i < 3; i++) {
		conn = connection(&other, &peer);
		assert_int_equal(spares(), 0);
		assert_int_equal(conn_readline(conn, &line), IO_WANT_READ);
		assert_false(await(conn, IO_WANT_READ, 0.02));
		say(peer, "good day\n");
		expect_line(conn, "good day");
		assert_int_equal(conn_write(conn, "x", 1), IO_DONE);
		conn_free(conn);
		assert_int_equal(spares(), 1);
		close(peer);
	}
	close(one.listener);
	close(other.listener);
}

static void a_refusal_is_not_told_to_the_next_nor_an_answer(void **state)
{
	struct server closed = serve("127.0.0.1", -1), open = serve("127.0.0.1", 5);
	struct conn  *conn;
	int           peer;

	(void)state;
	for (int i = 0; i < 3; i++) {
		conn = conn_new(loop);
		assert_int_equal(reach(conn, &closed), IO_FAILED);
		assert_int_equal(conn_failure(conn)->error, ECONNREFUSED);
		assert_int_equal(spares(), 1);
		conn_free(conn);
		conn = connection(&open, &peer);
		assert_int_equal(spares(), 0);
		say(peer, "hello\n");
		expect_line(conn, "hello");
		conn_free(conn);
		close(peer);
	}
	close(closed.listener);
	close(open.listener);
}

/* With room for one in the server's queue, and none for the others. */
static void who_got_no_answer_keeps_nothing(void **state)
{
	struct server server = serve("127.0.0.1", 0);
	struct conn  *conn[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		conn[i] = conn_new(loop);
		assert_int_not_equal(conn_connect(conn[i], &server.address), IO_FAILED);
	}
	assert_false(await(conn[3], IO_WANT_WRITE, 0.02));
	conn_overdue(conn[3], 0.02);
	assert_int_equal(spares(), 0);
	for (int i = 0; i < 4; i++)
		conn_free(conn[i]);
	close(server.listener);
}

static void who_left_first_is_left_politely(void **state)
{
	struct server server = serve("127.0.0.1", 5);
	struct line   line;
	struct conn  *conn;
	int           peer;

	(void)state;
	conn = connection(&server, &peer);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	while (conn_readline(conn, &line) == IO_WANT_READ)
		assert_true(await(conn, IO_WANT_READ, patience));
	conn_free(conn);
	assert_int_equal(spares(), 0);
	assert_int_equal(end_seen(peer), 0);
	close(server.listener);
}

static void what_a_user_opens_is_closed_as_ever(void **state)
{
	struct server server = serve("127.0.0.1", 5);
	struct conn  *conn = conn_new(loop);
	int           peer;

	(void)state;
	conn_trust(conn);
	assert_int_equal(reach(conn, &server), IO_DONE);
	peer = take_peer(&server);
	assert_int_equal(conn_write(conn, "to the end", 10), IO_DONE);
	conn_free(conn);
	assert_int_equal(spares(), 0);
	for (char byte; recv(peer, &byte, 1, 0) == 1;)
		;
	assert_int_equal(end_seen(peer), 0);
	close(server.listener);
}

static void families_do_not_mix_and_do_not_pile_up(void **state)
{
	struct server ipv4 = serve("127.0.0.1", 5), ipv6 = serve("::1", 5);
	struct conn  *conn;
	int           peer;

	(void)state;
	for (int i = 0; i < 4; i++) {
		conn = connection(i % 2 == 0 ? &ipv4 : &ipv6, &peer);
		assert_int_equal(spares(), 0); /* the one of the other family is closed */
		say(peer, "hello\n");
		expect_line(conn, "hello");
		conn_free(conn);
		assert_int_equal(spares(), 1);
		close(peer);
	}
	close(ipv4.listener);
	close(ipv6.listener);
}

/* Linux would not let such a socket go back to IPv6. */
static void a_mapped_address_keeps_its_socket(void **state)
{
	struct server server = serve("127.0.0.1", 5), mapped = server;
	struct conn  *conn;
	int           peer;

	(void)state;
	assert_true(address_parse(&mapped.address, "::ffff:127.0.0.1"));
	address_set_port(&mapped.address, address_port(&server.address));
	conn = connection(&mapped, &peer);
	conn_free(conn);
	assert_int_equal(spares(), 0);
	close(peer);
	close(server.listener);
}

static void there_are_never_more_than_were_in_use(void **state)
{
	enum { COUNT = SPARES + 20 };
	static struct conn *conn[COUNT];
	static int          peer[COUNT];
	struct server       server = serve("127.0.0.1", COUNT);

	(void)state;
	for (int i = 0; i < COUNT; i++)
		conn[i] = connection(&server, &peer[i]);
	for (int i = 0; i < COUNT; i++)
		conn_free(conn[i]);
	assert_int_equal(spares(), SPARES);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(end_seen(peer[i]), ECONNRESET);
	spares_close(loop);
	assert_int_equal(spares(), 0);
	close(server.listener);
}

static struct conn  *ended;
static struct server next_server;
static int           ended_peer;

static bool still_connected(int peer)
{
	char byte;

	return recv(peer, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

/* Two end; the third takes the place of one of them at once. */
static bool end_and_begin(void *owner)
{
	struct conn **others = owner;

	conn_free(ended);
	conn_free(others[0]);
	assert_int_equal(spares(), 2);
	assert_true(still_connected(ended_peer));
	others[1] = conn_new(loop);
	assert_int_not_equal(conn_connect(others[1], &next_server.address), IO_FAILED);
	assert_int_equal(spares(), 1);
	loop_stop(loop);
	return true;
}

static void within_a_turn_sockets_are_disconnected_at_its_end_or_when_they_are_taken(void **state)
{
	struct server server = serve("127.0.0.1", 5);
	struct conn  *others[2];
	int           peer, next_peer;

	(void)state;
	next_server = serve("127.0.0.2", 5);
	ended = connection(&server, &ended_peer);
	others[0] = connection(&server, &peer);
	loop_run(loop, end_and_begin, others);
	assert_int_equal(spares(), 1);
	assert_int_equal(end_seen(ended_peer), ECONNRESET);
	assert_int_equal(end_seen(peer), ECONNRESET);
	next_peer = take_peer(&next_server);
	while (conn_connected(others[1]) == IO_WANT_WRITE)
		assert_true(await(others[1], IO_WANT_WRITE, patience));
	say(next_peer, "hello\n");
	expect_line(others[1], "hello");
	conn_free(others[1]);
	close(next_peer);
	close(server.listener);
	close(next_server.listener);
}

/* --- events of before ------------------------------------------------------------------------ */

struct side {
	struct watch watch;
	struct side *other;
	int          ends[2];
	int          calls;
};

static struct watch late;
static int          late_calls;

static void come_late(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	late_calls++;
	loop_stop(loop);
}

/* Whoever is called first takes the descriptor of the other one, whose event is in the same batch. */
static void hand_over(struct watch *watch, uint32_t events)
{
	struct side *side = (struct side *)watch;

	(void)events;
	side->calls++;
	if (side->other->watch.slot != 0)
		watch_join(loop, &late, watch_leave(loop, &side->other->watch));
}

static bool stop_after_one(void *owner)
{
	(void)owner;
	loop_stop(loop);
	return true;
}

static void no_event_of_before_is_told_to_the_next_watch(void **state)
{
	struct side side[2] = { 0 };
	int         taken;

	(void)state;
	late = (struct watch){ .ready = come_late };
	late_calls = 0;
	for (int i = 0; i < 2; i++) {
		side[i].other = &side[1 - i];
		side[i].watch.ready = hand_over;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, side[i].ends), 0);
		assert_true(watch_add(loop, &side[i].watch, side[i].ends[0]));
		say(side[i].ends[1], "x");
	}
	loop_run(loop, stop_after_one, NULL);
	assert_int_equal(side[0].calls + side[1].calls, 1);
	assert_int_equal(late_calls, 0);
	taken = side[0].calls == 0 ? 0 : 1;
	say(side[taken].ends[1], "y");
	loop_run(loop, NULL, NULL);
	assert_int_equal(late_calls, 1);
	watch_remove(loop, &late);
	watch_remove(loop, &side[1 - taken].watch);
	for (int i = 0; i < 4; i++)
		close(side[i / 2].ends[i % 2]);
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, make_loop, free_loop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_loop(a_socket_serves_the_next_connection_which_knows_nothing_of_it),
		with_loop(a_refusal_is_not_told_to_the_next_nor_an_answer),
		with_loop(who_got_no_answer_keeps_nothing),
		with_loop(who_left_first_is_left_politely),
		with_loop(what_a_user_opens_is_closed_as_ever),
		with_loop(families_do_not_mix_and_do_not_pile_up),
		with_loop(a_mapped_address_keeps_its_socket),
		with_loop(there_are_never_more_than_were_in_use),
		with_loop(within_a_turn_sockets_are_disconnected_at_its_end_or_when_they_are_taken),
		with_loop(no_event_of_before_is_told_to_the_next_watch),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
