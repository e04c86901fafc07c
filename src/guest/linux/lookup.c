/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/lookup.h"

#include "core/buffer.h"
#include "guest/linux/module_index.h"
#include "symbols/symbol_variant.h"

#include <string.h>

/* Greatest number of modules that an error lists. */
#define MAX_NAMED 8
/* Limit of the members compared when two types are compared. */
#define MAX_MEMBERS 4096

/* The modules that have a name, for an error message. */
struct owners {
	struct buffer text;
	size_t count;
};

static void add_owner(struct owners *owners, const char *module)
{
	if (owners->count++ < MAX_NAMED)
		buffer_printf(&owners->text, "%s%s", owners->text.size ? ", " : "", module);
	else if (owners->count == MAX_NAMED + 1)
		buffer_append_string(&owners->text, " and more");
}

static struct nunchi_error *ambiguous(const char *what, const char *name,
				      const struct owners *owners, const char *first)
{
	return error_hint(error_create(NUNCHI_ERROR_AMBIGUOUS,
				       "%s \"%s\" is in several modules: %s", what, name,
				       buffer_string(&owners->text)),
			  "name one of them: %s:%s", first, name);
}

/*
 * Splits "MODULE:NAME"; *ret_module is NULL if there is no such prefix. "::" is part of a name.
 * Fails if there is no module with that name.
 */
static struct nunchi_error *split(struct linux_kernel *kernel, const char *name,
				  struct linux_module **ret_module, const char **ret_name)
{
	const char *colon = strchr(name, ':');
	struct linux_module_index *index;
	struct nunchi_error *err;

	*ret_module = NULL;
	*ret_name = name;
	if (!colon || colon == name || colon[1] == ':' || !colon[1])
		return NULL;
	err = linux_module_index(kernel, &index);
	if (err)
		return err;
	*ret_module = linux_module_named(index, name, (size_t)(colon - name));
	*ret_name = colon + 1;
	if (*ret_module)
		return NULL;
	return error_create(NUNCHI_ERROR_NOT_FOUND,
			    "no module \"%.*s\" among the %zu modules of the kernel%s",
			    (int)(colon - name), name, index->count,
			    linux_modules_missing(index) ? ", of which not all can be read" : "");
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/*
 * Whether a symbol matches: it has the name itself (SYMBOL_UNRELATED), or is a variant or piece of
 * it.
 */
static bool matches(const char *symbol, const char *name, enum symbol_variant variant)
{
	if (variant == SYMBOL_UNRELATED)
		return !strcmp(symbol, name);
	return symbol_variant_of(symbol, name) == variant;
}

/*
 * Finds the symbols that match in one module, or in all (module is NULL), at most one in each
 * module. *ret is the first.
 */
static size_t find_in_modules(const struct linux_module_index *index,
			      const struct linux_module *module, const char *name,
			      enum symbol_variant variant, struct owners *owners,
			      struct guest_symbol *ret)
{
	uint32_t last = UINT32_MAX;
	size_t count = 0;

	for (size_t i = 0; i < module_symbols_count(index->symbols); i++) {
		struct module_symbol found = module_symbols_get(index->symbols, i);
		const struct linux_module *owner = &index->items[found.module];

		if ((module && owner != module) || !matches(found.name, name, variant))
			continue;
		/*
		 * A module may have several static symbols with one name; the kernel uses the first
		 * one, too.
		 */
		if (variant == SYMBOL_UNRELATED && found.module == last)
			continue;
		last = found.module;
		add_owner(owners, owner->name);
		if (count++)
			continue;
		*ret = (struct guest_symbol){
		    .symbol = {.name = found.name, .address = found.address, .type = found.type},
		    .module = owner->name,
		};
	}
	return count;
}

/* For an error, after the module's name: why its symbols were left out, if they were. */
static const char *left_out(const struct linux_module *module)
{
	return module->symbols_left_out ? module->symbols_left_out : "";
}

static struct nunchi_error *not_found(const char *name, const struct symbol_index *symbols,
				      const struct linux_module *module,
				      const struct linux_module_index *index)
{
	struct owners unread = {0};
	struct nunchi_error *err;
	const char *near = NULL;

	if (module)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "no symbol \"%s\" in the module %s%s",
				    name, module->name, left_out(module));
	for (size_t i = 0; index && i < index->count; i++) {
		if (index->items[i].symbols_left_out)
			add_owner(&unread, index->items[i].name);
	}
	err = error_create(
	    NUNCHI_ERROR_NOT_FOUND, "no symbol \"%s\"%s%s%s%s", name,
	    index ? "" : " in the kernel (the symbols of its modules cannot be read)",
	    index && linux_modules_missing(index)
		? " in the kernel and in the modules that could be listed"
		: "",
	    unread.count ? "; modules left out, whose symbol table cannot be read or is too large: "
			 : "",
	    unread.count ? buffer_string(&unread.text) : "");
	buffer_deinit(&unread.text);
	if (symbols)
		near = symbol_index_suggest(symbols, name);
	if (near)
		return error_hint(err, "did you mean %s?", near);
	return error_hint(err, "nunchi show TARGET symbols --where 'name^=PREFIX' lists those that "
			       "begin so");
}

/*
 * Finds the kernel's symbol with the name, or its variant or piece if there is exactly one.
 * *ret_count is the number found.
 */
static bool find_in_kernel(const struct symbol_index *symbols, const char *name,
			   enum symbol_variant variant, struct guest_symbol *ret, size_t *ret_count)
{
	size_t at = 0;

	*ret_count = variant == SYMBOL_UNRELATED ? symbol_index_find(symbols, name, &at)
						 : symbol_index_find_variants(symbols, name, &at);
	if (!*ret_count || !matches(symbol_index_get(symbols, at).name, name, variant)) {
		*ret_count = 0;
		return false;
	}
	*ret = (struct guest_symbol){.symbol = symbol_index_get(symbols, at)};
	return true;
}

/*
 * Gets the index of modules after reading their symbols; NULL if the modules cannot be walked,
 * which is not an error here.
 */
static struct nunchi_error *modules_with_symbols(struct linux_kernel *kernel,
						 struct linux_module *module,
						 struct linux_module_index **ret)
{
	struct nunchi_error *err = linux_module_index(kernel, ret);

	if (!err)
		return linux_module_read_symbols(kernel, *ret, module);
	*ret = NULL;
	if (!error_is(err, NUNCHI_ERROR_UNSUPPORTED))
		return err;
	nunchi_error_destroy(err);
	return NULL;
}

struct nunchi_error *linux_symbol_find(struct linux_kernel *kernel, const char *name,
				       struct guest_symbol *ret)
{
	static const enum symbol_variant ways[] = {SYMBOL_UNRELATED, SYMBOL_VARIANT, SYMBOL_PIECE};
	struct linux_module_index *index = NULL;
	struct symbol_index *symbols = NULL;
	struct linux_module *module;
	struct nunchi_error *err = split(kernel, name, &module, &name);
	size_t count = 0;

	if (!err && !module) {
		err = linux_symbols(kernel, &symbols);
		if (!err && find_in_kernel(symbols, name, SYMBOL_UNRELATED, ret, &count))
			return NULL;
	}
	if (!err)
		err = modules_with_symbols(kernel, module, &index);
	for (size_t i = 0; !err && i < ARRAY_SIZE(ways); i++) {
		struct owners owners = {0};
		struct guest_symbol in_modules;
		size_t more = 0;

		if (symbols)
			find_in_kernel(symbols, name, ways[i], ret, &count);
		if (index)
			more = find_in_modules(index, module, name, ways[i], &owners, &in_modules);
		if (!count && more)
			*ret = in_modules;
		if (count + more > 1)
			err = count ? error_create(NUNCHI_ERROR_AMBIGUOUS,
						   "no symbol \"%s\", but several variants of it "
						   "that the compiler made: %s is one",
						   name, ret->symbol.name)
				    : ambiguous("symbol", name, &owners, in_modules.module);
		buffer_deinit(&owners.text);
		if (err || count + more)
			return err;
	}
	return err ? err : not_found(name, symbols, module, index);
}

static struct nunchi_error *symbol_of_module(struct linux_kernel *kernel, uint64_t address,
					     struct linux_module_index *index,
					     struct linux_module *module, struct guest_symbol *ret)
{
	struct nunchi_error *err = linux_module_read_symbols(kernel, index, module);
	struct module_symbol found;
	size_t at;

	if (err)
		return err;
	/* The symbol before the address may be in another area of the module. */
	if (!module_symbols_at(index->symbols, (uint32_t)(module - index->items), address, &at) ||
	    !linux_module_same_area(module, address,
				    module_symbols_get(index->symbols, at).address))
		return error_create_at(
		    NUNCHI_ERROR_NOT_FOUND, address, "0x%llx is in the module %s%s",
		    (unsigned long long)address, module->name,
		    module->symbols_left_out ? left_out(module)
					     : ", before its first symbol there");
	found = module_symbols_get(index->symbols, at);
	*ret = (struct guest_symbol){
	    .symbol = {.name = found.name, .address = found.address, .type = found.type},
	    .module = module->name,
	};
	return NULL;
}

struct nunchi_error *linux_symbol_at(struct linux_kernel *kernel, uint64_t address,
				     struct guest_symbol *ret)
{
	bool in_image = address >= kernel->text_virtual && address < kernel->image_end;
	struct linux_module_index *index = NULL;
	struct linux_module *module = NULL;
	struct symbol_index *symbols;
	struct nunchi_error *err = NULL;
	size_t at;

	if (!in_image) {
		err = linux_module_index(kernel, &index);
		if (err && !error_is(err, NUNCHI_ERROR_UNSUPPORTED))
			return err;
		nunchi_error_destroy(err);
		module = index ? linux_module_at(index, address) : NULL;
		if (module)
			return symbol_of_module(kernel, address, index, module, ret);
	}
	err = linux_symbols(kernel, &symbols);
	if (err)
		return err;
	if (!in_image || !symbol_index_at(symbols, address, &at))
		return error_create_at(
		    NUNCHI_ERROR_NOT_FOUND, address,
		    "0x%llx is neither in the kernel's image (0x%llx – 0x%llx) nor in a module%s",
		    (unsigned long long)address, (unsigned long long)kernel->text_virtual,
		    (unsigned long long)kernel->image_end,
		    !index || linux_modules_missing(index) ? ", as far as these can be listed"
							   : "");
	*ret = (struct guest_symbol){.symbol = symbol_index_get(symbols, at)};
	return NULL;
}

/* ---- Types ----------------------------------------------------------------------------------- */

static bool is_declaration(const struct guest_type *found)
{
	struct type type;

	return !type_index_get(found->types, found->id, &type) || type.kind == TYPE_FORWARD;
}

/* Whether two types have the same members at the same offsets with the same types as text. */
static bool is_same(const struct guest_type *a, const struct guest_type *b)
{
	struct type x, y;

	if (!type_index_get(a->types, a->id, &x) || !type_index_get(b->types, b->id, &y) ||
	    x.kind != y.kind || x.size != y.size || x.count != y.count)
		return false;
	if (x.kind != TYPE_STRUCT && x.kind != TYPE_UNION) {
		char left[256], right[256];

		type_index_spell(a->types, x.target, left, sizeof(left));
		type_index_spell(b->types, y.target, right, sizeof(right));
		return !strcmp(left, right);
	}
	for (uint32_t i = 0; i < x.count && i < MAX_MEMBERS; i++) {
		struct type_member m, n;

		if (!type_index_member(a->types, a->id, i, &m) ||
		    !type_index_member(b->types, b->id, i, &n) || strcmp(m.name, n.name) ||
		    m.bit_offset != n.bit_offset || m.bit_size != n.bit_size)
			return false;
	}
	return true;
}

/* Whether a module's own types have the name; a lookup finds the kernel's types too. */
static bool find_own(const struct type_index *types, const char *name, type_id *ret)
{
	return type_index_find(types, name, ret) && *ret >= type_index_first(types);
}

/* The modules whose types cannot be read. */
struct unread {
	size_t count;
	struct nunchi_error *first; /* why those of the first cannot; owned */
};

static void add_unread(struct unread *unread, struct nunchi_error *err)
{
	if (unread->count++)
		nunchi_error_destroy(err);
	else
		unread->first = err;
}

/* Searches all modules. Modules whose types cannot be read are skipped and added to *unread. */
static struct nunchi_error *find_type_in_modules(struct linux_kernel *kernel, const char *name,
						 struct guest_type *ret, struct unread *unread)
{
	struct guest_type first = {0}, found;
	struct owners owners = {0};
	struct linux_module_index *index;
	struct nunchi_error *err = linux_module_index(kernel, &index);
	bool differs = false;

	for (size_t i = 0; !err && i < index->count; i++) {
		struct linux_module *module = &index->items[i];
		struct type_index *types;

		if (cancel_requested(kernel->guest.cancel)) {
			err = error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
			break;
		}
		err = linux_module_types(kernel, module, &types);
		if (error_is(err, NUNCHI_ERROR_NOMEM))
			break;
		if (err) {
			if (error_is(err, NUNCHI_ERROR_NOT_FOUND))
				nunchi_error_destroy(err);
			else
				add_unread(unread, err);
			err = NULL;
			continue;
		}
		found = (struct guest_type){.types = types, .module = module->name};
		if (!find_own(types, name, &found.id) || is_declaration(&found))
			continue;
		add_owner(&owners, module->name);
		if (!first.types)
			first = found;
		else
			differs |= !is_same(&first, &found);
	}
	if (!err && differs)
		err = ambiguous("type", name, &owners, first.module);
	buffer_deinit(&owners.text);
	if (!err && !first.types)
		return &error_not_found;
	if (!err)
		*ret = first;
	return err;
}

static struct nunchi_error *no_such_type(const struct linux_kernel *kernel, const char *name,
					 const struct unread *unread)
{
	const char *near = type_index_suggest(kernel->types, name);
	struct nunchi_error *err =
	    unread->count
		? error_create(NUNCHI_ERROR_NOT_FOUND,
			       "no type \"%s\" in this kernel; the types of %zu modules cannot be "
			       "read: %s",
			       name, unread->count, nunchi_error_message(unread->first))
		: error_create(NUNCHI_ERROR_NOT_FOUND, "no type \"%s\" in this kernel", name);

	return near ? error_hint(err, "did you mean %s?", near) : err;
}

/* Finds a type of the module that the user named; or the kernel's type as the module uses it. */
static struct nunchi_error *find_type_of_module(struct linux_kernel *kernel,
						struct linux_module *module, const char *name,
						struct guest_type *ret)
{
	struct type_index *types;
	struct nunchi_error *err = linux_module_types(kernel, module, &types);
	type_id id;

	if (err)
		return err;
	if (!type_index_find(types, name, &id))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "no type \"%s\" in the module %s", name,
				    module->name);
	*ret = (struct guest_type){
	    .types = types,
	    .id = id,
	    .module = id >= type_index_first(types) ? module->name : NULL,
	};
	return NULL;
}

struct nunchi_error *linux_type_find(struct linux_kernel *kernel, const char *name,
				     struct guest_type *ret)
{
	struct guest_type own = {.types = kernel->types};
	struct linux_module *module;
	struct unread unread = {0};
	struct nunchi_error *err;
	bool found;

	if (!kernel->types)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "this kernel's types are missing: %s",
					       kernel->types_missing),
				  "give them with --types (a BTF file, vmlinux or ISF)");
	err = split(kernel, name, &module, &name);
	if (!err && module)
		return find_type_of_module(kernel, module, name, ret);
	if (err)
		return err;
	found = type_index_find(kernel->types, name, &own.id);
	if (found && !is_declaration(&own)) {
		*ret = own;
		return NULL;
	}
	err = find_type_in_modules(kernel, name, ret, &unread);
	if (error_is(err, NUNCHI_ERROR_NOT_FOUND) || error_is(err, NUNCHI_ERROR_UNSUPPORTED)) {
		nunchi_error_destroy(err);
		/* If there is no definition, give the declaration. */
		err = found ? NULL : no_such_type(kernel, name, &unread);
		if (found)
			*ret = own;
	}
	nunchi_error_destroy(unread.first);
	return err;
}

/* Several static functions may have one name. */
static struct nunchi_error *check_unique(struct linux_kernel *kernel, const char *name)
{
	struct symbol_index *symbols;
	struct nunchi_error *err = linux_symbols(kernel, &symbols);
	size_t count = 0;

	if (err)
		return err;
	for (size_t i = 0; i < symbol_index_count(symbols); i++)
		count += !strcmp(symbol_index_get(symbols, i).name, name);
	if (count < 2)
		return NULL;
	return error_create(NUNCHI_ERROR_AMBIGUOUS, "the kernel has %zu functions of this name",
			    count);
}

struct nunchi_error *linux_function_types(struct linux_kernel *kernel, const char *name,
					  struct type_index **ret)
{
	struct linux_module_index *index;
	struct linux_module *module;
	struct guest_symbol found;
	struct type_index *types;
	struct nunchi_error *err = linux_symbol_find(kernel, name, &found);

	if (err)
		return err;
	if (!found.module) {
		if (!kernel->types)
			return error_create(NUNCHI_ERROR_UNSUPPORTED, "the kernel has no types: %s",
					    kernel->types_missing ? kernel->types_missing : "");
		*ret = type_index_ref(kernel->types);
		return check_unique(kernel, name);
	}
	err = linux_module_index(kernel, &index);
	if (err)
		return err;
	module = linux_module_named(index, found.module, strlen(found.module));
	if (!module)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "its module is gone");
	err = linux_module_types(kernel, module, &types);
	if (!err)
		*ret = type_index_ref(types);
	return err;
}
