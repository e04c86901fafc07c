/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which processes are believed. Whoever may start processes on a host can start one that looks like
 * QEMU. So it is found out once for each process who owns it and whether its program is one that
 * the administrator installed; and for each QMP connection, whether that very process is at its
 * end.
 */
#ifndef NUNCHI_TARGET_QEMU_TRUST_H
#define NUNCHI_TARGET_QEMU_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TRUST_USER_MAX 40
#define TRUST_WHY_MAX  200

struct qemu_trust {
	uid_t uid;
	char user[TRUST_USER_MAX]; /* its name in /etc/passwd, else its number */
	bool is_person;            /* neither this process's user nor one of the system */
	/* Why its program is not taken for an emulator that was installed here; "" if it is. */
	char why_not[TRUST_WHY_MAX];
};

/* False if the process has ended. */
bool qemu_trust_read(pid_t pid, struct qemu_trust *ret);

/*
 * 0 for this user's own processes and those of the system, 1 for those of people, 2 for those not
 * believed: names are first looked for among the former.
 */
#define QEMU_TRUST_RANKS 3
#define QEMU_TRUST_NOT   2
unsigned qemu_trust_rank(const struct qemu_trust *trust);

/*
 * Whether the process holds the other end of the connected Unix socket fd. If that cannot be found
 * out (no sock_diag, descriptors that may not be read), whether it is the process that listened, or
 * one of root's did (libvirt makes the socket and hands it to QEMU).
 */
bool qemu_trust_holds(pid_t pid, int fd);

/*
 * Whether the process's arguments may be read without waiting for anybody: they are in memory of
 * its own, not in a mapped file.
 */
bool qemu_trust_arguments(pid_t pid);

#endif
