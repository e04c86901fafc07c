/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hypervisor behind the table of functions by which Xen's libraries are reached. What it knows is
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

static int fake_fd; /* the memory of `fake` */

static void *fake_open(void *logger, unsigned flags)
{
	assert_non_null(logger);
	assert_int_equal(flags, 0);
	__atomic_add_fetch(&fake->open, 1, __ATOMIC_RELAXED);
	return fake;
}

static int fake_close(void *handle)
{
	assert_ptr_equal(handle, fake);
	__atomic_sub_fetch(&fake->open, 1, __ATOMIC_RELAXED);
	return 0;
}

static int fake_call1(void *call, unsigned op, uint64_t argument)
{
	(void)call;
	if (op == XEN_HYPERCALL_DOMCTL)
		return fake_answer(fake_control((struct xen_domctl *)(uintptr_t)argument));
	if (op == XEN_HYPERCALL_SYSCTL)
		return fake_answer(fake_list((struct xen_sysctl *)(uintptr_t)argument));
	return fake_answer(ENOSYS);
}

static int fake_call2(void *call, unsigned op, uint64_t one, uint64_t two)
{
	struct fake_domain *domain;

	(void)call;
	if (op == XEN_HYPERCALL_VERSION)
		return fake->version;
	if (op != XEN_HYPERCALL_MEMORY_OP)
		return fake_answer(ENOSYS);
	if (one == XEN_OP_MAXIMUM_RAM_PAGE)
		return (int)fake->machine_frames - 1;
	if (one == XEN_OP_GET_POD_TARGET) {
		struct xen_pod_op *pod = (struct xen_pod_op *)(uintptr_t)two;

		domain = fake_find(pod->domain, false);
		pod->entries = domain ? domain->on_demand : 0;
		return 0;
	}
	domain = fake_find(*(uint16_t *)(uintptr_t)two, false);
	if (!domain)
		return fake_answer(ESRCH);
	/* As Linux and the C library hand it on. */
	one = (uint64_t)(int64_t)(int)(domain->frames - 1);
	return one >= (uint64_t)-4095 ? fake_answer((int)-one) : (int)one;
}

static void *fake_alloc(void *call, size_t size)
{
	(void)call;
	return calloc(1, size);
}

static void fake_free(void *call, void *buffer)
{
	(void)call;
	free(buffer);
}

/* The fake itself, which the guard program beside the tests maps (fake_privcmd.c). */
static int fake_privcmd_open(void)
{
	return fcntl(fake_fd, F_DUPFD_CLOEXEC, 0);
}

/* Pages with an error are not mapped: touching one ends the test. */
static void *fake_map(void *memory, uint32_t domain, int protection, size_t pages,
		      const uint64_t *frames, int *errors)
{
	uint8_t *map;

	(void)memory;
	assert_int_equal(protection, PROT_READ);
	if (fake->map_error || !fake_find((uint16_t)domain, false)) {
		errno = fake->map_error ? fake->map_error : ESRCH;
		return NULL;
	}
	map = mmap(NULL, pages << PAGE_SHIFT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < pages; i++)
		errors[i] = frames[i] < FAKE_FRAMES ? fake->errors[frames[i]] : -EINVAL;
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

static int fake_unmap(void *memory, void *address, size_t pages)
{
	(void)memory;
	__atomic_sub_fetch(&fake->mapped, 1, __ATOMIC_RELAXED);
	return munmap(address, pages << PAGE_SHIFT);
}

static void *fake_store_open(unsigned long flags)
{
	return fake_open(fake, (unsigned)flags);
}

static void fake_store_close(void *store)
{
	fake_close(store);
}

static void *fake_store_read(void *store, uint32_t transaction, const char *path, unsigned *length)
{
	(void)store;
	assert_int_equal(transaction, 0);
	for (size_t i = 0; i < FAKE_VALUES; i++) {
		if (!strcmp(fake->values[i].path, path)) {
			char *value = malloc(fake->values[i].length + 1);

			if (!value)
				return NULL;
			memcpy(value, fake->values[i].value, fake->values[i].length);
			value[fake->values[i].length] = '\0';
			*length = fake->values[i].length;
			return value;
		}
	}
	return NULL;
}

static char **fake_store_directory(void *store, uint32_t transaction, const char *path,
				   unsigned *count)
{
	char **names = malloc(FAKE_VALUES * sizeof(*names));

	(void)store, (void)transaction;
	assert_string_equal(path, "/local/domain");
	if (!names)
		return NULL;
	for (unsigned i = 0; i < fake->directory_count; i++)
		names[i] = fake->directory[i];
	*count = fake->directory_count;
	return names;
}

static bool fake_store_watch(void *store, const char *path, const char *token)
{
	size_t length = strlen(fake->watched);

	(void)store;
	snprintf(fake->watched + length, sizeof(fake->watched) - length, "%s=%s ", path, token);
	return !fake->no_watch;
}

static int fake_store_fileno(void *store)
{
	(void)store;
	return fake->events[0];
}

static char **fake_store_check_watch(void *store)
{
	char event;

	(void)store;
	return read(fake->events[0], &event, 1) == 1 ? calloc(2, sizeof(char *)) : NULL;
}

static enum xen_store_state fake_store_check(const char *root)
{
	assert_string_equal(root, "");
	return fake->store_state;
}

static inline void fake_event(void)
{
	assert_int_equal(write(fake->events[1], "", 1), 1);
}

static const struct xen_library fake_library = {
    .call_open = fake_open,
    .call_close = fake_close,
    .call1 = fake_call1,
    .call2 = fake_call2,
    .alloc = fake_alloc,
    .free = fake_free,
    .privcmd_open = fake_privcmd_open,
    .memory_open = fake_open,
    .memory_close = fake_close,
    .memory_map = fake_map,
    .memory_unmap = fake_unmap,
    .store_open = fake_store_open,
    .store_close = fake_store_close,
    .store_read = fake_store_read,
    .store_directory = fake_store_directory,
    .store_watch = fake_store_watch,
    .store_fileno = fake_store_fileno,
    .store_check_watch = fake_store_check_watch,
    .store_check = fake_store_check,
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
	munmap(fake, sizeof(*fake));
	close(fake_fd);
}

#endif
