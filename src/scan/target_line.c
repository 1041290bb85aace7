#include "scan/target_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char blank[] = " \t";

/* --- nmap -oG -------------------------------------------------------------------------------- */

/* An IPv6 address needs brackets before ":port". */
static const char *with_port(struct target_line *line, const char *host, const char *port)
{
	snprintf(line->word, sizeof line->word, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	return line->word;
}

/* "22/open/tcp//ssh///": its port if it is open and TCP; `field` is taken apart. */
static const char *open_port(char *field)
{
	char *place = NULL;
	char *port = strtok_r(field, "/", &place);
	char *state = strtok_r(NULL, "/", &place);
	char *protocol = strtok_r(NULL, "/", &place);

	if (!protocol || strcmp(state, "open") != 0 || strcmp(protocol, "tcp") != 0)
		return NULL;
	return port;
}

static const char *nmap_port(struct target_line *line)
{
	char *field;

	while (line->place && (field = strsep(&line->place, ",")) != NULL) {
		const char *port = open_port(field + strspn(field, blank));

		if (port)
			return with_port(line, line->host, port);
	}
	line->host[0] = '\0';
	return NULL;
}

static void read_nmap(struct target_line *line)
{
	char  *host = line->text + strlen("Host: ");
	size_t length = strcspn(host, blank);
	char  *ports = strstr(host, "\tPorts: ");

	line->place = NULL;
	if (length >= sizeof line->host)
		return;
	if (ports) {
		memcpy(line->host, host, length);
		line->host[length] = '\0';
		line->place = ports + strlen("\tPorts: ");
		line->place[strcspn(line->place, "\t")] = '\0';
		if (strcmp(line->due, line->host) == 0)
			line->due[0] = '\0'; /* its ports say more than that it is up */
	} else if (strstr(host, "\tStatus: Up")) {
		memcpy(line->up, host, length);
		line->up[length] = '\0';
	}
}

/* --- masscan -oL ----------------------------------------------------------------------------- */

/* "open tcp PORT ADDRESS TIME" and lines of that form which are no targets: other states, other protocols, banners of
 * ports that have a line of their own. *word is NULL for these. */
static bool masscan(struct target_line *line, const char *text, const char **word)
{
	char state[8], protocol[8], port[8], address[64];
	int  taken = 0;

	if (sscanf(text, "%7[a-z] %7[a-z] %7[0-9] %63s %*[0-9]%n", state, protocol, port, address, &taken) !=
	        4 ||
	    taken == 0)
		return false;
	*word = strcmp(state, "open") == 0 && strcmp(protocol, "tcp") == 0 ? with_port(line, address, port)
	                                                                   : NULL;
	return strcmp(state, "open") == 0 || strcmp(state, "closed") == 0 || strcmp(state, "banner") == 0;
}

/* --- zmap ------------------------------------------------------------------------------------ */

/* Which field of zmap's records is this, counted from 1? 0: there is none. */
static unsigned column_of(const char *names, const char *name)
{
	unsigned column = 1;

	for (const char *at = names;; at++, column++) {
		size_t length = strcspn(at, ",");

		if (length == strlen(name) && strncmp(at, name, length) == 0)
			return column;
		at += length;
		if (*at == '\0')
			return 0;
	}
}

/* The line that names the fields is no target. */
static bool zmap_names(struct target_line *line, const char *text)
{
	unsigned address = column_of(text, "saddr");

	if (address == 0)
		return false;
	line->address_column = address;
	line->port_column = column_of(text, "sport");
	return true;
}

/* What stands in a column; `record` is taken apart. NULL: it has no such column. */
static const char *field_at(char *record, unsigned column)
{
	const char *field = NULL;

	for (unsigned i = 0; i < column; i++)
		field = strsep(&record, ",");
	return field;
}

/* A record with more than an address. NULL: it is none. */
static const char *zmap(struct target_line *line, const char *text)
{
	char        address[TARGET_LINE_TEXT], port[TARGET_LINE_TEXT];
	const char *host, *service;

	if (line->address_column == 0 || !strchr(text, ','))
		return NULL;
	snprintf(address, sizeof address, "%s", text);
	snprintf(port, sizeof port, "%s", text);
	host = field_at(address, line->address_column);
	service = field_at(port, line->port_column);
	if (!host || *host == '\0')
		return NULL;
	if (service && *service)
		return with_port(line, host, service);
	snprintf(line->word, sizeof line->word, "%s", host);
	return line->word;
}

/* --- all forms ------------------------------------------------------------------------------- */

static void strip(struct target_line *line)
{
	size_t length;

	for (char *hash = line->text; (hash = strchr(hash, '#')) != NULL; hash++) {
		if (hash == line->text || strchr(blank, hash[-1])) {
			*hash = '\0';
			break;
		}
	}
	length = strlen(line->text);
	while (length > 0 && strchr(blank, line->text[length - 1]))
		line->text[--length] = '\0';
	line->place = line->text + strspn(line->text, blank);
}

void target_line_read(struct target_line *line, const char *text, size_t number)
{
	snprintf(line->text, sizeof line->text, "%s", text);
	line->number = number;
	if (number <= 1)
		line->address_column = line->port_column = 0;
	line->host[0] = '\0';
	memcpy(line->due, line->up, sizeof line->due);
	line->up[0] = '\0';
	if (strncmp(line->text, "Host: ", strlen("Host: ")) == 0)
		read_nmap(line);
	else
		strip(line);
}

static const char *plain(struct target_line *line)
{
	char       *text = line->place;
	const char *word;

	line->place = NULL;
	if (!text || *text == '\0' || zmap_names(line, text))
		return NULL;
	if (masscan(line, text, &word))
		return word;
	word = zmap(line, text);
	return word ? word : text;
}

const char *target_line_word(struct target_line *line)
{
	if (line->due[0] != '\0') {
		memcpy(line->word, line->due, sizeof line->due);
		line->due[0] = '\0';
		return line->word;
	}
	return line->host[0] != '\0' ? nmap_port(line) : plain(line);
}
