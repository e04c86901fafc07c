/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Namespaces of a task, as /proc/PID/ns has them. Source: fs/proc/namespaces.c,
 * include/linux/nsproxy.h. A process that has exited has its user namespace and its pid namespace
 * alone.
 */
#include "guest/linux/task_value.h"

/* Reads the number of the namespace to which a field of the task's nsproxy leads. */
static enum read_result of_proxy(struct linux_task *task, const struct field *pointer,
				 const struct field *number, int64_t *ret)
{
	struct linux_kernel *kernel = task->kernel;
	uint64_t proxy = object_u64(&task->task, &kernel->layout.task_nsproxy);
	uint64_t namespace = 0, value = 0;
	enum read_result result;

	if (!kernel->layout.task_nsproxy.present || !linux_has_field(kernel, pointer) ||
	    !linux_has_field(kernel, number))
		return READ_NO_LAYOUT;
	if (!proxy)
		return READ_NONE;
	result = linux_read_field(kernel, proxy, pointer, &namespace);
	if (result == READ_OK)
		result = linux_read_field(kernel, namespace, number, &value);
	*ret = (int64_t)value;
	return result;
}

#define OF_PROXY(name, field, inum)                                                                \
	static enum read_result get_##name(struct linux_task *task, int64_t *ret)                  \
	{                                                                                          \
		const struct layout *layout = &task->kernel->layout;                               \
                                                                                                   \
		return of_proxy(task, &layout->field, &layout->inum, ret);                         \
	}                                                                                          \
	const struct linux_value linux_value_##name = {                                            \
	    .number = get_##name, .needs = {offsetof(struct layout, task_nsproxy)}};

OF_PROXY(cgroup_namespace, namespaces_cgroup, cgroup_namespace_inum)
OF_PROXY(ipc_namespace, namespaces_ipc, ipc_namespace_inum)
OF_PROXY(mnt_namespace, namespaces_mnt, mnt_namespace_inum)
OF_PROXY(net_namespace, namespaces_net, net_inum)
OF_PROXY(time_namespace, namespaces_time, time_namespace_inum)
OF_PROXY(uts_namespace, namespaces_uts, uts_inum)

static enum read_result get_user_namespace(struct linux_task *task, int64_t *ret)
{
	struct linux_kernel *kernel = task->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_namespace);
	uint64_t cred = object_u64(&task->task, &layout->task_real_cred);
	uint64_t namespace = 0, value = 0;
	enum read_result result;

	if (!layout->task_real_cred.present)
		return READ_NO_LAYOUT;
	result = linux_read_field(kernel, cred, &layout->cred_namespace_user, &namespace);
	if (result == READ_OK)
		result = linux_read_field(kernel, namespace, &layout->user_namespace_inum, &value);
	*ret = (int64_t)value;
	return result;
}

const struct linux_value linux_value_user_namespace = {
    .number = get_user_namespace, .needs = {offsetof(struct layout, task_real_cred)}};

static enum read_result get_hostname(struct linux_task *task, struct buffer *ret)
{
	_cleanup_object_ struct object uts = {0};
	struct linux_kernel *kernel = task->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_system);
	uint64_t proxy = object_u64(&task->task, &layout->task_nsproxy), namespace = 0;
	enum read_result result;

	if (!layout->task_nsproxy.present)
		return READ_NO_LAYOUT;
	if (!proxy)
		return READ_NONE;
	result = linux_read_field(kernel, proxy, &layout->namespaces_uts, &namespace);
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_uts_namespace, namespace, &uts);
	return result == READ_OK ? object_append_text(&uts, &layout->uts_namespace_nodename, ret)
				 : result;
}

const struct linux_value linux_value_hostname = {.text = get_hostname,
						 .needs = {offsetof(struct layout, task_nsproxy)}};
