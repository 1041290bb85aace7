/* net/listener: clients are taken one by one, each knock is told, and what goes wrong is said. */
#include "net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop     *loop;
static struct failure   failure;
static struct listener *listener;
static int              knocks;

static void knocked(void *owner)
{
	assert_ptr_equal(owner, &knocks);
	knocks++;
	loop_stop(loop);
}

static struct listener *listen_at(const char *text, uint16_t port)
{
	struct address address;

	assert_true(address_parse(&address, text));
	address_set_port(&address, port);
	failure_clear(&failure);
	return listener_new(loop, &address, knocked, &knocks, &failure);
}

static int open_loop(void **state)
{
	(void)state;
	loop = loop_new();
	listener = loop ? listen_at("127.0.0.1", 0) : NULL;
	knocks = 0;
	return listener ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	listener_free(listener);
	loop_free(loop);
	return 0;
}

static int connect_to(const struct address *address)
{
	int fd = socket(address_family(address), SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &address->socket.any, address_length(address)), 0);
	return fd;
}

static enum io take(int *fd)
{
	return listener_accept(listener, fd, &failure);
}

static void nobody_is_there_at_first(void **state)
{
	int fd;

	(void)state;
	assert_true(address_port(listener_address(listener)) > 0);
	assert_int_equal(take(&fd), IO_WANT_READ);
}

static void clients_come_one_by_one(void **state)
{
	int  clients[2], served;
	char text[3] = "";

	(void)state;
	for (int i = 0; i < 2; i++) {
		clients[i] = connect_to(listener_address(listener));
		assert_int_equal(write(clients[i], i == 0 ? "a" : "b", 1), 1);
	}
	loop_run(loop, NULL, NULL);
	assert_int_equal(knocks, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(take(&served), IO_DONE);
		assert_int_equal(recv(served, text + i, 1, MSG_DONTWAIT), 1);
		close(served);
		close(clients[i]);
	}
	assert_string_equal(text, "ab");
	assert_int_equal(take(&served), IO_WANT_READ);
}

static void a_knock_behind_another_is_told_too(void **state)
{
	int client = connect_to(listener_address(listener)), served, other;

	(void)state;
	loop_run(loop, NULL, NULL);
	assert_int_equal(take(&served), IO_DONE);
	assert_int_equal(take(&other), IO_WANT_READ);
	other = connect_to(listener_address(listener));
	loop_run(loop, NULL, NULL);
	assert_int_equal(knocks, 2);
	close(client);
	close(other);
	close(served);
}

static void the_port_of_another_is_refused(void **state)
{
	(void)state;
	assert_null(listen_at("127.0.0.1", address_port(listener_address(listener))));
	assert_int_equal(failure.phase, PHASE_CONNECT);
	assert_string_equal(failure.message, "Address already in use");
}

static void an_address_of_others_is_refused(void **state)
{
	(void)state;
	assert_null(listen_at("192.0.2.1", 0));
	assert_string_equal(failure.message, "Cannot assign requested address");
}

static void a_port_is_free_again_at_once(void **state)
{
	uint16_t port = address_port(listener_address(listener));
	int      client = connect_to(listener_address(listener)), served;

	(void)state;
	assert_int_equal(take(&served), IO_DONE);
	close(served); /* first: this side has the TIME_WAIT */
	close(client);
	listener_free(listener);
	listener = listen_at("127.0.0.1", port);
	assert_non_null(listener);
}

static void no_descriptor_is_a_failure(void **state)
{
	int           client = connect_to(listener_address(listener)), spare[64], count = 0, served;
	struct rlimit usual, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	few = (struct rlimit){ 64, usual.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (count < 64 && (spare[count] = dup(client)) >= 0)
		count++;
	assert_int_equal(take(&served), IO_FAILED);
	assert_string_equal(failure.code, "local-limit");
	while (count > 0)
		close(spare[--count]);
	assert_int_equal(take(&served), IO_DONE);
	close(served);
	close(client);
	setrlimit(RLIMIT_NOFILE, &usual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_is_there_at_first, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(clients_come_one_by_one, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(a_knock_behind_another_is_told_too, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(the_port_of_another_is_refused, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(an_address_of_others_is_refused, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(a_port_is_free_again_at_once, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(no_descriptor_is_a_failure, open_loop, close_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
