/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the guard program share. */
#ifndef NUNCHI_GUARD_GUARD_H
#define NUNCHI_GUARD_GUARD_H

#include "journal/protocol.h"
#include "journal/replay.h"
#include "target/xen/library.h"

/* ---- send.c: a guest that goes on when bytes are sent to it (QEMU's monitor) ---- */

/* Sends them and waits for the answer. data is a struct guard_setup. */
struct nunchi_error *send_undo(void *data);

/* ---- xen.c: a domain, paused and unpaused by hypercalls ---- */

struct xen_call;
/* data is one of these; kept for the life of the program. NULL: no memory. */
struct xen_call *xen_call_create(const struct guard_setup *setup);
/* Pauses or unpauses: 0 or an errno. */
int xen_call_make(struct xen_call *call, bool undo);
/* For a replay. */
struct nunchi_error *xen_call_undo(void *data);

/* ---- privcmd.c, of which tests have their own ---- */

/* A hypercall by a descriptor of /dev/xen/privcmd: negative with errno if it fails. */
int privcmd_call(int fd, struct xen_raw_call *call);

#endif
