/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Constants of the kernel's image: tables of operations (file_operations, seq_operations …), of
 * system calls and of protocols are in its read-only data, which was complete when the kernel was
 * linked. So no word of it can point to memory that was given out later; one that points to code
 * outside of the image was written. What the kernel makes read-only after its start
 * (__ro_after_init) may point anywhere, and is left out. Source: include/asm-generic/vmlinux.lds.h.
 */
#include "check/check.h"
#include "core/pages.h"
#include "guest/linux/code.h"
#include "guest/linux/lookup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Bytes read at once, a multiple of the size of a page. */
#define BLOCK ((size_t)256 << 10)
/* The largest kernels have about 30 MiB of read-only data. */
#define MOST ((uint64_t)256 << 20)

struct search {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct linux_code code;
	uint64_t start, end;             /* of the constants */
	uint64_t later_start, later_end; /* of what is read-only after the start */
	uint64_t bytes;                  /* that were looked at */
};

/* Whether a constant is a table of functions, by its name. */
static bool is_table(struct linux_kernel *kernel, uint64_t address)
{
	static const char *const names[] = {"_ops", "_fops", "_operations", "sys_call_table"};
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct guest_symbol symbol;

	err = linux_symbol_at(kernel, address, &symbol);
	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++)
		if (strstr(symbol.symbol.name, names[i]))
			return true;
	return false;
}

/*
 * Whether a word is the address of code outside of the image. In a 32-bit kernel any number may
 * look like an address, and every page may be executable: there only tables of functions are looked
 * at, and only code that has an owner counts.
 */
static bool leads_out(const struct search *search, uint64_t address, uint64_t value)
{
	struct linux_kernel *kernel = search->kernel;
	const struct linux_code_area *area;
	struct x86_walk walk;

	if (value >= kernel->text_virtual && value < kernel->image_end)
		return false;
	area = linux_code_at(&search->code, value);
	if (kernel->word_size == 4)
		return area && is_table(kernel, address);
	return area ||
	       (address_space_walk(kernel->guest.space, gva(value), &walk) == X86_FAULT_NONE &&
		walk.executable && !walk.user);
}

static void report_word(const struct search *search, uint64_t address, uint64_t value)
{
	_cleanup_buffer_ struct buffer subject = {0}, found = {0};
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct guest_symbol symbol;

	err = linux_symbol_at(search->kernel, address, &symbol);
	search->report->no_memory |= error_is(err, NUNCHI_ERROR_NOMEM);
	if (!err)
		buffer_printf(&subject, "%s+0x%" PRIx64, symbol.symbol.name,
			      address - symbol.symbol.address);
	linux_code_describe(search->kernel, &search->code, value, &found);
	check_add(search->report,
		  &(struct check_finding){
		      .severity = CHECK_ALARM,
		      .pid = -1,
		      .address = address,
		      .subject = check_text(search->report, &subject),
		      .expected = "code of the kernel's image",
		      .found = check_text(search->report, &found),
		      .meaning = "A constant of the kernel was overwritten with the address of "
				 "other code: the operation is hooked.",
		  });
}

/* Looks at the words of a block; `start` is its address. */
static void scan(struct search *search, const uint8_t *bytes, size_t size, uint64_t start)
{
	unsigned word = search->kernel->word_size;
	/* User addresses and small numbers, most words, are no addresses of the kernel. */
	uint64_t least = word == 8 ? (uint64_t)0xff << 56 : (uint64_t)1 << 31;

	for (size_t i = 0; i + word <= size; i += word) {
		uint64_t address = start + i, value = 0;

		memcpy(&value, bytes + i, word);
		if (value < least ||
		    (address >= search->later_start && address < search->later_end))
			continue;
		if (leads_out(search, address, value))
			report_word(search, address, value);
	}
}

static void scan_all(struct search *search, uint8_t *block)
{
	uint64_t at = search->start;

	while (at < search->end && !cancel_requested(search->kernel->guest.cancel)) {
		uint64_t left = search->end - at;
		size_t size = left < BLOCK ? (size_t)left : BLOCK;
		enum read_result result = linux_read(search->kernel, at, block, size);

		/* Of a block with a page that is missing, the pages are read one by one. */
		if (result != READ_OK && size > PAGE_SIZE) {
			size = PAGE_SIZE;
			result = linux_read(search->kernel, at, block, size);
		}
		check_unread(search->report, result, "the constants at 0x%" PRIx64, at);
		if (result == READ_OK) {
			scan(search, block, size, at);
			search->bytes += size;
		}
		at += size;
	}
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct search search = {.kernel = linux_kernel_of(guest), .report = report};
	struct linux_kernel *kernel = search.kernel;
	_cleanup_free_ uint8_t *block = malloc(BLOCK);
	struct nunchi_error *err;

	if (!block)
		return &error_nomem;
	/* Around the constants are pages that the kernel gave away when it had started. */
	search.start = kernel->symbol[LINUX_start_rodata];
	search.end = kernel->symbol[LINUX_end_rodata];
	search.later_start = kernel->symbol[LINUX_start_ro_after_init];
	search.later_end = kernel->symbol[LINUX_end_ro_after_init];
	if (!search.start || search.end < search.start || search.end - search.start > MOST ||
	    !search.later_start || search.later_end < search.later_start)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack __start_rodata, __end_rodata or "
				    "__start_ro_after_init");
	err = linux_code_collect(kernel, &search.code);
	if (err)
		return err;
	scan_all(&search, block);
	check_summary(report, "%" PRIu64 " KiB of the kernel's constants", search.bytes >> 10);
	linux_code_deinit(&search.code);
	return NULL;
}

const struct check check_constants = {
    "constants", "constants of the kernel that point to code outside of it", &guest_linux, run};
