/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory areas, symbols (struct mod_kallsyms) and types of the kernel's modules. The types are
 * split BTF, which the kernel keeps in the list btf_modules. Sources: include/linux/module.h,
 * kernel/module/kallsyms.c, kernel/bpf/btf.c of Linux 5.10 – 7.2.
 */
#ifndef NUNCHI_GUEST_LINUX_MODULE_INDEX_H
#define NUNCHI_GUEST_LINUX_MODULE_INDEX_H

#include "guest/linux/linux.h"
#include "symbols/module_symbols.h"

/* Limit of the memory areas of a module; enum mod_mem_type of include/linux/module.h has 7. */
#define LINUX_MODULE_AREAS 16

struct linux_module_area {
	uint64_t start, size; /* virtual address; bytes, never 0 */
};

struct linux_module {
	char name[64];
	uint64_t address; /* of its struct module */
	struct linux_module_area areas[LINUX_MODULE_AREAS];
	unsigned area_count;
	bool symbols_read; /* completely; otherwise the next lookup tries it again */
	/*
	 * Why the last lookup left the symbols out, as text that goes on after the module's name in
	 * an error; static; NULL if it did not.
	 */
	const char *symbols_left_out;
	struct type_index *types; /* NULL: not read yet, or the module has none; owned */
};

/* The modules in one generation of the guest's memory. */
struct linux_module_index {
	uint64_t generation; /* of the guest's memory */
	struct linux_module *items;
	size_t count, capacity;
	/* of the modules with symbols_read; NULL if no symbols were read */
	struct module_symbols *symbols;
	uint64_t symbols_left; /* number of symbols that may still be read */
	uint64_t types_left;   /* bytes of BTF that may still be copied */
	bool cut_short;        /* the list of modules could not be followed to its end */
	/* Why some modules of the list are not in the index, or READ_OK. */
	enum read_result unread;
};

/*
 * Gets the index of modules, walking the list again if the memory's generation has changed. Owned
 * by the kernel, valid until the next call. NUNCHI_ERROR_UNSUPPORTED names what is missing.
 */
struct nunchi_error *linux_module_index(struct linux_kernel *kernel,
					struct linux_module_index **ret);
void linux_module_index_destroy(struct linux_module_index *index);

/* Whether the kernel may have modules that are not in the index. */
static inline bool linux_modules_missing(const struct linux_module_index *index)
{
	return index->cut_short || index->unread;
}

/* Whether two addresses are in the same area of the module. */
bool linux_module_same_area(const struct linux_module *module, uint64_t a, uint64_t b);
/* Finds a module by its name of `size` bytes, or by an address in it; NULL if there is none. */
struct linux_module *linux_module_named(const struct linux_module_index *index, const char *name,
					size_t size);
struct linux_module *linux_module_at(const struct linux_module_index *index, uint64_t address);
/*
 * Reads the symbols of one module, or of all modules (module is NULL), into index->symbols. A
 * module whose tables cannot be read or are too large is left out, and symbols_left_out says why.
 * NUNCHI_ERROR_UNSUPPORTED if the modules together have more symbols than the limits permit.
 */
struct nunchi_error *linux_module_read_symbols(struct linux_kernel *kernel,
					       struct linux_module_index *index,
					       struct linux_module *module);
/*
 * Gets the types of a module of kernel->modules; borrowed from the module. The error says why there
 * are none; NUNCHI_ERROR_UNSUPPORTED if the modules together have more types than the limit
 * permits.
 */
struct nunchi_error *linux_module_types(struct linux_kernel *kernel, struct linux_module *module,
					struct type_index **ret);

#endif
