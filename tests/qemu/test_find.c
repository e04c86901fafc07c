/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding QEMU guests, and talking to their monitors, on real QEMU. */
#include "qemu/machine.h"
#include "target/qemu/internal.h"
#include "target/target.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const struct target_options options = {.sigbus_guard = true};

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s (%s)\n", nunchi_error_message(err),
			    nunchi_error_hint(err) ? nunchi_error_hint(err) : "");
	assert_null(err);
}

static struct target *open_ok(const char *word)
{
	struct target *target = NULL;

	ok(target_open(word, &options, &target));
	return target;
}

static struct nunchi_error *open_fails(const char *word)
{
	struct target *target = NULL;
	struct nunchi_error *err = target_open(word, &options, &target);

	assert_non_null(err);
	assert_null(target);
	return err;
}

struct seen {
	pid_t pid;
	unsigned count;
	char target[64], name[64], hypervisor[32], state[32], access[256];
	uint64_t memory;
	uint32_t vcpus;
};

static bool look(const struct nunchi_found *guest, void *data)
{
	struct seen *seen = data;

	if (guest->pid != seen->pid)
		return true;
	seen->count++;
	snprintf(seen->target, sizeof(seen->target), "%s", guest->target);
	snprintf(seen->name, sizeof(seen->name), "%s", guest->name);
	snprintf(seen->hypervisor, sizeof(seen->hypervisor), "%s", guest->hypervisor);
	snprintf(seen->state, sizeof(seen->state), "%s", guest->state);
	snprintf(seen->access, sizeof(seen->access), "%s", guest->access);
	seen->memory = guest->memory;
	seen->vcpus = guest->vcpus;
	return true;
}

static struct seen list(const struct machine *machine)
{
	struct seen seen = {.pid = machine->pid};

	ok(target_list(true, look, &seen));
	assert_int_equal(seen.count, 1);
	return seen;
}

static void test_list_says_what_runs(void **state)
{
	const char *arguments[] = {
	    "-machine", "pc", "-m",    "96",
	    "-smp",     "3",  "-name", "guest=nunchi-test-list,debug-threads=on",
	    NULL};
	struct observer first, second;
	struct machine machine;
	struct seen seen;
	double begin;

	(void)state;
	machine_start(&machine, arguments);
	seen = list(&machine);
	assert_string_equal(seen.target, "qemu:nunchi-test-list");
	assert_string_equal(seen.name, "nunchi-test-list");
	assert_string_equal(seen.hypervisor, "qemu (tcg)");
	assert_string_equal(seen.state, "running");
	assert_int_equal(seen.memory, 96 << 20);
	assert_int_equal(seen.vcpus, 3);
	if (geteuid() == 0)
		assert_string_equal(seen.access, "process memory, QMP");
	/* With both sockets in use it is listed all the same, without its state and soon. */
	observer_open(&first, machine.first);
	observer_open(&second, machine.second);
	observer_ask(&first, "\"stop\"");
	begin = now_ms();
	seen = list(&machine);
	assert_true(now_ms() - begin < 2000);
	assert_string_equal(seen.state, "unknown");
	assert_non_null(strstr(seen.access, "in use"));
	observer_close(&first);
	usleep(50000);
	seen = list(&machine);
	assert_string_equal(seen.state, "paused");
	observer_close(&second);
	machine_stop(&machine);
}

/* With DIMMs of the command line, and one that was plugged in, which only the monitor tells. */
static void test_list_counts_dimms(void **state)
{
	const char *arguments[] = {"-machine", "pc",
				   "-m",       "96,slots=2,maxmem=1G",
				   "-object",  "memory-backend-ram,id=d0,size=128M",
				   "-device",  "pc-dimm,memdev=d0",
				   NULL};
	struct observer first, second;
	struct machine machine;

	(void)state;
	machine_start(&machine, arguments);
	assert_int_equal(list(&machine).memory >> 20, 224);
	observer_open(&first, machine.first);
	observer_open(&second, machine.second);
	assert_int_equal(list(&machine).memory >> 20, 224);
	observer_ask(&first, "\"object-add\",\"arguments\":{\"qom-type\":\"memory-backend-ram\","
			     "\"id\":\"d1\",\"size\":268435456}");
	observer_ask(&first, "\"device_add\",\"arguments\":{\"driver\":\"pc-dimm\",\"id\":"
			     "\"plugged\",\"memdev\":\"d1\"}");
	observer_close(&second);
	observer_close(&first);
	usleep(50000);
	assert_int_equal(list(&machine).memory >> 20, 480);
	machine_stop(&machine);
}

static void test_guests_are_opened_by_name_process_and_socket(void **state)
{
	const char *arguments[] = {"-machine",      "pc", "-m", "64", "-S", "-name",
				   "nunchi-test-a", NULL};
	struct machine machine;
	struct target *target;
	char word[128];

	(void)state;
	machine_start(&machine, arguments);
	target = open_ok("qemu:nunchi-test-a");
	assert_string_equal(target->name, "qemu:nunchi-test-a");
	assert_true(target->live);
	assert_int_equal(memory_total(target->memory) >> 20, 63);
	target_close(target);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	target_close(open_ok(word));
	snprintf(word, sizeof(word), "qemu:%s", machine.second);
	target_close(open_ok(word));
	/* The name without its prefix is taken for a file, with a hint. */
	_cleanup_error_ struct nunchi_error *bare = open_fails("nunchi-test-a");
	assert_true(error_is(bare, NUNCHI_ERROR_NOT_FOUND));
	assert_string_equal(nunchi_error_hint(bare), "did you mean qemu:nunchi-test-a?");
	_cleanup_error_ struct nunchi_error *unknown = open_fails("qemu:nunchi-test-b");
	assert_true(error_is(unknown, NUNCHI_ERROR_NOT_FOUND));
	assert_non_null(strstr(nunchi_error_hint(unknown), "qemu:nunchi-test-a"));
	_cleanup_error_ struct nunchi_error *socket = open_fails(machine.first);
	assert_non_null(strstr(nunchi_error_hint(socket), "use qemu:"));
	machine_stop(&machine);
	_cleanup_error_ struct nunchi_error *gone = open_fails(word);
	assert_non_null(gone);
}

static void test_two_of_one_name_are_told_by_process(void **state)
{
	const char *arguments[] = {"-machine", "pc",    "-m",          "64",
				   "-S",       "-name", "nunchi-twin", NULL};
	struct machine a, b;
	char word[32];

	(void)state;
	machine_start(&a, arguments);
	machine_start(&b, arguments);
	_cleanup_error_ struct nunchi_error *err = open_fails("qemu:nunchi-twin");
	assert_true(error_is(err, NUNCHI_ERROR_AMBIGUOUS));
	snprintf(word, sizeof(word), "%d", a.pid);
	assert_non_null(strstr(nunchi_error_message(err), word));
	snprintf(word, sizeof(word), "%d", b.pid);
	assert_non_null(strstr(nunchi_error_message(err), word));
	snprintf(word, sizeof(word), "qemu:%d", b.pid);
	struct seen seen = list(&b);
	assert_string_equal(seen.target, word);
	target_close(open_ok(word));
	machine_stop(&a);
	machine_stop(&b);
}

/* Somebody has the sockets: memory by rule, and the rest refused with the holder's name. */
static void test_busy_socket(void **state)
{
	const char *arguments[] = {"-machine",
				   "q35",
				   "-m",
				   "3072",
				   "-S",
				   "-device",
				   "loader,addr=0x100000008,data=0x77,data-len=8",
				   NULL};
	struct observer first, second;
	struct machine machine;
	struct target *target;
	char word[32], holder[64];
	enum target_state now;
	uint64_t value;
	double begin;

	(void)state;
	machine_start(&machine, arguments);
	observer_open(&first, machine.first);
	observer_open(&second, machine.second);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	snprintf(holder, sizeof(holder), "(pid %d)", getpid());
	begin = now_ms();
	target = open_ok(word);
	assert_in_range((unsigned)(now_ms() - begin), 900, 5000);
	assert_true(target->support[TARGET_READ].available);
	assert_false(target->support[TARGET_PAUSE].available);
	assert_false(target->support[TARGET_REGISTERS].available);
	assert_non_null(strstr(target->support[TARGET_PAUSE].reason, "in use by"));
	assert_non_null(strstr(target->support[TARGET_PAUSE].reason, holder));
	assert_int_equal(target->note_count, 1);
	assert_non_null(strstr(target->notes[0], "uncertain"));
	assert_int_equal(memory_read(target->memory, gpa(0x100000008), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(value, 0x77);
	ok(target_get_state(target, &now));
	assert_int_equal(now, TARGET_UNKNOWN);
	_cleanup_error_ struct nunchi_error *err = target_pause(target);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	target_close(target);
	observer_close(&first);
	observer_close(&second);
	machine_stop(&machine);
}

/* Another nunchi that is done soon is waited for. */
static void test_socket_that_becomes_free_is_used(void **state)
{
	const char *arguments[] = {"-machine", "pc", "-m", "64", "-S", NULL};
	struct observer first, second;
	struct machine machine;
	struct target *target;
	char word[32];
	pid_t pid;

	(void)state;
	machine_start(&machine, arguments);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		observer_open(&first, machine.first);
		observer_open(&second, machine.second);
		usleep(400000);
		_exit(0);
	}
	usleep(150000);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	target = open_ok(word);
	assert_true(target->support[TARGET_PAUSE].available);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	machine_stop(&machine);
}

/* libvirt makes the socket itself, and gives QEMU its descriptor. */
static void test_socket_passed_by_descriptor(void **state)
{
	char path[] = "/tmp/nunchi-passed-XXXXXX", chardev[128], word[128];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct machine machine;
	struct target *target;
	struct seen seen;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/monitor.sock", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	snprintf(chardev, sizeof(chardev), "socket,id=charmonitor,fd=%d,server=on,wait=off", fd);
	const char *arguments[] = {"-name",
				   "guest=nunchi-passed,debug-threads=on",
				   "-machine",
				   "pc",
				   "-m",
				   "size=65536k",
				   "-S",
				   "-mon",
				   "chardev=charmonitor,id=monitor,mode=control",
				   "-chardev",
				   chardev,
				   NULL};
	machine_start(&machine, arguments);
	close(fd);
	struct observer first, second;
	observer_open(&first, machine.first);
	observer_open(&second, machine.second);
	/* Only the passed one is left: it is found through /proc. */
	seen = list(&machine);
	assert_string_equal(seen.state, "prelaunch");
	target = open_ok("qemu:nunchi-passed");
	assert_true(target->support[TARGET_PAUSE].available);
	target_close(target);
	snprintf(word, sizeof(word), "qemu:%s", address.sun_path);
	target = open_ok(word);
	assert_true(target->support[TARGET_PAUSE].available);
	target_close(target);
	observer_close(&first);
	observer_close(&second);
	machine_stop(&machine);
	unlink(address.sun_path);
	rmdir(path);
}

static void test_registers_and_resets(void **state)
{
	const char *arguments[] = {"-machine", "pc", "-m", "64", "-smp", "2", "-S", NULL};
	struct x86_registers registers;
	struct observer observer;
	struct machine machine;
	enum target_state now;
	struct target *target;
	char word[32];

	(void)state;
	machine_start(&machine, arguments);
	observer_open(&observer, machine.second);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	target = open_ok(word);
	assert_int_equal(target->vcpu_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		ok(target_get_registers(target, i, &registers));
		/* As after a reset: SDM volume 3, table 10-1. */
		assert_int_equal(registers.cr0, 0x60000010);
		assert_int_equal(registers.cr3, 0);
		assert_int_equal(registers.cr4, 0);
		assert_true(registers.has_efer && registers.has_idt && registers.has_rip);
		assert_true(registers.has_general && registers.has_selectors &&
			    registers.has_debug);
		assert_int_equal(registers.cs, 0xf000);
		assert_int_equal(registers.efer, 0);
		assert_int_equal(registers.rip, 0xfff0);
	}
	_cleanup_error_ struct nunchi_error *err = target_get_registers(target, 2, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	ok(target_get_state(target, &now));
	assert_int_equal(target->reset_count, 0);
	observer_ask(&observer, "\"system_reset\"");
	usleep(100000);
	ok(target_get_state(target, &now));
	assert_int_equal(target->reset_count, 1);
	target_close(target);
	observer_close(&observer);
	machine_stop(&machine);
}

/* Where the host has KVM. */
static void test_kvm(void **state)
{
	const char *arguments[] = {
	    "-accel", "kvm",  "-machine", "q35",
	    "-m",     "3072", "-device",  "loader,addr=0x100000008,data=0x77,data-len=8",
	    NULL};
	struct x86_registers registers;
	struct observer observer;
	struct machine machine;
	struct target *target;
	uint64_t value;
	char word[32];
	bool kvm;

	(void)state;
	machine_start(&machine, arguments);
	observer_open(&observer, machine.second);
	kvm = strstr(observer_ask(&observer, "\"query-kvm\""), "\"enabled\": true");
	if (kvm) {
		struct seen seen = list(&machine);

		assert_string_equal(seen.hypervisor, "qemu (kvm)");
		snprintf(word, sizeof(word), "qemu:%d", machine.pid);
		target = open_ok(word);
		assert_int_equal(memory_read(target->memory, gpa(0x100000008), &value, 8, NULL),
				 MEMORY_OK);
		assert_int_equal(value, 0x77);
		ok(target_pause(target));
		assert_false(observer_is_running(&observer));
		ok(target_get_registers(target, 0, &registers));
		assert_true(registers.cr0 & 0x10);
		ok(target_resume(target));
		assert_true(observer_is_running(&observer));
		target_close(target);
	}
	observer_close(&observer);
	machine_stop(&machine);
	if (!kvm)
		skip();
}

/* A monitor that prints its answers over several lines. */
static void test_pretty_monitor(void **state)
{
	struct machine machine;
	struct observer first, second;
	struct target *target;
	char word[64];

	(void)state;
	const char *arguments[] = {"-machine",
				   "pc",
				   "-m",
				   "64",
				   "-S",
				   "-qmp-pretty",
				   "unix:%d/pretty.sock,server=on,wait=off",
				   NULL};
	machine_start(&machine, arguments);
	observer_open(&first, machine.first);
	observer_open(&second, machine.second);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	target = open_ok(word);
	assert_true(target->support[TARGET_PAUSE].available);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	observer_close(&first);
	observer_close(&second);
	machine_stop(&machine);
}

static void test_attach_time(void **state)
{
	const char *arguments[] = {"-machine", "pc", "-m", "512", "-name", "nunchi-timed", NULL};
	struct machine machine;
	char words[3][128];

	(void)state;
	machine_start(&machine, arguments);
	snprintf(words[0], sizeof(words[0]), "qemu:nunchi-timed");
	snprintf(words[1], sizeof(words[1]), "qemu:%d", machine.pid);
	snprintf(words[2], sizeof(words[2]), "qemu:%s", machine.first);
	for (int i = 0; i < 3; i++) {
		double best = 1e9;

		for (int j = 0; j < 20; j++) {
			double begin = now_ms();
			struct target *target = open_ok(words[i]);
			double took = now_ms() - begin;

			best = took < best ? took : best;
			target_close(target);
		}
		print_message("attach by %s: %.2f ms at best\n", i == 0 ? "name" : words[i], best);
	}
	machine_stop(&machine);
}

static void test_other_words(void **state)
{
	(void)state;
	_cleanup_error_ struct nunchi_error *xen = open_fails("xen:guest");
	assert_true(error_is(xen, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(nunchi_error_hint(xen));
	_cleanup_error_ struct nunchi_error *scheme = open_fails("vmware:guest");
	assert_true(error_is(scheme, NUNCHI_ERROR_NOT_FOUND));
	assert_non_null(strstr(nunchi_error_hint(scheme), "qemu:NAME"));
	_cleanup_error_ struct nunchi_error *file = open_fails("/nonexistent/file");
	assert_true(error_is(file, NUNCHI_ERROR_NOT_FOUND));
	_cleanup_error_ struct nunchi_error *empty = open_fails("qemu:");
	assert_true(error_is(empty, NUNCHI_ERROR_ARGUMENT));
	_cleanup_error_ struct nunchi_error *socket = open_fails("qemu:/nonexistent/socket");
	assert_true(error_is(socket, NUNCHI_ERROR_NOT_FOUND));
	/* Ourselves: a process, but no QEMU. */
	char word[32];
	snprintf(word, sizeof(word), "qemu:%d", getpid());
	_cleanup_error_ struct nunchi_error *self = open_fails(word);
	assert_true(error_is(self, NUNCHI_ERROR_NOT_FOUND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list_says_what_runs),
	    cmocka_unit_test(test_list_counts_dimms),
	    cmocka_unit_test(test_guests_are_opened_by_name_process_and_socket),
	    cmocka_unit_test(test_two_of_one_name_are_told_by_process),
	    cmocka_unit_test(test_busy_socket),
	    cmocka_unit_test(test_socket_that_becomes_free_is_used),
	    cmocka_unit_test(test_socket_passed_by_descriptor),
	    cmocka_unit_test(test_registers_and_resets),
	    cmocka_unit_test(test_kvm),
	    cmocka_unit_test(test_pretty_monitor),
	    cmocka_unit_test(test_attach_time),
	    cmocka_unit_test(test_other_words),
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
