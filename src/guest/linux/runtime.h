/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which container a control group belongs to, by the path that container runtimes give it. */
#ifndef NUNCHI_GUEST_LINUX_RUNTIME_H
#define NUNCHI_GUEST_LINUX_RUNTIME_H

#include "core/buffer.h"
#include "guest/result.h"

#include <stdbool.h>

struct linux_runtime {
	const char *runtime; /* "docker", "podman", "lxc" …; NULL: the path does not say; static */
	/* In the path: the id of 64 hexadecimal digits, or the name that LXC and nspawn use. */
	const char *id;
	size_t id_size;
	bool is_escaped; /* the id is part of a unit's name: \x2d is a hyphen */
	/* In the path: the uid of the Kubernetes pod, perhaps with '_' for '-'; NULL: there is
	 * none. */
	const char *pod;
	size_t pod_size;
	size_t path_size; /* length of the path of the container's own group */
};

/*
 * Finds the innermost container that a cgroup path belongs to; false if there is none. The path may
 * end in " (deleted)".
 */
bool linux_runtime_find(const char *path, size_t size, struct linux_runtime *ret);
/* Append the id as the runtime has it, and the pod's uid with hyphens. */
enum read_result linux_runtime_id(const struct linux_runtime *found, struct buffer *ret);
enum read_result linux_runtime_pod(const struct linux_runtime *found, struct buffer *ret);

#endif
