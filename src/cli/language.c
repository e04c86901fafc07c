/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <libintl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

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

void language_choose(void)
{
	const char *wanted = wanted_language(), *folder = getenv("TEXTDOMAINDIR");
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
	bindtextdomain("nunchi", folder && *folder ? folder : LOCALEDIR);
	bind_textdomain_codeset("nunchi", "UTF-8");
}
