/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stub.c, which opens and closes QEMU's gdb stub, and stub_stops.c share. */
#ifndef NUNCHI_TARGET_QEMU_STUB_H
#define NUNCHI_TARGET_QEMU_STUB_H

#include "target/qemu/internal.h"

/* How long the stub may take to answer. */
#define QEMU_STUB_ANSWER_US (5 * CLOCK_US_PER_S)

static inline struct gdb_wait qemu_stub_wait(const struct qemu_target *qemu)
{
	return (struct gdb_wait){clock_us() + QEMU_STUB_ANSWER_US, qemu->cancel};
}

/* target_stops_ops.open() and close(). */
struct nunchi_error *qemu_stub_open(struct target *target);
void qemu_stub_close(struct target *target);

/* Finds out whether somebody else has the guest paused, so that it is not to be resumed. */
struct nunchi_error *qemu_stub_check_paused(struct qemu_target *qemu);
/*
 * Takes a stop that next() has not read yet, before the guest is stopped or resumed: it may be
 * somebody's pause. A breakpoint is met again.
 */
struct nunchi_error *qemu_stub_take_unread(struct qemu_target *qemu);

#endif
