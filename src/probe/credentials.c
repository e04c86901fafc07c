/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(new_uid, INTEGER, "real user id from now on")                                            \
	X(new_euid, INTEGER, "effective user id from now on")                                      \
	X(new_suid, INTEGER, "saved user id from now on")                                          \
	X(new_gid, INTEGER, "real group id from now on")                                           \
	X(new_egid, INTEGER, "effective group id from now on")                                     \
	X(new_sgid, INTEGER, "saved group id from now on")                                         \
	X(euid, INTEGER, "effective user id until now")                                            \
	X(path, TEXT, "path of the program")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* commit_creds(credentials) is also called where only keys or capabilities change. */
static enum probe_next enter(struct probe_hit *hit)
{
	struct linux_hit *state = linux_hit_of(hit);
	const struct layout *layout = &state->kernel->layout;
	const struct field *const fields[] = {&layout->cred_uid,  &layout->cred_euid,
					      &layout->cred_suid, &layout->cred_gid,
					      &layout->cred_egid, &layout->cred_sgid};
	uint64_t old = object_u64(&state->task.task, &layout->task_real_cred);
	bool changed = false;

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t before = 0, after = 0;
		enum read_result result =
		    linux_read_field(state->kernel, hit_argument(hit, 0), fields[i], &after);

		row_read_integer(hit->row, COLUMN_new_uid + i, result, (int64_t)after);
		if (result == READ_OK)
			result = linux_read_field(state->kernel, old, fields[i], &before);
		changed |= result != READ_OK || before != after;
	}
	if (!changed)
		return PROBE_NO_ROW;
	hit_task_value(hit, COLUMN_euid, &linux_value_euid);
	hit_task_value(hit, COLUMN_path, &linux_value_path);
	return PROBE_ROW;
}

const struct probe probe_credentials = {
    .schema =
	{"credentials",
	 "threads whose user or group ids change: setuid(), programs with the set-user-ID bit",
	 columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"commit_creds", enter, NULL}}}},
};
