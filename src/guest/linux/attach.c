/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/attach.h"
#include "core/buffer.h"
#include "guest/linux/attach_error.h"
#include "guest/linux/given.h"
#include "guest/linux/identify.h"
#include "guest/linux/infer.h"
#include "guest/linux/module.h"
#include "guest/linux/module_index.h"
#include "guest/linux/others.h"
#include "guest/linux/ram.h"
#include "guest/linux/roots.h"
#include "guest/linux/running.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * How far memory may go on after the end of RAM: firmware has tables there, and Xen the pages
 * through which it communicates with a guest.
 */
#define RAM_END_SLACK ((uint64_t)64 << 20)

void linux_kernel_destroy(struct linux_kernel *kernel)
{
	if (!kernel)
		return;
	address_space_destroy(kernel->guest.space);
	guest_spaces_deinit(&kernel->guest.spaces);
	linux_module_index_destroy(kernel->modules);
	hash_map_deinit(&kernel->task_index.tasks);
	kallsyms_destroy(kernel->kallsyms);
	symbol_index_unref(kernel->symbols);
	type_index_unref(kernel->types);
	for (size_t i = 0; i < kernel->fact_count; i++) {
		free(kernel->facts[i].value);
		free(kernel->facts[i].evidence);
	}
	free(kernel->facts);
	linux_rodata_deinit(kernel);
	free(kernel->types_missing);
	free(kernel->symbols_missing);
	object_deinit(&kernel->chosen);
	free(kernel);
}
DEFINE_CLEANUP(struct linux_kernel, linux_kernel_destroy)

void linux_kernel_fact(struct linux_kernel *kernel, const char *topic, const char *name,
		       const char *evidence, const char *format, ...)
{
	struct linux_fact *facts =
	    realloc(kernel->facts, (kernel->fact_count + 1) * sizeof(*facts));
	struct linux_fact fact = {.topic = topic, .name = name};
	va_list args;

	if (!facts) {
		kernel->facts_lost = true;
		return;
	}
	kernel->facts = facts;
	va_start(args, format);
	if (vasprintf(&fact.value, format, args) < 0)
		fact.value = NULL;
	va_end(args);
	fact.evidence = evidence ? strdup(evidence) : NULL;
	if (!fact.value || (evidence && !fact.evidence))
		kernel->facts_lost = true;
	if (fact.value)
		facts[kernel->fact_count++] = fact;
	else
		free(fact.evidence);
}

static void add_missing(const char *path, void *data)
{
	struct buffer *buf = data;

	buffer_printf(buf, "%s%s", buf->size ? ", " : "", path);
}

void linux_kernel_note_missing(struct linux_kernel *kernel)
{
	bool no_modules = linux_without_modules(kernel);

	if (kernel->missing_noted || !kernel->types)
		return;
	kernel->missing_noted = true;
	if (no_modules)
		linux_kernel_fact(kernel, "kernel", "modules", NULL, LINUX_NO_MODULES);
	for (int group = 0; group < LAYOUT_GROUP_COUNT; group++) {
		enum layout_group id = (enum layout_group)group;
		_cleanup_buffer_ struct buffer missing = {0};
		char evidence[160];

		if (no_modules && (id == LAYOUT_GROUP_module || id == LAYOUT_GROUP_module_symbols))
			continue;
		layout_missing(linux_layout(kernel, id), id, add_missing, &missing);
		kernel->facts_lost = kernel->facts_lost || missing.failed;
		if (!missing.size)
			continue;
		snprintf(evidence, sizeof(evidence),
			 "needed by: %s; columns that need one are absent (no layout)",
			 layout_group_users(id));
		linux_kernel_fact(kernel, "missing", layout_group_name(id), evidence, "%s",
				  buffer_string(&missing));
	}
}

/* Changes to the address space of the kernel's own page table, once its address is known. */
static void use_own_table(struct linux_kernel *kernel, const struct linux_root *root)
{
	uint64_t own = kernel->symbol[LINUX_top_pgt];
	struct x86_paging paging = root->paging;
	struct linux_image image;
	uint64_t physical;

	if (own && linux_image_physical(kernel, own, &physical)) {
		paging.root = gpa(physical);
		if (linux_image_find(kernel->guest.memory, &paging, kernel->scattered, &image) &&
		    image.virtual_start == root->image.virtual_start &&
		    image.physical_start == root->image.physical_start)
			address_space_switch(kernel->guest.space, paging.root);
	}
}

static void use_handed_note(struct linux_kernel *kernel, const struct target *target)
{
	struct vmcoreinfo info;

	if (target->vmcoreinfo &&
	    vmcoreinfo_parse(target->vmcoreinfo, target->vmcoreinfo_size, &info))
		linux_identify_noted(kernel, &info,
				     "named by the VMCOREINFO note from the file or hypervisor");
}

/*
 * State of the search for the kernel: over all candidates and, for a raw file, all arrangements of
 * its bytes.
 */
struct search {
	struct target *target;
	const struct guest_attach_options *options;
	struct linux_given given;
	/* a file of the user does not fit a kernel that was found; owned, or NULL */
	struct nunchi_error *misfit;
	struct nunchi_error *reason;   /* why the best candidate was rejected, or NULL; owned */
	bool reason_is_kernel;         /* that candidate is a kernel, which cannot be used */
	bool is_kernel;                /* so is the current candidate */
	unsigned reset_count;          /* the target's reset_count before the search */
	enum linux_root_source source; /* the current source */
	bool runs;                     /* a vCPU that is not parked led to the kernel */
	struct linux_others others;
	/*
	 * The candidate to which the real-mode trampoline leads, if the VMCOREINFO note from the
	 * file or hypervisor is of another kernel; used if there is no such other.
	 */
	bool is_unnoted;
	struct linux_root unnoted;
	/*
	 * For a raw file: the RAM according to a kernel found in it, and the current arrangement.
	 */
	bool has_ram;
	bool by_ram; /* the arrangement follows from that RAM, and is not a guess */
	/* the arrangement changed since the candidates were collected, so that these are invalid */
	bool rearranged;
	unsigned n; /* number of the guess, or of the arrangement that fits the RAM */
	struct target_ram ram;
	struct target_arrangement arrangement;
	/*
	 * A candidate whose list of tasks could not be verified; used if no better candidate is
	 * found.
	 */
	bool is_unsure;
	struct linux_root unsure;
	bool unsure_by_ram;
	unsigned unsure_n;
	uint64_t unsure_rival; /* address of another such candidate, or 0 */
};

/* Arranges the memory of a raw file by guess n, or by the n-th arrangement that fits the RAM. */
static struct nunchi_error *arrange(struct search *search, bool by_ram, unsigned n)
{
	struct target *target = search->target;
	struct nunchi_error *err;

	if (!target->ops->arrange)
		return &error_not_found;
	err = target->ops->arrange(target, by_ram ? &search->ram : NULL, n, &search->arrangement);
	if (!err) {
		search->by_ram = by_ram;
		search->n = n;
	}
	return err;
}

/*
 * Reads from a kernel found in a raw file which RAM it has, once, and arranges the memory
 * accordingly. If the arrangement changes, the candidates have to be collected again.
 */
static struct nunchi_error *ask_ram(struct search *search, struct linux_kernel *kernel)
{
	struct nunchi_error *err;

	if (!search->target->ops->arrange || search->has_ram ||
	    !linux_ram_read(kernel, &search->ram))
		return NULL;
	search->has_ram = true;
	err = arrange(search, true, 0);
	if (error_is(err, NUNCHI_ERROR_NOT_FOUND))
		return NULL;
	if (err || !search->arrangement.changed)
		return err;
	search->rearranged = true;
	return error_create(NUNCHI_ERROR_NO_KERNEL, "the file has its RAM at other offsets");
}

/* Identifies a candidate: its symbols, its RAM, its banner and its types. */
static struct nunchi_error *identify(struct search *search, const struct linux_root *root,
				     const struct kernel_image *rodata, struct linux_kernel *kernel)
{
	struct nunchi_error *err = linux_identify_symbols(kernel, rodata, &search->given);

	if (!err)
		err = ask_ram(search, kernel);
	if (err)
		return err;
	use_own_table(kernel, root);
	err = linux_identify_banner(kernel, rodata);
	return err ? err : linux_identify_types(kernel, rodata, &search->given, search->target);
}

static struct nunchi_error *attach_root(struct search *search, const struct linux_root *root,
					struct linux_kernel **ret)
{
	_cleanup_(cleanup_linux_kernel_destroy_p) struct linux_kernel *kernel =
	    calloc(1, sizeof(*kernel));
	const struct guest_attach_options *options = search->options;
	struct target *target = search->target;
	struct kernel_image rodata;
	struct nunchi_error *err;

	if (!kernel)
		return &error_nomem;
	kernel->guest.system = &guest_linux;
	kernel->guest.memory = target->memory;
	kernel->guest.target = target;
	kernel->guest.live = target->live;
	kernel->scattered = target->frames == TARGET_FRAMES_MACHINE;
	kernel->reset_count = search->reset_count;
	kernel->guest.cancel = options->cancel;
	kernel->word_size = root->paging.mode >= X86_MODE_4LEVEL ? 8 : 4;
	kernel->text_virtual = root->image.virtual_start;
	kernel->text_physical = root->image.physical_start;
	kernel->image_end = root->image.virtual_end;
	linux_rodata_init(kernel, &root->image);
	err = address_space_create(kernel->guest.memory, &root->paging, &kernel->guest.space);
	if (!err)
		err = linux_rodata_get(kernel, &rodata);
	if (!err)
		err = identify(search, root, &rodata, kernel);
	if (!err) {
		use_handed_note(kernel, target);
		linux_infer_symbols(kernel, root->image.data_start);
		err = linux_identify_witnesses(
		    kernel, root, target, target->ops->arrange && !search->arrangement.certain);
	}
	/* Without a banner, an image whose bytes cannot be read is one nevertheless. */
	search->is_kernel = *kernel->banner || error_is(err, NUNCHI_ERROR_FAULT);
	if (err)
		return err;
	if (kernel->facts_lost)
		return &error_nomem;
	linux_rodata_release(kernel);
	*ret = no_cleanup_ptr(kernel);
	return NULL;
}

/* Whether an error means only that a candidate is not the kernel. */
static bool is_refusal(const struct nunchi_error *err)
{
	return error_is(err, NUNCHI_ERROR_NO_KERNEL) || error_is(err, NUNCHI_ERROR_FAULT);
}

/* Whether the search goes on: errors of the user's files may have the same code. */
static bool is_nothing(const struct nunchi_error *err)
{
	return err == &error_not_found;
}

/*
 * Remembers why a candidate was refused. A file of the user that does not fit it is remembered
 * apart from other reasons. Returns the error if it ends the search.
 */
static struct nunchi_error *refuse(struct search *search, struct nunchi_error *err)
{
	bool is_misfit = error_is(err, NUNCHI_ERROR_DATA);
	struct nunchi_error **kept = is_misfit ? &search->misfit : &search->reason;

	if (!is_misfit && !is_refusal(err))
		return err;
	/* Candidates were identified before the arrangement changed. */
	if (search->rearranged) {
		nunchi_error_destroy(err);
		return NULL;
	}
	/* A kernel that cannot be used says more than something that is none. */
	if (!is_misfit && search->reason_is_kernel && !search->is_kernel) {
		nunchi_error_destroy(err);
		return NULL;
	}
	if (!is_misfit)
		search->reason_is_kernel = search->is_kernel;
	nunchi_error_destroy(*kept);
	*kept = err;
	return NULL;
}

/* Remembers a candidate in case no better one is found. */
static void keep_unsure(struct search *search, const struct linux_root *root)
{
	if (!search->is_unsure) {
		search->unsure = *root;
		search->unsure_by_ram = search->by_ram;
		search->unsure_n = search->n;
		search->is_unsure = true;
	} else if (search->unsure.image.physical_start != root->image.physical_start) {
		search->unsure_rival = root->image.physical_start;
	}
}

/* Attaches to the remembered candidate if there was only one. */
static struct nunchi_error *attach_unsure(struct search *search, struct linux_kernel **ret)
{
	struct nunchi_error *err = NULL;

	if (!search->is_unsure)
		return &error_not_found;
	if (search->unsure_rival)
		return linux_attach_ambiguous(search->unsure.image.physical_start,
					      search->unsure_rival);
	if (search->by_ram != search->unsure_by_ram || search->n != search->unsure_n)
		err = arrange(search, search->unsure_by_ram, search->unsure_n);
	return err ? err : attach_root(search, &search->unsure, ret);
}

/*
 * Whether the candidate may be the kernel to be shown. If the user chose another, remembers a
 * candidate that a vCPU runs.
 */
static bool is_wanted(struct search *search, const struct linux_root *root)
{
	uint64_t physical = root->image.physical_start;

	if (!search->options->kernel || search->options->kernel == physical)
		return true;
	if (root->by_vcpu)
		linux_others_add(&search->others, physical, "vCPU %u is in it", root->vcpu);
	return false;
}

static bool is_run(const struct linux_roots *roots, const struct linux_kernel *kernel)
{
	const struct linux_image image = {.virtual_start = kernel->text_virtual,
					  .physical_start = kernel->text_physical};

	return linux_roots_run(roots, &image);
}

/*
 * Chooses between two kernels that fit: the one that a vCPU runs, where the vCPUs of the other are
 * all parked. The other is destroyed. If neither is preferred, both are, and that is an error.
 */
static struct nunchi_error *choose(struct search *search, const struct linux_roots *roots,
				   struct linux_kernel **found, struct linux_kernel *kernel)
{
	struct linux_kernel *both[] = {*found, kernel};
	bool runs[] = {is_run(roots, *found), is_run(roots, kernel)};
	size_t i;

	if (runs[0] == runs[1]) {
		struct nunchi_error *err =
		    linux_attach_ambiguous(both[0]->text_physical, both[1]->text_physical);

		linux_kernel_destroy(kernel);
		return err;
	}
	i = runs[0];
	linux_others_add(&search->others, both[i]->text_physical,
			 "its vCPUs are halted with interrupts off");
	*found = both[!i];
	linux_kernel_destroy(both[i]);
	return NULL;
}

/* Takes a confirmed candidate: keeps it for later, or makes it the one that was found. */
static struct nunchi_error *take(struct search *search, const struct linux_roots *roots,
				 const struct linux_root *root, struct linux_kernel *kernel,
				 struct linux_kernel **found)
{
	if (kernel->tasks_unverified) {
		keep_unsure(search, root);
	} else if (kernel->note_disagrees && search->source == LINUX_ROOTS_TRAMPOLINE) {
		search->unnoted = *root;
		search->is_unnoted = true;
	} else if (*found) {
		return choose(search, roots, found, kernel);
	} else {
		*found = kernel;
		return NULL;
	}
	linux_kernel_destroy(kernel);
	return NULL;
}

/* Tries the candidates of one source. Two different kernels that fit equally are an error. */
static struct nunchi_error *attach_source(struct search *search, struct linux_kernel **ret)
{
	_cleanup_(cleanup_linux_kernel_destroy_p) struct linux_kernel *found = NULL;
	struct linux_roots roots = {0};

	linux_roots_collect(&roots, search->target, search->source, search->options->cancel);
	for (size_t i = 0; i < roots.count && !search->rearranged; i++) {
		const struct linux_root *root = &roots.items[i];
		struct linux_kernel *kernel = NULL;
		struct nunchi_error *err;

		if (!is_wanted(search, root) ||
		    (found && found->text_physical == root->image.physical_start &&
		     found->text_virtual == root->image.virtual_start))
			continue;
		err = attach_root(search, root, &kernel);
		err = err ? refuse(search, err) : take(search, &roots, root, kernel, &found);
		if (err)
			return err;
	}
	if (search->rearranged)
		return &error_not_found;
	if (!found)
		return search->misfit ? no_cleanup_ptr(search->misfit) : &error_not_found;
	search->runs = is_run(&roots, found);
	*ret = no_cleanup_ptr(found);
	return NULL;
}

/* Tries the sources first to last in the current arrangement of the memory. */
static struct nunchi_error *attach_sources(struct search *search, enum linux_root_source first,
					   enum linux_root_source last, struct linux_kernel **ret)
{
	for (int source = first; source <= (int)last && !search->rearranged; source++) {
		struct nunchi_error *err;

		search->source = (enum linux_root_source)source;
		err = attach_source(search, ret);
		if (!is_nothing(err))
			return err;
		if (cancel_requested(search->options->cancel))
			return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	}
	return &error_not_found;
}

/*
 * Does the same in every arrangement of a raw file: in each guess until a kernel tells the RAM,
 * then in each arrangement that fits this RAM, and if no kernel is confirmed, in the remaining
 * guesses.
 */
static struct nunchi_error *attach_arrangements(struct search *search, enum linux_root_source first,
						enum linux_root_source last,
						struct linux_kernel **ret)
{
	unsigned guess = search->has_ram ? 0 : 1;
	struct nunchi_error *err = NULL;

	/* An earlier call may have ended in another arrangement. */
	if (search->n || search->by_ram != search->has_ram)
		err = arrange(search, search->has_ram, 0);
	while (!err) {
		search->rearranged = false;
		err = attach_sources(search, first, last, ret);
		if (!search->rearranged && !is_nothing(err))
			return err;
		nunchi_error_destroy(err);
		err = NULL;
		if (search->rearranged)
			continue;
		err = search->by_ram ? arrange(search, true, search->n + 1) : &error_not_found;
		if (error_is(err, NUNCHI_ERROR_NOT_FOUND))
			err = arrange(search, false, guess++);
	}
	return err;
}

/*
 * Adds notes on the arrangement of a raw file, and on any difference between the end of the file
 * and the end of the RAM.
 */
static void note_arrangement(const struct search *search, struct linux_kernel *kernel)
{
	struct target *target = search->target;
	uint64_t lacking = search->arrangement.lacking;
	gpa_t start, end;

	if (!search->has_ram)
		return;
	linux_kernel_fact(kernel, "memory", "raw file", "the kernel's e820 map and max_pfn", "%s",
			  search->arrangement.name);
	if (lacking)
		target_note(target,
			    "the raw file ends %llu KiB before the guest's RAM does (at 0x%llx): "
			    "the missing memory reads as \"not saved\"",
			    (unsigned long long)lacking >> 10, (unsigned long long)search->ram.end);
	else if (memory_next_data(target->memory, gpa(search->ram.end), &start, &end) &&
		 memory_end(target->memory).v - start.v > RAM_END_SLACK)
		target_note(target,
			    "the raw file continues for %llu MiB after the RAM that its kernel "
			    "uses, which ends at 0x%llx: the file was padded, or memory was "
			    "plugged in that the kernel does not use",
			    (unsigned long long)(memory_end(target->memory).v - start.v) >> 20,
			    (unsigned long long)search->ram.end);
}

/*
 * Tries all sources in the only arrangement that the size of a raw file suggests, before others are
 * searched for: that would read the whole file.
 */
static struct nunchi_error *attach_sole(struct search *search, struct linux_kernel **ret)
{
	struct nunchi_error *err = arrange(search, false, 0);

	if (err || !search->arrangement.sole)
		return err ? err : &error_not_found;
	err = attach_sources(search, LINUX_ROOTS_REGISTERS, LINUX_ROOTS_VMCOREINFO, ret);
	if (is_nothing(err) && !search->is_unnoted)
		err = attach_sources(search, LINUX_ROOTS_DATA, LINUX_ROOTS_SCAN_32, ret);
	return err;
}

/* Tries all sources, the ones that scan the whole memory last. */
static struct nunchi_error *attach_any(struct search *search, struct linux_kernel **ret)
{
	struct nunchi_error *err = attach_sole(search, ret);

	if (is_nothing(err))
		err =
		    attach_arrangements(search, LINUX_ROOTS_REGISTERS, LINUX_ROOTS_VMCOREINFO, ret);
	if (is_nothing(err) && search->is_unnoted) {
		search->source = LINUX_ROOTS_TRAMPOLINE;
		err = attach_root(search, &search->unnoted, ret);
	}
	if (is_nothing(err))
		err = attach_arrangements(search, LINUX_ROOTS_DATA, LINUX_ROOTS_SCAN_32, ret);
	if (is_nothing(err))
		err = attach_unsure(search, ret);
	if (is_refusal(err)) {
		nunchi_error_destroy(search->reason);
		search->reason = err;
		search->reason_is_kernel = search->is_kernel;
		err = &error_not_found;
	}
	if (!is_nothing(err))
		return err;
	return linux_attach_failed(search->target, search->options, no_cleanup_ptr(search->reason),
				   search->reason_is_kernel);
}

static void search_deinit(struct search *search)
{
	linux_given_deinit(&search->given);
	nunchi_error_destroy(search->misfit);
	nunchi_error_destroy(search->reason);
}

struct nunchi_error *linux_kernel_attach(struct target *target,
					 const struct guest_attach_options *options,
					 struct linux_kernel **ret)
{
	_cleanup_(search_deinit) struct search search = {.target = target, .options = options};
	_cleanup_(cleanup_linux_kernel_destroy_p) struct linux_kernel *kernel = NULL;
	struct nunchi_error *err = linux_given_init(&search.given, options);
	enum target_state state;

	if (err)
		return err;
	/* Ask for the state now, so that the target has counted all earlier resets. */
	if (target->live)
		nunchi_error_destroy(target_get_state(target, &state));
	search.reset_count = target->reset_count;
	err = attach_any(&search, &kernel);
	/* The user may choose a kernel whose vCPUs are all parked: that is not overwritten. */
	if (!err && !search.runs && !(options->kernel && search.source == LINUX_ROOTS_REGISTERS))
		err = linux_running_check(kernel, target, options->remains || options->kernel);
	if (err)
		return err;
	note_arrangement(&search, kernel);
	kernel->chosen_by_user = options->kernel != 0;
	if (search.is_unnoted)
		linux_others_add(&search.others, search.unnoted.image.physical_start,
				 "the real-mode trampoline leads to it");
	linux_others_tell(&search.others, kernel, target);
	*ret = no_cleanup_ptr(kernel);
	return NULL;
}

/* Whether the kernel's banner is unchanged. */
static bool has_banner(struct linux_kernel *kernel)
{
	char banner[sizeof(kernel->banner)] = "";
	size_t length;

	if (!kernel->symbol[LINUX_linux_banner])
		return true;
	return linux_read_string(kernel, kernel->symbol[LINUX_linux_banner], banner,
				 sizeof(banner) - 1, &length) == READ_OK &&
	       !strncmp(banner, kernel->banner, strlen(kernel->banner));
}

/*
 * The reason why the kernel found at attach does not run any more, as static text; NULL if it still
 * runs.
 */
static const char *find_change(struct linux_kernel *kernel, struct target *target, bool thorough)
{
	struct linux_image image;

	if (target->reset_count != kernel->reset_count)
		return "the guest was reset";
	if (!linux_image_find(kernel->guest.memory, address_space_paging(kernel->guest.space),
			      kernel->scattered, &image) ||
	    image.virtual_start != kernel->text_virtual ||
	    image.physical_start != kernel->text_physical || !has_banner(kernel))
		return "the memory there has other contents now";
	if (thorough && !kernel->guest.remains && !kernel->chosen_by_user &&
	    linux_roots_contradict(target, &image))
		return "the vCPUs run another kernel";
	return NULL;
}

struct nunchi_error *linux_kernel_check(struct linux_kernel *kernel, struct target *target,
					bool thorough)
{
	enum target_state state = TARGET_UNKNOWN;
	const char *change;

	/* If the state cannot be read, continue: perhaps only QEMU does not answer now. */
	if (thorough)
		nunchi_error_destroy(target_get_state(target, &state));
	if (state == TARGET_ENDED || memory_gone(kernel->guest.memory))
		return error_create(NUNCHI_ERROR_GONE, "the guest has ended");
	change = find_change(kernel, target, thorough);
	if (!change)
		return NULL;
	return error_hint(error_create_at(NUNCHI_ERROR_REBOOTED, kernel->text_virtual,
					  "the kernel found at attach no longer runs at 0x%llx: %s",
					  (unsigned long long)kernel->text_virtual, change),
			  "the guest rebooted or ended: open it again");
}
