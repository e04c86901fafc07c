/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xenstore's protocol: xen/include/public/io/xs_wire.h, docs/misc/xenstore.txt of Xen. */
#include "target/xen/store.h"

#include "core/cleanup.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * How long a request may take. Requests in a row have that together, so that a list of many
 * domains takes no longer; it comes back while nothing is asked.
 */
#define PATIENCE_US (2 * CLOCK_US_PER_S)
/* XENSTORE_PAYLOAD_MAX. */
#define MOST_DATA 4096

enum message_type {
	XS_DIRECTORY = 1,
	XS_READ = 2,
	XS_WATCH = 4,
	XS_WATCH_EVENT = 15,
	XS_ERROR = 16
};

/* struct xsd_sockmsg. */
struct head {
	uint32_t type;
	uint32_t request;
	uint32_t transaction;
	uint32_t length; /* of the data that follows */
};

struct xen_store {
	int fd;
	uint32_t request; /* number of the last request */
	enum xen_store_state state;
	uint64_t patience_us;     /* what was left of it … */
	uint64_t answered_us;     /* … when the last request was answered */
	char data[MOST_DATA + 1]; /* of the last message, with a NUL byte after it */
};

/* ---- Connecting ------------------------------------------------------------------------------ */

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

/* Opens the first of the ways that is there. -1 if there is none; *ret says why. */
static int open_any(const char *root, enum xen_store_state *ret)
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

struct xen_store *xen_store_open(const char *root, enum xen_store_state *ret)
{
	_cleanup_close_ int fd = open_any(root, ret);
	struct xen_store *store = fd < 0 ? NULL : calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->fd = no_cleanup_fd(fd);
	store->patience_us = PATIENCE_US;
	store->answered_us = clock_us();
	*ret = XEN_STORE_ANSWERS;
	return store;
}

void xen_store_close(struct xen_store *store)
{
	if (!store)
		return;
	close(store->fd);
	free(store);
}

enum xen_store_state xen_store_get_state(const struct xen_store *store)
{
	return store->state;
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* Gives the connection up. Returns false. */
static bool give_up(struct xen_store *store, enum xen_store_state why)
{
	store->state = why;
	return false;
}

/* Reads exactly size bytes until the deadline. */
static bool receive(struct xen_store *store, void *to, size_t size, uint64_t deadline)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = read(store->fd, (char *)to + done, size - done);

		if (got > 0)
			done += (size_t)got;
		else if (!got || (errno != EAGAIN && errno != EINTR))
			return give_up(store, XEN_STORE_NONE);
		else if (clock_us() >= deadline || io_wait(store->fd, POLLIN, deadline, NULL) != 1)
			return give_up(store, XEN_STORE_SILENT);
	}
	return true;
}

/* Receives a message into store->data. */
static bool receive_message(struct xen_store *store, struct head *ret, uint64_t deadline)
{
	if (!receive(store, ret, sizeof(*ret), deadline))
		return false;
	if (ret->length > MOST_DATA)
		return give_up(store, XEN_STORE_BAD);
	store->data[ret->length] = '\0';
	return receive(store, store->data, ret->length, deadline);
}

/* Sends what the buffer has room for at once, which any request of ours is smaller than. */
static bool put(struct xen_store *store, const void *data, size_t size)
{
	ssize_t sent = send(store->fd, data, size, MSG_NOSIGNAL);

	if (sent < 0 && errno == ENOTSOCK)
		sent = write(store->fd, data, size);
	return sent == (ssize_t)size || give_up(store, XEN_STORE_NONE);
}

/* Until when the next request may take. */
static uint64_t next_deadline(struct xen_store *store)
{
	uint64_t now = clock_us();

	store->patience_us += now - store->answered_us;
	if (store->patience_us > PATIENCE_US)
		store->patience_us = PATIENCE_US;
	return now + store->patience_us;
}

/*
 * Makes a request with one or two strings. True if it was carried out; the answer is in store->data
 * then. Reports of watches that come before the answer are dropped.
 */
static bool ask(struct xen_store *store, enum message_type type, const char *one, const char *two,
		size_t *ret_size)
{
	size_t size = strlen(one) + 1, more = two ? strlen(two) + 1 : 0;
	struct head head = {.type = type, .length = (uint32_t)(size + more)};
	uint64_t deadline = next_deadline(store);
	char message[sizeof(head) + PATH_MAX];

	if (store->state != XEN_STORE_ANSWERS || size + more > PATH_MAX)
		return false;
	head.request = ++store->request;
	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), one, size);
	if (two)
		memcpy(message + sizeof(head) + size, two, more);
	if (!put(store, message, sizeof(head) + size + more))
		return false;
	do {
		if (clock_us() >= deadline)
			return give_up(store, XEN_STORE_SILENT);
		if (!receive_message(store, &head, deadline))
			return false;
	} while (head.type == XS_WATCH_EVENT);
	/*
	 * The number of the request is not compared: some kernels' device gives its own number or 0
	 * back, and there is one request at a time.
	 */
	if (head.type != type && head.type != XS_ERROR)
		return give_up(store, XEN_STORE_BAD);
	store->answered_us = clock_us();
	store->patience_us = deadline > store->answered_us ? deadline - store->answered_us : 0;
	*ret_size = head.length;
	return head.type == type;
}

static char *get(struct xen_store *store, enum message_type type, const char *path,
		 size_t *ret_size)
{
	char *value;

	if (!ask(store, type, path, NULL, ret_size))
		return NULL;
	value = malloc(*ret_size + 1);
	if (value)
		memcpy(value, store->data, *ret_size + 1);
	return value;
}

char *xen_store_get(struct xen_store *store, const char *path, size_t *ret_size)
{
	return get(store, XS_READ, path, ret_size);
}

char *xen_store_get_names(struct xen_store *store, const char *path, size_t *ret_size)
{
	return get(store, XS_DIRECTORY, path, ret_size);
}

bool xen_store_watch(struct xen_store *store, const char *path, const char *token)
{
	struct stat st;
	size_t size;

	/*
	 * Linux sets a watch within write(), and waits for xenstored without a limit
	 * (xenbus_write_watch() of drivers/xen/xenbus/xenbus_dev_frontend.c).
	 */
	if (fstat(store->fd, &st) || !S_ISSOCK(st.st_mode))
		return false;
	return ask(store, XS_WATCH, path, token, &size);
}

int xen_store_fd(const struct xen_store *store)
{
	return store->fd;
}

bool xen_store_clear(struct xen_store *store)
{
	uint64_t deadline = clock_us() + PATIENCE_US;
	struct head head;

	/* Where reports come faster than they are read, the rest stays for the next call. */
	while (store->state == XEN_STORE_ANSWERS && clock_us() < deadline &&
	       io_wait(store->fd, POLLIN, clock_us(), NULL) == 1)
		receive_message(store, &head, deadline);
	return store->state == XEN_STORE_ANSWERS;
}
