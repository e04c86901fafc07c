/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets at which a command waits for programs of this host. */
#include "cli.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What name_beside() adds to a path: a dot and six digits. */
#define BESIDE 7

/* Whether nobody listens at a socket any more. */
static bool is_left_over(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = fd >= 0 &&
		       connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		       errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return refused;
}

/* Makes room for the socket: removes one of ours that nobody listens at, and nothing else. */
static int clear_path(struct cli *cli, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? CLI_DONE
				       : cli_fail_with(cli, "cannot look at %s: %s",
						       address->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return cli_fail_with(cli, "%s is there and is not a socket of yours",
				     address->sun_path);
	if (!is_left_over(address))
		return cli_fail_with(cli, "another program listens at %s", address->sun_path);
	if (unlink(address->sun_path))
		return cli_fail_with(cli, "cannot remove %s: %s", address->sun_path,
				     strerror(errno));
	return CLI_DONE;
}

/* A name beside the path, by which nobody looks for the socket; 0 or an errno. */
static int name_beside(const char *path, struct sockaddr_un *ret)
{
	uint32_t number;
	int length;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
		return errno;
	length = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s.%06x", path,
			  (unsigned)(number & 0xffffff));
	return length > 0 && (size_t)length < sizeof(ret->sun_path) ? 0 : ENAMETOOLONG;
}

/* Makes the socket under that name, at which it listens at once; 0 or an errno. */
static int make_socket(const struct sockaddr_un *address, int backlog, int fd)
{
	mode_t mask = umask(0177);
	int failed = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;

	umask(mask);
	if (!failed && listen(fd, backlog)) {
		failed = errno;
		unlink(address->sun_path);
	}
	return failed;
}

/*
 * The path is never that of a socket at which nobody listens yet: another one of us would take it
 * for left over. Nor does it replace what came there meanwhile.
 */
static int place_socket(const char *path, int backlog, int fd)
{
	struct sockaddr_un beside;
	int failed = fd < 0 ? errno : name_beside(path, &beside);

	if (failed)
		return failed;
	failed = make_socket(&beside, backlog, fd);
	if (failed)
		return failed;
	if (!renameat2(AT_FDCWD, beside.sun_path, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	failed = errno;
	/* Of a file system that cannot do that. */
	if (failed == EINVAL)
		failed = link(beside.sun_path, path) ? errno : 0;
	unlink(beside.sun_path);
	return failed;
}

static int listen_at_path(struct cli *cli, struct listener *listener, const char *path, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int status, failed;

	if (!*path || strlen(path) > sizeof(address.sun_path) - 1 - BESIDE)
		return cli_misuse(cli, NULL, "the path of a socket has 1 to %zu bytes",
				  sizeof(address.sun_path) - 1 - BESIDE);
	memcpy(address.sun_path, path, strlen(path) + 1);
	status = clear_path(cli, &address);
	if (status)
		return status;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	failed = place_socket(path, backlog, listener->fd);
	if (failed == EEXIST)
		return cli_fail_with(cli, "another program listens at %s", path);
	if (failed)
		return cli_fail_with(cli, "cannot listen at %s: %s", path, strerror(failed));
	listener->path = path;
	return CLI_DONE;
}

/* Port 0: one that the kernel chooses. */
static int listen_at_port(struct cli *cli, struct listener *listener, const char *text, int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	const int on = 1;
	uint64_t port;

	if (!parse_number(text, &port) || port > UINT16_MAX)
		return cli_misuse(cli, NULL, "\"%s\" is not a port", text);
	address.sin_port = htons((uint16_t)port);
	listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener->fd >= 0)
		setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, size) ||
	    getsockname(listener->fd, (struct sockaddr *)&address, &size) ||
	    listen(listener->fd, backlog))
		return cli_fail_with(cli, "cannot listen at 127.0.0.1:%s: %s", text,
				     strerror(errno));
	listener->port = ntohs(address.sin_port);
	return CLI_DONE;
}

int listener_open(struct cli *cli, const char *word, int backlog, struct listener *ret)
{
	static const char local[] = "127.0.0.1:", path[] = "unix:";

	if (!strncmp(word, local, sizeof(local) - 1))
		return listen_at_port(cli, ret, word + sizeof(local) - 1, backlog);
	if (!strncmp(word, path, sizeof(path) - 1))
		return listen_at_path(cli, ret, word + sizeof(path) - 1, backlog);
	return cli_misuse(cli, NULL,
			  "--listen takes unix:PATH or 127.0.0.1:PORT, not \"%s\": "
			  "the protocol has no password, so only this host may connect",
			  word);
}

void listener_close(struct listener *listener)
{
	if (listener->fd > 0)
		close(listener->fd);
	if (listener->path)
		unlink(listener->path);
	listener->fd = 0;
	listener->path = NULL;
}
