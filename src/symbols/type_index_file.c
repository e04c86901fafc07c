/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"
#include "symbols/boot_image.h"
#include "symbols/dwarf.h"
#include "symbols/elf_file.h"
#include "symbols/isf.h"
#include "symbols/type_index_private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* Limit for files and sections that are read completely: BTF, JSON, .xz. */
#define FILE_LIMIT ((size_t)512 << 20)
#define CHUNK      ((size_t)1 << 20)

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
		got = pread(fd, room, CHUNK, (off_t)text->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_create_errno(errno, "cannot be read");
		if (!got)
			return NULL;
		text->size += (size_t)got;
	}
}

static struct nunchi_error *from_btf_section(const struct elf_file *elf,
					     const struct elf_section *section,
					     struct type_index **ret)
{
	struct type_index_source source = {
	    .format = "BTF of an ELF file", .word_size = elf->word_size, .destroy = free};
	struct nunchi_error *err;

	if (section->flags & SHF_COMPRESSED)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "its .BTF section is compressed");
	if (section->size > FILE_LIMIT)
		return elf_file_damaged("its .BTF section is too large");
	source.owner = malloc(section->size ? section->size : 1);
	if (!source.owner)
		return &error_nomem;
	if (!elf_file_read(elf->fd, source.owner, section->size, section->offset))
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
	struct elf_section section = {0};
	struct nunchi_error *err;
	struct elf_file elf = {0};
	bool found = false;

	err = elf_file_open(fd, &elf);
	if (!err)
		err = elf_file_find(&elf, ".BTF", &section, &found);
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
	if (is_boot_image(text->data, text->size))
		return error_hint(error_create(NUNCHI_ERROR_DATA,
					       "it is a kernel to boot (vmlinuz, "
					       "bzImage), which is compressed"),
				  "take the vmlinux out of it: scripts/extract-vmlinux of the "
				  "kernel's source does it");
	return error_hint(error_create(NUNCHI_ERROR_DATA, "neither BTF, ELF nor a symbol table"),
			  "types can come from a BTF file, a vmlinux with .BTF or DWARF, or a "
			  "Volatility 3 symbol table (.json, .json.xz)");
}

static bool is_elf(int fd)
{
	char magic[SELFMAG] = {0};

	return elf_file_read(fd, magic, sizeof(magic), 0) && !memcmp(magic, ELFMAG, SELFMAG);
}

static struct nunchi_error *from_fd(int fd, struct type_index **ret)
{
	_cleanup_buffer_ struct buffer text = {.limit = FILE_LIMIT};
	struct nunchi_error *err;
	struct stat st;

	if (fstat(fd, &st))
		return error_create_errno(errno, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return error_create(NUNCHI_ERROR_ARGUMENT, "not a regular file");
	if (is_elf(fd))
		return from_elf(fd, ret);
	err = read_whole(fd, &text);
	return err ? err : from_bytes(&text, false, ret);
}

void type_index_file_build_id(int fd, struct build_id *ret)
{
	struct elf_file elf = {0};
	struct nunchi_error *err;

	*ret = (struct build_id){0};
	if (!is_elf(fd))
		return;
	err = elf_file_open(fd, &elf);
	if (!err)
		elf_file_build_id(&elf, ret);
	nunchi_error_destroy(err);
}

struct nunchi_error *type_index_from_fd(int fd, const char *path, struct type_index **ret)
{
	return error_context(from_fd(fd, ret), "%s", path);
}

struct nunchi_error *type_index_from_file(const char *path, struct type_index **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_create_errno(errno, "%s", path);
	return type_index_from_fd(fd, path, ret);
}

void type_index_prepare(int fd)
{
	char magic[4] = {0};

	if (is_elf(fd))
		dwarf_load_library();
	else if (elf_file_read(fd, magic, sizeof(magic), 0) && !memcmp(magic,
								       "\xfd"
								       "7zX",
								       4))
		isf_load_library();
}
