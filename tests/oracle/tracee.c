/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that is traced, and writes down what it does, for tests/guests/trace.py: one line each
 * on standard output, "TID OPERATION TEXT RESULT", written by one write() so that the lines of
 * several processes do not mix. What it opens and makes lies below /tmp/traced.
 *
 *	tracee ROUNDS      files, processes, threads, connections; ends with "done"
 *	tracee syscalls    a few system calls, with all their arguments; ends with "done"
 *	tracee calls       other system calls, one after the other; ends with "done"
 *	tracee status N    ends with status N: what its children execute
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER  "/tmp/traced"
#define THREADS 4

static int number_of_tid(void)
{
	return (int)syscall(SYS_gettid);
}

__attribute__((format(printf, 1, 2))) static void record(const char *format, ...)
{
	char line[512];
	int size = snprintf(line, sizeof(line), "%d ", number_of_tid());
	va_list args;

	va_start(args, format);
	size += vsnprintf(line + size, sizeof(line) - (size_t)size - 1, format, args);
	va_end(args);
	line[size++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)size) != size)
		_exit(99);
}

static void die(const char *what)
{
	record("failed %s %d", what, errno);
	_exit(98);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	record("open %s %d", path, fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

static void use_files(int round, int who)
{
	char path[64], other[64];

	snprintf(path, sizeof(path), FOLDER "/file-%d-%d", round, who);
	snprintf(other, sizeof(other), FOLDER "/other-%d-%d", round, who);
	try_open(path, O_RDWR | O_CREAT | O_EXCL);
	try_open(path, O_RDWR | O_CREAT | O_EXCL);
	try_open(other, O_RDONLY);
	record("rename %s %d", path, rename(path, other) ? errno : 0);
	record("chmod %s %d", other, chmod(other, 0640) ? errno : 0);
	record("symlink %s %d", path, symlink(other, path) ? errno : 0);
	try_open(path, O_WRONLY | O_APPEND);
	record("unlink %s %d", path, unlink(path) ? errno : 0);
	record("unlink %s %d", other, unlink(other) ? errno : 0);
	record("mkdir %s %d", path, mkdir(path, 0700) ? errno : 0);
	record("rmdir %s %d", path, rmdir(path) ? errno : 0);
}

/* ---- Processes ------------------------------------------------------------------------------- */

static pid_t make_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		record("fork %d 0", pid);
	return pid;
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFSIGNALED(status))
		record("signaled %d %d", pid, WTERMSIG(status));
	else
		record("exited %d %d", pid, WEXITSTATUS(status));
}

static void execute(int status)
{
	char number[16];
	pid_t pid = make_child();

	snprintf(number, sizeof(number), "%d", status);
	if (!pid) {
		execl("/bin/no-such-program", "no-such-program", (char *)NULL);
		execl("/bin/tracee", "tracee", "status", number, (char *)NULL);
		_exit(97);
	}
	wait_for(pid);
}

static void be_killed(int signal_number)
{
	pid_t pid = make_child();

	if (!pid) {
		for (;;)
			pause();
	}
	record("kill %d %d", pid, signal_number);
	kill(pid, signal_number);
	wait_for(pid);
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct thread {
	int round, who;
};

static void *run_thread(void *data)
{
	const struct thread *thread = data;

	use_files(thread->round, thread->who);
	return NULL;
}

static void use_threads(int round)
{
	struct thread threads[THREADS];
	pthread_t ids[THREADS];

	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){round, i + 1};
		if (pthread_create(&ids[i], NULL, run_thread, &threads[i]))
			die("pthread_create");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void bring_up_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("ifup");
	close(fd);
}

struct server {
	int fd, port, connections;
};

/* Sleeps within accept(): the client waits before it connects. */
static void *serve(void *data)
{
	struct server *server = data;

	for (int i = 0; i < server->connections; i++) {
		struct sockaddr_in peer = {0};
		socklen_t size = sizeof(peer);
		int fd = accept(server->fd, (struct sockaddr *)&peer, &size);

		if (fd < 0)
			die("accept");
		record("accept %d 0", ntohs(peer.sin_port));
		close(fd);
	}
	return NULL;
}

static void try_connect(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	if (fd < 0)
		die("socket");
	record("connect 127.0.0.1:%d %d", port,
	       connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0);
	close(fd);
}

static void try_unix_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = FOLDER "/no-socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	record("connect %s %d", address.sun_path,
	       connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0);
	close(fd);
}

static void use_sockets(int connections)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct server server = {.fd = socket(AF_INET, SOCK_STREAM, 0), .connections = connections};
	socklen_t size = sizeof(address);
	pthread_t thread;

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(server.fd, 5) || getsockname(server.fd, (struct sockaddr *)&address, &size))
		die("listen");
	server.port = ntohs(address.sin_port);
	if (pthread_create(&thread, NULL, serve, &server))
		die("pthread_create");
	for (int i = 0; i < connections; i++) {
		usleep(20000);
		try_connect(server.port);
	}
	pthread_join(thread, NULL);
	close(server.fd);
	/* Nobody listens there any more. */
	try_connect(server.port);
	try_unix_connect();
}

/* ---- Other system calls ---------------------------------------------------------------------- */

static void record_send(const char *to, size_t size, ssize_t sent)
{
	record("send %s/%zu %d", to, size, sent < 0 ? errno : 0);
}

static void send_messages(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1234)};
	struct sockaddr_un nobody = {.sun_family = AF_UNIX, .sun_path = "/tmp/nobody"};
	struct iovec parts[] = {{"two", 3}, {"parts", 5}};
	struct msghdr message = {.msg_name = &address,
				 .msg_namelen = sizeof(address),
				 .msg_iov = parts,
				 .msg_iovlen = 2};
	int udp = socket(AF_INET, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_DGRAM, 0);

	inet_pton(AF_INET, "127.0.0.7", &address.sin_addr);
	if (udp < 0 || local < 0)
		die("socket");
	record_send("127.0.0.7:1234", 5,
		    sendto(udp, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)));
	record_send("127.0.0.7:1234", 8, sendmsg(udp, &message, MSG_DONTWAIT));
	record_send("/tmp/nobody", 2,
		    sendto(local, "hi", 2, 0, (struct sockaddr *)&nobody, sizeof(nobody)));
	if (connect(udp, (struct sockaddr *)&address, sizeof(address)))
		die("connect");
	record_send("127.0.0.7:1234", 1, send(udp, "x", 1, MSG_NOSIGNAL));
	record_send("-", 3, send(STDERR_FILENO, "abc", 3, 0));
	record_send("-", 3, send(-1, "abc", 3, 0));
	close(udp);
	close(local);
}

static void protect(char *at, int protection, const char *name)
{
	int result = mprotect(at, 4096, protection);

	record("mprotect %p/%s %d", (void *)at, name, result ? errno : 0);
}

/* Where nothing else is, so that the trace can tell these from the C library's. */
#define PLACE ((char *)0x10000000)

static void protect_memory(void)
{
	char *at = mmap(PLACE, 8192, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (at != PLACE)
		die("mmap");
	protect(at, PROT_READ, "PROT_READ");
	protect(at, PROT_READ | PROT_EXEC, "PROT_READ|PROT_EXEC");
	protect(at + 4096, PROT_NONE, "PROT_NONE");
	munmap(at, 8192);
	protect(at, PROT_READ, "PROT_READ");
}

static void make_memory_file(void)
{
	int fd = memfd_create("traced", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	record("memfd_create traced/MFD_CLOEXEC|MFD_ALLOW_SEALING %d", fd < 0 ? errno : 0);
	close(fd);
	fd = memfd_create("wrong", 0x8000);
	record("memfd_create wrong/0x8000 %d", fd < 0 ? errno : 0);
}

static void use_bpf(void)
{
	union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY,
				     .key_size = 4,
				     .value_size = 8,
				     .max_entries = 1,
				     .map_name = "traced_map"};
	long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));

	record("bpf BPF_MAP_CREATE/BPF_MAP_TYPE_ARRAY/traced_map %d", fd < 0 ? errno : 0);
	if (fd >= 0)
		close((int)fd);
	memset(&attributes, 0, sizeof(attributes));
	fd = syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attributes, sizeof(attributes));
	record("bpf BPF_PROG_GET_NEXT_ID/None/None %d", fd < 0 ? errno : 0);
	fd = syscall(SYS_bpf, 9999, &attributes, sizeof(attributes));
	record("bpf 9999/None/None %d", fd < 0 ? errno : 0);
}

static void use_prctl(void)
{
	int result = prctl(PR_SET_NAME, "renamed");

	record("prctl PR_SET_NAME/renamed %d", result < 0 ? errno : 0);
	result = prctl(12345, 1, 2, 3, 4);
	record("prctl 0x3039/None %d", result < 0 ? errno : 0);
}

static void read_own_memory(void)
{
	char from[8] = "memory", to[8] = "";
	struct iovec own = {to, 8}, other = {from, 8};
	ssize_t size = process_vm_readv(getpid(), &own, 1, &other, 1, 0);

	record("process_vm read/%d/%p/8 %d", getpid(), (void *)from, size < 0 ? errno : 0);
	size = process_vm_writev(getpid(), &own, 1, &other, 1, 0);
	record("process_vm write/%d/%p/8 %d", getpid(), (void *)from, size < 0 ? errno : 0);
	size = process_vm_readv(INT32_MAX, &own, 1, &other, 1, 0);
	record("process_vm read/%d/%p/8 %d", INT32_MAX, (void *)from, size < 0 ? errno : 0);
}

static void use_namespaces(void)
{
	int result = unshare(CLONE_NEWUTS | CLONE_FS), fd = open("/proc/self/ns/uts", O_RDONLY);

	record("namespace unshare/CLONE_FS|CLONE_NEWUTS/None %d", result ? errno : 0);
	result = setns(fd, CLONE_NEWUTS);
	record("namespace setns/CLONE_NEWUTS/%d %d", fd, result ? errno : 0);
	result = setns(-1, 0);
	record("namespace setns/0x0/-1 %d", result ? errno : 0);
	close(fd);
}

static void use_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	long result;

	if (syscall(SYS_capget, &header, data))
		die("capget");
	/* CAP_WAKE_ALARM */
	data[1].effective &= ~(1U << 3);
	for (int i = 0; i < 2; i++) {
		/* In the second round more than is permitted is inheritable and effective. */
		data[1].permitted &= ~(i * 8U);
		data[1].effective |= i * 8U;
		result = syscall(SYS_capset, &header, data);
		record("capabilities 0x%08x%08x/0x%08x%08x/0x%08x%08x %d", data[1].effective,
		       data[0].effective, data[1].permitted, data[0].permitted, data[1].inheritable,
		       data[0].inheritable, result ? errno : 0);
	}
}

/* Opens a file by io_uring, which makes one system call for any number of operations. */
static void use_io_uring(void)
{
	struct io_uring_params parameters = {0};
	int fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	struct io_uring_sqe *entries;
	size_t size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
	char *ring;

	record("io_uring setup/4/None %d", fd < 0 ? errno : 0);
	if (fd < 0)
		die("io_uring_setup");
	ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	entries = mmap(NULL, parameters.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, IORING_OFF_SQES);
	if (ring == MAP_FAILED || entries == MAP_FAILED)
		die("mmap");
	for (unsigned i = 0; i < 2; i++)
		((unsigned *)(ring + parameters.sq_off.array))[i] = i;
	memset(entries, 0, 2 * sizeof(*entries));
	entries[0].opcode = IORING_OP_NOP;
	entries[0].user_data = 0x1111;
	entries[1].opcode = IORING_OP_OPENAT;
	entries[1].fd = AT_FDCWD;
	entries[1].addr = (uintptr_t)FOLDER;
	entries[1].user_data = 0x2222;
	__atomic_store_n((unsigned *)(ring + parameters.sq_off.tail), 2, __ATOMIC_RELEASE);
	record("io_uring IORING_OP_NOP/None/0x1111 None");
	record("io_uring IORING_OP_OPENAT/None/0x2222 None");
	if (syscall(SYS_io_uring_enter, fd, 2, 2, IORING_ENTER_GETEVENTS, NULL, 0) != 2)
		die("io_uring_enter");
	close(fd);
}

#define ONE FOLDER "/one"
#define TWO FOLDER "/two"

static void change_files(void)
{
	int fd = open(ONE, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		die("open");
	close(fd);
	record("link " ONE "->" TWO " %d", link(ONE, TWO) ? errno : 0);
	record("chown " ONE "->1:2 %d", chown(ONE, 1, 2) ? errno : 0);
	record("truncate " ONE " %d", truncate(ONE, 10) ? errno : 0);
	record("unlink " TWO " %d", unlink(TWO) ? errno : 0);
	record("unlink " ONE " %d", unlink(ONE) ? errno : 0);
}

static void use_mounts(void)
{
	int result = mount("nowhere", FOLDER, "tmpfs", MS_NOSUID, "");

	record("mount mount/" FOLDER "/nowhere/tmpfs/0x2 %d", result ? errno : 0);
	result = umount2(FOLDER, 0);
	record("mount umount/" FOLDER "/None/None/0x0 %d", result ? errno : 0);
	result = mount("nowhere", FOLDER, "no-such-type", 0, "");
	record("mount mount/" FOLDER "/nowhere/no-such-type/0x0 %d", result ? errno : 0);
}

static void listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5555)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.5", &address.sin_addr);
	record("bind 127.0.0.5:5555 None");
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind");
	record("listen 127.0.0.5:5555/7 None");
	if (listen(fd, 7))
		die("listen");
	close(fd);
}

static void trace_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		for (;;)
			pause();
	}
	record("ptrace %d %d", pid, ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ? errno : 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void change_ids(void)
{
	if (setresuid(-1, -1, 1000))
		die("setresuid");
	record("credentials 0/0/1000 None");
}

static void use_calls(void)
{
	change_files();
	use_mounts();
	listen_somewhere();
	trace_child();

	send_messages();
	protect_memory();
	make_memory_file();
	use_bpf();
	use_prctl();
	read_own_memory();
	use_namespaces();
	use_io_uring();
	use_capabilities();
	change_ids();
}

/* ---- System calls with their arguments ------------------------------------------------------- */

static void record_call(const char *abi, const char *text, bool failed)
{
	record("syscalls %s/%s %s", abi, text, failed ? strerrorname_np(errno) : "None");
}

#define MISSING      "/tmp/no-such-file"
#define OPEN_MISSING "openat/dfd=AT_FDCWD,filename=\"" MISSING "\",flags=O_RDWR|O_CLOEXEC,mode=00"

/* A program of 64 bits can make the system calls of those of 32 bits; the path lies below 4 GiB. */
static void open_as_32_bits(void)
{
#ifdef __x86_64__
	long result;

	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(295L), "b"((long)AT_FDCWD), "c"(MISSING),
		       "d"((long)(O_RDWR | O_CLOEXEC)), "S"(0L)
		     : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-result;
	record_call("i386", OPEN_MISSING, result < 0);
#endif
}

/* Debian's kernels have x32 only if they are started with syscall.x32=y. */
static void open_as_x32(void)
{
#ifdef __x86_64__
	if (syscall(SYS_getpid | __X32_SYSCALL_BIT) != getpid())
		return;
	record_call(
	    "x32", OPEN_MISSING,
	    syscall(SYS_openat | __X32_SYSCALL_BIT, AT_FDCWD, MISSING, O_RDWR | O_CLOEXEC, 0) < 0);
#endif
}

/* A name that looks like the end of the text and another argument. */
static void open_quoted(const char *abi)
{
	record_call(abi,
		    "openat/dfd=AT_FDCWD,filename=\"" MISSING
		    "\\\",flags=\\\\\",flags=O_RDONLY,mode=00",
		    syscall(SYS_openat, AT_FDCWD, MISSING "\",flags=\\", O_RDONLY, 0) < 0);
}

static void show_calls(void)
{
	const char *abi = sizeof(void *) == 8 ? "x86_64" : "i386";
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
	char text[128];

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	record_call(abi, OPEN_MISSING,
		    syscall(SYS_openat, AT_FDCWD, MISSING, O_RDWR | O_CLOEXEC, 0) < 0);
	record_call(abi, "mprotect/start=0x10000000,len=4096,prot=PROT_READ|PROT_EXEC",
		    syscall(SYS_mprotect, 0x10000000L, 4096L, (long)(PROT_READ | PROT_EXEC)) < 0);
	record_call(abi, "connect/fd=-1,uservaddr={inet127.0.0.1:80},addrlen=16",
		    syscall(SYS_connect, -1, &address, sizeof(address)) < 0);
	snprintf(text, sizeof(text), "tgkill/tgid=%d,pid=%d,sig=SIGWINCH", getpid(), getpid());
	record_call(abi, text, syscall(SYS_tgkill, getpid(), getpid(), SIGWINCH) < 0);
	open_quoted(abi);
	open_as_32_bits();
	open_as_x32();
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;

	if (argc == 3) {
		record("exec /bin/tracee tracee_status_%s", argv[2]);
		return atoi(argv[2]);
	}
	if (argc > 1 && !strcmp(argv[1], "syscalls")) {
		show_calls();
		record("done - 0");
		return 0;
	}
	if (mkdir(FOLDER, 0700))
		die("mkdir");
	bring_up_loopback();
	if (argc > 1 && !strcmp(argv[1], "calls")) {
		use_calls();
		rounds = 0;
	}
	for (int i = 0; i < rounds; i++) {
		use_files(i, 0);
		execute(i % 256);
		be_killed(i % 2 ? SIGKILL : SIGTERM);
		use_threads(i);
	}
	if (rounds)
		use_sockets(rounds < 10 ? rounds : 10);
	if (rmdir(FOLDER))
		die("rmdir");
	record("done - 0");
	return 0;
}
