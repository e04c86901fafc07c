/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations shared by the files of the guard program. */
#ifndef NUNCHI_GUARD_GUARD_H
#define NUNCHI_GUARD_GUARD_H

#include "journal/protocol.h"
#include "journal/replay.h"
#include "target/xen/calls.h"

/* ---- send.c: a guest that is resumed by sending bytes (to QEMU's monitor) ---- */

/* Sends the bytes and waits for the answer. data is a struct guard_setup. */
struct nunchi_error *send_undo(void *data);
/* Whether the guest is gone; that is all the guard finds out. */
struct nunchi_error *send_look(void *data, enum undo_seen *ret);
/* The CPU time of the guest's threads. */
bool send_ran(void *data, struct undo_ran *ret);

/* ---- xen.c: a domain that is paused and unpaused by hypercalls ---- */

struct xen_call;
/* Creates the object for a domain, which is never freed. NULL if memory is short. */
struct xen_call *xen_call_create(const struct guard_setup *setup);
/* Pauses the domain, or unpauses it if undo is true. Returns 0 or an errno. */
int xen_call_make(struct xen_call *call, bool undo);
/* Unpauses the domain, for a replay. data is a struct xen_call. */
struct nunchi_error *xen_call_undo(void *data);
/* Gets the CPU time of the domain. data is a struct xen_call. */
bool xen_call_ran(void *data, struct undo_ran *ret);

/* ---- events.c: a domain that has an event ring ---- */

struct xen_events;
/* Creates the object for a domain, which is never freed. NULL if memory is short. */
struct xen_events *xen_events_create(const struct guard_setup *setup);
/* Called when the owner has ended, before the others. The log stays the caller's. */
void xen_events_begin(struct xen_events *events, const struct undo_log *log);
/* Writes back the bytes that breakpoints replaced, as the log says. data is a struct xen_events. */
struct nunchi_error *xen_events_restore(void *data, struct undo_log *log);
/* Removes the ring, and resumes vCPUs that wait for an answer. data is a struct xen_events. */
struct nunchi_error *xen_events_undo(void *data);

/* ---- privcmd.c, which tests replace ---- */

/* Makes a hypercall through a descriptor of /dev/xen/privcmd. Negative with errno if it fails. */
int privcmd_call(int fd, struct xen_raw_call *call);
/* Maps a page of a domain for reading and writing. NULL with errno. */
void *privcmd_map(int fd, uint16_t domain, uint64_t frame);

#endif
