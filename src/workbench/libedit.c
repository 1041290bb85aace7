#include <stddef.h>

#ifdef HAVE_LIBEDIT
#include "workbench/libedit.h"

#include <dlfcn.h>
#include <string.h>

/* POSIX lets a function's address be kept where dlsym gives an object's; C knows no conversion. */
static bool find(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	memcpy(function, &symbol, sizeof symbol);
	return symbol != NULL;
}

static bool find_all(void *library, struct libedit *libedit)
{
	return find(library, "el_init", &libedit->init) && find(library, "el_end", &libedit->end) &&
	       find(library, "el_reset", &libedit->reset) && find(library, "el_resize", &libedit->resize) &&
	       find(library, "el_set", &libedit->set) && find(library, "el_wset", &libedit->wset) &&
	       find(library, "el_get", &libedit->get) && find(library, "el_gets", &libedit->gets) &&
	       find(library, "el_line", &libedit->line) && find(library, "el_wline", &libedit->wline) &&
	       find(library, "el_insertstr", &libedit->insertstr) &&
	       find(library, "el_source", &libedit->source) &&
	       find(library, "history_init", &libedit->history_init) &&
	       find(library, "history_end", &libedit->history_end) &&
	       find(library, "history", &libedit->history);
}

bool libedit_load(struct libedit *libedit)
{
	static const char *const names[] = { "libedit.so.2", "libedit.so.0",
		                             "libedit.so" }; /* Debian's first */
	void                    *library = NULL;

	for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	return library && find_all(library, libedit);
}
#endif
