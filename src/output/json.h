/* The record of a service as one line of JSON, and the schema of such lines. */
#ifndef OUTPUT_JSON_H
#define OUTPUT_JSON_H

#include "base/buffer.h"
#include "scan/host.h"

/* Append the record with its LF. Always valid UTF-8: a string that was not stands there with U+FFFD
 * for what was bad, and beside it, base64 of all its bytes under NAME_base64. False: no memory. */
bool json_record(struct buffer *out, const struct host *host, const struct outcome *outcome);

/* The JSON schema of a record; static text. */
const char *json_schema(void);

#endif
