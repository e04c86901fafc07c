/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/xen_core.h"

#include "core/bytes.h"
#include "target/file/format.h"
#include "target/xen/layout.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

/* Limit of the sections; Xen's tools write eight or nine. */
#define SECTION_LIMIT 256
#define NAMES_LIMIT   65536
#define NOTES_LIMIT   65536
#define BATCH         1024
/* The number of pages that x86 can address. */
#define PAGE_LIMIT (EXTENT_ADDRESS_LIMIT >> PAGE_SHIFT)

enum section_role {
	SECTION_NOTES,
	SECTION_REGISTERS,
	SECTION_PAGES,
	SECTION_PFN,
	SECTION_P2M,
	SECTION_ROLE_COUNT
};

static const struct {
	const char *name;
	uint32_t type;
	/* identifies the section if the names are cut off; 0: the section type does */
	uint64_t entry_size;
} roles[SECTION_ROLE_COUNT] = {
    [SECTION_NOTES] = {".note.Xen", SHT_NOTE, 0},
    [SECTION_REGISTERS] = {".xen_prstatus", SHT_PROGBITS, XEN_PV_CPU_SIZE},
    [SECTION_PAGES] = {".xen_pages", SHT_PROGBITS, PAGE_SIZE},
    [SECTION_PFN] = {".xen_pfn", SHT_PROGBITS, 8},
    [SECTION_P2M] = {".xen_p2m", SHT_PROGBITS, 16},
};

struct section {
	uint32_t name, type;
	uint64_t offset, size, entry_size;
};

struct layout {
	struct section sections[SECTION_ROLE_COUNT];
	bool found[SECTION_ROLE_COUNT];
};

/* The content of the notes. */
struct header {
	bool found, is_32;
	uint64_t magic, pages, page_size, format;
	unsigned major, minor;
};

void xen_core_deinit(struct xen_core *core)
{
	extents_deinit(&core->extents);
	xen_vcpus_deinit(&core->vcpus);
}

bool xen_core_matches(const void *start, size_t size)
{
	const uint8_t *p = start;

	return size >= sizeof(Elf64_Ehdr) && !memcmp(p, ELFMAG, SELFMAG) &&
	       p[EI_CLASS] == ELFCLASS64 && p[EI_DATA] == ELFDATA2LSB &&
	       load_le16(p + offsetof(Elf64_Ehdr, e_type)) == ET_CORE &&
	       !load_le16(p + offsetof(Elf64_Ehdr, e_phnum)) &&
	       load_le64(p + offsetof(Elf64_Ehdr, e_shoff));
}

/* ---- Sections -------------------------------------------------------------------------------- */

static struct section decode_section(const uint8_t *p)
{
	return (struct section){
	    .name = load_le32(p + offsetof(Elf64_Shdr, sh_name)),
	    .type = load_le32(p + offsetof(Elf64_Shdr, sh_type)),
	    .offset = load_le64(p + offsetof(Elf64_Shdr, sh_offset)),
	    .size = load_le64(p + offsetof(Elf64_Shdr, sh_size)),
	    .entry_size = load_le64(p + offsetof(Elf64_Shdr, sh_entsize)),
	};
}

/*
 * Reads the names of the sections, which are at the end of the file; the names are empty if they
 * are cut off.
 */
static struct nunchi_error *read_names(const struct source *source, const struct section *section,
				       char *ret)
{
	uint64_t fault;

	memset(ret, 0, NAMES_LIMIT + 1);
	if (section->type != SHT_STRTAB || section->size > NAMES_LIMIT ||
	    section->offset > source->size || section->size > source->size - section->offset)
		return NULL;
	if (source->read(source->data, section->offset, ret, (size_t)section->size, &fault) ==
	    MEMORY_OK)
		return NULL;
	return error_create(NUNCHI_ERROR_IO, "the names of the ELF sections cannot be read");
}

static bool has_role(const struct section *section, enum section_role role, const char *names)
{
	if (section->type != roles[role].type)
		return false;
	/* Name 0 belongs to no section. In a file that is cut off, all names are empty. */
	if (names[1])
		return section->name < NAMES_LIMIT &&
		       !strcmp(names + section->name, roles[role].name);
	return section->entry_size == roles[role].entry_size;
}

static struct nunchi_error *read_sections(const struct source *source, struct layout *ret)
{
	uint8_t header[sizeof(Elf64_Ehdr)];
	_cleanup_free_ uint8_t *table = NULL;
	_cleanup_free_ char *names = NULL;
	struct nunchi_error *err;
	uint16_t machine, count, index;
	struct section strings;

	err = source_read(source, 0, header, sizeof(header), "the ELF header");
	if (err)
		return err;
	machine = load_le16(header + offsetof(Elf64_Ehdr, e_machine));
	count = load_le16(header + offsetof(Elf64_Ehdr, e_shnum));
	index = load_le16(header + offsetof(Elf64_Ehdr, e_shstrndx));
	if (machine != EM_X86_64 && machine != EM_386)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the ELF core is of machine %u; only x86 guests can be read",
				    machine);
	if (!count || count > SECTION_LIMIT || index >= count ||
	    load_le16(header + offsetof(Elf64_Ehdr, e_shentsize)) != sizeof(Elf64_Shdr))
		return error_create(NUNCHI_ERROR_DATA,
				    "the ELF core has no segments, and %u sections, with names in "
				    "section %u, which Xen does not write",
				    count, index);
	table = malloc(count * sizeof(Elf64_Shdr));
	names = malloc(NAMES_LIMIT + 1);
	if (!table || !names)
		return &error_nomem;
	err = source_read(source, load_le64(header + offsetof(Elf64_Ehdr, e_shoff)), table,
			  count * sizeof(Elf64_Shdr), "the table of ELF sections");
	if (err)
		return err;
	strings = decode_section(table + index * sizeof(Elf64_Shdr));
	err = read_names(source, &strings, names);
	if (err)
		return err;
	for (size_t i = 1; i < count; i++) {
		struct section section = decode_section(table + i * sizeof(Elf64_Shdr));

		for (unsigned role = 0; role < SECTION_ROLE_COUNT; role++) {
			/* Without names, the last section with such entries is .xen_pages. */
			if ((ret->found[role] && names[1]) || !has_role(&section, role, names))
				continue;
			ret->sections[role] = section;
			ret->found[role] = true;
		}
	}
	return NULL;
}

/* ---- Notes ----------------------------------------------------------------------------------- */

enum {
	NOTE_HEADER_SIZE = 16, /* name size, size, type, "Xen" */
	HEADER_SIZE = 32,      /* magic, vCPUs, pages, page size */
	VERSION_SIZE = 1280,   /* struct xen_dumpcore_elfnote_xen_version_desc, 64 bits */
	VERSION_PAGE_SIZE = 1272,
};

static void take_note(struct header *header, uint32_t type, const uint8_t *desc, size_t size)
{
	if (type == XEN_NOTE_HEADER && size >= HEADER_SIZE) {
		header->found = true;
		header->magic = load_le64(desc);
		header->pages = load_le64(desc + 16);
		header->page_size = load_le64(desc + 24);
	} else if (type == XEN_NOTE_VERSION && size >= VERSION_SIZE) {
		header->major = load_le32(desc);
		header->minor = load_le32(desc + 8);
		/* For a 32-bit guest, the last member, the page size, is 4 bytes lower. */
		header->is_32 = !load_le32(desc + VERSION_PAGE_SIZE) &&
				load_le32(desc + VERSION_PAGE_SIZE - 4) == PAGE_SIZE;
	} else if (type == XEN_NOTE_FORMAT && size >= 8) {
		header->format = load_le64(desc);
	}
}

static struct nunchi_error *read_notes(const struct source *source, const struct layout *layout,
				       struct header *ret)
{
	const struct section *section = &layout->sections[SECTION_NOTES];
	_cleanup_free_ uint8_t *bytes = NULL;
	struct nunchi_error *err;
	size_t at = 0;

	if (section->size > NOTES_LIMIT)
		return error_create(NUNCHI_ERROR_DATA,
				    "the notes of the dump-core file claim %" PRIu64 " bytes",
				    section->size);
	bytes = malloc((size_t)section->size + 1);
	if (!bytes)
		return &error_nomem;
	err = source_read(source, section->offset, bytes, (size_t)section->size,
			  "the note section of the dump-core file");
	if (err)
		return err;
	while (section->size - at >= NOTE_HEADER_SIZE) {
		size_t left = (size_t)section->size - at - NOTE_HEADER_SIZE;
		size_t size = load_le32(bytes + at + 4);

		if (load_le32(bytes + at) != 4 || memcmp(bytes + at + 12, "Xen", 4) || size > left)
			break;
		take_note(ret, load_le32(bytes + at + 8), bytes + at + NOTE_HEADER_SIZE, size);
		size = (size + 3) & ~(size_t)3;
		at += NOTE_HEADER_SIZE + (size < left ? size : left);
	}
	return NULL;
}

static struct nunchi_error *check_header(const struct header *header, const struct layout *layout)
{
	enum section_role table = header->magic == XEN_CORE_MAGIC_HVM ? SECTION_PFN : SECTION_P2M;

	if (!header->found ||
	    (header->magic != XEN_CORE_MAGIC_PV && header->magic != XEN_CORE_MAGIC_HVM))
		return error_create(NUNCHI_ERROR_DATA,
				    "the notes of the dump-core file do not say what guest it is "
				    "(magic 0x%" PRIx64 ")",
				    header->magic);
	if (header->format >> 32)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the dump-core file has format version %" PRIu64
				    "; only 0 is known",
				    header->format >> 32);
	if (header->page_size != PAGE_SIZE || header->pages > PAGE_LIMIT)
		return error_create(NUNCHI_ERROR_DATA,
				    "the dump-core file claims %" PRIu64 " pages of %" PRIu64
				    " bytes",
				    header->pages, header->page_size);
	if (!layout->found[table])
		return error_create(NUNCHI_ERROR_DATA, "the dump-core file has no section %s",
				    roles[table].name);
	for (unsigned role = SECTION_PAGES; role <= table; role++) {
		const struct section *section = &layout->sections[role];

		if ((role != SECTION_PAGES && role != table) ||
		    section->size / roles[role].entry_size >= header->pages)
			continue;
		return error_create(NUNCHI_ERROR_DATA,
				    "section %s of the dump-core file has 0x%" PRIx64
				    " bytes, too few for %" PRIu64 " pages",
				    roles[role].name, section->size, header->pages);
	}
	return NULL;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/* Pages with contiguous frame numbers; count is 0 if there are none. */
struct run {
	uint64_t frame, offset, count;
};

static struct nunchi_error *end_run(struct xen_core *core, struct run *run)
{
	struct nunchi_error *err;

	if (core->extents.count >= XEN_CORE_RUN_LIMIT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the guest's memory is in more than %zu pieces",
				    XEN_CORE_RUN_LIMIT);
	err = extents_add(&core->extents, run->frame << PAGE_SHIFT, run->count << PAGE_SHIFT,
			  run->offset);
	run->count = 0;
	return err;
}

static struct nunchi_error *add_page(struct xen_core *core, struct run *run, uint64_t frame,
				     uint64_t offset)
{
	struct nunchi_error *err = NULL;

	/*
	 * All bits are set if the guest had fewer pages at this point than when the file was begun.
	 */
	if (frame == UINT64_MAX)
		return NULL;
	if (frame >= PAGE_LIMIT) {
		core->impossible++;
		return NULL;
	}
	if (run->count && (frame != run->frame + run->count ||
			   offset != run->offset + (run->count << PAGE_SHIFT)))
		err = end_run(core, run);
	if (!run->count)
		*run = (struct run){.frame = frame, .offset = offset};
	run->count++;
	return err;
}

/* The number of complete entries of the table that the file contains. */
static uint64_t entries_there(const struct source *source, const struct section *table,
			      uint64_t entry_size, uint64_t pages)
{
	uint64_t there =
	    table->offset < source->size ? (source->size - table->offset) / entry_size : 0;

	return there < pages ? there : pages;
}

static struct nunchi_error *read_pages(const struct source *source, const struct layout *layout,
				       struct xen_core *core)
{
	enum section_role role = core->kind == XEN_GUEST_HVM ? SECTION_PFN : SECTION_P2M;
	const struct section *table = &layout->sections[role];
	const struct section *pages = &layout->sections[SECTION_PAGES];
	uint64_t entry_size = roles[role].entry_size, there;
	uint8_t batch[BATCH * 16];
	struct run run = {0};

	there = entries_there(source, table, entry_size, core->pages);
	core->unplaced = core->pages - there;
	if (core->pages && !there)
		return error_hint(
		    error_create(NUNCHI_ERROR_TRUNCATED,
				 "the file ends at 0x%" PRIx64 ", before the table at 0x%" PRIx64
				 " that identifies the pages (%s): no page can be used",
				 source->size, table->offset, roles[role].name),
		    "the file is incomplete: copy it again, or dump the guest again");
	if (pages->offset > UINT64_MAX - (core->pages << PAGE_SHIFT))
		return error_create(NUNCHI_ERROR_DATA,
				    "section .xen_pages lies at impossible offset 0x%" PRIx64,
				    pages->offset);
	for (uint64_t i = 0; i < there; i += BATCH) {
		size_t count = there - i < BATCH ? (size_t)(there - i) : BATCH;
		struct nunchi_error *err =
		    source_read(source, table->offset + i * entry_size, batch,
				count * (size_t)entry_size, roles[role].name);

		for (size_t j = 0; j < count && !err; j++) {
			/*
			 * The last eight bytes of an entry; in .xen_p2m the guest's own frame
			 * number precedes them.
			 */
			const uint8_t *entry = batch + (j + 1) * entry_size - 8;
			uint64_t offset = pages->offset + ((i + j) << PAGE_SHIFT);

			err = add_page(core, &run, load_le64(entry), offset);
		}
		if (err)
			return err;
	}
	return run.count ? end_run(core, &run) : NULL;
}

/* ---- Registers ------------------------------------------------------------------------------- */

static struct nunchi_error *read_registers(const struct source *source, const struct layout *layout,
					   struct xen_core *core)
{
	const struct section *section = &layout->sections[SECTION_REGISTERS];
	uint8_t context[XEN_PV_CPU_SIZE];

	/* Xen's tools also reserve the larger size for a 32-bit guest. */
	if (!layout->found[SECTION_REGISTERS] || section->entry_size != XEN_PV_CPU_SIZE)
		return NULL;
	for (size_t i = 0; i < section->size / XEN_PV_CPU_SIZE && i < XEN_VCPU_LIMIT; i++) {
		uint64_t offset = section->offset + i * XEN_PV_CPU_SIZE;
		struct x86_registers registers;
		struct nunchi_error *err;

		core->registers_cut_off =
		    offset >= source->size || source->size - offset < XEN_PV_CPU_SIZE;
		if (core->registers_cut_off)
			return NULL;
		err = source_read(source, offset, context, sizeof(context), ".xen_prstatus");
		if (err)
			return err;
		registers = xen_cpu_from_context(context, core->kind);
		err = xen_vcpus_set(&core->vcpus, i, &registers);
		if (err)
			return err;
	}
	return NULL;
}

struct nunchi_error *xen_core_parse(const struct source *source, struct xen_core *ret)
{
	_cleanup_xen_core_ struct xen_core core = {0};
	struct layout layout = {0};
	struct header header = {0};
	struct nunchi_error *err;

	err = read_sections(source, &layout);
	if (err)
		return err;
	if (!layout.found[SECTION_NOTES] || !layout.found[SECTION_PAGES])
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the ELF core has no segments and none of the "
					       "sections of Xen, so no memory"),
				  "dump the guest again");
	err = read_notes(source, &layout, &header);
	if (!err)
		err = check_header(&header, &layout);
	if (err)
		return err;
	core.kind = header.magic == XEN_CORE_MAGIC_HVM ? XEN_GUEST_HVM
		    : header.is_32                     ? XEN_GUEST_PV32
						       : XEN_GUEST_PV;
	core.xen_major = header.major;
	core.xen_minor = header.minor;
	core.pages = header.pages;
	err = read_pages(source, &layout, &core);
	if (!err)
		err = read_registers(source, &layout, &core);
	if (!err)
		err = extents_normalize(&core.extents, source->size);
	if (err)
		return err;
	if (!core.extents.count)
		return error_create(NUNCHI_ERROR_DATA, "the dump-core file has no page of memory");
	*ret = core;
	memset(&core, 0, sizeof(core));
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static void note_xen_core(struct file_target *file, const struct xen_core *core)
{
	file_note_missing(file, extents_missing(&core->extents), core->pages * PAGE_SIZE);
	if (core->unplaced)
		target_note(&file->target,
			    "the file ends at 0x%" PRIx64 ", within its table of page numbers: %s "
			    "of %s of guest memory cannot be placed",
			    file->size, amount(core->unplaced * PAGE_SIZE).text,
			    amount(core->pages * PAGE_SIZE).text);
	if (core->impossible)
		target_note(&file->target,
			    "the table of page numbers is damaged: %s of %s of guest memory cannot "
			    "be placed",
			    amount(core->impossible * PAGE_SIZE).text,
			    amount(core->pages * PAGE_SIZE).text);
	if (core->registers_cut_off)
		target_note(&file->target, "the vCPUs' registers are cut off");
}

static struct nunchi_error *open_xen_core(struct file_target *file, struct source *source)
{
	_cleanup_xen_core_ struct xen_core core = {0};
	struct nunchi_error *err;

	err = xen_core_parse(source, &core);
	if (err)
		return err;
	file->incomplete = core.unplaced || core.impossible;
	note_xen_core(file, &core);
	target_set_support(&file->target, TARGET_READ, true,
			   "from the file: dump-core of %s guest by Xen %u.%u",
			   xen_guest_kind_string(core.kind), core.xen_major, core.xen_minor);
	if (core.kind != XEN_GUEST_HVM)
		file->target.frames = TARGET_FRAMES_MACHINE;
	file_take_vcpus(file, &core.vcpus.items, core.vcpus.count,
			"from .xen_prstatus in the file; EFER is not in it and is derived");
	return file_make_memory(file, &core.extents, source);
}

const struct file_format xen_core_format = {
    .format = {"xen-core", "Xen: xl dump-core"},
    .matches = xen_core_matches,
    .open = open_xen_core,
};
