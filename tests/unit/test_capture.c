/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/cleanup.h"
#include "memory/virtual.h"

#include "page_writer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RAM_SIZE ((uint64_t)4 << 20)
#define ABOVE    ((uint64_t)1 << 32)
#define TABLES   ((uint64_t)1 << 20)

struct guest {
	int fd;
	uint8_t *ram;
	struct memory *memory;
};

static enum memory_fault read_guest(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	struct guest *guest = data;

	for (size_t i = 0; i < size; i++) {
		/* One page cannot be read. */
		if ((offset + i) >> PAGE_SHIFT == 5) {
			*fault_offset = offset + i;
			return MEMORY_IO;
		}
		((uint8_t *)buffer)[i] = guest->ram[offset + i];
	}
	return MEMORY_OK;
}

/* The same bytes twice: through a window at 0, by a reader at 4 GiB; then RAM that is missing. */
static void guest_init(struct guest *guest)
{
	guest->fd = memfd_create("nunchi-test", MFD_CLOEXEC);
	assert_true(guest->fd >= 0);
	assert_int_equal(ftruncate(guest->fd, (off_t)RAM_SIZE), 0);
	guest->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	assert_true(guest->ram != MAP_FAILED);
	memset(guest->ram, 0x11, RAM_SIZE);
	assert_null(memory_create(false, &guest->memory));
	assert_null(
	    memory_add_window(guest->memory, gpa(0), RAM_SIZE, guest->fd, 0, MEMORY_WINDOW_LIVE));
	assert_null(
	    memory_add_reader(guest->memory, gpa(ABOVE), RAM_SIZE, read_guest, NULL, guest));
	assert_null(memory_add_missing(guest->memory, gpa(ABOVE + RAM_SIZE), PAGE_SIZE));
	assert_null(memory_seal(guest->memory));
}

static void guest_deinit(struct guest *guest)
{
	memory_destroy(guest->memory);
	munmap(guest->ram, RAM_SIZE);
	close(guest->fd);
}

/* Prepares and fills, as a query does. */
static void fill(struct guest *guest)
{
	assert_null(memory_capture_prepare(guest->memory));
	assert_null(memory_capture_fill(guest->memory));
}

static uint8_t byte_at(struct guest *guest, uint64_t address)
{
	uint8_t value = 0;

	assert_int_equal(memory_read(guest->memory, gpa(address), &value, 1, NULL), MEMORY_OK);
	return value;
}

static enum memory_fault fault_at(struct guest *guest, uint64_t address, size_t size, uint64_t *ret)
{
	_cleanup_free_ void *buffer = malloc(size);
	gpa_t at = gpa(UINT64_MAX);
	enum memory_fault fault = memory_read(guest->memory, gpa(address), buffer, size, &at);

	*ret = at.v;
	return fault;
}

static void test_record_fill_replay(void **state)
{
	struct guest guest;
	uint64_t at, generation;

	(void)state;
	guest_init(&guest);
	for (uint64_t base = 0; base <= ABOVE; base += ABOVE) {
		memset(guest.ram, 0x11, RAM_SIZE);
		assert_null(memory_capture_begin(guest.memory));
		assert_int_equal(memory_capture_misses(guest.memory), 0);
		/* While it records it reads what is there. */
		assert_int_equal(byte_at(&guest, base + 0x1fff), 0x11);
		assert_int_equal(fault_at(&guest, base + 0x2ffe, 4, &at), MEMORY_OK);
		memset(guest.ram, 0x22, RAM_SIZE);
		generation = memory_generation(guest.memory);
		fill(&guest);
		assert_int_not_equal(memory_generation(guest.memory), generation);
		memset(guest.ram, 0x33, RAM_SIZE);
		/* Now it reads the copies, and only those. */
		assert_int_equal(byte_at(&guest, base + 0x1fff), 0x22);
		assert_int_equal(byte_at(&guest, base + 0x2ffe), 0x22);
		assert_int_equal(byte_at(&guest, base + 0x3001), 0x22);
		assert_int_equal(memory_capture_misses(guest.memory), 0);
		/* Not what lies elsewhere in the same page. */
		assert_int_equal(fault_at(&guest, base + 0x1000, 1, &at), MEMORY_NOT_CAPTURED);
		assert_int_equal(memory_capture_misses(guest.memory), 1);
		assert_int_equal(fault_at(&guest, base + 0x2ff0, 0x2000, &at), MEMORY_NOT_CAPTURED);
		assert_int_equal(at, base + 0x3000);
		assert_int_equal(memory_capture_misses(guest.memory), 3);
		assert_int_equal(fault_at(&guest, base + 0x8000, 0x2001, &at), MEMORY_NOT_CAPTURED);
		assert_int_equal(at, base + 0x8000);
		assert_int_equal(memory_capture_misses(guest.memory), 6);
		/* The same again is no new miss. */
		assert_int_equal(fault_at(&guest, base + 0x4000, 1, &at), MEMORY_NOT_CAPTURED);
		assert_int_equal(memory_capture_misses(guest.memory), 6);
		/* What is no RAM is never wanted. */
		assert_int_equal(fault_at(&guest, 0x80000000, 1, &at), MEMORY_NO_RAM);
		assert_int_equal(memory_capture_misses(guest.memory), 6);
		/* The next fill takes all of it afresh. */
		fill(&guest);
		memset(guest.ram, 0x44, RAM_SIZE);
		assert_int_equal(memory_capture_misses(guest.memory), 0);
		assert_int_equal(byte_at(&guest, base + 0x1000), 0x33);
		assert_int_equal(byte_at(&guest, base + 0x4000), 0x33);
		assert_int_equal(byte_at(&guest, base + 0xa000), 0x33);
		generation = memory_generation(guest.memory);
		memory_capture_end(guest.memory);
		assert_int_not_equal(memory_generation(guest.memory), generation);
		assert_int_equal(byte_at(&guest, base + 0x1000), 0x44);
		assert_int_equal(byte_at(&guest, base + 0xf000), 0x44);
		memory_capture_end(guest.memory);
	}
	guest_deinit(&guest);
}

static void test_map(void **state)
{
	struct guest guest;
	const uint8_t *map;

	(void)state;
	guest_init(&guest);
	assert_null(memory_capture_begin(guest.memory));
	/* In disorder; maps are recorded too. */
	assert_non_null(memory_map(guest.memory, gpa(0x9000), PAGE_SIZE));
	assert_non_null(memory_map(guest.memory, gpa(0x3000), PAGE_SIZE));
	assert_non_null(memory_map(guest.memory, gpa(0x1010), 0x1ff0));
	byte_at(&guest, ABOVE);
	memset(guest.ram, 0x22, RAM_SIZE);
	fill(&guest);
	memset(guest.ram, 0x33, RAM_SIZE);
	/* Neighbours in RAM are neighbours in the copies. */
	map = memory_map(guest.memory, gpa(0x1010), 0x2ff0);
	assert_non_null(map);
	for (size_t i = 0; i < 0x2ff0; i++)
		assert_int_equal(map[i], 0x22);
	assert_non_null(memory_map(guest.memory, gpa(0x9000), PAGE_SIZE));
	/* Even of memory that cannot be mapped otherwise. */
	map = memory_map(guest.memory, gpa(ABOVE + 8), 16);
	assert_non_null(map);
	assert_int_equal(map[0], 0x22);
	assert_int_equal(memory_capture_misses(guest.memory), 0);
	assert_null(memory_map(guest.memory, gpa(0x3000), PAGE_SIZE + 1));
	assert_int_equal(memory_capture_misses(guest.memory), 1);
	assert_null(memory_map(guest.memory, gpa(0x80000000), 1));
	assert_null(memory_map(guest.memory, gpa(0), SIZE_MAX));
	fill(&guest);
	assert_non_null(memory_map(guest.memory, gpa(0x3000), PAGE_SIZE + 1));
	guest_deinit(&guest);
}

/* A page that could not be copied keeps its fault; those beside it are good. */
static void test_faults_are_kept(void **state)
{
	struct guest guest;
	uint64_t at;

	(void)state;
	guest_init(&guest);
	assert_null(memory_capture_begin(guest.memory));
	assert_int_equal(fault_at(&guest, ABOVE + 0x3000, 0x4000, &at), MEMORY_IO);
	assert_int_equal(fault_at(&guest, ABOVE + RAM_SIZE - 8, 16, &at), MEMORY_NOT_SAVED);
	memset(guest.ram, 0x22, RAM_SIZE);
	fill(&guest);
	memset(guest.ram, 0x33, RAM_SIZE);
	assert_int_equal(fault_at(&guest, ABOVE + 0x3000, 0x4000, &at), MEMORY_IO);
	assert_int_equal(at, ABOVE + 0x5000);
	assert_int_equal(byte_at(&guest, ABOVE + 0x4fff), 0x22);
	assert_int_equal(byte_at(&guest, ABOVE + 0x6000), 0x22);
	assert_int_equal(fault_at(&guest, ABOVE + RAM_SIZE - 8, 16, &at), MEMORY_NOT_SAVED);
	assert_int_equal(at, ABOVE + RAM_SIZE);
	assert_null(memory_map(guest.memory, gpa(ABOVE + 0x4000), 0x2000));
	assert_int_equal(memory_capture_misses(guest.memory), 0);
	guest_deinit(&guest);
}

/* Page tables are part of what a query reads, also those the translation cache knows already. */
static void test_page_tables_are_captured(void **state)
{
	struct page_writer writer;
	struct address_space *space;
	struct x86_paging paging;
	struct guest guest;
	uint64_t value;

	(void)state;
	guest_init(&guest);
	writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
	writer_map(&writer, 0x400000, 0x7000, 1, 0);
	paging = writer_paging(&writer);
	assert_null(address_space_create(guest.memory, &paging, &space));
	assert_int_equal(address_space_read_u64(space, gva(0x400000), &value), MEMORY_OK);
	assert_null(memory_capture_begin(guest.memory));
	assert_int_equal(address_space_read_u64(space, gva(0x400000), &value), MEMORY_OK);
	fill(&guest);
	memset(guest.ram, 0, RAM_SIZE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(address_space_read_u64(space, gva(0x400000), &value), MEMORY_OK);
		assert_int_equal(value, UINT64_C(0x1111111111111111));
	}
	/* Another page of the same table is mapped by nothing, and that is in the capture. */
	assert_int_equal(address_space_read_u64(space, gva(0x401000), &value), MEMORY_NOT_MAPPED);
	assert_int_equal(memory_capture_misses(guest.memory), 0);
	memory_capture_end(guest.memory);
	assert_int_equal(address_space_read_u64(space, gva(0x400000), &value), MEMORY_NOT_MAPPED);
	address_space_destroy(space);
	guest_deinit(&guest);
}

static long faults_so_far(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt;
}

/*
 * The guard is forked between recording and copying. The pages for the copies must not be shared
 * with it: each would be copied itself when it is first written, while the guest is paused.
 */
static void test_fork_makes_no_faults(void **state)
{
	struct guest guest;
	pid_t child;
	long before;
	int status;

	(void)state;
	guest_init(&guest);
	assert_null(memory_capture_begin(guest.memory));
	for (uint64_t at = 0; at < RAM_SIZE; at += PAGE_SIZE)
		byte_at(&guest, at);
	assert_null(memory_capture_prepare(guest.memory));
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		pause();
		_exit(0);
	}
	before = faults_so_far();
	assert_null(memory_capture_fill(guest.memory));
	before = faults_so_far() - before;
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_in_range(before, 0, (RAM_SIZE >> PAGE_SHIFT) / 4);
	guest_deinit(&guest);
}

static enum memory_fault read_zeros(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	(void)data;
	(void)offset;
	(void)fault_offset;
	memset(buffer, 0, size);
	return MEMORY_OK;
}

static void test_limit(void **state)
{
	struct memory *memory;
	struct nunchi_error *err;
	uint64_t limit = (uint64_t)64 << 20;
	uint8_t byte;

	(void)state;
	assert_null(memory_create(false, &memory));
	assert_null(memory_add_reader(memory, gpa(0), 2 * limit, read_zeros, NULL, NULL));
	assert_null(memory_seal(memory));
	err = memory_capture_prepare(memory);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
	err = memory_capture_fill(memory);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
	assert_null(memory_capture_begin(memory));
	for (uint64_t at = 0; at < limit; at += PAGE_SIZE)
		memory_read(memory, gpa(at), &byte, 1, NULL);
	assert_null(memory_capture_prepare(memory));
	assert_null(memory_capture_fill(memory));
	/* A fill needs its own preparation. */
	err = memory_capture_fill(memory);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
	assert_int_equal(memory_read(memory, gpa(limit - PAGE_SIZE), &byte, 1, NULL), MEMORY_OK);
	assert_int_equal(memory_read(memory, gpa(limit), &byte, 1, NULL), MEMORY_NOT_CAPTURED);
	err = memory_capture_prepare(memory);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	assert_non_null(nunchi_error_hint(err));
	nunchi_error_destroy(err);
	/* Begun again it is empty. */
	assert_null(memory_capture_begin(memory));
	assert_int_equal(memory_read(memory, gpa(limit), &byte, 1, NULL), MEMORY_OK);
	assert_null(memory_capture_prepare(memory));
	assert_null(memory_capture_fill(memory));
	assert_int_equal(memory_read(memory, gpa(0), &byte, 1, NULL), MEMORY_NOT_CAPTURED);
	memory_destroy(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_record_fill_replay),
	    cmocka_unit_test(test_map),
	    cmocka_unit_test(test_faults_are_kept),
	    cmocka_unit_test(test_page_tables_are_captured),
	    cmocka_unit_test(test_fork_makes_no_faults),
	    cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
