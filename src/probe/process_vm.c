/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#include "core/bytes.h"

/* Until 5.9 programs with pointers of 32 bits had functions of their own, and so had x32. */
#define COMPAT_HOOKS(name, enter, leave)                                                           \
	{"__ia32_compat_sys_" name, enter, leave, .optional = true, .narrow = true},               \
	{                                                                                          \
		"__x32_compat_sys_" name, enter, leave, .optional = true                           \
	}

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(operation, TEXT, "read or write")                                                        \
	X(target, INTEGER, "process id of the other process, in the namespace of the program")     \
	X(ranges, INTEGER, "number of ranges of the other process's memory")                       \
	X(address, ADDRESS, "first address of the first range")                                    \
	X(size, BYTES, "size of the first range")                                                  \
	X(result, INTEGER, "bytes that were transferred; absent if it failed")                     \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* Whether the program's pointers have 32 bits. */
static bool is_narrow(const struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct field *field = &kernel->layout.pt_regs_number;
	uint64_t number = 0;

	return hit->hook->narrow ||
	       (linux_read_field(kernel, hit_argument(hit, 0), field, &number) == READ_OK &&
		number & CALL_X32_BIT);
}

/* The first of the program's struct iovec, of two words. */
static void set_range(struct probe_hit *hit, uint64_t address)
{
	bool narrow = is_narrow(hit);
	uint8_t bytes[16];
	enum read_result result = hit_read(hit, address, bytes, narrow ? 8 : 16);

	if (result != READ_OK) {
		row_unread(hit->row, COLUMN_address, result);
		row_unread(hit->row, COLUMN_size, result);
		return;
	}
	row_address(hit->row, COLUMN_address, narrow ? load_le32(bytes) : load_le64(bytes));
	row_integer(hit->row, COLUMN_size,
		    (int64_t)(narrow ? load_le32(bytes + 4) : load_le64(bytes + 8)));
}

/* process_vm_readv(pid, own ranges, their number, other ranges, their number, flags) */
static enum probe_next enter(struct probe_hit *hit, const char *operation)
{
	uint64_t ranges = hit_call_argument(hit, 4);

	row_string(hit->row, COLUMN_operation, operation);
	row_integer(hit->row, COLUMN_target, (int32_t)hit_call_argument(hit, 0));
	row_integer(hit->row, COLUMN_ranges, (int64_t)ranges);
	if (ranges) {
		set_range(hit, hit_call_argument(hit, 3));
	} else {
		row_absent(hit->row, COLUMN_address, NUNCHI_ABSENT_NOT_APPLICABLE);
		row_absent(hit->row, COLUMN_size, NUNCHI_ABSENT_NOT_APPLICABLE);
	}
	return PROBE_RETURNS;
}

static enum probe_next enter_read(struct probe_hit *hit)
{
	return enter(hit, "read");
}

static enum probe_next enter_write(struct probe_hit *hit)
{
	return enter(hit, "write");
}

static bool leave(struct probe_hit *hit)
{
	hit_returned(hit, COLUMN_result, COLUMN_status);
	return true;
}

const struct probe probe_process_vm = {
    .schema = {"process_vm",
	       "memory of another process that is read or written: process_vm_readv(), "
	       "process_vm_writev()",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {CALL_HOOKS("process_vm_readv", enter_read, leave),
		    CALL_HOOKS("process_vm_writev", enter_write, leave),
		    COMPAT_HOOKS("process_vm_readv", enter_read, leave),
		    COMPAT_HOOKS("process_vm_writev", enter_write, leave)}}},
};
