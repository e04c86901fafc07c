/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/foreign.h"

#include "arch/address.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const struct {
	const char *magic;
	size_t size;
	const char *what;
	const char *hint;
} foreign[] = {
    {"\x1f\x8b\x08", 3, "a gzip file", "unpack it with gunzip first"},
    {"\xfd\x37zXZ", 6, "an xz file", "unpack it with unxz first"},
    {"\x28\xb5\x2f\xfd", 4, "a zstd file", "unpack it with unzstd first"},
    {"BZh", 3, "a bzip2 file", "unpack it with bunzip2 first"},
    {"PK\x03\x04", 4, "a zip archive", "unpack it first"},
    {"QFI\xfb", 4, "a qcow2 disk image, not memory", "dump the guest's memory instead"},
    {"KDMV", 4, "a VMware disk image, not memory", "give the .vmem file instead"},
    {"QEVM", 4, "a QEMU migration stream",
     "use QEMU's dump-guest-memory, or virsh dump --memory-only"},
    {"LibvirtQemud", 12, "a libvirt save file",
     "use virsh dump --memory-only, which writes an ELF core"},
    {"DISKDUMP", 8, "a diskdump file, a format before kdump", NULL},
    {"PAGEDU64", 8, "a Windows crash dump", NULL},
    {"PAGEDUMP", 8, "a Windows crash dump", NULL},
    {"!<arch>\n", 8, "an ar archive", NULL},
    {"SQLite format 3", 15, "an SQLite database", NULL},
};

/* A first page of nothing but text: real memory begins with interrupt vectors or firmware data. */
static bool is_text(const uint8_t *start, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (start[i] < ' ' && !strchr("\t\n\v\f\r\x1b", start[i]))
			return false;
		if (!start[i] || start[i] == 0x7f)
			return false;
	}
	return size > 0;
}

struct nunchi_error *foreign_file_error(const void *start, size_t size)
{
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(foreign) && !err; i++) {
		if (size < foreign[i].size || memcmp(start, foreign[i].magic, foreign[i].size))
			continue;
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "it is %s", foreign[i].what);
		return foreign[i].hint ? error_hint(err, "%s", foreign[i].hint)
				       : error_hint(err, "give the dump of a guest");
	}
	if (is_text(start, size))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "it is text"),
				  "give the dump of a guest");
	return NULL;
}
