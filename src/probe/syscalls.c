/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/bytes.h"
#include "guest/linux/lookup.h"
#include "probe/linux_call.h"
#include "probe/linux_socket.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(syscall, TEXT, "name of the system call; of programs of 64 bits as the kernel tells it") \
	X(number, INTEGER, "its number")                                                           \
	X(abi, TEXT, "x86_64, x32, or i386 for programs of 32 bits")                               \
	X(arguments, TEXT, "its arguments; texts of the process in quotes, flags by their names")  \
	X(result, INTEGER, "what it returned; absent if it failed")                                \
	X(status, INTEGER, "0, or the errno for which it failed")                                  \
	X(error, TEXT, "name of the errno, as ENOENT")                                             \
	X(duration, REAL, "seconds between start and return, by the host's clock")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* Limits of a name, and of a text that is shown. */
#define NAME_SIZE 64
#define TEXT_SIZE 256
/* A thread's stack in the kernel, aligned to its size: arch/x86/include/asm/page_64_types.h. */
#define STACK_SIZE 0x4000

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

/* Takes the kernel's description at an address; false if it has none. */
static bool take_description(struct linux_kernel *kernel, uint64_t entry, struct description *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t name, count;
	char text[NAME_SIZE];

	if (!entry ||
	    linux_read_field(kernel, entry, &layout->syscall_metadata_name, &name) != READ_OK ||
	    linux_read_field(kernel, entry, &layout->syscall_metadata_count, &count) != READ_OK ||
	    !read_name(kernel, name, text))
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", without_prefix(text));
	ret->count = count < CALL_MAX_ARGUMENTS ? (unsigned)count : CALL_MAX_ARGUMENTS;
	if (linux_read_field(kernel, entry, &layout->syscall_metadata_types, &ret->types) !=
		READ_OK ||
	    linux_read_field(kernel, entry, &layout->syscall_metadata_args, &ret->args) != READ_OK)
		ret->types = ret->args = 0;
	return true;
}

/* The address of the description of a system call of the kernel's own programs; 0 if none. */
static uint64_t description_of(struct linux_kernel *kernel, uint64_t number)
{
	uint64_t table, entry;

	if (!kernel->symbol[LINUX_syscalls_metadata] ||
	    linux_read_word(kernel, kernel->symbol[LINUX_syscalls_metadata], &table) != READ_OK ||
	    linux_read_word(kernel, table + number * kernel->word_size, &entry) != READ_OK)
		return 0;
	return entry;
}

/* Whether the kernel's table has this number: what lies behind it belongs to another symbol. */
static bool has_number(struct linux_kernel *kernel, uint64_t number)
{
	uint64_t table = kernel->symbol[LINUX_sys_call_table];
	struct guest_symbol found;
	struct nunchi_error *err;

	if (number >= HIT_MAX_CALLS || !table)
		return number < HIT_MAX_CALLS;
	err = linux_symbol_at(kernel, table + number * kernel->word_size, &found);
	nunchi_error_destroy(err);
	return !err && found.symbol.address == table;
}

static bool describe(struct linux_kernel *kernel, uint64_t number, struct description *ret)
{
	*ret = (struct description){.count = CALL_MAX_ARGUMENTS};
	if (!has_number(kernel, number))
		return false;
	return take_description(kernel, description_of(kernel, number), ret) ||
	       name_by_table(kernel, number, ret);
}

/* ---- Programs of 32 bits on a kernel of 64, and x32 ------------------------------------------ */

static const char *const other_names[HIT_MAX_CALLS] = {
#define CALL(number, name) [number] = #name,
#include "probe/linux_i386.def"
#include "probe/linux_x32.def"
#undef CALL
};

/* What is looked up once is not there. */
#define NO_DESCRIPTION UINT64_MAX

/* The function of the call of 64 bits that has the same arguments; NULL if there is none. */
static const char *same_function(const char *name)
{
	/*
	 * Numbers of 64 bits take two arguments; old calls have them in a structure, and the old
	 * umount() has no flags.
	 */
	static const char *const different[] = {
	    "clone",          "fadvise64", "fallocate",       "fanotify_mark",
	    "lookup_dcookie", "mmap",      "pread64",         "preadv",
	    "preadv2",        "pwrite64",  "pwritev",         "pwritev2",
	    "readahead",      "select",    "sync_file_range", "umount"};

	for (size_t i = 0; i < ARRAY_SIZE(different); i++) {
		if (!strcmp(name, different[i]))
			return NULL;
	}
	return strcmp(name, "umount2") != 0 ? name : "umount";
}

/* Finds the description of the call of 64 bits that has the same arguments. */
static uint64_t find_description(struct linux_kernel *kernel, const char *name)
{
	struct description found;

	name = same_function(name);
	for (uint64_t i = 0; name && has_number(kernel, i); i++) {
		uint64_t entry = description_of(kernel, i);

		if (take_description(kernel, entry, &found) && !strcmp(found.name, name))
			return entry;
	}
	return NO_DESCRIPTION;
}

/* The name is known by the number; names and types of its arguments are those of 64 bits. */
static bool describe_other(struct linux_hit *state, uint64_t number, struct description *ret)
{
	uint64_t *entry = &state->other_calls[number < HIT_MAX_CALLS ? number : 0];

	*ret = (struct description){.count = CALL_MAX_ARGUMENTS};
	if (number >= HIT_MAX_CALLS || !other_names[number])
		return false;
	if (!*entry)
		*entry = find_description(state->kernel, other_names[number]);
	if (*entry != NO_DESCRIPTION)
		(void)take_description(state->kernel, *entry, ret);
	snprintf(ret->name, sizeof(ret->name), "%s", other_names[number]);
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

/* A text of at most limit bytes, if it does not end before. */
static void append_text(const struct probe_hit *hit, uint64_t address, uint64_t limit,
			struct buffer *ret)
{
	char text[TEXT_SIZE];
	size_t size = 0;

	if (!address) {
		buffer_append_string(ret, "NULL");
		return;
	}
	if (hit_read_string(hit, address, text, limit < sizeof(text) ? limit : sizeof(text),
			    &size) != READ_OK) {
		buffer_printf(ret, "0x%" PRIx64, address);
		return;
	}
	hit_append_quoted(text, size, ret);
	if (size == sizeof(text))
		buffer_append_string(ret, "...");
}

/* A value by the text of its type in C. */
static void append_typed(const char *type, uint64_t value, struct buffer *ret)
{
	const char *star = strchr(type, '*');

	if (star || !*type)
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

/* An argument of a system call; next is the one behind it, the size of a structure. */
struct argument {
	char name[NAME_SIZE], type[NAME_SIZE]; /* "" if not known */
	uint64_t value, next;
};

/* Whether a socket address is given to the kernel, and not filled by it. */
static bool gives_address(const char *call)
{
	return !strcmp(call, "connect") || !strcmp(call, "bind") || !strcmp(call, "sendto");
}

static bool is_text(const char *type)
{
	const char *star = strchr(type, '*');

	return !strncmp(type, "const char", 10) && star && !strchr(star + 1, '*');
}

static void append_value(const struct probe_hit *hit, const char *call,
			 const struct argument *argument, struct buffer *ret)
{
	const struct flag_set *set = flag_set_find(call, argument->name);
	bool is_long = strstr(argument->type, "long") || strstr(argument->type, "size_t");
	/* Data, which is followed by its size. */
	bool is_data = !strcmp(call, "write") || !strcmp(call, "pwrite64");

	/* Of what is smaller than a register the rest of it may be anything. */
	if (set && !strchr(argument->type, '*'))
		flag_set_append(set, is_long ? argument->value : (uint32_t)argument->value, ret);
	else if (is_text(argument->type))
		append_text(hit, argument->value, is_data ? argument->next : TEXT_SIZE, ret);
	else if (!strcmp(call, "bpf") && !strcmp(argument->name, "cmd"))
		hit_append_enum(hit, "BPF_MAP_CREATE", (int32_t)argument->value, ret);
	else if (!strstr(argument->type, "struct sockaddr *") || !gives_address(call) ||
		 !hit_append_socket_address(hit, argument->value, (uint32_t)argument->next, ret))
		append_typed(argument->type, argument->value, ret);
}

/* A system call that begins. */
struct entry {
	uint64_t registers; /* the address of its struct pt_regs */
	bool compat;        /* of a program of 32 bits, by a kernel of 64 */
	bool narrow;        /* of a program of 32 bits */
	bool number_in_ax;  /* The kernel has not put it in its place yet. */
	bool number_is_64;  /* All of the register counts. */
	bool last_on_stack; /* The last argument is still on the program's stack. */
};

/* Reads the argument that the vDSO puts on the stack, since it needs the register. */
static enum read_result read_last(const struct probe_hit *hit, uint64_t registers, uint64_t *ret)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	enum read_result result;
	uint8_t bytes[4] = {0};
	uint64_t stack = 0;

	result = linux_read_field(kernel, registers, &kernel->layout.pt_regs_sp, &stack);
	if (result == READ_OK)
		result = hit_read(hit, (uint32_t)stack, bytes, sizeof(bytes));
	*ret = load_le32(bytes);
	return result;
}

static enum read_result read_arguments(const struct probe_hit *hit, const struct entry *entry,
				       unsigned count, uint64_t *ret)
{
	enum read_result result = READ_OK;

	for (unsigned i = 0; i < count && result == READ_OK; i++)
		result = i == CALL_MAX_ARGUMENTS - 1 && entry->last_on_stack
			     ? read_last(hit, entry->registers, &ret[i])
			     : hit_register(hit, entry->registers, entry->narrow, i, &ret[i]);
	return result;
}

static void set_arguments(struct probe_hit *hit, const struct entry *entry,
			  const struct description *description)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	/* Behind the last one there is none. */
	uint64_t values[CALL_MAX_ARGUMENTS + 1] = {0};
	enum read_result result = read_arguments(hit, entry, description->count, values);
	struct buffer text = {0};

	for (unsigned i = 0; i < description->count && result == READ_OK; i++) {
		struct argument argument = {.value = values[i], .next = values[i + 1]};

		if (!read_word_of(kernel, description->args, i, argument.name))
			argument.name[0] = '\0';
		if (!read_word_of(kernel, description->types, i, argument.type))
			argument.type[0] = '\0';
		buffer_printf(&text, "%s%s%s", i ? ", " : "", argument.name,
			      *argument.name ? "=" : "");
		append_value(hit, description->name, &argument, &text);
	}
	if (result == READ_OK && text.failed)
		result = READ_NO_MEMORY;
	row_read_text(hit->row, COLUMN_arguments, result, &text);
	buffer_deinit(&text);
}

/* ---------------------------------------------------------------------------------------------- */

static enum read_result read_number(const struct probe_hit *hit, const struct entry *entry,
				    uint64_t *ret)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct layout *layout = &kernel->layout;
	enum read_result result;

	result = linux_read_field(
	    kernel, entry->registers,
	    entry->number_in_ax ? &layout->pt_regs_ax : &layout->pt_regs_number, ret);
	if (!entry->number_is_64)
		*ret = (uint32_t)*ret;
	return result;
}

static bool describe_entry(const struct probe_hit *hit, const struct entry *entry, uint64_t number,
			   struct description *ret)
{
	struct linux_hit *state = linux_hit_of(hit);

	if (entry->compat)
		return number < HIT_X32_CALLS && describe_other(state, number, ret);
	if (!entry->narrow && number >= (CALL_X32_BIT | HIT_X32_CALLS))
		return describe_other(state, number - CALL_X32_BIT, ret);
	return describe(state->kernel, entry->narrow ? number : number & ~CALL_X32_BIT, ret);
}

static enum probe_next enter(struct probe_hit *hit, const struct entry *entry)
{
	struct description description;
	uint64_t number = 0;
	enum read_result result = read_number(hit, entry, &number);

	hit->kept = entry->registers;
	row_read_integer(hit->row, COLUMN_number, result,
			 entry->number_is_64 ? (int64_t)number : (int32_t)number);
	row_string(hit->row, COLUMN_abi,
		   entry->narrow           ? "i386"
		   : number & CALL_X32_BIT ? "x32"
					   : "x86_64");
	if (result == READ_OK && describe_entry(hit, entry, number, &description)) {
		row_string(hit->row, COLUMN_syscall, description.name);
	} else {
		description = (struct description){.count = CALL_MAX_ARGUMENTS};
		row_unread(hit->row, COLUMN_syscall, result == READ_OK ? READ_NO_SYMBOL : result);
	}
	if (view_wants(hit->request, COLUMN_arguments))
		set_arguments(hit, entry, &description);
	return PROBE_RETURNS;
}

/*
 * x64_sys_call(registers, number), x32_sys_call(registers, number), do_syscall_64(). The last one
 * got the number first until 5.13, as the program had it in its register, which may be any value:
 * the registers are what lies on the stack.
 */
static enum probe_next enter_native(struct probe_hit *hit)
{
	uint64_t second = hit_argument(hit, 1), stack = hit->registers->rsp;
	bool is_second = hit->alternative && second > stack && (second ^ stack) < STACK_SIZE;

	return enter(hit, &(struct entry){.registers = is_second ? second : hit_argument(hit, 0),
					  .number_is_64 = is_second});
}

/* A function of programs of 32 bits, of which the registers are the first argument. */
static struct entry narrow_entry(const struct probe_hit *hit)
{
	return (struct entry){.registers = hit_argument(hit, 0),
			      .compat = linux_hit_of(hit)->kernel->word_size == 8,
			      .narrow = true};
}

/* ia32_sys_call() or do_fast_syscall_32(), the first of which finds all arguments in registers. */
static enum probe_next enter_fast(struct probe_hit *hit)
{
	struct entry entry = narrow_entry(hit);

	entry.last_on_stack = hit->alternative == 1;
	return enter(hit, &entry);
}

/* do_int80_syscall_32() or int80_emulation(), the second of which moves the number itself. */
static enum probe_next enter_int80(struct probe_hit *hit)
{
	struct entry entry = narrow_entry(hit);

	entry.number_in_ax = hit->alternative == 2;
	return enter(hit, &entry);
}

static void set_result(struct probe_hit *hit, int64_t value)
{
	const struct nunchi_cell *start = row_cell(hit->row, PROBE_time);

	const struct nunchi_cell *status = row_cell(hit->row, COLUMN_status);
	const char *name;

	hit_result(hit, COLUMN_result, COLUMN_status, value);
	name = status->integer ? error_name((uint64_t)status->integer) : NULL;
	if (name)
		row_string(hit->row, COLUMN_error, name);
	else
		row_absent(hit->row, COLUMN_error, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_real(hit->row, COLUMN_duration, hit->time > start->real ? hit->time - start->real : 0);
}

/* The first of the alternatives returns the result, others put it into the program's registers. */
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
     * releases of April 2024; int80_emulation() with 6.7 and those of December 2023.
     */
    .providers = {{&guest_linux,
		   {
		       {"x64_sys_call do_syscall_64", enter_native, leave, .optional = true},
		       {"x32_sys_call", enter_native, leave, .optional = true},
		       {"ia32_sys_call do_fast_syscall_32", enter_fast, leave, .optional = true},
		       {"ia32_sys_call do_int80_syscall_32 int80_emulation", enter_int80, leave,
			.optional = true, .unless = "ia32_sys_call"},
		   }}},
};
