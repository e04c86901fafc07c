/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the start of a small file, without a final newline; false if it cannot be read. */
static bool read_line(const char *root, const char *path, char *ret, size_t size)
{
	char full[PATH_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t length;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return false;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (length < 0)
		return false;
	ret[length] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static bool exists(const char *root, const char *path)
{
	char full[PATH_MAX];

	return snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full) &&
	       !access(full, F_OK);
}

/*
 * XENFEAT_dom0 (xen/include/public/features.h), a bit of the features that the kernel shows in
 * hexadecimal.
 */
#define FEATURE_DOM0 ((unsigned long)1 << 11)

static bool is_xen(const char *root)
{
	char type[32];

	if (read_line(root, "/sys/hypervisor/type", type, sizeof(type)))
		return !strcmp(type, "xen");
	/* The kernel creates this directory, the mount point of xenfs, only on Xen. */
	return exists(root, "/proc/xen");
}

enum xen_role xen_host_role(const char *root)
{
	char line[128];

	if (!is_xen(root))
		return XEN_ROLE_NONE;
	if (read_line(root, "/proc/xen/capabilities", line, sizeof(line)))
		return strstr(line, "control_d") ? XEN_ROLE_CONTROL : XEN_ROLE_GUEST;
	/* xenfs is not mounted, so /proc/xen/capabilities does not exist. */
	if (read_line(root, "/sys/hypervisor/properties/features", line, sizeof(line)) && *line)
		return strtoul(line, NULL, 16) & FEATURE_DOM0 ? XEN_ROLE_CONTROL : XEN_ROLE_GUEST;
	return XEN_ROLE_UNKNOWN;
}

bool xen_host_may_control(const char *root)
{
	enum xen_role role = xen_host_role(root);

	return role == XEN_ROLE_CONTROL || role == XEN_ROLE_UNKNOWN;
}

struct nunchi_error *xen_host_check(const char *root, bool privileged)
{
	enum xen_role role = xen_host_role(root);
	struct nunchi_error *err;

	if (role == XEN_ROLE_NONE) {
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "this host does not run on Xen");
		return error_hint(error_of_host(err),
				  "run nunchi in the control domain (dom0) of a Xen host");
	}
	if (role == XEN_ROLE_GUEST) {
		err = error_create(NUNCHI_ERROR_PERMISSION,
				   "this is a guest of Xen itself, not the control domain (dom0)");
		return error_hint(err, "run nunchi in dom0 of the host that this guest runs on");
	}
	if (!privileged)
		return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
					       "Xen's guests can be reached by root only"),
				  "run it as root: sudo nunchi …");
	if (exists(root, "/dev/xen/privcmd") || exists(root, "/proc/xen/privcmd"))
		return NULL;
	err = error_create(NUNCHI_ERROR_UNSUPPORTED,
			   "there is no /dev/xen/privcmd, the device for hypercalls");
	return error_hint(error_of_host(err), "sudo modprobe xen-privcmd");
}

/* Gets a field of the first processor in /proc/cpuinfo; "" if it is not there. */
static void read_processor(const char *root, const char *name, char *ret, size_t size)
{
	char full[PATH_MAX], *line = NULL;
	size_t room = 0, length = strlen(name);
	FILE *file = NULL;

	*ret = '\0';
	if (snprintf(full, sizeof(full), "%s/proc/cpuinfo", root) < (int)sizeof(full))
		file = fopen(full, "re");
	while (file && !*ret && getline(&line, &room, file) > 1) {
		const char *colon = strchr(line, ':');

		if (!colon || strncmp(line, name, length) != 0 || !strchr("\t ", line[length]))
			continue;
		colon += strspn(colon, ": ");
		snprintf(ret, size, "%.*s", (int)strcspn(colon, "\n"), colon);
	}
	free(line);
	if (file)
		fclose(file);
}

/* Whether the machine is one of QEMU's. Each of its names can be set by who configured it. */
static bool is_qemu(const char *root)
{
	static const struct {
		const char *path, *word;
	} marks[] = {
	    {"/sys/class/dmi/id/sys_vendor", "QEMU"},
	    {"/sys/class/dmi/id/chassis_vendor", "QEMU"},
	    {"/sys/class/dmi/id/product_name", "Standard PC ("},
	    /* Of the host bridge: PCI_SUBVENDOR_ID_REDHAT_QUMRANET of QEMU's include/hw/pci/pci.h.
	     */
	    {"/sys/bus/pci/devices/0000:00:00.0/subsystem_vendor", "0x1af4"},
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		if (read_line(root, marks[i].path, text, sizeof(text)) &&
		    strstr(text, marks[i].word))
			return true;
	}
	read_processor(root, "model name", text, sizeof(text));
	return strstr(text, "QEMU");
}

bool xen_host_ignores_length(const char *root)
{
	char maker[32], vendor[32];

	read_processor(root, "vendor_id", vendor, sizeof(vendor));
	return !strcmp(vendor, "AuthenticAMD") &&
	       read_line(root, "/sys/class/dmi/id/bios_vendor", maker, sizeof(maker)) &&
	       strstr(maker, "Bochs");
}

const char *xen_host_no_breakpoints(const char *root, bool pvh, unsigned vcpus)
{
	char vendor[32];
	bool amd;

	read_processor(root, "vendor_id", vendor, sizeof(vendor));
	amd = !strcmp(vendor, "AuthenticAMD");
	if (!amd && strcmp(vendor, "GenuineIntel") != 0)
		return "tried only on processors of Intel and AMD";
	/* It looks for the intercept of INT n in place of that of #BP: seen with 7.2. */
	if (amd && is_qemu(root))
		return "in QEMU's emulation of AMD-V the guest itself gets the trap";
	if (!pvh || vcpus != 1)
		return "tried only with PVH guests of one vCPU";
	return NULL;
}
