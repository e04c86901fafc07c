/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#include "core/bytes.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(command, TEXT, "command of bpf(2) by its name in the kernel, as BPF_PROG_LOAD")          \
	X(type, TEXT, "type of the program or map that is made, as BPF_MAP_TYPE_HASH")             \
	X(object, TEXT, "its name")                                                                \
	X(result, INTEGER, "what it returned: a file descriptor; absent if it failed")             \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* enum bpf_cmd and union bpf_attr of include/uapi/linux/bpf.h, which do not change */
enum { MAP_CREATE = 0, PROG_LOAD = 5 };
#define MAP_NAME  28
#define PROG_NAME 48
#define NAME_SIZE 16

/* What is made begins with its type; the structure may be too short for a name. */
static void set_object(struct probe_hit *hit, const char *first_type, uint64_t attributes,
		       uint64_t size, unsigned name)
{
	uint8_t type[4];
	enum read_result result = hit_read(hit, attributes, type, sizeof(type));

	if (result == READ_OK)
		hit_enum_name(hit, COLUMN_type, first_type, load_le32(type));
	else
		row_unread(hit->row, COLUMN_type, result);
	if (size >= name + NAME_SIZE)
		hit_string(hit, COLUMN_object, attributes + name, NAME_SIZE);
	else
		row_absent(hit->row, COLUMN_object, NUNCHI_ABSENT_NOT_APPLICABLE);
}

/* bpf(command, attributes, size) */
static enum probe_next enter(struct probe_hit *hit)
{
	int32_t command = (int32_t)hit_call_argument(hit, 0);
	uint64_t attributes = hit_call_argument(hit, 1);
	uint64_t size = (uint32_t)hit_call_argument(hit, 2);

	hit_enum_name(hit, COLUMN_command, "BPF_MAP_CREATE", command);
	if (command == MAP_CREATE) {
		set_object(hit, "BPF_MAP_TYPE_UNSPEC", attributes, size, MAP_NAME);
	} else if (command == PROG_LOAD) {
		set_object(hit, "BPF_PROG_TYPE_UNSPEC", attributes, size, PROG_NAME);
	} else {
		row_absent(hit->row, COLUMN_type, NUNCHI_ABSENT_NOT_APPLICABLE);
		row_absent(hit->row, COLUMN_object, NUNCHI_ABSENT_NOT_APPLICABLE);
	}
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_returned(hit, COLUMN_result, COLUMN_status);
	return true;
}

const struct probe probe_bpf = {
    .schema = {"bpf", "what a process does with BPF programs and maps: bpf()", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {CALL_HOOKS("bpf", enter, leave)}}},
};
