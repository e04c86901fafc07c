/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(hostname, TEXT, "name of the guest (uname -n)")                                          \
	X(cpu_type, TEXT, "architecture (uname -m)")                                               \
	X(cpu_brand, TEXT, "the processor's own name")                                             \
	X(cpu_logical_cores, INTEGER, "CPUs online")                                               \
	X(physical_memory, BYTES, "bytes of RAM that the kernel manages (MemTotal)")             \
	X(hardware_vendor, TEXT, "system vendor, from DMI")                                        \
	X(hardware_model, TEXT, "product name, from DMI")                                          \
	X(hardware_version, TEXT, "product version, from DMI")                                     \
	X(hardware_serial, TEXT, "product serial number, from DMI")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct system_info {
	struct linux_kernel *kernel;
	bool done;
};

/* A string of the table that the DMI code keeps (drivers/firmware/dmi_scan.c). */
static void put_dmi(struct linux_kernel *kernel, struct view_row *row, unsigned column,
		    const char *which)
{
	uint64_t table = kernel->symbol[LINUX_dmi_ident], pointer;
	char text[256];
	size_t length;
	int64_t index;

	if (!table || !kernel->types || !type_index_enum_value(kernel->types, which, &index) ||
	    index < 0 || index > 64) {
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
		return;
	}
	if (linux_read_word(kernel, table + (uint64_t)index * kernel->word_size, &pointer) !=
	    MEMORY_OK)
		row_absent(row, column, NUNCHI_ABSENT_NOT_MAPPED);
	else if (!pointer)
		row_absent(row, column, NUNCHI_ABSENT_NOT_APPLICABLE);
	else if (linux_read_string(kernel, pointer, text, sizeof(text), &length) == MEMORY_OK)
		row_text(row, column, text, length);
	else
		row_absent(row, column, NUNCHI_ABSENT_NOT_MAPPED);
}

static void put_cpus(struct linux_kernel *kernel, struct view_row *row)
{
	uint64_t mask = kernel->symbol[LINUX_cpu_online_mask];
	unsigned cpus = linux_cpu_count(kernel);
	int64_t online = 0;

	for (unsigned cpu = 0; mask && cpu < cpus; cpu++) {
		uint8_t byte;

		if (linux_read(kernel, mask + cpu / 8, &byte, 1) != MEMORY_OK)
			break;
		online += byte >> cpu % 8 & 1;
	}
	if (online)
		row_integer(row, COLUMN_cpu_logical_cores, online);
	else
		row_absent(row, COLUMN_cpu_logical_cores, NUNCHI_ABSENT_NO_LAYOUT);
}

static struct nunchi_error *system_info_open(void *data, struct guest_kernel *guest,
					     const struct view_request *request)
{
	struct system_info *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);

	(void)request;
	state->kernel = kernel;
	return NULL;
}

static struct nunchi_error *system_info_next(void *data, struct view_row *row)
{
	struct system_info *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_system);
	_cleanup_object_ struct object uts = {0}, cpu = {0};
	uint64_t pages;

	if (state->done)
		return &error_stop;
	state->done = true;
	linux_read_object(kernel, LAYOUT_uts_namespace, kernel->symbol[LINUX_init_uts_ns], &uts);
	linux_read_object(kernel, LAYOUT_cpuinfo_x86, kernel->symbol[LINUX_boot_cpu_data], &cpu);
	row_field_text(row, COLUMN_hostname, &uts, &layout->uts_namespace_nodename);
	row_field_text(row, COLUMN_cpu_type, &uts, &layout->uts_namespace_machine);
	row_field_text(row, COLUMN_cpu_brand, &cpu, &layout->cpuinfo_x86_model_id);
	put_cpus(kernel, row);
	if (kernel->symbol[LINUX_totalram_pages] &&
	    linux_read_word(kernel, kernel->symbol[LINUX_totalram_pages], &pages) == MEMORY_OK)
		row_integer(row, COLUMN_physical_memory, (int64_t)(pages * PAGE_SIZE));
	else
		row_absent(row, COLUMN_physical_memory, NUNCHI_ABSENT_NO_LAYOUT);
	put_dmi(kernel, row, COLUMN_hardware_vendor, "DMI_SYS_VENDOR");
	put_dmi(kernel, row, COLUMN_hardware_model, "DMI_PRODUCT_NAME");
	put_dmi(kernel, row, COLUMN_hardware_version, "DMI_PRODUCT_VERSION");
	put_dmi(kernel, row, COLUMN_hardware_serial, "DMI_PRODUCT_SERIAL");
	return NULL;
}

const struct view view_system_info = {
    .schema = {"system_info", "the guest's machine", columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct system_info), system_info_open, system_info_next,
		   NULL}},
};
