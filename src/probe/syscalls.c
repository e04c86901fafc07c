/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/lookup.h"
#include "probe/linux_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(syscall, TEXT, "name of the system call, as far as the kernel tells it")                 \
	X(number, INTEGER, "its number")                                                           \
	X(abi, TEXT, "x86_64, x32, or i386 for programs of 32 bits")                               \
	X(arguments, TEXT, "its arguments; texts of the process in quotes")                        \
	X(result, INTEGER, "what it returned; absent if it failed")                                \
	X(status, INTEGER, "0, or the errno for which it failed")                                  \
	X(duration, REAL, "seconds between start and return, by the host's clock")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* Limits of a name, and of a text that is shown. */
#define NAME_SIZE 64
#define TEXT_SIZE 256
/* Numbers above belong to no table. */
#define MAX_NUMBER 4096
#define X32_BIT    0x40000000
/* Addresses of the kernel lie above it, numbers of system calls below. */
#define MAX_SMALL 0x7fffffff

/* ---- Names ----------------------------------------------------------------------------------- */

/* What the kernel itself knows of a system call (CONFIG_FTRACE_SYSCALLS). */
struct description {
	char name[NAME_SIZE];
	unsigned count;
	uint64_t types, args; /* arrays of pointers to texts; 0: not known */
};

static bool read_name(struct linux_kernel *kernel, uint64_t address, char *ret)
{
	size_t size;

	if (linux_read_string(kernel, address, ret, NAME_SIZE, &size) != READ_OK ||
	    size == NAME_SIZE)
		return false;
	ret[size] = '\0';
	return true;
}

/* "__x64_sys_read" is the function of "read". */
static const char *without_prefix(const char *name)
{
	static const char *const prefixes[] = {"__x64_", "__ia32_", "compat_", "__se_", "sys_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			name += strlen(prefixes[i]);
	}
	return name;
}

/* By the function to which the table of system calls leads. */
static bool name_by_table(struct linux_kernel *kernel, uint64_t number, struct description *ret)
{
	uint64_t table = kernel->symbol[LINUX_sys_call_table], function;
	struct guest_symbol found;
	struct nunchi_error *err;

	if (!table ||
	    linux_read_word(kernel, table + number * kernel->word_size, &function) != READ_OK)
		return false;
	/* To look for it in the modules would take too long while the guest stands still. */
	if (function < kernel->text_virtual || function >= kernel->image_end)
		return false;
	err = linux_symbol_at(kernel, function, &found);
	if (!err)
		snprintf(ret->name, sizeof(ret->name), "%s", without_prefix(found.symbol.name));
	nunchi_error_destroy(err);
	return !err;
}

static bool describe(struct linux_kernel *kernel, uint64_t number, struct description *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t table, entry, name, count;
	char text[NAME_SIZE];

	*ret = (struct description){.count = CALL_MAX_ARGUMENTS};
	if (number >= MAX_NUMBER)
		return false;
	if (!kernel->symbol[LINUX_syscalls_metadata] ||
	    linux_read_word(kernel, kernel->symbol[LINUX_syscalls_metadata], &table) != READ_OK ||
	    linux_read_word(kernel, table + number * kernel->word_size, &entry) != READ_OK ||
	    !entry ||
	    linux_read_field(kernel, entry, &layout->syscall_metadata_name, &name) != READ_OK ||
	    linux_read_field(kernel, entry, &layout->syscall_metadata_count, &count) != READ_OK ||
	    !read_name(kernel, name, text))
		return name_by_table(kernel, number, ret);
	snprintf(ret->name, sizeof(ret->name), "%s", without_prefix(text));
	ret->count = count < CALL_MAX_ARGUMENTS ? (unsigned)count : CALL_MAX_ARGUMENTS;
	if (linux_read_field(kernel, entry, &layout->syscall_metadata_types, &ret->types) !=
		READ_OK ||
	    linux_read_field(kernel, entry, &layout->syscall_metadata_args, &ret->args) != READ_OK)
		ret->types = ret->args = 0;
	return true;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

/* Text number i of an array of pointers to texts. */
static bool read_word_of(struct linux_kernel *kernel, uint64_t array, unsigned i, char *ret)
{
	uint64_t address;

	return array &&
	       linux_read_word(kernel, array + (uint64_t)i * kernel->word_size, &address) ==
		   READ_OK &&
	       read_name(kernel, address, ret);
}

static void append_text(const struct probe_hit *hit, uint64_t address, struct buffer *ret)
{
	char text[TEXT_SIZE];
	size_t size = 0;

	if (!address) {
		buffer_append_string(ret, "NULL");
		return;
	}
	if (hit_read_string(hit, address, text, sizeof(text), &size) != READ_OK) {
		buffer_printf(ret, "0x%" PRIx64, address);
		return;
	}
	buffer_append_char(ret, '"');
	buffer_append(ret, text, size);
	buffer_append_string(ret, size == sizeof(text) ? "\"..." : "\"");
}

/* A value by the text of its type in C. */
static void append_value(const struct probe_hit *hit, const char *type, uint64_t value,
			 struct buffer *ret)
{
	const char *star = strchr(type, '*');

	if (!strncmp(type, "const char", 10) && star && !strchr(star + 1, '*'))
		append_text(hit, value, ret);
	else if (star || !*type)
		buffer_printf(ret, "0x%" PRIx64, value);
	else if (!strcmp(type, "int") || !strcmp(type, "pid_t"))
		buffer_printf(ret, "%" PRId32, (int32_t)value);
	else if (strstr(type, "mode_t"))
		buffer_printf(ret, "0%" PRIo64, value & 0xffff);
	else if (!strcmp(type, "unsigned int") || strstr(type, "size_t") || strstr(type, "id_t"))
		buffer_printf(ret, "%" PRIu64,
			      value & (strstr(type, "size_t") ? UINT64_MAX : UINT32_MAX));
	else
		buffer_printf(ret, "0x%" PRIx64, value);
}

static void set_arguments(struct probe_hit *hit, uint64_t registers, bool narrow,
			  const struct description *description)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	struct buffer text = {0};
	char name[NAME_SIZE];

	for (unsigned i = 0; i < description->count; i++) {
		uint64_t value = 0;
		enum read_result result = hit_register(hit, registers, narrow, i, &value);

		if (result != READ_OK) {
			row_unread(hit->row, COLUMN_arguments, result);
			buffer_deinit(&text);
			return;
		}
		if (i)
			buffer_append_string(&text, ", ");
		if (read_word_of(kernel, description->args, i, name))
			buffer_printf(&text, "%s=", name);
		if (!read_word_of(kernel, description->types, i, name))
			name[0] = '\0';
		append_value(hit, name, value, &text);
	}
	row_read_text(hit->row, COLUMN_arguments, text.failed ? READ_NO_MEMORY : READ_OK, &text);
	buffer_deinit(&text);
}

/* ---------------------------------------------------------------------------------------------- */

/*
 * The functions get the registers and the number in either order: do_syscall_64() had the number
 * first until 5.12. The registers are in the kernel's memory.
 */
static uint64_t find_registers(const struct probe_hit *hit)
{
	uint64_t first = hit_argument(hit, 0);

	return first > MAX_SMALL ? first : hit_argument(hit, 1);
}

static enum probe_next enter(struct probe_hit *hit, bool compat)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	bool narrow = compat || kernel->word_size == 4;
	uint64_t number = 0;
	enum read_result result;
	struct description description;

	hit->kept = find_registers(hit);
	result = linux_read_field(kernel, hit->kept, &kernel->layout.pt_regs_number, &number);
	number = (uint32_t)number;
	row_read_integer(hit->row, COLUMN_number, result, (int32_t)number);
	row_string(hit->row, COLUMN_abi, narrow ? "i386" : number & X32_BIT ? "x32" : "x86_64");
	/* Of the numbers of programs of 32 bits a kernel of 64 bits has no names. */
	if (result == READ_OK && !compat && describe(kernel, number & ~X32_BIT, &description)) {
		row_string(hit->row, COLUMN_syscall, description.name);
	} else {
		description = (struct description){.count = CALL_MAX_ARGUMENTS};
		row_unread(hit->row, COLUMN_syscall, result == READ_OK ? READ_NO_SYMBOL : result);
	}
	if (view_wants(hit->request, COLUMN_arguments))
		set_arguments(hit, hit->kept, narrow, &description);
	return PROBE_RETURNS;
}

static enum probe_next enter_native(struct probe_hit *hit)
{
	return enter(hit, false);
}

static enum probe_next enter_compat(struct probe_hit *hit)
{
	return enter(hit, linux_hit_of(hit)->kernel->word_size == 8);
}

static void set_result(struct probe_hit *hit, int64_t value)
{
	const struct nunchi_cell *start = row_cell(hit->row, PROBE_time);

	hit_result(hit, COLUMN_result, COLUMN_status, value);
	row_real(hit->row, COLUMN_duration, hit->time > start->real ? hit->time - start->real : 0);
}

/* The second of the alternatives has put the result into the registers that the program gets. */
static bool leave(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	uint64_t value = 0;
	enum read_result result;

	if (!hit->alternative) {
		set_result(hit, linux_returned(kernel, hit->registers));
		return true;
	}
	result = linux_read_field(kernel, hit->kept, &kernel->layout.pt_regs_ax, &value);
	if (result == READ_OK)
		set_result(hit, kernel->word_size == 8 ? (int64_t)value : (int32_t)value);
	else
		row_unread(hit->row, COLUMN_result, result);
	return true;
}

const struct probe probe_syscalls = {
    .schema = {"syscalls", "all system calls; best with --pid, or --where syscall=NAME", columns,
	       ARRAY_SIZE(columns)},
    /*
     * arch/x86/entry. The functions with the switch over all numbers came with 6.9 and the stable
     * releases of April 2024.
     */
    .providers = {{&guest_linux,
		   {
		       {"x64_sys_call do_syscall_64", enter_native, leave, .optional = true},
		       {"ia32_sys_call do_fast_syscall_32", enter_compat, leave, .optional = true},
		       {"ia32_sys_call do_int80_syscall_32", enter_compat, leave, .optional = true,
			.unless = "ia32_sys_call"},
		   }}},
};
