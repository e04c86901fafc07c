/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A log or pasted text of anybody's, through rules and story to the verdict. */
#include "doctor/verdict/checks.h"
#include "doctor/verdict/sources.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Compiling the rules takes a hundred times as long as using them. */
static struct matcher *compiled(void)
{
	static struct scan scan;

	if (!scan.matcher)
		nunchi_error_destroy(scan_init(&scan));
	return scan.matcher;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nunchi_diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));
	const char *reason;

	if (!diagnosis || !story_init(&diagnosis->story))
		abort();
	diagnosis->scan.matcher = compiled();
	if (tree_create_empty(&diagnosis->tree) ||
	    sources_text(diagnosis, "input", (const char *)data, size))
		abort();
	findings_of_rules(diagnosis);
	findings_of_checks(diagnosis);
	findings_of_story(diagnosis);
	findings_checklist(diagnosis);
	findings_verdict(diagnosis);
	nunchi_diagnosis_verdict(diagnosis, &reason);
	if (!reason || !*reason)
		abort();
	diagnosis->scan.matcher = NULL;
	nunchi_diagnosis_destroy(diagnosis);
	return 0;
}
