/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks up symbols of modules that /proc/kallsyms of a guest has, by address and by name. Several
 * can have one address, and several of a module can have one name.
 *
 *	module_symbols TARGET TYPES SYMBOLS <LIST
 *
 * TYPES and SYMBOLS are files, or "" for what the guest's memory has. A line of LIST is an address
 * in hexadecimal digits, a type, a module and a name. Prints a line for each symbol that is found
 * otherwise, and then how many there were; 1 if one of them was.
 */
#include "core/array.h"
#include "core/error.h"
#include "nunchi/nunchi.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
	uint64_t address;
	char type;
	char module[64], name[512];
};

struct list {
	struct line *lines;
	size_t count, capacity;
};

static int fail(struct nunchi_error *err)
{
	fprintf(stderr, "module_symbols: %s\n", nunchi_error_message(err));
	nunchi_error_destroy(err);
	return 2;
}

static void read_list(struct list *list)
{
	struct line line;

	while (scanf("%" SCNx64 " %c %63s %511s", &line.address, &line.type, line.module,
		     line.name) == 4) {
		if (!ARRAY_RESERVE(list->lines, list->count, list->capacity, 1))
			exit(fail(&error_nomem));
		list->lines[list->count++] = line;
	}
}

/*
 * Whether the list has a symbol like this one. In /proc/kallsyms the type is a capital letter if
 * the module exports the symbol, which its table of symbols does not tell.
 */
static bool has(const struct list *list, const struct nunchi_symbol *symbol)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct line *line = &list->lines[i];

		if (line->address == symbol->address &&
		    tolower(line->type) == tolower(symbol->type) && symbol->module &&
		    !strcmp(line->module, symbol->module) && !strcmp(line->name, symbol->name))
			return true;
	}
	return false;
}

/* Prints how what was found differs from what was looked up. */
static bool is_wrong(const struct list *list, const struct line *want, const char *how,
		     struct nunchi_error *err, const struct nunchi_symbol *got)
{
	if (!err && has(list, got))
		return false;
	printf("%s:%s %c at 0x%" PRIx64 " by its %s: ", want->module, want->name, want->type,
	       want->address, how);
	if (err)
		printf("%s\n", nunchi_error_message(err));
	else
		printf("%s:%s %c at 0x%" PRIx64 "\n", got->module ? got->module : "", got->name,
		       got->type, got->address);
	nunchi_error_destroy(err);
	return true;
}

static bool look_up(struct nunchi_guest *guest, const struct list *list, const struct line *want)
{
	char name[sizeof(want->module) + sizeof(want->name) + 1];
	struct nunchi_symbol got;
	struct nunchi_error *err;

	/* What is absolute, as each CPU's variables are, lies at no address of the module. */
	if (tolower(want->type) != 'a') {
		err = nunchi_symbol_at(guest, want->address, &got);
		if (is_wrong(list, want, "address", err, &got) || got.address != want->address)
			return false;
	}
	snprintf(name, sizeof(name), "%s:%s", want->module, want->name);
	err = nunchi_symbol_find(guest, name, &got);
	return !is_wrong(list, want, "name", err, &got) && !strcmp(got.name, want->name);
}

int main(int argc, char **argv)
{
	struct nunchi_guest_options options = {.size = sizeof(options)};
	struct nunchi_context *context;
	struct nunchi_guest *guest;
	struct nunchi_error *err;
	struct list list = {0};
	size_t wrong = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: module_symbols TARGET TYPES SYMBOLS <LIST\n");
		return 2;
	}
	options.types_path = argv[2][0] ? argv[2] : NULL;
	options.symbols_path = argv[3][0] ? argv[3] : NULL;
	read_list(&list);
	err = nunchi_context_create(0, &context);
	if (err)
		return fail(err);
	err = nunchi_guest_open(context, argv[1], &options, &guest);
	if (err)
		return fail(err);
	for (size_t i = 0; i < list.count; i++)
		wrong += !look_up(guest, &list, &list.lines[i]);
	printf("%zu symbols, %zu wrong\n", list.count, wrong);
	nunchi_guest_close(guest);
	nunchi_context_destroy(context);
	free(list.lines);
	return wrong ? 1 : 0;
}
