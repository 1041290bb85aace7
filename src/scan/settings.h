/* How a scan is done: what the options say, in the scan's own terms. */
#ifndef SCAN_SETTINGS_H
#define SCAN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

struct settings {
	double connect_timeout, reply_timeout, deadline; /* seconds */
	int    family;                                   /* AF_UNSPEC, AF_INET, AF_INET6 */
	bool   all_addresses;
	size_t parallel; /* connections in flight, in all */
	size_t per_host; /* connections in flight to one host */
	size_t threads;  /* 0: as fits */
	double rate;     /* new connections a second, 0: as fast as it goes */
	int    retries;  /* after a connect time-out */
	bool   measured; /* the CPU time of each turn of a loop is taken */
	bool   wordless; /* only records are wanted, no lines of text */
};

#endif
