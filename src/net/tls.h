/* TLS for one connection, as a machine that eats and gives bytes: it never sees a socket.
 *
 * The owner feeds what the network brought (tls_feed), sends what the machine has to say
 * (tls_take), and calls handshake, read and write until they are done. So an upgrade
 * of a live connection and TLS from the first byte are the same code.
 *
 * This file and certificate.h are the only places that know OpenSSL.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/failure.h"
#include "net/io.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_context;
struct tls;

/* How a client behaves. Strict: TLS 1.2 and up with what is held to be sound today. Legacy: reaches old
 * servers (TLS 1.0 and up, small keys, SHA-1, legacy renegotiation). */
enum tls_manner { TLS_STRICT, TLS_LEGACY };

/* What all connections of a thread share, whatever the machine's openssl.cnf says. Certificates are judged,
 * but never stop a handshake. Costs nothing before the first tls_new. NULL: no memory. */
struct tls_context *tls_context_new(void);

/* The other side, for tests and experiments: with the certificate and key of a PEM file, or, where it is
 * NULL, a certificate of its own for "localhost" that is good for a day and a half. NULL: `failure` says why. */
struct tls_context *tls_context_new_server(const char *pem, struct failure *failure);
bool                tls_context_serves(const struct tls_context *context);

void tls_context_free(struct tls_context *context); /* NULL is fine */

/* One side of one connection, the client's or, by its context, the server's. For a client, `name` is sent as SNI and compared with the certificate if it is a
 * name; if it is the text of an IP address it is only compared; NULL: neither. NULL: no memory, or OpenSSL
 * would not start. */
struct tls *tls_new(struct tls_context *context, enum tls_manner manner, const char *name);
void        tls_free(struct tls *tls); /* NULL is fine */

/* Bytes from the network, in any cut. False: no memory. */
bool tls_feed(struct tls *tls, const char *bytes, size_t length);
void tls_feed_end(struct tls *tls); /* the network has no more */

/* Move up to `size` bytes that must go to the network into `bytes`; returns how many. */
size_t tls_take(struct tls *tls, char *bytes, size_t size);

/* Each call does what can be done with what was fed. IO_WANT_READ: feed more. IO_FAILED fills
 * `failure` (PHASE_TLS, or PHASE_READ for the end of a stream without close_notify). */
enum io tls_handshake(struct tls *tls, struct failure *failure);
enum io tls_read(struct tls *tls, char *bytes, size_t size, size_t *length, struct failure *failure);
enum io tls_write(struct tls *tls, const char *bytes, size_t length, struct failure *failure);

/* Queue a close_notify, if the handshake was done. */
void tls_goodbye(struct tls *tls);

/* Did the handshake fail in a way that legacy settings may cure? */
bool tls_curable(const struct failure *failure);

/* Did the server complain of the name? */
bool tls_name_unknown(const struct failure *failure);

/* The time for the handshake is over: say what the server did instead. */
void tls_overdue(const struct tls *tls, double seconds, struct failure *failure);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384" into `text`; returns its length. */
size_t tls_describe(const struct tls *tls, char *text, size_t size);

/* How far the handshake came, for messages: "before the server's hello", ... Static text. */
const char *tls_stage(const struct tls *tls);

/* Version, cipher and certificate as the record's `tls` object; a new reference, or NULL if there is
 * nothing to tell. A handshake that failed behind the server's certificate has facts, too. */
json_t *tls_facts(const struct tls *tls);

#endif
