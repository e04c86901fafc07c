/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_MAX 65536
/* Limit of the notes that are read at once; a kernel has less than 1 KiB. */
#define NOTES_MAX ((uint64_t)64 << 10)

bool elf_file_read(int fd, void *buf, size_t size, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = offset + done > INT64_MAX ? 0
							: pread(fd, (char *)buf + done, size - done,
								(off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static bool read_section64(const struct elf_file *elf, uint64_t i, struct elf_section *ret)
{
	Elf64_Shdr header;

	if (!elf_file_read(elf->fd, &header, sizeof(header),
			   elf->sections_offset + i * sizeof(header)))
		return false;
	*ret = (struct elf_section){header.sh_name, header.sh_type, header.sh_flags,
				    header.sh_offset, header.sh_size};
	return true;
}

static bool read_section32(const struct elf_file *elf, uint64_t i, struct elf_section *ret)
{
	Elf32_Shdr header;

	if (!elf_file_read(elf->fd, &header, sizeof(header),
			   elf->sections_offset + i * sizeof(header)))
		return false;
	*ret = (struct elf_section){header.sh_name, header.sh_type, header.sh_flags,
				    header.sh_offset, header.sh_size};
	return true;
}

static bool read_section(const struct elf_file *elf, uint64_t i, struct elf_section *ret)
{
	return elf->word_size == 8 ? read_section64(elf, i, ret) : read_section32(elf, i, ret);
}

struct nunchi_error *elf_file_damaged(const char *what)
{
	return error_create(NUNCHI_ERROR_DATA, "damaged ELF file: %s", what);
}

struct nunchi_error *elf_file_open(int fd, struct elf_file *ret)
{
	struct elf_file elf = {.fd = fd};
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} header = {0};
	bool wide;

	if (!elf_file_read(fd, &header.narrow, sizeof(header.narrow), 0))
		return elf_file_damaged("it ends in its header");
	wide = header.ident[EI_CLASS] == ELFCLASS64;
	if (wide && !elf_file_read(fd, &header.wide, sizeof(header.wide), 0))
		return elf_file_damaged("it ends in its header");
	if (header.ident[EI_DATA] != ELFDATA2LSB)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "ELF file of a big-endian machine");
	elf.word_size = wide ? 8 : 4;
	elf.relocatable = (wide ? header.wide.e_type : header.narrow.e_type) == ET_REL;
	elf.sections_offset = wide ? header.wide.e_shoff : header.narrow.e_shoff;
	elf.section_count = wide ? header.wide.e_shnum : header.narrow.e_shnum;
	elf.names = wide ? header.wide.e_shstrndx : header.narrow.e_shstrndx;
	if ((wide ? header.wide.e_shentsize : header.narrow.e_shentsize) !=
	    (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return elf_file_damaged("it has no section headers of the usual size");
	*ret = elf;
	return NULL;
}

struct nunchi_error *elf_file_find(const struct elf_file *elf, const char *name,
				   struct elf_section *ret, bool *ret_found)
{
	struct elf_section names, section;
	size_t size = strlen(name) + 1;
	char found[16];

	*ret_found = false;
	if (!elf->section_count)
		return NULL;
	if (!read_section(elf, elf->names, &names))
		return elf_file_damaged("its section headers lie outside of it");
	for (uint64_t i = 0; i < elf->section_count && i < SECTION_MAX; i++) {
		if (!read_section(elf, i, &section))
			return elf_file_damaged("it ends in its section headers");
		/* A debug file keeps the headers of sections that were left out (SHT_NOBITS). */
		if (section.type == SHT_NOBITS || section.type == SHT_NULL ||
		    size > sizeof(found) ||
		    !elf_file_read(elf->fd, found, size, names.offset + section.name) ||
		    memcmp(found, name, size))
			continue;
		*ret = section;
		*ret_found = true;
		return NULL;
	}
	return NULL;
}

static bool has_build_id(const struct elf_file *elf, const struct elf_section *section,
			 struct build_id *ret)
{
	uint64_t size = section->size < NOTES_MAX ? section->size : NOTES_MAX;
	_cleanup_free_ void *notes = malloc(size ? size : 1);

	return notes && elf_file_read(elf->fd, notes, size, section->offset) &&
	       build_id_from_notes(notes, size, ret);
}

bool elf_file_build_id(const struct elf_file *elf, struct build_id *ret)
{
	for (uint64_t i = 0; i < elf->section_count && i < SECTION_MAX; i++) {
		struct elf_section section;

		if (!read_section(elf, i, &section))
			break;
		if (section.type == SHT_NOTE && has_build_id(elf, &section, ret))
			return true;
	}
	return false;
}
