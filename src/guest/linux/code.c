/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/code.h"
#include "core/array.h"
#include "core/pages.h"
#include "guest/linux/lookup.h"
#include "guest/linux/module.h"
#include "guest/linux/module_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Limits of the lists; a host with thousands of containers has some ten thousand BPF programs. */
#define MAX_BPF    ((uint64_t)1 << 18)
#define MAX_FTRACE 4096
#define MAX_PAGES  ((uint64_t)1 << 16)

static bool add(struct linux_code *code, uint64_t start, uint64_t size, enum linux_code_owner owner,
		const char *name)
{
	struct linux_code_area *area;

	if (!start || !size || start + size < start)
		return true;
	if (!ARRAY_RESERVE(code->areas, code->count, code->capacity, 1))
		return false;
	area = &code->areas[code->count++];
	*area = (struct linux_code_area){.start = start, .end = start + size, .owner = owner};
	snprintf(area->name, sizeof(area->name), "%s", name);
	return true;
}

static void fault(struct linux_code *code, const char *what, enum read_result why)
{
	if (why == READ_OK || why == READ_NO_LAYOUT || (code->broken && why != READ_NO_MEMORY))
		return;
	code->broken = why;
	code->incomplete = what;
}

/*
 * Remembers that a variable is missing whose feature this kernel has, since it has a function of
 * it: kernels without CONFIG_KALLSYMS_ALL know the names of functions alone. A structure does not
 * tell that, because kernels without the feature may have it.
 */
static void miss(struct linux_kernel *kernel, struct linux_code *code, const char *what,
		 const char *function)
{
	struct symbol_index *symbols;
	_cleanup_error_ struct nunchi_error *err = linux_symbols(kernel, &symbols);
	size_t at;

	if (error_is(err, NUNCHI_ERROR_NOMEM))
		fault(code, what, READ_NO_MEMORY);
	else if (!err && symbol_index_find(symbols, function, &at))
		fault(code, what, READ_NO_SYMBOL);
}

static struct nunchi_error *add_modules(struct linux_kernel *kernel, struct linux_code *code)
{
	struct linux_module_index *modules;
	struct nunchi_error *err;

	if (linux_without_modules(kernel))
		return NULL;
	err = linux_module_index(kernel, &modules);
	if (err)
		return err;
	if (modules->cut_short)
		fault(code, "the list of modules", READ_BAD_DATA);
	fault(code, "a module", modules->unread);
	for (size_t i = 0; i < modules->count; i++) {
		const struct linux_module *module = &modules->items[i];

		for (unsigned j = 0; j < module->area_count; j++)
			if (!add(code, module->areas[j].start, module->areas[j].size,
				 LINUX_CODE_MODULE, module->name))
				return &error_nomem;
	}
	return NULL;
}

static struct nunchi_error *add_bpf(struct linux_kernel *kernel, struct linux_code *code)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_code);
	uint64_t head = kernel->symbol[LINUX_bpf_kallsyms], node;
	_cleanup_object_ struct object symbol = {0};
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;

	if (!head)
		miss(kernel, code, "the list of BPF programs", "bpf_ksym_add");
	if (!head || !layout->bpf_ksym_lnode.present)
		return NULL;
	linux_list_init(&list, kernel, head, MAX_BPF, &seen);
	while (linux_list_next(&list, &node)) {
		enum read_result result = linux_read_object(
		    kernel, LAYOUT_bpf_ksym, node - layout->bpf_ksym_lnode.offset, &symbol);
		uint64_t start = object_u64(&symbol, &layout->bpf_ksym_start);
		char name[64];
		const char *text = "";
		size_t length = object_text(&symbol, &layout->bpf_ksym_name, &text);

		fault(code, "the list of BPF programs", result);
		snprintf(name, sizeof(name), "%.*s", (int)(length < 63 ? length : 63), text);
		if (result == READ_OK &&
		    !add(code, start, object_u64(&symbol, &layout->bpf_ksym_end) - start,
			 LINUX_CODE_BPF, name))
			return &error_nomem;
	}
	fault(code, "the list of BPF programs", list.broken);
	return NULL;
}

void linux_ftrace_each(struct linux_kernel *kernel, enum read_result *ret_broken,
		       bool (*visit)(const struct object *ops, void *data), void *data)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_code);
	uint64_t head = kernel->symbol[LINUX_ftrace_ops_list];
	uint64_t end = kernel->symbol[LINUX_ftrace_list_end], at;
	_cleanup_object_ struct object ops = {0};

	*ret_broken = READ_OK;
	if (!head || !end || !layout->ftrace_ops_next.present)
		return;
	*ret_broken = linux_read_word(kernel, head, &at);
	for (unsigned i = 0; *ret_broken == READ_OK && at && at != end; i++) {
		*ret_broken = i == MAX_FTRACE
				  ? READ_LIMIT
				  : linux_read_object(kernel, LAYOUT_ftrace_ops, at, &ops);
		if (*ret_broken != READ_OK || !visit(&ops, data))
			return;
		at = object_u64(&ops, &layout->ftrace_ops_next);
	}
}

struct trampolines {
	struct linux_code *code;
	const struct layout *layout;
	bool no_memory;
};

static bool add_trampoline(const struct object *ops, void *data)
{
	struct trampolines *state = data;
	const struct layout *layout = state->layout;

	state->no_memory =
	    !add(state->code, object_u64(ops, &layout->ftrace_ops_trampoline),
		 object_u64(ops, &layout->ftrace_ops_trampoline_size), LINUX_CODE_FTRACE, "");
	return !state->no_memory;
}

static struct nunchi_error *add_ftrace(struct linux_kernel *kernel, struct linux_code *code)
{
	struct trampolines state = {code, linux_layout(kernel, LAYOUT_GROUP_code), false};
	enum read_result broken;

	if (!kernel->symbol[LINUX_ftrace_ops_list] || !kernel->symbol[LINUX_ftrace_list_end])
		miss(kernel, code, "the list of ftrace's users", "register_ftrace_function");
	linux_ftrace_each(kernel, &broken, add_trampoline, &state);
	fault(code, "the list of ftrace's users", broken);
	return state.no_memory ? &error_nomem : NULL;
}

/*
 * Adds the pages in which kprobes keep copies of instructions, of one struct kprobe_insn_cache;
 * `function` is one that needs them.
 */
static struct nunchi_error *add_slots(struct linux_kernel *kernel, struct linux_code *code,
				      uint64_t cache, const char *function)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_code);
	_cleanup_hash_map_ struct hash_map seen = {0};
	uint64_t node, page;
	struct linux_list list;

	if (!cache)
		miss(kernel, code, "the pages of kprobes", function);
	if (!cache || !layout->kprobe_insn_cache_pages.present ||
	    !layout->kprobe_insn_page_list.present)
		return NULL;
	linux_list_init(&list, kernel, cache + layout->kprobe_insn_cache_pages.offset, MAX_PAGES,
			&seen);
	while (linux_list_next(&list, &node)) {
		enum read_result result =
		    linux_read_field(kernel, node - layout->kprobe_insn_page_list.offset,
				     &layout->kprobe_insn_page_insns, &page);

		fault(code, "the pages of kprobes", result);
		if (result == READ_OK && !add(code, page, PAGE_SIZE, LINUX_CODE_KPROBES, ""))
			return &error_nomem;
	}
	fault(code, "the pages of kprobes", list.broken);
	return NULL;
}

/*
 * Adds the page with the instruction that calls Hyper-V, to which a static call of newer kernels
 * leads (hyperv_init() of arch/x86/hyperv/hv_init.c). Guests of other hypervisors have none.
 */
static struct nunchi_error *add_hypercalls(struct linux_kernel *kernel, struct linux_code *code)
{
	uint64_t variable = kernel->symbol[LINUX_hv_hypercall_pg], page = 0;
	enum read_result result = variable ? linux_read_word(kernel, variable, &page) : READ_OK;

	fault(code, "the page for calls of Hyper-V", result);
	return add(code, page, PAGE_SIZE, LINUX_CODE_HYPERCALLS, "") ? NULL : &error_nomem;
}

static int by_start(const void *a, const void *b)
{
	const struct linux_code_area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

struct nunchi_error *linux_code_collect(struct linux_kernel *kernel, struct linux_code *ret)
{
	uint64_t start = kernel->symbol[LINUX_stext], end = kernel->symbol[LINUX_etext];
	struct linux_code code = {0};
	struct nunchi_error *err = NULL;

	*ret = code;
	if (!start || end <= start)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the symbols _stext and _etext are missing"),
				  "give the kernel's System.map with --symbols");
	if (!add(&code, start, end - start, LINUX_CODE_KERNEL, ""))
		err = &error_nomem;
	if (!err)
		err = add_modules(kernel, &code);
	if (!err)
		err = add_bpf(kernel, &code);
	if (!err)
		err = add_ftrace(kernel, &code);
	if (!err)
		err = add_slots(kernel, &code, kernel->symbol[LINUX_kprobe_insn_slots],
				"arch_prepare_kprobe");
	if (!err)
		err = add_slots(kernel, &code, kernel->symbol[LINUX_kprobe_optinsn_slots],
				"arch_prepare_optimized_kprobe");
	if (!err)
		err = add_hypercalls(kernel, &code);
	if (!err && code.broken == READ_NO_MEMORY)
		err = &error_nomem;
	if (err) {
		linux_code_deinit(&code);
		return err;
	}
	qsort(code.areas, code.count, sizeof(*code.areas), by_start);
	*ret = code;
	return NULL;
}

void linux_code_deinit(struct linux_code *code)
{
	free(code->areas);
	*code = (struct linux_code){0};
}

const struct linux_code_area *linux_code_at(const struct linux_code *code, uint64_t address)
{
	size_t low = 0, high = code->count;

	/* The first area that starts behind the address. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (code->areas[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low && address < code->areas[low - 1].end ? &code->areas[low - 1] : NULL;
}

void linux_code_describe(struct linux_kernel *kernel, const struct linux_code *code,
			 uint64_t address, struct buffer *ret)
{
	const struct linux_code_area *area = linux_code_at(code, address);
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct guest_symbol found;

	if (area && area->owner == LINUX_CODE_BPF)
		buffer_printf(ret, "BPF program %s", area->name);
	else if (area && area->owner == LINUX_CODE_FTRACE)
		buffer_append_string(ret, "a trampoline of ftrace");
	else if (area && area->owner == LINUX_CODE_KPROBES)
		buffer_append_string(ret, "an instruction copied by kprobes");
	else if (area && area->owner == LINUX_CODE_HYPERCALLS)
		buffer_append_string(ret, "the page for calls of Hyper-V");
	if (area && area->owner != LINUX_CODE_KERNEL && area->owner != LINUX_CODE_MODULE)
		return;
	err = linux_symbol_at(kernel, address, &found);
	if (error_is(err, NUNCHI_ERROR_NOMEM)) {
		ret->failed = ret->no_memory = true;
	} else if (!err) {
		buffer_printf(ret, "%s%s%s", found.module ? found.module : "",
			      found.module ? ":" : "", found.symbol.name);
		if (address != found.symbol.address)
			buffer_printf(ret, "+0x%" PRIx64, address - found.symbol.address);
	} else if (area && area->owner == LINUX_CODE_MODULE) {
		buffer_printf(ret, "0x%" PRIx64 " in module %s", address, area->name);
	} else {
		buffer_printf(ret, "0x%" PRIx64 ", where no known code is", address);
	}
}
