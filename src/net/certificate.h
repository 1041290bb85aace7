/* What a certificate says, as facts for the record. Never decides whether TLS worked. */
#ifndef NET_CERTIFICATE_H
#define NET_CERTIFICATE_H

#include <jansson.h>

struct x509_st; /* OpenSSL's X509 */

enum { CERTIFICATE_NAMES = 16 };

/* Add subject, issuer, names (at most CERTIFICATE_NAMES), not_before, not_after, days_left, key and
 * sha256 to `facts`. What cannot be parsed is left out. Strings are the certificate's own bytes. */
void certificate_facts(json_t *facts, struct x509_st *certificate);

struct X509_VERIFY_PARAM_st; /* OpenSSL's X509_VERIFY_PARAM: the name that is expected */

/* Add `problems`: each of "expired", "not-yet-valid", "self-signed", "wrong-name", "weak-key" and
 * "weak-signature" that holds, whatever a verification stopped at. */
void certificate_problems(json_t *facts, struct x509_st *certificate, struct X509_VERIFY_PARAM_st *expected);

#endif
