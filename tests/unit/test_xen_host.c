/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host is to Xen, and whether its xenstored answers. */
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
	if (mkdir(folder, 0700))
		return -1;
	snprintf(folder, sizeof(folder), "%s/run/xenstored", root);
	snprintf(place, sizeof(place), "%s/run/xenstored/socket", root);
	return mkdir(folder, 0700);
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
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

/* A daemon that takes one question, as xs_wire.h has it, and gives SIZE bytes of an answer. */
static pid_t serve(int fd, size_t size)
{
	const uint32_t answer[4] = {16, 0, 0, 0};
	uint32_t question[4];
	char path[32] = "";
	pid_t pid = fork();
	int one;

	if (pid)
		return pid;
	one = accept(fd, NULL, NULL);
	if (read(one, question, sizeof(question)) != sizeof(question) || question[0] != 2 ||
	    question[3] > sizeof(path) || read(one, path, question[3]) != (ssize_t)question[3] ||
	    strcmp(path, "/local/domain/0/name"))
		_exit(1);
	_exit(write(one, answer, size) == (ssize_t)size ? 0 : 1);
}

static void test_answers(void **state)
{
	_cleanup_close_ int fd = listening(1);
	int status;

	(void)state;
	serve(fd, 16);
	assert_int_equal(xen_store_check(root), XEN_STORE_ANSWERS);
	assert_true(wait(&status) > 0 && status == 0);
	/* One that hangs up in the middle. */
	serve(fd, 7);
	assert_int_equal(xen_store_check(root), XEN_STORE_NONE);
	assert_true(wait(&status) > 0 && status == 0);
}

static void test_silent(void **state)
{
	_cleanup_close_ int fd = listening(0), waiting = -1;
	struct timespec before, after;

	(void)state;
	assert_true(fd >= 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(xen_store_check(root), XEN_STORE_SILENT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 1, 20);
	/* So many wait that no more are let in: that is not waited for. */
	waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", place);
	assert_int_equal(connect(waiting, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(xen_store_check(root), XEN_STORE_SILENT);
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(xen_store_check(root), XEN_STORE_NONE);
	/* The socket of a daemon that died is there still. */
	close(listening(1));
	assert_int_equal(xen_store_check(root), XEN_STORE_NONE);
}

static void test_closed(void **state)
{
	(void)state;
	if (!geteuid())
		skip();
	close(listening(1));
	chmod(place, 0);
	assert_int_equal(xen_store_check(root), XEN_STORE_CLOSED);
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
	const struct CMUnitTest tests[] = {TEST(answers), TEST(silent), TEST(none), TEST(closed),
					   TEST(host)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
