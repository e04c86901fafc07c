/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every way to a QEMU guest's memory gives the same bytes, on real QEMU. */
#include "qemu/machine.h"
#include "target/qemu/qemu.h"
#include "target/qemu/ram.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARED_FILE  "memory-backend-file,id=mem,size=4608M,mem-path=%d/memory,share=on"
#define PRIVATE_FILE "memory-backend-file,id=mem,size=4608M,mem-path=%d/memory,share=off"
#define MEMFD        "memory-backend-memfd,id=mem,size=4608M,share=on"
#define PLAIN        "memory-backend-ram,id=mem,size=4608M"

static const struct target_options options = {.sigbus_guard = true};

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s (%s)\n", nunchi_error_message(err),
			    nunchi_error_hint(err) ? nunchi_error_hint(err) : "");
	assert_null(err);
}

/* What the machine has put where, by -device loader. */
static const struct {
	const char *argument;
	uint64_t address;
	uint64_t value;
} planted[] = {
    {"loader,addr=0x1000,data=0x1122334455667788,data-len=8", 0x1000, 0x1122334455667788},
    {"loader,addr=0x9f000,data=0x0102030405060708,data-len=8", 0x9f000, 0x0102030405060708},
    {"loader,addr=0x100000,data=0xfeedface,data-len=8", 0x100000, 0xfeedface},
    {"loader,addr=0x7ffffff8,data=0x2468ace,data-len=8", 0x7ffffff8, 0x2468ace},
    {"loader,addr=0x100000000,data=0x4444,data-len=8", 0x100000000, 0x4444},
    {"loader,addr=0x15ffffff8,data=0x6666,data-len=8", 0x15ffffff8, 0x6666},
};

static void start(struct machine *machine, const char *type, const char *object)
{
	const char *arguments[32] = {"-machine", NULL, "-m", "4608", "-S", "-object", object};
	char backend[64];
	size_t count = 7;

	snprintf(backend, sizeof(backend), "%s,memory-backend=mem", type);
	arguments[1] = backend;
	for (size_t i = 0; i < ARRAY_SIZE(planted); i++) {
		arguments[count++] = "-device";
		arguments[count++] = planted[i].argument;
	}
	machine_start(machine, arguments);
}

static struct target *open_by(const struct machine *machine, unsigned allow, bool qmp)
{
	const struct qemu_limits limits = {.forbid_ways = RAM_ALLOW_ALL & ~allow,
					   .forbid_qmp = !qmp};
	struct target *target = NULL;
	char word[128];

	snprintf(word, sizeof(word), "qemu:%s", machine->first);
	ok(qemu_target_open_limited(word, &options, &limits, &target));
	return target;
}

static void check_planted(struct target *target)
{
	for (size_t i = 0; i < ARRAY_SIZE(planted); i++) {
		uint8_t bytes[24];
		uint64_t value;
		gpa_t fault;

		assert_int_equal(
		    memory_read(target->memory, gpa(planted[i].address), &value, 8, &fault),
		    MEMORY_OK);
		assert_int_equal(value, planted[i].value);
		/* Before these is a hole, and until the BIOS has run a ROM. */
		if (planted[i].address == 0x100000000 || planted[i].address == 0x100000)
			continue;
		/* Not aligned, and from before it. */
		assert_int_equal(
		    memory_read(target->memory, gpa(planted[i].address - 5), bytes, 11, &fault),
		    MEMORY_OK);
		memcpy(&value, bytes + 5, 6);
		assert_memory_equal(&value, &planted[i].value, 6);
	}
}

/* The hole below 4 GiB is one, and as large as the machine's type has it. */
static void check_hole(struct target *target, uint64_t low)
{
	uint64_t value;
	gpa_t fault = gpa(0);

	assert_int_equal(memory_read(target->memory, gpa(low - 8), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(memory_read(target->memory, gpa(low), &value, 8, NULL), MEMORY_NO_RAM);
	assert_int_equal(memory_read(target->memory, gpa(low - 4), &value, 8, &fault),
			 MEMORY_NO_RAM);
	assert_int_equal(fault.v, low);
	assert_int_equal(memory_read(target->memory, gpa(0xfee00000), &value, 8, NULL),
			 MEMORY_NO_RAM);
	assert_int_equal(memory_end(target->memory).v, 0x100000000 + ((uint64_t)4608 << 20) - low);
}

/* A checksum of all memory, read as a snapshot or scan reads it. */
static uint64_t scan(struct target *target, size_t block, uint64_t *ret_bytes)
{
	gpa_t at = gpa(0), start, end;
	uint64_t sum = 0, bytes = 0;
	char *buffer = malloc(block);

	while (memory_next_data(target->memory, at, &start, &end)) {
		for (; start.v < end.v; start.v += block) {
			size_t size = end.v - start.v < block ? end.v - start.v : block;
			const uint64_t *words = (const uint64_t *)buffer;

			assert_int_equal(memory_read(target->memory, start, buffer, size, NULL),
					 MEMORY_OK);
			for (size_t i = 0; i < size / 8; i++) {
				/* Zeros count nothing, so that holes and zeros are the same. */
				if (words[i])
					sum += words[i] * (start.v + 8 * i + 1);
			}
			bytes += size;
		}
		at = end;
	}
	free(buffer);
	*ret_bytes = bytes;
	return sum;
}

static blkcnt_t blocks(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_blocks;
}

/* Kilobytes that a process has in memory: "Rss" or "Pss" … of smaps_rollup. */
static long resident(pid_t pid)
{
	char path[64], line[256];
	long value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "Rss:", 4))
			value = strtol(line + 4, NULL, 10);
	}
	if (file)
		fclose(file);
	return value;
}

/* One machine: each way, with QMP and without, scanned whole and compared. */
static void check_machine(const char *type, uint64_t low, const char *object, unsigned ways)
{
	static const unsigned each[] = {RAM_ALLOW_WINDOW, RAM_ALLOW_FILE, RAM_ALLOW_PROCESS};
	static const char *const names[] = {"window", "file", "process"};
	struct machine machine;
	uint64_t sum = 0;

	start(&machine, type, object);
	for (unsigned i = 0; i < ARRAY_SIZE(each) * 2; i++) {
		unsigned way = each[i / 2];
		bool qmp = i % 2 == 0;
		double begin = now_ms(), attached;
		blkcnt_t before = blocks(machine.memory);
		long kb = resident(machine.pid);
		struct target *target;
		uint64_t bytes, found;

		if (!(ways & way))
			continue;
		target = open_by(&machine, way, qmp);
		attached = now_ms();
		assert_true(target->support[TARGET_READ].available);
		assert_int_equal(target->support[TARGET_PAUSE].available, qmp);
		assert_int_equal(target->note_count, qmp ? 0 : 1);
		check_planted(target);
		check_hole(target, low);
		/* The rule gives the ROMs' place as RAM too, so it is not compared as a whole. */
		found = qmp ? scan(target, 1 << 20, &bytes) : sum;
		bytes = qmp ? bytes : 0;
		print_message("%s %s %s: attach %.2f ms, scan of %llu MiB %.0f ms; %s\n", type,
			      names[i / 2], qmp ? "qmp" : "rule", attached - begin,
			      (unsigned long long)bytes >> 20, now_ms() - attached,
			      target->support[TARGET_READ].reason);
		assert_true(found != 0);
		if (sum)
			assert_int_equal(found, sum);
		sum = found;
		target_close(target);
		/* Reading has made nothing grow. */
		assert_int_equal(blocks(machine.memory), before);
		assert_in_range(resident(machine.pid), 0, kb + 2048);
	}
	machine_stop(&machine);
}

static void test_shared_file_on_pc(void **state)
{
	(void)state;
	check_machine("pc", 0xc0000000, SHARED_FILE,
		      RAM_ALLOW_WINDOW | RAM_ALLOW_FILE | RAM_ALLOW_PROCESS);
}

static void test_memfd_on_q35(void **state)
{
	(void)state;
	check_machine("q35", 0x80000000, MEMFD,
		      RAM_ALLOW_WINDOW | RAM_ALLOW_FILE | RAM_ALLOW_PROCESS);
}

static void test_private_file_on_q35(void **state)
{
	(void)state;
	check_machine("q35", 0x80000000, PRIVATE_FILE, RAM_ALLOW_PROCESS);
}

static void test_plain_memory_on_pc(void **state)
{
	(void)state;
	check_machine("pc", 0xc0000000, PLAIN, RAM_ALLOW_PROCESS);
}

/* A private mapping shows what the file held before, where the guest has not written. */
static void test_private_file_with_old_content(void **state)
{
	static const char content[] = "from an earlier life";
	const char *arguments[] = {"-machine",
				   "pc,memory-backend=mem",
				   "-m",
				   "64",
				   "-S",
				   "-object",
				   "memory-backend-file,id=mem,size=64M,mem-path=/tmp/"
				   "nunchi-old-content,share=off",
				   NULL};
	char found[sizeof(content)];
	struct machine machine;
	struct target *target;
	blkcnt_t before;
	int fd = open("/tmp/nunchi-old-content", O_RDWR | O_CREAT | O_TRUNC, 0600);

	(void)state;
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(pwrite(fd, content, sizeof(content), 0x2345678), sizeof(content));
	close(fd);
	machine_start(&machine, arguments);
	before = blocks("/tmp/nunchi-old-content");
	target = open_by(&machine, RAM_ALLOW_ALL, true);
	assert_non_null(strstr(target->support[TARGET_READ].reason, "/proc/PID/mem"));
	assert_int_equal(memory_read(target->memory, gpa(0x2345678), found, sizeof(found), NULL),
			 MEMORY_OK);
	assert_string_equal(found, content);
	assert_int_equal(blocks("/tmp/nunchi-old-content"), before);
	target_close(target);
	machine_stop(&machine);
	unlink("/tmp/nunchi-old-content");
}

/* The slow way, on a small guest. */
static void test_monitor(void **state)
{
	const char *arguments[] = {"-machine",
				   "pc",
				   "-m",
				   "32",
				   "-S",
				   "-device",
				   "loader,addr=0x1000,data=0x1122334455667788,data-len=8",
				   "-device",
				   "loader,addr=0x1fffff8,data=0x6666,data-len=8",
				   NULL};
	struct target *slow, *fast;
	uint64_t bytes, value, sum;
	struct machine machine;
	double begin;

	(void)state;
	machine_start(&machine, arguments);
	fast = open_by(&machine, RAM_ALLOW_PROCESS, true);
	sum = scan(fast, 1 << 20, &bytes);
	target_close(fast);
	slow = open_by(&machine, RAM_ALLOW_MONITOR, true);
	assert_non_null(strstr(slow->support[TARGET_READ].reason, "xp"));
	assert_int_equal(memory_read(slow->memory, gpa(0x1003), &value, 5, NULL), MEMORY_OK);
	assert_int_equal(value & 0xffffffffff, 0x1122334455);
	assert_int_equal(memory_read(slow->memory, gpa(0x1fffff8), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(value, 0x6666);
	begin = now_ms();
	assert_int_equal(scan(slow, 1 << 20, &bytes), sum);
	print_message("monitor: %.1f MB/s\n", (double)bytes / 1000 / (now_ms() - begin));
	target_close(slow);
	machine_stop(&machine);
}

/* As a user who may use the socket but not look into the process: exit status 0 if all is well. */
static int look_as_nobody(const char *word, bool socket)
{
	struct target *target = NULL;
	struct nunchi_error *err;
	uint64_t value = 0;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 1;
	err = target_open(word, &options, &target);
	if (!socket)
		return error_is(err, NUNCHI_ERROR_PERMISSION) && nunchi_error_hint(err) ? 0 : 2;
	if (err) {
		print_error("%s\n", nunchi_error_message(err));
		return 3;
	}
	if (!strstr(target->support[TARGET_READ].reason, "xp"))
		return 4;
	if (memory_read(target->memory, gpa(0x1000), &value, 8, NULL) || value != 0x77)
		return 5;
	target_close(target);
	return 0;
}

static void test_without_permission(void **state)
{
	const char *arguments[] = {"-machine",
				   "pc",
				   "-m",
				   "64",
				   "-S",
				   "-device",
				   "loader,addr=0x1000,data=0x77,data-len=8",
				   NULL};
	struct machine machine;
	char word[32];
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	machine_start(&machine, arguments);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	for (int socket = 0; socket < 2; socket++) {
		pid_t pid;

		assert_int_equal(chmod(machine.folder, socket ? 0755 : 0700), 0);
		assert_int_equal(chmod(machine.first, socket ? 0777 : 0700), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(look_as_nobody(word, socket));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	machine_stop(&machine);
}

/* Several backends, a DIMM, a graphics card whose memory is none of the guest's RAM. */
static void test_several_backends(void **state)
{
	const char *arguments[] = {
	    "-machine",
	    "q35",
	    "-m",
	    "3G,slots=2,maxmem=8G",
	    "-smp",
	    "2",
	    "-S",
	    "-object",
	    "memory-backend-ram,id=m0,size=1G",
	    "-object",
	    "memory-backend-memfd,id=m1,size=2G,share=on",
	    "-numa",
	    "node,nodeid=0,memdev=m0",
	    "-numa",
	    "node,nodeid=1,memdev=m1",
	    "-object",
	    "memory-backend-file,id=d0,size=256M,mem-path=%d/memory,share=on",
	    "-device",
	    "pc-dimm,memdev=d0",
	    "-device",
	    "VGA",
	    "-device",
	    "loader,addr=0x3ffffff8,data=0x11,data-len=8",
	    "-device",
	    "loader,addr=0x40000000,data=0x22,data-len=8",
	    "-device",
	    "loader,addr=0x100000000,data=0x33,data-len=8",
	    "-device",
	    "loader,addr=0x140000000,data=0x44,data-len=8",
	    NULL};
	static const struct {
		uint64_t address, value;
	} expected[] = {{0x3ffffff8, 0x11}, {0x40000000, 0x22}, {0x100000000, 0x33}};
	struct machine machine;
	struct target *target;
	uint64_t value;

	(void)state;
	machine_start(&machine, arguments);
	target = open_by(&machine, RAM_ALLOW_ALL, true);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(
		    memory_read(target->memory, gpa(expected[i].address), &value, 8, NULL),
		    MEMORY_OK);
		assert_int_equal(value, expected[i].value);
	}
	/* The DIMM comes after the rest, at the next GiB. */
	assert_int_equal(memory_read(target->memory, gpa(0x140000000), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(value, 0x44);
	assert_int_equal(target->vcpu_count, 2);
	/* All RAM but what the video memory and the ROMs cover, from 0xa0000 to 1 MiB. */
	assert_in_range(memory_total(target->memory), ((uint64_t)3 << 30) + (256 << 20) - 0x60000,
			((uint64_t)3 << 30) + (256 << 20));
	target_close(target);
	/* By rule: the DIMM is not seen, which is said. */
	target = open_by(&machine, RAM_ALLOW_ALL, false);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(
		    memory_read(target->memory, gpa(expected[i].address), &value, 8, NULL),
		    MEMORY_OK);
		assert_int_equal(value, expected[i].value);
	}
	assert_int_equal(target->note_count, 2);
	target_close(target);
	machine_stop(&machine);
}

static void test_ended_guest_reads_as_gone(void **state)
{
	const char *arguments[] = {"-machine", "pc", "-m", "64", "-S", NULL};
	enum target_state now = TARGET_UNKNOWN;
	struct machine machine;
	struct target *target;
	uint64_t value;

	(void)state;
	machine_start(&machine, arguments);
	target = open_by(&machine, RAM_ALLOW_ALL, true);
	ok(target_get_state(target, &now));
	assert_int_equal(now, TARGET_PAUSED);
	machine_stop(&machine);
	assert_int_equal(memory_read(target->memory, gpa(0x100000), &value, 8, NULL), MEMORY_GONE);
	ok(target_get_state(target, &now));
	assert_int_equal(now, TARGET_ENDED);
	target_close(target);
}

/* Speed, printed: small reads and streaming, over memory that is there. */
static void test_throughput(void **state)
{
	static const struct {
		const char *name;
		unsigned way;
	} ways[] = {
	    {"window", RAM_ALLOW_WINDOW}, {"file", RAM_ALLOW_FILE}, {"process", RAM_ALLOW_PROCESS}};
	const char *arguments[] = {"-machine",
				   "pc,memory-backend=mem",
				   "-m",
				   "512",
				   "-S",
				   "-object",
				   "memory-backend-memfd,id=mem,size=512M,share=on,prealloc=on",
				   NULL};
	char *buffer = malloc(1 << 20);
	struct machine machine;

	(void)state;
	machine_start(&machine, arguments);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct target *target = open_by(&machine, ways[i].way, true);
		double begin = now_ms(), stream;
		const int small = 100000;
		uint64_t value, x = 1;

		for (uint64_t at = 0x100000; at < 0x20000000; at += 1 << 20)
			assert_int_equal(
			    memory_read(target->memory, gpa(at), buffer, 1 << 20, NULL), MEMORY_OK);
		stream = now_ms() - begin;
		begin = now_ms();
		for (int j = 0; j < small; j++) {
			x = x * 6364136223846793005 + 1442695040888963407;
			assert_int_equal(memory_read(target->memory,
						     gpa(0x100000 + (x >> 20) % 0x1f000000 / 8 * 8),
						     &value, 8, NULL),
					 MEMORY_OK);
		}
		print_message("%s: %.0f MB/s streaming, %.2f us a random 8-byte read\n",
			      ways[i].name, 511 * 1.048576 / stream * 1000,
			      (now_ms() - begin) * 1000 / small);
		target_close(target);
	}
	free(buffer);
	machine_stop(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shared_file_on_pc),
	    cmocka_unit_test(test_memfd_on_q35),
	    cmocka_unit_test(test_private_file_on_q35),
	    cmocka_unit_test(test_plain_memory_on_pc),
	    cmocka_unit_test(test_private_file_with_old_content),
	    cmocka_unit_test(test_monitor),
	    cmocka_unit_test(test_without_permission),
	    cmocka_unit_test(test_several_backends),
	    cmocka_unit_test(test_ended_guest_reads_as_gone),
	    cmocka_unit_test(test_throughput),
	};
	char runtime[] = "/tmp/nunchi-run-XXXXXX";
	int failed;

	if (!machine_available()) {
		fprintf(stderr, "qemu-system-x86_64 is not installed\n");
		return 77;
	}
	if (!mkdtemp(runtime) || setenv("XDG_RUNTIME_DIR", runtime, 1))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(runtime);
	return failed;
}
