/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/module_symbols.h"

#include "core/array.h"
#include "core/bytes.h"
#include "symbols/symbol_index_private.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t address;
	uint32_t name; /* offset into names */
	uint32_t module;
	uint32_t order; /* position in the order of adding */
	char type;
};

struct module_symbols {
	struct entry *entries;
	size_t count, capacity;
	char *names; /* NUL-terminated, one after the other */
	size_t names_size, names_capacity;
};

/* The fields that are used of an entry of a symbol table. */
struct elf_symbol {
	uint64_t value;
	uint32_t name;
	uint16_t section;
};

size_t module_symtab_entry(unsigned word_size)
{
	return word_size == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

static struct elf_symbol read_entry(const uint8_t *entry, unsigned word_size)
{
	if (word_size == 8)
		return (struct elf_symbol){
		    .name = load_le32(entry + offsetof(Elf64_Sym, st_name)),
		    .section = load_le16(entry + offsetof(Elf64_Sym, st_shndx)),
		    .value = load_le64(entry + offsetof(Elf64_Sym, st_value)),
		};
	return (struct elf_symbol){
	    .name = load_le32(entry + offsetof(Elf32_Sym, st_name)),
	    .section = load_le16(entry + offsetof(Elf32_Sym, st_shndx)),
	    .value = load_le32(entry + offsetof(Elf32_Sym, st_value)),
	};
}

uint32_t module_symtab_last_name(const uint8_t *symbols, uint32_t count, unsigned word_size)
{
	size_t size = module_symtab_entry(word_size);
	uint32_t last = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t name = read_entry(symbols + i * size, word_size).name;

		if (name > last)
			last = name;
	}
	return last;
}

struct nunchi_error *module_symbols_create(struct module_symbols **ret)
{
	struct module_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return &error_nomem;
	*ret = symbols;
	return NULL;
}

void module_symbols_destroy(struct module_symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->entries);
	free(symbols->names);
	free(symbols);
}

static struct nunchi_error *add(struct module_symbols *symbols, const struct elf_symbol *symbol,
				uint32_t module, char type, const char *name, size_t size)
{
	if (symbols->count >= SYMBOL_COUNT_MAX || symbols->names_size + size + 1 > SYMBOL_ARENA_MAX)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the modules have more than %zu symbols or more than %zu MiB "
				    "of names, which is the limit",
				    SYMBOL_COUNT_MAX, SYMBOL_ARENA_MAX >> 20);
	if (!ARRAY_RESERVE(symbols->entries, symbols->count, symbols->capacity, 1) ||
	    !ARRAY_RESERVE(symbols->names, symbols->names_size, symbols->names_capacity, size + 1))
		return &error_nomem;
	symbols->entries[symbols->count] = (struct entry){
	    .address = symbol->value,
	    .name = (uint32_t)symbols->names_size,
	    .module = module,
	    .order = (uint32_t)symbols->count,
	    .type = type,
	};
	symbols->count++;
	memcpy(symbols->names + symbols->names_size, name, size);
	symbols->names[symbols->names_size + size] = 0;
	symbols->names_size += size + 1;
	return NULL;
}

struct nunchi_error *module_symbols_add(struct module_symbols *symbols, uint32_t module,
					const struct module_symtab *table)
{
	size_t entry_size = module_symtab_entry(table->word_size);
	size_t count = symbols->count, names_size = symbols->names_size;
	struct nunchi_error *err = NULL;

	for (uint32_t i = 0; i < table->count && !err; i++) {
		struct elf_symbol symbol =
		    read_entry(table->symbols + i * entry_size, table->word_size);
		char type = table->types ? table->types[i] : '?';
		const char *name;
		size_t size;

		if (symbol.section == SHN_UNDEF || symbol.name >= table->strings_size)
			continue;
		name = table->strings + symbol.name;
		size = strnlen(name, table->strings_size - symbol.name);
		/* A name without a NUL is truncated or invalid. */
		if (!size || size > SYMBOL_NAME_MAX || size == table->strings_size - symbol.name)
			continue;
		if (type <= ' ' || type > '~')
			type = '?';
		err = add(symbols, &symbol, module, type, name, size);
	}
	if (err) {
		symbols->count = count;
		symbols->names_size = names_size;
	}
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void module_symbols_seal(struct module_symbols *symbols)
{
	if (symbols->count)
		qsort(symbols->entries, symbols->count, sizeof(*symbols->entries), compare);
}

size_t module_symbols_count(const struct module_symbols *symbols)
{
	return symbols->count;
}

struct module_symbol module_symbols_get(const struct module_symbols *symbols, size_t i)
{
	const struct entry *entry = &symbols->entries[i];

	return (struct module_symbol){
	    .name = symbols->names + entry->name,
	    .address = entry->address,
	    .module = entry->module,
	    .type = entry->type,
	};
}

bool module_symbols_at(const struct module_symbols *symbols, uint32_t module, uint64_t address,
		       size_t *ret)
{
	size_t low = 0, high = symbols->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->entries[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	/* Modules do not overlap, so there are few symbols of other modules between. */
	while (low-- > 0) {
		if (symbols->entries[low].module == module) {
			*ret = low;
			return true;
		}
	}
	return false;
}
