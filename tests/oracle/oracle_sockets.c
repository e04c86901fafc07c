/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets: each descriptor is copied into this process, and the kernel asked for what it is. The
 * states of UNIX sockets are from /proc/PID/net/unix.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "oracle.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894c
#endif

/* Numbers in include/net/tcp_states.h; words as osquery has them. */
static const char *const states[] = {
    NULL,        "ESTABLISHED", "SYN_SENT",   "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
    "TIME_WAIT", "CLOSED",      "CLOSE_WAIT", "LAST_ACK", "LISTEN",    "CLOSING",
};

enum { STATE_ESTABLISHED = 1, STATE_CLOSED = 7, STATE_LISTEN = 10, ACCEPTS = 1 << 16 };

static int option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value = -1;

	getsockopt(fd, SOL_SOCKET, name, &value, &size);
	return value;
}

static void row_side(const char *address_column, const char *port_column,
		     const struct sockaddr_storage *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	bool wide = address->ss_family == AF_INET6;
	char text[INET6_ADDRSTRLEN];

	inet_ntop(address->ss_family,
		  wide ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, text,
		  sizeof(text));
	row_text(address_column, text);
	row_number(port_column, ntohs(wide ? six->sin6_port : four->sin_port));
}

static void row_internet(int fd, int family, int protocol)
{
	struct sockaddr_storage own = {0}, other = {.ss_family = (sa_family_t)family};
	struct tcp_info info = {0};
	socklen_t size = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &size) == 0)
		row_side("local_address", "local_port", &own);
	size = sizeof(other);
	/* On failure it stays zeros. */
	getpeername(fd, (struct sockaddr *)&other, &size);
	row_side("remote_address", "remote_port", &other);
	size = sizeof(info);
	row_null("path");
	if (protocol != IPPROTO_TCP)
		row_null("state");
	else if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
		row_text("state", states[info.tcpi_state]);
	/* The tables do not have the limit of a socket that listens (tcp_get_info()). */
	if (protocol == IPPROTO_TCP && info.tcpi_state == STATE_LISTEN)
		row_number("send_queue", info.tcpi_sacked);
}

/* The state as the socket's namespace tells it; 0: this process is in another. */
static int unix_state(long pid, unsigned long long inode)
{
	struct bytes text;

	if (!read_file(1, &text, "/proc/%ld/net/unix", pid))
		return 0;
	for (char *at = text.data; at; at = strchr(at, '\n')) {
		unsigned long long number;
		unsigned flags, state;

		at += *at == '\n';
		if (sscanf(at, "%*[0-9a-f]: %*x %*x %x %*x %x %llu", &flags, &state, &number) ==
			3 &&
		    number == inode)
			return flags & ACCEPTS ? STATE_LISTEN
			       : state == 3    ? STATE_ESTABLISHED
					       : STATE_CLOSED;
	}
	return 0;
}

static void row_unix_path(int fd)
{
	struct sockaddr_un own = {0};
	socklen_t length = sizeof(own);
	char path[sizeof(own.sun_path) + 1];
	size_t size = 0;

	if (getsockname(fd, (struct sockaddr *)&own, &length) == 0 &&
	    length > offsetof(struct sockaddr_un, sun_path))
		size = length - offsetof(struct sockaddr_un, sun_path);
	if (size > sizeof(own.sun_path))
		size = sizeof(own.sun_path);
	if (own.sun_path[0])
		size = strnlen(own.sun_path, size);
	for (size_t i = 0; i < size; i++)
		path[i] = own.sun_path[i] ? own.sun_path[i] : '@';
	row_bytes("path", path, size);
}

static void row_unix(int fd, long pid, unsigned long long inode)
{
	int state = unix_state(pid, inode);

	row_unix_path(fd);
	if (state)
		row_text("state", states[state]);
}

static void row_type(int type)
{
	static const char *const names[] = {NULL, "stream", "dgram", "raw", "rdm", "seqpacket"};

	if (type > 0 && (size_t)type < sizeof(names) / sizeof(names[0]))
		row_text("type", names[type]);
}

static void row_none(bool path)
{
	static const char *const columns[] = {"local_address", "remote_address", "local_port",
					      "remote_port"};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		row_null(columns[i]);
	if (path)
		row_null("path");
	if (path)
		row_null("state");
	row_null("recv_queue");
	row_null("send_queue");
}

static void row_namespace_of(int fd)
{
	int namespace = ioctl(fd, SIOCGSKNS);
	struct stat stat;

	if (namespace >= 0 && fstat(namespace, &stat) == 0)
		row_unsigned("net_namespace", stat.st_ino);
	if (namespace >= 0)
		close(namespace);
}

/* Whether the kernel says that it listens, or that it is bound and has no other end. */
static bool listens(int fd, int family)
{
	struct sockaddr_storage own = {0}, other = {0};
	socklen_t size = sizeof(own);
	int type = option(fd, SO_TYPE);

	if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
		return false;
	if (family == AF_UNIX)
		return size > offsetof(struct sockaddr_un, sun_path);
	if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
		return option(fd, SO_ACCEPTCONN) == 1;
	/* The port has the same place in both families. */
	size = sizeof(other);
	getpeername(fd, (struct sockaddr *)&other, &size);
	return ((struct sockaddr_in *)&own)->sin_port && !((struct sockaddr_in *)&other)->sin_port;
}

static void emit_listening(int fd, long pid, long number, int family, int protocol)
{
	struct sockaddr_storage own = {0};
	socklen_t size = sizeof(own);
	struct stat stat = {0};

	fstat(fd, &stat);
	getsockname(fd, (struct sockaddr *)&own, &size);
	row_begin("listening_ports");
	row_number("pid", pid);
	row_number("fd", number);
	row_unsigned("socket", stat.st_ino);
	row_number("family", family);
	row_number("protocol", protocol);
	row_namespace_of(fd);
	if (family == AF_UNIX) {
		row_null("address");
		row_null("port");
		row_unix_path(fd);
	} else {
		row_side("address", "port", &own);
		row_null("path");
	}
	row_end();
}

/* The inodes of all sockets that processes hold. */
static unsigned long long held[65536];
static size_t held_count;

static void hold(unsigned long long inode)
{
	if (held_count == sizeof(held) / sizeof(held[0])) {
		fprintf(stderr, "oracle: too many sockets\n");
		exit(1);
	}
	held[held_count++] = inode;
}

static bool is_held(unsigned long long inode)
{
	for (size_t i = 0; i < held_count; i++) {
		if (held[i] == inode)
			return true;
	}
	return false;
}

static void emit_socket(int fd, long pid, long number)
{
	int family = option(fd, SO_DOMAIN), protocol = option(fd, SO_PROTOCOL);
	struct sockaddr_ll link = {0};
	socklen_t size = sizeof(link);
	struct stat stat = {0};

	fstat(fd, &stat);
	hold(stat.st_ino);
	if (family == AF_PACKET && getsockname(fd, (struct sockaddr *)&link, &size) == 0)
		protocol = ntohs(link.sll_protocol);
	row_begin("process_open_sockets");
	row_number("pid", pid);
	row_number("fd", number);
	row_unsigned("socket", stat.st_ino);
	row_number("family", family);
	row_number("protocol", protocol);
	row_type(option(fd, SO_TYPE));
	row_namespace_of(fd);
	if (family == AF_INET || family == AF_INET6)
		row_internet(fd, family, protocol);
	else
		row_none(family != AF_UNIX);
	if (family == AF_UNIX)
		row_unix(fd, pid, stat.st_ino);
	row_end();
	if ((family == AF_INET || family == AF_INET6 || family == AF_UNIX) && listens(fd, family))
		emit_listening(fd, pid, number, family, protocol);
}

void emit_sockets(long pid)
{
	struct bytes target;
	long *fds = NULL;
	ssize_t count = list_numbers(&fds, "/proc/%ld/fd", pid);
	int process = count > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	for (ssize_t i = 0; i < count; i++) {
		int fd;

		if (!read_link(&target, "/proc/%ld/fd/%ld", pid, fds[i]) ||
		    strncmp(target.data, "socket:[", 8))
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, process, fds[i], 0);
		if (fd < 0) {
			fprintf(stderr, "oracle: socket %ld of process %ld: %s\n", fds[i], pid,
				strerror(errno));
			exit(1);
		}
		emit_socket(fd, pid, fds[i]);
		close(fd);
	}
	if (process >= 0)
		close(process);
	free(fds);
}

void make_time_wait(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(own);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	/* It fails where the loopback device is down. */
	bool connected = listen(listener, 1) == 0 &&
			 getsockname(listener, (struct sockaddr *)&own, &size) == 0 &&
			 connect(client, (struct sockaddr *)&own, size) == 0;

	close(client);
	if (connected)
		close(accept(listener, NULL, NULL));
	close(listener);
}

/* One side as the tables in /proc/net show it: words of the address in this host's byte order. */
static void row_hex_side(const char *address_column, const char *port_column, int family,
			 const char *address, unsigned port)
{
	struct sockaddr_storage side = {.ss_family = (sa_family_t)family};
	struct sockaddr_in *four = (struct sockaddr_in *)&side;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&side;
	uint32_t words[4] = {0};

	sscanf(address, "%8x%8x%8x%8x", &words[0], &words[1], &words[2], &words[3]);
	if (family == AF_INET6)
		memcpy(&six->sin6_addr, words, sizeof(words));
	else
		four->sin_addr.s_addr = words[0];
	six->sin6_port = htons((uint16_t)port);
	row_side(address_column, port_column, &side);
}

/* What waits in a socket that was emitted with its process. */
static void emit_queues(unsigned long long inode, unsigned sent, unsigned received, bool listens)
{
	row_begin("socket_queues");
	row_unsigned("socket", inode);
	row_number("recv_queue", received);
	if (!listens)
		row_number("send_queue", sent);
	row_end();
}

static void emit_table(unsigned long long namespace, const char *name, int family, int protocol)
{
	struct bytes text;
	bool tcp = protocol == IPPROTO_TCP;

	if (!read_file(1, &text, "/proc/self/net/%s", name))
		return;
	for (char *at = strchr(text.data, '\n'); at && *++at; at = strchr(at, '\n')) {
		char own[33], other[33];
		unsigned own_port, other_port, state, sent, received;
		unsigned long long inode;

		if (sscanf(
			at, "%*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %x:%x %*x:%*x %*x %*u %*u %llu",
			own, &own_port, other, &other_port, &state, &sent, &received, &inode) != 8)
			continue;
		if (inode && is_held(inode)) {
			emit_queues(inode, sent, received, tcp && state == STATE_LISTEN);
			continue;
		}
		if (protocol == IPPROTO_RAW || protocol == IPPROTO_ICMP)
			continue;
		row_begin("process_open_sockets");
		row_number("pid", -1);
		row_number("fd", -1);
		if (inode)
			row_unsigned("socket", inode);
		else
			row_null("socket");
		row_number("family", family);
		row_number("protocol", protocol);
		row_hex_side("local_address", "local_port", family, own, own_port);
		row_hex_side("remote_address", "remote_port", family, other, other_port);
		row_null("path");
		if (tcp)
			row_text("state", states[state]);
		else
			row_null("state");
		row_text("type", tcp ? "stream" : "dgram");
		row_number("recv_queue", received);
		if (!tcp || state != STATE_LISTEN)
			row_number("send_queue", sent);
		row_unsigned("net_namespace", namespace);
		row_end();
	}
}

void emit_sockets_of_no_process(unsigned long long namespace)
{
	emit_table(namespace, "tcp", AF_INET, IPPROTO_TCP);
	emit_table(namespace, "tcp6", AF_INET6, IPPROTO_TCP);
	emit_table(namespace, "udp", AF_INET, IPPROTO_UDP);
	emit_table(namespace, "udp6", AF_INET6, IPPROTO_UDP);
	emit_table(namespace, "udplite", AF_INET, IPPROTO_UDPLITE);
	emit_table(namespace, "udplite6", AF_INET6, IPPROTO_UDPLITE);
	/* Of these the sockets of processes alone. */
	emit_table(namespace, "raw", AF_INET, IPPROTO_RAW);
	emit_table(namespace, "raw6", AF_INET6, IPPROTO_RAW);
	emit_table(namespace, "icmp", AF_INET, IPPROTO_ICMP);
	emit_table(namespace, "icmp6", AF_INET6, IPPROTO_ICMP);
}
