/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints by QEMU's gdb stub, on real QEMU with a guest of four vCPUs that count. Whatever
 * happens to the one who watches, the guest runs on without breakpoints.
 */
#include "core/confine.h"
#include "journal/undo_log.h"
#include "qemu/machine.h"
#include "target/controller.h"
#include "target/qemu/internal.h"
#include "target/stops.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define VCPUS 4

static char runtime[] = "/tmp/nunchi-run-XXXXXX";
static char logs[] = "/tmp/nunchi-run-XXXXXX/nunchi";
/* In place of root's (src/journal/place.c). */
const char *const undo_log_root_directory = logs;

/* In a process that a test forks, a failure must not go on with the tests. */
static bool in_child;

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s (%s)\n", nunchi_error_message(err),
			    nunchi_error_hint(err) ? nunchi_error_hint(err) : "");
	if (err && in_child)
		_exit(3);
	assert_null(err);
}

static void fails(struct nunchi_error *err, enum nunchi_error_code code, const char *text)
{
	if (!error_is(err, code))
		print_error("%s\n", err ? nunchi_error_message(err) : "no error");
	assert_true(error_is(err, code));
	assert_non_null(strstr(nunchi_error_message(err), text));
	nunchi_error_destroy(err);
}

/* ---- The guest ------------------------------------------------------------------------------- */

#define BASE 0x100000

/*
 * Loaded by QEMU at 1 MiB as the header says. The first vCPU wakes the others, which begin in real
 * mode at 0x8000. Each has its number in ebx, counts in eax, calls "work" for each count, and
 * counts the calls in memory at 0x101000 + 4 * its number.
 */
__asm__(".pushsection .rodata\n"
	"guest_begin:\n"
	".code32\n"
	".long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)\n"
	".long 0x100000, 0x100000, 0, 0, 0x100020\n"
	/* Offset 0x20: the number of the next vCPU is at 0x101010. */
	"	cli\n"
	"	movl $0, 0x101010\n"
	"	mov $0x100000 + (trampoline - guest_begin), %esi\n"
	"	mov $0x8000, %edi\n"
	"	mov $(trampoline_end - trampoline), %ecx\n"
	"	rep movsb\n"
	"	movl $0x1ff, 0xfee000f0\n"
	"	movl $0xc4500, 0xfee00300\n"
	"	mov $10000000, %ecx\n"
	"1:	dec %ecx\n"
	"	jnz 1b\n"
	"	movl $0xc4608, 0xfee00300\n"
	"	jmp count\n"
	/* The vCPUs that were woken come here, with the same segments. */
	"woken:\n"
	"count:\n"
	"	mov $1, %ebx\n"
	"	lock xadd %ebx, 0x101010\n"
	"	mov $0x102000, %esp\n"
	"	mov %ebx, %eax\n"
	"	shl $8, %eax\n"
	"	add %eax, %esp\n"
	"	xor %eax, %eax\n"
	"2:	inc %eax\n"
	"	call work\n"
	"	mov $5, %ecx\n"
	"	mov %esp, %edi\n"
	"	sub $64, %edi\n"
	"	mov %eax, %edx\n"
	"	call repeat\n"
	"	mov %edx, %eax\n"
	"	jmp 2b\n"
	"work:\n"
	"	nop\n"
	"after:\n"
	"	incl 0x101000(,%ebx,4)\n"
	"	ret\n"
	"repeat:\n"
	"	rep stosb\n"
	"	ret\n"
	".code16\n"
	"trampoline:\n"
	"	cli\n"
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	lgdtl 0x8000 + (descriptor - trampoline)\n"
	"	mov %cr0, %eax\n"
	"	or $1, %al\n"
	"	mov %eax, %cr0\n"
	"	ljmpl $8, $0x8000 + (flat - trampoline)\n"
	".code32\n"
	"flat:	mov $16, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %es\n"
	"	mov %ax, %ss\n"
	"	mov $0x100000 + (woken - guest_begin), %eax\n"
	"	jmp *%eax\n"
	"table:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff\n"
	"descriptor:\n"
	"	.word 23\n"
	"	.long 0x8000 + (table - trampoline)\n"
	"trampoline_end:\n"
	"guest_end:\n"
	".code64\n"
	".popsection\n");
extern const char guest_begin[], guest_end[], work[], after[], repeat[];

static uint64_t address_of(const char *label)
{
	return BASE + (uint64_t)(label - guest_begin);
}

struct world {
	struct machine machine;
	struct observer observer;
	const volatile uint32_t *counts; /* in the guest's memory */
	void *memory;
	size_t size;
};

static bool advances(const struct world *world, unsigned vcpu, int ms)
{
	double deadline = now_ms() + ms;
	uint32_t before = world->counts[vcpu];

	while (world->counts[vcpu] == before && now_ms() < deadline)
		usleep(1000);
	return world->counts[vcpu] != before;
}

static bool all_advance(const struct world *world)
{
	bool all = true;

	for (unsigned i = 0; i < VCPUS; i++)
		all &= advances(world, i, 5000);
	return all;
}

/* gdb: where QEMU serves gdb from the start, or NULL. */
static void world_start(struct world *world, const char *gdb)
{
	char kernel[] = "/tmp/nunchi-guest-XXXXXX";
	const char *arguments[] = {
	    "-m",
	    "64",
	    "-smp",
	    "4",
	    "-kernel",
	    kernel,
	    "-object",
	    "memory-backend-file,id=mem,size=64M,mem-path=%d/memory,share=on",
	    "-machine",
	    "pc,memory-backend=mem",
	    "-chardev",
	    "socket,id=debugger,path=%d/gdb.sock,server=on,wait=off",
	    gdb ? "-gdb" : NULL,
	    gdb,
	    NULL};
	int fd = mkstemp(kernel);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, guest_begin, (size_t)(guest_end - guest_begin)),
			 guest_end - guest_begin);
	close(fd);
	machine_start(&world->machine, arguments);
	observer_open(&world->observer, world->machine.second);
	fd = open(world->machine.memory, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	world->size = 64 << 20;
	world->memory = mmap(NULL, world->size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(world->memory, MAP_FAILED);
	close(fd);
	world->counts = (const volatile uint32_t *)((char *)world->memory + 0x101000);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_true(advances(world, i, 20000));
	unlink(kernel);
}

static void world_stop(struct world *world)
{
	observer_close(&world->observer);
	munmap(world->memory, world->size);
	machine_stop(&world->machine);
}

static struct target *open_with(const struct world *world, const struct target_options *options)
{
	struct target *target = NULL;
	char word[32];

	snprintf(word, sizeof(word), "qemu:%d", world->machine.pid);
	ok(target_open(word, options, &target));
	return target;
}

static struct target *open_target(const struct world *world)
{
	const struct target_options options = {.sigbus_guard = true};

	return open_with(world, &options);
}

/* Whether QEMU is of those that tell no stop after somebody else has resumed the guest. */
static bool is_mute(const struct world *world)
{
	struct target *target = open_target(world);
	const unsigned major = qmp_client_major(qemu_of(target)->qmp);
	const bool mute = major > 8 || (major == 8 && qmp_client_minor(qemu_of(target)->qmp) > 0);

	target_close(target);
	return mute;
}

/* How many logs there are. */
static unsigned records(void)
{
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir = opendir(logs);

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

/* The guest runs, has no breakpoint, and QEMU has no stub of ours. */
static void assert_free(struct world *world)
{
	unsigned stops;

	assert_true(observer_is_running(&world->observer));
	stops = world->observer.stops;
	assert_true(all_advance(world));
	assert_true(observer_is_running(&world->observer));
	assert_int_equal(world->observer.stops, stops);
}

static bool has_device(struct world *world)
{
	return strstr(observer_ask(&world->observer, "\"query-chardev\""), "nunchi-gdb");
}

/* ---- Watching -------------------------------------------------------------------------------- */

static struct target_stop await(struct target *target, int ms)
{
	const struct target_stops_ops *stops = target_stops(target);
	double deadline = now_ms() + ms;
	struct target_stop stop = {.kind = TARGET_STOP_NONE};

	while (stop.kind == TARGET_STOP_NONE && now_ms() < deadline) {
		struct pollfd pfd = {.fd = stops->fd(target), .events = POLLIN};

		if (poll(&pfd, 1, 100) == 1)
			ok(stops->next(target, &stop));
	}
	return stop;
}

static void insert(struct target *target, const char *label)
{
	ok(target_stops(target)->hold(target));
	ok(target_stops(target)->insert(target, address_of(label)));
	ok(target_stops(target)->release(target));
}

static void take_away(struct target *target, const char *label)
{
	ok(target_stops(target)->hold(target));
	ok(target_stops(target)->remove(target, address_of(label)));
	ok(target_stops(target)->release(target));
}

/* Takes so many stops at a label, of which none may be missed or come twice. */
static void take_stops(struct target *target, const char *label, unsigned count)
{
	uint64_t last[VCPUS] = {0};
	unsigned seen[VCPUS] = {0};

	for (unsigned i = 0; i < count; i++) {
		struct target_stop stop = await(target, 10000);
		uint64_t number;

		assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
		assert_true(stop.vcpu < VCPUS);
		assert_int_equal(stop.registers.rip, address_of(label));
		assert_true(stop.registers.has_general);
		assert_int_equal(stop.registers.cr0 & 1, 1);
		number = label == repeat ? stop.registers.rdx : stop.registers.rax;
		/* A vCPU may have been within the instruction when the breakpoint was set. */
		if (label == repeat && last[stop.vcpu])
			assert_int_equal(stop.registers.rcx, 5);
		if (last[stop.vcpu])
			assert_int_equal(number, last[stop.vcpu] + 1);
		last[stop.vcpu] = number;
		seen[stop.vcpu]++;
		ok(target_stops(target)->go(target, &stop, stop.registers.rip));
	}
	print_message("%u stops by vCPU: %u %u %u %u\n", count, seen[0], seen[1], seen[2], seen[3]);
}

static void test_each_stop_is_told_once(void **state)
{
	struct target *target;
	struct world world;
	uint64_t stopped;
	double begin;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	assert_true(target->support[TARGET_EVENTS].available);
	assert_string_equal(target->support[TARGET_EVENTS].reason, "gdb stub, opened through QMP");
	begin = now_ms();
	ok(target_stops(target)->open(target));
	begin = now_ms() - begin;
	stopped = observer_event(&world.observer, "STOP");
	print_message("opened in %.1f ms, of which the guest stood still for %.1f ms\n", begin,
		      (double)(observer_event(&world.observer, "RESUME") - stopped) / 1000);
	assert_true(observer_is_running(&world.observer));
	assert_true(all_advance(&world));
	insert(target, work);
	begin = now_ms();
	take_stops(target, work, 1000);
	print_message("%.0f stops a second\n", 1e6 / (now_ms() - begin));
	take_away(target, work);
	assert_true(all_advance(&world));
	insert(target, repeat);
	take_stops(target, repeat, 200);
	take_away(target, repeat);
	begin = now_ms();
	target_stops(target)->close(target);
	print_message("closed in %.1f ms\n", now_ms() - begin);
	target_stops(target)->close(target);
	assert_free(&world);
	assert_false(has_device(&world));
	assert_int_equal(records(), 0);
	/* Once more, and this time all is left to the end of the target. */
	ok(target_stops(target)->open(target));
	insert(target, work);
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_BREAKPOINT);
	target_close(target);
	assert_free(&world);
	assert_false(has_device(&world));
	assert_int_equal(records(), 0);
	world_stop(&world);
}

/* A stop may go on elsewhere, and breakpoints may be changed while the guest stands at one. */
static void test_stops_go_on_elsewhere(void **state)
{
	const struct target_stops_ops *stops;
	struct target *target;
	struct target_stop stop;
	struct world world;
	uint32_t before;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	stops = target_stops(target);
	ok(stops->open(target));
	insert(target, work);
	stop = await(target, 5000);
	assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
	fails(stops->hold(target), NUNCHI_ERROR_ARGUMENT, "stands still already");
	fails(stops->insert(target, address_of(work)), NUNCHI_ERROR_ARGUMENT, "already");
	ok(stops->insert(target, address_of(after)));
	ok(stops->remove(target, address_of(work)));
	fails(stops->remove(target, address_of(work)), NUNCHI_ERROR_ARGUMENT, "no breakpoint");
	ok(stops->go(target, &stop, stop.registers.rip));
	/* It jumps over the instruction that counts, of 7 bytes. */
	do {
		stop = await(target, 5000);
		assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
		assert_int_equal(stop.registers.rip, address_of(after));
		before = world.counts[stop.registers.rbx];
		ok(stops->go(target, &stop, stop.registers.rip + 7));
		ok(stops->hold(target));
		assert_int_equal(world.counts[stop.registers.rbx], before);
		ok(stops->release(target));
	} while (stop.vcpu);
	fails(stops->release(target), NUNCHI_ERROR_ARGUMENT, "does not stand still");
	stops->close(target);
	fails(stops->hold(target), NUNCHI_ERROR_GONE, "not watched");
	assert_free(&world);
	target_close(target);
	world_stop(&world);
}

static void test_who_else_uses_the_guest(void **state)
{
	struct target *target, *other;
	struct world world;

	(void)state;
	world_start(&world, "chardev:debugger");
	target = open_target(&world);
	fails(target_stops(target)->open(target), NUNCHI_ERROR_BUSY, "gdb.sock");
	target_close(target);
	world_stop(&world);
	world_start(&world, "tcp::0");
	target = open_target(&world);
	fails(target_stops(target)->open(target), NUNCHI_ERROR_BUSY, "tcp:");
	observer_ask(&world.observer, "\"human-monitor-command\",\"arguments\":"
				      "{\"command-line\":\"gdbserver none\"}");
	observer_ask(&world.observer, "\"stop\"");
	fails(target_stops(target)->open(target), NUNCHI_ERROR_BUSY, "paused");
	assert_false(observer_is_running(&world.observer));
	assert_int_equal(records(), 0);
	observer_ask(&world.observer, "\"cont\"");
	ok(target_stops(target)->open(target));
	fails(target_stops(target)->open(target), NUNCHI_ERROR_ARGUMENT, "already");
	observer_close(&world.observer);
	other = open_target(&world);
	fails(target_stops(other)->open(other), NUNCHI_ERROR_BUSY, "another nunchi");
	target_close(other);
	target_close(target);
	observer_open(&world.observer, world.machine.second);
	assert_free(&world);
	world_stop(&world);
}

/* Somebody else stops the guest and resumes it while it is watched. */
static void test_pauses_of_others(void **state)
{
	const struct target_stops_ops *stops;
	struct target *target;
	struct target_stop stop;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	stops = target_stops(target);
	ok(stops->open(target));
	observer_ask(&world.observer, "\"stop\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
	/* Breakpoints can be set meanwhile; the guest stays paused. */
	insert(target, work);
	assert_false(observer_is_running(&world.observer));
	observer_ask(&world.observer, "\"cont\"");
	stop = await(target, 5000);
	assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
	ok(stops->go(target, &stop, stop.registers.rip));
	take_stops(target, work, 20);
	/* Paused at a moment when it runs; then closing leaves it paused, without breakpoints. */
	take_away(target, work);
	observer_ask(&world.observer, "\"stop\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
	insert(target, after);
	stops->close(target);
	assert_false(observer_is_running(&world.observer));
	assert_int_equal(records(), 0);
	observer_ask(&world.observer, "\"cont\"");
	assert_free(&world);
	/* Resumed meanwhile, it is not left paused. */
	ok(stops->open(target));
	observer_ask(&world.observer, "\"stop\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
	observer_ask(&world.observer, "\"cont\"");
	insert(target, work);
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_BREAKPOINT);
	stops->close(target);
	assert_free(&world);
	/* Nor if it met a breakpoint since, which next() has not told yet. */
	ok(stops->open(target));
	observer_ask(&world.observer, "\"stop\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
	insert(target, work);
	observer_ask(&world.observer, "\"cont\"");
	/* QEMU since 8.1 has the breakpoint when next() has seen that the guest runs. */
	if (!qemu_of(target)->stub.mute)
		assert_true(observer_wait_running(&world.observer, false, 5000));
	target_close(target);
	assert_free(&world);
	world_stop(&world);
}

/* The same before next() has read that the guest was stopped. */
static void test_unread_pauses_of_others(void **state)
{
	const struct target_stops_ops *stops;
	struct target *target;
	struct target_stop stop;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	stops = target_stops(target);
	ok(stops->open(target));
	observer_ask(&world.observer, "\"stop\"");
	insert(target, work);
	assert_false(observer_is_running(&world.observer));
	ok(stops->next(target, &stop));
	assert_int_equal(stop.kind, TARGET_STOP_PAUSED);
	observer_ask(&world.observer, "\"cont\"");
	take_stops(target, work, 20);
	/* A breakpoint that was not read is told after the guest was held. */
	assert_true(observer_wait_running(&world.observer, false, 5000));
	insert(target, after);
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_BREAKPOINT);
	stops->close(target);
	assert_free(&world);
	ok(stops->open(target));
	observer_ask(&world.observer, "\"stop\"");
	stops->close(target);
	assert_false(observer_is_running(&world.observer));
	assert_int_equal(records(), 0);
	observer_ask(&world.observer, "\"cont\"");
	target_close(target);
	assert_free(&world);
	world_stop(&world);
}

/* Cancelled after somebody had paused and resumed the guest: it runs on, wherever it was then. */
static void test_cancelled_leaves_the_guest_running(void **state)
{
	struct cancel cancel = {.requested = false};
	const struct target_options options = {.sigbus_guard = true, .cancel = &cancel};
	const struct target_stops_ops *stops;
	struct target_stop stop;
	struct target *target;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	for (int i = 0; i < 4; i++) {
		target = open_with(&world, &options);
		stops = target_stops(target);
		ok(stops->open(target));
		insert(target, i % 2 ? work : guest_begin + 0x20);
		if (i % 2) {
			stop = await(target, 5000);
			assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
			cancel_request(&cancel);
			fails(stops->go(target, &stop, stop.registers.rip), NUNCHI_ERROR_CANCELLED,
			      "cancelled");
		} else {
			observer_ask(&world.observer, "\"stop\"");
			assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
			observer_ask(&world.observer, "\"cont\"");
			cancel_request(&cancel);
			if (i == 2)
				fails(stops->hold(target), NUNCHI_ERROR_CANCELLED, "cancelled");
		}
		target_close(target);
		assert_free(&world);
		assert_int_equal(records(), 0);
		cancel_clear(&cancel);
	}
	world_stop(&world);
}

/*
 * As QEMU since 8.1, which does not tell a breakpoint that the guest meets after somebody else has
 * paused and resumed it: it has none then, until nunchi has seen that it runs.
 */
static void test_pauses_of_others_without_telling(void **state)
{
	const struct target_stops_ops *stops;
	struct target *target;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	qemu_of(target)->stub.mute = true;
	stops = target_stops(target);
	ok(stops->open(target));
	/* One that is never met, so that the guest is not stopped when somebody pauses it. */
	insert(target, guest_begin + 0x20);
	for (int i = 0; i < 5; i++) {
		observer_ask(&world.observer, "\"stop\"");
		assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
		insert(target, work);
		assert_false(observer_is_running(&world.observer));
		observer_ask(&world.observer, "\"cont\"");
		/* It is not met before next() has seen that the guest runs. */
		assert_true(all_advance(&world));
		assert_true(observer_is_running(&world.observer));
		take_stops(target, work, 20);
		take_away(target, work);
	}
	observer_ask(&world.observer, "\"stop\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
	stops->close(target);
	assert_false(observer_is_running(&world.observer));
	observer_ask(&world.observer, "\"cont\"");
	assert_free(&world);
	target_close(target);
	assert_free(&world);
	world_stop(&world);
}

/*
 * As on KVM, whose four breakpoints somebody else may have taken: nunchi cannot put its own in
 * again. This machine may have no KVM, so the stub's answers are written here, as nunchi reads
 * them: those to 0x03 and Z1, and after that the one that tells that it has detached.
 */
static void test_refused_breakpoint_ends_watching(void **state)
{
	const struct target_stops_ops *stops;
	struct target *target;
	struct world world;
	char answers[4096];
	int sockets[2];

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	qemu_of(target)->stub.mute = true;
	stops = target_stops(target);
	ok(stops->open(target));
	insert(target, guest_begin + 0x20);
	observer_ask(&world.observer, "\"stop\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_PAUSED);
	observer_ask(&world.observer, "\"cont\"");
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), 0);
	memset(answers, '+', sizeof(answers));
	memcpy(answers, "$T02thread:01;#04$T02thread:01;#04+$E22#a9", 42);
	assert_int_equal(write(sockets[1], answers, sizeof(answers)), sizeof(answers));
	assert_int_equal(write(sockets[1], GDB_DETACHED, sizeof(GDB_DETACHED) - 1),
			 sizeof(GDB_DETACHED) - 1);
	assert_true(dup2(sockets[0], qemu_of(target)->stub.fd) >= 0);
	fails(stops->hold(target), NUNCHI_ERROR_BUSY, "refuses a breakpoint");
	fails(stops->hold(target), NUNCHI_ERROR_GONE, "not watched any more");
	close(sockets[0]);
	close(sockets[1]);
	target_close(target);
	assert_free(&world);
	world_stop(&world);
}

/* Somebody resumes the guest while it is held, or while it stands at a breakpoint. */
static void test_resumed_by_others(void **state)
{
	const struct target_stops_ops *stops;
	struct target *target;
	struct target_stop stop;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	stops = target_stops(target);
	ok(stops->open(target));
	ok(stops->hold(target));
	observer_ask(&world.observer, "\"cont\"");
	ok(stops->insert(target, address_of(work)));
	ok(stops->release(target));
	stop = await(target, 5000);
	assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
	observer_ask(&world.observer, "\"cont\"");
	usleep(100000);
	ok(stops->go(target, &stop, stop.registers.rip));
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_BREAKPOINT);
	target_close(target);
	assert_free(&world);
	world_stop(&world);
}

static void test_reset_and_end(void **state)
{
	struct target_stop stop;
	struct target *target;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	ok(target_stops(target)->open(target));
	observer_ask(&world.observer, "\"system_reset\"");
	insert(target, work);
	stop = await(target, 20000);
	assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
	observer_ask(&world.observer, "\"system_reset\"");
	ok(target_stops(target)->go(target, &stop, stop.registers.rip));
	assert_int_equal(await(target, 20000).kind, TARGET_STOP_BREAKPOINT);
	target_stops(target)->close(target);
	assert_free(&world);
	ok(target_stops(target)->open(target));
	observer_ask(&world.observer, "\"quit\"");
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_GONE);
	target_close(target);
	assert_int_equal(records(), 0);
	world_stop(&world);
}

/* QEMU does not run for longer than nunchi waits when it takes leave of a guest at a breakpoint. */
static void test_closed_while_qemu_hangs(void **state)
{
	struct target *target;
	struct world world;
	double begin;
	pid_t pid;

	(void)state;
	world_start(&world, NULL);
	target = open_target(&world);
	ok(target_stops(target)->open(target));
	insert(target, work);
	assert_int_equal(await(target, 5000).kind, TARGET_STOP_BREAKPOINT);
	kill(world.machine.pid, SIGSTOP);
	pid = fork();
	if (pid == 0) {
		sleep(12);
		kill(world.machine.pid, SIGCONT);
		_exit(0);
	}
	begin = now_ms();
	target_stops(target)->close(target);
	assert_true(now_ms() - begin > 9000);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(observer_wait_running(&world.observer, true, 5000));
	assert_free(&world);
	/* By its guard. */
	for (begin = now_ms(); records() && now_ms() < begin + 5000;)
		usleep(10000);
	assert_int_equal(records(), 0);
	target_close(target);
	world_stop(&world);
}

/* ---- Killed ---------------------------------------------------------------------------------- */

/* Watches until it is killed: all that can be interrupted is done again and again. */
static void watch_for_ever(const struct world *world)
{
	struct target *target = open_target(world);
	const struct target_stops_ops *stops = target_stops(target);

	for (;;) {
		ok(stops->open(target));
		insert(target, work);
		for (unsigned i = 0; i < 20; i++) {
			struct target_stop stop = await(target, 5000);

			if (stop.kind == TARGET_STOP_BREAKPOINT)
				ok(stops->go(target, &stop, stop.registers.rip));
		}
		take_away(target, work);
		stops->close(target);
	}
}

/* Readable when the child and all it has forked have ended; guards do not count. */
static int ended_fd = -1;

static pid_t start_child(const struct world *world, void (*run)(const struct world *world))
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if (ended_fd >= 0)
		close(ended_fd);
	ended_fd = fds[0];
	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		close(fds[1]);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		in_child = true;
		run(world);
		_exit(0);
	}
	return pid;
}

static void kill_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static bool runs(struct world *world)
{
	return observer_is_running(&world->observer) && advances(world, 0, 20);
}

/*
 * The guest runs on without the next nunchi. A log may be left where it was not begun to watch the
 * guest: the guard was not told yet, or QEMU dropped the request. The next nunchi removes it.
 * Returns how long it took until the guest ran, in milliseconds.
 */
static double check_undone(struct world *world, unsigned *left)
{
	struct pollfd pfd = {.fd = ended_fd, .events = POLLIN};
	double begin = now_ms(), took;

	assert_int_equal(poll(&pfd, 1, 10000), 1);
	while (!runs(world) && now_ms() < begin + 5000)
		usleep(1000);
	took = now_ms() - begin;
	while (records() && now_ms() < begin + 100)
		usleep(1000);
	assert_free(world);
	/* A guard that was told has ended after 10 seconds. */
	*left += records();
	for (begin = now_ms(); records() && now_ms() < begin + 15000; usleep(50000))
		target_close(open_target(world));
	assert_int_equal(records(), 0);
	return took;
}

static void test_killed_at_any_moment_the_guest_runs_on(void **state)
{
	enum { KILLS = 100 };
	unsigned seed = (unsigned)getpid(), stopped = 0, left = 0;
	double longest = 0;
	struct world world;

	(void)state;
	print_message("seed %u\n", seed);
	world_start(&world, NULL);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = start_child(&world, watch_for_ever);
		double took;

		usleep((useconds_t)(10000 + rand_r(&seed) % 80000));
		kill_child(pid);
		stopped += !observer_is_running(&world.observer);
		took = check_undone(&world, &left);
		longest = took > longest ? took : longest;
	}
	print_message("killed %d times, %u times found stopped yet, runs again within %.0f ms, %u "
		      "logs left to the next nunchi\n",
		      KILLS, stopped, longest, left);
	assert_true(longest < 3000);
	world_stop(&world);
}

struct ready {
	pid_t guard;
};

static int ready_fds[2];

static void watch_and_wait(const struct world *world)
{
	struct target *target = open_target(world);
	struct ready ready;

	ok(target_stops(target)->open(target));
	insert(target, work);
	if (await(target, 5000).kind != TARGET_STOP_BREAKPOINT)
		_exit(4);
	ready.guard = guard_process(qemu_of(target)->stub.undo.guard);
	if (write(ready_fds[1], &ready, sizeof(ready)) == sizeof(ready))
		for (;;)
			pause();
}

static void test_both_killed_the_next_one_repairs(void **state)
{
	struct target *target;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	assert_int_equal(pipe(ready_fds), 0);
	for (int i = 0; i < 6; i++) {
		pid_t pid = start_child(&world, watch_and_wait);
		struct ready ready;

		assert_int_equal(read(ready_fds[0], &ready, sizeof(ready)), sizeof(ready));
		/* Stopped first, so that neither can act on the other's death. */
		kill(ready.guard, SIGSTOP);
		kill(i % 2 ? ready.guard : pid, SIGKILL);
		kill(i % 2 ? pid : ready.guard, SIGKILL);
		waitpid(pid, NULL, 0);
		usleep(20000);
		assert_false(observer_is_running(&world.observer));
		/* Somebody resumes it, and it meets the breakpoint again. */
		if (i == 4) {
			observer_ask(&world.observer, "\"cont\"");
			assert_true(observer_wait_running(&world.observer, false, 5000));
		}
		/* Somebody takes the stub away, and the guest stands still without one. */
		if (i == 5) {
			observer_ask(&world.observer, "\"human-monitor-command\",\"arguments\":"
						      "{\"command-line\":\"gdbserver none\"}");
			assert_false(has_device(&world));
			assert_false(observer_is_running(&world.observer));
		}
		target = open_target(&world);
		assert_int_equal(target->note_count, 1);
		assert_non_null(strstr(target->notes[0], "they were removed"));
		assert_int_equal(records(), 0);
		assert_free(&world);
		assert_false(has_device(&world));
		/* It can be watched again. */
		ok(target_stops(target)->open(target));
		target_close(target);
		assert_free(&world);
	}
	close(ready_fds[0]);
	close(ready_fds[1]);
	world_stop(&world);
}

/* Somebody has paused the guest, which has a breakpoint. */
static void wait_in_a_pause(const struct world *world)
{
	struct target *target = open_target(world);
	struct observer observer = world->observer;
	struct ready ready;

	ok(target_stops(target)->open(target));
	observer_ask(&observer, "\"stop\"");
	if (await(target, 5000).kind != TARGET_STOP_PAUSED)
		_exit(4);
	insert(target, work);
	ready.guard = guard_process(qemu_of(target)->stub.undo.guard);
	if (write(ready_fds[1], &ready, sizeof(ready)) == sizeof(ready))
		for (;;)
			pause();
}

static void test_the_next_one_leaves_pauses_of_others(void **state)
{
	struct target *target;
	struct world world;
	struct ready ready;
	pid_t pid;

	(void)state;
	world_start(&world, NULL);
	assert_int_equal(pipe(ready_fds), 0);
	pid = start_child(&world, wait_in_a_pause);
	assert_int_equal(read(ready_fds[0], &ready, sizeof(ready)), sizeof(ready));
	kill(ready.guard, SIGKILL);
	kill_child(pid);
	target = open_target(&world);
	assert_false(observer_is_running(&world.observer));
	assert_int_equal(target->note_count, 2);
	assert_non_null(strstr(target->notes[0], "this guest is paused"));
	assert_non_null(strstr(target->notes[1], "they were removed"));
	assert_int_equal(records(), 0);
	assert_false(has_device(&world));
	observer_ask(&world.observer, "\"cont\"");
	assert_free(&world);
	target_close(target);
	close(ready_fds[0]);
	close(ready_fds[1]);
	world_stop(&world);
}

/* ---- Confined -------------------------------------------------------------------------------- */

struct confining {
	bool watch;
	struct confine_result result;
};

static struct nunchi_error *confine(struct target *target, void *data)
{
	struct confining *confining = data;
	const struct controller_setup setup = {.target = target, .watch = confining->watch};
	const struct confine_options wanted = {.device = -1};
	struct nunchi_error *err = controller_start(&setup, &target->controller);

	if (!err)
		err = target->ops->confined(target);
	return err ? err : confine_process(&wanted, &confining->result);
}

static struct target *open_confined(const struct world *world, bool watch)
{
	struct confining confining = {.watch = watch};
	const struct target_options options = {
	    .sigbus_guard = true, .opened = confine, .data = &confining};
	struct target *target = open_with(world, &options);

	if (!confining.result.filter)
		print_message("this kernel has no seccomp filters\n");
	return target;
}

/* In a process that a test forks: the error is of this code. */
static void fails_in_child(struct nunchi_error *err, enum nunchi_error_code code)
{
	if (!error_is(err, code)) {
		print_error("%s\n", err ? nunchi_error_message(err) : "no error");
		_exit(7);
	}
	nunchi_error_destroy(err);
}

static void watch_confined(const struct world *world)
{
	struct target *target = open_confined(world, true);
	const struct target_stops_ops *stops = target_stops(target);

	for (int i = 0; i < 2; i++) {
		ok(stops->open(target));
		insert(target, work);
		take_stops(target, work, 200);
		take_away(target, work);
		stops->close(target);
	}
	target_close(target);
}

/* What a process may ask for that somebody has taken over. */
static void ask_for_more(const struct world *world)
{
	struct target *target = open_confined(world, true);
	const struct target_stops_ops *stops = target_stops(target);
	struct target_stop stop = {.kind = TARGET_STOP_BREAKPOINT};

	ok(stops->open(target));
	/* It has no connection to QEMU. */
	if (qemu_of(target)->stub.fd >= 0 || qemu_of(target)->qmp)
		_exit(8);
	/* The guest does not stand at a breakpoint. */
	fails_in_child(stops->go(target, &stop, address_of(work)), NUNCHI_ERROR_ARGUMENT);
	insert(target, work);
	stop = await(target, 5000);
	fails_in_child(stops->go(target, &stop, address_of(work) + 16), NUNCHI_ERROR_ARGUMENT);
	fails_in_child(stops->go(target, &stop, address_of(work) - 1), NUNCHI_ERROR_ARGUMENT);
	/* Of which vCPU, and from where, is not for it to say. */
	stop.vcpu = 99;
	stop.registers.rip = 0;
	ok(stops->go(target, &stop, address_of(work)));
	take_stops(target, work, 20);
	target_close(target);
}

static void ask_without_leave(const struct world *world)
{
	struct target *target = open_confined(world, false);

	fails_in_child(target_stops(target)->open(target), NUNCHI_ERROR_ARGUMENT);
	fails_in_child(target_stops(target)->hold(target), NUNCHI_ERROR_GONE);
	target_close(target);
}

static void watch_confined_for_ever(const struct world *world)
{
	struct target *target = open_confined(world, true);

	ok(target_stops(target)->open(target));
	insert(target, work);
	for (;;)
		take_stops(target, work, 20);
}

static int go_fds[2];

/* Tells the test to go on, and waits until that tells the same. */
static void take_turns(void)
{
	char turn;

	if (write(ready_fds[1], "", 1) != 1 || read(go_fds[0], &turn, 1) != 1)
		_exit(6);
}

/* Somebody resumes the guest that somebody had paused, and a request stops it. */
static void stop_by_request(const struct world *world)
{
	struct target *target = open_confined(world, true);
	const struct target_stops_ops *stops = target_stops(target);

	ok(stops->open(target));
	take_turns();
	if (await(target, 5000).kind != TARGET_STOP_PAUSED)
		_exit(4);
	ok(stops->hold(target));
	take_turns();
	ok(stops->insert(target, address_of(guest_begin + 0x20)));
	take_turns();
}

static void test_killed_after_a_request_stopped_it(void **state)
{
	struct world world;
	unsigned left = 0;
	char ready;
	pid_t pid;
	bool mute;

	(void)state;
	world_start(&world, NULL);
	mute = is_mute(&world);
	assert_int_equal(pipe(ready_fds), 0);
	assert_int_equal(pipe(go_fds), 0);
	pid = start_child(&world, stop_by_request);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read(ready_fds[0], &ready, 1), 1);
		if (i < 2) {
			observer_ask(&world.observer, i ? "\"cont\"" : "\"stop\"");
			assert_int_equal(write(go_fds[1], "", 1), 1);
		}
	}
	/* QEMU since 8.1 has no breakpoints while somebody has the guest paused, so no request. */
	assert_int_equal(observer_is_running(&world.observer), mute);
	kill_child(pid);
	check_undone(&world, &left);
	close(ready_fds[0]);
	close(ready_fds[1]);
	close(go_fds[0]);
	close(go_fds[1]);
	world_stop(&world);
}

static void open_twice(const struct world *world)
{
	struct target *target = open_confined(world, true);
	const struct target_stops_ops *stops = target_stops(target);

	take_turns();
	fails_in_child(stops->open(target), NUNCHI_ERROR_IO);
	take_turns();
	ok(stops->open(target));
	insert(target, work);
	take_stops(target, work, 20);
	target_close(target);
}

/* No undo log could be made, and then one could. */
static void test_confined_and_not_opened(void **state)
{
	struct world world;
	char ready;
	int status;
	pid_t pid;

	(void)state;
	world_start(&world, NULL);
	assert_int_equal(pipe(ready_fds), 0);
	assert_int_equal(pipe(go_fds), 0);
	pid = start_child(&world, open_twice);
	assert_int_equal(read(ready_fds[0], &ready, 1), 1);
	rmdir(logs);
	assert_int_equal(mknod(logs, S_IFREG, 0), 0);
	assert_int_equal(write(go_fds[1], "", 1), 1);
	assert_int_equal(read(ready_fds[0], &ready, 1), 1);
	assert_int_equal(unlink(logs), 0);
	assert_int_equal(write(go_fds[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_free(&world);
	close(ready_fds[0]);
	close(ready_fds[1]);
	close(go_fds[0]);
	close(go_fds[1]);
	world_stop(&world);
}

static pid_t controller;

/* The first child of this process. */
static void find_controller(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");

	if (!file || fscanf(file, "%d", &controller) != 1)
		_exit(5);
	fclose(file);
}

static struct nunchi_error *confine_and_find(struct target *target, void *data)
{
	const struct controller_setup setup = {.target = target, .watch = true};
	const struct confine_options wanted = {.device = -1};
	struct nunchi_error *err = controller_start(&setup, &target->controller);

	find_controller();
	if (!err)
		err = target->ops->confined(target);
	return err ? err : confine_process(&wanted, data);
}

/* Goes on when the process that controls the guest was killed, until an error tells that. */
static void watch_without_controller(const struct world *world)
{
	struct confine_result result = {0};
	const struct target_options options = {
	    .sigbus_guard = true, .opened = confine_and_find, .data = &result};
	struct target *target = open_with(world, &options);
	const struct target_stops_ops *stops = target_stops(target);
	struct nunchi_error *err = NULL;

	ok(stops->open(target));
	insert(target, work);
	if (write(ready_fds[1], &controller, sizeof(controller)) != sizeof(controller))
		_exit(6);
	while (!err) {
		struct pollfd pfd = {.fd = stops->fd(target), .events = POLLIN};
		struct target_stop stop = {.kind = TARGET_STOP_NONE};

		poll(&pfd, 1, 20);
		err = stops->next(target, &stop);
		if (!err && stop.kind == TARGET_STOP_BREAKPOINT)
			err = stops->go(target, &stop, stop.registers.rip);
	}
	if (!error_is(err, NUNCHI_ERROR_GONE))
		ok(err);
	nunchi_error_destroy(err);
	target_close(target);
}

static void test_controller_is_killed(void **state)
{
	struct world world;
	unsigned seed = 6, left = 0;

	(void)state;
	world_start(&world, NULL);
	assert_int_equal(pipe(ready_fds), 0);
	for (int i = 0; i < 6; i++) {
		pid_t pid = start_child(&world, watch_without_controller);
		int status;

		assert_int_equal(read(ready_fds[0], &controller, sizeof(controller)),
				 sizeof(controller));
		usleep((useconds_t)(rand_r(&seed) % 50000));
		kill(controller, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		check_undone(&world, &left);
	}
	close(ready_fds[0]);
	close(ready_fds[1]);
	world_stop(&world);
}

static void test_confined(void **state)
{
	static void (*const runs[])(const struct world *world) = {watch_confined, ask_for_more,
								  ask_without_leave};
	struct world world;
	unsigned seed = 5, left = 0;
	int status;
	pid_t pid;

	(void)state;
	world_start(&world, NULL);
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		pid = start_child(&world, runs[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(records(), 0);
		assert_free(&world);
		assert_false(has_device(&world));
	}
	for (int i = 0; i < 20; i++) {
		pid = start_child(&world, watch_confined_for_ever);
		usleep((useconds_t)(50000 + rand_r(&seed) % 100000));
		kill_child(pid);
		check_undone(&world, &left);
	}
	world_stop(&world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_stop_is_told_once),
	    cmocka_unit_test(test_stops_go_on_elsewhere),
	    cmocka_unit_test(test_who_else_uses_the_guest),
	    cmocka_unit_test(test_pauses_of_others),
	    cmocka_unit_test(test_unread_pauses_of_others),
	    cmocka_unit_test(test_cancelled_leaves_the_guest_running),
	    cmocka_unit_test(test_pauses_of_others_without_telling),
	    cmocka_unit_test(test_refused_breakpoint_ends_watching),
	    cmocka_unit_test(test_resumed_by_others),
	    cmocka_unit_test(test_reset_and_end),
	    cmocka_unit_test(test_closed_while_qemu_hangs),
	    cmocka_unit_test(test_both_killed_the_next_one_repairs),
	    cmocka_unit_test(test_the_next_one_leaves_pauses_of_others),
	    cmocka_unit_test(test_confined),
	    cmocka_unit_test(test_confined_and_not_opened),
	    cmocka_unit_test(test_killed_after_a_request_stopped_it),
	    cmocka_unit_test(test_controller_is_killed),
	    cmocka_unit_test(test_killed_at_any_moment_the_guest_runs_on),
	};
	int failed;

	if (!machine_available()) {
		fprintf(stderr, "qemu-system-x86_64 is not installed\n");
		return 77;
	}
	if (!mkdtemp(runtime) || setenv("XDG_RUNTIME_DIR", runtime, 1))
		return 1;
	snprintf(logs, sizeof(logs), "%s/nunchi", runtime);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(logs);
	rmdir(runtime);
	return failed;
}
