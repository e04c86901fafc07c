/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/machine.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(version, TEXT, "kernel release (uname -r)")                                              \
	X(arguments, TEXT, "kernel command line")                                                  \
	X(build, TEXT, "kernel version (uname -v)")                                                \
	X(banner, TEXT, "linux_banner: release, compiler, build")                                  \
	X(machine, TEXT, "architecture (uname -m)")                                                \
	X(text_virtual, ADDRESS, "virtual address of the kernel's first byte (_text)")             \
	X(text_physical, ADDRESS, "guest-physical address of the same")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct kernel_info {
	struct linux_kernel *kernel;
	struct buffer text;
	bool done;
};

static struct nunchi_error *kernel_info_open(void *data, struct guest_kernel *guest,
					     const struct view_request *request)
{
	struct kernel_info *state = data;

	(void)request;
	state->kernel = linux_kernel_of(guest);
	return NULL;
}

/* Gives the content of state->text to a column and clears it. */
static void put_text(struct kernel_info *state, struct view_row *row, unsigned column,
		     enum read_result result)
{
	row_read_text(row, column, result, &state->text);
	buffer_clear(&state->text);
}

static struct nunchi_error *kernel_info_next(void *data, struct view_row *row)
{
	struct kernel_info *state = data;
	struct linux_kernel *kernel = state->kernel;
	struct buffer *text = &state->text;

	if (state->done)
		return &error_stop;
	state->done = true;
	put_text(state, row, COLUMN_version, linux_uname(kernel, LINUX_RELEASE, text));
	put_text(state, row, COLUMN_build, linux_uname(kernel, LINUX_VERSION, text));
	put_text(state, row, COLUMN_machine, linux_uname(kernel, LINUX_MACHINE, text));
	put_text(state, row, COLUMN_arguments, linux_command_line(kernel, text));
	row_string(row, COLUMN_banner, kernel->banner);
	row_address(row, COLUMN_text_virtual, kernel->text_virtual);
	row_address(row, COLUMN_text_physical, kernel->text_physical);
	return NULL;
}

static void kernel_info_close(void *data)
{
	struct kernel_info *state = data;

	buffer_deinit(&state->text);
}

const struct view view_kernel_info = {
    .schema = {"kernel_info", "the kernel that runs in the guest", columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct kernel_info), kernel_info_open, kernel_info_next,
		   kernel_info_close}},
};
