/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/limits.h"

/* fs/proc/base.c, lnames[]; the numbers are the same on all of x86. */
static const struct {
	const char *resource, *units;
} limits[LINUX_LIMITS] = {
    {"cpu", "seconds"},    {"fsize", "bytes"}, {"data", "bytes"},      {"stack", "bytes"},
    {"core", "bytes"},     {"rss", "bytes"},   {"nproc", "processes"}, {"nofile", "files"},
    {"memlock", "bytes"},  {"as", "bytes"},    {"locks", "locks"},     {"sigpending", "signals"},
    {"msgqueue", "bytes"}, {"nice", NULL},     {"rtprio", NULL},       {"rttime", "microseconds"},
};

struct nunchi_error *linux_limits_check(struct linux_kernel *kernel)
{
	if (kernel->layout.task_signal.present &&
	    linux_has_field(kernel, &kernel->layout.limits_rlim))
		return NULL;
	return linux_lacks_fields("limits cannot be read",
				  "task_struct.signal or signal_struct.rlim");
}

/* A limit is an unsigned long, all of whose bits are set if there is none. */
static enum read_result read_number(struct linux_kernel *kernel, uint64_t address, int64_t *ret)
{
	uint64_t value = 0;
	enum read_result result = linux_read_word(kernel, address, &value);
	bool unlimited = value == (kernel->word_size == 4 ? UINT32_MAX : UINT64_MAX);

	if (result == READ_OK && value > INT64_MAX && !unlimited)
		return READ_LIMIT;
	*ret = unlimited ? LINUX_UNLIMITED : (int64_t)value;
	return result;
}

void linux_limit_read(struct linux_kernel *kernel, const struct object *task, unsigned number,
		      struct linux_limit *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_limits);
	uint64_t at = object_u64(task, &layout->task_signal) + layout->limits_rlim.offset +
		      (uint64_t)number * 2 * kernel->word_size;

	*ret = (struct linux_limit){.resource = limits[number].resource,
				    .units = limits[number].units};
	ret->soft_result = read_number(kernel, at, &ret->soft);
	ret->hard_result = read_number(kernel, at + kernel->word_size, &ret->hard);
}
