/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of Xen's guests begin and end with: a hypervisor of our own, undo logs of our own.
 */
#ifndef NUNCHI_TESTS_XEN_SETUP_H
#define NUNCHI_TESTS_XEN_SETUP_H

#include "fake_xen.h"
#include "journal/undo_log.h"
#include "target/target.h"
#include "target/xen/xen.h"

#include <dirent.h>

static char runtime[] = "/tmp/nunchi-test-XXXXXX";
static char logs[] = "/tmp/nunchi-test-XXXXXX/nunchi";
/* In place of root's (src/journal/place.c). */
const char *const undo_log_root_directory = logs;

static inline int setup(void **state)
{
	(void)state;
	strcpy(runtime + strlen(runtime) - 6, "XXXXXX");
	if (!mkdtemp(runtime))
		return -1;
	snprintf(logs, sizeof(logs), "%s/nunchi", runtime);
	fake_create();
	return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

/* How many records are in the journal. */
static inline unsigned records(void)
{
	char path[128];
	unsigned count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/nunchi", runtime);
	directory = opendir(path);
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	if (directory)
		closedir(directory);
	return count;
}

static inline int teardown(void **state)
{
	char command[160];

	(void)state;
	/* Asserts that every handle was closed and every mapping unmapped. */
	assert_int_equal(fake->open, 0);
	assert_int_equal(fake->mapped, 0);
	fake_destroy();
	snprintf(command, sizeof(command), "%s/nunchi", runtime);
	if (chdir(command) == 0) {
		DIR *directory = opendir(".");

		for (struct dirent *entry; (entry = readdir(directory));)
			unlink(entry->d_name);
		closedir(directory);
		assert_int_equal(chdir("/"), 0);
		rmdir(command);
	}
	return rmdir(runtime);
}

static inline struct target *open_word(const char *word)
{
	const struct target_options options = {.sigbus_guard = false};
	struct target *target = NULL;
	struct nunchi_error *err = xen_target_open_with(&fake_calls, word, &options, &target);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return target;
}

#endif
