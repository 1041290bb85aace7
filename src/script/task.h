/* One run of a probe: a coroutine, what it waits for, what it may use, how it ended.
 *
 * A task is started on an open connection, runs until its probe returns, raises, or is ended, and
 * says so once through `done`. It owns the only lua_resume of the program and the only place where
 * a coroutine ends. Connections that the probe opened itself are the task's and close with it; the
 * one it was started on stays its starter's.
 *
 * A task may run a Lua function instead of a probe: then there is no connection and no report, and what it
 * opens belongs to a scope that outlives it.
 */
#ifndef SCRIPT_TASK_H
#define SCRIPT_TASK_H

#include "base/clock.h"
#include "base/failure.h"
#include "net/alarm.h"
#include "net/conn.h"
#include "script/catalogue.h"
#include "script/report.h"
#include "script/scope.h"
#include "script/vm.h"

#include <stdint.h>

enum task_end {
	TASK_RETURNED,  /* the probe came to its end */
	TASK_FAILED,    /* it raised a socket error, or its deadline passed: .failure */
	TASK_BROKEN,    /* it has a bug or broke a limit: .failure has the message, .traceback where */
	TASK_CANCELLED, /* it was ended from outside */
};

struct task_result {
	enum task_end  end;
	struct failure failure;
	const char    *traceback; /* may be NULL; good during `done` */
	/* Why an upgrade failed that legacy settings may make work, or NULL: then what was reported since is
	 * held back (report_hold). Good during `done`. */
	const struct failure *tls_failure;
	char place[80]; /* TASK_FAILED: "file:line" of the script that raised the error, or "" */
};

typedef void task_done(void *owner, const struct task_result *result);

struct task_setup {
	struct vm           *vm;
	const struct script *script;
	const char          *service, *host; /* host: as the user named it */
	uint16_t             port;
	struct conn         *conn;
	enum tls_manner      manner;
	bool                 nameless; /* send no SNI */
	struct report       *report;
	struct observer     *observer; /* of connections that the probe opens itself; may be NULL */
	conn_dial           *dial;     /* how it opens them; NULL: conn_connect */
	void                *dialer;   /* the owner of dial */
	moment               deadline; /* for the whole probe */
	double               deadline_seconds, connect_timeout, reply_timeout;
	struct scope        *scope; /* of what it opens and spawns; NULL: its own, which ends with it */
	int                  call;  /* 0, or what to run: see task_spawn */
	task_done           *done;
	void                *owner;
};

/* Start and run as far as it goes without waiting: `done` may be called before this returns. The
 * setup is copied; what it points to must last until `done`. */
void task_start(const struct task_setup *setup);

/* Start a function on the loop's next turn. The setup's `call` is the registry reference, its owner's, of a list
 * {function, argument..., n = elements}; when the task is over there is .results in it, a list with n, or
 * .error, whatever was raised. [-0, +0, e] */
struct task *task_spawn(struct lua_State *L, const struct task_setup *setup);

/* End a task that waits, whatever it waits for. Not from inside a running script. */
void task_cancel(struct task *task);

/* --- for the files of this floor ------------------------------------------------------------- */

enum { TASK_CONNS = 2, TASK_FIRST_LINE = 256 };

struct task {
	struct task_setup setup;
	struct lua_State *thread;
	int               reference;
	unsigned          spent;     /* CPU time, in the ticks of vm.h */
	int               arguments; /* that the function begins with; 0 once it has begun */

	struct scope *scope, own;   /* scope: the setup's, or its own */
	struct task **place, *next; /* among the spawned tasks of a scope */

	/* The one wait slot, see wait.h. */
	struct {
		struct conn  *conn;   /* NULL: something else, or only the alarm */
		struct task **waiter; /* where what is waited for notes who waits; may be NULL */
		double        seconds;
		moment        deadline;
		bool          armed, expired;
		struct alarm  alarm;
	} wait;

	struct failure *tls_failure; /* of the first upgrade that legacy settings may make work, or NULL */

	char   first[TASK_FIRST_LINE]; /* the first line that the server said, or what was read of it */
	size_t first_length;
	bool   first_seen; /* there is no more of it */
};

/* The wait is over; go on with the coroutine. For wait.c. */
void task_wake(struct task *task);

#endif
