/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens a guest as the command does, confined, and tries everything that a confined process must
 * not be able to do. Then it reads the guest, and pauses it if it runs.
 *
 *	confined TARGET         prints "passed N", "failed NAME: …"; status 0 if none failed
 *	confined                the same with a file of its own
 *	confined killed TARGET  kills the confined process while it holds the guest paused
 *
 * That each attempt can tell the difference is tried first, in a process that is not confined.
 */
#include <nunchi/nunchi.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned passed, failed;

static void judge(const char *name, bool right, const char *what)
{
	if (right) {
		passed++;
		return;
	}
	failed++;
	printf("failed %s: %s\n", name, what);
}

/* ---- What must not be possible --------------------------------------------------------------- */

static void *page;  /* private memory */
static int outside; /* a pipe that was open before */
/* A socket at which the confined process may accept connections, the only one; 0: none. */
static int listener;

/* Each gives what the system call gives: -1 with errno. Harmless if it succeeds. */
#define CALL(name, ...)                                                                            \
	static long try_##name(void)                                                               \
	{                                                                                          \
		return syscall(SYS_##name, __VA_ARGS__);                                           \
	}
CALL(openat, AT_FDCWD, "/dev/null", O_RDONLY)
CALL(memfd_create, "x", 0)
CALL(socket, AF_UNIX, SOCK_STREAM, 0)
CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, page)
CALL(connect, outside, page, 0)
CALL(accept4, outside, 0, 0, 0)
CALL(bind, outside, page, 0)
CALL(sendto, outside, page, 0, 0, NULL, 0)
CALL(sendmsg, outside, NULL, 0)
CALL(recvmsg, outside, NULL, 0)
CALL(execve, "/nonexistent", NULL, NULL)
CALL(execveat, -1, "/nonexistent", NULL, NULL, 0)
CALL(clone, 0x7fffffff, NULL, NULL, NULL, 0)
CALL(unshare, 0)
CALL(setns, -1, 0)
CALL(ptrace, PTRACE_PEEKDATA, 0, NULL, NULL)
CALL(process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)
CALL(process_vm_writev, getpid(), NULL, 0, NULL, 0, 0)
CALL(kill, getppid(), 0)
CALL(tgkill, getppid(), getppid(), 0)
CALL(tkill, getppid(), 0)
CALL(unlinkat, AT_FDCWD, "/nonexistent", 0)
CALL(renameat2, AT_FDCWD, "/nonexistent", AT_FDCWD, "/nonexistent2", 0)
CALL(linkat, AT_FDCWD, "/nonexistent", AT_FDCWD, "/nonexistent2", 0)
CALL(symlinkat, "x", -1, "x")
CALL(mkdirat, -1, "x", 0700)
CALL(mknodat, -1, "x", 0600, 0)
CALL(fchmodat, AT_FDCWD, "/nonexistent", 0600)
CALL(fchownat, AT_FDCWD, "/nonexistent", 0, 0, 0)
CALL(fchmod, -1, 0600)
CALL(readlinkat, AT_FDCWD, "/nonexistent", page, 1)
CALL(faccessat, AT_FDCWD, "/", F_OK)
CALL(newfstatat, AT_FDCWD, "/", page, 0)
CALL(getdents64, -1, page, 0)
CALL(chdir, "/nonexistent")
CALL(chroot, "/nonexistent")
CALL(mount, NULL, "/nonexistent", NULL, 0, NULL)
CALL(umount2, "/nonexistent", 0)
CALL(setuid, getuid())
CALL(setresuid, -1, -1, -1)
CALL(capset, NULL, NULL)
CALL(prctl, PR_GET_DUMPABLE, 0, 0, 0, 0)
CALL(seccomp, 99, 0, NULL)
CALL(bpf, 999, NULL, 0)
CALL(mprotect, page, 4096, PROT_READ | PROT_WRITE)
CALL(add_key, NULL, NULL, NULL, 0, 0)
CALL(init_module, NULL, 0, "")
CALL(finit_module, -1, "", 0)
CALL(prlimit64, 0, 0, NULL, page)
CALL(fcntl, 0, F_SETOWN, 0)
CALL(dup, 0)
CALL(pidfd_open, getppid(), 0)
CALL(pidfd_send_signal, -1, 0, NULL, 0)
CALL(pidfd_getfd, -1, 0, 0)
CALL(open_by_handle_at, -1, NULL, 0)
CALL(sched_setaffinity, 0, 0, NULL)
CALL(setpriority, 0, 0, 99)
CALL(splice, -1, NULL, -1, NULL, 0, 0)
CALL(landlock_create_ruleset, NULL, 0, 1)

static long try_executable(void)
{
	return (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long try_shared_writable(void)
{
	return (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* TIOCSTI puts what is typed into a terminal; on a pipe it fails with ENOTTY. */
static long try_ioctl(void)
{
	return ioctl(outside, TIOCSTI, "");
}

#ifdef __x86_64__
/* getpid() by the entry of 32-bit programs, whose calls have other numbers. */
static long try_narrow(void)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	errno = result < 0 ? (int)-result : 0;
	return result < 0 ? -1 : result;
}

/* getpid() of x32. */
static long try_x32(void)
{
	return syscall(SYS_getpid | 0x40000000);
}
#endif

#define ATTEMPT(name)                                                                              \
	{                                                                                          \
#name, try_##name                                                                  \
	}
static const struct attempt {
	const char *name;
	long (*try)(void);
} attempts[] = {
    ATTEMPT(openat),
    ATTEMPT(memfd_create),
    ATTEMPT(socket),
    ATTEMPT(socketpair),
    ATTEMPT(connect),
    ATTEMPT(accept4),
    ATTEMPT(bind),
    ATTEMPT(sendto),
    ATTEMPT(sendmsg),
    ATTEMPT(recvmsg),
    ATTEMPT(execve),
    ATTEMPT(execveat),
    ATTEMPT(clone),
    ATTEMPT(unshare),
    ATTEMPT(setns),
    ATTEMPT(ptrace),
    ATTEMPT(process_vm_readv),
    ATTEMPT(process_vm_writev),
    ATTEMPT(kill),
    ATTEMPT(tgkill),
    ATTEMPT(tkill),
    ATTEMPT(unlinkat),
    ATTEMPT(renameat2),
    ATTEMPT(linkat),
    ATTEMPT(symlinkat),
    ATTEMPT(mkdirat),
    ATTEMPT(mknodat),
    ATTEMPT(fchmodat),
    ATTEMPT(fchownat),
    ATTEMPT(fchmod),
    ATTEMPT(readlinkat),
    ATTEMPT(faccessat),
    ATTEMPT(newfstatat),
    ATTEMPT(getdents64),
    ATTEMPT(chdir),
    ATTEMPT(chroot),
    ATTEMPT(mount),
    ATTEMPT(umount2),
    ATTEMPT(setuid),
    ATTEMPT(setresuid),
    ATTEMPT(capset),
    ATTEMPT(prctl),
    ATTEMPT(seccomp),
    ATTEMPT(bpf),
    ATTEMPT(mprotect),
    ATTEMPT(add_key),
    ATTEMPT(init_module),
    ATTEMPT(finit_module),
    ATTEMPT(prlimit64),
    ATTEMPT(fcntl),
    ATTEMPT(dup),
    ATTEMPT(pidfd_open),
    ATTEMPT(pidfd_send_signal),
    ATTEMPT(pidfd_getfd),
    ATTEMPT(open_by_handle_at),
    ATTEMPT(sched_setaffinity),
    ATTEMPT(setpriority),
    ATTEMPT(splice),
    ATTEMPT(landlock_create_ruleset),
    ATTEMPT(executable),
    ATTEMPT(shared_writable),
    ATTEMPT(ioctl),
#ifdef __x86_64__
    ATTEMPT(narrow),
    ATTEMPT(x32),
#endif
};
#define COUNT (sizeof(attempts) / sizeof(attempts[0]))

static bool is_forbidden(const struct attempt *attempt)
{
	errno = 0;
	return attempt->try() == -1 && errno == EPERM;
}

/*
 * Which attempts fail with EPERM in a process that is not confined: the host forbids them to this
 * user, so that they prove nothing. Root has few of them.
 */
static void try_unconfined(bool *forbidden)
{
	pid_t pid = fork();

	if (!pid) {
		for (size_t i = 0; i < COUNT; i++)
			forbidden[i] = is_forbidden(&attempts[i]);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void try_all(const bool *forbidden_before)
{
	unsigned without_proof = 0;

	for (size_t i = 0; i < COUNT; i++) {
		char what[64];
		bool forbidden = is_forbidden(&attempts[i]);

		snprintf(what, sizeof(what), "not forbidden, errno %d", errno);
		judge(attempts[i].name, forbidden, what);
		without_proof += forbidden_before[i];
	}
	if (!geteuid())
		judge("proof", without_proof <= 3, "many are forbidden without a sandbox too");
}

/* ---- What must be possible ------------------------------------------------------------------- */

static bool report(const char *name, struct nunchi_error *err)
{
	bool right = !err;

	judge(name, right, err ? nunchi_error_message(err) : "");
	nunchi_error_destroy(err);
	return right;
}

/* The kernel's banner; address 0 of a file without a kernel. */
static void read_guest(struct nunchi_guest *guest)
{
	struct nunchi_place place = {.space = NUNCHI_SPACE_PHYSICAL};
	struct nunchi_symbol symbol;
	struct nunchi_error *err = nunchi_symbol_find(guest, "linux_banner", &symbol);
	uint8_t bytes[64];

	if (!err) {
		place.space = NUNCHI_SPACE_KERNEL;
		place.address = symbol.address;
	}
	nunchi_error_destroy(err);
	report("read", nunchi_read(guest, &place, sizeof(bytes), bytes));
}

struct state {
	char text[64];
	bool live;
	bool filtered;
};

static void take_fact(const struct nunchi_fact *fact, void *data)
{
	struct state *state = data;

	if (!strcmp(fact->name, "state"))
		snprintf(state->text, sizeof(state->text), "%s", fact->value);
	if (!strcmp(fact->name, "pause"))
		state->live = !strcmp(fact->value, "yes");
	if (!strcmp(fact->name, "system calls"))
		state->filtered = !strcmp(fact->value, "filtered");
}

static struct state state_of(struct nunchi_guest *guest)
{
	struct state state = {.live = false};

	nunchi_error_destroy(nunchi_guest_info(guest, take_fact, &state));
	return state;
}

/* Pauses by a session that holds the guest; there has to be a kernel for a session. */
static void pause_guest(struct nunchi_guest *guest)
{
	const struct nunchi_session_options options = {.size = sizeof(options), .hold = true};
	struct nunchi_session *session;
	struct state state;

	if (!report("session", nunchi_session_open(guest, &options, &session)))
		return;
	state = state_of(guest);
	judge("pause", !strcmp(state.text, "paused"), state.text);
	report("resume", nunchi_session_close(session));
	state = state_of(guest);
	judge("resumed", !strcmp(state.text, "running"), state.text);
}

/* ---- The status of the process, as the kernel tells it to another one ------------------------ */

static unsigned long long status_number(const char *text, const char *name, int base)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, base) : 99;
}

static void judge_status(pid_t pid)
{
	char path[64], text[8192];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[size < 0 ? 0 : size] = '\0';
	close(fd);
	judge("CapEff", status_number(text, "\nCapEff:", 16) == 0, "not 0");
	judge("CapPrm", status_number(text, "\nCapPrm:", 16) == 0, "not 0");
	judge("NoNewPrivs", status_number(text, "\nNoNewPrivs:", 10) == 1, "not 1");
	judge("Seccomp", status_number(text, "\nSeccomp:", 10) == 2, "not 2");
}

/* ---------------------------------------------------------------------------------------------- */

static struct nunchi_guest *open_guest(const char *target, bool confine)
{
	const struct nunchi_guest_options options = {
	    .size = sizeof(options), .confine = confine, .accept_fd = listener};
	struct nunchi_context *context;
	struct nunchi_guest *guest = NULL;

	if (!report("context", nunchi_context_create(0, &context)) ||
	    !report("open", nunchi_guest_open(context, target, &options, &guest)))
		return NULL;
	return guest;
}

/* The confined process: its status goes on when the other end of the pipes is done. */
static void be_confined(const char *target, const bool *forbidden, int ready, int go)
{
	struct nunchi_guest *guest = open_guest(target, true);
	struct state state;
	char byte = 0;

	if (!guest)
		_exit(1);
	state = state_of(guest);
	judge("filter", state.filtered, "no filter");
	if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	try_all(forbidden);
	judge("listener", accept4(listener, NULL, NULL, 0) == -1 && errno == EAGAIN,
	      strerror(errno));
	read_guest(guest);
	if (state.live)
		pause_guest(guest);
	nunchi_guest_close(guest);
	printf("passed %u\n", passed);
	fflush(stdout);
	_exit(failed ? 1 : 0);
}

/* At an address that the kernel chooses; nobody connects. */
static int make_listener(void)
{
	const struct sockaddr address = {.sa_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd > 0 && !bind(fd, &address, sizeof(address.sa_family)) && !listen(fd, 1) ? fd : -1;
}

static int run(const char *target)
{
	bool *forbidden =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2], go[2], status = -1;
	char byte = 0;
	pid_t pid;

	if (forbidden == MAP_FAILED || pipe(ready) || pipe(go))
		return 1;
	outside = ready[1];
	listener = make_listener();
	judge("listen", listener > 0, strerror(errno));
	try_unconfined(forbidden);
	pid = fork();
	if (!pid) {
		close(ready[0]);
		close(go[1]);
		be_confined(target, forbidden, ready[1], go[0]);
	}
	close(ready[1]);
	close(go[0]);
	if (read(ready[0], &byte, 1) == 1)
		judge_status(pid);
	if (write(go[1], &byte, 1) != 1)
		failed++;
	waitpid(pid, &status, 0);
	return status || failed;
}

/* Holds the guest paused, says so, and waits to be killed. */
static void hold(const char *target, int ready)
{
	const struct nunchi_session_options options = {.size = sizeof(options), .hold = true};
	struct nunchi_guest *guest = open_guest(target, true);
	struct nunchi_session *session;
	char byte = 0;

	if (!guest || !report("session", nunchi_session_open(guest, &options, &session)) ||
	    write(ready, &byte, 1) != 1)
		_exit(1);
	for (;;)
		poll(NULL, 0, -1);
}

static int run_killed(const char *target)
{
	struct nunchi_guest *guest;
	struct state state = {.live = false};
	char byte;
	int ready[2];
	pid_t pid;

	if (pipe(ready))
		return 1;
	pid = fork();
	if (!pid)
		hold(target, ready[1]);
	close(ready[1]);
	judge("held", read(ready[0], &byte, 1) == 1, "the guest is not held");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	guest = open_guest(target, false);
	for (unsigned i = 0; guest && i < 50 && strcmp(state.text, "running"); i++) {
		usleep(100000);
		state = state_of(guest);
	}
	judge("runs again", !strcmp(state.text, "running"), state.text);
	nunchi_guest_close(guest);
	printf("passed %u\n", passed);
	return failed != 0;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/nunchi-confined-XXXXXX";
	int fd, status;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argc == 3 && !strcmp(argv[1], "killed"))
		return run_killed(argv[2]);
	if (argc == 2)
		return run(argv[1]);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 1 << 20))
		return 1;
	status = run(path);
	unlink(path);
	return status;
}
