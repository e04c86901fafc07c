/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into the command (tests/nomem.py): the allocation number NOMEM_FAIL fails, with
 * NOMEM_AND_ON those behind it too. When the command exits, the file NOMEM_COUNT is given how many
 * there were; NOMEM_PLACE has it print where the one that failed was asked for.
 */
#include "allocations.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Opened first, because the command takes from itself the right to open files. */
static FILE *counts;

__attribute__((constructor)) static void begin(void)
{
	const char *fail = getenv("NOMEM_FAIL");
	bool and_on = getenv("NOMEM_AND_ON") != NULL;

	if (getenv("NOMEM_COUNT"))
		counts = fopen(getenv("NOMEM_COUNT"), "we");
	/* What the command starts is no part of the test. */
	unsetenv("LD_PRELOAD");
	allocations_init(NULL);
	allocations_begin(fail ? strtoull(fail, NULL, 10) : 0, and_on);
}

__attribute__((destructor)) static void end(void)
{
	uint64_t count = allocations_end();

	if (getenv("NOMEM_PLACE"))
		allocations_print_place(STDERR_FILENO);
	if (counts) {
		fprintf(counts, "%lu\n", (unsigned long)count);
		fclose(counts);
	}
}
