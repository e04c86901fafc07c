/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the Unix sockets on which a QEMU listens, and the clients that are connected to them. */
#include "core/clock.h"
#include "target/qemu/process.h"
#include "target/qemu/scan.h"

#include <dirent.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/*
 * Limit of the kernel's answer: on a host with more sockets, the client of a QMP socket is not
 * searched for.
 */
#define DIAG_BYTES_MAX ((size_t)64 << 20)
/* Time limit of searching the descriptors of all processes. */
#define SEARCH_US 500000
/* The same for those of one process. */
#define HOLDS_US 100000

/* ---- Sockets by descriptor ------------------------------------------------------------------- */

/*
 * Finds the path of the socket with this inode in a table like /proc/net/unix. The caller frees the
 * path.
 */
static char *path_of_inode(const struct buffer *table, uint64_t inode)
{
	struct scan rest = {buffer_string(table), buffer_string(table) + table->size}, line;

	while (scan_line(&rest, &line)) {
		struct scan word;
		uint64_t found;
		bool ok = true;

		for (int i = 0; ok && i < 6; i++) {
			scan_spaces(&line);
			ok = scan_word(&line, &word);
		}
		scan_spaces(&line);
		if (!ok || !scan_decimal(&line, &found) || found != inode ||
		    !scan_literal(&line, " "))
			continue;
		return *line.at == '/' ? strndup(line.at, (size_t)(line.end - line.at)) : NULL;
	}
	return NULL;
}

static char *path_of_descriptor(pid_t pid, int fd)
{
	_cleanup_buffer_ struct buffer table = {0};
	char path[64], target[64];
	uint64_t inode;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return NULL;
	struct scan scan = {target, target + n};
	if (!scan_literal(&scan, "socket:[") || !scan_decimal(&scan, &inode))
		return NULL;
	buffer_init(&table, 0);
	nunchi_error_destroy(process_read(pid, "net/unix", &table));
	return path_of_inode(&table, inode);
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/*
 * Converts a path as seen by QEMU's process into one that this process can open. The caller frees
 * it.
 */
static char *path_from_here(const struct qemu_process *process, const char *path)
{
	pid_t pid = process->pid;
	char link[64], folder[4096], *made;
	ssize_t n;

	/* The path of another person's process is made without looking at it (check_path()). */
	if (process->trust.is_person) {
		if (path[0] == '/')
			return strdup(path);
		snprintf(link, sizeof(link), "/proc/%d/cwd", pid);
		n = readlink(link, folder, sizeof(folder));
		if (n <= 0 || (size_t)n == sizeof(folder))
			return NULL;
		return asprintf(&made, "%.*s/%s", (int)n, folder, path) < 0 ? NULL : made;
	}
	if (path[0] == '/') {
		if (is_socket(path))
			return strdup(path);
		/* The process is in a container with a root of its own. */
		return asprintf(&made, "/proc/%d/root%s", pid, path) < 0 ? NULL : made;
	}
	return asprintf(&made, "/proc/%d/cwd/%s", pid, path) < 0 ? NULL : made;
}

char *qemu_process_socket_path(const struct qemu_process *process, size_t index)
{
	const struct cmdline_socket *socket = &process->cmdline.sockets[index];
	_cleanup_free_ char *by_fd = NULL;

	if (socket->path)
		return path_from_here(process, socket->path);
	by_fd = path_of_descriptor(process->pid, socket->fd);
	return by_fd ? path_from_here(process, by_fd) : NULL;
}

/* ---- Connected clients ----------------------------------------------------------------------- */

/* Asks the kernel for all Unix sockets, with their peers and files: sock_diag(7). */
static bool ask(int fd)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
	    .header = {.nlmsg_len = sizeof(message),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .request = {.sdiag_family = AF_UNIX,
			.udiag_states = 1 << TCP_ESTABLISHED,
			.udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_PEER},
	};

	return send(fd, &message, sizeof(message), 0) == sizeof(message);
}

/*
 * Gets the inode of the peer of a socket, if the socket was accepted (it has an inode) from the
 * listening socket whose file has the inode `file`.
 */
static bool parse_peer(const struct nlmsghdr *header, uint64_t file, uint32_t *ret)
{
	const struct unix_diag_msg *message = NLMSG_DATA(header);
	const struct rtattr *attribute = (const struct rtattr *)(message + 1);
	size_t left;
	uint32_t peer = 0;
	bool ours = false;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)) || !message->udiag_ino)
		return false;
	left = header->nlmsg_len - NLMSG_LENGTH(sizeof(*message));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == UNIX_DIAG_VFS &&
		    RTA_PAYLOAD(attribute) >= sizeof(struct unix_diag_vfs)) {
			const struct unix_diag_vfs *vfs = RTA_DATA(attribute);

			ours = vfs->udiag_vfs_ino == (uint32_t)file;
		} else if (attribute->rta_type == UNIX_DIAG_PEER &&
			   RTA_PAYLOAD(attribute) >= sizeof(peer)) {
			memcpy(&peer, RTA_DATA(attribute), sizeof(peer));
		}
	}
	*ret = peer;
	return ours && peer;
}

/* The attribute UNIX_DIAG_PEER of an answer about one socket; 0 if there is none. */
static uint32_t peer_of(const struct nlmsghdr *header)
{
	const struct unix_diag_msg *message = NLMSG_DATA(header);
	const struct rtattr *attribute = (const struct rtattr *)(message + 1);
	uint32_t peer = 0;
	size_t left;

	if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return 0;
	left = header->nlmsg_len - NLMSG_LENGTH(sizeof(*message));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(attribute) >= sizeof(peer))
			memcpy(&peer, RTA_DATA(attribute), sizeof(peer));
	return peer;
}

/* Asks the kernel for the inode of the other end of our own socket; false if it does not tell. */
static bool ask_own_peer(int socket_fd, uint32_t *ret)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct timeval second = {.tv_sec = 1};
	struct stat st;
	struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
	    .header = {.nlmsg_len = sizeof(message),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST},
	    .request = {.sdiag_family = AF_UNIX,
			.udiag_states = ~0u,
			.udiag_show = UDIAG_SHOW_PEER,
			.udiag_cookie = {~0u, ~0u}},
	};
	struct nlmsghdr answer[64];
	ssize_t n;

	if (fd < 0 || fstat(socket_fd, &st) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)))
		return false;
	message.request.udiag_ino = (uint32_t)st.st_ino;
	if (send(fd, &message, sizeof(message), 0) != sizeof(message))
		return false;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n <= 0 || !NLMSG_OK(answer, (size_t)n) || answer->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return false;
	*ret = peer_of(answer);
	return true;
}

/* Searches one packet of the answer for the peer; *ret_more is false at the end of the answer. */
static bool find_in_packet(void *packet, size_t size, uint64_t file, uint32_t *ret, bool *ret_more)
{
	size_t left = size;

	for (struct nlmsghdr *header = packet; NLMSG_OK(header, left);
	     header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
			*ret_more = false;
			return false;
		}
		if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY && parse_peer(header, file, ret))
			return true;
	}
	return false;
}

static bool find_peer(uint64_t file, uint32_t *ret)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct timeval second = {.tv_sec = 1};
	size_t total = 0;
	bool more = true;
	/* malloc() aligns the packet for the headers in it. */
	_cleanup_free_ void *packet = malloc(65536);

	if (fd < 0 || !packet || !ask(fd) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)))
		return false;
	while (more && total < DIAG_BYTES_MAX) {
		ssize_t n = recv(fd, packet, 65536, 0);

		if (n <= 0)
			return false;
		total += (size_t)n;
		if (find_in_packet(packet, (size_t)n, file, ret, &more))
			return true;
	}
	return false;
}

/* *ret_readable: the descriptors of the process may be read. */
static bool has_descriptor(const char *pid, const char *wanted, uint64_t deadline,
			   bool *ret_readable)
{
	char path[300], target[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	*ret_readable = dir;
	while (dir && !found && clock_us() < deadline && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		found = !strcmp(target, wanted);
	}
	if (dir)
		closedir(dir);
	return found;
}

bool process_socket_holder(const char *path, pid_t *ret)
{
	uint64_t deadline = clock_us() + SEARCH_US;
	char wanted[64];
	struct dirent *entry;
	bool found = false;
	bool readable;
	struct stat st;
	uint32_t peer;
	DIR *dir;

	if (stat(path, &st) || !find_peer(st.st_ino, &peer))
		return false;
	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu32 "]", peer);
	dir = opendir("/proc");
	while (dir && !found && clock_us() < deadline && (entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !has_descriptor(entry->d_name, wanted, deadline, &readable))
			continue;
		*ret = (pid_t)strtol(entry->d_name, NULL, 10);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

enum process_holds process_holds_peer(pid_t pid, int fd)
{
	char wanted[64], name[32];
	bool readable;
	uint32_t peer;

	if (!ask_own_peer(fd, &peer))
		return PROCESS_HOLDS_UNKNOWN;
	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu32 "]", peer);
	snprintf(name, sizeof(name), "%d", pid);
	if (peer && has_descriptor(name, wanted, clock_us() + HOLDS_US, &readable))
		return PROCESS_HOLDS;
	return !peer || readable ? PROCESS_HOLDS_NOT : PROCESS_HOLDS_UNKNOWN;
}
