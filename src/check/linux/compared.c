/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/linux/compared.h"
#include "target/target.h"

void check_add_compared(struct check_report *report, const struct guest_kernel *kernel,
			const struct check_finding *finding, const char *happened)
{
	/* Copies that were made of a running guest while it was paused are of one moment. */
	bool is_saved = !kernel->live && !(kernel->target && kernel->target->live);
	struct check_finding added = *finding;
	_cleanup_buffer_ struct buffer meaning = {0};

	buffer_append_string(&meaning, finding->meaning);
	if (is_saved && finding->severity == CHECK_ALARM) {
		added.severity = CHECK_WARNING;
		buffer_printf(&meaning, ", or %s while a tool saved the running guest", happened);
	}
	buffer_append_char(&meaning, '.');
	added.meaning = check_text(report, &meaning);
	check_add(report, &added);
}
