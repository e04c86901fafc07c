/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/machine.h"

#include <string.h>

/* COMMAND_LINE_SIZE of x86 is 2048; boot configuration can make it longer. */
#define MAX_COMMAND_LINE 65536
#define MAX_DMI_STRING   256

enum read_result linux_uname(struct linux_kernel *kernel, enum linux_uname which,
			     struct buffer *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_system);
	const struct field *const fields[] = {
	    [LINUX_NODENAME] = &layout->uts_namespace_nodename,
	    [LINUX_RELEASE] = &layout->uts_namespace_release,
	    [LINUX_VERSION] = &layout->uts_namespace_version,
	    [LINUX_MACHINE] = &layout->uts_namespace_machine,
	};
	uint64_t address = kernel->symbol[LINUX_init_uts_ns];
	_cleanup_object_ struct object uts = {0};

	if (!address)
		return READ_NO_SYMBOL;
	linux_read_object(kernel, LAYOUT_uts_namespace, address, &uts);
	return object_append_text(&uts, fields[which], ret);
}

/* Appends the string at a kernel address. */
static enum read_result append_string(struct linux_kernel *kernel, uint64_t address, size_t limit,
				      struct buffer *ret)
{
	char *to = buffer_reserve(ret, limit);
	enum read_result result;
	size_t size;

	if (!to)
		return READ_NO_MEMORY;
	result = linux_read_string(kernel, address, to, limit, &size);
	if (result == READ_OK)
		ret->size += size;
	return result;
}

enum read_result linux_command_line(struct linux_kernel *kernel, struct buffer *ret)
{
	uint64_t pointer = kernel->symbol[LINUX_saved_command_line], text;
	enum read_result result;

	if (!pointer)
		return READ_NO_SYMBOL;
	result = linux_read_word(kernel, pointer, &text);
	return result == READ_OK ? append_string(kernel, text, MAX_COMMAND_LINE, ret) : result;
}

enum read_result linux_cpu_brand(struct linux_kernel *kernel, struct buffer *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_system);
	uint64_t address = kernel->symbol[LINUX_boot_cpu_data];
	_cleanup_object_ struct object cpu = {0};

	if (!address)
		return READ_NO_SYMBOL;
	linux_read_object(kernel, LAYOUT_cpuinfo_x86, address, &cpu);
	return object_append_text(&cpu, &layout->cpuinfo_x86_model_id, ret);
}

bool linux_is_smp(const struct linux_kernel *kernel)
{
	return strstr(kernel->banner, " SMP ");
}

enum read_result linux_cpu_is_online(struct linux_kernel *kernel, unsigned cpu, bool *ret)
{
	uint64_t mask = kernel->symbol[LINUX_cpu_online_mask];
	enum read_result result;
	uint8_t byte = 0;

	/* A kernel for one CPU has no mask of them. */
	*ret = !linux_is_smp(kernel);
	if (*ret)
		return READ_OK;
	if (!mask)
		return READ_NO_SYMBOL;
	result = linux_read(kernel, mask + cpu / 8, &byte, 1);
	*ret = result == READ_OK && byte >> cpu % 8 & 1;
	return result;
}

enum read_result linux_cpus_online(struct linux_kernel *kernel, int64_t *ret)
{
	enum read_result result;
	int64_t count = 0;
	unsigned cpus;

	if (!linux_is_smp(kernel)) {
		*ret = 1;
		return READ_OK;
	}
	result =
	    kernel->symbol[LINUX_cpu_online_mask] ? linux_cpu_count(kernel, &cpus) : READ_NO_SYMBOL;
	for (unsigned cpu = 0; result == READ_OK && cpu < cpus; cpu++) {
		bool online;

		result = linux_cpu_is_online(kernel, cpu, &online);
		count += online;
	}
	if (result != READ_OK)
		return result;
	/* At least the CPU on which the kernel runs is online. */
	if (!count)
		return READ_BAD_DATA;
	*ret = count;
	return READ_OK;
}

enum read_result linux_total_memory(struct linux_kernel *kernel, int64_t *ret)
{
	uint64_t pages = 0;
	enum read_result result;

	if (!kernel->symbol[LINUX_totalram_pages])
		return READ_NO_SYMBOL;
	result = linux_read_word(kernel, kernel->symbol[LINUX_totalram_pages], &pages);
	*ret = (int64_t)(pages * PAGE_SIZE);
	return result;
}

/* The DMI code keeps a table of pointers to strings (drivers/firmware/dmi_scan.c). */
enum read_result linux_dmi_string(struct linux_kernel *kernel, const char *which,
				  struct buffer *ret)
{
	uint64_t table = kernel->symbol[LINUX_dmi_ident], pointer;
	enum read_result result;
	int64_t index;

	if (!table)
		return READ_NO_SYMBOL;
	if (!kernel->types || !type_index_enum_value(kernel->types, which, &index) || index < 0 ||
	    index > 64)
		return READ_NO_LAYOUT;
	result = linux_read_word(kernel, table + (uint64_t)index * kernel->word_size, &pointer);
	if (result == READ_OK && !pointer)
		return READ_NONE;
	return result == READ_OK ? append_string(kernel, pointer, MAX_DMI_STRING, ret) : result;
}
