/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/store.h"

#include "core/cleanup.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_US (2 * CLOCK_US_PER_S)
#define XS_READ     2

/* struct xsd_sockmsg of xs_wire.h. */
struct head {
	uint32_t type;
	uint32_t request;
	uint32_t transaction;
	uint32_t length; /* of the data that follows */
};

static int connect_to(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
	    (int)sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	return no_cleanup_fd(fd);
}

/* Connects; -1 with errno. */
static int open_way(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -1;
	return S_ISSOCK(st.st_mode) ? connect_to(path)
				    : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

/*
 * Opens the first of the sockets and devices that libxenstore would try. -1 if there is none; *ret
 * says why.
 */
static int open_store(const char *root, enum xen_store_state *ret)
{
	static const char *const ways[] = {"/run/xenstored/socket", "/var/run/xenstored/socket",
					   "/dev/xen/xenbus", "/proc/xen/xenbus"};

	*ret = XEN_STORE_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		char path[PATH_MAX];
		int fd;

		snprintf(path, sizeof(path), "%s%s", root, ways[i]);
		fd = open_way(path);
		if (fd >= 0)
			return fd;
		/* The socket's queue of waiting clients is full. */
		if (errno == EAGAIN) {
			*ret = XEN_STORE_SILENT;
			return -1;
		}
		if (errno == EACCES || errno == EPERM)
			*ret = XEN_STORE_CLOSED;
	}
	return -1;
}

static bool put(int fd, const void *data, size_t size)
{
	ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

	if (sent < 0 && errno == ENOTSOCK)
		sent = write(fd, data, size);
	return sent == (ssize_t)size;
}

enum xen_store_state xen_store_check(const char *root)
{
	static const char question[] = "/local/domain/0/name";
	struct {
		struct head head;
		char path[sizeof(question)];
	} message = {.head = {.type = XS_READ, .length = sizeof(question)}};
	enum xen_store_state state;
	_cleanup_close_ int fd = open_store(root, &state);
	const size_t size = sizeof(message.head) + sizeof(question);
	struct head answer;

	if (fd < 0)
		return state;
	memcpy(message.path, question, sizeof(question));
	if (!put(fd, &message, size))
		return XEN_STORE_NONE;
	if (io_wait(fd, POLLIN, clock_us() + PATIENCE_US, NULL) != 1)
		return XEN_STORE_SILENT;
	/* An error that there is no such name is an answer, too. */
	return read(fd, &answer, sizeof(answer)) == sizeof(answer) ? XEN_STORE_ANSWERS
								   : XEN_STORE_NONE;
}
