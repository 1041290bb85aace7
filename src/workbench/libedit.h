/* libedit, loaded where a line is to be edited and not before: it comes with three libraries of its own, and every start
 * of a program that is linked with it takes a tenth longer. */
#ifndef WORKBENCH_LIBEDIT_H
#define WORKBENCH_LIBEDIT_H

#include <histedit.h>
#include <stdbool.h>

/* Its functions by their names without el_; those of the history, which have none, by their own. */
struct libedit {
	__typeof__(el_init)      *init;
	__typeof__(el_end)       *end;
	__typeof__(el_reset)     *reset;
	__typeof__(el_resize)    *resize;
	__typeof__(el_set)       *set;
	__typeof__(el_wset)      *wset;
	__typeof__(el_get)       *get;
	__typeof__(el_gets)      *gets;
	__typeof__(el_line)      *line;
	__typeof__(el_wline)     *wline;
	__typeof__(el_insertstr) *insertstr;
	__typeof__(el_source)    *source;
	__typeof__(history_init) *history_init;
	__typeof__(history_end)  *history_end;
	__typeof__(history)      *history;
};

/* Fill it in; false: it cannot be had here. Loaded once, it stays. */
bool libedit_load(struct libedit *libedit);

#endif
