/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <libintl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the environment asks for, in the order that setlocale(3) looks. */
static const char *wanted_language(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return value;
	}
	return "C";
}

/* The texts of the build that this program is run from, or NULL: it is installed. */
static const char *texts_of_build(char *folder, size_t capacity)
{
	char text[PATH_MAX + 64];
	ssize_t size = readlink("/proc/self/exe", folder, capacity - 1);
	char *slash;

	if (size <= 0)
		return NULL;
	folder[size] = '\0';
	slash = strrchr(folder, '/');
	if (!slash || (size_t)(slash - folder) + sizeof("/po") > capacity)
		return NULL;
	memcpy(slash, "/po", sizeof("/po"));
	snprintf(text, sizeof(text), "%s/ko/LC_MESSAGES/nunchi.mo", folder);
	return access(text, R_OK) ? NULL : folder;
}

void language_choose(void)
{
	const char *wanted = wanted_language(), *folder = getenv("TEXTDOMAINDIR");
	char build[PATH_MAX];
	const char *preferred = getenv("LANGUAGE");
	char language[16];

	/*
	 * Messages alone: numbers stay as programs expect them. A host may lack the locale, and
	 * have the texts all the same: C.UTF-8 is built into glibc from 2.35 on, and LANGUAGE
	 * counts in it.
	 */
	if (!setlocale(LC_MESSAGES, "") && strcmp(wanted, "C") && strcmp(wanted, "POSIX") &&
	    setlocale(LC_MESSAGES, "C.UTF-8")) {
		snprintf(language, sizeof(language), "%.*s", (int)strcspn(wanted, ".@"), wanted);
		if (!preferred || !*preferred)
			setenv("LANGUAGE", language, 1);
	}
	if (!folder || !*folder)
		folder = texts_of_build(build, sizeof(build));
	bindtextdomain("nunchi", folder ? folder : LOCALEDIR);
	bind_textdomain_codeset("nunchi", "UTF-8");
}
