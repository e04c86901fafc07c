/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A Linux kernel found in a guest's memory, and how to read its structures. Everything read is
 * untrusted.
 */
#ifndef NUNCHI_GUEST_LINUX_LINUX_H
#define NUNCHI_GUEST_LINUX_LINUX_H

#include "guest/guest.h"
#include "guest/linux/layout.h"
#include "guest/linux/rodata.h"
#include "symbols/kallsyms.h"

enum linux_symbol {
#define SYMBOL(id, ...) LINUX_##id,
#include "guest/linux/symbols.def"
#undef SYMBOL
	LINUX_SYMBOL_COUNT
};

/* One line on how something was found or why it is missing, for `nunchi info`. */
struct linux_fact {
	const char *topic; /* "kernel", "missing"; static */
	const char *name;  /* static */
	char *value;       /* owned */
	char *evidence;    /* owned, may be NULL */
};

struct linux_module_index;

struct linux_kernel {
	struct guest_kernel guest; /* first: see linux_kernel_of() */
	unsigned word_size;        /* bytes of a pointer: 8 or 4 */
	uint64_t text_virtual;     /* address of _text */
	uint64_t text_physical;
	bool scattered;     /* the image is not contiguous there (TARGET_FRAMES_MACHINE) */
	uint64_t image_end; /* virtual, one past the image's last mapped byte */
	uint64_t symbol[LINUX_SYMBOL_COUNT]; /* addresses, 0: this kernel has none */
	struct layout layout;                /* what is looked up of it: see linux_layout() */
	struct type_index *types;            /* NULL: none; then only symbols and memory work */
	struct symbol_index *symbols;        /* all symbols; NULL until linux_symbols() */
	struct kallsyms *kallsyms;           /* NULL when symbols came from a file */
	struct linux_rodata rodata;
	struct linux_module_index
	    *modules;          /* see linux_module_index(); owned, NULL: not asked for */
	char *types_missing;   /* why types is NULL; owned */
	char *symbols_missing; /* why there are no symbols; owned */
	char banner[512];
	struct linux_fact *facts; /* owned */
	size_t fact_count;
	bool missing_noted; /* linux_kernel_note_missing() was called */
	/* What the first task is linked to is not in the memory, or the list of tasks is broken. */
	bool tasks_unseen;
	unsigned reset_count; /* of the target, when the kernel was looked for */
	struct object chosen; /* the task that guest_system.process_space() found last */
};

static inline struct linux_kernel *linux_kernel_of(struct guest_kernel *guest)
{
	return (struct linux_kernel *)guest;
}

/* Looks up a group of the layout (read.c). */
void linux_layout_resolve(struct linux_kernel *kernel, enum layout_group group);

/*
 * The layout with a group of it looked up. Every function that looks at a field of that group, or
 * at the size of one of its structures, before it has read one of them asks for the group here.
 */
static inline const struct layout *linux_layout(struct linux_kernel *kernel,
						enum layout_group group)
{
	if (!kernel->layout.known[group])
		linux_layout_resolve(kernel, group);
	return &kernel->layout;
}

/* ---- Reading (read.c) ------------------------------------------------------------------------ */

/* Copies bytes by the kernel's page table. */
enum read_result linux_read(struct linux_kernel *kernel, uint64_t address, void *buffer,
			    size_t size);
enum read_result linux_read_u32(struct linux_kernel *kernel, uint64_t address, uint32_t *ret);
enum read_result linux_read_u64(struct linux_kernel *kernel, uint64_t address, uint64_t *ret);
/* A pointer or long of the guest's word size. */
enum read_result linux_read_word(struct linux_kernel *kernel, uint64_t address, uint64_t *ret);
/*
 * Copies a structure as far as layout.def uses it; grows object's storage and keeps the result in
 * it. READ_NOT_MAPPED for NULL, READ_NO_LAYOUT when the kernel's types have no such structure.
 */
enum read_result linux_read_object(struct linux_kernel *kernel, enum layout_struct type,
				   uint64_t address, struct object *object);
/* Bytes that linux_read_object() copies of a structure; 0 if the kernel's types lack it. */
uint32_t linux_used_size(struct linux_kernel *kernel, enum layout_struct type);
/* True if this kernel has a field of its layout; looks up the field's group. */
bool linux_has_field(struct linux_kernel *kernel, const struct field *field);
/* Adds a field to what is copied of its structure; none if the kernel lacks it. */
void linux_add_part(struct linux_kernel *kernel, struct layout_parts *parts,
		    const struct field *field);
/* One field of it alone; READ_NO_LAYOUT when the kernel's types have no such field. */
enum read_result linux_read_field(struct linux_kernel *kernel, uint64_t address,
				  const struct field *field, uint64_t *ret);
/* A NUL-terminated string of at most limit bytes; its length in *ret (limit: no NUL found). */
enum read_result linux_read_string(struct linux_kernel *kernel, uint64_t address, char *buffer,
				   size_t limit, size_t *ret);
/* A per-CPU variable's address on a CPU. */
enum read_result linux_per_cpu(struct linux_kernel *kernel, uint64_t variable, unsigned cpu,
			       uint64_t *ret);
/* CPUs that the kernel may have (nr_cpu_ids), at most 8192. */
enum read_result linux_cpu_count(struct linux_kernel *kernel, unsigned *ret);

/*
 * A walk over a kernel list_head list, bounded and with loops detected. On a running guest the
 * node at hand may be taken off between two steps, and its memory used for another node of the same
 * list: the walk notices that the node left its place, starts again at the head and passes over
 * what it gave before, so that what is on the list all the time is given, once.
 */
struct linux_list {
	struct linux_kernel *kernel;
	uint64_t head;
	uint64_t at;     /* the current list_head, or head before the first */
	uint64_t before; /* where its link back led when the walk came to it */
	uint64_t count;  /* given so far */
	uint64_t passed; /* of those, met again since the last start at the head */
	uint64_t limit;
	unsigned starts;       /* at the head, after the first */
	struct hash_map *seen; /* borrowed */
	/* Why the list was not walked to its end; READ_BAD_DATA: its links contradict themselves.
	 */
	enum read_result broken;
};

/*
 * Starts at the list_head at head. seen is emptied. limit bounds the length.
 */
void linux_list_init(struct linux_list *list, struct linux_kernel *kernel, uint64_t head,
		     uint64_t limit, struct hash_map *seen);
/*
 * The next list_head's address; false at the end, when broken (then broken is set), or when
 * kernel->guest.cancel is requested.
 */
bool linux_list_next(struct linux_list *list, uint64_t *ret);
/* Whether a list_head that was on a list is still on it. */
bool linux_list_holds(struct linux_kernel *kernel, uint64_t node);

/* ---- Finding (find.c, attach.c) -------------------------------------------------------------- */

/* All symbols of the kernel, indexed at the first call. */
struct nunchi_error *linux_symbols(struct linux_kernel *kernel, struct symbol_index **ret);
/*
 * Looks up all groups of the layout, and adds a fact for each group of which this kernel's types
 * lack a field: its name, the fields, and the views that need them.
 */
void linux_kernel_note_missing(struct linux_kernel *kernel);
void linux_kernel_fact(struct linux_kernel *kernel, const char *topic, const char *name,
		       const char *evidence, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
