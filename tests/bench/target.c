/* The load target of the benchmark: services that answer at once, on all loopback addresses.
 *
 *   target [-t THREADS] SERVICE...
 *
 * Says "SERVICE PORT" for each, and "ready"; then one line of counters for every line on standard input,
 * at whose end it ends itself. Each SERVICE has a port of its own, below those that clients get. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_PORT = 20000, LAST_PORT = 32000, BACKLOG = 65535, BATCH = 256, ACCEPTS = 64, LINE = 512 };

enum trait {
	GREETS = 1, /* speaks first */
	TALKS = 2,  /* answers commands, as a mail server does */
	UPGRADES =
	    4,      /* accepts STARTTLS; a server that talks but does not upgrade advertises and refuses it */
	SECURE = 8, /* TLS from the first byte */
	SHUT = 16,  /* nothing listens; the port is kept from others */
	RSA_KEY = 32 /* in place of ECDSA */
};

struct service {
	const char *name;
	unsigned    traits;
	const char *greeting;

	in_port_t         port;
	SSL_CTX          *tls;
	atomic_ulong      accepted, commands, handshakes;
	_Atomic long long open;
};

static struct service services[] = {
	{ .name = "greeting", .traits = GREETS, .greeting = "SSH-2.0-OpenSSH_9.9\r\n" },
	{ .name = "smtp", .traits = GREETS | TALKS, .greeting = "220 mail.example ESMTP Postfix\r\n" },
	{ .name = "starttls",
	  .traits = GREETS | TALKS | UPGRADES,
	  .greeting = "220 mail.example ESMTP Postfix\r\n" },
	{ .name = "tls-ecdsa", .traits = SECURE },
	{ .name = "tls-rsa", .traits = SECURE | RSA_KEY },
	{ .name = "silent", .traits = 0 },
	{ .name = "closed", .traits = SHUT },
};

enum { KNOWN = sizeof services / sizeof *services };

/* A connection, or a listener: that has no `line` and never ends. */
struct peer {
	struct service *service;
	int             fd;
	bool            listens, shaking;
	SSL            *ssl;
	size_t          length;
	char           *line;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "target: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* --- keys ------------------------------------------------------------------------------------ */

static _Noreturn void die_tls(void)
{
	ERR_print_errors_fp(stderr);
	_exit(1);
}

static void add_names(X509 *certificate)
{
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
	                                            "DNS:mail.example,DNS:www.example");

	if (!names || !X509_add_ext(certificate, names, -1))
		die_tls();
	X509_EXTENSION_free(names);
}

static X509 *make_certificate(EVP_PKEY *key)
{
	X509      *certificate = X509_new();
	X509_NAME *name = certificate ? X509_get_subject_name(certificate) : NULL;

	if (!name || !X509_set_version(certificate, 2))
		die_tls();
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 90L * 24 * 60 * 60);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mail.example", -1, -1,
	                           0);
	X509_set_issuer_name(certificate, name);
	add_names(certificate);
	if (!X509_set_pubkey(certificate, key) || X509_sign(certificate, key, EVP_sha256()) == 0)
		die_tls();
	return certificate;
}

static SSL_CTX *make_tls(bool rsa)
{
	SSL_CTX  *tls = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509     *certificate;

	if (!tls || !key)
		die_tls();
	certificate = make_certificate(key);
	if (SSL_CTX_use_certificate(tls, certificate) != 1 || SSL_CTX_use_PrivateKey(tls, key) != 1)
		die_tls();
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return tls;
}

/* --- sockets --------------------------------------------------------------------------------- */

/* -1 where somebody has the port. */
static int bind_socket(in_port_t port, bool shared)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int                on = 1;

	if (fd < 0)
		die("socket");
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what is accepted inherits it */
	if (bind(fd, (struct sockaddr *)&any, sizeof any) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A port that nobody has. For a service that is shut, a socket that does not listen keeps it. */
static void take_port(struct service *service)
{
	static in_port_t next = FIRST_PORT;

	for (; next < LAST_PORT; next++) {
		int fd = bind_socket(next, false);

		if (fd < 0)
			continue;
		service->port = next++;
		if (!(service->traits & SHUT))
			close(fd);
		return;
	}
	die("no free port");
}

static void watch(int poller, struct peer *peer)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data = { .ptr = peer } };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, peer->fd, &event) < 0)
		die("epoll_ctl");
}

static void start_listening(int poller, struct service *service)
{
	struct peer *peer = calloc(1, sizeof *peer);

	if (!peer)
		die("memory");
	peer->service = service;
	peer->listens = true;
	peer->fd = bind_socket(service->port, true);
	if (peer->fd < 0 || listen(peer->fd, BACKLOG) < 0)
		die("listen");
	watch(poller, peer);
}

/* --- talking --------------------------------------------------------------------------------- */

static void count(atomic_ulong *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void drop(struct peer *peer)
{
	atomic_fetch_sub_explicit(&peer->service->open, 1, memory_order_relaxed);
	SSL_free(peer->ssl);
	close(peer->fd);
	free(peer->line);
	free(peer);
}

static bool say(struct peer *peer, const char *text)
{
	size_t length = strlen(text);

	if (peer->ssl) {
		ERR_clear_error();
		return SSL_write(peer->ssl, text, (int)length) == (int)length;
	}
	return send(peer->fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Bytes, 0 if there are none yet, or -1 at the end. */
static ssize_t hear(struct peer *peer, char *bytes, size_t size)
{
	ssize_t got;

	if (peer->ssl) {
		ERR_clear_error();
		got = SSL_read(peer->ssl, bytes, (int)size);
		return got > 0 ? got : SSL_get_error(peer->ssl, (int)got) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	got = recv(peer->fd, bytes, size, 0);
	return got > 0 ? got : got < 0 && errno == EAGAIN ? 0 : -1;
}

/* 1 when it is done, 0 while it needs more, -1 where it failed. */
static int shake(struct peer *peer)
{
	int result;

	ERR_clear_error();
	result = SSL_accept(peer->ssl);
	if (result != 1)
		return SSL_get_error(peer->ssl, result) == SSL_ERROR_WANT_READ ? 0 : -1;
	peer->shaking = false;
	count(&peer->service->handshakes);
	return 1;
}

static bool begin_tls(struct peer *peer)
{
	peer->ssl = SSL_new(peer->service->tls);
	if (!peer->ssl || SSL_set_fd(peer->ssl, peer->fd) != 1)
		return false;
	SSL_set_accept_state(peer->ssl);
	peer->shaking = true;
	return true;
}

static bool starts(const char *line, const char *word)
{
	return strncasecmp(line, word, strlen(word)) == 0;
}

static bool answer(struct peer *peer, const char *line)
{
	count(&peer->service->commands);
	if (starts(line, "EHLO"))
		return say(peer,
		           peer->ssl
		               ? "250-mail.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n"
		               : "250-mail.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
		                 "250-STARTTLS\r\n250 8BITMIME\r\n");
	if (starts(line, "STARTTLS") && peer->service->traits & UPGRADES && !peer->ssl)
		return say(peer, "220 2.0.0 Ready to start TLS\r\n") && begin_tls(peer);
	if (starts(line, "STARTTLS"))
		return say(peer, "454 4.7.0 TLS not available due to local problem\r\n");
	return say(peer, starts(line, "QUIT") ? "221 2.0.0 Bye\r\n" : "502 5.5.2 Command not recognized\r\n");
}

/* Gather lines and answer each; false if the connection is of no more use. */
static bool take(struct peer *peer, const char *bytes, ssize_t length)
{
	for (ssize_t i = 0; i < length; i++) {
		if (peer->length == LINE - 1)
			return false;
		peer->line[peer->length++] = bytes[i];
		if (bytes[i] != '\n')
			continue;
		peer->line[peer->length] = '\0';
		peer->length = 0;
		if (!answer(peer, peer->line))
			return false;
	}
	return true;
}

/* One read where that empties the socket; TLS may hold more than it has shown. */
static bool listen_to(struct peer *peer)
{
	char    bytes[LINE];
	ssize_t length;
	int     shaken = peer->shaking ? shake(peer) : 1;

	if (shaken != 1)
		return shaken == 0;
	do {
		length = hear(peer, bytes, sizeof bytes);
		if (length < 0 || (length > 0 && peer->line && !take(peer, bytes, length)))
			return false;
	} while (length > 0 && peer->ssl && !peer->shaking);
	return true;
}

/* --- the loop -------------------------------------------------------------------------------- */

static void welcome(int poller, struct service *service, int fd)
{
	struct peer *peer = calloc(1, sizeof *peer);

	count(&service->accepted);
	atomic_fetch_add_explicit(&service->open, 1, memory_order_relaxed);
	if (!peer)
		die("memory");
	peer->service = service;
	peer->fd = fd;
	if (service->traits & TALKS && !(peer->line = malloc(LINE)))
		die("memory");
	if ((service->traits & SECURE && !begin_tls(peer)) ||
	    (service->greeting && !say(peer, service->greeting)))
		drop(peer);
	else
		watch(poller, peer);
}

static void accept_some(int poller, const struct peer *listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		if (fd < 0)
			die("accept");
		welcome(poller, listener->service, fd);
	}
}

static void serve(int poller, struct peer *peer, uint32_t events)
{
	if (peer->listens)
		accept_some(poller, peer);
	else if (events & (EPOLLERR | EPOLLHUP) || !listen_to(peer))
		drop(peer);
}

static void *run(void *argument)
{
	const int         *poller = argument;
	struct epoll_event events[BATCH];

	for (;;) {
		int ready = epoll_wait(*poller, events, BATCH, -1);

		for (int i = 0; i < ready; i++)
			serve(*poller, events[i].data.ptr, events[i].events);
	}
	return NULL;
}

/* Each thread has listeners of its own, among which the kernel spreads what comes. */
static void start_thread(void)
{
	pthread_t thread;
	int      *poller = malloc(sizeof *poller);

	if (!poller || (*poller = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create");
	for (int i = 0; i < KNOWN; i++)
		if (services[i].port && !(services[i].traits & SHUT))
			start_listening(*poller, &services[i]);
	errno = pthread_create(&thread, NULL, run, poller);
	if (errno != 0)
		die("thread");
}

/* --- the beginning --------------------------------------------------------------------------- */

static struct service *find(const char *name)
{
	for (int i = 0; i < KNOWN; i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	fprintf(stderr, "target: no service %s\n", name);
	exit(2);
}

static void prepare(struct service *service)
{
	take_port(service);
	if (service->traits & (SECURE | UPGRADES))
		service->tls = make_tls(service->traits & RSA_KEY);
	printf("%s %u\n", service->name, service->port);
}

static void tell(void)
{
	for (int i = 0; i < KNOWN; i++)
		if (services[i].port)
			printf("%s %lu %lu %lu %lld ", services[i].name, services[i].accepted,
			       services[i].commands, services[i].handshakes, services[i].open);
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	char line[LINE];
	long threads = 1;

	signal(SIGPIPE, SIG_IGN);
	while (getopt(argc, argv, "t:") == 't')
		threads = strtol(optarg, NULL, 10);
	for (; optind < argc; optind++)
		prepare(find(argv[optind]));
	for (; threads > 0; threads--)
		start_thread();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		tell();
	_exit(0); /* with whatever is open still */
}
