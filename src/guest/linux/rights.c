/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process may do: its capabilities, seccomp, no_new_privs. Source: fs/proc/array.c
 * (task_cap, task_seccomp), include/uapi/linux/capability.h, include/uapi/linux/seccomp.h.
 */
#include "guest/linux/task_value.h"

/* By number, without CAP_; the last one is from 5.9. */
static const char *const capabilities[] = {
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
};

static enum read_result of_cred(struct linux_task *task, const struct field *field, uint64_t *ret)
{
	const struct field *cred = &task->kernel->layout.task_real_cred;

	if (!cred->present)
		return READ_NO_LAYOUT;
	return linux_read_field(task->kernel, object_u64(&task->task, cred), field, ret);
}

/*
 * Gets all capabilities that this kernel has: the bounding set of its first task. 0: it is not
 * known where that task is.
 */
static enum read_result all_capabilities(struct linux_task *task, uint64_t *ret)
{
	struct linux_kernel *kernel = task->kernel;
	uint64_t init = kernel->symbol[LINUX_init_task], cred = 0;

	if (!task->has_all_capabilities && init) {
		task->all_capabilities_result =
		    linux_read_field(kernel, init, &kernel->layout.task_real_cred, &cred);
		if (task->all_capabilities_result == READ_OK)
			task->all_capabilities_result = linux_read_field(
			    kernel, cred, &kernel->layout.rights_bounding, &task->all_capabilities);
	}
	task->has_all_capabilities = true;
	*ret = task->all_capabilities;
	return task->all_capabilities_result;
}

/* Appends the names of a set; "all" where it has all that this kernel knows, "" if it is empty. */
static enum read_result append_names(struct linux_task *task, const struct field *field,
				     struct buffer *ret)
{
	uint64_t set = 0, all = 0;
	enum read_result result = of_cred(task, field, &set);
	bool first = true;

	if (result == READ_OK && set)
		result = all_capabilities(task, &all);
	if (result != READ_OK)
		return result;
	if (set && set == all)
		return buffer_append_string(ret, "all") ? READ_OK : READ_NO_MEMORY;
	for (unsigned i = 0; i < 64; i++) {
		if (!(set >> i & 1))
			continue;
		if (!first)
			buffer_append_char(ret, ',');
		first = false;
		if (i < ARRAY_SIZE(capabilities))
			buffer_append_string(ret, capabilities[i]);
		else
			buffer_append_unsigned(ret, i, 10, 1);
	}
	return ret->failed ? READ_NO_MEMORY : READ_OK;
}

#define SET(name, field)                                                                           \
	static enum read_result get_##name(struct linux_task *task, struct buffer *ret)            \
	{                                                                                          \
		return append_names(task, &task->kernel->layout.field, ret);                       \
	}                                                                                          \
	static enum read_result get_##name##_set(struct linux_task *task, int64_t *ret)            \
	{                                                                                          \
		uint64_t set = 0;                                                                  \
		enum read_result result = of_cred(task, &task->kernel->layout.field, &set);        \
                                                                                                   \
		*ret = (int64_t)set;                                                               \
		return result;                                                                     \
	}                                                                                          \
	const struct linux_value linux_value_##name = {                                            \
	    .text = get_##name, .needs = {offsetof(struct layout, task_real_cred)}};               \
	const struct linux_value linux_value_##name##_set = {                                      \
	    .number = get_##name##_set, .needs = {offsetof(struct layout, task_real_cred)}};

SET(effective, rights_effective)
SET(permitted, rights_permitted)
SET(inheritable, rights_inheritable)
SET(bounding, rights_bounding)
SET(ambient, rights_ambient)

static enum read_result of_task(struct linux_task *task, const struct field *field, uint64_t *ret)
{
	return linux_read_field(task->kernel, task->task.address, field, ret);
}

static enum read_result get_seccomp(struct linux_task *task, struct buffer *ret)
{
	/* dead: since 5.16 of a task that its filter has killed */
	static const char *const modes[] = {"disabled", "strict", "filter", "dead"};
	uint64_t mode = 0;
	enum read_result result = of_task(task, &task->kernel->layout.rights_task_seccomp, &mode);

	if (result != READ_OK)
		return result;
	if (mode >= ARRAY_SIZE(modes))
		return READ_BAD_DATA;
	return buffer_append_string(ret, modes[mode]) ? READ_OK : READ_NO_MEMORY;
}

static enum read_result get_seccomp_filters(struct linux_task *task, int64_t *ret)
{
	uint64_t count = 0;
	enum read_result result = of_task(task, &task->kernel->layout.rights_task_filters, &count);

	*ret = (int64_t)count;
	return result;
}

static enum read_result get_no_new_privs(struct linux_task *task, int64_t *ret)
{
	uint64_t flags = 0;
	enum read_result result = of_task(task, &task->kernel->layout.rights_task_flags, &flags);

	/* PFA_NO_NEW_PRIVS of include/linux/sched.h */
	*ret = (int64_t)(flags & 1);
	return result;
}

const struct linux_value linux_value_seccomp = {.text = get_seccomp};
const struct linux_value linux_value_seccomp_filters = {.number = get_seccomp_filters};
const struct linux_value linux_value_no_new_privs = {.number = get_no_new_privs};
