/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam between operating systems: what the rooms above guest/ know of the kernel in a guest.
 * A system is a folder of guest/ and a table of functions, struct guest_system; a view has one
 * provider for each system that it can be asked of (view/view.h).
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

struct guest_kernel;
struct target;

struct guest_attach_options {
	const char *symbols_path; /* System.map or /proc/kallsyms text; NULL: from memory */
	const char *types_path;   /* see type_index_from_file(); NULL: from memory */
	const struct cancel *cancel;
};

struct guest_symbol {
	struct symbol symbol;
	const char *module; /* NULL: the kernel itself */
};

struct guest_type {
	const struct type_index *types; /* in which id is; borrowed */
	type_id id;
	const char *module; /* NULL: the kernel itself */
};

/* An operating system. All functions are called by one thread at a time for one kernel. */
struct guest_system {
	const char *name; /* "Linux" */
	/*
	 * Finds the system's kernel in a guest. NUNCHI_ERROR_NO_KERNEL if there is none, with what
	 * was tried. The target must outlive the kernel; a raw file may get another memory (see
	 * target_set_layout()).
	 */
	struct nunchi_error *(*attach)(struct target *target,
				       const struct guest_attach_options *options,
				       struct guest_kernel **ret);
	void (*destroy)(struct guest_kernel *kernel);
	/*
	 * On a running guest: NUNCHI_ERROR_GONE if it ended, NUNCHI_ERROR_REBOOTED if another
	 * kernel runs now. Asks the hypervisor only if thorough; else looks at the memory alone.
	 */
	struct nunchi_error *(*check)(struct guest_kernel *kernel, struct target *target,
				      bool thorough);
	/* What is known of the kernel and how, in order of display. The strings live for the call.
	 */
	void (*facts)(struct guest_kernel *kernel,
		      void (*fact)(const struct nunchi_fact *fact, void *data), void *data);
	/* All symbols of the kernel; borrowed. The error says why there are none. */
	struct nunchi_error *(*symbols)(struct guest_kernel *kernel, struct symbol_index **ret);
	/*
	 * The symbol of that name, of the kernel or of a module of it ("MODULE:NAME" means that of
	 * one module). Strings are valid until the next call. NUNCHI_ERROR_NOT_FOUND, _AMBIGUOUS.
	 */
	struct nunchi_error *(*symbol_find)(struct guest_kernel *kernel, const char *name,
					    struct guest_symbol *ret);
	/*
	 * The symbol that an address of code or data belongs to. NUNCHI_ERROR_NOT_FOUND if the
	 * address is not the kernel's or a module's.
	 */
	struct nunchi_error *(*symbol_at)(struct guest_kernel *kernel, uint64_t address,
					  struct guest_symbol *ret);
	/*
	 * The type of that name, of the kernel or of a module of it, likewise. The error also says
	 * why there are no types.
	 */
	struct nunchi_error *(*type_find)(struct guest_kernel *kernel, const char *name,
					  struct guest_type *ret);
	/*
	 * The address space of a process, valid until the next call. NUNCHI_ERROR_NOT_FOUND if
	 * there is no such process, NUNCHI_ERROR_UNSUPPORTED if it has no memory of its own.
	 */
	struct nunchi_error *(*process_space)(struct guest_kernel *kernel, uint64_t pid,
					      struct address_space **ret);
	/* Whether the process of the last process_space() still is what it was then. */
	bool (*process_stays)(struct guest_kernel *kernel);
};

/* A kernel found in a guest: the part that all systems have, first in the system's own structure.
 */
struct guest_kernel {
	const struct guest_system *system;
	struct memory *memory;       /* the target's */
	struct address_space *space; /* by the kernel's own page table; owned */
	struct guest_spaces spaces;  /* of processes: see guest_space_of() */
	bool live;                   /* the guest may change what is being read */
	const struct cancel *cancel; /* ends long walks; never NULL */
};

extern const struct guest_system guest_linux;

/*
 * Finds the kernel in a guest, whichever of the systems it is. NUNCHI_ERROR_AMBIGUOUS if several
 * kernels hold equally well; else as guest_system.attach.
 */
struct nunchi_error *guest_attach(struct target *target, const struct guest_attach_options *options,
				  struct guest_kernel **ret);
/* NULL is accepted. */
void guest_kernel_destroy(struct guest_kernel *kernel);

#endif
