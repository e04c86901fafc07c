/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP monitor of a guest that libvirt keeps: through libvirt, by the program nunchi-libvirt. */
#ifndef NUNCHI_TARGET_QEMU_LIBVIRT_H
#define NUNCHI_TARGET_QEMU_LIBVIRT_H

#include "target/qemu/process.h"
#include "target/qemu/qmp_client.h"

/*
 * Whether libvirt holds one of the guest's QMP sockets now; *ret_holder is then the daemon's
 * process id. Only root, and the user of a daemon of a session, can find out.
 */
bool qemu_libvirt_holds(const struct qemu_process *process, pid_t *ret_holder);

/*
 * Makes a connection that accepts commands as one of QEMU's own does, but reports no events.
 * NUNCHI_ERROR_PERMISSION where the daemon is neither the system's nor this user's: a command could
 * reach a guest of somebody else. NUNCHI_ERROR_UNSUPPORTED with libvirt's words if it refuses.
 */
struct nunchi_error *qemu_libvirt_connect(const struct qemu_process *process, pid_t holder,
					  const struct qmp_wait *wait, struct qmp_client **ret);

/*
 * Gets the guest's state as libvirt has noted it: "running", "paused". It is found by the guest's
 * name and counts if it was noted for this very process. False if there is none, or this user may
 * not read it.
 */
bool qemu_libvirt_state(const struct qemu_process *process, char *ret, size_t size);
/* Does the same for one file of libvirt's. */
bool qemu_libvirt_read_state(const char *path, pid_t pid, char *ret, size_t size);

#endif
