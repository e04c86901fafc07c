/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"
#include "probe/linux_socket.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	SOCKET_COLUMNS(X)                                                                          \
	X(size, INTEGER, "bytes that are to be sent")                                              \
	X(flags, TEXT, "flags of send(2), as MSG_DONTWAIT|MSG_NOSIGNAL; 0x0: none")                \
	X(result, INTEGER, "bytes that were sent; absent if it failed")                            \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* The other end is the address that is given, or that of a connected socket. */
static void set_socket(struct probe_hit *hit, uint64_t socket, uint64_t address, uint64_t size)
{
	hit_socket(hit, COLUMN_family, socket, !address);
	if (address)
		hit_socket_address(hit, COLUMN_family, address, size, true);
}

/* __sys_sendto(fd, data, size, flags, address, address size); the address is the program's. */
static enum probe_next enter_sendto(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	uint64_t file = hit_file(hit, (int32_t)hit_argument(hit, 0)), socket = 0;

	if (file)
		(void)linux_read_field(kernel, file, &kernel->layout.file_private, &socket);
	set_socket(hit, socket, hit_argument(hit, 4), (uint32_t)hit_argument(hit, 5));
	row_integer(hit->row, COLUMN_size, (int64_t)hit_argument(hit, 2));
	hit_flags(hit, COLUMN_flags, &flags_send, (uint32_t)hit_argument(hit, 3));
	return PROBE_RETURNS;
}

/* ____sys_sendmsg(socket, message, flags, …); the message is the kernel's own copy. */
static enum probe_next enter_sendmsg(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t message = hit_argument(hit, 1), name = 0, name_size = 0, size = 0;
	enum read_result result;

	result = linux_read_field(kernel, message, &layout->msghdr_name, &name);
	if (result == READ_OK)
		result = linux_read_field(kernel, message, &layout->msghdr_name_size, &name_size);
	set_socket(hit, hit_argument(hit, 0), result == READ_OK ? name : 0, (uint32_t)name_size);
	result = linux_read_field(kernel, message, &layout->msghdr_count, &size);
	row_read_integer(hit->row, COLUMN_size, result, (int64_t)size);
	hit_flags(hit, COLUMN_flags, &flags_send, (uint32_t)hit_argument(hit, 2));
	return PROBE_RETURNS;
}

/* EBADF and ENOTSOCK: there is no socket to tell of. */
static bool leave(struct probe_hit *hit)
{
	/* Of an int the upper half of the register is undefined. */
	hit_result(hit, COLUMN_result, COLUMN_status,
		   (int32_t)linux_returned(linux_hit_of(hit)->kernel, hit->registers));
	hit_check_socket(hit, COLUMN_family, COLUMN_status);
	return true;
}

const struct probe probe_send = {
    .schema = {"send", "messages that a process sends: send(), sendto(), sendmsg(), sendmmsg()",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {{"__sys_sendto", enter_sendto, leave},
		    {"____sys_sendmsg", enter_sendmsg, leave}}}},
};
