/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/machine.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(hostname, TEXT, "name of the guest (uname -n)")                                          \
	X(cpu_type, TEXT, "architecture (uname -m)")                                               \
	X(cpu_brand, TEXT, "the processor's own name")                                             \
	X(cpu_logical_cores, INTEGER, "CPUs online")                                               \
	X(physical_memory, BYTES, "bytes of RAM that the kernel manages (MemTotal)")               \
	X(hardware_vendor, TEXT, "system vendor, from DMI")                                        \
	X(hardware_model, TEXT, "product name, from DMI")                                          \
	X(hardware_version, TEXT, "product version, from DMI")                                     \
	X(hardware_serial, TEXT, "product serial number, from DMI")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct system_info {
	struct linux_kernel *kernel;
	struct buffer text;
	bool done;
};

static struct nunchi_error *system_info_open(void *data, struct guest_kernel *guest,
					     const struct view_request *request)
{
	struct system_info *state = data;

	(void)request;
	state->kernel = linux_kernel_of(guest);
	return NULL;
}

/* Gives the content of state->text to a column and clears it. */
static void put_text(struct system_info *state, struct view_row *row, unsigned column,
		     enum read_result result)
{
	row_read_text(row, column, result, &state->text);
	buffer_clear(&state->text);
}

static struct nunchi_error *system_info_next(void *data, struct view_row *row)
{
	struct system_info *state = data;
	struct linux_kernel *kernel = state->kernel;
	struct buffer *text = &state->text;
	enum read_result result;
	int64_t number = 0;

	if (state->done)
		return &error_stop;
	state->done = true;
	put_text(state, row, COLUMN_hostname, linux_uname(kernel, LINUX_NODENAME, text));
	put_text(state, row, COLUMN_cpu_type, linux_uname(kernel, LINUX_MACHINE, text));
	put_text(state, row, COLUMN_cpu_brand, linux_cpu_brand(kernel, text));
	result = linux_cpus_online(kernel, &number);
	row_read_integer(row, COLUMN_cpu_logical_cores, result, number);
	result = linux_total_memory(kernel, &number);
	row_read_integer(row, COLUMN_physical_memory, result, number);
	put_text(state, row, COLUMN_hardware_vendor,
		 linux_dmi_string(kernel, "DMI_SYS_VENDOR", text));
	put_text(state, row, COLUMN_hardware_model,
		 linux_dmi_string(kernel, "DMI_PRODUCT_NAME", text));
	put_text(state, row, COLUMN_hardware_version,
		 linux_dmi_string(kernel, "DMI_PRODUCT_VERSION", text));
	put_text(state, row, COLUMN_hardware_serial,
		 linux_dmi_string(kernel, "DMI_PRODUCT_SERIAL", text));
	return NULL;
}

static void system_info_close(void *data)
{
	struct system_info *state = data;

	buffer_deinit(&state->text);
}

const struct view view_system_info = {
    .schema = {"system_info", "the guest's machine", columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct system_info), system_info_open, system_info_next,
		   system_info_close}},
};
