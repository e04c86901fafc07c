/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workload: open files, sockets, memory maps. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "workload.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* Open files */

static void regular_files(long number)
{
	char path[256];
	int fd;

	(void)number;
	set_name("files");
	make_directory("/tmp/files");
	for (int i = 0; i < HOSTILE_COUNT; i++) {
		snprintf(path, sizeof(path), "/tmp/files/%s", hostile[i]);
		fd = open(path, O_RDWR | O_CREAT | (i % 2 ? O_APPEND : 0) | (i % 3 ? 0 : O_CLOEXEC),
			  0600);
		REQUIRE(fd >= 0 && write(fd, "some text", 9) == 9);
		lseek(fd, i * 1000, SEEK_SET);
		if (i % 5 == 0)
			unlink(path);
	}
	fd = open("/tmp/files/far", O_RDWR | O_CREAT | O_LARGEFILE, 0600);
	lseek64(fd, 0x123456789abcLL, SEEK_SET);
	REQUIRE(open("/tmp/files/really (deleted)", O_WRONLY | O_CREAT, 0600) >= 0);
	ready();
}

static void special_files(long number)
{
	static const char *const paths[] = {
	    "/",           "/proc",        "/proc/self/maps",
	    "/dev/null",   "/dev/zero",    "/dev/kmsg",
	    "/sys/kernel", "/bin/busybox", "/proc/sys/kernel/hostname"};
	int pipes[2], fd;
	sigset_t none;

	(void)number;
	set_name("special-files");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		REQUIRE(open(paths[i], O_RDONLY | (i % 2 ? O_NONBLOCK : 0)) >= 0);
	REQUIRE(open("/bin/busybox", O_PATH) >= 0 && open("/tmp", O_PATH | O_DIRECTORY) >= 0);
	REQUIRE(pipe(pipes) == 0 && pipe2(pipes, O_NONBLOCK | O_CLOEXEC) == 0);
	REQUIRE(write(pipes[1], "unread", 6) == 6);
	sigemptyset(&none);
	REQUIRE((fd = epoll_create1(0)) >= 0 && eventfd(7, EFD_SEMAPHORE) >= 0);
	epoll_ctl(fd, EPOLL_CTL_ADD, pipes[0], &(struct epoll_event){.events = EPOLLIN});
	REQUIRE(signalfd(-1, &none, 0) >= 0 && timerfd_create(CLOCK_MONOTONIC, 0) >= 0);
	REQUIRE((fd = inotify_init1(0)) >= 0 && inotify_add_watch(fd, "/tmp", IN_CREATE) >= 0);
	REQUIRE(memfd_create("a memfd", 0) >= 0 && memfd_create(hostile[0], 0) >= 0);
	/* Not in every kernel. */
	if (syscall(SYS_pidfd_open, getpid(), 0) < 0)
		complain("pidfd_open");
	mkfifo("/tmp/fifo", 0600);
	REQUIRE(open("/tmp/fifo", O_RDWR) >= 0);
	ready();
}

static void many_files(long count)
{
	struct rlimit limit = {8192, 8192};

	set_name("many-files");
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (count == 1) {
		/* A sparse table: three entries far apart. */
		REQUIRE(dup2(0, 300) == 300 && dup2(1, 1000) == 1000 && dup2(2, 4100) == 4100);
	} else {
		for (long i = 0; i < count; i++)
			REQUIRE(open("/dev/null", O_RDONLY) >= 0);
	}
	ready();
}

static void no_files(long number)
{
	(void)number;
	set_name("no-files");
	for (int fd = 0; fd < 60; fd++)
		close(fd);
	ready();
}

/* A program that follows a file's numbers would notice a page in another's place. */
static void fill(int fd, off_t offset, size_t size)
{
	uint64_t numbers[512];

	for (size_t done = 0; done < size; done += sizeof(numbers)) {
		size_t part = size - done < sizeof(numbers) ? size - done : sizeof(numbers);

		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			numbers[i] = (uint64_t)fd << 56 | (done + i * 8) * 0x9e3779b97f4a7c15;
		REQUIRE(pwrite(fd, numbers, part, offset + (off_t)done) == (ssize_t)part);
	}
}

static int new_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	REQUIRE(fd >= 0);
	return fd;
}

static void link_to(const char *target, const char *path)
{
	if (symlink(target, path) < 0)
		complain(path);
}

/* Links whose targets are within the inode, and in a page. */
static void links(void)
{
	char target[256];

	for (size_t at = 0; at < 160; at += 4)
		snprintf(target + at, sizeof(target) - at, "././");
	snprintf(target + 160, sizeof(target) - 160, "page");
	link_to("page", "/tmp/contents/short");
	link_to("/tmp/contents/large", "/tmp/contents/absolute");
	link_to("../contents/short", "/tmp/contents/chain");
	link_to("loop", "/tmp/contents/loop");
	link_to("huge", "/tmp/contents/directory");
	link_to(target, "/tmp/contents/long");
	link_to("on-a-disk", "/run/disk/inside/short");
	snprintf(target + 160, sizeof(target) - 160, "on-a-disk");
	link_to(target, "/run/disk/inside/long");
}

/* A file on a mount that no other process sees. */
static void contents_apart(long number)
{
	(void)number;
	set_name("contents-apart");
	make_directory("/tmp/apart");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("apart", "/tmp/apart", "tmpfs", 0, NULL) < 0)
		complain("a mount namespace");
	fill(new_file("/tmp/apart/inside"), 0, 70000);
	ready();
}

/* What tests/guests/contents.py compares byte by byte. */
static void contents(long number)
{
	int fd;

	(void)number;
	set_name("contents");
	make_directory("/tmp/contents");
	fill(new_file("/tmp/contents/page"), 0, 4096);
	fill(new_file("/tmp/contents/large"), 0, (5 << 20) + 17);
	fd = new_file("/tmp/contents/sparse");
	fill(fd, 0, 100);
	fill(fd, (3 << 20) + 123, 5000);
	REQUIRE(ftruncate(fd, (9 << 20) + 5) == 0);
	/* Pages that nobody has written are read as zeros. */
	fd = new_file("/tmp/contents/reserved");
	REQUIRE(posix_fallocate(fd, 0, 300000) == 0);
	fill(fd, 40960, 5000);
	fill(new_file("/tmp/contents/deleted"), 0, 300000);
	REQUIRE(unlink("/tmp/contents/deleted") == 0);
	fd = memfd_create("contents", 0);
	REQUIRE(fd >= 0);
	fill(fd, 0, (2 << 20) + 4097);
	/* Pages of 2 MiB, where the kernel has them. */
	make_directory("/tmp/contents/huge");
	if (mount("huge", "/tmp/contents/huge", "tmpfs", 0, "size=32m,huge=always") < 0)
		complain("a tmpfs with huge pages");
	fill(new_file("/tmp/contents/huge/file"), 0, (6 << 20) + 9);
	if (open("/run/disk/inside/on-a-disk", O_RDONLY) < 0)
		complain("a file on a disk");
	links();
	ready();
}

void start_files(void)
{
	spawn(contents, 0);
	spawn(contents_apart, 0);
	spawn(regular_files, 0);
	spawn(special_files, 0);
	spawn(many_files, 1);
	spawn(many_files, 70);
	spawn(many_files, 600);
	spawn(no_files, 0);
}

/* Sockets */

static void internet(int family, const struct sockaddr *address, socklen_t size)
{
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	int listener = socket(family, SOCK_STREAM, 0), datagram, client;

	if (listener < 0 || bind(listener, address, size) < 0) {
		complain("an internet socket");
		return;
	}
	REQUIRE(listen(listener, 5) == 0);
	REQUIRE(getsockname(listener, (struct sockaddr *)&bound, &length) == 0);
	client = socket(family, SOCK_STREAM, 0);
	if (connect(client, (struct sockaddr *)&bound, length) < 0 ||
	    accept(listener, NULL, NULL) < 0)
		complain("a connection");
	datagram = socket(family, SOCK_DGRAM, 0);
	if (bind(datagram, address, size) < 0)
		complain("a datagram socket");
}

/* The other end has a mapped address: the listener is of IPv6, the client of IPv4. */
static void mapped(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(8087)};
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_port = htons(8087),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET6, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    listen(listener, 5) < 0 ||
	    connect(client, (struct sockaddr *)&four, sizeof(four)) < 0 ||
	    accept(listener, NULL, NULL) < 0)
		complain("a connection with a mapped address");
}

/* A socket that listens at a port of this host. */
static int listen_at(uint16_t port)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&four, sizeof(four)) < 0 || listen(fd, 5) < 0)
		complain("a socket that listens");
	return fd;
}

static int connect_to(int family, uint16_t port)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM, 0);

	six.sin6_addr = (struct in6_addr){{{[10] = 0xff, 0xff, 127, [15] = 1}}};
	if (connect(fd, family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six,
		    family == AF_INET ? sizeof(four) : sizeof(six)) < 0)
		complain("a connection");
	return fd;
}

/* The end that is left of a connection whose other end was closed. */
static void half_closed(void)
{
	int listener = listen_at(8088), client = connect_to(AF_INET, 8088);

	if (accept(listener, NULL, NULL) < 0 || shutdown(client, SHUT_WR) < 0)
		complain("a half-closed connection");
}

/* Bytes that nobody reads, as many as the other end's window takes, and some more. */
static void unread(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(own);
	static char bytes[5000];
	int listener = socket(AF_INET, SOCK_STREAM, 0), room = 4096, client, datagrams;

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	own.sin_port = htons(8093);
	if (bind(listener, (struct sockaddr *)&own, size) < 0 || listen(listener, 7) < 0)
		complain("a socket that listens");
	client = connect_to(AF_INET, 8093);
	if (accept(listener, NULL, NULL) < 0)
		complain("a connection");
	for (int i = 0; i < 4; i++)
		send(client, bytes, sizeof(bytes), MSG_DONTWAIT);
	datagrams = socket(AF_INET, SOCK_DGRAM, 0);
	own.sin_port = 0;
	if (bind(datagrams, (struct sockaddr *)&own, size) < 0 ||
	    getsockname(datagrams, (struct sockaddr *)&own, &size) < 0)
		complain("a datagram socket");
	for (int i = 0; i < 5; i++)
		sendto(datagrams, bytes, 100 + (size_t)i, 0, (struct sockaddr *)&own, size);
	if (recv(datagrams, bytes, sizeof(bytes), 0) != 100)
		complain("a datagram");
}

/*
 * Ends of connections that no process holds: not accepted, not even made as the listener waits for
 * data, and closed while the other end is not. The last one stays as it is for ten hours.
 */
static void sockets_of_no_process(void)
{
	int listener, seconds = 36000;

	listen_at(8090);
	connect_to(AF_INET, 8090);
	connect_to(AF_INET6, 8090);
	listener = listen_at(8091);
	if (setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) < 0)
		complain("a listener that waits for data");
	connect_to(AF_INET, 8091);
	write_text("/proc/sys/net/ipv4/tcp_fin_timeout", "36000");
	listener = listen_at(8092);
	for (int i = 0; i < 2; i++) {
		int client = connect_to(i ? AF_INET6 : AF_INET, 8092);

		if (accept(listener, NULL, NULL) < 0 || close(client) < 0)
			complain("a connection of which one end is closed");
	}
}

/* Of each family those that are bound to nothing, and datagrams that are connected. */
static void plain_sockets(int family, const struct sockaddr *address, socklen_t size)
{
	int fd = socket(family, SOCK_DGRAM, 0);

	if (connect(fd, address, size) < 0)
		complain("a connected datagram socket");
	if (socket(family, SOCK_STREAM, 0) < 0 || socket(family, SOCK_DGRAM, 0) < 0 ||
	    socket(family, SOCK_DGRAM, IPPROTO_UDPLITE) < 0 ||
	    socket(family, SOCK_RAW, family == AF_INET ? IPPROTO_RAW : IPPROTO_ICMPV6) < 0)
		complain("sockets bound to nothing");
}

static void connect_path(const char *path, socklen_t size)
{
	struct sockaddr_un other = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(other.sun_path, path, size);
	size += (socklen_t)offsetof(struct sockaddr_un, sun_path);
	if (bind(listener, (struct sockaddr *)&other, size) < 0 || listen(listener, 5) < 0 ||
	    connect(client, (struct sockaddr *)&other, size) < 0 ||
	    accept(listener, NULL, NULL) < 0)
		complain("a connection over a path");
}

/* Ping sockets are for groups that a file of each namespace names. */
static void ping(int family, int protocol)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	int fd;

	write_text("/proc/sys/net/ipv4/ping_group_range", "0 0");
	fd = socket(family, SOCK_DGRAM, protocol);
	if (fd < 0 || (family == AF_INET && bind(fd, (struct sockaddr *)&four, sizeof(four)) < 0))
		complain("a ping socket");
}

static void more_sockets(long number)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_port = htons(53),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {
	    .sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	int before = socket(AF_INET, SOCK_DGRAM, 0), fd;
	char longest[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	set_name(number ? "sockets-apart" : "sockets-more");
	/* One socket stays in the first namespace. */
	if (number && (unshare(CLONE_NEWNET) < 0 || ioctl(before, SIOCGIFFLAGS, &loopback) < 0))
		complain("a network namespace");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	loopback.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &loopback) < 0)
		complain("a loopback interface");
	mapped();
	half_closed();
	unread();
	sockets_of_no_process();
	plain_sockets(AF_INET, (struct sockaddr *)&four, sizeof(four));
	plain_sockets(AF_INET6, (struct sockaddr *)&six, sizeof(six));
	connect_path(number ? "/tmp/socket-apart" : "/tmp/socket-more", 17 + (number != 0));
	connect_path("\0hidden", 7);
	memset(longest, number ? 'm' : 'l', sizeof(longest));
	memcpy(longest, "/tmp/", 5);
	connect_path(longest, sizeof(longest));
	ping(AF_INET, IPPROTO_ICMP);
	ping(AF_INET6, IPPROTO_ICMPV6);
	fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
	if (fd < 0 || bind(fd, (struct sockaddr *)&link, sizeof(link)) < 0)
		complain("a packet socket");
	if (socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) < 0)
		complain("a netlink socket");
	ready();
}

static void sockets(long number)
{
	struct sockaddr_in four = {
	    .sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 six = {
	    .sin6_family = AF_INET6, .sin6_port = htons(8086), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	int pair[2], fd;

	(void)number;
	set_name("sockets");
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	for (int i = 0; i < HOSTILE_COUNT; i += 3) {
		snprintf(local.sun_path, sizeof(local.sun_path), "/tmp/socket-%s", hostile[i]);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		REQUIRE(bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0);
		REQUIRE(listen(fd, 1) == 0);
	}
	memcpy(local.sun_path, "\0abstract\0name", 14);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	REQUIRE(bind(fd, (struct sockaddr *)&local,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 14)) == 0);
	internet(AF_INET, (struct sockaddr *)&four, sizeof(four));
	internet(AF_INET6, (struct sockaddr *)&six, sizeof(six));
	if (socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) < 0)
		complain("a netlink socket");
	if (socket(AF_PACKET, SOCK_RAW, 0) < 0)
		complain("a packet socket");
	if (socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0)
		complain("a raw socket");
	ready();
}

void start_sockets(void)
{
	spawn(sockets, 0);
	spawn(more_sockets, 0);
	spawn(more_sockets, 1);
}

/* Memory maps */

static void *map(size_t size, int protection, int flags, int fd, off_t offset)
{
	void *at = mmap(NULL, size, protection, flags, fd, offset);

	if (at == MAP_FAILED)
		complain("mmap");
	return at;
}

static void anonymous_maps(long number)
{
	char *at;

	(void)number;
	set_name("anonymous-maps");
	map(1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	map((size_t)1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	at = map(1 << 16, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(at != MAP_FAILED);
	/* One area, pages present and absent in turn, one protected afterwards. */
	for (int i = 0; i < 16; i += 2)
		at[i * 4096] = 'x';
	REQUIRE(mprotect(at + 8192, 4096, PROT_NONE) == 0);
	map(1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	map(1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	at = map(1 << 14, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, 1 << 14, "a named area") < 0)
		complain("a named area");
	if (mmap((void *)0x100000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		complain("a low mapping");
	REQUIRE(sbrk(1 << 20) != (void *)-1);
	ready();
}

static void huge_maps(long number)
{
	const size_t huge = 2 << 20;
	char *at;

	(void)number;
	set_name("huge-maps");
	if (write_text("/proc/sys/vm/nr_hugepages", "4")) {
		at = map(huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
			 -1, 0);
		if (at != MAP_FAILED)
			*at = 'h';
	}
	at = map(4 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(at != MAP_FAILED);
	at = (char *)(((uintptr_t)at + huge - 1) & ~(uintptr_t)(huge - 1));
	if (madvise(at, 2 * huge, MADV_HUGEPAGE) < 0)
		complain("transparent huge pages");
	memset(at, 't', 2 * huge);
	ready();
}

static void shared_maps(long number)
{
	int fd, id;
	char path[256];

	(void)number;
	set_name("shared-maps");
	id = shmget(IPC_PRIVATE, 1 << 16, IPC_CREAT | 0600);
	REQUIRE(id >= 0 && shmat(id, NULL, 0) != (void *)-1);
	REQUIRE(shmctl(id, IPC_RMID, NULL) == 0);
	fd = shm_open("/posix", O_RDWR | O_CREAT, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, 1 << 16) == 0);
	map(1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fd = memfd_create("mapped memfd", 0);
	REQUIRE(fd >= 0 && ftruncate(fd, 1 << 16) == 0);
	map(1 << 16, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 4096);
	for (int i = 0; i < HOSTILE_COUNT; i++) {
		snprintf(path, sizeof(path), "/tmp/map-%s", hostile[i]);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		REQUIRE(fd >= 0 && ftruncate(fd, 1 << 14) == 0);
		map(1 << 14, PROT_READ, i % 2 ? MAP_SHARED : MAP_PRIVATE, fd, (i % 3) * 4096);
		if (i % 4 == 0)
			unlink(path);
		close(fd);
	}
	/* An offset that takes more than 32 bits. */
	fd = open("/tmp/map-far", O_RDWR | O_CREAT | O_LARGEFILE, 0600);
	REQUIRE(fd >= 0 && ftruncate64(fd, 0x300000000LL) == 0);
	map(4096, PROT_READ, MAP_SHARED, fd, 0x212345000LL);
	ready();
}

/* Neighbours of different protection cannot be merged. */
static void many_maps(long count)
{
	char *at = map((size_t)count * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	set_name("many-maps");
	REQUIRE(at != MAP_FAILED);
	for (long i = 0; i < count; i += 2)
		REQUIRE(mprotect(at + i * 4096, 4096, PROT_READ | PROT_WRITE) == 0);
	ready();
}

void start_maps(void)
{
	spawn(anonymous_maps, 0);
	spawn(huge_maps, 0);
	spawn(shared_maps, 0);
	spawn(many_maps, 1200);
}
