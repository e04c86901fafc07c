/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets at which a command waits for programs of this host. */
#include "cli.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

static int listen_at_path(struct cli *cli, struct listener *listener, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int status;

	if (!*path || strlen(path) >= sizeof(address.sun_path))
		return cli_misuse(cli, NULL, "the path of a socket has 1 to %zu bytes",
				  sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	status = clear_path(cli, &address);
	if (status)
		return status;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(0177);
	status =
	    listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (status)
		return cli_fail_with(cli, "cannot listen at %s: %s", path, strerror(errno));
	listener->path = path;
	return CLI_DONE;
}

/* Port 0: one that the kernel chooses. */
static int listen_at_port(struct cli *cli, struct listener *listener, const char *text)
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
	    getsockname(listener->fd, (struct sockaddr *)&address, &size))
		return cli_fail_with(cli, "cannot listen at 127.0.0.1:%s: %s", text,
				     strerror(errno));
	listener->port = ntohs(address.sin_port);
	return CLI_DONE;
}

int listener_open(struct cli *cli, const char *word, int backlog, struct listener *ret)
{
	static const char local[] = "127.0.0.1:", path[] = "unix:";
	int status;

	if (!strncmp(word, local, sizeof(local) - 1))
		status = listen_at_port(cli, ret, word + sizeof(local) - 1);
	else if (!strncmp(word, path, sizeof(path) - 1))
		status = listen_at_path(cli, ret, word + sizeof(path) - 1);
	else
		return cli_misuse(cli, NULL,
				  "--listen takes unix:PATH or 127.0.0.1:PORT, not \"%s\": who "
				  "connects is not asked who he is, so nobody else may",
				  word);
	if (!status && listen(ret->fd, backlog))
		status = cli_fail_with(cli, "cannot listen: %s", strerror(errno));
	return status;
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
