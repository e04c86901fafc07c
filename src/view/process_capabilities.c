/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/task_rows.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id, in the first pid namespace")                                  \
	X(name, TEXT, "the kernel's name for it (comm)")                                           \
	X(euid, INTEGER, "effective user id")                                                      \
	X(effective, TEXT, "effective capabilities by name, without CAP_, or all")                 \
	X(permitted, TEXT, "permitted capabilities")                                               \
	X(inheritable, TEXT, "inheritable capabilities")                                           \
	X(bounding, TEXT, "capabilities that a program which it executes may get")                 \
	X(ambient, TEXT, "ambient capabilities, which stay when it executes a program")            \
	X(seccomp, TEXT, "disabled, strict, filter, or dead once killed by its filter")            \
	X(seccomp_filters, INTEGER, "number of filters of its system calls")                       \
	X(no_new_privs, INTEGER, "1 if programs that it executes get no new rights")               \
	X(effective_set, ADDRESS, "CapEff of /proc/PID/status: bit N is capability N")             \
	X(permitted_set, ADDRESS, "CapPrm, likewise")                                              \
	X(inheritable_set, ADDRESS, "CapInh, likewise")                                            \
	X(bounding_set, ADDRESS, "CapBnd, likewise")                                               \
	X(ambient_set, ADDRESS, "CapAmb, likewise")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};
static const struct linux_value *const values[] = {COLUMNS(VIEW_TASK_VALUE)};

static struct nunchi_error *capabilities_open(void *data, struct guest_kernel *guest,
					      const struct view_request *request)
{
	return task_rows_open(data, guest, request, values, ARRAY_SIZE(values));
}

const struct view view_process_capabilities = {
    .schema = {"process_capabilities", "capabilities and seccomp of processes", columns,
	       ARRAY_SIZE(columns), .key = VIEW_COLUMN_BIT(COLUMN_pid)},
    .providers = {{&guest_linux, sizeof(struct task_rows), capabilities_open, task_rows_next,
		   task_rows_close}},
};
