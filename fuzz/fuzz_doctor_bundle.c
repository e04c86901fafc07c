/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bundle: as an archive, and, where it is none, as "NAME\nCONTENT\0" entries put into a tree at
 * once, so that the collectors of facts are reached without a compressor in between.
 */
#include "doctor/facts/bundle.h"
#include "doctor/facts/host.h"
#include "doctor/facts/redact.h"
#include "doctor/facts/redact_people.h"
#include "doctor/verdict/checks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_entries(struct tree *tree, const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		const char *stop = memchr(text, '\0', (size_t)(end - text));
		const char *newline;
		char name[256];

		if (!stop)
			stop = end;
		newline = memchr(text, '\n', (size_t)(stop - text));
		if (newline && newline - text > 1 && newline - text < 250) {
			memcpy(name, text + 1, (size_t)(newline - text) - 1);
			name[newline - text - 1] = '\0';
			nunchi_error_destroy(tree_put(
			    tree, (enum tree_kind)((unsigned char)(text[0] - 'B') % TREE_KINDS),
			    name, newline + 1, (size_t)(stop - newline) - 1, 0));
		}
		text = stop + 1;
	}
}

static void diagnose(struct tree *tree)
{
	struct nunchi_diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));

	if (!diagnosis || !story_init(&diagnosis->story))
		abort();
	diagnosis->tree = tree;
	diagnosis->host = true;
	host_collect(tree, &diagnosis->facts);
	host_collect_settings(tree, &diagnosis->facts, &diagnosis->settings);
	findings_of_checks(diagnosis);
	findings_of_story(diagnosis);
	findings_checklist(diagnosis);
	findings_verdict(diagnosis);
	if (!diagnosis->reason || !*diagnosis->reason)
		abort();
	nunchi_diagnosis_destroy(diagnosis);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nunchi_error *err;
	struct tree *tree;
	struct redact_people *people = NULL;
	struct redaction redaction = {0};
	struct buffer text = {0};

	nunchi_error_destroy(redact_people_create(&people));
	redaction.people = size % 2 ? people : NULL;
	redact(&redaction, (const char *)data, size, &text);
	buffer_deinit(&text);
	redact_people_destroy(people);
	err = bundle_parse(data, size, "input", &tree);
	if (!err) {
		diagnose(tree);
		return 0;
	}
	nunchi_error_destroy(err);
	if (tree_create_empty(&tree))
		abort();
	put_entries(tree, (const char *)data, size);
	diagnose(tree);
	return 0;
}
