/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests of unmodified QEMU 4.0 to 10.x on this host, emulated or with KVM. */
#ifndef NUNCHI_TARGET_QEMU_QEMU_H
#define NUNCHI_TARGET_QEMU_QEMU_H

#include "target/kind.h"

/*
 * Calls found() for each QEMU guest until found() returns false (*ret_stopped). Waits at most
 * 1.2 s for states, however many there are and whatever they answer.
 */
struct nunchi_error *qemu_list(bool ask, target_found_fn *found, void *data, bool *ret_stopped);

/* Whether exactly one QEMU guest has this name. Used for suggestions. */
bool qemu_has_guest(const char *name);

/* For tests: restricts what a target may use. All zeros permit everything. */
struct qemu_limits {
	unsigned forbid_ways; /* combination of enum ram_allow (ram.h) */
	bool forbid_qmp;
};
/* Opens "qemu:NAME", "qemu:PID" or "qemu:SOCKET" (or the word without "qemu:"). */
struct nunchi_error *qemu_target_open_limited(const char *word,
					      const struct target_options *options,
					      const struct qemu_limits *limits,
					      struct target **ret);

#endif
