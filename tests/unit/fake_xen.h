/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hypervisor behind the table of functions by which Xen is reached. What it knows is
 * shared with forked children and with the guard program, as a hypervisor's is. Threads may use
 * different domains of it at once.
 */
#ifndef NUNCHI_TESTS_FAKE_XEN_H
#define NUNCHI_TESTS_FAKE_XEN_H

#include "arch/address.h"
#include "fake_control.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

static int fake_fd; /* the memory of `fake` */

/* A descriptor of the fake, which the guard program beside the tests maps (fake_privcmd.c). */
static int fake_open(void)
{
	__atomic_add_fetch(&fake->open, 1, __ATOMIC_RELAXED);
	return fcntl(fake_fd, F_DUPFD_CLOEXEC, 0);
}

static void fake_close(int driver)
{
	assert_int_equal(close(driver), 0);
	__atomic_sub_fetch(&fake->open, 1, __ATOMIC_RELAXED);
}

static int fake_memory_op(uint64_t op, void *argument)
{
	struct fake_domain *domain;
	uint64_t last;

	if (op == XEN_OP_MAXIMUM_RAM_PAGE)
		return (int)fake->machine_frames - 1;
	if (op == XEN_OP_GET_POD_TARGET) {
		struct xen_pod_op *pod = argument;

		domain = fake_find(pod->domain, false);
		pod->entries = domain ? domain->on_demand : 0;
		return 0;
	}
	if (op == XEN_OP_POPULATE || op == XEN_OP_DECREASE)
		return fake_reserve(op, argument);
	domain = fake_find(*(uint16_t *)argument, false);
	if (!domain)
		return fake_answer(ESRCH);
	/* As Linux and the C library hand it on. */
	last = (uint64_t)(int64_t)(int)(domain->frames - 1);
	return last >= (uint64_t)-4095 ? fake_answer((int)-last) : (int)last;
}

static int fake_call(int driver, uint64_t number, uint64_t one, uint64_t two)
{
	(void)driver;
	switch (number) {
	case XEN_HYPERCALL_DOMCTL:
		return fake_answer(fake_control((struct xen_domctl *)(uintptr_t)one));
	case XEN_HYPERCALL_SYSCTL:
		return fake_answer(fake_list((struct xen_sysctl *)(uintptr_t)one));
	case XEN_HYPERCALL_VERSION:
		return fake->version;
	case XEN_HYPERCALL_HVM_OP:
		return fake_get_param((struct xen_param_op *)(uintptr_t)two);
	case XEN_HYPERCALL_MEMORY_OP:
		return fake_memory_op(one, (void *)(uintptr_t)two);
	default:
		return fake_answer(ENOSYS);
	}
}

static void *fake_alloc(size_t size)
{
	return calloc(1, size);
}

static void fake_free(void *buffer, size_t size)
{
	(void)size;
	free(buffer);
}

/* Pages with an error are not mapped: touching one ends the test. */
static void *fake_map(int driver, uint16_t domain, size_t pages, const uint64_t *frames,
		      int *errors)
{
	uint8_t *map;

	(void)driver;
	if (fake->map_error || !fake_find(domain, false)) {
		errno = fake->map_error ? fake->map_error : ESRCH;
		return NULL;
	}
	map = mmap(NULL, pages << PAGE_SHIFT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < pages; i++)
		errors[i] = frames[i] < FAKE_FRAMES ? fake->errors[frames[i]] : -EINVAL;
	if (pages == 1 && frames[0] == FAKE_TEXT_FRAME) {
		assert_true(mmap(map, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, fake_fd,
				 (off_t)offsetof(struct fake_xen, text)) != MAP_FAILED);
		pages = 0;
	}
	for (size_t i = 0, count; i < pages; i += count) {
		count = 1;
		while (!errors[i] && i + count < pages && !errors[i + count] &&
		       frames[i + count] == frames[i] + count)
			count++;
		if (!errors[i])
			assert_true(mmap(map + (i << PAGE_SHIFT), count << PAGE_SHIFT, PROT_READ,
					 MAP_SHARED | MAP_FIXED, fake->memory_fd,
					 (off_t)(frames[i] << PAGE_SHIFT)) != MAP_FAILED);
	}
	__atomic_add_fetch(&fake->maps, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&fake->mapped, 1, __ATOMIC_RELAXED);
	return map;
}

static void *fake_map_page(int driver, uint16_t domain, uint64_t frame)
{
	off_t at = fake_page_at(domain, frame);
	void *page;

	(void)driver;
	if (!at)
		return NULL;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fake_fd, at);
	assert_true(page != MAP_FAILED);
	__atomic_add_fetch(&fake->mapped, 1, __ATOMIC_RELAXED);
	return page;
}

static int fake_device_op(int driver, uint16_t domain, void *op, size_t size)
{
	const struct xen_inject_op *inject = op;
	struct fake_domain *found = fake_find(domain, false);

	(void)driver;
	if (!found || size != sizeof(*inject) || inject->op != XEN_OP_INJECT_EVENT ||
	    inject->vector != 3 || inject->type != XEN_EVENT_SOFTWARE ||
	    inject->error != XEN_EVENT_NO_ERROR || !(found->waiting >> inject->vcpu & 1))
		return fake_answer(EINVAL);
	if (found->trap_error)
		return fake_answer(found->trap_error);
	found->trapped |= 1U << inject->vcpu;
	found->trap_length = inject->length;
	return 0;
}

static const char *fake_no_breakpoints(bool pvh, unsigned vcpus)
{
	(void)pvh;
	(void)vcpus;
	return fake->no_breakpoints;
}

static bool fake_ignores_length(void)
{
	return fake->ignores_length;
}

static int fake_channels_open(void)
{
	return fcntl(fake->channels, F_DUPFD_CLOEXEC, 0);
}

static bool fake_channels_bind(int channels, uint16_t domain, uint32_t port)
{
	(void)channels;
	return port == 7 && fake_find(domain, false);
}

static void fake_channels_clear(int channels)
{
	uint64_t count;

	if (read(channels, &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
}

static void fake_unmap(void *map, size_t pages)
{
	__atomic_sub_fetch(&fake->mapped, 1, __ATOMIC_RELAXED);
	assert_int_equal(munmap(map, pages << PAGE_SHIFT), 0);
}

/* A store that cannot be reached at all is not opened; one that is silent or bad is. */
static struct xen_store *fake_store_open(const char *root, enum xen_store_state *ret)
{
	assert_string_equal(root, "");
	*ret = fake->store_state;
	if (*ret == XEN_STORE_NONE || *ret == XEN_STORE_CLOSED)
		return NULL;
	__atomic_add_fetch(&fake->open, 1, __ATOMIC_RELAXED);
	return (struct xen_store *)fake;
}

static void fake_store_close(struct xen_store *store)
{
	if (store)
		__atomic_sub_fetch(&fake->open, 1, __ATOMIC_RELAXED);
}

static enum xen_store_state fake_store_state(const struct xen_store *store)
{
	assert_ptr_equal(store, (struct xen_store *)fake);
	return fake->store_state;
}

static char *fake_copy(const char *data, size_t size, size_t *ret_size)
{
	char *copy = malloc(size + 1);

	if (!copy)
		return NULL;
	memcpy(copy, data, size);
	copy[size] = '\0';
	*ret_size = size;
	return copy;
}

static char *fake_store_read(struct xen_store *store, const char *path, size_t *ret_size)
{
	assert_ptr_equal(store, (struct xen_store *)fake);
	for (size_t i = 0; i < FAKE_VALUES && fake->store_state == XEN_STORE_ANSWERS; i++) {
		if (!strcmp(fake->values[i].path, path))
			return fake_copy(fake->values[i].value, fake->values[i].length, ret_size);
	}
	return NULL;
}

static char *fake_store_names(struct xen_store *store, const char *path, size_t *ret_size)
{
	assert_ptr_equal(store, (struct xen_store *)fake);
	assert_string_equal(path, "/local/domain");
	if (fake->store_state != XEN_STORE_ANSWERS)
		return NULL;
	return fake_copy(fake->names, fake->names_size, ret_size);
}

static bool fake_store_watch(struct xen_store *store, const char *path, const char *token)
{
	size_t length = strlen(fake->watched);

	(void)store;
	snprintf(fake->watched + length, sizeof(fake->watched) - length, "%s=%s ", path, token);
	return !fake->no_watch && fake->store_state == XEN_STORE_ANSWERS;
}

static int fake_store_fd(const struct xen_store *store)
{
	(void)store;
	return fake->events[0];
}

static bool fake_store_clear(struct xen_store *store)
{
	char event;

	(void)store;
	while (read(fake->events[0], &event, 1) == 1)
		;
	return fake->store_state == XEN_STORE_ANSWERS;
}

static inline void fake_event(void)
{
	assert_int_equal(write(fake->events[1], "", 1), 1);
}

static const struct xen_calls fake_calls = {
    .open = fake_open,
    .close = fake_close,
    .call = fake_call,
    .alloc = fake_alloc,
    .free = fake_free,
    .map = fake_map,
    .unmap = fake_unmap,
    .map_page = fake_map_page,
    .device_op = fake_device_op,
    .no_breakpoints = fake_no_breakpoints,
    .ignores_length = fake_ignores_length,
    .channels_open = fake_channels_open,
    .channels_bind = fake_channels_bind,
    .channels_clear = fake_channels_clear,
    .store_open = fake_store_open,
    .store_close = fake_store_close,
    .store_read = fake_store_read,
    .store_names = fake_store_names,
    .store_state = fake_store_state,
    .store_watch = fake_store_watch,
    .store_fd = fake_store_fd,
    .store_clear = fake_store_clear,
};

static inline void fake_value(const char *path, const char *value)
{
	for (size_t i = 0; i < FAKE_VALUES; i++) {
		if (fake->values[i].path[0] && strcmp(fake->values[i].path, path))
			continue;
		snprintf(fake->values[i].path, sizeof(fake->values[i].path), "%s", path);
		fake->values[i].length = (unsigned)snprintf(
		    fake->values[i].value, sizeof(fake->values[i].value), "%s", value);
		return;
	}
	abort();
}

/* A domain in the i-th place. */
static inline struct fake_domain *fake_add(size_t i, uint16_t id, const char *name, uint32_t flags,
					   uint32_t emulation)
{
	struct fake_domain *domain = &fake->domains[i];
	char path[64];

	*domain = (struct fake_domain){
	    .there = true,
	    .info = {.domain = id,
		     .flags = flags,
		     .tot_pages = 1024,
		     .max_pages = 1024,
		     .max_vcpu_id = 1},
	    .emulation = emulation,
	    .frames = 1024,
	    .address_size = 64,
	};
	memset(domain->info.handle, 0x10 + id, sizeof(domain->info.handle));
	snprintf(path, sizeof(path), "/local/domain/%u/name", id);
	fake_value(path, name);
	return domain;
}

static inline uint8_t *fake_memory(void)
{
	void *map = mmap(NULL, FAKE_FRAMES << PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fake->memory_fd, 0);

	assert_true(map != MAP_FAILED);
	return map;
}

/* Xen 4.17 with domain 0, a PV, a PVH and an HVM guest. */
static inline void fake_create(void)
{
	fake_fd = memfd_create("nunchi-fake-xen", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fake_fd, sizeof(*fake)), 0);
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED, fake_fd, 0);
	assert_true(fake != MAP_FAILED);
	fake->domctl = 0x15;
	fake->sysctl = 0x15;
	fake->version = 4 << 16 | 17;
	fake->vanish = -1;
	fake->next_domain = true;
	fake->machine_frames = FAKE_FRAMES;
	assert_int_equal(pipe2(fake->events, O_CLOEXEC | O_NONBLOCK), 0);
	fake->ring_version = 7;
	fake->capabilities = 0x1f7b;
	fake->ring_populated = true;
	fake->channels = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fake->channels >= 0);
	fake->memory_fd = memfd_create("nunchi-test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fake->memory_fd, (off_t)(FAKE_FRAMES << PAGE_SHIFT)), 0);
	fake_add(0, 0, "Domain-0", 0, 0);
	fake_add(1, 3, "pv", 0, 0);
	fake_add(2, 5, "pvh", XEN_INFO_HVM, 1);
	fake_add(3, 9, "hvm", XEN_INFO_HVM, 0x17f);
}

static inline void fake_destroy(void)
{
	close(fake->events[0]);
	close(fake->events[1]);
	close(fake->memory_fd);
	close(fake->channels);
	munmap(fake, sizeof(*fake));
	close(fake_fd);
}

#endif
