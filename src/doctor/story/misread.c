/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Letters that are taken for one another become one, and what is no letter or digit goes away; so
 * does the line, and what is left is compared.
 */
#include "doctor/story/misread.h"

#include "doctor/story/scan.h"

#include <ctype.h>
#include <string.h>

#define MOST_LINE  1024
#define MOST_WORDS 64

/* "#" at the end: a number follows, and nothing more. */
static const char *const words[MISREAD_COUNT] = {
    "Panic on CPU #",
    "Kernel panic - not syncing",
    "Could not construct d#",
    "Could not construct domain #",
    "Could not set up DOM0 guest",
    "Unable to mount root fs on",
    "IO-APIC + timer doesn't work",
    "dom0 kernel not specified",
    "Hardware Dom0 crashed",
    "Domain 0 crashed: rebooting",
    "FATAL PAGE FAULT",
    "Not enough RAM for domain 0",
    "VMX disabled by BIOS",
    "AMD SVM Extension is disabled in BIOS",
    "Xen is relinquishing VGA console",
};
const unsigned short misread_rules[MISREAD_COUNT] = {
    RULE_R153, RULE_R154, RULE_R71, RULE_R71,  RULE_R71, RULE_R68, RULE_R70, RULE_R72,
    RULE_R64,  RULE_R64,  RULE_R73, RULE_R254, RULE_R33, RULE_R76, RULE_R32,
};

static char letter(char c)
{
	switch (c) {
	case '0':
		return 'o';
	case '1':
	case 'i':
	case '|':
	case '!':
		return 'l';
	case '5':
		return 's';
	case '8':
		return 'b';
	default:
		return c;
	}
}

/* Gives the size; result has room for size + 1 bytes. */
static size_t bones(const char *text, size_t size, char *result)
{
	size_t at = 0;

	for (size_t i = 0; i < size; i++) {
		char c = letter((char)tolower((unsigned char)text[i]));

		if (!isalnum((unsigned char)c) || (unsigned char)c >= 0x80)
			continue;
		if (at && c == 'n' && result[at - 1] == 'r')
			result[at - 1] = 'm';
		else if (at && c == 'v' && result[at - 1] == 'v')
			result[at - 1] = 'w';
		else
			result[at++] = c;
	}
	result[at] = '\0';
	return at;
}

static bool has(const char *line, const char *word)
{
	size_t size = strlen(word);
	bool number = word[size - 1] == '#';
	char sought[MOST_WORDS];
	const char *found;

	size = bones(word, size, sought);
	found = strstr(line, sought);
	if (!found || !number)
		return found;
	found += size;
	/* 0, 1, 5 and 8 have become letters. */
	return *found && !found[strspn(found, "olsb234679")];
}

size_t misread_find(const char *line, size_t size)
{
	char left[MOST_LINE + 1];
	size_t i = 0;

	bones(line, size < MOST_LINE ? size : MOST_LINE, left);
	while (i < MISREAD_COUNT && !has(left, words[i]))
		i++;
	return i;
}
