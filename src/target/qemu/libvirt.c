/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/libvirt.h"

#include "core/own_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Loading libvirt's libraries and connecting to its daemon take a second on a busy host. */
#define START_US 10000000
/* "HOME=" and the like, with a path. */
#define VARIABLE_MAX 4200

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
