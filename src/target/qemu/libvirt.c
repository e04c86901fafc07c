/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/libvirt.h"

#include "core/io.h"
#include "core/own_program.h"
#include "target/qemu/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Loading libvirt's libraries and connecting to its daemon take a second on a busy host. */
#define START_US 10000000
/* "HOME=" and the like, with a path. */
#define VARIABLE_MAX 4200
/* The state stands behind a comment of some lines, which has the guest's name in it. */
#define STATE_HEAD_MAX 4096

static const struct own_program program = {
    .name = "nunchi-libvirt",
    .without = "build nunchi where libvirt's headers are (libvirt-dev), and install all of it",
};

bool qemu_libvirt_holds(const struct qemu_process *process, pid_t *ret_holder)
{
	for (size_t i = 0; i < process->cmdline.socket_count; i++) {
		_cleanup_free_ char *path = qemu_process_socket_path(process, i);
		char name[64];

		if (!path || !process_socket_holder(path, ret_holder))
			continue;
		process_name(*ret_holder, name, sizeof(name));
		if (!strcmp(name, "libvirtd") || !strcmp(name, "virtqemud"))
			return true;
	}
	return false;
}

/*
 * Whose libvirt it is. The system's daemon is asked about processes of the system's users alone,
 * and one of a session only by its user about that user's processes. The daemon finds the guest by
 * its UUID, which a process may write into its command line: so nunchi-libvirt also compares the
 * process with the one that libvirt has noted for the guest.
 */
static struct nunchi_error *choose_daemon(const struct qemu_process *process, pid_t holder,
					  const char **ret_uri)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", holder);
	if (stat(path, &st))
		return error_create_errno(errno, "libvirt's daemon, process %d", holder);
	if (st.st_uid == 0 && !process->trust.is_person)
		*ret_uri = "qemu:///system";
	else if (st.st_uid == geteuid() && process->trust.uid == geteuid())
		*ret_uri = "qemu:///session";
	else
		return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
					       "the libvirt of user %u holds the monitor of a "
					       "guest of user %s",
					       st.st_uid, process->trust.user),
				  "run nunchi as the user of both");
	return NULL;
}

/* What libvirt needs of the environment to find a session's daemon. */
struct environment {
	char text[4][VARIABLE_MAX];
	const char *list[7];
};

static void fill_environment(struct environment *environment, bool session)
{
	static const char *const names[] = {"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
					    "XDG_CACHE_HOME"};
	size_t count = 0;

	environment->list[count++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	environment->list[count++] = "LC_ALL=C";
	for (size_t i = 0; session && i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && snprintf(environment->text[i], VARIABLE_MAX, "%s=%s", names[i],
				      value) < VARIABLE_MAX)
			environment->list[count++] = environment->text[i];
	}
	environment->list[count] = NULL;
}

static struct nunchi_error *start(const char *uri, const struct qemu_process *process, int socket,
				  pid_t *ret)
{
	char pid[16];
	const char *const arguments[] = {program.name, uri, process->cmdline.uuid, pid, NULL};
	_cleanup_free_ struct environment *environment = calloc(1, sizeof(*environment));
	_cleanup_free_ char *path = NULL;

	if (!environment)
		return &error_nomem;
	snprintf(pid, sizeof(pid), "%d", process->pid);
	fill_environment(environment, !strcmp(uri, "qemu:///session"));
	return own_program_start(&program, &socket, 1, arguments, environment->list, &path, ret);
}

struct nunchi_error *qemu_libvirt_connect(const struct qemu_process *process, pid_t holder,
					  const struct qmp_wait *wait, struct qmp_client **ret)
{
	const struct qmp_wait until = {clock_us() + START_US, wait->cancel};
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	_cleanup_close_ int ours = -1, theirs = -1;
	const char *uuid = process->cmdline.uuid, *uri = NULL;
	struct nunchi_error *err;
	int sockets[2];
	size_t chosen;
	pid_t pid;

	if (!uuid || !uuid[0])
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "its command line does not tell its UUID, by which libvirt "
				    "finds it");
	err = choose_daemon(process, holder, &uri);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return error_create_errno(errno, "cannot make a socket");
	ours = sockets[0];
	theirs = sockets[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK))
		return error_create_errno(errno, "cannot make a socket");
	err = start(uri, process, theirs, &pid);
	if (err)
		return err;
	close(no_cleanup_fd(theirs));
	err = qmp_client_attach(no_cleanup_fd(ours), pid, &client);
	if (!err)
		err = qmp_client_negotiate(&client, 1, &until, &chosen);
	if (err)
		return error_context(err, "libvirt (%s)", uri);
	*ret = no_cleanup_ptr(client);
	return NULL;
}

/* ---- The state of a guest -------------------------------------------------------------------- */

/* The value of NAME='VALUE' in the element. */
static bool find_attribute(struct scan element, const char *name, struct scan *ret)
{
	return scan_find(&element, name) && scan_literal(&element, "='") &&
	       scan_until(&element, '\'', ret);
}

/* An element <domstatus state='running' reason='booted' pid='4242'>, after a comment. */
static bool parse_state(struct scan text, pid_t pid, char *ret, size_t size)
{
	struct scan element, state, number;
	uint64_t noted;

	/* At the start of a line: a guest's name, which the comment has, cannot contain one. */
	if (!scan_find(&text, "\n<domstatus ") || !scan_until(&text, '>', &element) ||
	    !find_attribute(element, "state", &state) ||
	    !find_attribute(element, " pid", &number) || !scan_decimal(&number, &noted) ||
	    number.at != number.end || noted != (uint64_t)pid)
		return false;
	for (const char *at = state.at; at < state.end; at++) {
		if (*at < 'a' || *at > 'z')
			return false;
	}
	if (state.at == state.end || (size_t)(state.end - state.at) >= size)
		return false;
	snprintf(ret, size, "%.*s", (int)(state.end - state.at), state.at);
	return true;
}

bool qemu_libvirt_read_state(const char *path, pid_t pid, char *ret, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[STATE_HEAD_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    (st.st_uid && st.st_uid != geteuid()))
		return false;
	n = io_read_full(fd, text, sizeof(text));
	return n > 0 && parse_state((struct scan){text, text + n}, pid, ret, size);
}

/* stateDir of libvirt's src/qemu/qemu_conf.c: of the system, and of this user's session. */
bool qemu_libvirt_state(const struct qemu_process *process, char *ret, size_t size)
{
	const char *name = process->cmdline.name, *runtime = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];

	if (!name || strchr(name, '/'))
		return false;
	if (snprintf(path, sizeof(path), "/run/libvirt/qemu/%s.xml", name) < (int)sizeof(path) &&
	    qemu_libvirt_read_state(path, process->pid, ret, size))
		return true;
	return runtime &&
	       snprintf(path, sizeof(path), "%s/libvirt/qemu/run/%s.xml", runtime, name) <
		   (int)sizeof(path) &&
	       qemu_libvirt_read_state(path, process->pid, ret, size);
}
