/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host is to Xen, and a client of its xenstored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "target/xen/host.h"
#include "target/xen/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char root[] = "/tmp/nunchi-test-XXXXXX";
static char place[64];

static int setup(void **state)
{
	char folder[64];

	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(folder, sizeof(folder), "%s/run", root);
	if (mkdir(folder, 0755))
		return -1;
	snprintf(folder, sizeof(folder), "%s/run/xenstored", root);
	snprintf(place, sizeof(place), "%s/run/xenstored/socket", root);
	return mkdir(folder, 0755);
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* ---- The processor --------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
	char full[96];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	file = fopen(full, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_folder(const char *path)
{
	char full[96];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	assert_int_equal(mkdir(full, 0755), 0);
}

#define PROCESSOR(vendor, model)                                                                   \
	"processor\t: 0\nvendor_id\t: " vendor                                                     \
	"\ncpu family\t: 23\nmodel\t\t: 1\nmodel name\t: " model "\nstepping\t: 1\n"

/* Where an INT3 would be the guest's, or may be. */
static void test_breakpoints(void **state)
{
	(void)state;
	assert_non_null(xen_host_no_breakpoints(root, true, 1));
	make_folder("proc");
	write_file("proc/cpuinfo", PROCESSOR("AuthenticAMD", "AMD Ryzen 7 1700"));
	assert_null(xen_host_no_breakpoints(root, true, 1));
	write_file("proc/cpuinfo", PROCESSOR("AuthenticAMD", "QEMU Virtual CPU version 2.5+"));
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 1), "QEMU"));
	/* QEMU does not emulate VT-x: there it is the processor's own. */
	write_file("proc/cpuinfo", PROCESSOR("GenuineIntel", "QEMU Virtual CPU version 2.5+"));
	assert_null(xen_host_no_breakpoints(root, true, 1));
	write_file("proc/cpuinfo", PROCESSOR("CentaurHauls", "VIA Nano"));
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 1), "only on processors of"));
	make_folder("sys");
	make_folder("sys/class");
	make_folder("sys/class/dmi");
	make_folder("sys/class/dmi/id");
	write_file("sys/class/dmi/id/sys_vendor", "QEMU\n");
	write_file("proc/cpuinfo", PROCESSOR("AuthenticAMD", "AMD EPYC Processor"));
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 1), "QEMU"));
	/* A cloud, or who configured the virtual machine, gave some of the names. */
	write_file("sys/class/dmi/id/sys_vendor", "OpenStack Foundation\n");
	write_file("sys/class/dmi/id/chassis_vendor", "QEMU\n");
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 1), "QEMU"));
	write_file("sys/class/dmi/id/chassis_vendor", "Other\n");
	write_file("sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)\n");
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 1), "QEMU"));
	write_file("sys/class/dmi/id/product_name", "Other\n");
	/* Its host bridge has the same subsystem whatever the names are. */
	make_folder("sys/bus");
	make_folder("sys/bus/pci");
	make_folder("sys/bus/pci/devices");
	make_folder("sys/bus/pci/devices/0000:00:00.0");
	write_file("sys/bus/pci/devices/0000:00:00.0/subsystem_vendor", "0x1af4\n");
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 1), "QEMU"));
	write_file("sys/bus/pci/devices/0000:00:00.0/subsystem_vendor", "0x1022\n");
	write_file("sys/class/dmi/id/sys_vendor", "Dell Inc.\n");
	assert_null(xen_host_no_breakpoints(root, true, 1));
	assert_non_null(strstr(xen_host_no_breakpoints(root, false, 1), "only with PVH guests"));
	assert_non_null(strstr(xen_host_no_breakpoints(root, true, 2), "of one vCPU"));
}

static void test_length_of_a_trap(void **state)
{
	(void)state;
	assert_false(xen_host_ignores_length(root));
	make_folder("sys");
	make_folder("sys/class");
	make_folder("sys/class/dmi");
	make_folder("sys/class/dmi/id");
	write_file("sys/class/dmi/id/bios_vendor", "Dell Inc.\n");
	make_folder("proc");
	write_file("proc/cpuinfo", PROCESSOR("AuthenticAMD", "AMD Ryzen 7 1700"));
	assert_false(xen_host_ignores_length(root));
	write_file("sys/class/dmi/id/bios_vendor", "The Bochs Project\n");
	assert_true(xen_host_ignores_length(root));
	write_file("proc/cpuinfo", PROCESSOR("GenuineIntel", "Intel(R) Core(TM) i7-7800X"));
	assert_false(xen_host_ignores_length(root));
}

/* ---- xenstored ------------------------------------------------------------------------------- */

static int listening(int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", place);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

enum { DIRECTORY = 1, READ = 2, WATCH = 4, EVENT = 15, ERROR = 16 };

/* A request as the client sends it: struct xsd_sockmsg of xs_wire.h, and data. */
struct message {
	uint32_t head[4]; /* type, request, transaction, size of the data */
	char data[64];
};

/* Takes a request of the client; ends the daemon if it is not of this type with this data. */
static uint32_t take(int one, uint32_t type, const char *data, size_t size)
{
	struct message message;

	if (recv(one, message.head, sizeof(message.head), MSG_WAITALL) != sizeof(message.head) ||
	    message.head[0] != type || message.head[2] || message.head[3] != size ||
	    recv(one, message.data, size, MSG_WAITALL) != (ssize_t)size ||
	    memcmp(message.data, data, size))
		_exit(1);
	return message.head[1];
}

static void give(int one, uint32_t type, uint32_t request, const char *data, size_t size)
{
	struct message message = {.head = {type, request, 0, (uint32_t)size}};

	memcpy(message.data, data, size);
	if (write(one, &message, sizeof(message.head) + size) !=
	    (ssize_t)(sizeof(message.head) + size))
		_exit(1);
}

/* Starts a daemon that serves one client. */
static pid_t serve(int fd, void (*client)(int one))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	client(accept(fd, NULL, NULL));
	_exit(0);
}

static void finished(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static struct xen_store *opened(void)
{
	enum xen_store_state state;
	struct xen_store *store = xen_store_open(root, &state);

	assert_non_null(store);
	assert_int_equal(state, XEN_STORE_ANSWERS);
	return store;
}

static void says(struct xen_store *store, const char *path, const char *value)
{
	size_t size;
	char *got = xen_store_get(store, path, &size);

	if (!value) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_int_equal(size, strlen(value));
	assert_memory_equal(got, value, size + 1);
	free(got);
}

static void good_client(int one)
{
	uint32_t request = take(one, READ, "/a", 3);

	/* Some kernels' device gives a number of its own. */
	give(one, READ, request + 7, "xyz", 3);
	request = take(one, READ, "/none", 6);
	give(one, ERROR, request, "ENOENT", 7);
	request = take(one, READ, "/empty", 7);
	give(one, READ, request, "", 0);
	request = take(one, DIRECTORY, "/d", 3);
	give(one, DIRECTORY, request,
	     "0\0"
	     "12",
	     5);
	request = take(one, WATCH, "@x\0t", 5);
	/* Reports may come before the answer. */
	give(one, EVENT, 0, "@x\0t", 5);
	give(one, EVENT, 0, "@y\0t", 5);
	give(one, WATCH, request, "OK", 3);
	give(one, EVENT, 0, "@x\0t", 5);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void test_answers(void **state)
{
	_cleanup_close_ int fd = listening(1);
	pid_t daemon = serve(fd, good_client);
	struct xen_store *store = opened();
	size_t size;
	char *names;

	(void)state;
	says(store, "/a", "xyz");
	says(store, "/none", NULL);
	says(store, "/empty", "");
	names = xen_store_get_names(store, "/d", &size);
	assert_int_equal(size, 5);
	assert_memory_equal(names,
			    "0\0"
			    "12",
			    5);
	free(names);
	assert_int_equal(xen_store_get_state(store), XEN_STORE_ANSWERS);
	assert_true(xen_store_watch(store, "@x", "t"));
	finished(daemon);
	/* The last report, and the end of the daemon. */
	assert_true(is_readable(xen_store_fd(store)));
	assert_false(xen_store_clear(store));
	assert_int_equal(xen_store_get_state(store), XEN_STORE_NONE);
	says(store, "/a", NULL);
	xen_store_close(store);
}

static void hanging_up(int one)
{
	uint32_t request = take(one, READ, "/a", 3);

	if (write(one, (uint32_t[]){READ, request}, 7) != 7)
		_exit(1);
}

static void too_long(int one)
{
	const uint32_t head[4] = {READ, take(one, READ, "/a", 3), 0, 4097};

	if (write(one, head, sizeof(head)) != sizeof(head))
		_exit(1);
}

static void of_another_type(int one)
{
	give(one, DIRECTORY, take(one, READ, "/a", 3), "x", 1);
}

static void test_bad_answers(void **state)
{
	static const struct {
		void (*client)(int one);
		enum xen_store_state state;
	} bad[] = {{hanging_up, XEN_STORE_NONE},
		   {too_long, XEN_STORE_BAD},

		   {of_another_type, XEN_STORE_BAD}};
	_cleanup_close_ int fd = listening(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		pid_t daemon = serve(fd, bad[i].client);
		struct xen_store *store = opened();

		says(store, "/a", NULL);
		assert_int_equal(xen_store_get_state(store), bad[i].state);
		/* No further request goes out. */
		says(store, "/a", NULL);
		assert_false(xen_store_watch(store, "@x", "t"));
		xen_store_close(store);
		finished(daemon);
	}
}

/* Talks all the time, and never finishes an answer. */
static void talker(int one)
{
	const struct timespec wait = {.tv_nsec = 50000000};
	uint32_t request = take(one, READ, "/a", 3);
	const uint32_t head[4] = {READ, request, 0, 4096};

	signal(SIGPIPE, SIG_IGN);
	if (write(one, head, sizeof(head)) != sizeof(head))
		_exit(1);
	while (write(one, "x", 1) == 1)
		nanosleep(&wait, NULL);
}

/* Reports of watches without end. */
static void reporter(int one)
{
	signal(SIGPIPE, SIG_IGN);
	take(one, READ, "/a", 3);
	while (send(one, (uint32_t[4]){EVENT}, 16, 0) == 16)
		;
}

static void silent(int one)
{
	char end;

	take(one, READ, "/a", 3);
	(void)!read(one, &end, 1);
}

static void test_silent(void **state)
{
	static void (*const clients[])(int one) = {silent, talker, reporter};
	_cleanup_close_ int fd = listening(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		pid_t daemon = serve(fd, clients[i]);
		struct xen_store *store = opened();
		struct timespec before, after;

		clock_gettime(CLOCK_MONOTONIC, &before);
		says(store, "/a", NULL);
		says(store, "/a", NULL);
		clock_gettime(CLOCK_MONOTONIC, &after);
		assert_int_equal(xen_store_get_state(store), XEN_STORE_SILENT);
		assert_in_range(after.tv_sec - before.tv_sec, 1, 20);
		xen_store_close(store);
		finished(daemon);
	}
}

/* Answers, but takes its time for each. */
static void slow(int one)
{
	const struct timespec wait = {.tv_nsec = 400000000};
	uint32_t head[4];
	char data[8];

	signal(SIGPIPE, SIG_IGN);
	while (recv(one, head, sizeof(head), MSG_WAITALL) == sizeof(head) &&
	       recv(one, data, head[3], MSG_WAITALL) == (ssize_t)head[3]) {
		nanosleep(&wait, NULL);
		if (send(one, (uint32_t[4]){READ, head[1]}, 16, 0) != 16)
			break;
	}
}

/* Many requests in a row take no longer than one may; later ones have time again. */
static void test_slow(void **state)
{
	_cleanup_close_ int fd = listening(0);
	pid_t daemon = serve(fd, slow);
	struct xen_store *store = opened();
	struct timespec before, after;

	(void)state;
	says(store, "/a", "");
	says(store, "/a", "");
	/* 0.8 s of 2 s are gone, and come back. */
	sleep(1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < 4; i++)
		says(store, "/a", "");
	assert_int_equal(xen_store_get_state(store), XEN_STORE_ANSWERS);
	for (int i = 0; i < 30; i++) {
		size_t size;

		free(xen_store_get(store, "/a", &size));
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(xen_store_get_state(store), XEN_STORE_SILENT);
	assert_in_range(after.tv_sec - before.tv_sec, 1, 4);
	xen_store_close(store);
	finished(daemon);
}

/* Makes the folder of the kernel's device; gives the device's path. */
static const char *device_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/dev", root);
	mkdir(path, 0700);
	strcat(path, "/xen");
	mkdir(path, 0700);
	return strcat(path, "/xenbus");
}

/* The kernel's device: a watch is never asked for there, where write() could wait for ever. */
static void test_device(void **state)
{
	struct xen_store *store;

	(void)state;
	assert_int_equal(mkfifo(device_path(), 0600), 0);
	store = opened();
	assert_false(xen_store_watch(store, "@x", "t"));
	assert_false(is_readable(xen_store_fd(store)));
	assert_int_equal(xen_store_get_state(store), XEN_STORE_ANSWERS);
	xen_store_close(store);
}

/* More reports than can be taken: taking them ends, and the connection is kept. */
static void test_reports_without_end(void **state)
{
	struct xen_store *store;

	(void)state;
	/* An endless row of messages without data. */
	assert_int_equal(symlink("/dev/zero", device_path()), 0);
	store = opened();
	assert_true(xen_store_clear(store));
	xen_store_close(store);
}

/* So many wait that no more are let in: that is not waited for. */
static void test_full(void **state)
{
	_cleanup_close_ int fd = listening(0);
	struct xen_store *waiting = opened();
	enum xen_store_state why;

	(void)state;
	assert_true(fd >= 0);
	assert_null(xen_store_open(root, &why));
	assert_int_equal(why, XEN_STORE_SILENT);
	xen_store_close(waiting);
}

static void test_none(void **state)
{
	enum xen_store_state why;

	(void)state;
	assert_null(xen_store_open(root, &why));
	assert_int_equal(why, XEN_STORE_NONE);
	/* The socket of a daemon that died is there still. */
	close(listening(1));
	assert_null(xen_store_open(root, &why));
	assert_int_equal(why, XEN_STORE_NONE);
}

static void test_closed(void **state)
{
	uid_t user = geteuid();
	enum xen_store_state why;

	(void)state;
	close(listening(1));
	chmod(place, 0);
	/* Root may open all. */
	assert_int_equal(chmod(root, 0755), 0);
	assert_int_equal(user ? 0 : seteuid(65534), 0);
	assert_null(xen_store_open(root, &why));
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(why, XEN_STORE_CLOSED);
}

/* ---- The host -------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *text)
{
	char full[128];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void host_says(bool privileged, const char *message, const char *hint)
{
	struct nunchi_error *err = xen_host_check(root, privileged);

	if (!message) {
		assert_null(err);
		return;
	}
	assert_non_null(strstr(nunchi_error_message(err), message));
	assert_non_null(strstr(nunchi_error_hint(err), hint));
	nunchi_error_destroy(err);
}

static void test_host(void **state)
{
	(void)state;
	assert_int_equal(xen_host_role(root), XEN_ROLE_NONE);
	host_says(true, "does not run on Xen", "dom0");
	put_file("/sys/hypervisor/type", "xen\n");
	assert_int_equal(xen_host_role(root), XEN_ROLE_UNKNOWN);
	host_says(true, "no /dev/xen/privcmd", "modprobe xen-privcmd");
	/* Without xenfs: as dom0's kernel says it, and a guest's. */
	put_file("/sys/hypervisor/properties/features", "00002705\n");
	assert_int_equal(xen_host_role(root), XEN_ROLE_GUEST);
	host_says(true, "a guest of Xen", "dom0");
	host_says(false, "a guest of Xen", "dom0");
	assert_false(xen_host_may_control(root));
	put_file("/sys/hypervisor/properties/features", "00002f05\n");
	assert_int_equal(xen_host_role(root), XEN_ROLE_CONTROL);
	assert_true(xen_host_may_control(root));
	host_says(true, "no /dev/xen/privcmd", "modprobe xen-privcmd");
	put_file("/proc/xen/capabilities", "\n");
	host_says(true, "a guest of Xen", "dom0");
	put_file("/proc/xen/capabilities", "control_d\n");
	host_says(false, "by root only", "sudo nunchi");
	host_says(true, "no /dev/xen/privcmd", "modprobe xen-privcmd");
	put_file("/dev/xen/privcmd", "");
	host_says(true, NULL, NULL);
	put_file("/sys/hypervisor/type", "kvm\n");
	host_says(true, "does not run on Xen", "dom0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(answers), TEST(bad_answers), TEST(silent),
	    TEST(slow),    TEST(device),      TEST(reports_without_end),
	    TEST(full),    TEST(none),        TEST(closed),
	    TEST(host),    TEST(breakpoints), TEST(length_of_a_trap)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
