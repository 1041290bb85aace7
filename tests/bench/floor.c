/* A floor of the benchmark: the least that makes an exchange with many addresses on a bare event loop.
 *
 *   floor [-P CONNECTIONS] [-c reset|fin|again] ADDRESS/BITS PORT STEP...
 *
 * One thread keeps CONNECTIONS (512) in flight. Each makes the STEPs and is closed:
 *   line    read up to the end of a line
 *   reply   read up to the end of a reply, "250-more" and then "250 so"
 *   tls     make the TLS handshake, or start it here, and take the server's certificate
 *   bye     tell the server that TLS ends here
 *   why     ask for the reason why there is no connection
 *   else    a command: it is sent with CRLF
 * Without a step it connects only. What is counted is who made all steps; without one, who answered.
 * Closing resets the connection, as a scan does, which leaves nothing in TIME_WAIT; `fin` just closes, and `again`
 * disconnects, which resets too, and connects the same socket to the next address. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, ROOM = 8 * 1024, STEPS = 16 };
enum close { RESET, FIN, AGAIN };
enum verb { LINE, REPLY, TLS, BYE, WHY, SAY, END };

struct step {
	enum verb   verb;
	const char *text;
	size_t      length;
};

struct link {
	int      fd;
	unsigned step, column; /* of the line being read */
	bool     last;         /* it is the last of its reply */
	SSL     *ssl;
};

static struct step        steps[STEPS + 1];
static struct link       *links;
static unsigned           in_flight = 512;
static enum close         closing = RESET;
static uint32_t           interest; /* in events */
static SSL_CTX           *context;
static int                poller;
static struct sockaddr_in target;
static uint32_t           next, last; /* addresses, host order; last is not one of them */
static unsigned long      done, failed;
static char               bytes[ROOM];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- one connection -------------------------------------------------------------------------- */

/* -1, or the socket, which is good for another address. */
static int end_socket(int fd)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	static const struct linger   reset = { .l_onoff = 1, .l_linger = 0 };

	if (closing == AGAIN && next != last) {
		if (connect(fd, &nobody, sizeof nobody) < 0)
			die("disconnect");
		return fd;
	}
	if (closing == RESET && steps[0].verb != END && steps[0].verb != WHY)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd);
	return -1;
}

/* Connect to the next address, if there is one, with this socket, or if it is -1, a new one. */
static void begin(struct link *link, int fd)
{
	struct epoll_event event = { .events = interest, .data = { .ptr = link } };
	bool               made = fd < 0;

	*link = (struct link){ .fd = fd };
	if (next == last)
		return;
	target.sin_addr.s_addr = htonl(next++);
	if (made)
		link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd < 0)
		die("socket");
	if (connect(link->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)
		die("connect");
	if (made && epoll_ctl(poller, EPOLL_CTL_ADD, link->fd, &event) < 0)
		die("epoll_ctl");
}

/* Close it, and begin the next in its place. */
static void finish(struct link *link, bool good)
{
	good ? done++ : failed++;
	SSL_free(link->ssl);
	begin(link, end_socket(link->fd));
}

/* --- steps: 1 done, 0 wait, -1 failed --------------------------------------------------------- */

static int receive(struct link *link, ssize_t *length)
{
	if (link->ssl) {
		ERR_clear_error();
		*length = SSL_read(link->ssl, bytes, ROOM);
		if (*length > 0)
			return 1;
		return SSL_get_error(link->ssl, (int)*length) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	*length = recv(link->fd, bytes, ROOM, 0);
	return *length > 0 ? 1 : *length < 0 && errno == EAGAIN ? 0 : -1;
}

/* Is the end of the line, or of the reply, among these bytes? */
static bool ends(struct link *link, ssize_t length, bool reply)
{
	if (!reply)
		return memchr(bytes, '\n', (size_t)length) != NULL;
	for (ssize_t i = 0; i < length; i++) {
		if (link->column++ == 3)
			link->last = bytes[i] != '-';
		if (bytes[i] != '\n')
			continue;
		link->column = 0;
		if (link->last)
			return true;
	}
	return false;
}

/* A plain socket that still has something says so again; TLS may keep it to itself. */
static int hear(struct link *link, bool reply)
{
	ssize_t length;
	int     result;

	do {
		result = receive(link, &length);
		if (result == 1 && ends(link, length, reply))
			return 1;
	} while (result == 1 && link->ssl);
	return result < 0 ? -1 : 0;
}

static int shake(struct link *link)
{
	X509 *certificate;
	int   result;

	if (!link->ssl) {
		link->ssl = SSL_new(context);
		if (!link->ssl || SSL_set_fd(link->ssl, link->fd) != 1)
			return -1;
	}
	ERR_clear_error();
	result = SSL_connect(link->ssl);
	if (result != 1)
		return SSL_get_error(link->ssl, result) == SSL_ERROR_WANT_READ ? 0 : -1;
	certificate = SSL_get1_peer_certificate(link->ssl);
	X509_free(certificate);
	return certificate ? 1 : -1;
}

static int say(struct link *link, const struct step *step)
{
	if (link->ssl)
		return SSL_write(link->ssl, step->text, (int)step->length) > 0 ? 1 : -1;
	return send(link->fd, step->text, step->length, MSG_NOSIGNAL) == (ssize_t)step->length ? 1 : -1;
}

static int ask_why(const struct link *link)
{
	int       error = 0;
	socklen_t size = sizeof error;

	return getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED ? 1
	                                                                                               : -1;
}

static int take_step(struct link *link, const struct step *step)
{
	switch (step->verb) {
	case LINE:
	case REPLY:
		return hear(link, step->verb == REPLY);
	case TLS:
		return shake(link);
	case BYE:
		return SSL_shutdown(link->ssl) >= 0 ? 1 : -1;
	case WHY:
		return ask_why(link);
	default:
		return say(link, step);
	}
}

/* What was said is not answered yet: a try would be in vain. */
static void advance(struct link *link)
{
	int  result = 1;
	bool said = false;

	while (result == 1 && !said && steps[link->step].verb != END) {
		said = steps[link->step].verb == SAY;
		result = take_step(link, &steps[link->step]);
		link->step += result == 1;
	}
	if (result < 0 || steps[link->step].verb == END)
		finish(link, result == 1);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void run(uint32_t total)
{
	struct epoll_event events[BATCH];

	for (unsigned i = 0; i < in_flight; i++)
		begin(&links[i], -1);
	while (done + failed < total) {
		int ready = epoll_wait(poller, events, BATCH, -1);

		for (int i = 0; i < ready; i++)
			advance(events[i].data.ptr);
	}
}

/* --- the beginning --------------------------------------------------------------------------- */

static _Noreturn void refuse(const char *word)
{
	fprintf(stderr, "floor: what is %s?\n", word);
	exit(2);
}

static struct step step_of(const char *word)
{
	static const char *const names[] = { "line", "reply", "tls", "bye", "why" };
	struct step              step = { .verb = LINE };
	char                    *text = malloc(strlen(word) + 3);

	while (step.verb < SAY && strcmp(names[step.verb], word) != 0)
		step.verb++;
	if (!text)
		die("memory");
	step.length = (size_t)sprintf(text, "%s\r\n", word);
	step.text = text;
	return step;
}

/* Who reads first need not know when it is connected. Who begins with TLS does: there, edges tell both. */
static uint32_t interest_of(enum verb first)
{
	if (first == LINE || first == REPLY)
		return EPOLLIN;
	return first == TLS ? EPOLLIN | EPOLLOUT | EPOLLET : EPOLLOUT;
}

static void parse_steps(char **words)
{
	unsigned count = 0;

	for (; words[count]; count++) {
		if (count == STEPS)
			refuse(words[count]);
		steps[count] = step_of(words[count]);
	}
	steps[count].verb = END;
	interest = interest_of(steps[0].verb);
}

/* The number of addresses. */
static uint32_t parse_range(char *word, const char *port)
{
	char          *slash = strchr(word, '/');
	unsigned long  bits = slash ? strtoul(slash + 1, NULL, 10) : 32;
	struct in_addr address;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, word, &address) != 1 || bits < 8 || bits > 32)
		refuse(word);
	target.sin_family = AF_INET;
	target.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	next = ntohl(address.s_addr);
	last = next + (1U << (32 - bits));
	return last - next;
}

static void make_context(void)
{
	context = SSL_CTX_new(TLS_client_method());
	if (!context)
		die("SSL_CTX_new");
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(context, 1);
}

static bool uses_tls(void)
{
	for (unsigned i = 0; steps[i].verb != END; i++)
		if (steps[i].verb == TLS)
			return true;
	return false;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char *argv[])
{
	double   start = now();
	uint32_t total;
	int      option;

	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt(argc, argv, "+P:c:")) != -1) {
		if (option == 'P')
			in_flight = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'c')
			closing = strcmp(optarg, "fin") == 0     ? FIN
			          : strcmp(optarg, "again") == 0 ? AGAIN
			                                         : RESET;
		else
			return 2;
	}
	if (argc - optind < 2)
		refuse("to be done");
	total = parse_range(argv[optind], argv[optind + 1]);
	parse_steps(argv + optind + 2);
	if (uses_tls())
		make_context();
	poller = epoll_create1(EPOLL_CLOEXEC);
	links = calloc(in_flight, sizeof *links);
	if (poller < 0 || !links)
		die("epoll_create");
	run(total);
	printf("%lu done, %lu failed, %.0f a second\n", done, failed, total / (now() - start));
	return failed > 0;
}
