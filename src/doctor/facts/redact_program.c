/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs and directives whose secret has no name beside it, but a letter or a place. */
#include "doctor/facts/redact_scan.h"

#include <string.h>

struct redact_program {
	const char *name;
	const char
	    *option; /* the secret stands in it, or in the next argument; NULL: all arguments */
	bool joined; /* in it alone */
};

static const struct redact_program programs[] = {
    {"mysql", "-p", true},
    {"mysqldump", "-p", true},
    {"mysqladmin", "-p", true},
    {"mariadb", "-p", true},
    {"mariadb-dump", "-p", true},
    {"sshpass", "-p", false},
    {"curl", "-u", false},
    {"curl", "-U", false},
    {"curl", "--user", false},
    {"curl", "--proxy-user", false},
    {"ipmitool", "-P", false},
    {"smbclient", "-U", false},
    {"rpcclient", "-U", false},
    {"redis-cli", "-a", false},
    {"ldapsearch", "-w", false},
    {"ldapmodify", "-w", false},
    {"ldapadd", "-w", false},
    {"ldapwhoami", "-w", false},
    {"zip", "-P", false},
    {"unzip", "-P", false},
    {"7z", "-p", true},
    {"rdesktop", "-p", false},
    {"xfreerdp", "/p:", true},
    {"snmpget", "-c", false},
    {"snmpwalk", "-c", false},
    {"login", "-p", false},       /* docker login, podman login */
    {"login", "password", false}, /* netrc */
    {"machine", "password", false},
    {"identified", "BY", false}, /* SQL */
    {"identified", "by", false},
    {"wpa_passphrase", NULL, false},
    {"htpasswd", NULL, false},
    {"incominguser", NULL, false},
    {"outgoinguser", NULL, false},
    {"rocommunity", NULL, false},
    {"rwcommunity", NULL, false},
};

void redact_programs_init(struct redact_words *words)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		words->begins[redact_begin(programs[i].name[0], programs[i].name[1])] |=
		    BEGINS_PROGRAM;
}

static bool is_named(const struct redact_scan *scan, size_t at, size_t size, const char *name)
{
	return redact_starts(scan, at, name) && strlen(name) == size;
}

void redact_see_program(struct redact_scan *scan, size_t at, size_t size)
{
	if (!redact_may_begin(scan, at, BEGINS_PROGRAM))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (is_named(scan, at, size, programs[i].name)) {
			scan->program = &programs[i];
			return;
		}
}

/* The argument at at, with what ends it in this text. */
static size_t argument(struct redact_scan *scan, size_t at)
{
	return redact_value(scan, at, scan->arguments ? FORM_ARGUMENT : FORM_WORD);
}

static bool is_gap(const struct redact_scan *scan, size_t at)
{
	return redact_is_blank(redact_at(scan, at)) ||
	       (scan->arguments && at < scan->size && !scan->text[at]);
}

/* The first argument that is no option, and all behind it. */
static struct redact_cut all_arguments(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};

	if (redact_at(scan, at) == '-')
		return cut;
	cut.size = redact_value(scan, at, scan->arguments ? FORM_ARGUMENT : FORM_LINE);
	return cut;
}

struct redact_cut redact_program(struct redact_scan *scan, size_t at)
{
	const struct redact_program *program = scan->program;
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};

	if (!program || !at || !is_gap(scan, at - 1))
		return cut;
	if (!program->option)
		return all_arguments(scan, at);
	for (; program < programs + ARRAY_SIZE(programs) &&
	       !strcmp(program->name, scan->program->name);
	     program++) {
		size_t size = strlen(program->option);

		/* Options differ by the case of their letter. */
		if (scan->size - at < size || memcmp(scan->text + at, program->option, size))
			continue;
		if (!is_gap(scan, at + size))
			cut.at = at + size;
		else if (!program->joined)
			cut.at = at + size + 1;
		else
			continue;
		if (isalnum((unsigned char)program->option[0]) && cut.at == at + size)
			continue;
		cut.size = argument(scan, cut.at);
		return cut;
	}
	return cut;
}
