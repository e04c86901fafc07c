/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that the kernel calls at its tracepoints. Source: include/linux/tracepoint.h,
 * include/linux/tracepoint-defs.h. Tracepoints of modules are not looked at.
 */
#include "check/linux/hooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Limits: bytes of the table of tracepoints, functions of one, bytes of its name. */
#define MAX_TABLE     ((uint64_t)1 << 20)
#define MAX_FUNCTIONS 256
#define MAX_NAME      64

struct points {
	struct hooks *hooks;
	unsigned count;
};

/* Looks at an array of struct tracepoint_func, which ends with a function of 0. */
static enum read_result look_at_functions(struct points *points, const char *name,
					  uint64_t functions)
{
	struct linux_kernel *kernel = points->hooks->kernel;
	const struct layout *layout = &kernel->layout;
	char text[MAX_NAME + 16];
	struct hook_place place = {.name = text, .of_module = CHECK_NOTE};

	snprintf(text, sizeof(text), "tracepoint %s", name);
	for (unsigned i = 0; i < MAX_FUNCTIONS; i++) {
		uint64_t function;
		enum read_result result;

		place.address = functions + (uint64_t)i * layout->size[LAYOUT_tracepoint_func];
		result = linux_read_field(kernel, place.address, &layout->tracepoint_func_function,
					  &function);
		if (result != READ_OK || !function)
			return result;
		hooks_look(points->hooks, &place, function);
	}
	return READ_LIMIT;
}

static void look_at_point(struct points *points, uint64_t point)
{
	struct linux_kernel *kernel = points->hooks->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t functions, name;
	char text[MAX_NAME + 1] = "";
	size_t length = 0;
	enum read_result result =
	    linux_read_field(kernel, point, &layout->tracepoint_functions, &functions);

	points->count++;
	if (result == READ_OK && functions) {
		if (linux_read_field(kernel, point, &layout->tracepoint_name, &name) != READ_OK ||
		    linux_read_string(kernel, name, text, MAX_NAME, &length) != READ_OK)
			length = 0;
		text[length] = '\0';
		result = look_at_functions(points, text, functions);
	}
	check_unread(points->hooks->report, result, "the tracepoint at 0x%" PRIx64, point);
}

/*
 * The table's entries: pointers; or distances of 32 bits from their own place, which x86 has
 * since 4.19 (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS).
 */
struct entries {
	const uint8_t *bytes;
	uint64_t start, size; /* its address; bytes */
	unsigned step;        /* bytes of an entry */
	bool relative;
	bool narrow; /* addresses have 32 bits */
};

static uint64_t point_at(const struct entries *entries, uint64_t at)
{
	uint64_t pointer = 0;
	int32_t distance;

	if (!entries->relative) {
		memcpy(&pointer, entries->bytes + at, entries->step);
		return pointer;
	}
	memcpy(&distance, entries->bytes + at, sizeof(distance));
	pointer = entries->start + at + (uint64_t)(int64_t)distance;
	return entries->narrow ? pointer & UINT32_MAX : pointer;
}

static void look_at_entries(struct points *points, struct entries *entries)
{
	struct hooks *hooks = points->hooks;

	entries->step = hooks->kernel->word_size;
	entries->narrow = entries->step == sizeof(uint32_t);
	if (entries->size >= entries->step && !hooks_in_image(hooks, point_at(entries, 0))) {
		entries->step = sizeof(int32_t);
		entries->relative = true;
	}
	for (uint64_t at = 0; at + entries->step <= entries->size; at += entries->step) {
		uint64_t point = point_at(entries, at);

		if (cancel_requested(hooks->kernel->guest.cancel))
			return;
		if (hooks_in_image(hooks, point))
			look_at_point(points, point);
		else
			check_unread(hooks->report, READ_BAD_DATA, "the table of tracepoints");
	}
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	const struct layout *layout = linux_layout(linux_kernel_of(guest), LAYOUT_GROUP_hooks);
	_cleanup_hooks_ struct hooks hooks = {0};
	struct points points = {.hooks = &hooks};
	_cleanup_free_ uint8_t *table = NULL;
	struct nunchi_error *err = hooks_init(&hooks, guest, report);
	uint64_t start, end;
	enum read_result result;

	if (err)
		return err;
	start = hooks_symbol(&hooks, "__start___tracepoints_ptrs");
	end = hooks_symbol(&hooks, "__stop___tracepoints_ptrs");
	if (!start && hooks_symbol(&hooks, "tracepoint_probe_register"))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack __start___tracepoints_ptrs");
	if (!start || start == end) {
		check_summary(report, "this kernel has no tracepoints");
		return NULL;
	}
	if (!layout->tracepoint_functions.present || !layout->tracepoint_func_function.present)
		return linux_lacks_fields("tracepoints cannot be read",
					  "tracepoint.funcs and tracepoint_func.func");
	if (end < start || end - start > MAX_TABLE)
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "the symbols of the table of tracepoints contradict each other");
	table = malloc(end - start);
	if (!table)
		return &error_nomem;
	result = linux_read(hooks.kernel, start, table, end - start);
	check_unread(report, result, "the table of tracepoints");
	if (result == READ_OK)
		look_at_entries(&points, &(struct entries){
					     .bytes = table, .start = start, .size = end - start});
	check_summary(report, "%" PRIu64 " functions at %u tracepoints", hooks.count, points.count);
	return NULL;
}

const struct check check_tracepoints = {
    "tracepoints", "functions that are called at the kernel's tracepoints", &guest_linux, run};
