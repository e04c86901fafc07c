/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam between operating systems: what the rooms above guest/ may know of the kernel in a
 * guest. An operating system is a folder of guest/ with a table of functions, struct guest_system.
 * A view has one provider for each system that it supports (view/view.h).
 */
#ifndef NUNCHI_GUEST_GUEST_H
#define NUNCHI_GUEST_GUEST_H

#include "core/cancel.h"
#include "core/error.h"
#include "guest/result.h"
#include "guest/spaces.h"
#include "memory/virtual.h"
#include "symbols/symbol_index.h"
#include "symbols/type_index.h"

struct guest_file;
struct guest_kernel;
struct target;

struct guest_attach_options {
	/* file with text of System.map or /proc/kallsyms; NULL: from memory */
	const char *symbols_path;
	const char *types_path; /* see type_index_from_file(); NULL: from memory */
	/* descriptors of these files, if they are open already; NULL: not open */
	const int *symbols_fd, *types_fd;
	/* physical address of the _text of the kernel to be taken; 0: the one that runs */
	uint64_t kernel;
	/* accept a kernel that no vCPU runs; guest_kernel.remains then says so */
	bool remains;
	const struct cancel *cancel;
};

struct guest_symbol {
	struct symbol symbol;
	const char *module; /* NULL: the kernel itself */
};

struct guest_type {
	const struct type_index *types; /* index to which the id belongs; borrowed */
	type_id id;
	const char *module; /* NULL: the kernel itself */
};

/* An operating system. All functions are called by one thread at a time for one kernel. */
/* What is known of a file by one of its names. */
struct guest_name {
	const char *path; /* path_size bytes, without NUL at the end */
	size_t path_size;
	enum read_result result; /* of reading these, which are as stat(2) gives them: */
	uint64_t inode, mode, uid, gid, links;
	/* Of reading these; of overlayfs they are those of the file in the layer below. */
	enum read_result content_result;
	int64_t size, accessed, modified, changed; /* bytes; seconds since 1970 */
	uint64_t cached; /* bytes of the file that are in the page cache */
	/* The target of a symbolic link; READ_NONE: it is none. */
	enum read_result target_result;
	const char *target;
	size_t target_size;
	uint64_t file; /* for name_open() */
};

/* What guest_system.container() walks; `head` is the address of … */
enum guest_container {
	GUEST_LIST,   /* a struct list_head; its elements are of list_heads */
	GUEST_HLIST,  /* a struct hlist_head or hlist_nulls_head; their nodes */
	GUEST_RBTREE, /* the pointer to the root of a tree; its rb_nodes, in order */
	GUEST_XARRAY, /* the xa_head of a struct xarray; what its entries point to */
	GUEST_MAPLE   /* a struct maple_tree; what its entries point to */
};

/* No more elements of a container are found. */
#define GUEST_CONTAINER_LIMIT ((uint64_t)1 << 20)

struct guest_system {
	const char *name; /* "Linux" */
	/*
	 * Finds the system's kernel in a guest. NUNCHI_ERROR_NO_KERNEL, which lists what was tried,
	 * if there is none. The target must outlive the kernel. For a raw file, attach may change
	 * the addresses of the memory (see target_set_layout()).
	 */
	struct nunchi_error *(*attach)(struct target *target,
				       const struct guest_attach_options *options,
				       struct guest_kernel **ret);
	void (*destroy)(struct guest_kernel *kernel);
	/*
	 * For a running guest: fails with NUNCHI_ERROR_GONE if the guest ended, and with
	 * NUNCHI_ERROR_REBOOTED if another kernel runs now. Asks the hypervisor only if thorough is
	 * true; otherwise looks at the memory only.
	 */
	struct nunchi_error *(*check)(struct guest_kernel *kernel, struct target *target,
				      bool thorough);
	/*
	 * Calls fact() for each fact about the kernel, in the order of display. The strings are
	 * valid during the call.
	 */
	void (*facts)(struct guest_kernel *kernel,
		      void (*fact)(const struct nunchi_fact *fact, void *data), void *data);
	/*
	 * Gets the index of all symbols of the kernel; borrowed. The error says why there are no
	 * symbols.
	 */
	struct nunchi_error *(*symbols)(struct guest_kernel *kernel, struct symbol_index **ret);
	/*
	 * Finds the symbol with this name, in the kernel or in a module ("MODULE:NAME": in that
	 * module). The strings are valid until the next call. NUNCHI_ERROR_NOT_FOUND or _AMBIGUOUS.
	 */
	struct nunchi_error *(*symbol_find)(struct guest_kernel *kernel, const char *name,
					    struct guest_symbol *ret);
	/*
	 * Finds the symbol to which an address of code or data belongs. NUNCHI_ERROR_NOT_FOUND if
	 * the address is in neither the kernel's image nor a module.
	 */
	struct nunchi_error *(*symbol_at)(struct guest_kernel *kernel, uint64_t address,
					  struct guest_symbol *ret);
	/*
	 * Finds the type with this name, in the kernel or in a module, as symbol_find() does for
	 * symbols. The error says why there are no types.
	 */
	struct nunchi_error *(*type_find)(struct guest_kernel *kernel, const char *name,
					  struct guest_type *ret);
	/*
	 * Gets the address space of a process, valid until the next call. NUNCHI_ERROR_NOT_FOUND if
	 * there is no such process, NUNCHI_ERROR_UNSUPPORTED if it has no memory of its own (a
	 * kernel thread).
	 */
	struct nunchi_error *(*process_space)(struct guest_kernel *kernel, uint64_t pid,
					      struct address_space **ret);
	/*
	 * Reads a piece of a process's memory, of a guest that stands still or is saved; see
	 * linux_process_piece(). Errors are those of process_space().
	 */
	struct nunchi_error *(*process_piece)(struct guest_kernel *kernel, uint64_t pid,
					      uint64_t address, void *buffer, size_t size,
					      uint64_t *ret_size, enum read_result *ret);
	/* Gets the address of the kernel's structure of a process; NUNCHI_ERROR_NOT_FOUND. */
	struct nunchi_error *(*process_find)(struct guest_kernel *kernel, uint64_t pid,
					     uint64_t *ret);
	/*
	 * Gives the addresses of a container's elements; give() returns false to end it. If it
	 * cannot be followed to its end, or has more than GUEST_CONTAINER_LIMIT elements, this
	 * fails after it gave those that it found.
	 */
	struct nunchi_error *(*container)(struct guest_kernel *kernel, enum guest_container kind,
					  uint64_t head, bool (*give)(uint64_t element, void *data),
					  void *data);
	/* Gets the address that a per-CPU variable has for a CPU. */
	struct nunchi_error *(*per_cpu)(struct guest_kernel *kernel, uint64_t variable,
					uint64_t cpu, uint64_t *ret);
	/* Whether the process of the last process_space() still exists and has the same memory. */
	bool (*process_stays)(struct guest_kernel *kernel);
	/*
	 * Opens the file of a descriptor of a process, of a guest that stands still or is saved.
	 * NUNCHI_ERROR_NOT_FOUND if there is none, NUNCHI_ERROR_UNSUPPORTED if its bytes are not in
	 * the page cache. The kernel must outlive the file until its last file_page().
	 */
	struct nunchi_error *(*file_open)(struct guest_kernel *kernel, uint64_t pid, uint64_t fd,
					  struct guest_file **ret);
	/* The same for the file that a process has mapped at an address. */
	struct nunchi_error *(*mapped_open)(struct guest_kernel *kernel, uint64_t pid,
					    uint64_t address, struct guest_file **ret);
	/* The same for a path, as it is for that process; symbolic links are followed. */
	struct nunchi_error *(*path_open)(struct guest_kernel *kernel, uint64_t pid,
					  const char *path, struct guest_file **ret);
	/*
	 * Finds a page of the file by its number. READ_OK: *ret is where it is in RAM. READ_NONE:
	 * it is zeros, which are stored nowhere. READ_PAGED_OUT: it is not in RAM.
	 */
	enum read_result (*file_page)(struct guest_file *file, uint64_t number, gpa_t *ret);
	void (*file_close)(struct guest_file *file);
	/* Opens the file of a name, while names() gives it. */
	struct nunchi_error *(*name_open)(struct guest_kernel *kernel,
					  const struct guest_name *name, struct guest_file **ret);
	/*
	 * Gives the file at a path of a process, and those below it, to that depth, whose names the
	 * kernel has in memory; of a guest that stands still or is saved. give() returns false to
	 * end it.
	 */
	struct nunchi_error *(*names)(struct guest_kernel *kernel, uint64_t pid, const char *path,
				      unsigned depth,
				      bool (*give)(const struct guest_name *name, void *data),
				      void *data);
};

/* A file that is read: the first member of the system's own structure. */
struct guest_file {
	uint64_t size; /* in bytes */
};

/*
 * A kernel found in a guest: the part that is common to all systems. It is the first member of the
 * system's own structure.
 */
struct guest_kernel {
	const struct guest_system *system;
	struct memory *memory;       /* the target's; borrowed */
	struct target *target;       /* for the registers of its vCPUs; borrowed; NULL: none */
	struct address_space *space; /* through the kernel's own page table; owned */
	struct guest_spaces spaces;  /* of processes: see guest_space_of() */
	bool remains;                /* no vCPU runs this kernel; see guest_attach_options */
	bool live;                   /* the guest runs, so that memory may change during reads */
	const struct cancel *cancel; /* ends long walks when requested; never NULL */
	/* bytes; longer texts of processes are READ_LIMIT, and not read; 0: only their own limit */
	size_t text_limit;
	uint64_t
	    until_us; /* when walks of lists end; then `late` is set. 0 or CLOCK_NEVER: never */
	bool late;
};

extern const struct guest_system guest_linux;

/*
 * Finds the kernel in a guest, of any supported system. NUNCHI_ERROR_AMBIGUOUS if the memory
 * contains several kernels and none is more certain than the others; other errors are those of
 * guest_system.attach.
 */
struct nunchi_error *guest_attach(struct target *target, const struct guest_attach_options *options,
				  struct guest_kernel **ret);
/* Loads the libraries that reading a file of types will need; see type_index_prepare(). */
void guest_prepare_types(int fd);
/* Frees the kernel. NULL is accepted. */
void guest_kernel_destroy(struct guest_kernel *kernel);

#endif
