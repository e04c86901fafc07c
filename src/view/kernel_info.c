/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/linux_cells.h"

#include <string.h>

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

/* COMMAND_LINE_SIZE of x86 is 2048; boot configuration can make it longer. */
#define MAX_COMMAND_LINE 65536

struct kernel_info {
	struct linux_kernel *kernel;
	bool done;
};

static struct nunchi_error *put_arguments(struct linux_kernel *kernel, struct view_row *row)
{
	uint64_t pointer = kernel->symbol[LINUX_saved_command_line], text;
	_cleanup_free_ char *line = malloc(MAX_COMMAND_LINE);
	enum memory_fault fault;
	size_t length;

	if (!line)
		return &error_nomem;
	if (!pointer) {
		row_absent(row, COLUMN_arguments, NUNCHI_ABSENT_NO_LAYOUT);
		return NULL;
	}
	fault = linux_read_word(kernel, pointer, &text);
	if (fault == MEMORY_OK)
		fault = linux_read_string(kernel, text, line, MAX_COMMAND_LINE, &length);
	if (fault == MEMORY_OK)
		row_text(row, COLUMN_arguments, line, length);
	else
		row_absent(row, COLUMN_arguments, row_absence_of(fault));
	return NULL;
}

static struct nunchi_error *kernel_info_open(void *data, struct guest_kernel *guest,
					     const struct view_request *request)
{
	struct kernel_info *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);

	(void)request;
	state->kernel = kernel;
	return NULL;
}

static struct nunchi_error *kernel_info_next(void *data, struct view_row *row)
{
	struct kernel_info *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_system);
	_cleanup_object_ struct object uts = {0};

	if (state->done)
		return &error_stop;
	state->done = true;
	linux_read_object(kernel, LAYOUT_uts_namespace, kernel->symbol[LINUX_init_uts_ns], &uts);
	row_field_text(row, COLUMN_version, &uts, &layout->uts_namespace_release);
	row_field_text(row, COLUMN_build, &uts, &layout->uts_namespace_version);
	row_field_text(row, COLUMN_machine, &uts, &layout->uts_namespace_machine);
	row_string(row, COLUMN_banner, kernel->banner);
	row_address(row, COLUMN_text_virtual, kernel->text_virtual);
	row_address(row, COLUMN_text_physical, kernel->text_physical);
	return put_arguments(kernel, row);
}

const struct view view_kernel_info = {
    .schema = {"kernel_info", "the kernel that runs in the guest", columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct kernel_info), kernel_info_open, kernel_info_next,
		   NULL}},
};
