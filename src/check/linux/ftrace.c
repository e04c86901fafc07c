/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users of ftrace: functions that the kernel calls whenever others begin. Tracing, live patches and
 * most rootkits since 5.7 use it. Source: kernel/trace/ftrace.c, include/linux/ftrace.h.
 */
#include "check/linux/compared.h"
#include "guest/linux/code.h"

struct users {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct linux_code code;
	unsigned count;
};

static bool look(const struct object *ops, void *data)
{
	struct users *users = data;
	uint64_t function = object_u64(ops, &users->kernel->layout.ftrace_ops_func);
	const struct linux_code_area *area = linux_code_at(&users->code, function);
	_cleanup_buffer_ struct buffer found = {0};
	struct check_finding finding = {.pid = -1, .address = ops->address};

	users->count++;
	if (area ? area->owner != LINUX_CODE_MODULE : users->code.broken)
		return true;
	linux_code_describe(users->kernel, &users->code, function, &found);
	finding.severity = area ? CHECK_NOTE : CHECK_ALARM;
	finding.subject = area ? area->name : NULL;
	finding.expected = "code of the kernel or of a module";
	finding.found = check_text(users->report, &found);
	finding.meaning = area ? "A module has the kernel call it when other functions begin, as "
				 "tracing modules, live patches and rootkits do"
			       : "The kernel calls code that belongs to no module when other "
				 "functions begin: a hidden module hooks them";
	check_add_compared(users->report, &users->kernel->guest, &finding,
			   "a module was loaded or unloaded");
	return true;
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct users users = {.kernel = linux_kernel_of(guest), .report = report};
	enum read_result broken;
	struct nunchi_error *err;

	bool has_types = linux_has_field(users.kernel, &users.kernel->layout.ftrace_ops_func);

	if (!users.kernel->symbol[LINUX_ftrace_ops_list] && !has_types) {
		check_summary(report, "this kernel has no ftrace");
		return NULL;
	}
	if (!users.kernel->symbol[LINUX_ftrace_ops_list])
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack ftrace_ops_list");
	if (!has_types)
		return linux_lacks_fields("the users of ftrace cannot be read", "ftrace_ops.func");
	err = linux_code_collect(users.kernel, &users.code);
	if (err)
		return err;
	check_unread(report, users.code.broken, "%s", users.code.incomplete);
	linux_ftrace_each(users.kernel, &broken, look, &users);
	check_unread(report, broken, "the list of ftrace's users");
	check_summary(report, "ftrace has %u users", users.count);
	linux_code_deinit(&users.code);
	return NULL;
}

const struct check check_ftrace = {
    "ftrace", "code that is called when functions of the kernel begin", &guest_linux, run};
