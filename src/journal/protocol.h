/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The packets that the library and the guard program (src/guard) exchange over a socket. The
 * library sends `struct guard_setup` once, then orders. The guard answers the setup, and each order
 * except GUARD_DISARM and GUARD_END, with an int: 0 or an errno.
 */
#ifndef NUNCHI_JOURNAL_PROTOCOL_H
#define NUNCHI_JOURNAL_PROTOCOL_H

#include "journal/threads.h"
#include "journal/undo_log.h"

/* The library and the guard are built together; the guard refuses a library of another build. */
#define GUARD_PROTOCOL "nunchi guard 1 " NUNCHI_VERSION

/* The guard's descriptors when it starts; 0 to 2 are /dev/null. */
#define GUARD_FD_OWNER  3 /* the socket */
#define GUARD_FD_HANDLE 4 /* a handle on the guest */
#define GUARD_FD_PIDFD  5 /* of the owner's process, where setup.has_pidfd */
#define GUARD_FD_COUNT  6

enum guard_kind {
	/* undoes by sending bytes to the hypervisor; the owner does everything else itself */
	GUARD_SEND,
	/* pauses and unpauses a domain. Xen counts pauses, so the guard makes both calls */
	GUARD_XEN,
	/* removes the event ring of a domain */
	GUARD_XEN_EVENTS,
};

#define GUARD_UNDO_MAX 8192
#define GUARD_DONE_MAX 64

struct guard_setup {
	char protocol[64];
	enum guard_kind kind;
	bool has_pidfd;
	/*
	 * For GUARD_SEND: the bytes that undo the pause, and the text in the answer that confirms
	 * it.
	 */
	char undo[GUARD_UNDO_MAX];
	size_t undo_size;
	char done[GUARD_DONE_MAX];
	struct undo_threads threads; /* those of the guest, which are watched for its CPU time */
	/* For GUARD_XEN and GUARD_XEN_EVENTS. */
	uint32_t domctl; /* version of the domctl interface */
	uint16_t domain;
	/* For GUARD_XEN_EVENTS. */
	uint32_t ring_version, vcpus;
	char pauses[UNDO_KEY_MAX]; /* the key of the undo log for pauses of the domain */
};

enum guard_op {
	GUARD_ARM,    /* take the log, and undo its entries when the owner is gone */
	GUARD_DO,     /* do what the entry says, and log it */
	GUARD_UNDO,   /* undo the entry, and log it */
	GUARD_DISARM, /* release the log */
	GUARD_END,
};

struct guard_order {
	enum guard_op op;
	unsigned entry;
	uint64_t owner; /* undo_log_owner_number() */
	char log[UNDO_LOG_PATH_MAX];
};

#endif
