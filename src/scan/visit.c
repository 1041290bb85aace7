#include "scan/visit.h"

#include "net/alarm.h"
#include "net/conn.h"
#include "scan/transcript.h"
#include "script/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A shortage of this machine is waited out: a try every PAUSE seconds, for PATIENCE seconds. */
static const double pause_seconds = 0.05, patience_seconds = 5;

/* A connection that is watched: the visit's, or one that the probe opens itself. */
struct watched {
	struct observer observer;
	struct visit   *visit;
	unsigned        number;
};

struct visit {
	struct visit_setup setup;
	struct outcome    *outcome;
	struct conn       *conn;
	size_t             address; /* the one being tried */
	int                retries; /* left for it */
	moment             started, deadline, secure_until;
	moment             short_until; /* 0: there was no shortage yet */
	struct alarm       alarm;
	struct watched     own, further;
	unsigned           connections; /* so far */
	struct transcript  transcript;
	enum tls_manner    manner;
	bool               nameless;       /* the server would not have the name in SNI */
	struct failure    *strict_failure; /* why the manner is not strict any more, or NULL */
	struct report      second;         /* of the conversation with legacy settings */
};

static void attempt(struct visit *visit);
static void secure(struct visit *visit);

static struct loop *loop_of(const struct visit *visit)
{
	return visit->setup.loop;
}

static const struct choice *choice_of(const struct visit *visit)
{
	return &visit->setup.host->choices[visit->setup.index];
}

static moment until(const struct visit *visit, double seconds)
{
	moment at = clock_after(loop_now(loop_of(visit)), seconds);

	return at < visit->deadline ? at : visit->deadline;
}

/* --- the end --------------------------------------------------------------------------------- */

static void warn_of_weakness(struct visit *visit)
{
	char text[sizeof visit->strict_failure->message + 80];
	int  length = snprintf(text, sizeof text, "TLS works only with%s: %s",
                              visit->nameless ? "out the name in SNI; with it"
	                                       : " legacy settings; with sound ones",
	                       visit->strict_failure->message);

	if (length > 0)
		report_warn(&visit->outcome->report, "tls-weak", text, (size_t)length);
}

/* What the second conversation brought counts if its handshake worked; else the first one does. */
static void settle_legacy(struct visit *visit)
{
	if (conn_secure(visit->conn)) {
		report_replace(&visit->outcome->report, &visit->second);
		warn_of_weakness(visit);
	} else {
		report_release(&visit->outcome->report);
	}
	report_free(&visit->second);
}

static void take_facts(struct visit *visit)
{
	json_t *facts = conn_tls_facts(visit->conn);

	if (!facts)
		return;
	json_decref(visit->outcome->tls);
	visit->outcome->tls = facts;
}

static bool is_local(const char *name)
{
	size_t length = strlen(name);

	length -= length > 1 && name[length - 1] == '.';
	return length >= 9 && strncasecmp(name + length - 9, "localhost", 9) == 0 &&
	       (length == 9 || name[length - 10] == '.');
}

/* A name that leads to this machine, or to no single one, is seldom meant so. */
static void note_special(const struct visit *visit)
{
	const struct target *target = &visit->setup.host->target;
	const char          *special = address_special(&visit->outcome->address);
	char                 shown[ADDRESS_TEXT], text[ADDRESS_TEXT + 80];
	int                  length;

	if (target->literal || !special || is_local(target->name))
		return;
	address_format(&visit->outcome->address, shown);
	length = snprintf(text, sizeof text, "the name leads to %s, which is %s", shown, special);
	report_note(&visit->outcome->report, "special-address", text, (size_t)length);
}

static void finish(struct visit *visit)
{
	struct outcome    *outcome = visit->outcome;
	struct visit_setup setup = visit->setup;

	take_facts(visit);
	note_special(visit);
	outcome->mute = outcome->state == STATE_OPEN && failure_present(&outcome->failure) &&
	                !conn_heard(visit->conn);
	if (visit->manner == TLS_LEGACY)
		settle_legacy(visit);
	conn_free(visit->conn);
	if (failure_present(&outcome->failure))
		outcome->exchanges = transcript_json(&visit->transcript);
	alarm_clear(loop_of(visit), &visit->alarm);
	outcome->ms = clock_ms(visit->started, clock_now());
	outcome->connections = visit->connections;
	outcome->finished = true;
	outcome->report.changed = NULL; /* its owner goes */
	free(visit->strict_failure);
	free(visit);
	setup.done(setup.owner, setup.host, outcome);
}

static void fail(struct visit *visit, const struct failure *failure)
{
	visit->outcome->failure = *failure;
	finish(visit);
}

/* The deadline of the whole service came before the wait's own end. */
static bool past_deadline(struct visit *visit)
{
	return loop_now(loop_of(visit)) >= visit->deadline;
}

static void fail_late(struct visit *visit)
{
	struct failure failure;

	failure_set(&failure, PHASE_DEADLINE, "too-slow", "not finished within %g s",
	            visit->setup.settings->deadline);
	fail(visit, &failure);
}

/* --- legacy settings ------------------------------------------------------------------------- */

/* The server is reached, but not with strict settings: try once more with others, on a connection of its
 * own. What the first try brought is in the outcome. */
static void start_legacy(struct visit *visit, const struct failure *failure)
{
	struct conn    *conn = conn_new(loop_of(visit));
	struct failure *kept = malloc(sizeof *kept);

	if (!conn || !kept || past_deadline(visit)) {
		free(kept);
		conn_free(conn);
		report_release(&visit->outcome->report);
		finish(visit);
		return;
	}
	visit->manner = TLS_LEGACY;
	*kept = *failure;
	visit->strict_failure = kept;
	visit->nameless = tls_name_unknown(failure);
	report_init(&visit->second);
	visit->second.wordless = visit->setup.settings->wordless;
	take_facts(visit);
	conn_free(visit->conn);
	visit->conn = conn;
	conn_observe(conn, &visit->own.observer);
	attempt(visit);
}

/* --- the probe ------------------------------------------------------------------------------- */

/* Take over how the conversation ended: of a second one only if it got as far as TLS. */
static void take_result(struct visit *visit, const struct task_result *result)
{
	struct outcome *outcome = visit->outcome;

	if (visit->manner == TLS_LEGACY && !conn_secure(visit->conn))
		return;
	if (failure_present(&result->failure))
		outcome->failure = result->failure;
	else
		failure_clear(&outcome->failure);
	outcome->broken = result->end == TASK_BROKEN;
	free(outcome->traceback);
	outcome->traceback = result->traceback ? strdup(result->traceback) : NULL;
}

static void probed(void *owner, const struct task_result *result)
{
	struct visit *visit = owner;

	take_result(visit, result);
	if (result->tls_failure && !visit->outcome->broken) {
		start_legacy(visit, result->tls_failure);
		return;
	}
	if (result->tls_failure)
		report_release(&visit->outcome->report);
	finish(visit);
}

/* There is no memory to run it in. */
static void fail_probe(struct visit *visit)
{
	struct failure failure;

	failure_set(&failure, PHASE_SCRIPT, "local-limit", "not enough memory");
	fail(visit, &failure);
}

static void probe(struct visit *visit)
{
	const struct settings *settings = visit->setup.settings;
	const struct choice   *choice = choice_of(visit);
	struct vm             *vm;

	if (!choice->service->script->has_probe) {
		failure_clear(&visit->outcome->failure); /* of a first try, if this is the second */
		finish(visit);
		return;
	}
	vm = states_for(visit->setup.states, choice->service->script);
	if (!vm) {
		fail_probe(visit);
		return;
	}
	task_start(&(struct task_setup){
	    .vm = vm,
	    .script = choice->service->script,
	    .service = choice->service->name,
	    .host = visit->setup.host->target.name,
	    .port = choice->port,
	    .conn = visit->conn,
	    .report = visit->manner == TLS_LEGACY ? &visit->second : &visit->outcome->report,
	    .observer = &visit->further.observer,
	    .dial = visit->setup.dial,
	    .dialer = visit->setup.owner,
	    .manner = visit->manner,
	    .nameless = visit->nameless,
	    .deadline = visit->deadline,
	    .deadline_seconds = settings->deadline,
	    .connect_timeout = settings->connect_timeout,
	    .reply_timeout = settings->reply_timeout,
	    .done = probed,
	    .owner = visit,
	});
}

/* --- TLS from the first byte ----------------------------------------------------------------- */

static void not_secure(struct visit *visit)
{
	const struct failure *failure = conn_failure(visit->conn);

	if (visit->manner == TLS_LEGACY) {
		finish(visit);
		return;
	}
	visit->outcome->failure = *failure;
	if (tls_curable(failure))
		start_legacy(visit, &visit->outcome->failure);
	else
		finish(visit);
}

static void secure_again(void *owner, bool came)
{
	struct visit *visit = owner;

	if (came) {
		secure(visit);
		return;
	}
	conn_overdue(visit->conn, visit->setup.settings->reply_timeout);
	if (past_deadline(visit) && visit->manner == TLS_STRICT)
		fail_late(visit);
	else
		not_secure(visit);
}

/* The wait's end is set once for the whole handshake: arriving bytes do not extend it. */
static void secure(struct visit *visit)
{
	const char *name = visit->nameless ? NULL : visit->setup.host->target.name;
	enum io     result = conn_starttls(visit->conn, visit->setup.tls, visit->manner, name);

	if (result == IO_DONE)
		probe(visit);
	else if (result == IO_FAILED)
		not_secure(visit);
	else
		conn_await(visit->conn, result, visit->secure_until, secure_again, visit);
}

static void changed(void *owner)
{
	struct visit *visit = owner;

	if (visit->setup.changed)
		visit->setup.changed(visit->setup.owner, visit->setup.host);
}

static void opened(struct visit *visit)
{
	if (visit->manner == TLS_STRICT)
		failure_clear(&visit->outcome->failure); /* of addresses before this one */
	visit->outcome->state = STATE_OPEN;
	visit->outcome->address = *conn_remote(visit->conn);
	if (visit->setup.observe)
		conn_local(visit->conn, &visit->outcome->local);
	visit->outcome->report.changed = changed;
	visit->outcome->report.owner = visit;
	changed(visit);
	if (choice_of(visit)->service->tls) {
		visit->secure_until = until(visit, visit->setup.settings->reply_timeout);
		secure(visit);
	} else {
		probe(visit);
	}
}

/* --- connecting ------------------------------------------------------------------------------ */

static void again(struct alarm *alarm)
{
	attempt((struct visit *)(void *)((char *)alarm - offsetof(struct visit, alarm)));
}

static bool is(const struct failure *failure, const char *code)
{
	return strcmp(failure->code, code) == 0;
}

/* No descriptor or port to be had says nothing of the server: try again in a moment. */
static bool wait_out(struct visit *visit)
{
	moment now = loop_now(loop_of(visit));

	if (!is(conn_failure(visit->conn), "local-limit"))
		return false;
	if (visit->short_until == 0)
		visit->short_until = clock_after(now, patience_seconds);
	if (now >= visit->short_until)
		return false;
	visit->alarm.ring = again;
	return alarm_set(loop_of(visit), &visit->alarm, clock_after(now, pause_seconds));
}

/* Of several addresses that all failed, a refusal says more than silence, and silence more than
 * that we could not even try. */
static int weight(const struct failure *failure)
{
	if (!failure_present(failure))
		return 0;
	switch (outcome_state_of(failure)) {
	case STATE_CLOSED:
		return 3;
	case STATE_FILTERED:
		return is(failure, "timeout") ? 2 : 1;
	default:
		return 1;
	}
}

static void keep_best(struct visit *visit, const struct failure *failure)
{
	struct outcome *outcome = visit->outcome;

	if (weight(failure) <= weight(&outcome->failure))
		return;
	outcome->failure = *failure;
	outcome->address = *conn_remote(visit->conn);
}

static void not_connected(struct visit *visit)
{
	const struct failure *failure = conn_failure(visit->conn);

	if (wait_out(visit))
		return;
	if (visit->manner == TLS_LEGACY) {
		finish(visit); /* what was found stands, though it answers no more */
		return;
	}
	if (is(failure, "timeout") && visit->retries-- > 0) {
		attempt(visit);
		return;
	}
	keep_best(visit, failure);
	visit->retries = visit->setup.settings->retries;
	if (++visit->address < visit->setup.host->addresses.count && !past_deadline(visit)) {
		attempt(visit);
		return;
	}
	visit->outcome->state = outcome_state_of(&visit->outcome->failure);
	finish(visit);
}

static void judge(struct visit *visit, enum io result);

static void connected(void *owner, bool came)
{
	struct visit *visit = owner;
	enum io       result = conn_connected(visit->conn);

	if (!came && result == IO_WANT_WRITE) {
		conn_overdue(visit->conn, visit->setup.settings->connect_timeout);
		result = IO_FAILED;
	}
	judge(visit, result);
}

static void judge(struct visit *visit, enum io result)
{
	if (result == IO_DONE)
		opened(visit);
	else if (result == IO_FAILED)
		not_connected(visit);
	else
		conn_await(visit->conn, result, until(visit, visit->setup.settings->connect_timeout),
		           connected, visit);
}

static void attempt(struct visit *visit)
{
	struct address address = visit->setup.host->addresses.address[visit->address];

	address_set_port(&address, choice_of(visit)->port);
	if (visit->setup.dial)
		judge(visit, visit->setup.dial(visit->setup.owner, visit->conn, &address));
	else
		judge(visit, conn_connect(visit->conn, &address));
}

/* --- watching -------------------------------------------------------------------------------- */

static void told(struct observer *observer, enum event event, const char *bytes, size_t length)
{
	struct watched           *watched = (struct watched *)(void *)observer;
	struct visit             *visit = watched->visit;
	const struct visit_setup *setup = &visit->setup;
	double                    ms = clock_ms(visit->started, loop_now(loop_of(visit)));

	if (event == EVENT_CONNECTED)
		watched->number = ++visit->connections;
	transcript_note(&visit->transcript, ms, event, bytes, length);
	if (setup->observe)
		setup->observe(setup->owner, setup->host, visit->outcome, watched->number, ms, event, bytes,
		               length);
}

/* --- the beginning --------------------------------------------------------------------------- */

static void fail_memory(const struct visit_setup *setup)
{
	struct outcome *outcome = &setup->host->outcomes[setup->index];

	failure_set(&outcome->failure, PHASE_CONNECT, "local-limit", "not enough memory");
	outcome->state = STATE_FAILED;
	outcome->finished = true;
	setup->done(setup->owner, setup->host, outcome);
}

void visit_start(const struct visit_setup *setup)
{
	struct visit *visit = calloc(1, sizeof *visit);
	struct conn  *conn = conn_new(setup->loop);

	if (!visit || !conn) {
		free(visit);
		conn_free(conn);
		fail_memory(setup);
		return;
	}
	visit->setup = *setup;
	visit->outcome = &setup->host->outcomes[setup->index];
	visit->outcome->report.wordless = setup->settings->wordless;
	visit->conn = conn;
	visit->own = visit->further = (struct watched){ { told }, visit, 0 };
	conn_observe(conn, &visit->own.observer);
	visit->retries = setup->settings->retries;
	visit->started = loop_now(loop_of(visit));
	visit->deadline = clock_after(visit->started, setup->settings->deadline);
	attempt(visit);
}
