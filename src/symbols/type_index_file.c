/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"
#include "symbols/dwarf.h"
#include "symbols/isf.h"
#include "symbols/type_index_private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* Limit for files and sections that are read completely: BTF, JSON, .xz. */
#define FILE_LIMIT  ((size_t)512 << 20)
#define CHUNK       ((size_t)1 << 20)
#define SECTION_MAX 65536

/* A section header of a 32-bit or 64-bit file. */
struct section {
	uint32_t name, type;
	uint64_t flags, offset, size;
};

struct elf {
	int fd;
	unsigned word_size;
	bool relocatable;
	uint64_t sections_offset;
	uint64_t section_count;
	uint32_t names; /* index of the section that contains the section names */
};

/* Reads exactly `size` bytes at offset; false at the end of the file or after an error. */
static bool read_at(int fd, void *buf, size_t size, uint64_t offset)
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

static struct nunchi_error *read_whole(int fd, struct buffer *text)
{
	for (;;) {
		char *room = buffer_reserve(text, CHUNK);
		ssize_t got;

		if (!room)
			return error_create(
			    NUNCHI_ERROR_DATA,
			    "larger than %zu MiB, which is the limit for a file of types",
			    FILE_LIMIT >> 20);
		got = read(fd, room, CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_create_errno(errno, "cannot be read");
		if (!got)
			return NULL;
		text->size += (size_t)got;
	}
}

static bool read_section64(const struct elf *elf, uint64_t i, struct section *ret)
{
	Elf64_Shdr header;

	if (!read_at(elf->fd, &header, sizeof(header), elf->sections_offset + i * sizeof(header)))
		return false;
	*ret = (struct section){header.sh_name, header.sh_type, header.sh_flags, header.sh_offset,
				header.sh_size};
	return true;
}

static bool read_section32(const struct elf *elf, uint64_t i, struct section *ret)
{
	Elf32_Shdr header;

	if (!read_at(elf->fd, &header, sizeof(header), elf->sections_offset + i * sizeof(header)))
		return false;
	*ret = (struct section){header.sh_name, header.sh_type, header.sh_flags, header.sh_offset,
				header.sh_size};
	return true;
}

static bool read_section(const struct elf *elf, uint64_t i, struct section *ret)
{
	return elf->word_size == 8 ? read_section64(elf, i, ret) : read_section32(elf, i, ret);
}

static struct nunchi_error *damaged(const char *what)
{
	return error_create(NUNCHI_ERROR_DATA, "damaged ELF file: %s", what);
}

static struct nunchi_error *open_elf(int fd, struct elf *ret)
{
	struct elf elf = {.fd = fd};
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} header = {0};
	bool wide;

	if (!read_at(fd, &header.narrow, sizeof(header.narrow), 0))
		return damaged("it ends in its header");
	wide = header.ident[EI_CLASS] == ELFCLASS64;
	if (wide && !read_at(fd, &header.wide, sizeof(header.wide), 0))
		return damaged("it ends in its header");
	if (header.ident[EI_DATA] != ELFDATA2LSB)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "ELF file of a big-endian machine");
	if ((wide ? header.wide.e_shentsize : header.narrow.e_shentsize) !=
	    (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return damaged("it has no section headers of the usual size");
	elf.word_size = wide ? 8 : 4;
	elf.relocatable = (wide ? header.wide.e_type : header.narrow.e_type) == ET_REL;
	elf.sections_offset = wide ? header.wide.e_shoff : header.narrow.e_shoff;
	elf.section_count = wide ? header.wide.e_shnum : header.narrow.e_shnum;
	elf.names = wide ? header.wide.e_shstrndx : header.narrow.e_shstrndx;
	*ret = elf;
	return NULL;
}

/*
 * Finds the section .BTF. *ret_found is false if there is none, or if its bytes are not in this
 * file.
 */
static struct nunchi_error *find_btf(const struct elf *elf, struct section *ret, bool *ret_found)
{
	static const char wanted[] = ".BTF";
	struct section names, section;

	*ret_found = false;
	if (!elf->section_count)
		return NULL;
	if (!read_section(elf, elf->names, &names))
		return damaged("its section headers lie outside of it");
	for (uint64_t i = 0; i < elf->section_count && i < SECTION_MAX; i++) {
		char name[sizeof(wanted)];

		if (!read_section(elf, i, &section))
			return damaged("it ends in its section headers");
		/* A debug file keeps the headers of sections that were left out (SHT_NOBITS). */
		if (section.type == SHT_NOBITS || section.type == SHT_NULL ||
		    !read_at(elf->fd, name, sizeof(name), names.offset + section.name) ||
		    memcmp(name, wanted, sizeof(name)))
			continue;
		*ret = section;
		*ret_found = true;
		return NULL;
	}
	return NULL;
}

static struct nunchi_error *from_btf_section(const struct elf *elf, const struct section *section,
					     struct type_index **ret)
{
	struct type_index_source source = {
	    .format = "BTF of an ELF file", .word_size = elf->word_size, .destroy = free};
	struct nunchi_error *err;

	if (section->flags & SHF_COMPRESSED)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "its .BTF section is compressed");
	if (section->size > FILE_LIMIT)
		return damaged("its .BTF section is too large");
	source.owner = malloc(section->size ? section->size : 1);
	if (!source.owner)
		return &error_nomem;
	if (!read_at(elf->fd, source.owner, section->size, section->offset))
		err = error_create(NUNCHI_ERROR_TRUNCATED,
				   "it ends inside of its .BTF section (%" PRIu64
				   " bytes at %" PRIu64 ")",
				   section->size, section->offset);
	else
		err = type_index_create(source.owner, section->size, &source, ret);
	if (err)
		free(source.owner);
	return err;
}

static struct nunchi_error *from_elf(int fd, struct type_index **ret)
{
	struct section section = {0};
	struct nunchi_error *err;
	struct elf elf = {0};
	bool found = false;

	err = open_elf(fd, &elf);
	if (!err)
		err = find_btf(&elf, &section, &found);
	if (err)
		return err;
	if (found)
		return from_btf_section(&elf, &section, ret);
	/* DWARF in a relocatable file is usable only after relocation, which is not implemented. */
	if (elf.relocatable)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "an object file or module without .BTF, not a linked vmlinux");
	return type_index_from_dwarf(fd, ret);
}

/* Makes an index of raw BTF; takes over the memory of text on success. */
static struct nunchi_error *from_raw_btf(struct buffer *text, struct type_index **ret)
{
	struct type_index_source source = {
	    .format = "BTF file", .destroy = free, .owner = text->data};
	struct nunchi_error *err = type_index_create(text->data, text->size, &source, ret);

	if (!err)
		text->data = NULL;
	return err;
}

static bool starts_with(const struct buffer *text, const void *magic, size_t size)
{
	return text->size >= size && !memcmp(text->data, magic, size);
}

static bool looks_like_json(const struct buffer *text)
{
	size_t i = 0;

	while (i < text->size && strchr(" \t\r\n", text->data[i]) && text->data[i])
		i++;
	return i < text->size && text->data[i] == '{';
}

static struct nunchi_error *from_bytes(struct buffer *text, bool packed, struct type_index **ret)
{
	struct nunchi_error *err;

	if (starts_with(text, "\x9f\xeb", 2) || starts_with(text, "\xeb\x9f", 2))
		return from_raw_btf(text, ret);
	if (looks_like_json(text))
		return type_index_from_isf(text->data, text->size, ret);
	if (!packed && starts_with(text,
				   "\xfd"
				   "7zXZ",
				   6)) {
		_cleanup_buffer_ struct buffer unpacked = {0};

		err = isf_unpack(text->data, text->size, &unpacked.data, &unpacked.size);
		return err ? err : from_bytes(&unpacked, true, ret);
	}
	return error_hint(error_create(NUNCHI_ERROR_DATA, "neither BTF, ELF nor a symbol table"),
			  "types can come from a BTF file, a vmlinux with .BTF or DWARF, or a "
			  "Volatility 3 symbol table (.json, .json.xz)");
}

static struct nunchi_error *from_fd(int fd, struct type_index **ret)
{
	_cleanup_buffer_ struct buffer text = {.limit = FILE_LIMIT};
	char magic[SELFMAG] = {0};
	struct nunchi_error *err;
	struct stat st;

	if (fstat(fd, &st))
		return error_create_errno(errno, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return error_create(NUNCHI_ERROR_ARGUMENT, "not a regular file");
	if (read_at(fd, magic, sizeof(magic), 0) && !memcmp(magic, ELFMAG, SELFMAG))
		return from_elf(fd, ret);
	err = read_whole(fd, &text);
	return err ? err : from_bytes(&text, false, ret);
}

struct nunchi_error *type_index_from_file(const char *path, struct type_index **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_create_errno(errno, "%s", path);
	return error_context(from_fd(fd, ret), "%s", path);
}
