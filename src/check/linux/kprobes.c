/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kprobes: breakpoints in the kernel, with functions that are called there. Source:
 * kernel/kprobes.c, include/linux/kprobes.h.
 */
#include "check/linux/compared.h"
#include "guest/linux/code.h"

#define BUCKETS    64 /* KPROBE_TABLE_SIZE */
#define MAX_PROBES 65536

struct probes {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct linux_code code;
	struct object probe;
	struct hash_map seen; /* probes that were looked at */
};

/* Looks at one of the functions of a probe, if it has this one. */
static void look_at(struct probes *probes, uint64_t function)
{
	const struct layout *layout = &probes->kernel->layout;
	const struct linux_code_area *area = linux_code_at(&probes->code, function);
	_cleanup_buffer_ struct buffer subject = {0}, found = {0};
	struct check_finding finding = {.pid = -1, .address = probes->probe.address};

	if (!function || (area ? area->owner == LINUX_CODE_KERNEL : probes->code.broken))
		return;
	linux_code_describe(probes->kernel, &probes->code,
			    object_u64(&probes->probe, &layout->kprobe_addr), &subject);
	linux_code_describe(probes->kernel, &probes->code, function, &found);
	finding.severity = area ? CHECK_NOTE : CHECK_ALARM;
	finding.subject = check_text(probes->report, &subject);
	finding.expected = "code of the kernel or of a module";
	finding.found = check_text(probes->report, &found);
	finding.meaning = area ? "A module has a breakpoint in the kernel"
			       : "A breakpoint in the kernel calls code that belongs to no module: "
				 "a hidden module hooks it";
	check_add_compared(probes->report, &probes->kernel->guest, &finding,
			   "a module was loaded or unloaded");
}

/* Looks at a probe. False if it was met before, or there are too many of them. */
static bool look(struct probes *probes, uint64_t address)
{
	const struct layout *layout = &probes->kernel->layout;
	enum hash_result inserted = hash_map_insert(&probes->seen, address, 0);
	enum read_result result = READ_OK;

	if (inserted != HASH_INSERTED)
		result = inserted == HASH_NOMEM ? READ_NO_MEMORY : READ_BAD_DATA;
	else if (probes->seen.count > MAX_PROBES)
		result = READ_LIMIT;
	if (result == READ_OK)
		result = linux_read_object(probes->kernel, LAYOUT_kprobe, address, &probes->probe);
	check_unread(probes->report, result, "a kprobe");
	if (result != READ_OK)
		return false;
	look_at(probes, object_u64(&probes->probe, &layout->kprobe_pre_handler));
	look_at(probes, object_u64(&probes->probe, &layout->kprobe_post_handler));
	return true;
}

/* Several probes of one address: the one in the table has the others on a list. */
static bool look_at_others(struct probes *probes, uint64_t first)
{
	const struct layout *layout = &probes->kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;
	uint64_t node;

	linux_list_init(&list, probes->kernel, first + layout->kprobe_list.offset, MAX_PROBES,
			&seen);
	while (linux_list_next(&list, &node))
		if (!look(probes, node - layout->kprobe_list.offset))
			return false;
	check_unread(probes->report, list.broken, "the kprobes of one address");
	return true;
}

static void look_at_bucket(struct probes *probes, uint64_t head)
{
	const struct field *link = &probes->kernel->layout.kprobe_hlist;
	uint64_t node;
	enum read_result result = linux_read_word(probes->kernel, head, &node);

	while (result == READ_OK && node && !cancel_requested(probes->kernel->guest.cancel)) {
		uint64_t probe = node - link->offset;

		if (!look(probes, probe) || !look_at_others(probes, probe))
			return;
		result = linux_read_word(probes->kernel, node, &node);
	}
	check_unread(probes->report, result, "the table of kprobes");
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct probes probes = {.kernel = linux_kernel_of(guest), .report = report};
	const struct layout *layout = linux_layout(probes.kernel, LAYOUT_GROUP_code);
	uint64_t table = probes.kernel->symbol[LINUX_kprobe_table];
	struct nunchi_error *err;

	if (!table && !layout->kprobe_addr.present) {
		check_summary(report, "this kernel has no kprobes");
		return NULL;
	}
	if (!table)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack kprobe_table");
	if (!layout->kprobe_addr.present || !layout->kprobe_list.present)
		return linux_lacks_fields("kprobes cannot be read", "kprobe.addr and kprobe.list");
	err = linux_code_collect(probes.kernel, &probes.code);
	if (err)
		return err;
	check_unread(report, probes.code.broken, "%s", probes.code.incomplete);
	for (unsigned i = 0; i < BUCKETS && !cancel_requested(guest->cancel); i++)
		look_at_bucket(&probes, table + (uint64_t)i * probes.kernel->word_size);
	check_summary(report, "%zu kprobes", probes.seen.count);
	linux_code_deinit(&probes.code);
	object_deinit(&probes.probe);
	hash_map_deinit(&probes.seen);
	return NULL;
}

const struct check check_kprobes = {"kprobes", "breakpoints in the kernel, and what they call",
				    &guest_linux, run};
