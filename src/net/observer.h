/* Somebody who watches a connection: a trace, a recording, the last exchanges for an error report.
 *
 * Told of what crosses the connection as the script sees it: decrypted, in the pieces in which it came.
 * Called from inside the connection's verbs; it must not call back into the connection.
 */
#ifndef NET_OBSERVER_H
#define NET_OBSERVER_H

#include <stddef.h>

enum event {
	EVENT_CONNECTED, /* bytes: nothing */
	EVENT_RECEIVED,
	EVENT_SENT,
	EVENT_SECURED, /* bytes: "TLSv1.3 TLS_AES_256_GCM_SHA384" */
	EVENT_BROKEN,  /* the TLS handshake failed; bytes: why */
	EVENT_ENDED,   /* the other side closed its half */
	EVENT_RESET,   /* ... or broke the connection off */
	EVENT_CLOSED   /* we did */
};

struct observer {
	void (*told)(struct observer *observer, enum event event, const char *bytes, size_t length);
};

#endif
