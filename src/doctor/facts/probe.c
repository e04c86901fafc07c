/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/probe.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* The leaves that say who made the CPU and whether it can have guests (Intel SDM vol. 2A CPUID;
 * AMD APM vol. 3 appendix E); 0x40000000 on: the hypervisor, where we run on one. */
static int probe_cpuid(struct buffer *ret)
{
	static const unsigned leaves[] = {0,          1,          7,          0x40000000,
					  0x40000001, 0x40000002, 0x40000100, 0x80000000,
					  0x80000001, 0x8000000a};

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		unsigned a = 0, b = 0, c = 0, d = 0;

		__cpuid_count(leaves[i], 0, a, b, c, d);
		buffer_printf(ret, "%x 0 %08x %08x %08x %08x\n", leaves[i], a, b, c, d);
	}
	return 0;
}
#else
static int probe_cpuid(struct buffer *ret)
{
	(void)ret;
	return EOPNOTSUPP;
}
#endif

static int probe_msr(uint32_t number, struct buffer *ret)
{
	_cleanup_close_ int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	uint64_t value;

	if (fd < 0)
		return errno;
	if (pread(fd, &value, sizeof(value), number) != sizeof(value))
		return EIO;
	buffer_printf(ret, "%" PRIx64 "\n", value);
	return 0;
}

static int probe_kernel_log(struct buffer *ret)
{
	/* <sys/klog.h> has no names: 3 reads all, 10 gives the size of the buffer. */
	int size = klogctl(10, NULL, 0);
	char *place;

	if (size < 0)
		return errno;
	place = buffer_reserve(ret, (size_t)size);
	if (!place)
		return ENOMEM;
	size = klogctl(3, place, size);
	if (size < 0)
		return errno;
	ret->size += (size_t)size;
	return 0;
}

static int probe_release(struct buffer *ret)
{
	struct utsname name;

	if (uname(&name))
		return errno;
	buffer_printf(ret, "%s\n", name.release);
	return 0;
}

static int probe_open_kvm(struct buffer *ret)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno;
	buffer_append_string(ret, "usable\n");
	return 0;
}

/* Whether the device through which Xen's tools make hypercalls can be opened. */
static int probe_open_privcmd(struct buffer *ret)
{
	_cleanup_close_ int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno;
	buffer_append_string(ret, "usable\n");
	return 0;
}

int probe_run(const char *name, struct buffer *ret)
{
	if (!strcmp(name, "cpuid"))
		return probe_cpuid(ret);
	if (!strcmp(name, "msr-3a"))
		return probe_msr(0x3a, ret);
	if (!strcmp(name, "msr-c0010114"))
		return probe_msr(0xc0010114, ret);
	if (!strcmp(name, "kernel-log"))
		return probe_kernel_log(ret);
	if (!strcmp(name, "release"))
		return probe_release(ret);
	if (!strcmp(name, "open-kvm"))
		return probe_open_kvm(ret);
	if (!strcmp(name, "open-privcmd"))
		return probe_open_privcmd(ret);
	return ENOENT;
}
