/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ELF file for gdb: the symbols of the kernel and its modules at the addresses at which this
 * guest has them, in sections without content, which gdb wants around each symbol. The bytes come
 * from the guest. Beside them the kernel's BTF.
 */
#include "core/array.h"
#include "core/bytes.h"
#include "export/export.h"
#include "guest/linux/module_index.h"
#include "output/escape.h"

#include <elf.h>
#include <string.h>

/* Sections beyond these would need the extended numbering of ELF; a symbol there is absolute. */
#define SECTIONS_MAX 4096
#define ALIGNMENT    8

struct section {
	uint64_t start, end; /* addresses; 0 of a section that is not in memory */
	uint32_t name;       /* in the table of names */
	uint32_t type, link, info;
	uint64_t flags, offset, size, entry;
};

struct elf {
	bool wide;
	struct section *sections;
	size_t count, capacity, in_memory; /* the first ones are in memory, by address */
	struct buffer names, symbols, strings, frames;
	uint32_t locals; /* symbols that are local; they come first */
	const struct cancel *cancel;
	bool failed; /* memory ran out */
};

static void put(struct buffer *out, uint64_t value, unsigned size)
{
	uint8_t bytes[8];

	store_le64(bytes, value);
	buffer_append(out, bytes, size);
}

/* A value that is as wide as an address. */
static void put_word(const struct elf *elf, struct buffer *out, uint64_t value)
{
	put(out, value, elf->wide ? 8 : 4);
}

/* A name of the guest's may be made for the terminal on which gdb prints it. */
static void put_name(struct buffer *out, const char *name)
{
	escape_text(out, name, strlen(name));
	buffer_append_char(out, '\0');
}

static size_t pad(uint64_t size)
{
	return (size_t)(-size % ALIGNMENT);
}

/* ---- Sections -------------------------------------------------------------------------------- */

/* Valid until the next call; NULL if memory is short. */
static struct section *add_section(struct elf *elf, const char *name, uint32_t type)
{
	struct section *section;

	if (!ARRAY_RESERVE(elf->sections, elf->count, elf->capacity, 1)) {
		elf->failed = true;
		return NULL;
	}
	section = &elf->sections[elf->count++];
	*section = (struct section){.name = (uint32_t)elf->names.size, .type = type};
	put_name(&elf->names, name);
	return section;
}

static void add_memory(struct elf *elf, const char *name, uint64_t start, uint64_t end,
		       uint64_t flags)
{
	struct section *section;

	if (start >= end || elf->count >= SECTIONS_MAX)
		return;
	section = add_section(elf, name, SHT_NOBITS);
	if (!section)
		return;
	section->start = start;
	section->end = end;
	section->size = end - start;
	section->flags = SHF_ALLOC | flags;
}

static uint64_t address_of(const struct symbol_index *symbols, const char *name)
{
	size_t i;

	return symbol_index_find(symbols, name, &i) ? symbol_index_get(symbols, i).address : 0;
}

static void add_image(struct elf *elf, const struct linux_kernel *kernel,
		      const struct symbol_index *symbols)
{
	uint64_t start = kernel->text_virtual, end = kernel->image_end;
	uint64_t text_end = address_of(symbols, "_etext");

	if (text_end < start || text_end > end)
		text_end = end;
	add_memory(elf, ".text", start, text_end, SHF_EXECINSTR);
	add_memory(elf, ".data", text_end, end, SHF_WRITE);
}

/* Until 6.3 a module's code, constants and variables are one area. */
static void add_modules(struct elf *elf, const struct linux_module_index *modules)
{
	for (size_t i = 0; i < modules->count; i++) {
		const struct linux_module *module = &modules->items[i];

		for (unsigned n = 0; n < module->area_count; n++)
			add_memory(elf, module->name, module->areas[n].start,
				   module->areas[n].start + module->areas[n].size, SHF_EXECINSTR);
	}
}

static int compare_sections(const void *a, const void *b)
{
	const struct section *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

/* The section around an address; 0 if there is none. *ret_end is the section's end. */
static uint16_t section_at(const struct elf *elf, uint64_t address, uint64_t *ret_end)
{
	size_t low = 1, high = elf->in_memory;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (elf->sections[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low >= elf->in_memory || elf->sections[low].start > address)
		return 0;
	*ret_end = elf->sections[low].end;
	return (uint16_t)low;
}

/* ---- Symbols --------------------------------------------------------------------------------- */

static unsigned char binding(char letter)
{
	if (strchr("WwVv", letter))
		return STB_WEAK;
	return letter >= 'a' && letter <= 'z' ? STB_LOCAL : STB_GLOBAL;
}

/* next: the address of the next symbol, up to which this one is. */
static void put_symbol(struct elf *elf, const struct symbol *symbol, uint64_t next,
		       unsigned char bind)
{
	uint64_t address = symbol->address, end = address;
	uint16_t section = section_at(elf, address, &end);
	uint64_t size = next > address && next < end ? next - address : end - address;
	unsigned char type = strchr("TtWw", symbol->type) ? STT_FUNC : STT_OBJECT;
	uint8_t info[2] = {(uint8_t)ELF64_ST_INFO(bind, section ? type : STT_NOTYPE), STV_DEFAULT};
	struct buffer *out = &elf->symbols;

	put(out, elf->strings.size, 4);
	if (elf->wide)
		buffer_append(out, info, 2);
	if (elf->wide)
		put(out, section ? section : SHN_ABS, 2);
	put_word(elf, out, address);
	put_word(elf, out, size);
	if (!elf->wide)
		buffer_append(out, info, 2);
	if (!elf->wide)
		put(out, section ? section : SHN_ABS, 2);
	put_name(&elf->strings, symbol->name);
	elf->locals += bind == STB_LOCAL;
}

/* Whether to go on. */
static bool may_put(const struct elf *elf)
{
	return !elf->symbols.failed && !elf->strings.failed && !cancel_requested(elf->cancel);
}

/* `next` goes forward to the first symbol behind symbol i that is not at the same address. */
static uint64_t next_address(const struct symbol_index *symbols, size_t i, size_t *next)
{
	uint64_t address = symbol_index_get(symbols, i).address;
	size_t count = symbol_index_count(symbols);

	if (*next <= i)
		*next = i + 1;
	while (*next < count && symbol_index_get(symbols, *next).address == address)
		(*next)++;
	return *next < count ? symbol_index_get(symbols, *next).address : UINT64_MAX;
}

static void put_kernel_symbols(struct elf *elf, const struct symbol_index *symbols, bool local)
{
	size_t next = 0;

	for (size_t i = 0; i < symbol_index_count(symbols) && may_put(elf); i++) {
		struct symbol symbol = symbol_index_get(symbols, i);
		uint64_t end = next_address(symbols, i, &next);

		if ((binding(symbol.type) == STB_LOCAL) == local)
			put_symbol(elf, &symbol, end, binding(symbol.type));
	}
}

/* All are local: two modules may have the same names. */
static void put_module_symbols(struct elf *elf, const struct module_symbols *symbols)
{
	size_t count = symbols ? module_symbols_count(symbols) : 0, next = 0;

	for (size_t i = 0; i < count && may_put(elf); i++) {
		struct module_symbol from = module_symbols_get(symbols, i);
		struct symbol symbol = {from.name, from.address, from.type};

		if (next <= i)
			next = i + 1;
		while (next < count && module_symbols_get(symbols, next).address == from.address)
			next++;
		put_symbol(elf, &symbol,
			   next < count ? module_symbols_get(symbols, next).address : 0, STB_LOCAL);
	}
}

/* ---- The file -------------------------------------------------------------------------------- */

static void put_header(const struct elf *elf, struct buffer *out, uint64_t table, size_t names)
{
	const uint8_t ident[EI_NIDENT] = {
	    ELFMAG0,     ELFMAG1,   ELFMAG2, ELFMAG3, elf->wide ? ELFCLASS64 : ELFCLASS32,
	    ELFDATA2LSB, EV_CURRENT};

	buffer_append(out, ident, sizeof(ident));
	put(out, ET_EXEC, 2);
	put(out, elf->wide ? EM_X86_64 : EM_386, 2);
	put(out, EV_CURRENT, 4);
	put_word(elf, out, 0); /* entry */
	put_word(elf, out, 0); /* program headers */
	put_word(elf, out, table);
	put(out, 0, 4); /* flags */
	put(out, elf->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), 2);
	put(out, 0, 4); /* size and number of program headers */
	put(out, elf->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr), 2);
	put(out, elf->count, 2);
	put(out, names, 2);
}

static void put_section(const struct elf *elf, struct buffer *out, const struct section *section)
{
	put(out, section->name, 4);
	put(out, section->type, 4);
	put_word(elf, out, section->flags);
	put_word(elf, out, section->start);
	put_word(elf, out, section->offset);
	put_word(elf, out, section->size);
	put(out, section->link, 4);
	put(out, section->info, 4);
	put_word(elf, out, section->type == SHT_NULL ? 0 : 1);
	put_word(elf, out, section->entry);
}

/* Adds a section that stands in the file, at *at; moves *at behind it. Gives its number. */
static size_t add_content(struct elf *elf, const char *name, uint32_t type, uint64_t size,
			  uint64_t *at)
{
	struct section *section = add_section(elf, name, type);

	if (!section)
		return 0;
	section->offset = *at;
	section->size = size;
	*at += size + pad(size);
	return elf->count - 1;
}

struct pieces {
	export_write *write;
	void *data;
	struct nunchi_error *err;
};

static void write_piece(struct pieces *pieces, const struct buffer *piece)
{
	static const uint8_t zeros[ALIGNMENT];

	if (!pieces->err && piece->size)
		pieces->err = pieces->write(piece->data, piece->size, pieces->data);
	if (!pieces->err && pad(piece->size))
		pieces->err = pieces->write(zeros, pad(piece->size), pieces->data);
}

static void write_btf(struct pieces *pieces, struct linux_kernel *kernel, uint64_t size)
{
	static const uint8_t zeros[ALIGNMENT];

	if (!pieces->err)
		pieces->err = export_btf(kernel, pieces->write, pieces->data);
	if (!pieces->err && pad(size))
		pieces->err = pieces->write(zeros, pad(size), pieces->data);
}

/* Why the file cannot be made. */
static struct nunchi_error *failure(const struct elf *elf, const struct buffer *header,
				    const struct buffer *table)
{
	const struct buffer *const parts[] = {header,        table,         &elf->names,
					      &elf->symbols, &elf->strings, &elf->frames};
	bool too_large = false;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (elf->failed || (parts[i]->failed && parts[i]->no_memory))
			return &error_nomem;
		too_large |= parts[i]->failed;
	}
	return too_large ? error_create(NUNCHI_ERROR_UNSUPPORTED,
					"the symbols take more than 64 MiB, which is the limit")
			 : NULL;
}

/* Header, symbols, strings, frames, BTF, names of sections, sections. */
static struct nunchi_error *write_file(struct elf *elf, struct linux_kernel *kernel,
				       export_write *write, void *data)
{
	struct pieces pieces = {.write = write, .data = data};
	uint64_t at = elf->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), btf = 0;
	_cleanup_buffer_ struct buffer header, table;
	size_t symbols, names;

	buffer_init(&header, 0);
	buffer_init(&table, 0);
	at += pad(at);
	symbols = add_content(elf, ".symtab", SHT_SYMTAB, elf->symbols.size, &at);
	if (symbols) {
		elf->sections[symbols].link = (uint32_t)elf->count;
		elf->sections[symbols].info = elf->locals + 1;
		elf->sections[symbols].entry = elf->wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	}
	add_content(elf, ".strtab", SHT_STRTAB, elf->strings.size, &at);
	if (elf->frames.size)
		add_content(elf, ".debug_frame", SHT_PROGBITS, elf->frames.size, &at);
	if (export_btf_size(kernel, &btf))
		add_content(elf, ".BTF", SHT_PROGBITS, btf, &at);
	names = add_content(elf, ".shstrtab", SHT_STRTAB, 0, &at);
	if (names) {
		elf->sections[names].size = elf->names.size;
		at += elf->names.size + pad(elf->names.size);
	}
	put_header(elf, &header, at, names);
	for (size_t i = 0; i < elf->count; i++)
		put_section(elf, &table, &elf->sections[i]);
	pieces.err = failure(elf, &header, &table);
	write_piece(&pieces, &header);
	write_piece(&pieces, &elf->symbols);
	write_piece(&pieces, &elf->strings);
	write_piece(&pieces, &elf->frames);
	if (btf)
		write_btf(&pieces, kernel, btf);
	write_piece(&pieces, &elf->names);
	write_piece(&pieces, &table);
	return pieces.err;
}

/* The modules, with all of their symbols that can be read; NULL if there are none. */
static struct nunchi_error *find_modules(struct linux_kernel *kernel, struct export_left *left,
					 struct linux_module_index **ret)
{
	struct nunchi_error *err = linux_module_index(kernel, ret);
	bool listed = !err;

	if (listed)
		err = linux_module_read_symbols(kernel, *ret, NULL);
	if (!error_is(err, NUNCHI_ERROR_UNSUPPORTED))
		return err;
	/* A kernel without modules, or without the types to read them by, has symbols all the same.
	 */
	nunchi_error_destroy(err);
	left->module_symbols = listed;
	if (listed)
		module_symbols_seal((*ret)->symbols);
	return NULL;
}

/* Frames that are too large are left out; if memory is short, the buffer stays marked failed. */
static void add_frames(struct elf *elf, struct linux_kernel *kernel,
		       const struct symbol_index *symbols, struct export_left *left)
{
	export_frames(kernel, symbols, kernel->image_end, &elf->frames);
	left->frames = elf->frames.failed && !elf->frames.no_memory;
	if (left->frames)
		buffer_clear(&elf->frames);
}

static struct nunchi_error *make(struct elf *elf, struct linux_kernel *kernel, export_write *write,
				 void *data, struct export_left *left)
{
	struct linux_module_index *modules = NULL;
	struct symbol_index *symbols;
	struct nunchi_error *err = kernel->guest.system->symbols(&kernel->guest, &symbols);

	if (!err)
		err = find_modules(kernel, left, &modules);
	if (err)
		return err;
	add_section(elf, "", SHT_NULL);
	add_image(elf, kernel, symbols);
	if (modules)
		add_modules(elf, modules);
	elf->in_memory = elf->count;
	if (elf->failed)
		return &error_nomem;
	qsort(elf->sections, elf->count, sizeof(*elf->sections), compare_sections);
	/* Symbol 0 is none. */
	buffer_append_char(&elf->strings, '\0');
	for (size_t i = 0; i < (elf->wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym)); i++)
		buffer_append_char(&elf->symbols, '\0');
	put_kernel_symbols(elf, symbols, true);
	if (modules)
		put_module_symbols(elf, modules->symbols);
	put_kernel_symbols(elf, symbols, false);
	add_frames(elf, kernel, symbols, left);
	if (cancel_requested(kernel->guest.cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	return write_file(elf, kernel, write, data);
}

struct nunchi_error *export_elf(struct linux_kernel *kernel, export_write *write, void *data,
				struct export_left *ret_left)
{
	struct elf elf = {.wide = kernel->word_size == 8, .cancel = kernel->guest.cancel};
	struct nunchi_error *err;

	buffer_init(&elf.names, 0);
	buffer_init(&elf.symbols, 0);
	buffer_init(&elf.strings, 0);
	buffer_init(&elf.frames, 0);
	*ret_left = (struct export_left){.frames = false};
	err = make(&elf, kernel, write, data, ret_left);
	buffer_deinit(&elf.names);
	buffer_deinit(&elf.symbols);
	buffer_deinit(&elf.strings);
	buffer_deinit(&elf.frames);
	free(elf.sections);
	return err;
}
