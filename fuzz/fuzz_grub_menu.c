/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/plan.h"
#include "doctor/facts/grub_menu.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct grub_menu *menu, size_t i, size_t size)
{
	const struct grub_entry *entry = &menu->entries[i];
	_cleanup_free_ char *name = grub_menu_name(menu, i);
	size_t found = name ? grub_menu_find(menu, name) : GRUB_MENU_NONE;

	if (entry->start > size || entry->size > size - entry->start || !entry->size)
		abort();
	if (entry->parent != GRUB_MENU_NONE && entry->parent >= i)
		abort();
	if (found != GRUB_MENU_NONE && menu->entries[found].submenu)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0};
	_cleanup_error_ struct nunchi_error *err = grub_menu_parse((const char *)data, size, &menu);
	const char *text = (const char *)data;

	if (err) {
		if (menu.entries || menu.defaults)
			abort();
		return 0;
	}
	/* Naming costs with the depth; some are enough. */
	for (size_t i = 0; i < menu.count && i < 64; i++)
		check_entry(&menu, i, size);
	if (!plan_same_native(&menu, text, &menu, text, true) ||
	    !plan_same_native(&menu, text, &menu, text, false))
		abort();
	for (size_t i = 0; i < menu.default_count; i++)
		grub_menu_find(&menu, menu.defaults[i]);
	plan_default_xen(&menu, "1>0");
	return 0;
}
