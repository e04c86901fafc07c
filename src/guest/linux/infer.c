/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/infer.h"

#include <ctype.h>
#include <string.h>

/* A kernel's writable data, its zeroed part included, is smaller. */
#define MAX_DATA ((uint64_t)128 << 20)

/* True if a task_struct at address is the first task: its own parent, leader of itself. */
static bool is_init_task(struct linux_kernel *kernel, uint64_t address)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object task = {0};

	return layout->task_real_parent.present && layout->task_parent.present &&
	       layout->task_group_leader.present && layout->task_pid.present &&
	       linux_read_object(kernel, LAYOUT_task, address, &task) == MEMORY_OK &&
	       object_u64(&task, &layout->task_real_parent) == address &&
	       object_u64(&task, &layout->task_parent) == address &&
	       object_u64(&task, &layout->task_group_leader) == address &&
	       object_u64(&task, &layout->task_pid) == 0;
}

/*
 * True if address is a list_head through which modules hang: its neighbours point back, and the
 * next one is a struct module's list with a name.
 */
static bool is_module_list(struct linux_kernel *kernel, uint64_t address, uint64_t next,
			   uint64_t back)
{
	const struct layout *layout = &kernel->layout;
	uint64_t base = next - layout->module_list.offset, links[2] = {0}, there = 0;
	_cleanup_object_ struct object module = {0};
	const char *name;
	size_t length;

	if (linux_read_word(kernel, next + kernel->word_size, &links[0]) != MEMORY_OK ||
	    linux_read_word(kernel, back, &links[1]) != MEMORY_OK || links[0] != address ||
	    links[1] != address ||
	    linux_read_object(kernel, LAYOUT_module, base, &module) != MEMORY_OK ||
	    object_u64(&module, &layout->module_state) > 3)
		return false;
	/* struct module's kobject points to its module. */
	if (!layout->module_self.present || object_u64(&module, &layout->module_self) != base)
		return false;
	length = object_text(&module, &layout->module_name, &name);
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	}
	there = object_u64(&module, &layout->module_text_base);
	return length && there && !(there & PAGE_MASK);
}

/* What is looked for may begin with the last word of a page. */
#define OVERLAP 8

/* What one page of data, and the word behind it, is searched for. */
static void search_page(struct linux_kernel *kernel, const uint8_t *page, uint64_t address)
{
	const struct layout *layout = &kernel->layout;
	unsigned word = kernel->word_size;

	for (size_t i = 0; i < PAGE_SIZE; i += word) {
		uint64_t next = 0, back = 0;

		if (!kernel->symbol[LINUX_init_task] && !memcmp(page + i, "swapper", 7) &&
		    is_init_task(kernel, address + i - layout->task_comm.offset))
			kernel->symbol[LINUX_init_task] = address + i - layout->task_comm.offset;
		memcpy(&next, page + i, word);
		memcpy(&back, page + i + word, word);
		/* Modules live outside of the image, in the kernel's half. */
		if (kernel->symbol[LINUX_modules] || !next || !back || next % word || back % word ||
		    (next >= kernel->text_virtual && next < kernel->image_end))
			continue;
		if (next >> (word * 8 - 1) && back >> (word * 8 - 1) &&
		    is_module_list(kernel, address + i, next, back))
			kernel->symbol[LINUX_modules] = address + i;
	}
}

void linux_infer_symbols(struct linux_kernel *kernel, uint64_t data_start)
{
	const struct layout *layout = &kernel->layout;
	bool had_task = kernel->symbol[LINUX_init_task];
	bool had_modules = kernel->symbol[LINUX_modules];
	uint8_t page[PAGE_SIZE + OVERLAP];

	if ((had_task && had_modules) || !data_start || !layout->task_comm.present ||
	    !layout->module_list.present || kernel->image_end - data_start > MAX_DATA)
		return;
	for (uint64_t at = data_start; at < kernel->image_end && !*kernel->cancel;
	     at += PAGE_SIZE) {
		if (kernel->symbol[LINUX_init_task] && kernel->symbol[LINUX_modules])
			break;
		if (linux_read(kernel, at, page, PAGE_SIZE) != MEMORY_OK)
			continue;
		if (linux_read(kernel, at + PAGE_SIZE, page + PAGE_SIZE, OVERLAP) != MEMORY_OK)
			memset(page + PAGE_SIZE, 0, OVERLAP);
		search_page(kernel, page, at);
	}
	if (!had_task && kernel->symbol[LINUX_init_task])
		linux_kernel_fact(kernel, "kernel", "init_task", "found by its shape", "0x%llx",
				  (unsigned long long)kernel->symbol[LINUX_init_task]);
	if (!had_modules && kernel->symbol[LINUX_modules])
		linux_kernel_fact(kernel, "kernel", "modules", "found by its shape", "0x%llx",
				  (unsigned long long)kernel->symbol[LINUX_modules]);
}
