/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A Linux kernel found in a guest's memory, and the functions that read its structures. All data
 * that is read is untrusted.
 */
#ifndef NUNCHI_GUEST_LINUX_LINUX_H
#define NUNCHI_GUEST_LINUX_LINUX_H

#include "core/hash.h"
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

/* A line of `nunchi info`: how something was found, or why it is missing. */
struct linux_fact {
	const char *topic; /* "kernel", "missing"; static */
	const char *name;  /* static */
	char *value;       /* owned */
	char *evidence;    /* owned, may be NULL */
};

struct linux_module_index;

/* The processes by id, in one generation of the guest's memory. */
struct linux_task_index {
	uint64_t generation;   /* of the guest's memory */
	unsigned asked;        /* walks to a single process in this generation */
	bool complete;         /* the list of processes could be read to its end */
	struct hash_map tasks; /* from id to the address of the first task with that id */
};

struct linux_kernel {
	struct guest_kernel guest; /* first: see linux_kernel_of() */
	unsigned word_size;        /* bytes of a pointer: 8 or 4 */
	uint64_t text_virtual;     /* address of _text */
	uint64_t text_physical;
	bool scattered;     /* the image is not physically contiguous (TARGET_FRAMES_MACHINE) */
	uint64_t image_end; /* virtual address after the last mapped byte of the image */
	uint64_t symbol[LINUX_SYMBOL_COUNT]; /* addresses; 0: the kernel has no such symbol */
	struct layout layout;                /* use linux_layout(), which looks up a group first */
	/* NULL: there are none; then only symbols and memory can be used */
	struct type_index *types;
	/* index of all symbols; NULL until linux_symbols() was called */
	struct symbol_index *symbols;
	struct kallsyms *kallsyms; /* NULL if the symbols came from a file */
	struct linux_rodata rodata;
	struct linux_module_index
	    *modules;          /* see linux_module_index(); owned, NULL until first needed */
	char *types_missing;   /* why types is NULL; owned */
	char *symbols_missing; /* why there are no symbols; owned */
	char banner[512];
	struct linux_fact *facts; /* owned */
	size_t fact_count;
	bool facts_lost;    /* memory ran out: not all of them are there */
	bool missing_noted; /* linux_kernel_note_missing() was called */
	/*
	 * The tasks linked to the first task are not in the memory, or the list of tasks is broken.
	 */
	bool tasks_unverified;
	bool note_disagrees; /* the VMCOREINFO note from the file or hypervisor is of another one */
	bool chosen_by_user; /* guest_attach_options.kernel: shown whatever the vCPUs run */
	unsigned reset_count; /* the target's reset_count when the search for the kernel began */
	/* What linux_fetch_processes() mapped, and in which generation of the memory. */
	unsigned fetched;
	uint64_t fetched_generation;
	struct linux_task_index task_index; /* see linux_tasks_init() */
	struct object chosen; /* the task that guest_system.process_space() found last */
};

static inline struct linux_kernel *linux_kernel_of(struct guest_kernel *guest)
{
	return (struct linux_kernel *)guest;
}

/* Looks up a group of the layout (read.c). */
void linux_layout_resolve(struct linux_kernel *kernel, enum layout_group group);

/*
 * The layout, after looking up a group if that was not done before. A function that uses a field of
 * the group, or the size of one of its structures, calls this first, unless it has already read one
 * of these structures.
 */
static inline const struct layout *linux_layout(struct linux_kernel *kernel,
						enum layout_group group)
{
	if (!kernel->layout.known[group])
		linux_layout_resolve(kernel, group);
	return &kernel->layout;
}

/* ---- Reading (read.c) ------------------------------------------------------------------------ */

/* Copies bytes through the kernel's page table. */
enum read_result linux_read(struct linux_kernel *kernel, uint64_t address, void *buffer,
			    size_t size);
enum read_result linux_read_u32(struct linux_kernel *kernel, uint64_t address, uint32_t *ret);
enum read_result linux_read_u64(struct linux_kernel *kernel, uint64_t address, uint64_t *ret);
/* Reads a pointer or long, of the guest's word size. */
enum read_result linux_read_word(struct linux_kernel *kernel, uint64_t address, uint64_t *ret);
/*
 * Copies a structure up to its last field in layout.def; allocates object's buffer and stores the
 * result in object. Returns READ_NOT_MAPPED if address is 0, READ_NO_LAYOUT if the kernel's types
 * lack the structure.
 */
enum read_result linux_read_object(struct linux_kernel *kernel, enum layout_struct type,
				   uint64_t address, struct object *object);
/*
 * The number of bytes that linux_read_object() copies of a structure; 0 if the kernel's types lack
 * it.
 */
uint32_t linux_used_size(struct linux_kernel *kernel, enum layout_struct type);
/*
 * Makes the error for a walk whose fields this kernel's types lack: what cannot be done, and the
 * fields.
 */
struct nunchi_error *linux_lacks_fields(const char *what, const char *fields);
/* Whether this kernel has a field of the layout; looks up the field's group. */
bool linux_has_field(struct linux_kernel *kernel, const struct field *field);
/*
 * Adds a field to the parts that are copied of its structure; nothing if the kernel lacks the
 * field.
 */
void linux_add_part(struct linux_kernel *kernel, struct layout_parts *parts,
		    const struct field *field);
/*
 * Reads one field of the structure at address; READ_NO_LAYOUT if the kernel's types lack the field.
 */
enum read_result linux_read_field(struct linux_kernel *kernel, uint64_t address,
				  const struct field *field, uint64_t *ret);
/*
 * Reads a NUL-terminated string of at most limit bytes. *ret is its length (limit: no NUL was
 * found).
 */
enum read_result linux_read_string(struct linux_kernel *kernel, uint64_t address, char *buffer,
				   size_t limit, size_t *ret);
/* Computes the address of a per-CPU variable for one CPU. */
enum read_result linux_per_cpu(struct linux_kernel *kernel, uint64_t variable, unsigned cpu,
			       uint64_t *ret);
/* Reads the number of CPUs that the kernel supports (nr_cpu_ids), at most 8192. */
enum read_result linux_cpu_count(struct linux_kernel *kernel, unsigned *ret);

/*
 * A walk over a list of list_heads. The walk is bounded and detects loops. On a running guest the
 * current node may be removed from the list between two steps, and its memory used for another node
 * of the same list. The walk notices that the node left its place, starts again at the head, and
 * skips the nodes that it returned before. So each node that is on the list all the time is
 * returned exactly once.
 */
struct linux_list {
	struct linux_kernel *kernel;
	uint64_t head;
	uint64_t at;     /* the current list_head, or head before the first */
	uint64_t before; /* where the node's `prev` pointed when the walk reached it */
	uint64_t count;  /* nodes returned so far */
	uint64_t passed; /* of those, the number met again since the last restart */
	uint64_t limit;
	unsigned starts;       /* restarts at the head */
	unsigned steps;        /* links followed, for looks at the clock */
	struct hash_map *seen; /* borrowed */
	/*
	 * Why the walk did not reach the end of the list. READ_BAD_DATA: the links contradict each
	 * other.
	 */
	enum read_result broken;
};

/* Begins a walk at the list_head `head`. seen is emptied. limit is the greatest number of nodes. */
void linux_list_init(struct linux_list *list, struct linux_kernel *kernel, uint64_t head,
		     uint64_t limit, struct hash_map *seen);
/*
 * Gets the address of the next list_head. False at the end, if the list is broken (then `broken` is
 * set), or if kernel->guest.cancel is requested.
 */
bool linux_list_next(struct linux_list *list, uint64_t *ret);
/* Whether the time of the query is over; then it notes that, and walks should end. */
bool linux_is_late(struct linux_kernel *kernel);
/* Whether a list_head that was on a list is still on it. */
bool linux_list_holds(struct linux_kernel *kernel, uint64_t node);

/* ---- Finding (find.c, attach.c) -------------------------------------------------------------- */

/* Gets the index of all symbols of the kernel, which the first call makes. */
struct nunchi_error *linux_symbols(struct linux_kernel *kernel, struct symbol_index **ret);
/*
 * Looks up all groups of the layout. For each group with fields that this kernel's types lack, adds
 * a fact with the group's name, the fields, and the views that need them.
 */
void linux_kernel_note_missing(struct linux_kernel *kernel);
/*
 * Adds a fact for `nunchi info`; format gives its value. topic and name are static; evidence (may
 * be NULL) is copied.
 */
void linux_kernel_fact(struct linux_kernel *kernel, const char *topic, const char *name,
		       const char *evidence, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
