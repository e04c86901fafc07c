/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Paths of cgroups are made by: moby daemon/oci_linux.go; containerd internal/cri; CRI-O
 * internal/config/cgmgr; podman libpod/container_internal_linux.go; LXC src/lxc/cgroups/cgfsng.c;
 * systemd-nspawn(1); libvirt src/util/vircgroup.c. With the systemd driver a container is a scope
 * "PREFIX-ID.scope", with the cgroupfs driver a directory ID, or the literal "SLICE:PREFIX:ID".
 */
#include "guest/linux/runtime.h"

#include <ctype.h>
#include <string.h>

#define ID_SIZE    64
#define UID_SIZE   36 /* of a pod; 32 digits without hyphens for one of a file */
#define UID_DIGITS 32

/* A part of the path. */
struct part {
	const char *text;
	size_t size;
};

static bool begins(struct part part, const char *prefix)
{
	return part.size > strlen(prefix) && !memcmp(part.text, prefix, strlen(prefix));
}

static bool ends(struct part part, const char *suffix)
{
	size_t size = strlen(suffix);

	return part.size > size && !memcmp(part.text + part.size - size, suffix, size);
}

static bool is(struct part part, const char *text)
{
	return part.size == strlen(text) && !memcmp(part.text, text, part.size);
}

/* The runtime by what stands before the id in its component, or by the component above. */
static const char *runtime_of(struct part head, struct part above)
{
	static const struct {
		const char *head, *runtime;
	} names[] = {
	    {"docker-", "docker"},       {"cri-containerd-", "containerd"},
	    {"nerdctl-", "containerd"},  {"crio-", "cri-o"},
	    {"libpod-", "podman"},       {"libpod-payload-", "podman"},
	    {":docker:", "docker"},      {":cri-containerd:", "containerd"},
	    {":nerdctl:", "containerd"}, {":crio:", "cri-o"},
	    {":libpod:", "podman"},
	};

	if (!head.size)
		return is(above, "docker") ? "docker" : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (is(head, names[i].head) || (*names[i].head == ':' && ends(head, names[i].head)))
			return names[i].runtime;
	return NULL;
}

/* A component with 64 digits, such as "docker-ID.scope". */
static bool find_digits(struct part part, struct part above, struct linux_runtime *ret)
{
	size_t digits = 0;

	/* The programs that watch a container are outside of it. */
	if (begins(part, "libpod-conmon-") || begins(part, "crio-conmon-"))
		return false;
	for (size_t i = 0; i <= part.size; i++) {
		if (i < part.size && isxdigit((unsigned char)part.text[i])) {
			digits++;
			continue;
		}
		if (digits == ID_SIZE) {
			ret->id = part.text + i - ID_SIZE;
			ret->id_size = ID_SIZE;
			ret->runtime = runtime_of((struct part){part.text, i - ID_SIZE}, above);
			return true;
		}
		digits = 0;
	}
	return false;
}

/* A component with a name that its user has chosen. */
static bool find_name(struct part part, struct part above, bool is_second,
		      struct linux_runtime *ret)
{
	static const struct {
		const char *prefix, *suffix, *runtime;
		bool is_escaped;
	} forms[] = {
	    {"lxc.payload.", "", "lxc", false},
	    {"systemd-nspawn@", ".service", "systemd-nspawn", true},
	    {"machine-lxc\\x2d", ".scope", "libvirt-lxc", true},
	    /* One of a virtual machine, which has no processes of the guest. */
	    {"machine-qemu\\x2d", ".scope", NULL, true},
	    {"machine-", ".scope", "systemd-nspawn", true},
	    {"lxc-", ".libvirt-lxc", "libvirt-lxc", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t prefix = strlen(forms[i].prefix), suffix = strlen(forms[i].suffix);

		if (!begins(part, forms[i].prefix) || (suffix && !ends(part, forms[i].suffix)) ||
		    part.size <= prefix + suffix)
			continue;
		ret->runtime = forms[i].runtime;
		ret->id = part.text + prefix;
		ret->id_size = part.size - prefix - suffix;
		ret->is_escaped = forms[i].is_escaped;
		return ret->runtime;
	}
	/* LXC until 3 */
	if (!is_second || !is(above, "lxc") || !part.size)
		return false;
	*ret = (struct linux_runtime){.runtime = "lxc", .id = part.text, .id_size = part.size};
	return true;
}

/* Finds "podUID" of Kubernetes in the path. */
static void find_pod(struct part path, struct linux_runtime *ret)
{
	static const char pod[] = "pod";

	for (size_t i = 1; i + strlen(pod) < path.size; i++) {
		size_t size = 0, from = i + strlen(pod);

		if (memcmp(path.text + i, pod, strlen(pod)) ||
		    (path.text[i - 1] != '/' && path.text[i - 1] != '-'))
			continue;
		while (from + size < path.size &&
		       (isxdigit((unsigned char)path.text[from + size]) ||
			path.text[from + size] == '-' || path.text[from + size] == '_'))
			size++;
		if (size == UID_SIZE || size == UID_DIGITS) {
			ret->pod = path.text + from;
			ret->pod_size = size;
		}
	}
}

bool linux_runtime_find(const char *path, size_t size, struct linux_runtime *ret)
{
	static const char deleted[] = " (deleted)";
	struct part whole = {path, size}, below = {"", 0};
	size_t end = size;

	if (ends(whole, deleted))
		end -= strlen(deleted);
	while (end) {
		size_t start = end, top;
		struct part above;

		while (start && path[start - 1] != '/')
			start--;
		for (top = start ? start - 1 : 0; top && path[top - 1] != '/';)
			top--;
		above = (struct part){path + top, start > top ? start - 1 - top : 0};
		*ret = (struct linux_runtime){.path_size = end};
		/* nspawn itself is in a group of its own beside its container. */
		if (!is(below, "supervisor") &&
		    (find_digits((struct part){path + start, end - start}, above, ret) ||
		     find_name((struct part){path + start, end - start}, above, top == 1, ret))) {
			ret->path_size = end;
			find_pod((struct part){path, end}, ret);
			return true;
		}
		below = (struct part){path + start, end - start};
		end = start ? start - 1 : 0;
	}
	return false;
}

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

enum read_result linux_runtime_id(const struct linux_runtime *found, struct buffer *ret)
{
	const char *id = found->id;

	for (size_t i = 0; i < found->id_size; i++) {
		char c = id[i];

		/* systemd-escape(1) */
		if (found->is_escaped && c == '\\' && i + 3 < found->id_size && id[i + 1] == 'x' &&
		    isxdigit((unsigned char)id[i + 2]) && isxdigit((unsigned char)id[i + 3])) {
			c = (char)(digit(id[i + 2]) << 4 | digit(id[i + 3]));
			i += 3;
		}
		buffer_append_char(ret, c);
	}
	return ret->failed ? READ_NO_MEMORY : READ_OK;
}

enum read_result linux_runtime_pod(const struct linux_runtime *found, struct buffer *ret)
{
	if (!found->pod)
		return READ_NONE;
	for (size_t i = 0; i < found->pod_size; i++)
		buffer_append_char(ret, found->pod[i] == '_' ? '-' : found->pod[i]);
	return ret->failed ? READ_NO_MEMORY : READ_OK;
}
