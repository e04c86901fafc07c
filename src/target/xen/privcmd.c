/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux's driver for hypercalls and for memory of other domains: include/uapi/xen/privcmd.h and
 * drivers/xen/privcmd.c, since Linux 3.8.
 */
#include "arch/address.h"
#include "target/xen/calls.h"
#include "target/xen/host.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* IOCTL_PRIVCMD_RESTRICT. */
#define RESTRICT_CALL _IOC(_IOC_NONE, 'P', 6, sizeof(uint16_t))

/* struct privcmd_mmapbatch_v2. */
struct map_request {
	uint32_t count;
	uint16_t domain;
	uint64_t address;
	uint64_t frames; /* address of an array of u64 */
	uint64_t errors; /* address of an array of int, in which the driver stores */
};
static_assert(sizeof(struct map_request) == 32, "its size is part of XEN_MAP_CALL");

/* On other processors Xen's structures have other fields: xen/include/public/arch-arm.h. */
#if defined(__x86_64__) || defined(__i386__)
#define IS_X86 true
#else
#define IS_X86 false
#endif

static int driver_open(void)
{
	int fd;

	if (!IS_X86) {
		errno = ENOTSUP;
		return -1;
	}
	fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (fd >= 0 || (errno != ENOENT && errno != ENXIO && errno != ENODEV))
		return fd;
	return open("/proc/xen/privcmd", O_RDWR | O_CLOEXEC);
}

static void driver_close(int driver)
{
	close(driver);
}

static bool driver_restrict(int driver, uint16_t domain)
{
	return !ioctl(driver, RESTRICT_CALL, &domain);
}

static int driver_call(int driver, uint64_t number, uint64_t one, uint64_t two)
{
	struct xen_raw_call call = {.number = number, .arguments = {one, two}};

	return ioctl(driver, XEN_RAW_CALL, &call);
}

static void *buffer_alloc(size_t size)
{
	void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffer == MAP_FAILED)
		return NULL;
	/*
	 * Fork would make the pages read-only. Where they cannot be locked, or the kernel moves one
	 * all the same, a call fails with EFAULT and is repeated.
	 */
	if (madvise(buffer, size, MADV_DONTFORK)) {
		munmap(buffer, size);
		return NULL;
	}
	mlock(buffer, size);
	return buffer;
}

static void buffer_free(void *buffer, size_t size)
{
	munmap(buffer, size);
}

static void *map_frames(int driver, uint16_t domain, size_t pages, const uint64_t *frames,
			int *errors, int protection)
{
	void *map = mmap(NULL, pages << PAGE_SHIFT, protection, MAP_SHARED, driver, 0);
	struct map_request request = {.count = (uint32_t)pages,
				      .domain = domain,
				      .address = (uintptr_t)map,
				      .frames = (uintptr_t)frames,
				      .errors = (uintptr_t)errors};
	int errnum;

	if (map == MAP_FAILED)
		return NULL;
	/* ENOENT: the other pages are mapped, and those with that error are on the host's disk. */
	if (!ioctl(driver, XEN_MAP_CALL, &request) || errno == ENOENT)
		return map;
	errnum = errno;
	munmap(map, pages << PAGE_SHIFT);
	errno = errnum;
	return NULL;
}

static void *driver_map(int driver, uint16_t domain, size_t pages, const uint64_t *frames,
			int *errors)
{
	return map_frames(driver, domain, pages, frames, errors, PROT_READ);
}

static void driver_unmap(void *map, size_t pages)
{
	munmap(map, pages << PAGE_SHIFT);
}

void *xen_driver_map_page(int driver, uint16_t domain, uint64_t frame)
{
	int error = 0;
	void *map = map_frames(driver, domain, 1, &frame, &error, PROT_READ | PROT_WRITE);

	if (!map || !error)
		return map;
	driver_unmap(map, 1);
	errno = error < 0 ? -error : error;
	return NULL;
}

/* struct privcmd_dm_op, and struct privcmd_dm_op_buf. */
struct device_buffer {
	void *data;
	size_t size;
};
struct device_request {
	uint16_t domain, count;
	const struct device_buffer *buffers;
};
#define DEVICE_CALL _IOC(_IOC_NONE, 'P', 5, sizeof(struct device_request))

static int driver_device_op(int driver, uint16_t domain, void *op, size_t size)
{
	const struct device_buffer buffer = {op, size};
	struct device_request request = {domain, 1, &buffer};

	return ioctl(driver, DEVICE_CALL, &request);
}

static const char *no_breakpoints(bool pvh, unsigned vcpus)
{
	return xen_host_no_breakpoints("", pvh, vcpus);
}

static bool ignores_length(void)
{
	return xen_host_ignores_length("");
}

/* ---- Event channels: include/uapi/xen/evtchn.h ----------------------------------------------- */

struct bind_request {
	uint32_t domain, port;
};
#define BIND_CALL _IOC(_IOC_NONE, 'E', 1, sizeof(struct bind_request))

static int channels_open(void)
{
	return open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static bool channels_bind(int channels, uint16_t domain, uint32_t port)
{
	struct bind_request request = {domain, port};

	return ioctl(channels, BIND_CALL, &request) >= 0;
}

/* Reading gives the ports that were sent to, and writing one lets it be sent to again. */
static void channels_clear(int channels)
{
	uint32_t port;

	while (read(channels, &port, sizeof(port)) == sizeof(port) &&
	       write(channels, &port, sizeof(port)) == sizeof(port))
		;
}

const struct xen_calls xen_calls = {
    .open = driver_open,
    .close = driver_close,
    .restrict_to = driver_restrict,
    .call = driver_call,
    .alloc = buffer_alloc,
    .free = buffer_free,
    .map = driver_map,
    .unmap = driver_unmap,
    .map_page = xen_driver_map_page,
    .device_op = driver_device_op,
    .no_breakpoints = no_breakpoints,
    .ignores_length = ignores_length,
    .channels_open = channels_open,
    .channels_bind = channels_bind,
    .channels_clear = channels_clear,
    .store_open = xen_store_open,
    .store_close = xen_store_close,
    .store_read = xen_store_get,
    .store_names = xen_store_get_names,
    .store_state = xen_store_get_state,
    .store_watch = xen_store_watch,
    .store_fd = xen_store_fd,
    .store_clear = xen_store_clear,
};
