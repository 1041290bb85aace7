/* The one alphabet in which everything that reads or writes answers. */
#ifndef NET_IO_H
#define NET_IO_H

enum io {
	IO_DONE,       /* it is done; results are in the out parameters */
	IO_EOF,        /* the other side has closed its half, nothing is left to read */
	IO_WANT_READ,  /* nothing to be had now: try again when the socket is readable */
	IO_WANT_WRITE, /* likewise, writable */
	IO_FAILED      /* it will not work any more; the object holds the failure */
};

#endif
