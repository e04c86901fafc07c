/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's log, from its ring buffer: descriptors and data blocks since 5.10
 * (kernel/printk/printk_ringbuffer.c), plain records before (kernel/printk/printk.c).
 */
#ifndef NUNCHI_GUEST_LINUX_PRINTK_H
#define NUNCHI_GUEST_LINUX_PRINTK_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

struct linux_log {
	struct linux_kernel *kernel;
	uint64_t at, end; /* descriptor ids, or offsets of records */
	uint64_t left;    /* bound on what is still looked at */
	uint64_t next_seq;
	/* Since 5.10. */
	struct object ring;
	uint64_t count, size; /* descriptors; bytes of text */
	/* Before. */
	uint64_t buffer;
	bool plain;
	uint64_t unread; /* records that are there and cannot be read … */
	enum read_result why_unread;
	enum read_result broken; /* why the walk ended before the newest record, or READ_OK */
};

struct linux_log_record {
	uint64_t seq;
	uint64_t time_ns;         /* since boot */
	unsigned facility, level; /* as syslog(3) */
	uint64_t caller;          /* bit 31 set: a CPU's number, else a task's id */
	bool has_caller;
	enum read_result text_fault; /* why the text is missing, or READ_OK */
};

/* NUNCHI_ERROR_UNSUPPORTED names what the kernel's data lacks; _DATA if the ring is nonsense. */
struct nunchi_error *linux_log_init(struct linux_log *log, struct linux_kernel *kernel);
void linux_log_deinit(struct linux_log *log);
/*
 * The next record that is finished, oldest first; its text replaces what is in text. False at the
 * end; then see log->unread and log->broken. Records that the guest overwrites meanwhile are passed
 * over.
 */
bool linux_log_next(struct linux_log *log, struct linux_log_record *ret, struct buffer *text);

#endif
