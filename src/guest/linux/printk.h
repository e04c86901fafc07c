/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's log. Since 5.10 it is a ring of descriptors and data blocks
 * (kernel/printk/printk_ringbuffer.c), before that plain records (kernel/printk/printk.c).
 */
#ifndef NUNCHI_GUEST_LINUX_PRINTK_H
#define NUNCHI_GUEST_LINUX_PRINTK_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

struct linux_log {
	struct linux_kernel *kernel;
	uint64_t at, end; /* ids of descriptors, or offsets of records */
	uint64_t left;    /* greatest number of records that may still be examined */
	uint64_t next_seq;
	/* For kernels since 5.10. */
	struct object ring;
	uint64_t count, size; /* number of descriptors; size of the text ring in bytes */
	/* For kernels before 5.10. */
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

/*
 * Begins a walk over the log. NUNCHI_ERROR_UNSUPPORTED names what the kernel's symbols or types
 * lack; _DATA if the sizes of the ring are impossible.
 */
struct nunchi_error *linux_log_init(struct linux_log *log, struct linux_kernel *kernel);
void linux_log_deinit(struct linux_log *log);
/*
 * Gets the next finished record, the oldest first; its text replaces the content of `text`. False
 * at the end; then see log->unread and log->broken. Records that the guest overwrites meanwhile are
 * skipped.
 */
bool linux_log_next(struct linux_log *log, struct linux_log_record *ret, struct buffer *text);

#endif
