/* One line of a target list, as people and other scanners write them, as words for target.h.
 *
 * Plain lists: one target a line, # begins a comment. zmap: an address a line; or records, where a line that has saddr
 * names the fields, of which saddr and sport count. masscan -oL: "open tcp 80 192.0.2.7 1700000000" is 192.0.2.7:80, and
 * banners and other protocols are passed over. nmap -oG: "Host: 192.0.2.7 (name)	Ports: 22/open/tcp//ssh///,
 * ..." is a target for each open TCP port; a host that is only "Status: Up" is one target.
 */
#ifndef SCAN_TARGET_LINE_H
#define SCAN_TARGET_LINE_H

#include <stddef.h>

enum { TARGET_LINE_TEXT = 4096 };

struct target_line {
	char     text[TARGET_LINE_TEXT];
	char     word[TARGET_LINE_TEXT];
	size_t   number;
	char    *place;    /* what of `text` is still to be read; NULL: nothing */
	char     host[64]; /* of an nmap line whose ports are being read */
	char     up[64];   /* an nmap host that is up, of which no ports have been seen yet */
	char     due[64];  /* one that will not be: it is the next word */
	unsigned address_column, port_column; /* of zmap's records, from 1; 0: not known */
};

/* Take a line (copied) in. At the end of a file, take in an empty one. */
void target_line_read(struct target_line *line, const char *text, size_t number);

/* The next word in it, or NULL; good until the next call. */
const char *target_line_word(struct target_line *line);

#endif
