/* From files to a catalogue: finds the scripts, and runs each once in a sandbox for what it declares. Those of a folder
 * are run by two threads, if there are two processors, and seen from outside one after another. */
#ifndef SCRIPT_LOAD_H
#define SCRIPT_LOAD_H

#include "script/catalogue.h"

/* Load each of the folders (every *.lua in it, and its groups.lua) and files, in the order given. The
 * first comes first: a script whose file name is already loaded is overridden, not loaded. The scripts of the
 * first catalogue->trusted of the paths are run without sandbox, now and later.
 *
 * A script that cannot be used becomes a line in catalogue->problems ("path:line: reason") and the
 * others are loaded all the same. False only if one of the paths itself cannot be read: `error`
 * says which and why. */
bool load_scripts(struct catalogue *catalogue, const char *const *paths, size_t count, char *error,
                  size_t size);

#endif
