/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/foreign.h"

#include "arch/address.h"
#include "target/file/hint.h"
#include "target/file/packed.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VMWARE_HINT                                                                                \
	"its memory is in the .vmem file beside it: give that; where there is none, make a core: " \
	"vmss2core -N FILE"
#define LINUX_ALONE "nunchi reads the memory of Linux guests alone"

static const struct {
	const char *magic;
	size_t size;
	size_t offset;
	const char *what;
	const char *hint;
} foreign[] = {
    {"\x89LZO\0\r\n\x1a\n", 9, 0, "an lzop file", "unpack it: lzop -dc FILE >FILE.raw"},
    {"7z\xbc\xaf\x27\x1c", 6, 0, "a 7z archive", "unpack it: 7z x FILE"},
    {"Rar!\x1a\x07", 6, 0, "a RAR archive", "unpack it: unrar x FILE"},
    {"PK\x03\x04", 4, 0, "a zip archive", "unpack it: unzip FILE"},
    {"ustar", 5, 257, "a tar archive", "unpack it: tar -xf FILE"},
    {"\xd0\xbe\xd0\xbe", 4, 0, "the state of a VMware guest (.vmss, .vmsn) of an old version",
     VMWARE_HINT},
    {"\x7fVirtualBox SavedState", 22, 0, "a state that VirtualBox saved (.sav)",
     "start the guest again, then dump it: VBoxManage debugvm GUEST dumpvmcore "
     "--filename=GUEST.elf"},
    {"\x14\x20\x28\x01", 4, 0, "a state or configuration of Hyper-V (.vmrs, .vmcx)",
     "on Windows, with LeechCore's plugin hvsavedstate: pcileech dump -device "
     "hvsavedstate://STATE -out GUEST.raw"},
    {"EVF\x09\x0d\x0a\xff\0", 8, 0, "an EWF image (.E01)",
     "unpack it: ewfexport -u -f raw -t FILE FILE (package ewf-tools)"},
    {"EVF2\x0d\x0a\x81\0", 8, 0, "an EWF image (.Ex01)",
     "unpack it: ewfexport -u -f raw -t FILE FILE (package ewf-tools)"},
    {"S1SUSPEND", 9, 4086, "a swap area with a hibernation image",
     "a hibernation image is compressed and without a layout of RAM: resume the machine from it, "
     "then dump it"},
    {"LINHIB0001", 10, 4086, "a swap area with a hibernation image (in use)",
     "a hibernation image is compressed and without a layout of RAM: resume the machine from it, "
     "then dump it"},
    {"SWAPSPACE2", 10, 4086, "a swap area, not memory", "give the dump of a guest"},
    {"hibr", 4, 0, "a hibernation file of Windows", LINUX_ALONE},
    {"HIBR", 4, 0, "a hibernation file of Windows", LINUX_ALONE},
    {"QFI\xfb", 4, 0, "a qcow2 disk image, not memory",
     "if it has an internal snapshot with memory (qemu-img snapshot -l FILE), start QEMU with "
     "-loadvm NAME -S and dump that guest: dump-guest-memory GUEST.elf"},
    {"KDMV", 4, 0, "a VMware disk image, not memory", "give the .vmem file instead"},
    {"conectix", 8, 0, "a VHD disk image, not memory", "give the dump of a guest"},
    {"vhdxfile", 8, 0, "a VHDX disk image, not memory", "give the dump of a guest"},
    {"DISKDUMP", 8, 0, "a diskdump file, a format before kdump", NULL},
    {"PAGEDU64", 8, 0, "a crash dump of Windows", LINUX_ALONE},
    {"PAGEDUMP", 8, 0, "a crash dump of Windows", LINUX_ALONE},
    {"MDMP", 4, 0, "a dump of a program of Windows, not of a guest", LINUX_ALONE},
    {"HdrS", 4, 514, "a kernel to boot (vmlinuz, bzImage), not memory", "give the dump of a guest"},
    {"!<arch>\n", 8, 0, "an ar archive", NULL},
    {"SQLite format 3", 15, 0, "an SQLite database", NULL},
};

/*
 * Whether the first page is only text. Real memory begins with interrupt vectors or firmware data.
 */
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

struct nunchi_error *foreign_file_error(const char *name, const void *start, size_t size)
{
	const struct packing *packing = packing_find(start, size);
	struct nunchi_error *err = NULL;

	if (packing)
		return packing_refuse(packing, name);
	for (size_t i = 0; i < ARRAY_SIZE(foreign) && !err; i++) {
		const uint8_t *at = (const uint8_t *)start + foreign[i].offset;

		if (size < foreign[i].offset + foreign[i].size ||
		    memcmp(at, foreign[i].magic, foreign[i].size))
			continue;
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "it is %s", foreign[i].what);
		return file_hint(err, name,
				 foreign[i].hint ? foreign[i].hint : "give the dump of a guest");
	}
	if (is_text(start, size))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "it is text"),
				  "give the dump of a guest");
	return NULL;
}
