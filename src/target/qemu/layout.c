/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/layout.h"
#include "arch/address.h"

#include <string.h>

#define GIB ((uint64_t)1 << 30)
/*
 * From this size on, the addresses of memory depend on the vendor of the vCPUs (AMD's
 * HyperTransport hole).
 */
#define MEMORY_MAX (960 * GIB)

/* Machine types of QEMU 1.7 and before do not align the end of RAM below 4 GiB to a GiB. */
static bool is_old(const char *version)
{
	return !strncmp(version, "0.", 2) || !strncmp(version, "1.", 2);
}

/*
 * The greatest amount of RAM below 4 GiB. Source: pc_init1() in hw/i386/pc_piix.c, pc_q35_init() in
 * pc_q35.c, microvm_memory_init() in microvm.c; unchanged from 2.0 to 10.0.
 */
static bool low_memory(const struct cmdline *cmdline, uint64_t *ret)
{
	const char *machine = cmdline->machine;
	uint64_t memory = cmdline->memory;
	uint64_t most = cmdline->max_below_4g;

	if (!strcmp(machine, "isapc")) {
		*ret = UINT64_MAX;
	} else if (!strcmp(machine, "microvm")) {
		*ret = 3 * GIB;
	} else if (strstr(machine, "q35")) {
		const char *version = strstr(machine, "q35-");

		*ret = 2 * GIB;
		if (memory < 0xb0000000 || (version && is_old(version + 4)))
			*ret = 0xb0000000;
		if (most && most < *ret)
			*ret = most;
	} else if (!strncmp(machine, "pc", 2) || !machine[0]) {
		const char *version = machine + strcspn(machine, "-");

		version += strncmp(version, "-i440fx-", 8) ? (*version == '-') : 8;
		*ret = most ? most : 0xe0000000;
		if (memory >= *ret && *ret > 3 * GIB && !is_old(version))
			*ret = 3 * GIB;
	} else {
		return false;
	}
	return true;
}

struct nunchi_error *layout_of(const struct cmdline *cmdline, struct layout_range ret[2],
			       size_t *ret_count)
{
	uint64_t memory = cmdline->memory, low;

	if (!low_memory(cmdline, &low))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the memory layout of the machine type \"%s\" is not known",
				    cmdline->machine);
	if (memory > MEMORY_MAX)
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "the memory layout of a guest with more than 960 GiB depends on its vCPUs");
	if (!memory || (memory & PAGE_MASK) || (low & PAGE_MASK && memory > low))
		return error_create(NUNCHI_ERROR_DATA,
				    "the command line gives no valid size of memory");
	ret[0] = (struct layout_range){.size = memory < low ? memory : low};
	ret[1] = (struct layout_range){
	    .start = 4 * GIB, .size = memory - ret[0].size, .offset = ret[0].size};
	*ret_count = ret[1].size ? 2 : 1;
	return NULL;
}
