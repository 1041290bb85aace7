/* net/loop: edges, alarms, turns, and what must not happen between them. */
#include "net/alarm.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

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

/* --- running --------------------------------------------------------------------------------- */

static int turns_left;

static bool count_down(void *owner)
{
	(void)owner;
	if (--turns_left <= 0)
		loop_stop(loop);
	return true;
}

/* Turns that do not wait. */
static void run_turns(int count)
{
	turns_left = count;
	loop_run(loop, count_down, NULL);
}

/* What happened, a letter each. */
static char story[64];

static void tell(char letter)
{
	size_t length = strlen(story);

	assert_true(length + 1 < sizeof story);
	story[length] = letter;
	story[length + 1] = '\0';
}

/* --- watches --------------------------------------------------------------------------------- */

struct pipe {
	struct watch watch;
	int          ends[2];
	uint32_t     seen;
	int          calls;
};

static void note(struct watch *watch, uint32_t events)
{
	struct pipe *pipe = (struct pipe *)watch;

	pipe->seen |= events;
	pipe->calls++;
}

static void open_pipe(struct pipe *pipe, void (*ready)(struct watch *watch, uint32_t events))
{
	memset(pipe, 0, sizeof *pipe);
	pipe->watch.ready = ready;
	assert_int_equal(pipe2(pipe->ends, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(watch_add(loop, &pipe->watch, pipe->ends[0]));
}

static void close_pipe(struct pipe *pipe)
{
	watch_remove(loop, &pipe->watch);
	close(pipe->ends[0]);
	close(pipe->ends[1]);
}

static void fill_pipe(const struct pipe *pipe)
{
	assert_int_equal(write(pipe->ends[1], "x", 1), 1);
}

static void tells_each_edge_once_and_from_the_loop_only(void **state)
{
	struct pipe pipe;

	(void)state;
	open_pipe(&pipe, note);
	run_turns(3);
	assert_int_equal(pipe.calls, 0);
	fill_pipe(&pipe);
	assert_int_equal(pipe.calls, 0);
	run_turns(3);
	assert_int_equal(pipe.calls, 1);
	assert_int_equal(pipe.seen, EPOLLIN);
	fill_pipe(&pipe);
	run_turns(3);
	assert_int_equal(pipe.calls, 2);
	close(pipe.ends[1]);
	run_turns(3);
	assert_int_equal(pipe.calls, 3);
	assert_true(pipe.seen & EPOLLHUP);
	watch_remove(loop, &pipe.watch);
	watch_remove(loop, &pipe.watch);
	close(pipe.ends[0]);
}

static void serves_hundreds(void **state)
{
	static struct pipe pipes[400];

	(void)state;
	for (size_t i = 0; i < 400; i++)
		open_pipe(&pipes[i], note);
	for (size_t i = 0; i < 400; i += 3)
		fill_pipe(&pipes[i]);
	run_turns(4);
	for (size_t i = 0; i < 400; i++) {
		assert_int_equal(pipes[i].calls, i % 3 == 0);
		close_pipe(&pipes[i]);
	}
}

static void says_why_a_descriptor_cannot_be_watched(void **state)
{
	struct watch watch = { .ready = note };
	int          fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	for (int i = 0; i < 200; i++) {
		errno = 0;
		assert_false(watch_add(loop, &watch, fd));
		assert_int_equal(errno, EPERM);
		assert_int_equal(watch.slot, 0);
	}
	close(fd);
}

/* Two pipes are ready at once. Whichever is told first takes the other one away and puts a new one, which
 * is not ready, in its place: same descriptor, same slot. */
static struct pipe one, other, fresh;

static void replace_other(struct watch *watch, uint32_t events)
{
	struct pipe *victim = watch == &one.watch ? &other : &one;

	note(watch, events);
	if (victim->calls > 0)
		return;
	close_pipe(victim);
	victim->calls = -1;
	open_pipe(&fresh, note);
}

static void drops_events_of_what_was_removed_meanwhile(void **state)
{
	(void)state;
	for (int round = 0; round < 10000; round++) {
		uint32_t slot;

		open_pipe(&one, replace_other);
		open_pipe(&other, replace_other);
		slot = one.watch.slot + other.watch.slot;
		fill_pipe(&one);
		fill_pipe(&other);
		run_turns(2);
		assert_int_equal(one.calls + other.calls, 0); /* one told, the other taken away */
		assert_int_equal(fresh.calls, 0);
		assert_int_equal(fresh.watch.slot + (one.calls > 0 ? one : other).watch.slot,
		                 slot); /* it was reused */
		fill_pipe(&fresh);
		run_turns(2);
		assert_int_equal(fresh.calls, 1);
		close_pipe(one.calls > 0 ? &one : &other);
		close_pipe(&fresh);
	}
}

static void remove_other(struct watch *watch, uint32_t events)
{
	note(watch, events);
	watch_remove(loop, watch == &one.watch ? &other.watch : &one.watch);
}

static void drops_events_of_what_was_only_removed(void **state)
{
	(void)state;
	open_pipe(&one, remove_other);
	open_pipe(&other, remove_other);
	fill_pipe(&one);
	fill_pipe(&other);
	run_turns(3);
	assert_int_equal(one.calls + other.calls, 1);
	close_pipe(&one);
	close_pipe(&other);
}

/* --- alarms ---------------------------------------------------------------------------------- */

enum { MANY = 1000 };

struct bell {
	struct alarm alarm;
	int          rung;
};

static moment last_rung;
static int    rung_in_all;

static void ring_in_order(struct alarm *alarm)
{
	struct bell *bell = (struct bell *)alarm;

	assert_true(alarm->at >= last_rung);
	assert_true(alarm->at <= loop_now(loop));
	assert_int_equal(alarm->place, 0);
	last_rung = alarm->at;
	bell->rung++;
	rung_in_all++;
}

static bool until_all_rung(void *owner)
{
	if (rung_in_all >= *(int *)owner)
		loop_stop(loop);
	return false;
}

/* Set, set anew and cleared in a wild order; each that is still set rings once, in the order of time. */
static void ring_once_each_in_order_of_time(void **state)
{
	static struct bell bells[MANY];
	unsigned           seed = 7;
	int                wanted = 0;
	moment             now = loop_now(loop);

	(void)state;
	memset(bells, 0, sizeof bells);
	last_rung = 0;
	rung_in_all = 0;
	for (int i = 0; i < 5 * MANY; i++) {
		struct bell *bell = &bells[rand_r(&seed) % MANY];

		bell->alarm.ring = ring_in_order;
		if (rand_r(&seed) % 4 == 0)
			alarm_clear(loop, &bell->alarm);
		else
			assert_true(alarm_set(loop, &bell->alarm, now + (unsigned)rand_r(&seed) % 30000000));
	}
	for (int i = 0; i < MANY; i++)
		wanted += bells[i].alarm.place > 0;
	assert_in_range(wanted, MANY / 2, MANY - 1);
	loop_run(loop, until_all_rung, &wanted);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(bells[i].alarm.place, 0);
	run_turns(3);
	assert_int_equal(rung_in_all, wanted);
	for (int i = 0; i < MANY; i++)
		assert_in_range(bells[i].rung, 0, 1);
}

static void never_ring_early(void **state)
{
	struct bell bell = { .alarm = { .ring = ring_in_order } };
	int         wanted = 1;
	moment      before = clock_now();

	(void)state;
	last_rung = 0;
	rung_in_all = 0;
	alarm_set(loop, &bell.alarm, clock_after(before, 0.02));
	loop_run(loop, until_all_rung, &wanted);
	assert_true(clock_ms(before, clock_now()) >= 20);
	assert_true(clock_ms(before, clock_now()) < 200);
}

static struct bell early, late;

static void clear_late(struct alarm *alarm)
{
	((struct bell *)alarm)->rung++;
	alarm_clear(loop, &late.alarm);
	alarm_clear(loop, &late.alarm);
}

static void can_be_cleared_when_due(void **state)
{
	(void)state;
	early = (struct bell){ .alarm = { .ring = clear_late } };
	late = (struct bell){ .alarm = { .ring = ring_in_order } };
	alarm_set(loop, &late.alarm, loop_now(loop) + 2);
	alarm_set(loop, &early.alarm, loop_now(loop) + 1);
	run_turns(4);
	assert_int_equal(early.rung, 1);
	assert_int_equal(late.rung, 0);
}

/* Longer than a turn may take; the server of another answers in the meantime. */
static struct pipe slow, behind, answered;

static void take_long(struct watch *watch, uint32_t events)
{
	moment begin = clock_now();

	(void)watch;
	(void)events;
	tell('s');
	while (clock_ms(begin, clock_now()) < 30)
		continue;
	fill_pipe(&answered);
}

static void tell_behind(struct watch *watch, uint32_t events)
{
	(void)events;
	tell(watch == &behind.watch ? 'b' : 'a');
}

static void call_out(struct alarm *alarm)
{
	(void)alarm;
	tell('!');
}

static void ring_behind_what_came_while_others_took_long(void **state)
{
	struct bell bell = { .alarm = { .ring = call_out } };

	(void)state;
	story[0] = '\0';
	open_pipe(&slow, take_long);
	open_pipe(&behind, tell_behind);
	open_pipe(&answered, tell_behind);
	fill_pipe(&slow);
	fill_pipe(&behind);
	alarm_set(loop, &bell.alarm, clock_after(clock_now(), 0.01));
	run_turns(6);
	assert_string_equal(story, "sba!");
	close_pipe(&slow);
	close_pipe(&behind);
	close_pipe(&answered);
}

/* An alarm that sets itself anew for now, or for the past, rings once a turn. */
static void set_again(struct alarm *alarm)
{
	tell('a');
	alarm_set(loop, alarm, alarm->at % 2 == 0 ? loop_now(loop) : 1);
}

static void tell_event(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	tell('e');
}

static bool tell_turn(void *owner)
{
	tell('t');
	return count_down(owner);
}

static void that_ring_without_end_starve_nobody(void **state)
{
	struct alarm alarm = { .ring = set_again };
	struct pipe  pipe;

	(void)state;
	story[0] = '\0';
	open_pipe(&pipe, tell_event);
	alarm_set(loop, &alarm, loop_now(loop));
	turns_left = 1;
	loop_run(loop, tell_turn, NULL);
	fill_pipe(&pipe);
	turns_left = 3;
	loop_run(loop, tell_turn, NULL);
	assert_string_equal(story, "ateatatat");
	alarm_clear(loop, &alarm);
	close_pipe(&pipe);
}

/* --- events and alarms together -------------------------------------------------------------- */

static struct pipe held;

static void tell_alarm(struct alarm *alarm)
{
	(void)alarm;
	tell('a');
}

/* The process is held up until the alarm is due; in the meantime the data came. */
static bool oversleep(void *owner)
{
	struct alarm *alarm = owner;

	if (story[0] == '\0') {
		fill_pipe(&held);
		while (clock_now() <= alarm->at)
			continue;
	} else {
		loop_stop(loop);
	}
	return false;
}

static void data_that_is_there_comes_before_an_alarm(void **state)
{
	struct alarm alarm = { .ring = tell_alarm };

	(void)state;
	story[0] = '\0';
	open_pipe(&held, tell_event);
	alarm_set(loop, &alarm, clock_after(clock_now(), 0.005));
	loop_run(loop, oversleep, &alarm);
	assert_string_equal(story, "ea");
	close_pipe(&held);
}

/* The same, but held up in the wait itself, as by SIGSTOP: a signal breaks it off. */
static moment held_until;

static void hold_up(int signal)
{
	(void)signal;
	while (clock_now() <= held_until)
		continue;
	if (write(held.ends[1], "x", 1) != 1)
		abort();
}

static bool until_alarm(void *owner)
{
	(void)owner;
	if (strchr(story, 'a'))
		loop_stop(loop);
	return false;
}

static void a_wait_broken_off_by_a_signal_is_no_look_at_the_sockets(void **state)
{
	struct alarm     alarm = { .ring = tell_alarm };
	struct sigaction action = { .sa_handler = hold_up }, before;
	struct itimerval soon = { .it_value = { .tv_usec = 10000 } };

	(void)state;
	story[0] = '\0';
	open_pipe(&held, tell_event);
	sigaction(SIGALRM, &action, &before);
	held_until = clock_after(clock_now(), 0.25);
	alarm_set(loop, &alarm, clock_after(clock_now(), 0.2));
	setitimer(ITIMER_REAL, &soon, NULL);
	loop_run(loop, until_alarm, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_string_equal(story, "ea");
	close_pipe(&held);
}

/* Held up in a turn, before what it put off is sent: the answer can come only behind that. */
static bool ask_late(void *owner)
{
	moment until = clock_after(clock_now(), 0.3);
	bool   first = story[0] == '\0';

	(void)owner;
	while (first && clock_now() <= until)
		continue;
	tell('t');
	if (strcmp(story, "tt") == 0)
		fill_pipe(&held);
	if (strchr(story, 'a'))
		loop_stop(loop);
	return first;
}

static void a_turn_that_was_held_up_counts_for_no_alarm(void **state)
{
	struct alarm alarm = { .ring = tell_alarm };
	struct alarm never = { .ring = tell_alarm };

	(void)state;
	story[0] = '\0';
	open_pipe(&held, tell_event);
	alarm_set(loop, &never, MOMENT_NEVER);
	alarm_set(loop, &alarm, clock_after(clock_now(), 0.2));
	loop_run(loop, ask_late, NULL);
	assert_string_equal(story, "ttetat");
	assert_true(never.at == MOMENT_NEVER);
	alarm_clear(loop, &never);
	close_pipe(&held);
}

static bool compute(void *owner)
{
	moment until = clock_after(clock_now(), 0.25);

	(void)owner;
	while (clock_now() <= until)
		continue;
	tell('t');
	if (strchr(story, 'a') || strlen(story) > 5)
		loop_stop(loop);
	return true;
}

static void an_alarm_rings_also_for_one_who_always_computes(void **state)
{
	struct alarm alarm = { .ring = tell_alarm };

	(void)state;
	story[0] = '\0';
	alarm_set(loop, &alarm, clock_after(clock_now(), 0.2));
	loop_run(loop, compute, NULL);
	assert_string_equal(story, "ttat");
	alarm_clear(loop, &alarm);
}

/* --- turns ----------------------------------------------------------------------------------- */

static bool look_at_clock(void *owner)
{
	moment *seen = owner;

	*seen = loop_now(loop);
	while (clock_now() <= *seen + 2000000)
		continue;
	assert_int_equal(loop_now(loop), *seen);
	loop_stop(loop);
	return false;
}

static void have_one_time_each(void **state)
{
	moment first, second;

	(void)state;
	loop_run(loop, look_at_clock, &first);
	loop_run(loop, look_at_clock, &second);
	assert_true(second >= first + 2000000);
	assert_true(loop_turns(loop)->longest >= 2.0);
}

static bool idle_turn(void *owner)
{
	int *turns = owner;

	++*turns;
	return false;
}

static void stop_loop(struct alarm *alarm)
{
	(void)alarm;
	loop_stop(loop);
}

static void do_not_come_while_there_is_nothing_to_do(void **state)
{
	struct alarm alarm = { .ring = stop_loop };
	int          turns = 0;

	(void)state;
	alarm_set(loop, &alarm, clock_after(clock_now(), 0.05));
	loop_run(loop, idle_turn, &turns);
	assert_in_range(turns, 1, 4);
}

/* --- libuv inside ---------------------------------------------------------------------------- */

static uv_async_t nudge;
static uv_timer_t timer;

static void nudged(uv_async_t *handle)
{
	tell('n');
	uv_close((uv_handle_t *)handle, NULL);
}

static void timed(uv_timer_t *handle)
{
	tell('u');
	uv_close((uv_handle_t *)handle, NULL);
	loop_stop(loop);
}

static void send_nudge(void *argument)
{
	uv_async_send(argument);
}

static void a_nudge_from_another_thread_and_libuvs_timers_are_served(void **state)
{
	uv_thread_t thread;

	(void)state;
	story[0] = '\0';
	uv_async_init(loop_uv(loop), &nudge, nudged);
	uv_timer_init(loop_uv(loop), &timer);
	uv_timer_start(&timer, timed, 30, 0);
	uv_thread_create(&thread, send_nudge, &nudge);
	loop_run(loop, NULL, NULL);
	uv_thread_join(&thread);
	assert_string_equal(story, "nu");
}

/* --- life ------------------------------------------------------------------------------------ */

static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void leaves_no_descriptor_behind(void **state)
{
	int before;

	(void)state;
	loop_free(loop_new()); /* what libuv keeps for the process is there now */
	before = next_descriptor();
	for (int i = 0; i < 20; i++) {
		struct loop *another = loop_new();

		assert_non_null(another);
		assert_true(next_descriptor() > before);
		loop_free(another);
		assert_int_equal(next_descriptor(), before);
	}
	loop_free(NULL);
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, make_loop, free_loop)

/* --- the stages of a turn -------------------------------------------------------------------- */

struct errand {
	struct later  later;
	char          letter;
	struct later *also; /* to be set by this one, or NULL */
};

static bool run_errand(struct later *later)
{
	struct errand *errand = (struct errand *)later;

	tell(errand->letter);
	if (errand->also)
		assert_true(later_set(loop, STAGE_SEND, errand->also));
	return false;
}

static struct errand errand_a = { { .run = run_errand }, 'a', NULL };
static struct errand errand_b = { { .run = run_errand }, 'b', &errand_a.later };
static struct errand errand_c = { { .run = run_errand }, 'c', NULL };

static bool set_errands(void *owner)
{
	(void)owner;
	tell('(');
	if (--turns_left == 1) {
		assert_true(later_set(loop, STAGE_SEND, &errand_b.later));
		assert_true(later_set(loop, STAGE_SEND, &errand_c.later));
		assert_true(later_set(loop, STAGE_SEND, &errand_b.later)); /* once is enough */
		assert_true(later_set(loop, STAGE_SEND, &errand_a.later));
		later_clear(&errand_a.later);
		later_clear(&errand_a.later);
	}
	tell(')');
	if (turns_left == 0)
		loop_stop(loop);
	return true;
}

static void does_at_the_end_of_the_turn_what_was_put_off(void **state)
{
	(void)state;
	story[0] = '\0';
	assert_false(later_set(loop, STAGE_SEND, &errand_c.later)); /* there is no turn */
	turns_left = 2;
	loop_run(loop, set_errands, NULL);
	assert_string_equal(story, "()bca()");
	assert_false(later_set(loop, STAGE_SEND, &errand_c.later));
}

/* As a connection does at which the server is found gone when a command is sent. */
static bool run_last_errand(struct later *later)
{
	(void)later;
	turns_left = 0;
	return true;
}

static struct later last_errand = { .run = run_last_errand };

static void ring_late(struct alarm *alarm)
{
	(void)alarm;
	tell('!');
	loop_stop(loop);
}

static bool wait_for_the_errand(void *owner)
{
	(void)owner;
	if (turns_left == 0)
		loop_stop(loop);
	else
		assert_true(later_set(loop, STAGE_SEND, &last_errand));
	return false;
}

static void asks_again_before_it_waits_where_somebody_was_called_at_the_end_of_the_turn(void **state)
{
	struct alarm guard = { .ring = ring_late };

	(void)state;
	story[0] = '\0';
	turns_left = 1;
	assert_true(alarm_set(loop, &guard, clock_after(loop_now(loop), 2)));
	loop_run(loop, wait_for_the_errand, NULL);
	alarm_clear(loop, &guard);
	assert_string_equal(story, "");
}

static int talker;

static bool run_long_errand(struct later *later)
{
	moment end = clock_after(clock_now(), 0.1);

	(void)later;
	tell('l');
	assert_int_equal(send(talker, "x", 1, 0), 1);
	while (clock_now() < end)
		;
	return true;
}

static struct later  long_errand = { .run = run_long_errand };
static struct errand after_it = { { .run = run_errand }, 'a', NULL };

static void wake_two(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	tell('e');
	if (strchr(story, '!'))
		return;
	assert_true(later_set(loop, STAGE_WAKE, &long_errand));
	assert_true(later_set(loop, STAGE_WAKE, &after_it.later));
}

static void ring_behind(struct alarm *alarm)
{
	(void)alarm;
	tell('!');
}

static bool two_turns_behind_the_alarm(void *owner)
{
	const char *rang = strchr(story, '!');

	(void)owner;
	tell('.');
	if (rang && strchr(rang, '.') != strrchr(rang, '.'))
		loop_stop(loop);
	return true;
}

/* 'e' comes twice, for there are two sockets, before anybody is woken; a turn that took long is cut, and the one that
 * follows goes on with the next, before it asks for events (there is one more by then) or lets an alarm ring. */
static void wakes_when_all_events_are_told_and_before_alarms_ring(void **state)
{
	struct watch watches[2] = { { .ready = wake_two }, { .ready = wake_two } };
	struct alarm alarm = { .ring = ring_behind };
	int          ends[2][2];

	(void)state;
	story[0] = '\0';
	for (int i = 0; i < 2; i++) {
		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), errno);
		assert_true(watch_add(loop, &watches[i], ends[i][0]));
	}
	talker = ends[0][1];
	assert_true(alarm_set(loop, &alarm, loop_now(loop)));
	loop_run(loop, two_turns_behind_the_alarm, NULL);
	assert_string_equal(story, "eel.a!.e.");
	for (int i = 0; i < 2; i++) {
		watch_remove(loop, &watches[i]);
		close(ends[i][0]);
		close(ends[i][1]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_loop(tells_each_edge_once_and_from_the_loop_only),
		with_loop(serves_hundreds),
		with_loop(says_why_a_descriptor_cannot_be_watched),
		with_loop(drops_events_of_what_was_removed_meanwhile),
		with_loop(drops_events_of_what_was_only_removed),
		with_loop(ring_once_each_in_order_of_time),
		with_loop(never_ring_early),
		with_loop(can_be_cleared_when_due),
		with_loop(ring_behind_what_came_while_others_took_long),
		with_loop(that_ring_without_end_starve_nobody),
		with_loop(data_that_is_there_comes_before_an_alarm),
		with_loop(a_wait_broken_off_by_a_signal_is_no_look_at_the_sockets),
		with_loop(a_turn_that_was_held_up_counts_for_no_alarm),
		with_loop(an_alarm_rings_also_for_one_who_always_computes),
		with_loop(have_one_time_each),
		with_loop(do_not_come_while_there_is_nothing_to_do),
		with_loop(a_nudge_from_another_thread_and_libuvs_timers_are_served),
		with_loop(does_at_the_end_of_the_turn_what_was_put_off),
		with_loop(asks_again_before_it_waits_where_somebody_was_called_at_the_end_of_the_turn),
		with_loop(wakes_when_all_events_are_told_and_before_alarms_ring),
		cmocka_unit_test(leaves_no_descriptor_behind),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
