/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/identify.h"
#include "core/buffer.h"
#include "symbols/symbol_variant.h"
#include "symbols/vmcoreinfo.h"

#include <stdio.h>
#include <string.h>

/* Limit of the tasks followed to find out whether the list of tasks is complete. */
#define MAX_TASK_STEPS 65536

static const char banner_start[] = "Linux version ";

struct symbol_row {
	const char *names[4];
};

static const struct symbol_row symbol_rows[LINUX_SYMBOL_COUNT] = {
#define SYMBOL(id, ...) [LINUX_##id] = {{__VA_ARGS__}},
#include "guest/linux/symbols.def"
#undef SYMBOL
};

bool linux_image_physical(struct linux_kernel *kernel, uint64_t virtual, uint64_t *ret)
{
	gpa_t physical;

	if (virtual < kernel->text_virtual || virtual >= kernel->image_end)
		return false;
	if (kernel->scattered) {
		if (address_space_translate(kernel->guest.space, gva(virtual), &physical) !=
		    MEMORY_OK)
			return false;
		*ret = physical.v;
		return true;
	}
	*ret = virtual - kernel->text_virtual + kernel->text_physical;
	return true;
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* Finds the symbol with this name, or its variant if there is exactly one. */
static bool find_symbol(const struct symbol_index *symbols, const char *name, size_t *ret)
{
	size_t at;

	if (symbol_index_find(symbols, name, ret))
		return true;
	if (symbol_index_find_variants(symbols, name, &at) != 1 ||
	    symbol_variant_of(symbol_index_get(symbols, at).name, name) != SYMBOL_VARIANT)
		return false;
	*ret = at;
	return true;
}

/*
 * Finds in the read-only data the banner that has a build number. A kernel may also contain a
 * banner without the number, made before it was linked, and the format string of /proc/version.
 */
static void find_banner(const struct kernel_image *rodata, struct linux_banner *ret)
{
	const uint8_t *at = rodata->data, *end = rodata->data + rodata->size;

	*ret = (struct linux_banner){0};
	while ((at = memmem(at, (size_t)(end - at), banner_start, sizeof(banner_start) - 1))) {
		size_t left = (size_t)(end - at);
		size_t size = left < sizeof(ret->text) ? left : sizeof(ret->text);
		const uint8_t *stop = memchr(at, '\0', size);
		const uint8_t *number = stop ? memmem(at, (size_t)(stop - at), ") #", 3) : NULL;

		if (number && number[3] >= '0' && number[3] <= '9') {
			ret->address = rodata->address.v + (uint64_t)(at - rodata->data);
			memcpy(ret->text, at, (size_t)(stop - at));
			ret->text[strcspn(ret->text, "\n")] = '\0';
			return;
		}
		at++;
	}
}

static struct nunchi_error *symbols_from_file(struct linux_kernel *kernel,
					      const struct kernel_image *rodata,
					      struct linux_given *given)
{
	struct linux_banner banner;
	struct nunchi_error *err;

	find_banner(rodata, &banner);
	err = linux_given_symbols(given, kernel, rodata, &banner);
	for (size_t i = 0; !err && i < LINUX_SYMBOL_COUNT; i++) {
		size_t at;

		for (size_t j = 0; j < ARRAY_SIZE(symbol_rows[i].names); j++) {
			const char *name = symbol_rows[i].names[j];

			if (name && find_symbol(kernel->symbols, name, &at)) {
				kernel->symbol[i] = symbol_index_get(kernel->symbols, at).address;
				break;
			}
		}
	}
	if (!err)
		linux_kernel_fact(kernel, "kernel", "symbols", NULL, "%zu, from %s",
				  symbol_index_count(kernel->symbols), given->symbols_path);
	return err;
}

static struct nunchi_error *lookup_symbols(struct linux_kernel *kernel)
{
	const char *names[LINUX_SYMBOL_COUNT * ARRAY_SIZE(symbol_rows[0].names)];
	uint64_t addresses[ARRAY_SIZE(names)];
	size_t owner[ARRAY_SIZE(names)];
	struct nunchi_error *err;
	size_t count = 0;

	for (size_t i = 0; i < LINUX_SYMBOL_COUNT; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(symbol_rows[i].names); j++) {
			if (!symbol_rows[i].names[j])
				break;
			owner[count] = i;
			names[count++] = symbol_rows[i].names[j];
		}
	}
	err = kallsyms_lookup(kernel->kallsyms, names, count, addresses);
	for (size_t i = 0; !err && i < count; i++) {
		if (!kernel->symbol[owner[i]])
			kernel->symbol[owner[i]] = addresses[i];
	}
	return err;
}

struct nunchi_error *linux_identify_symbols(struct linux_kernel *kernel,
					    const struct kernel_image *rodata,
					    struct linux_given *given)
{
	struct nunchi_error *err;

	if (given->map)
		return symbols_from_file(kernel, rodata, given);
	err = kallsyms_find(rodata, &kernel->kallsyms);
	if (!err)
		err = lookup_symbols(kernel);
	if (!err) {
		linux_kernel_fact(kernel, "kernel", "symbols",
				  kallsyms_description(kernel->kallsyms), "%u, from kallsyms",
				  kallsyms_count(kernel->kallsyms));
		return NULL;
	}
	if (error_is(err, NUNCHI_ERROR_NOMEM))
		return err;
	kernel->symbols_missing = strdup(nunchi_error_message(err));
	nunchi_error_destroy(err);
	return kernel->symbols_missing ? NULL : &error_nomem;
}

bool linux_identify_noted(struct linux_kernel *kernel, const struct vmcoreinfo *info,
			  const char *how)
{
	/*
	 * None of these is used to judge a candidate, since the note may be the one that led to the
	 * candidate.
	 */
	static const struct {
		enum linux_symbol symbol;
		const char *name;
	} noted[] = {
	    {LINUX_init_uts_ns, "init_uts_ns"}, {LINUX_prb, "prb"}, {LINUX_mem_map, "mem_map"}};
	uint64_t stext, address;

	if (!vmcoreinfo_symbol(info, "_stext", &stext) || stext < kernel->text_virtual ||
	    stext >= kernel->image_end ||
	    (kernel->symbol[LINUX_stext] && kernel->symbol[LINUX_stext] != stext))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(noted); i++) {
		uint64_t *known = &kernel->symbol[noted[i].symbol];

		if (*known || !vmcoreinfo_symbol(info, noted[i].name, &address) ||
		    address < kernel->text_virtual || address >= kernel->image_end)
			continue;
		*known = address;
		linux_kernel_fact(kernel, "kernel", noted[i].name, how, "0x%llx",
				  (unsigned long long)address);
	}
	return true;
}

/* Decodes all of kallsyms. If the bytes of the image were not kept, reads them again. */
static struct nunchi_error *index_kallsyms(struct linux_kernel *kernel)
{
	struct nunchi_error *err = NULL;
	struct kernel_image rodata;

	if (linux_rodata_lasts(kernel))
		return kallsyms_to_index(kernel->kallsyms, &kernel->symbols);
	err = linux_rodata_get(kernel, &rodata);
	if (!err)
		err = kallsyms_set_image(kernel->kallsyms, &rodata);
	if (!err)
		err = kallsyms_to_index(kernel->kallsyms, &kernel->symbols);
	linux_rodata_release(kernel);
	return err;
}

struct nunchi_error *linux_symbols(struct linux_kernel *kernel, struct symbol_index **ret)
{
	struct nunchi_error *err = NULL;

	if (!kernel->symbols && !kernel->kallsyms)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "this kernel's symbols are missing: %s",
					       kernel->symbols_missing),
				  "give its System.map with --symbols");
	if (!kernel->symbols)
		err = index_kallsyms(kernel);
	if (!err)
		*ret = kernel->symbols;
	return err;
}

/* ---- Witnesses ------------------------------------------------------------------------------- */

/* The facts that agree with or contradict the candidate's address, for `nunchi info`. */
struct witnesses {
	struct buffer agree;
	struct buffer contradict;
	unsigned count;
	bool has_table; /* the candidate's page table has been counted as a witness */
};

static void witness(struct witnesses *witnesses, bool agrees, const char *what)
{
	struct buffer *buf = agrees ? &witnesses->agree : &witnesses->contradict;

	witnesses->count += agrees;
	buffer_printf(buf, "%s%s", buf->size ? ", " : "", what);
}

/*
 * Adds a fact that comes from the candidate's page table. All such facts together count as one
 * witness, because whoever forges a page table can forge all of them.
 */
static void table_witness(struct witnesses *witnesses, bool agrees, const char *what)
{
	if (agrees && witnesses->has_table)
		witnesses->count--;
	witnesses->has_table |= agrees;
	witness(witnesses, agrees, what);
}

/*
 * Adds a fact that comes from the VMCOREINFO note. A note that disagrees does not refuse a
 * candidate: it may be of another kernel.
 */
static void note_witness(struct linux_kernel *kernel, struct witnesses *witnesses, bool agrees,
			 const char *what)
{
	if (agrees)
		witness(witnesses, true, what);
	else
		kernel->note_disagrees = true;
}

static void ask_symbols(struct linux_kernel *kernel, struct witnesses *witnesses)
{
	uint64_t text = kernel->symbol[LINUX_text];
	uint64_t physical, phys_base, root;

	/* Symbols from a file were relocated to agree, so they prove nothing. */
	if (kernel->kallsyms && text)
		witness(witnesses, text == kernel->text_virtual, "kallsyms' _text");
	if (kernel->word_size == 8 && !kernel->scattered && kernel->symbol[LINUX_phys_base] &&
	    linux_read_u64(kernel, kernel->symbol[LINUX_phys_base], &phys_base) == READ_OK)
		witness(witnesses,
			phys_base ==
			    kernel->text_physical - (kernel->text_virtual - LINUX_KERNEL_MAP),
			"the variable phys_base");
	if (kernel->word_size == 4)
		table_witness(witnesses,
			      kernel->text_virtual - linux_split_below(kernel->text_virtual) ==
				  kernel->text_physical,
			      "the linear map");
	root = address_space_paging(kernel->guest.space)->root.v;
	if (kernel->symbol[LINUX_top_pgt] &&
	    linux_image_physical(kernel, kernel->symbol[LINUX_top_pgt], &physical))
		witness(witnesses, physical == root, "the kernel's own page table");
}

/*
 * Follows the list of tasks from its second task on; false if the list is broken. If a raw file is
 * arranged wrongly, some tasks are not found at their addresses.
 */
static bool is_list_whole(struct linux_kernel *kernel, uint64_t head, uint64_t at)
{
	for (unsigned steps = 0; at != head && steps < MAX_TASK_STEPS; steps++) {
		uint64_t next, back;

		if (linux_read_word(kernel, at, &next) != READ_OK ||
		    linux_read_word(kernel, next + kernel->word_size, &back) != READ_OK ||
		    back != at)
			return false;
		at = next;
	}
	return true;
}

/*
 * Checks that the list of tasks continues after the first task and leads back to it. An image that
 * remains of an earlier kernel has lost the memory around it.
 */
static void ask_task_list(struct linux_kernel *kernel, struct witnesses *witnesses, bool whole_list)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_task);
	uint64_t own = kernel->symbol[LINUX_init_task] + layout->task_tasks.offset;
	uint64_t next, back = 0;
	enum read_result fault;

	if (!layout->task_tasks.present || linux_read_word(kernel, own, &next) != READ_OK)
		return;
	fault = linux_read_word(kernel, next + kernel->word_size, &back);
	/*
	 * In a file that was cut short, or that leaves pages out, the next task may be missing;
	 * that is no contradiction.
	 */
	kernel->tasks_unverified = fault != READ_OK && fault != READ_NOT_MAPPED;
	if (!kernel->tasks_unverified)
		witness(witnesses, fault == READ_OK && back == own, "the list of tasks");
	/*
	 * A list that changed while the file was written is no contradiction either, but a
	 * candidate with a complete list is preferred.
	 */
	if (whole_list && back == own && !is_list_whole(kernel, own, next))
		kernel->tasks_unverified = true;
}

/*
 * Checks the first task: it is its own parent, and the page table of its memory is that of the
 * candidate.
 */
static void ask_init_task(struct linux_kernel *kernel, struct witnesses *witnesses, bool whole_list)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_task);
	uint64_t address = kernel->symbol[LINUX_init_task], pgd;
	_cleanup_object_ struct object task = {0};
	gpa_t root;

	if (!address || linux_read_object(kernel, LAYOUT_task, address, &task) != READ_OK)
		return;
	if (layout->task_real_parent.present)
		witness(witnesses, object_u64(&task, &layout->task_real_parent) == address,
			"init_task, its own parent");
	ask_task_list(kernel, witnesses, whole_list);
	/*
	 * active_mm of a kernel thread may be the memory of the process that ran before it; use it
	 * only if it is init_mm. Where a 32-bit image ends is not known exactly: the page table of
	 * a process may lie in what is taken for it.
	 */
	if (linux_read_field(kernel, object_u64(&task, &layout->task_active_mm), &layout->mm_pgd,
			     &pgd) == READ_OK &&
	    pgd >= kernel->text_virtual && pgd < kernel->image_end &&
	    (kernel->word_size == 8 || pgd == kernel->symbol[LINUX_top_pgt]) &&
	    address_space_translate(kernel->guest.space, gva(pgd), &root) == MEMORY_OK)
		witness(witnesses, root.v == address_space_paging(kernel->guest.space)->root.v,
			"the page table of init_mm");
}

/*
 * Checks the VMCOREINFO note that the target provides, or else the one through which the root was
 * found. Any process can forge a note of the second kind; so if it disagrees, that is no
 * contradiction.
 */
static void ask_note(struct linux_kernel *kernel, struct witnesses *witnesses,
		     const struct linux_root *root, const struct target *target)
{
	uint64_t stext = root->note_stext;
	bool agrees, handed_over = false;
	struct vmcoreinfo info;
	int64_t phys_base;

	if (target->vmcoreinfo &&
	    vmcoreinfo_parse(target->vmcoreinfo, target->vmcoreinfo_size, &info)) {
		handed_over = true;
		if (!vmcoreinfo_symbol(&info, "_stext", &stext))
			stext = root->note_stext;
		if (kernel->word_size == 8 && !kernel->scattered &&
		    vmcoreinfo_number(&info, "phys_base", &phys_base))
			note_witness(kernel, witnesses,
				     (uint64_t)phys_base ==
					 kernel->text_physical -
					     (kernel->text_virtual - LINUX_KERNEL_MAP),
				     "the VMCOREINFO note's phys_base");
	}
	if (!stext || !kernel->kallsyms || !kernel->symbol[LINUX_stext])
		return;
	agrees = stext == kernel->symbol[LINUX_stext];
	if (agrees || handed_over)
		note_witness(kernel, witnesses, agrees, "the VMCOREINFO note's _stext");
}

struct nunchi_error *linux_identify_banner(struct linux_kernel *kernel,
					   const struct kernel_image *rodata)
{
	uint64_t address = kernel->symbol[LINUX_linux_banner];
	size_t length = 0;

	if (!address) {
		struct linux_banner banner;

		find_banner(rodata, &banner);
		address = banner.address;
	}
	if (address && linux_read_string(kernel, address, kernel->banner,
					 sizeof(kernel->banner) - 1, &length) != READ_OK)
		length = 0;
	kernel->banner[length] = '\0';
	if (length && kernel->banner[length - 1] == '\n')
		kernel->banner[length - 1] = '\0';
	if (!strncmp(kernel->banner, banner_start, sizeof(banner_start) - 1))
		return NULL;
	return error_create_at(NUNCHI_ERROR_NO_KERNEL, kernel->text_virtual,
			       "an image at 0x%llx has no \"Linux version\" banner",
			       (unsigned long long)kernel->text_virtual);
}

/* Witnesses in the image itself, for a kernel without symbols. */
static void ask_image(struct linux_kernel *kernel, struct witnesses *witnesses,
		      const struct linux_root *root)
{
	if (kernel->symbol[LINUX_text])
		return;
	table_witness(witnesses, root->image.data_start != 0,
		      "the image's sections in the page table");
}

/* Says which of its symbols and types a kernel with too few witnesses lacks. */
static struct nunchi_error *hint_missing(const struct linux_kernel *kernel,
					 struct nunchi_error *err)
{
	if (kernel->symbols_missing)
		return error_hint(
		    err,
		    "%s in its memory: give the System.map of exactly this "
		    "build with --symbols FILE%s",
		    kernel->types ? "there is no symbol table (kallsyms)"
				  : "there are neither symbols (kallsyms) nor types "
				    "(BTF)",
		    kernel->types ? "" : ", and its types (vmlinux, BTF or ISF) with --types FILE");
	if (!kernel->types)
		return error_hint(err,
				  "there are no types (BTF) in its memory: give those of "
				  "exactly this build (vmlinux, BTF or ISF) with --types FILE");
	if (kernel->kallsyms && !kernel->symbol[LINUX_init_task])
		return error_hint(err, "its symbol table has functions only: give the System.map "
				       "of exactly this build with --symbols FILE");
	return error_hint(err, "a part of its memory is missing or was overwritten: dump the "
			       "guest again, with its registers (as ELF)");
}

static struct nunchi_error *unconfirmed(const struct linux_kernel *kernel,
					const struct witnesses *witnesses)
{
	const char *agree = witnesses->count ? buffer_string(&witnesses->agree) : "none";

	if (witnesses->contradict.size)
		return error_hint(
		    error_create_at(NUNCHI_ERROR_NO_KERNEL, kernel->text_virtual,
				    "the kernel at physical 0x%llx (%s) is not confirmed: these "
				    "contradict it: %s; these agree: %s",
				    (unsigned long long)kernel->text_physical, kernel->banner,
				    buffer_string(&witnesses->contradict), agree),
		    "it is what remains of a kernel that ended, or the guest ran while it was "
		    "saved: dump it again while it is paused");
	return hint_missing(
	    kernel, error_create_at(NUNCHI_ERROR_NO_KERNEL, kernel->text_virtual,
				    "the kernel at physical 0x%llx (%s) is not confirmed: two "
				    "witnesses are needed, and %s: %s",
				    (unsigned long long)kernel->text_physical, kernel->banner,
				    witnesses->count ? "one agrees" : "none agrees", agree));
}

struct nunchi_error *linux_identify_witnesses(struct linux_kernel *kernel,
					      const struct linux_root *root, struct target *target,
					      bool whole_list)
{
	struct witnesses witnesses = {0};
	struct nunchi_error *err = NULL;

	buffer_init(&witnesses.agree, 1024);
	buffer_init(&witnesses.contradict, 1024);
	ask_symbols(kernel, &witnesses);
	ask_init_task(kernel, &witnesses, whole_list);
	ask_note(kernel, &witnesses, root, target);
	ask_image(kernel, &witnesses, root);
	if (witnesses.agree.no_memory || witnesses.contradict.no_memory)
		err = &error_nomem;
	else if (witnesses.count < 2 || witnesses.contradict.size)
		err = unconfirmed(kernel, &witnesses);
	if (!err) {
		linux_kernel_fact(kernel, "kernel", "banner", NULL, "%s", kernel->banner);
		linux_kernel_fact(kernel, "kernel", "found by", buffer_string(&witnesses.agree),
				  "%s", root->how);
	}
	buffer_deinit(&witnesses.agree);
	buffer_deinit(&witnesses.contradict);
	return err;
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* The start of struct btf_header (include/uapi/linux/btf.h): magic, version, flags. */
static const uint8_t btf_start[] = {0x9f, 0xeb, 1, 0};
/*
 * Limit of the candidates for BTF. A kernel's read-only data contains one. Each candidate may cost
 * a copy of all bytes after it, and a hostile guest may contain millions.
 */
#define MAX_BTF_TRIES 16

static bool is_kernels_types(struct type_index *types)
{
	type_id id;

	return type_index_find(types, "struct task_struct", &id);
}

/*
 * Makes an index of BTF: in place if the bytes stay valid as long as the kernel, otherwise from a
 * copy.
 */
static struct nunchi_error *read_btf(struct linux_kernel *kernel, const void *data, size_t size)
{
	if (linux_rodata_lasts(kernel))
		return type_index_from_btf(data, size, NULL, NULL, &kernel->types);
	return type_index_copy_btf(data, size, &kernel->types);
}

/* Finds the BTF between the symbols __start_BTF and __stop_BTF. */
static struct nunchi_error *types_by_symbol(struct linux_kernel *kernel,
					    const struct kernel_image *rodata)
{
	uint64_t start = kernel->symbol[LINUX_start_btf], stop = kernel->symbol[LINUX_stop_btf];

	if (!start || stop <= start || start < rodata->address.v ||
	    stop - rodata->address.v > rodata->size)
		return &error_not_found;
	return read_btf(kernel, rodata->data + (start - rodata->address.v), stop - start);
}

/* Finds the BTF without symbols: the first candidate in the read-only data that is valid. */
static struct nunchi_error *types_by_search(struct linux_kernel *kernel,
					    const struct kernel_image *rodata)
{
	const uint8_t *at = rodata->data, *end = rodata->data + rodata->size;

	for (int tries = 0; tries < MAX_BTF_TRIES && !cancel_requested(kernel->guest.cancel);
	     tries++) {
		struct nunchi_error *err;

		at = memmem(at, (size_t)(end - at), btf_start, sizeof(btf_start));
		if (!at)
			break;
		err = read_btf(kernel, at, (size_t)(end - at));
		if (error_is(err, NUNCHI_ERROR_NOMEM) || (!err && is_kernels_types(kernel->types)))
			return err;
		nunchi_error_destroy(err);
		type_index_unref(kernel->types);
		kernel->types = NULL;
		at++;
	}
	return &error_not_found;
}

static struct nunchi_error *types_from_memory(struct linux_kernel *kernel,
					      const struct kernel_image *rodata)
{
	struct nunchi_error *err = types_by_symbol(kernel, rodata);

	if (err && !error_is(err, NUNCHI_ERROR_NOMEM)) {
		nunchi_error_destroy(err);
		err = types_by_search(kernel, rodata);
	}
	if (!err || error_is(err, NUNCHI_ERROR_NOMEM))
		return err;
	nunchi_error_destroy(err);
	kernel->types_missing =
	    strdup("no BTF in the kernel's memory (built without CONFIG_DEBUG_INFO_BTF?)");
	return kernel->types_missing ? NULL : &error_nomem;
}

struct nunchi_error *linux_identify_types(struct linux_kernel *kernel,
					  const struct kernel_image *rodata,
					  struct linux_given *given, const struct target *target)
{
	const char *path = given->types_path;
	struct nunchi_error *err = path ? linux_given_types(given, kernel, rodata, target)
					: types_from_memory(kernel, rodata);

	if (err || !kernel->types)
		return err;
	linux_kernel_fact(kernel, "kernel", "types", path ? path : "memory", "%s",
			  type_index_description(kernel->types));
	return NULL;
}
