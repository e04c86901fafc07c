/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What apply changed, kept on disk before it changes anything, so that undo can take it back
 * whatever happened in between: /var/lib/nunchi/doctor/applied/ is there exactly while there is
 * something to undo.
 */
#ifndef NUNCHI_DOCTOR_CHANGE_RECORD_H
#define NUNCHI_DOCTOR_CHANGE_RECORD_H

#include "core/buffer.h"
#include "core/error.h"
#include "doctor/facts/root.h"

#define DOCTOR_STATE "/var/lib/nunchi/doctor"

struct record {
	bool complete;          /* apply came to its end */
	uint64_t inputs;        /* grub_inputs() when grub.cfg was saved */
	struct buffer grub_cfg; /* as it was */
	bool had_grub_env;
	struct buffer grub_env;
};

void record_init(struct record *record);
void record_deinit(struct record *record);
#define _cleanup_record_ _cleanup_(record_deinit)

/*
 * Locks the state's directory, which is made if it is not there. The lock is held until the
 * descriptor *ret is closed.
 */
struct nunchi_error *record_lock(const struct root *root, int *ret);

/* Whether there is one. */
bool record_exists(const struct root *root);
/* Reads it; *ret_exists is false if there is none. ret must be initialised. */
struct nunchi_error *record_read(const struct root *root, struct record *ret, bool *ret_exists);
/* Stores a new one: it is there whole or not at all. */
struct nunchi_error *record_store(const struct root *root, const struct record *record);
/* Notes that apply came to its end. */
struct nunchi_error *record_complete(const struct root *root, struct record *record);
/* Takes it away, and what a killed record_store() left. */
struct nunchi_error *record_remove(const struct root *root);

#endif
