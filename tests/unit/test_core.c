/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/array.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/io.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_error_builds_message_outward(void **state)
{
	_cleanup_error_ struct nunchi_error *err =
	    error_create_at(NUNCHI_ERROR_FAULT, 0x1000, "cannot read %d bytes", 8);
	uint64_t address = 0;

	(void)state;
	err = error_context(err, "task %d", 7);
	err = error_hint(err, "first");
	err = error_hint(err, "second");
	assert_string_equal(nunchi_error_message(err), "task 7: cannot read 8 bytes");
	assert_string_equal(nunchi_error_hint(err), "first");
	assert_true(nunchi_error_address(err, &address));
	assert_int_equal(address, 0x1000);
}

static void test_error_static_gains_context(void **state)
{
	_cleanup_error_ struct nunchi_error *err = error_context(&error_not_found, "view %s", "x");

	(void)state;
	assert_string_equal(nunchi_error_message(err), "view x: not found");
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_NOT_FOUND);
	assert_null(error_context(NULL, "nothing"));
}

static void test_error_errno(void **state)
{
	_cleanup_error_ struct nunchi_error *err = error_create_errno(EACCES, "open");

	(void)state;
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_PERMISSION);
	assert_int_equal(nunchi_error_errno(err), EACCES);
	assert_false(nunchi_error_is_host(err));
	err = error_context(error_of_host(err), "more");
	assert_true(nunchi_error_is_host(err));
	assert_null(error_of_host(NULL));
	assert_non_null(strstr(nunchi_error_message(err), "Permission denied"));
}

static void test_buffer_stops_at_its_limit(void **state)
{
	_cleanup_buffer_ struct buffer buf;

	(void)state;
	buffer_init(&buf, 8);
	assert_string_equal(buffer_string(&buf), "");
	assert_true(buffer_append_string(&buf, "12345"));
	assert_true(buffer_printf(&buf, "%03d", 678));
	assert_false(buffer_append_char(&buf, 'x'));
	assert_true(buf.failed);
	assert_string_equal(buffer_string(&buf), "12345678");
	buffer_clear(&buf);
	assert_true(buffer_append_char(&buf, 'y'));
	assert_string_equal(buffer_string(&buf), "y");
}

static void test_buffer_numbers(void **state)
{
	_cleanup_buffer_ struct buffer buf = {0};
	char text[400];

	(void)state;
	buffer_append_unsigned(&buf, 0, 10, 1);
	buffer_append_char(&buf, ' ');
	buffer_append_unsigned(&buf, 7, 10, 3);
	buffer_append_char(&buf, ' ');
	buffer_append_unsigned(&buf, UINT64_MAX, 10, 2);
	buffer_append_char(&buf, ' ');
	buffer_append_unsigned(&buf, UINT64_MAX, 16, 0);
	buffer_append_char(&buf, ' ');
	buffer_append_unsigned(&buf, 8, 8, 1);
	assert_string_equal(buffer_string(&buf), "0 007 18446744073709551615 ffffffffffffffff 10");
	buffer_clear(&buf);
	buffer_append_unsigned(&buf, UINT64_MAX, 2, 200);
	assert_int_equal(buf.size, 64);
	/* Texts around the size of the room in which short ones are formatted. */
	for (int size = 254; size < 258; size++) {
		buffer_clear(&buf);
		assert_true(buffer_printf(&buf, "%*d", size, 1));
		snprintf(text, sizeof(text), "%*d", size, 1);
		assert_string_equal(buffer_string(&buf), text);
	}
}

static void test_hash_map_reserve(void **state)
{
	_cleanup_hash_map_ struct hash_map map;
	size_t capacity;

	(void)state;
	hash_map_init(&map);
	hash_map_reserve(&map, 1000);
	capacity = map.capacity;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(hash_map_insert(&map, i, i), HASH_INSERTED);
	assert_int_equal(map.capacity, capacity);
	/* What is there stays, and a smaller number changes nothing. */
	hash_map_reserve(&map, 100000);
	capacity = map.capacity;
	hash_map_reserve(&map, 1);
	assert_int_equal(map.capacity, capacity);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(*hash_map_find(&map, i), i);
}

/* The example of the paper that describes SipHash (Aumasson, Bernstein 2012, appendix A). */
static void test_keyed_hash(void **state)
{
	const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	const uint64_t other[2] = {key[0], key[1] + 1};
	unsigned char message[16];

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	assert_int_equal(hash_bytes_keyed(message, 15, key), 0xa129ca6149be45e5);
	assert_int_not_equal(hash_bytes_keyed(message, 16, key), 0xa129ca6149be45e5);
	assert_int_not_equal(hash_bytes_keyed(message, 15, other), 0xa129ca6149be45e5);
}

static void test_hash_map_keeps_first_value(void **state)
{
	_cleanup_hash_map_ struct hash_map map;

	(void)state;
	hash_map_init(&map);
	assert_null(hash_map_find(&map, 0));
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(hash_map_insert(&map, i * 4096, i), HASH_INSERTED);
	assert_int_equal(hash_map_insert(&map, 4096, 77), HASH_EXISTS);
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(*hash_map_find(&map, i * 4096), i);
	assert_null(hash_map_find(&map, 1));
	hash_map_clear(&map);
	assert_null(hash_map_find(&map, 4096));
}

static void test_hash_map_forgets_its_size(void **state)
{
	_cleanup_hash_map_ struct hash_map map;
	size_t large;

	(void)state;
	hash_map_init(&map);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(hash_map_insert(&map, i, 0), HASH_INSERTED);
	hash_map_clear(&map);
	large = map.capacity;
	assert_true(large >= 50000);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(hash_map_insert(&map, i, 1), HASH_INSERTED);
	assert_int_equal(map.capacity, large);
	hash_map_clear(&map);
	/* From here on it is used for little: emptying it must not cost what it once held. */
	assert_int_equal(hash_map_insert(&map, 7, 8), HASH_INSERTED);
	hash_map_clear(&map);
	assert_true(map.capacity < 2048);
	assert_null(hash_map_find(&map, 7));
	assert_int_equal(hash_map_insert(&map, 7, 9), HASH_INSERTED);
	assert_int_equal(*hash_map_find(&map, 7), 9);
}

static void test_array_reserve(void **state)
{
	uint32_t *items = NULL;
	size_t count = 0, capacity = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(ARRAY_RESERVE(items, count, capacity, 1));
		items[count++] = i;
	}
	assert_int_equal(capacity, 1024);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	assert_false(ARRAY_RESERVE(items, count, capacity, SIZE_MAX));
	assert_false(ARRAY_RESERVE(items, count, capacity, SIZE_MAX / 2));
	assert_int_equal(capacity, 1024);
	free(items);
}

static unsigned signals; /* taken since start_signals() */

static void arm_signal(void)
{
	struct itimerval timer = {.it_value = {0, 1000 + signals % 900000}};

	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

/*
 * The next one comes later and later: under valgrind, on a busy machine, a signal takes more than a
 * millisecond, and a program that is given one each millisecond gets no further.
 */
static void on_signal(int number)
{
	(void)number;
	signals++;
	arm_signal();
}

/* A caught signal about every millisecond, with and without SA_RESTART. */
static void start_signals(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	signals = 0;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	arm_signal();
}

static void stop_signals(void)
{
	struct itimerval timer = {0};

	signal(SIGALRM, SIG_IGN);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void test_signals_end_no_wait(void **state)
{
	static const int flags[] = {0, SA_RESTART};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < 2; i++) {
		uint64_t start = clock_us();

		start_signals(flags[i]);
		assert_int_equal(io_wait(ends[0], POLLIN, start + 50000, NULL), 0);
		assert_true(clock_us() - start >= 50000);
		start = clock_us();
		assert_int_equal(io_sleep_until(start + 20000, NULL), 0);
		assert_true(clock_us() - start >= 20000);
		stop_signals();
	}
	assert_int_equal(write(ends[1], "x", 1), 1);
	/* What is ready is told after the deadline too. */
	assert_int_equal(io_wait(ends[0], POLLIN, 0, NULL), 1);
	close(ends[0]);
	close(ends[1]);
}

static void test_cancel_ends_waits(void **state)
{
	struct cancel parent = {0}, child = {.parent = &parent};

	(void)state;
	assert_false(cancel_requested(NULL));
	assert_false(cancel_requested(&child));
	cancel_request(&child);
	assert_true(cancel_requested(&child));
	assert_false(cancel_requested(&parent));
	assert_int_equal(io_sleep_until(CLOCK_NEVER, &child), -ECANCELED);
	cancel_clear(&child);
	assert_false(cancel_requested(&child));
	cancel_request(&parent);
	assert_true(cancel_requested(&child));
	assert_int_equal(io_sleep_until(CLOCK_NEVER, &child), -ECANCELED);
}

/* A transfer that signals interrupt all the time, through a pipe that is smaller than it. */
static void test_signals_cut_no_transfer(void **state)
{
	static char data[1 << 20], back[1 << 20];
	int ends[2], status;
	pid_t writer;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 4096);
	assert_int_equal(pipe(ends), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (!writer) {
		start_signals(0);
		_exit(io_write_full(ends[1], data, sizeof(data)) ? 1 : 0);
	}
	close(ends[1]);
	start_signals(0);
	assert_int_equal(io_read_full(ends[0], back, sizeof(back)), sizeof(back));
	assert_int_equal(io_reap(writer, clock_us() + 10 * CLOCK_US_PER_S, NULL, &status), 1);
	stop_signals();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(io_read_full(ends[0], back, 1), 0);
	close(ends[0]);
}

static void test_read_all_stops_at_the_limit(void **state)
{
	static const size_t limits[] = {99999, 100000, 100001};
	char name[] = "/tmp/nunchi-test-XXXXXX", *data = calloc(1, 100000);
	int fd = mkstemp(name);

	(void)state;
	assert_non_null(data);
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(io_write_full(fd, data, 100000), 0);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		_cleanup_buffer_ struct buffer buf;

		buffer_init(&buf, limits[i]);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(io_read_all(fd, &buf), i ? 0 : -EFBIG);
		if (i)
			assert_int_equal(buf.size, 100000);
	}
	close(fd);
	free(data);
}

static void test_reap_without_sigchld(void **state)
{
	uint64_t start = clock_us();
	int status = 0;
	pid_t child;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		io_sleep_until(clock_us() + 30000, NULL);
		_exit(3);
	}
	assert_int_equal(io_reap(child, start + 10000, NULL, &status), 0);
	/* The kernel throws its status away; that it ended is told all the same, when it did. */
	assert_int_equal(io_reap(child, start + 20 * CLOCK_US_PER_S, NULL, &status), -ECHILD);
	assert_true(clock_us() - start >= 30000);
	signal(SIGCHLD, SIG_DFL);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(3);
	assert_int_equal(io_reap(child, start + 20 * CLOCK_US_PER_S, NULL, &status), 1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_error_builds_message_outward),
	    cmocka_unit_test(test_error_static_gains_context),
	    cmocka_unit_test(test_error_errno),
	    cmocka_unit_test(test_buffer_stops_at_its_limit),
	    cmocka_unit_test(test_buffer_numbers),
	    cmocka_unit_test(test_hash_map_reserve),
	    cmocka_unit_test(test_keyed_hash),
	    cmocka_unit_test(test_hash_map_keeps_first_value),
	    cmocka_unit_test(test_hash_map_forgets_its_size),
	    cmocka_unit_test(test_array_reserve),
	    cmocka_unit_test(test_signals_end_no_wait),
	    cmocka_unit_test(test_cancel_ends_waits),
	    cmocka_unit_test(test_signals_cut_no_transfer),
	    cmocka_unit_test(test_read_all_stops_at_the_limit),
	    cmocka_unit_test(test_reap_without_sigchld),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
