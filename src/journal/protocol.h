/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the library and the guard program (src/guard) say to each other, over a socket of packets.
 * The library sends `struct guard_setup` once, then orders; the guard answers the setup and every
 * order but GUARD_DISARM and GUARD_END with an int: 0 or an errno.
 */
#ifndef NUNCHI_JOURNAL_PROTOCOL_H
#define NUNCHI_JOURNAL_PROTOCOL_H

#include "journal/undo_log.h"

/* The guard and the library are built together; one of another build is refused. */
#define GUARD_PROTOCOL "nunchi guard 1 " NUNCHI_VERSION

/* The guard's descriptors, as it is started; 0 to 2 are /dev/null. */
#define GUARD_FD_OWNER  3 /* the socket */
#define GUARD_FD_HANDLE 4 /* on the guest */
#define GUARD_FD_PIDFD  5 /* of the owner's process, where setup.has_pidfd */
#define GUARD_FD_COUNT  6

enum guard_kind {
	GUARD_SEND, /* undoes by sending bytes; the owner does the rest itself */
	GUARD_XEN,  /* pauses and unpauses a domain, which Xen counts: the guard does both */
};

#define GUARD_UNDO_MAX 512
#define GUARD_DONE_MAX 64

struct guard_setup {
	char protocol[64];
	enum guard_kind kind;
	bool has_pidfd;
	/* GUARD_SEND: what undoes it, and the text in the answer that says it was handled. */
	char undo[GUARD_UNDO_MAX];
	size_t undo_size;
	char done[GUARD_DONE_MAX];
	/* GUARD_XEN */
	uint32_t domctl; /* the interface's version */
	uint16_t domain;
};

enum guard_op {
	GUARD_ARM,    /* take the log: undo it once the owner is gone */
	GUARD_DO,     /* make the entry true, and log it */
	GUARD_UNDO,   /* undo the entry, and log it */
	GUARD_DISARM, /* let the log go */
	GUARD_END,
};

struct guard_order {
	enum guard_op op;
	unsigned entry;
	uint64_t owner; /* undo_log_owner_number() */
	char log[UNDO_LOG_PATH_MAX];
};

#endif
