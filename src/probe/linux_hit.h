/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the probes of Linux guests share. */
#ifndef NUNCHI_PROBE_LINUX_HIT_H
#define NUNCHI_PROBE_LINUX_HIT_H

#include "guest/linux/current.h"
#include "guest/linux/task_value.h"
#include "probe/linux_flags.h"
#include "probe/probe.h"

/* The greatest errno that a function returns as a negative number or in a pointer. */
#define HIT_MAX_ERRNO 4095
/* Numbers of system calls of programs of 32 bits are below; those of x32 alone begin there. */
#define HIT_X32_CALLS 512
/* Numbers of all system calls are below. */
#define HIT_MAX_CALLS 548
/* How many enums hit_enum_name() is asked for. */
#define HIT_MAX_ENUMS 8

/* The state of hits: probe_hit.system. */
struct linux_hit {
	struct linux_kernel *kernel;
	struct linux_task task; /* the thread that the vCPU executes */
	struct buffer text;     /* scratch space */
	/*
	 * For probe_system.descends(): the process of probe_system.find_process() and those that
	 * were found to descend from it, by their ids, with their start times, since ids are given
	 * again.
	 */
	struct hash_map descendants;
	/* The enums of hit_enum_name(), by one of their enumerators; 0: the types have none. */
	struct hit_enum {
		const char *enumerator;
		type_id id;
	} enums[HIT_MAX_ENUMS];
	unsigned enum_count;
	/*
	 * Where the kernel describes the system calls of programs of 32 bits and of x32 alone, by
	 * their numbers: 0: not looked up yet.
	 */
	uint64_t other_calls[HIT_MAX_CALLS];
};

static inline struct linux_hit *linux_hit_of(const struct probe_hit *hit)
{
	return hit->system;
}

/* Sets the columns time and uptime: of the hit, unless this is called at the return. */
void hit_now(struct probe_hit *hit);

/* Argument i of the function, from 0; 0 if it cannot be read (on a stack that is not there). */
uint64_t hit_argument(const struct probe_hit *hit, unsigned i);

/* Reads memory at an address of the kernel, or of the process that the vCPU executes. */
enum read_result hit_read(const struct probe_hit *hit, uint64_t address, void *buffer, size_t size);
/*
 * Reads a NUL-terminated string of at most limit bytes at an address of the kernel, or of the
 * process that the vCPU executes. *ret is its length (limit: no NUL was found).
 */
enum read_result hit_read_string(const struct probe_hit *hit, uint64_t address, char *buffer,
				 size_t limit, size_t *ret);
/* Sets a text cell to the NUL-terminated string at an address of the kernel. */
void hit_kernel_string(struct probe_hit *hit, unsigned column, uint64_t address);
/* The same at an address of the kernel or of a process, at most limit bytes. */
void hit_string(struct probe_hit *hit, unsigned column, uint64_t address, size_t limit);
/*
 * Appends the name that a value has in the kernel's own enum, which is the first one that has this
 * enumerator, or its number if it has no name. The enumerator is a literal.
 */
void hit_append_enum(const struct probe_hit *hit, const char *enumerator, int64_t value,
		     struct buffer *ret);
/* Sets a text cell to it. */
void hit_enum_name(struct probe_hit *hit, unsigned column, const char *enumerator, int64_t value);
/* Appends a text in quotes, with a \ before each " and \ in it. */
void hit_append_quoted(const char *text, size_t size, struct buffer *ret);
/* Sets a text cell to the name of the struct module at an address. */
void hit_module_name(struct probe_hit *hit, unsigned column, uint64_t address);
/* Sets a cell to a value of the thread or process that the hit belongs to. */
void hit_task_value(struct probe_hit *hit, unsigned column, const struct linux_value *value);
/* Sets cells to values of another task, by its address. values has one for each column from `first`
 * on. */
void hit_other_task(struct probe_hit *hit, uint64_t address, unsigned first,
		    const struct linux_value *const *values, size_t count);
/* The address of the struct file that a descriptor of the process refers to; 0 if there is none. */
uint64_t hit_file(const struct probe_hit *hit, int64_t fd);
/* Sets a text cell to the names of a value: see flag_set_append(). */
void hit_flags(struct probe_hit *hit, unsigned column, const struct flag_set *set, uint64_t value);
/*
 * Set a cell to 0, or to the errno that the function returned: a negative int, or a pointer that
 * encodes one (include/linux/err.h).
 */
void hit_status(struct probe_hit *hit, unsigned column);
void hit_pointer_status(struct probe_hit *hit, unsigned column);

/*
 * Whether a branch of a static key begins at an address, or it is not known (linux_branches.c).
 */
bool linux_is_branch(struct guest_kernel *guest, uint64_t address);
/* Why nothing must be written over the kernel's code, or NULL (linux_branches.c). */
const char *linux_forbids_writing(struct guest_kernel *guest);

#endif
