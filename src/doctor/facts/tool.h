/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running the system's own tools (grub-mkconfig, grub-script-check, diff …), in the root whose
 * they are. A tool is ended when it takes too long, when the context is cancelled, and when we die.
 */
#ifndef NUNCHI_DOCTOR_FACTS_TOOL_H
#define NUNCHI_DOCTOR_FACTS_TOOL_H

#include "core/buffer.h"
#include "core/cancel.h"
#include "core/error.h"
#include "doctor/facts/root.h"

/* Done in the child before it enters the root: gives 0 or an errno. Async-signal-safe calls only.
 */
typedef int tool_prepare(const struct root *root, const void *data);

struct tool {
	const char *const
	    *arguments;          /* the first is the program, searched in PATH; NULL at the end */
	const struct root *root; /* where it runs */
	const char *input;       /* its standard input; NULL for none */
	size_t input_size;
	tool_prepare *prepare; /* may be NULL */
	const void *prepare_data;
	unsigned seconds; /* the longest it may take */
	const struct nunchi_context *context;
};

/*
 * Runs it to its end; ret gets what it prints, ret_messages what it says on standard error (the
 * first 64 KiB). Both must be initialised. *ret_status is its exit status; that it was ended by a
 * signal is an error.
 */
struct nunchi_error *tool_run(const struct tool *tool, struct buffer *ret,
			      struct buffer *ret_messages, int *ret_status);

#endif
