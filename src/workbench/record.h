/* --record: each conversation of a scan as a file that --replay understands.
 *
 * A listener that stands before another one, which hears all that it hears. What is being said is kept in memory,
 * bounded by what a connection may say, until the service is finished; then it is DIR/HOST-PORT-SERVICE.conversation.
 * Services that are not open leave none.
 */
#ifndef WORKBENCH_RECORD_H
#define WORKBENCH_RECORD_H

#include "scan/scanner.h"

#include <stddef.h>

struct record;

/* Record into `folder`, which is made if it is not there, what goes to `next`. Probes of the `own` files and folders
 * are named by their file, so that they are found again. NULL: `error` says why. */
struct record *record_new(const char *folder, const struct settings *settings, const char *const *own,
                          size_t own_count, const struct listener *next, char *error, size_t size);

struct listener record_listener(struct record *record);

/* After the scan. 0, or the errno of the first file that could not be written. */
int record_free(struct record *record);

#endif
