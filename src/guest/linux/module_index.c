/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/module_index.h"

#include "core/array.h"
#include "core/hash.h"
#include "guest/linux/module.h"

#include <string.h>

/* Limit of the symbols of one module; the largest have about 20,000. */
#define MAX_SYMBOLS ((uint32_t)1 << 20)
/* Limit of the symbols read of all modules together, including those that are left out later. */
#define MAX_SYMBOLS_READ ((uint64_t)1 << 22)
/* Limit of the names of one module, in bytes. */
#define MAX_NAMES ((size_t)16 << 20)
/* Bytes read beyond the start of the last name: the longest name (KSYM_NAME_LEN). */
#define NAME_ROOM 512
/* Limit of the BTF of one module, in bytes; the largest have about 1 MB. */
#define MAX_BTF ((uint64_t)64 << 20)
/*
 * Limit of the BTF that is copied of all modules together, in bytes: several entries of the list
 * btf_modules may point to the same BTF.
 */
#define MAX_BTF_READ ((uint64_t)256 << 20)
/* Limit of the entries of the list btf_modules. */
#define MAX_BTF_MODULES 32768

/* ---- The modules ----------------------------------------------------------------------------- */

void linux_module_index_destroy(struct linux_module_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->count; i++)
		type_index_unref(index->items[i].types);
	free(index->items);
	module_symbols_destroy(index->symbols);
	free(index);
}

DEFINE_CLEANUP(struct linux_module_index, linux_module_index_destroy)

static void add_area(struct linux_module *module, uint64_t start, uint64_t size)
{
	if (!start || !size || start + size < start)
		return;
	module->areas[module->area_count++] = (struct linux_module_area){start, size};
}

/*
 * Reads a module's memory areas: an array of struct module_memory since 6.4; before, one area for
 * the module and one for its init code.
 */
static void read_areas(struct linux_kernel *kernel, const struct object *object,
		       struct linux_module *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_module);
	uint32_t stride = layout->size[LAYOUT_module_memory];
	struct field base = layout->module_memory_base, size = layout->module_memory_size;

	if (!layout->module_mem.present) {
		add_area(ret, object_u64(object, &layout->module_core_base),
			 object_u64(object, &layout->module_core_size));
		add_area(ret, object_u64(object, &layout->module_init_base),
			 object_u64(object, &layout->module_init_size));
		return;
	}
	base.offset += layout->module_mem.offset;
	size.offset += layout->module_mem.offset;
	for (unsigned i = 0; stride && i < LINUX_MODULE_AREAS; i++) {
		if ((i + 1) * stride > layout->module_mem.size)
			break;
		add_area(ret, object_u64(object, &base), object_u64(object, &size));
		base.offset += stride;
		size.offset += stride;
	}
}

static struct nunchi_error *add_module(struct linux_kernel *kernel,
				       struct linux_module_index *index,
				       const struct object *object)
{
	const struct layout *layout = &kernel->layout;
	struct linux_module *module;
	const char *name;
	size_t length;

	if (!ARRAY_RESERVE(index->items, index->count, index->capacity, 1))
		return &error_nomem;
	module = &index->items[index->count++];
	*module = (struct linux_module){.address = object->address};
	length = object_text(object, &layout->module_name, &name);
	if (length >= sizeof(module->name))
		length = sizeof(module->name) - 1;
	if (length)
		memcpy(module->name, name, length);
	read_areas(kernel, object, module);
	return NULL;
}

struct nunchi_error *linux_module_index(struct linux_kernel *kernel,
					struct linux_module_index **ret)
{
	_cleanup_(cleanup_linux_module_index_destroy_p) struct linux_module_index *index = NULL;
	_cleanup_object_ struct object object = {0};
	struct linux_modules walk;
	struct nunchi_error *err;

	if (kernel->modules &&
	    kernel->modules->generation == memory_generation(kernel->guest.memory)) {
		*ret = kernel->modules;
		return NULL;
	}
	linux_module_index_destroy(kernel->modules);
	kernel->modules = NULL;
	index = calloc(1, sizeof(*index));
	if (!index)
		return &error_nomem;
	index->generation = memory_generation(kernel->guest.memory);
	index->symbols_left = MAX_SYMBOLS_READ;
	index->types_left = MAX_BTF_READ;
	err = linux_modules_init(&walk, kernel);
	if (err)
		return err;
	while (!err && linux_modules_next(&walk, &object)) {
		/*
		 * /proc/modules leaves out such modules, too, because they are not completely
		 * loaded.
		 */
		if (object_u64(&object, &kernel->layout.module_state) != LINUX_MODULE_UNFORMED)
			err = add_module(kernel, index, &object);
	}
	index->cut_short = walk.list.broken;
	index->unread = walk.why_unread;
	linux_modules_deinit(&walk);
	if (err)
		return err;
	*ret = kernel->modules = no_cleanup_ptr(index);
	return NULL;
}

struct linux_module *linux_module_named(const struct linux_module_index *index, const char *name,
					size_t size)
{
	for (size_t i = 0; i < index->count; i++) {
		if (strlen(index->items[i].name) == size &&
		    !memcmp(index->items[i].name, name, size))
			return &index->items[i];
	}
	return NULL;
}

struct linux_module *linux_module_at(const struct linux_module_index *index, uint64_t address)
{
	for (size_t i = 0; i < index->count; i++) {
		const struct linux_module *module = &index->items[i];

		for (unsigned j = 0; j < module->area_count; j++) {
			if (address - module->areas[j].start < module->areas[j].size)
				return &index->items[i];
		}
	}
	return NULL;
}

bool linux_module_same_area(const struct linux_module *module, uint64_t a, uint64_t b)
{
	for (unsigned i = 0; i < module->area_count; i++) {
		const struct linux_module_area *area = &module->areas[i];

		if (a - area->start < area->size)
			return b - area->start < area->size;
	}
	return false;
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* Reads up to size bytes, page by page, and stops at the first page that cannot be read. */
static size_t read_some(struct linux_kernel *kernel, uint64_t address, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t piece = PAGE_SIZE - ((address + done) & PAGE_MASK);

		if (piece > size - done)
			piece = size - done;
		if (linux_read(kernel, address + done, buffer + done, piece) != READ_OK)
			break;
		done += piece;
	}
	return done;
}

/* Finds the addresses of a module's symbol tables, and the number of symbols. */
static enum read_result find_tables(struct linux_kernel *kernel, const struct linux_module *module,
				    uint64_t *ret_symtab, uint64_t *ret_strtab,
				    uint64_t *ret_typetab, uint64_t *ret_count)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_module_symbols);
	_cleanup_object_ struct object tables = {0};
	enum read_result result;
	uint64_t kallsyms;

	result = linux_read_field(kernel, module->address, &layout->module_kallsyms, &kallsyms);
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_mod_kallsyms, kallsyms, &tables);
	if (result != READ_OK)
		return result;
	if (!layout->mod_kallsyms_symtab.present || !layout->mod_kallsyms_strtab.present)
		return READ_NO_LAYOUT;
	*ret_symtab = object_u64(&tables, &layout->mod_kallsyms_symtab);
	*ret_strtab = object_u64(&tables, &layout->mod_kallsyms_strtab);
	*ret_typetab = object_u64(&tables, &layout->mod_kallsyms_typetab);
	*ret_count = object_u64(&tables, &layout->mod_kallsyms_num_symtab);
	return READ_OK;
}

static struct nunchi_error *leave_out(struct linux_module *module, const char *why)
{
	module->symbols_left_out = why;
	return NULL;
}

/*
 * Copies a module's symbol tables and adds their symbols, or sets symbols_left_out. Takes the
 * number of symbols that it reads from index->symbols_left.
 */
static struct nunchi_error *read_symbols(struct linux_kernel *kernel,
					 struct linux_module_index *index,
					 struct linux_module *module)
{
	_cleanup_free_ uint8_t *symbols = NULL;
	_cleanup_free_ char *strings = NULL, *types = NULL;
	struct module_symtab table = {.word_size = kernel->word_size};
	size_t entry = module_symtab_entry(kernel->word_size), wanted;
	uint64_t symtab, strtab, typetab, count;
	enum read_result result;
	struct nunchi_error *err;

	module->symbols_left_out = NULL;
	result = find_tables(kernel, module, &symtab, &strtab, &typetab, &count);
	if (result == READ_NO_MEMORY)
		return &error_nomem;
	if (result != READ_OK)
		return leave_out(module, ", whose symbol table cannot be read");
	if (count > MAX_SYMBOLS)
		return leave_out(module, ", whose symbol table is too large");
	module->symbols_read = !count;
	if (!count)
		return NULL;
	if (count > index->symbols_left)
		return error_create_at(
		    NUNCHI_ERROR_UNSUPPORTED, module->address,
		    "the modules have more than %llu symbols, which is the limit",
		    (unsigned long long)MAX_SYMBOLS_READ);
	index->symbols_left -= count;
	symbols = malloc(count * entry);
	types = malloc(count);
	if (!symbols || !types)
		return &error_nomem;
	if (linux_read(kernel, symtab, symbols, count * entry) != READ_OK)
		return leave_out(module, ", whose symbol table cannot be read");
	table.symbols = symbols;
	table.count = (uint32_t)count;
	if (typetab && linux_read(kernel, typetab, types, count) == READ_OK)
		table.types = types;
	wanted = (size_t)module_symtab_last_name(symbols, table.count, kernel->word_size) +
		 NAME_ROOM + 1;
	if (wanted > MAX_NAMES)
		wanted = MAX_NAMES;
	strings = malloc(wanted);
	if (!strings)
		return &error_nomem;
	table.strings = strings;
	table.strings_size = read_some(kernel, strtab, strings, wanted);
	if (!table.strings_size)
		return leave_out(module, ", whose symbol table cannot be read");
	err = module_symbols_add(index->symbols, (uint32_t)(module - index->items), &table);
	module->symbols_read = !err;
	return err;
}

struct nunchi_error *linux_module_read_symbols(struct linux_kernel *kernel,
					       struct linux_module_index *index,
					       struct linux_module *module)
{
	uint64_t not_kept = 0;
	struct nunchi_error *err = NULL;

	if (!index->symbols)
		err = module_symbols_create(&index->symbols);
	for (size_t i = 0; !err && i < index->count; i++) {
		struct linux_module *item = &index->items[i];
		uint64_t left = index->symbols_left;

		if (item->symbols_read || (module && module != item))
			continue;
		err = cancel_requested(kernel->guest.cancel)
			  ? error_create(NUNCHI_ERROR_CANCELLED, "cancelled")
			  : read_symbols(kernel, index, item);
		if (!item->symbols_read)
			not_kept += left - index->symbols_left;
	}
	/* Symbols that were read in vain count in this call only: they use no memory. */
	index->symbols_left += not_kept;
	if (!err)
		module_symbols_seal(index->symbols);
	return err;
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* Finds the struct btf of a module in the list btf_modules. */
static struct nunchi_error *find_btf(struct linux_kernel *kernel, const struct linux_module *module,
				     uint64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_module_symbols);
	_cleanup_(hash_map_deinit) struct hash_map seen = {0};
	struct linux_list list;
	uint64_t node, owner;

	if (!layout->btf_module_list.present || !layout->btf_module_module.present)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel has no types of modules (before 5.11, or built "
				    "without CONFIG_DEBUG_INFO_BTF_MODULES)");
	if (!kernel->symbol[LINUX_btf_modules])
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the types of modules cannot be found: the symbol "
					       "btf_modules is missing"),
				  "give the kernel's System.map with --symbols");
	hash_map_init(&seen);
	linux_list_init(&list, kernel, kernel->symbol[LINUX_btf_modules], MAX_BTF_MODULES, &seen);
	while (linux_list_next(&list, &node)) {
		uint64_t entry = node - layout->btf_module_list.offset;

		if (linux_read_field(kernel, entry, &layout->btf_module_module, &owner) ==
			READ_OK &&
		    owner == module->address &&
		    linux_read_field(kernel, entry, &layout->btf_module_btf, ret) == READ_OK)
			return NULL;
	}
	return error_create(
	    NUNCHI_ERROR_NOT_FOUND, "the module %s has no types of its own%s", module->name,
	    list.broken ? " in the part of the kernel's list that can be read" : "");
}

/* Copies the BTF of a struct btf, and takes its size from kernel->modules->types_left. */
static struct nunchi_error *read_btf(struct linux_kernel *kernel, const struct linux_module *module,
				     uint64_t btf, struct type_index **ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object object = {0};
	_cleanup_free_ char *data = NULL;
	struct nunchi_error *err;
	uint64_t size, first;

	if (linux_read_object(kernel, LAYOUT_btf, btf, &object) != READ_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, btf,
				       "the types of the module %s cannot be read", module->name);
	size = object_u64(&object, &layout->btf_data_size);
	first = object_u64(&object, &layout->btf_start_id);
	if (size > MAX_BTF || !size)
		return error_create_at(
		    NUNCHI_ERROR_DATA, btf,
		    "the types of the module %s have an impossible size: %llu bytes", module->name,
		    (unsigned long long)size);
	if (size > kernel->modules->types_left)
		return error_create_at(NUNCHI_ERROR_UNSUPPORTED, btf,
				       "the types of the modules are larger than %llu MiB "
				       "together, which is the limit",
				       (unsigned long long)MAX_BTF_READ >> 20);
	/*
	 * Ids and names of the module's types continue those of the kernel, so both must fit
	 * together.
	 */
	if (layout->btf_start_id.present && first != type_index_count(kernel->types))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the types of the module %s continue %llu types of the kernel, "
				    "but the kernel's types in use are %u (given with --types?)",
				    module->name, (unsigned long long)first,
				    type_index_count(kernel->types));
	data = malloc(size);
	if (!data)
		return &error_nomem;
	if (linux_read(kernel, object_u64(&object, &layout->btf_data), data, size) != READ_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, btf,
				       "the types of the module %s cannot be read", module->name);
	err = type_index_from_split_btf(kernel->types, data, size, ret);
	if (!err)
		kernel->modules->types_left -= size;
	return error_context(err, "module %s", module->name);
}

struct nunchi_error *linux_module_types(struct linux_kernel *kernel, struct linux_module *module,
					struct type_index **ret)
{
	struct nunchi_error *err = NULL;
	uint64_t btf = 0;

	if (!module->types) {
		err = find_btf(kernel, module, &btf);
		if (!err)
			err = read_btf(kernel, module, btf, &module->types);
	}
	if (!err)
		*ret = module->types;
	return err;
}
