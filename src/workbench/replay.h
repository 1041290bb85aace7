/* --replay: probes run against conversations from files, without a network.
 *
 * Each goes the way of a scan, through a visit, a connection and the starttls of a script, and meets a player in
 * place of a server. What it reports is held against the file; then it is played again with the server's words
 * in segments of one byte, of two, and cut in two at each place, and what is reported must stay the same. Time
 * is pretended: a server that is silent for ten seconds is so in no time.
 */
#ifndef WORKBENCH_REPLAY_H
#define WORKBENCH_REPLAY_H

#include "scan/settings.h"
#include "script/catalogue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* About so many places at which the words are cut in two; of longer ones some are left out. The bytes of TLS are cut
 * at those, and behind them at so many more. */
enum { REPLAY_PLACES = 400, REPLAY_PLACES_OF_TLS = 100 };

struct replay;

/* Read the files. What is wrong with one is told when it is its turn. NULL: no memory. */
struct replay *replay_new(const char *const *files, size_t count);
void           replay_free(struct replay *replay); /* NULL is fine */

/* The scripts that the files bring along, as paths, the replay's: to be loaded before all others. */
const char *const *replay_scripts(const struct replay *replay, size_t *count);

struct replay_setup {
	struct catalogue *catalogue; /* the arguments of its probes are set for a file, and unset again */
	const struct settings *settings;
	FILE                  *out;   /* "ok FILE", or what is different, for each */
	FILE                  *trace; /* the conversations as they are; NULL: nobody wants to see them */
	bool                   verbose;
};

/* True: all is as it should be. */
bool replay_run(struct replay *replay, const struct replay_setup *setup);

#endif
