/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/elf_core.h"

#include "core/bytes.h"
#include "target/file/format.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

/*
 * Limit of the segments; a dump with paging of a large guest has about 10,000. Each takes 32 bytes
 * here.
 */
#define SEGMENT_LIMIT ((uint64_t)1 << 20)
#define BATCH         1024

struct header {
	bool is_64;
	uint16_t type, machine, phentsize, shentsize;
	uint64_t phoff, shoff, phnum;
};

struct segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

void elf_core_deinit(struct elf_core *core)
{
	extents_deinit(&core->extents);
	notes_deinit(&core->notes);
}

bool elf_core_matches(const void *start, size_t size)
{
	return size >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG);
}

static void decode_header(const uint8_t *p, struct header *ret)
{
	ret->is_64 = p[EI_CLASS] == ELFCLASS64;
	ret->type = load_le16(p + offsetof(Elf64_Ehdr, e_type));
	ret->machine = load_le16(p + offsetof(Elf64_Ehdr, e_machine));
	if (ret->is_64) {
		ret->phoff = load_le64(p + offsetof(Elf64_Ehdr, e_phoff));
		ret->shoff = load_le64(p + offsetof(Elf64_Ehdr, e_shoff));
		ret->phentsize = load_le16(p + offsetof(Elf64_Ehdr, e_phentsize));
		ret->phnum = load_le16(p + offsetof(Elf64_Ehdr, e_phnum));
		ret->shentsize = load_le16(p + offsetof(Elf64_Ehdr, e_shentsize));
	} else {
		ret->phoff = load_le32(p + offsetof(Elf32_Ehdr, e_phoff));
		ret->shoff = load_le32(p + offsetof(Elf32_Ehdr, e_shoff));
		ret->phentsize = load_le16(p + offsetof(Elf32_Ehdr, e_phentsize));
		ret->phnum = load_le16(p + offsetof(Elf32_Ehdr, e_phnum));
		ret->shentsize = load_le16(p + offsetof(Elf32_Ehdr, e_shentsize));
	}
}

static const char *machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_AARCH64:
		return "AArch64 (ARM64)";
	case EM_ARM:
		return "32-bit ARM";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "64-bit POWER";
	case EM_S390:
		return "s390";
	case EM_MIPS:
		return "MIPS";
	case EM_LOONGARCH:
		return "LoongArch";
	default:
		return "another processor";
	}
}

static struct nunchi_error *machine_error(uint16_t machine, const char *order)
{
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "the ELF core is of %s (machine %u%s); only guests of "
				       "x86-64 and i386 can be read",
				       machine_name(machine), machine, order),
			  "the file is not damaged; nunchi does not support that processor");
}

static struct nunchi_error *check_ident(const uint8_t *p)
{
	if (p[EI_CLASS] != ELFCLASS64 && p[EI_CLASS] != ELFCLASS32)
		return error_create(NUNCHI_ERROR_DATA,
				    "the ELF header has class %u (neither 32 "
				    "nor 64 bits)",
				    p[EI_CLASS]);
	if (p[EI_DATA] != ELFDATA2LSB)
		return machine_error(load_be16(p + offsetof(Elf64_Ehdr, e_machine)),
				     ", big-endian");
	return NULL;
}

static struct nunchi_error *check_header(const struct header *header)
{
	size_t phentsize = header->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (header->type != ET_CORE)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "an ELF file of type %u, not a core (type %u)",
					       header->type, ET_CORE),
				  "give the dump of a guest; programs, libraries and vmlinux "
				  "contain no memory of a guest");
	if (header->machine != EM_X86_64 && header->machine != EM_386)
		return machine_error(header->machine, "");
	if (header->phentsize != phentsize)
		return error_create(NUNCHI_ERROR_DATA,
				    "the ELF header gives program headers of %u bytes instead of "
				    "%zu",
				    header->phentsize, phentsize);
	return NULL;
}

/* If there are more than 65534 segments, their number is in sh_info of section 0 (PN_XNUM). */
static struct nunchi_error *read_extended_count(const struct source *source, struct header *header)
{
	size_t size = header->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	uint8_t section[sizeof(Elf64_Shdr)];
	struct nunchi_error *err;

	if (header->phnum != PN_XNUM || !header->shoff)
		return NULL;
	err = source_read(source, header->shoff, section, size, "the ELF section header");
	if (err)
		return err;
	header->phnum = header->is_64 ? load_le32(section + offsetof(Elf64_Shdr, sh_info))
				      : load_le32(section + offsetof(Elf32_Shdr, sh_info));
	return NULL;
}

static struct nunchi_error *read_header(const struct source *source, struct header *ret)
{
	uint8_t bytes[sizeof(Elf64_Ehdr)] = {0};
	struct nunchi_error *err;

	err = source_read(source, 0, bytes, offsetof(Elf64_Ehdr, e_version), "the ELF header");
	if (!err)
		err = check_ident(bytes);
	if (!err)
		err = source_read(source, 0, bytes,
				  bytes[EI_CLASS] == ELFCLASS64 ? sizeof(Elf64_Ehdr)
								: sizeof(Elf32_Ehdr),
				  "the ELF header");
	if (err)
		return err;
	decode_header(bytes, ret);
	err = check_header(ret);
	if (!err)
		err = read_extended_count(source, ret);
	if (err)
		return err;
	if (!ret->phnum)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the ELF core has no segments, so no memory");
	if (ret->phnum > SEGMENT_LIMIT)
		return error_create(NUNCHI_ERROR_DATA,
				    "the ELF core claims %" PRIu64 " segments; %" PRIu64
				    " is the limit",
				    ret->phnum, SEGMENT_LIMIT);
	return NULL;
}

static struct segment decode_segment(const uint8_t *p, bool is_64)
{
	if (is_64)
		return (struct segment){
		    .type = load_le32(p + offsetof(Elf64_Phdr, p_type)),
		    .offset = load_le64(p + offsetof(Elf64_Phdr, p_offset)),
		    .vaddr = load_le64(p + offsetof(Elf64_Phdr, p_vaddr)),
		    .paddr = load_le64(p + offsetof(Elf64_Phdr, p_paddr)),
		    .filesz = load_le64(p + offsetof(Elf64_Phdr, p_filesz)),
		    .memsz = load_le64(p + offsetof(Elf64_Phdr, p_memsz)),
		};
	return (struct segment){
	    .type = load_le32(p + offsetof(Elf32_Phdr, p_type)),
	    .offset = load_le32(p + offsetof(Elf32_Phdr, p_offset)),
	    .vaddr = load_le32(p + offsetof(Elf32_Phdr, p_vaddr)),
	    .paddr = load_le32(p + offsetof(Elf32_Phdr, p_paddr)),
	    .filesz = load_le32(p + offsetof(Elf32_Phdr, p_filesz)),
	    .memsz = load_le32(p + offsetof(Elf32_Phdr, p_memsz)),
	};
}

static struct nunchi_error *read_notes(const struct source *source, const struct segment *segment,
				       struct notes *notes)
{
	_cleanup_free_ char *bytes = NULL;
	struct nunchi_error *err;

	if (!segment->filesz)
		return NULL;
	/*
	 * Without its notes the guest's memory is still useful, so damaged notes are no error. Many
	 * segments may refer to the same bytes.
	 */
	if (segment->filesz > NOTES_SIZE_LIMIT - notes->size || segment->offset > source->size ||
	    segment->filesz > source->size - segment->offset) {
		notes->damaged = true;
		return NULL;
	}
	bytes = malloc((size_t)segment->filesz);
	if (!bytes)
		return &error_nomem;
	err = source_read(source, segment->offset, bytes, (size_t)segment->filesz, "the ELF notes");
	if (err)
		return err;
	return notes_parse(notes, bytes, (size_t)segment->filesz);
}

static struct nunchi_error *add_segment(const struct source *source, const struct segment *segment,
					struct elf_core *core)
{
	uint64_t memsz = segment->memsz > segment->filesz ? segment->memsz : segment->filesz;
	uint64_t there = 0;
	struct nunchi_error *err;

	if (segment->offset < source->size)
		there = source->size - segment->offset;
	if (segment->filesz > there)
		core->cut_off += segment->filesz - there;
	err = extents_add(&core->extents, segment->paddr, segment->filesz, segment->offset);
	if (err || memsz == segment->filesz)
		return err;
	/* The sum cannot overflow: extents_add() has checked it. */
	return extents_add_missing(&core->extents, segment->paddr + segment->filesz,
				   memsz - segment->filesz);
}

/*
 * Distinguishes the dump of a machine from that of a process, whose segments have no physical
 * addresses.
 */
struct witness {
	bool physical;
	bool virtual_only;
};

static struct nunchi_error *read_batch(const struct source *source, const struct header *header,
				       uint64_t first, size_t count, struct elf_core *core,
				       struct witness *witness)
{
	_cleanup_free_ uint8_t *bytes = malloc(count * header->phentsize);
	struct nunchi_error *err = NULL;
	uint64_t offset;

	if (!bytes)
		return &error_nomem;
	if (__builtin_add_overflow(header->phoff, first * header->phentsize, &offset))
		return error_create(NUNCHI_ERROR_DATA,
				    "the ELF program headers lie at impossible offset 0x%" PRIx64,
				    header->phoff);
	err = source_read(source, offset, bytes, count * header->phentsize,
			  "the table of ELF program headers");
	for (size_t i = 0; i < count && !err; i++) {
		struct segment segment =
		    decode_segment(bytes + i * header->phentsize, header->is_64);

		if (segment.type == PT_NOTE) {
			err = read_notes(source, &segment, &core->notes);
		} else if (segment.type == PT_LOAD) {
			witness->physical |= segment.paddr != 0;
			witness->virtual_only |= !segment.paddr && segment.vaddr;
			core->is_mapped |= segment.vaddr && segment.vaddr != segment.paddr;
			err = error_context(add_segment(source, &segment, core),
					    "program header %" PRIu64, first + i);
		}
	}
	return err;
}

struct nunchi_error *elf_core_parse(const struct source *source, struct elf_core *ret)
{
	_cleanup_elf_core_ struct elf_core core = {0};
	struct witness witness = {0};
	struct header header;
	struct nunchi_error *err;

	err = read_header(source, &header);
	if (err)
		return err;
	for (uint64_t i = 0; i < header.phnum; i += BATCH) {
		uint64_t left = header.phnum - i;

		err = read_batch(source, &header, i, left < BATCH ? (size_t)left : BATCH, &core,
				 &witness);
		if (err)
			return err;
	}
	if (witness.virtual_only && !witness.physical)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the ELF core is that of a process: its segments "
					       "have no physical addresses"),
				  "dump the guest with QEMU's dump-guest-memory or virsh dump "
				  "--memory-only");
	err = extents_normalize(&core.extents, source->size);
	if (err)
		return err;
	if (!core.extents.count)
		return error_create(NUNCHI_ERROR_DATA, "the ELF core has no memory segment");
	notes_conclude(&core.notes, header.machine == EM_X86_64);
	*ret = core;
	memset(&core, 0, sizeof(core));
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static struct nunchi_error *open_elf(struct file_target *file, struct source *source)
{
	_cleanup_elf_core_ struct elf_core core = {0};
	struct nunchi_error *err;
	uint64_t missing;

	err = elf_core_parse(source, &core);
	if (err)
		return err;
	missing = extents_missing(&core.extents);
	file->incomplete = core.is_mapped;
	if (core.cut_off)
		file_note_missing(file, missing, extents_total(&core.extents));
	else if (missing)
		target_note(&file->target,
			    "%s of %s of guest memory were left out when the core was written",
			    amount(missing).text, amount(extents_total(&core.extents)).text);
	file_take_notes(file, &core.notes);
	return file_make_memory(file, &core.extents, source);
}

const struct file_format elf_format = {
    .format = {"elf", "ELF core: QEMU's dump-guest-memory, virsh dump --memory-only, /proc/vmcore"},
    .matches = elf_core_matches,
    .open = open_elf,
};
