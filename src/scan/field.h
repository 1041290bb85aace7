/* A field of a host's record by its path, for expressions: "ssh.open", "smtp.starttls.accepted",
 * "https.tls.days_left", "host". */
#ifndef SCAN_FIELD_H
#define SCAN_FIELD_H

#include "scan/host.h"

#include <jansson.h>

/* A new reference, or NULL if the record has no such field. `host` is a struct host. */
json_t *field_of(void *host, const char *path);

#endif
