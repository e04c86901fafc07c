/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"
#include "doctor/change/plan.h"
#include "doctor/facts/grub_vars.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written for these variables must say the same to the reader itself. */
static void write_and_read(const struct grub_vars *vars)
{
	const struct plan_options options = {
	    .remedy = {.xen = {"a=$b\"`\\"}, .dom0_drop = {"quiet", "i915.force_probe="}}};
	_cleanup_grub_vars_ struct grub_vars *again = NULL;
	_cleanup_error_ struct nunchi_error *err = NULL;
	const struct grub_var *var;
	_cleanup_buffer_ struct buffer own;

	buffer_init(&own, 0);
	plan_write_own(vars, &options, &own);
	err = grub_vars_create(&again);
	if (!err)
		err = grub_vars_read(again, "own", buffer_string(&own), own.size);
	if (err)
		return;
	var = grub_vars_find(again, "GRUB_CMDLINE_XEN_DEFAULT");
	if (!var || strcmp(var->value, " a=$b\"`\\") || grub_vars_opaque(again, &(unsigned){0}))
		abort();
	var = grub_vars_find(again, "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT");
	if (var && var->exact && !*var->value)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;
	_cleanup_error_ struct nunchi_error *err = grub_vars_create(&vars);
	unsigned line;

	if (!err)
		err = grub_vars_read(vars, "first", (const char *)data, size);
	for (size_t i = 0; vars && i < grub_vars_count(vars); i++) {
		const struct grub_var *var = grub_vars_get(vars, i);

		if (!var->name[0] || !var->line || grub_vars_find(vars, var->name) != var ||
		    (var->exact && grub_vars_opaque(vars, &line)))
			abort();
	}
	if (vars && !err)
		write_and_read(vars);
	return 0;
}
