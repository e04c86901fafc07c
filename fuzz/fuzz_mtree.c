/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU's monitor and /proc print, and QEMU's command line. The first byte says which. */
#include "target/qemu/cmdline.h"
#include "target/qemu/layout.h"
#include "target/qemu/maps.h"
#include "target/qemu/monitor.h"
#include "target/qemu/mtree.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool any(const char *region, void *data)
{
	(void)data;
	return region[0] != 'v';
}

static void check(const struct mtree *mtree)
{
	for (size_t i = 0; i < mtree->count; i++) {
		const struct mtree_range *range = &mtree->ranges[i];

		if (!range->size || range->start + range->size - 1 < range->start ||
		    (i && range->start - range[-1].start < range[-1].size))
			__builtin_trap();
	}
}

static struct nunchi_error *try_mtree(const char *text, size_t size)
{
	_cleanup_mtree_ struct mtree mtree = {0};
	struct nunchi_error *err = mtree_parse(text, size, &mtree);

	check(&mtree);
	mtree_main_region(&mtree);
	mtree_select(&mtree, any, NULL);
	check(&mtree);
	return err;
}

static struct nunchi_error *try_monitor(const char *text, size_t size)
{
	struct x86_registers registers;
	uint8_t bytes[64];
	uint64_t host;

	nunchi_error_destroy(monitor_parse_gpa2hva(text, size, 0x1000, &host));
	nunchi_error_destroy(monitor_parse_xp(text, size, 0x1000, bytes, sizeof(bytes)));
	return monitor_parse_registers(text, size, 0, &registers);
}

static struct nunchi_error *try_maps(const char *text, size_t size)
{
	_cleanup_maps_ struct maps maps = {0};
	struct nunchi_error *err = maps_parse(text, size, &maps);

	for (size_t i = 0; i < maps.count; i++) {
		if (maps_find(&maps, maps.entries[i].start, 1) != &maps.entries[i] ||
		    strlen(maps.entries[i].path) > size)
			__builtin_trap();
	}
	return err;
}

static struct nunchi_error *try_cmdline(const char *text, size_t size)
{
	_cleanup_cmdline_ struct cmdline cmdline = {0};
	struct nunchi_error *err = cmdline_parse(text, size, &cmdline);
	struct layout_range ranges[2];
	size_t count;

	if (err)
		return err;
	cmdline_backend(&cmdline, "m");
	err = layout_of(&cmdline, ranges, &count);
	if (!err && ranges[0].size + (count == 2 ? ranges[1].size : 0) != cmdline.memory)
		__builtin_trap();
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nunchi_error *(*const parsers[])(const char *text, size_t size) = {
	    try_mtree, try_monitor, try_maps, try_cmdline};

	if (size)
		nunchi_error_destroy(parsers[data[0] % 4]((const char *)data + 1, size - 1));
	return 0;
}
