/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose code is at an address: all that the kernel knows of the code it may execute. The text of
 * its image, modules, programs and trampolines of BPF, trampolines of ftrace, and the copies of
 * instructions that kprobes execute. Sources: include/linux/{ftrace,kprobes,bpf}.h of Linux 5.10 to
 * 7.2.
 */
#ifndef NUNCHI_GUEST_LINUX_CODE_H
#define NUNCHI_GUEST_LINUX_CODE_H

#include "guest/linux/linux.h"

enum linux_code_owner {
	LINUX_CODE_KERNEL,
	LINUX_CODE_MODULE,
	LINUX_CODE_BPF,
	LINUX_CODE_FTRACE,
	LINUX_CODE_KPROBES,
	LINUX_CODE_HYPERCALLS, /* of Hyper-V */
};

struct linux_code_area {
	uint64_t start, end; /* virtual addresses */
	enum linux_code_owner owner;
	char name[64]; /* of the module or the BPF program; else "" */
};

struct linux_code {
	struct linux_code_area *areas; /* in ascending order of start; owned */
	size_t count, capacity;
	/* Why some areas are missing, or READ_OK; `incomplete` then says which (static). */
	enum read_result broken;
	const char *incomplete;
};

/*
 * Collects the areas. What this kernel was built without is no fault; what cannot be read sets
 * `broken`. Fails if the symbols or the modules cannot be read at all.
 */
struct nunchi_error *linux_code_collect(struct linux_kernel *kernel, struct linux_code *ret);
void linux_code_deinit(struct linux_code *code);
/* The area that contains an address; NULL if nobody is known to have code there. */
const struct linux_code_area *linux_code_at(const struct linux_code *code, uint64_t address);
/*
 * Appends an address as a person names it: "tcp_v4_rcv+0x10", "e1000:e1000_open", "BPF program
 * NAME", "a trampoline of ftrace", or "0x… of no module".
 */
void linux_code_describe(struct linux_kernel *kernel, const struct linux_code *code,
			 uint64_t address, struct buffer *ret);

/*
 * Calls visit() for each struct ftrace_ops that is registered, until it returns false. *ret_broken
 * says why the list could not be followed to its end.
 */
void linux_ftrace_each(struct linux_kernel *kernel, enum read_result *ret_broken,
		       bool (*visit)(const struct object *ops, void *data), void *data);

#define _cleanup_code_ _cleanup_(linux_code_deinit)

#endif
