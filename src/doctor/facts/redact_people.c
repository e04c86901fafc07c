/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/redact_people.h"

#include "core/buffer.h"
#include "core/hash.h"
#include "doctor/facts/redact_scan.h"
#include "doctor/facts/root.h"

#include <string.h>
#include <sys/utsname.h>

/* The longest name that is looked up. */
#define NAME_MAX_SIZE 64u
/* The user ids of people on Linux: what is below is of the system. */
#define FIRST_PERSON 1000u
#define NOBODY       65534u

struct redact_people {
	struct hash_map names; /* hash of the name in small letters → redact_kind */
};

struct nunchi_error *redact_people_create(struct redact_people **ret)
{
	struct redact_people *people = calloc(1, sizeof(*people));

	if (!people)
		return &error_nomem;
	hash_map_init(&people->names);
	*ret = people;
	return NULL;
}

void redact_people_destroy(struct redact_people *people)
{
	if (!people)
		return;
	hash_map_deinit(&people->names);
	free(people);
}

static uint64_t hash_of(const char *name, size_t size)
{
	char small[NAME_MAX_SIZE];

	for (size_t i = 0; i < size; i++)
		small[i] = (char)tolower((unsigned char)name[i]);
	return hash_bytes(small, size);
}

/* Names that many hosts have, and that stand in every log. */
static bool is_common(const char *name, size_t size)
{
	static const char *const common[] = {"localhost", "debian", "ubuntu", "linux",  "xen",
					     "dom0",      "host",   "fedora", "kernel", "root",
					     "domain-0",  "qemu",   "user",   "guest",  "admin"};

	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		if (size == strlen(common[i]) && !strncasecmp(name, common[i], size))
			return true;
	return !strncasecmp(name, "ip6-", size < 4 ? size : 4);
}

bool redact_people_add(struct redact_people *people, const char *name, size_t size, bool host)
{
	if (size < 2 || size > NAME_MAX_SIZE || is_common(name, size))
		return true;
	return hash_map_insert(&people->names, hash_of(name, size),
			       host ? REDACT_HOST : REDACT_USER) != HASH_NOMEM;
}

/* ---- Reading the names ---- */

/* A host's name: its first part alone, and all of it. */
static bool add_host(struct redact_people *people, const char *name, size_t size)
{
	const char *point = memchr(name, '.', size);

	return redact_people_add(people, name, size, true) &&
	       (!point || redact_people_add(people, name, (size_t)(point - name), true));
}

static bool add_user(struct redact_people *people, const char *name)
{
	return !name || redact_people_add(people, name, strlen(name), false);
}

/* The words of a line but the first, which is an address. */
static bool add_hosts_line(struct redact_people *people, const char *line, size_t size)
{
	const char *end = memchr(line, '#', size);
	size_t at = 0, first = 0;

	if (end)
		size = (size_t)(end - line);
	for (unsigned i = 0; at < size; i++) {
		while (at < size && isspace((unsigned char)line[at]))
			at++;
		first = at;
		while (at < size && !isspace((unsigned char)line[at]))
			at++;
		if (i && at > first && !add_host(people, line + first, at - first))
			return false;
	}
	return true;
}

/* passwd(5): NAME:x:UID:GID:REAL NAME:HOME:SHELL */
static bool add_passwd_line(struct redact_people *people, const char *line, size_t size)
{
	const char *fields[6];
	const char *end = line + size;
	unsigned long id;

	fields[0] = line;
	for (unsigned i = 1; i < ARRAY_SIZE(fields); i++) {
		const char *colon = memchr(fields[i - 1], ':', (size_t)(end - fields[i - 1]));

		if (!colon)
			return true;
		fields[i] = colon + 1;
	}
	id = strtoul(fields[2], NULL, 10);
	if ((id < FIRST_PERSON || id == NOBODY) &&
	    ((size_t)(end - fields[5]) < 6 || memcmp(fields[5], "/home/", 6) != 0))
		return true;
	/* The real name, up to the first comma, word by word. */
	for (const char *at = fields[4], *stop; at < fields[5] - 1 && *at != ','; at = stop + 1) {
		stop = at;
		while (stop < fields[5] - 1 && *stop != ',' && *stop != ' ')
			stop++;
		if (stop - at > 2 && !redact_people_add(people, at, (size_t)(stop - at), false))
			return false;
		if (*stop == ',')
			break;
	}
	return redact_people_add(people, line, (size_t)(fields[1] - 1 - line), false);
}

static bool add_name_line(struct redact_people *people, const char *line, size_t size)
{
	while (size && isspace((unsigned char)line[size - 1]))
		size--;
	return *line == '#' || add_host(people, line, size);
}

static bool add_file(struct redact_people *people, const struct root *root, const char *path,
		     bool (*add)(struct redact_people *people, const char *line, size_t size))
{
	_cleanup_buffer_ struct buffer text = {0};
	const char *line, *end;
	bool cut;

	if (root_load(root, path, &text, &cut))
		return !text.no_memory;
	line = buffer_string(&text);
	for (end = line + text.size; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		stop = stop ? stop : end;
		if (!add(people, line, (size_t)(stop - line)))
			return false;
		line = stop + 1;
	}
	return true;
}

static bool add_running(struct redact_people *people)
{
	struct utsname name;

	return (uname(&name) || add_host(people, name.nodename, strlen(name.nodename))) &&
	       add_user(people, getenv("USER")) && add_user(people, getenv("LOGNAME")) &&
	       add_user(people, getenv("SUDO_USER"));
}

struct nunchi_error *redact_people_read(const char *root_path, bool live,
					struct redact_people **ret)
{
	_cleanup_redact_people_ struct redact_people *people = NULL;
	_cleanup_root_ struct root root = {.fd = -1};
	struct nunchi_error *err = redact_people_create(&people);

	if (!err)
		err = root_init(root_path, &root);
	if (err)
		return err;
	if ((live && !add_running(people)) ||
	    !add_file(people, &root, "/etc/hostname", add_name_line) ||
	    !add_file(people, &root, "/etc/mailname", add_name_line) ||
	    !add_file(people, &root, "/etc/hosts", add_hosts_line) ||
	    !add_file(people, &root, "/etc/passwd", add_passwd_line))
		return &error_nomem;
	*ret = no_cleanup_ptr(people);
	return NULL;
}

/* ---- Finding them ---- */

static bool is_part(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* "/home/NAME": what follows. */
static struct redact_cut home(const struct redact_scan *scan, size_t at)
{
	static const char *const homes[] = {"/home/", "/Users/", "/run/user/"};
	struct redact_cut cut = {.at = at, .kind = REDACT_USER};

	for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
		size_t begin = at + strlen(homes[i]), end = begin;

		if (!redact_starts(scan, at, homes[i]))
			continue;
		while (end < scan->size && redact_is_name(scan->text[end]))
			end++;
		cut = (struct redact_cut){begin, end - begin, REDACT_USER};
		break;
	}
	return cut;
}

/* Whether the pattern stands there: '0' is a digit, 'a' a letter, '_' a blank or a digit. */
static bool fits(const struct redact_scan *scan, size_t at, const char *pattern)
{
	for (; *pattern; pattern++, at++) {
		unsigned char c = (unsigned char)redact_at(scan, at);

		if (*pattern == '0'   ? !isdigit(c)
		    : *pattern == 'a' ? !isalpha(c)
		    : *pattern == '_' ? !isdigit(c) && c != ' '
				      : c != (unsigned char)*pattern)
			return false;
	}
	return true;
}

/* The host's name behind the time that syslog and journalctl write at the beginning of a line. */
static struct redact_cut log_host(const struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_HOST};
	size_t begin = at, end;

	if (at != scan->line)
		return cut;
	if (fits(scan, at, "aaa _0 00:00:00 ")) {
		begin = at + 16;
	} else if (fits(scan, at, "0000-00-00T00:00:00")) {
		begin = at + 19;
		while (begin < scan->size && begin - at < 40 && scan->text[begin] != ' ')
			begin++;
		begin += redact_at(scan, begin) == ' ';
	}
	for (end = begin; begin > at && end < scan->size && end - begin < 256 &&
			  redact_is_name(scan->text[end]);)
		end++;
	if (redact_at(scan, end) == ' ')
		cut = (struct redact_cut){begin, end - begin, REDACT_HOST};
	return cut;
}

/* The name as a whole, or its first part; of a host what stands behind a point, its domain, too. */
static struct redact_cut known(const struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_USER};
	const uint64_t *kind = NULL;
	size_t end = at;

	while (end < scan->size && end - at <= NAME_MAX_SIZE && is_part(scan->text[end]))
		end++;
	while (end > at && end - at <= NAME_MAX_SIZE && !kind) {
		kind = hash_map_find(&scan->people->names, hash_of(scan->text + at, end - at));
		if (kind)
			break;
		do
			end--;
		while (end > at && isalnum((unsigned char)scan->text[end]));
	}
	if (!kind)
		return cut;
	cut.kind = (enum redact_kind) * kind;
	while (cut.kind == REDACT_HOST && redact_at(scan, end) == '.' &&
	       isalnum((unsigned char)redact_at(scan, end + 1)))
		for (end++; is_part(redact_at(scan, end));)
			end++;
	cut.size = end - at;
	return cut;
}

struct redact_cut redact_person(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = home(scan, at);

	if (!cut.size)
		cut = log_host(scan, at);
	if (!cut.size)
		cut = known(scan, at);
	return cut;
}
