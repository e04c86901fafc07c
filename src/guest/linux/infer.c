/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/infer.h"
#include "guest/linux/identify.h"
#include "guest/linux/module.h"

#include <ctype.h>
#include <string.h>

/* Limit of the size of a kernel's writable data, including .bss. */
#define MAX_DATA ((uint64_t)128 << 20)

/* Whether the address is that of the first task: its own parent and its own group leader. */
static bool is_init_task(struct linux_kernel *kernel, uint64_t address)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object task = {0};

	return layout->task_real_parent.present && layout->task_parent.present &&
	       layout->task_group_leader.present && layout->task_pid.present &&
	       linux_read_object(kernel, LAYOUT_task, address, &task) == READ_OK &&
	       object_u64(&task, &layout->task_real_parent) == address &&
	       object_u64(&task, &layout->task_parent) == address &&
	       object_u64(&task, &layout->task_group_leader) == address &&
	       object_u64(&task, &layout->task_pid) == 0;
}

/*
 * Whether the address is that of the list_head `modules`: its neighbours point back to it, and the
 * next one is the `list` of a struct module with a name.
 */
static bool is_module_list(struct linux_kernel *kernel, uint64_t address, uint64_t next,
			   uint64_t back)
{
	const struct layout *layout = &kernel->layout;
	uint64_t base = next - layout->module_list.offset, links[2] = {0}, there = 0;
	_cleanup_object_ struct object module = {0};
	const char *name;
	size_t length;

	if (linux_read_word(kernel, next + kernel->word_size, &links[0]) != READ_OK ||
	    linux_read_word(kernel, back, &links[1]) != READ_OK || links[0] != address ||
	    links[1] != address ||
	    linux_read_object(kernel, LAYOUT_module, base, &module) != READ_OK ||
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

/* A list_head may begin with the last word of a page. */
#define OVERLAP 8

/* What has not been found yet. */
struct wanted {
	bool task, modules, note;
};

/*
 * Uses the note if it is at the address: at the start of a page outside of the image, as
 * crash_save_vmcoreinfo_init() allocates it.
 */
static bool take_note(struct linux_kernel *kernel, uint64_t address)
{
	static const char first[] = "OSRELEASE=";
	struct vmcoreinfo info;
	char page[PAGE_SIZE];

	return linux_read(kernel, address, page, sizeof(first) - 1) == READ_OK &&
	       !memcmp(page, first, sizeof(first) - 1) &&
	       linux_read(kernel, address, page, sizeof(page)) == READ_OK &&
	       vmcoreinfo_parse(page, sizeof(page), &info) &&
	       linux_identify_noted(kernel, &info, "named by the VMCOREINFO page in memory");
}

/* Whether a word of data points out of the image, into the kernel's half of the address space. */
static bool leads_out(const struct linux_kernel *kernel, uint64_t value)
{
	return value >> (kernel->word_size * 8 - 1) &&
	       (value < kernel->text_virtual || value >= kernel->image_end);
}

/* Searches one page of data and the word after it. */
static void search_page(struct linux_kernel *kernel, const uint8_t *page, uint64_t address,
			struct wanted *wanted)
{
	const struct layout *layout = &kernel->layout;
	unsigned word = kernel->word_size;

	for (size_t i = 0; i < PAGE_SIZE; i += word) {
		uint64_t next = 0, back = 0;

		if (wanted->task && !memcmp(page + i, "swapper", 7) &&
		    is_init_task(kernel, address + i - layout->task_comm.offset)) {
			kernel->symbol[LINUX_init_task] = address + i - layout->task_comm.offset;
			wanted->task = false;
		}
		memcpy(&next, page + i, word);
		memcpy(&back, page + i + word, word);
		if (!leads_out(kernel, next))
			continue;
		if (wanted->note && !(next & PAGE_MASK))
			wanted->note = !take_note(kernel, next);
		/* Modules are outside of the image, in the kernel's half of the address space. */
		if (!wanted->modules || !back || next % word || back % word)
			continue;
		if (back >> (word * 8 - 1) && is_module_list(kernel, address + i, next, back)) {
			kernel->symbol[LINUX_modules] = address + i;
			wanted->modules = false;
		}
	}
}

static struct wanted find_wanted(struct linux_kernel *kernel)
{
	bool task = !kernel->symbol[LINUX_init_task];
	/* Kernels without modules have struct module among their types, too. */
	bool modules = !kernel->symbol[LINUX_modules] && !linux_without_modules(kernel);

	return (struct wanted){
	    .task = task && linux_layout(kernel, LAYOUT_GROUP_task)->task_comm.present,
	    .modules = modules && linux_layout(kernel, LAYOUT_GROUP_module)->module_list.present,
	    /* Kernels before 5.10 have no prb. */
	    .note = (!kernel->symbol[LINUX_prb] && !kernel->symbol[LINUX_log_first_idx]) ||
		    !kernel->symbol[LINUX_init_uts_ns],
	};
}

void linux_infer_symbols(struct linux_kernel *kernel, uint64_t data_start)
{
	struct wanted first = find_wanted(kernel), wanted = first;
	uint8_t page[PAGE_SIZE + OVERLAP];

	if (!data_start || kernel->image_end - data_start > MAX_DATA)
		return;
	for (uint64_t at = data_start;
	     at < kernel->image_end && !cancel_requested(kernel->guest.cancel); at += PAGE_SIZE) {
		if (!wanted.task && !wanted.modules && !wanted.note)
			break;
		if (linux_read(kernel, at, page, PAGE_SIZE) != READ_OK)
			continue;
		if (linux_read(kernel, at + PAGE_SIZE, page + PAGE_SIZE, OVERLAP) != READ_OK)
			memset(page + PAGE_SIZE, 0, OVERLAP);
		search_page(kernel, page, at, &wanted);
	}
	if (first.task && !wanted.task)
		linux_kernel_fact(kernel, "kernel", "init_task", "found by its shape", "0x%llx",
				  (unsigned long long)kernel->symbol[LINUX_init_task]);
	if (first.modules && !wanted.modules)
		linux_kernel_fact(kernel, "kernel", "modules", "found by its shape", "0x%llx",
				  (unsigned long long)kernel->symbol[LINUX_modules]);
}
