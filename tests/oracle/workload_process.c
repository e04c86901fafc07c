/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workload: names, arguments, environments, users, states, threads, CPU time. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define SELF "/bin/workload"

static char *const plain_environment[] = {"PATH=/bin", "HOME=/root", NULL};

/* Names */

static void plain(long number)
{
	char name[16];

	snprintf(name, sizeof(name), "sleeper-%03ld", number);
	set_name(name);
	if (number % 5 == 0)
		setsid();
	else if (number % 3 == 0)
		setpgid(0, 0);
	if (setpriority(PRIO_PROCESS, 0, (int)(number % 40) - 20) < 0)
		complain("setpriority");
	if (number % 2)
		REQUIRE(setresgid(1000 + (gid_t)number, 1000 + (gid_t)number,
				  1000 + (gid_t)number) == 0 &&
			setresuid(1000 + (uid_t)number, 1000 + (uid_t)number,
				  1000 + (uid_t)number) == 0);
	ready();
}

static void hostile_name(long number)
{
	set_name(hostile[number]);
	ready();
}

static void empty_name(long number)
{
	(void)number;
	set_name("");
	ready();
}

static void hostile_directory(long number)
{
	char path[256];

	snprintf(path, sizeof(path), "/tmp/cwd-%s", hostile[number]);
	REQUIRE(make_directory(path) && chdir(path) == 0);
	set_name("in-hostile-cwd");
	/* Two of them stand in directories that are gone. */
	if (number < 2)
		REQUIRE(rmdir(path) == 0);
	ready();
}

/* Fork a chain, so that the tree has depth. */
static void chain(long depth)
{
	char name[16];

	snprintf(name, sizeof(name), "depth-%ld", depth);
	set_name(name);
	if (depth > 0)
		spawn(chain, depth - 1);
	ready();
}

void start_names(void)
{
	for (long i = 0; i < 130; i++)
		spawn(plain, i);
	for (long i = 0; i < HOSTILE_COUNT; i++)
		spawn(hostile_name, i);
	spawn(empty_name, 0);
	for (long i = 0; i < HOSTILE_COUNT; i++)
		spawn(hostile_directory, i);
	/* A child's own READY_FD is closed by ready(), so the chain nests. */
	spawn(chain, 12);
}

/* Arguments and environment */

/* Overwrite the arguments in place, as programs do that show a title. */
static void overwrite(size_t room, const char *text)
{
	size_t size = strlen(text);

	memset(argument_start, 0, room);
	memcpy(argument_start, text, size < room ? size : room);
}

/* Take the arguments' pages away; on a stack of one's own, for they hold the first one. */
static void *unmap_arguments(void *unused)
{
	uintptr_t page = (uintptr_t)argument_start & ~(uintptr_t)4095;
	uintptr_t end = ((uintptr_t)environment_end + 4095) & ~(uintptr_t)4095;

	(void)unused;
	usleep(20000);
	if (munmap((void *)page, end - page) < 0)
		complain("munmap");
	ready();
	rest();
}

void run_instruction(const char *instruction)
{
	if (!strcmp(instruction, "title")) {
		overwrite((size_t)(argument_end - argument_start), "daemon: idle");
	} else if (!strcmp(instruction, "spill")) {
		/* No NUL where the arguments end: the kernel reads on into the environment. */
		size_t room = (size_t)(environment_end - argument_start);
		size_t size = (size_t)(argument_end - argument_start);

		overwrite(room, "daemon: serving a client whose name is much longer than the "
				"arguments this program was started with, so that the title "
				"runs over into its environment");
		if (argument_start[size - 1] == '\0')
			complain("the title is too short to spill");
	} else if (!strcmp(instruction, "zero")) {
		overwrite((size_t)(argument_end - argument_start), "");
	} else if (!strcmp(instruction, "unmap")) {
		pthread_t handle;

		REQUIRE(pthread_create(&handle, NULL, unmap_arguments, NULL) == 0);
		rest();
	} else if (!strcmp(instruction, "long-title")) {
		memset(argument_start, 'T', (size_t)(argument_end - argument_start));
	}
	ready();
	rest();
}

static void start_long_arguments(void)
{
	static char text[100000], *many[1002], name[1002][24];

	memset(text, 'x', 6000);
	spawn_program(SELF, (char *[]){"one-long", text, "after", NULL}, plain_environment, "rest");
	for (int i = 0; i < 1000; i++) {
		snprintf(name[i], sizeof(name[i]), "argument-%d", i);
		many[i] = name[i];
	}
	many[1000] = NULL;
	spawn_program(SELF, many, plain_environment, "rest");
	memset(text, 'y', sizeof(text) - 1);
	spawn_program(SELF, (char *[]){"huge", text, NULL}, plain_environment, "rest");
	spawn_program(SELF, (char *[]){"huge-environment", NULL},
		      (char *[]){"SMALL=1", text, "LAST=1", NULL}, "rest");
	/* 4095, 4096 and 4097 bytes in all, the NULs counted. */
	for (size_t size = 4095; size <= 4097; size++) {
		memset(text, 'z', sizeof(text) - 1);
		text[size - strlen("page") - 2] = '\0';
		spawn_program(SELF, (char *[]){"page", text, NULL}, plain_environment, "rest");
	}
}

static void start_titles(void)
{
	static const char *const instructions[] = {"title", "spill", "zero", "unmap", "long-title"};

	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++)
		spawn_program(SELF, (char *[]){"titled", "--with", "some arguments", NULL},
			      (char *[]){"PATH=/bin",
					 "ROOM=for the title to run over into, a "
					 "long value that nobody needs, and some more of it, "
					 "and still more",
					 "TAIL=left alone", NULL},
			      instructions[i]);
}

void start_arguments(void)
{
	char *all[HOSTILE_COUNT + 1], variables[HOSTILE_COUNT][64], *environment[HOSTILE_COUNT + 1];

	for (int i = 0; i < HOSTILE_COUNT; i++) {
		snprintf(variables[i], sizeof(variables[i]), "H%d=%s", i, hostile[i]);
		all[i] = (char *)hostile[i];
		environment[i] = variables[i];
	}
	all[HOSTILE_COUNT] = environment[HOSTILE_COUNT] = NULL;
	spawn_program(SELF, all, plain_environment, "rest");
	spawn_program(SELF, (char *[]){"hostile-environment", NULL}, environment, "rest");
	/* Names of variables may be as bad, and need not hold a '='. */
	spawn_program(SELF, (char *[]){"odd-environment", NULL}, all, "rest");
	spawn_program(SELF, (char *[]){"no-environment", NULL}, (char *[]){NULL}, "rest");
	spawn_program(SELF, (char *[]){"empties", "", "", "between", "", NULL},
		      (char *[]){"", "A=", "=B", "", NULL}, "rest");
	spawn_program(SELF, (char *[]){"", NULL}, plain_environment, "rest");
	spawn_program(SELF, (char *[]){"spaces in argv0", " a  b ", NULL}, plain_environment,
		      "rest");
	start_long_arguments();
	start_titles();
}

/* Users */

static void credentials(long number)
{
	static const id_t ids[][3] = {{1, 2, 3},           {0, 1000, 0},
				      {1000, 0, 0},        {65534, 65534, 65534},
				      {0, 0, 4294967294u}, {2147483648u, 7, 2147483647u}};
	const id_t *id = ids[number];
	gid_t groups[64];

	set_name("credentials");
	for (size_t i = 0; i < 64; i++)
		groups[i] = 5000 + (gid_t)i;
	REQUIRE(setgroups(64, groups) == 0);
	REQUIRE(setresgid(id[2], id[1], id[0]) == 0 && setresuid(id[0], id[1], id[2]) == 0);
	if (number == 1) {
		setfsuid(0);
		setfsgid(0);
	}
	ready();
}

/* Rights */

static void some_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
	    {.effective = 1 << CAP_NET_RAW,
	     .permitted = 1 << CAP_NET_RAW | 1 << CAP_NET_BIND_SERVICE | 1 << CAP_CHOWN,
	     .inheritable = 1 << CAP_NET_BIND_SERVICE},
	    {.permitted = 1 << (CAP_WAKE_ALARM - 32), .inheritable = 1 << (CAP_SYSLOG - 32)}};

	for (int i = CAP_SYS_MODULE; i <= CAP_SYS_ADMIN; i++)
		REQUIRE(prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0);
	data[1].permitted |= data[1].inheritable;
	REQUIRE(syscall(SYS_capset, &header, data) == 0);
	REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0);
}

static void filtered(int count)
{
	struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
	struct sock_fprog program = {.len = 1, .filter = &allow};

	REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	for (int i = 0; i < count; i++)
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
			complain("a filter of system calls");
}

/* It may read, write and end alone, so that it waits for a pipe. */
static void strict(void)
{
	int pipes[2];
	char byte;

	REQUIRE(pipe(pipes) == 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
		complain("strict seccomp");
	if (write(READY_FD, "R", 1) == 1)
		while (read(pipes[0], &byte, 1) != 1)
			;
}

static void limited(void)
{
	static const struct rlimit limits[] = {
	    [RLIMIT_CPU] = {7200, RLIM_INFINITY},
	    [RLIMIT_DATA] = {RLIM_INFINITY - 1, RLIM_INFINITY - 1},
	    [RLIMIT_CORE] = {0, 0},
	    [RLIMIT_NPROC] = {1001, 1003},
	    [RLIMIT_NOFILE] = {77, 99},
	    [RLIMIT_SIGPENDING] = {5, 6},
	    [RLIMIT_NICE] = {15, 20},
	    [RLIMIT_RTPRIO] = {1, 2},
	    [RLIMIT_RTTIME] = {100000, 200000},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if ((limits[i].rlim_max || i == RLIMIT_CORE) && setrlimit((int)i, &limits[i]) < 0)
			complain("a limit");
}

static void confined(long number)
{
	set_name("confined");
	if (number == 0)
		some_capabilities();
	else if (number == 1)
		filtered(2);
	else if (number == 2)
		filtered(0);
	else if (number == 3)
		limited();
	else
		strict();
	ready();
}

void start_credentials(void)
{
	for (long i = 0; i < 6; i++)
		spawn(credentials, i);
	for (long i = 0; i < 5; i++)
		spawn(confined, i);
}

/* States */

static void stopped(long number)
{
	(void)number;
	set_name("stopped");
	ready();
	raise(SIGSTOP);
}

static void zombie(long number)
{
	set_name(hostile[number]);
	ready();
	_exit((int)number);
}

/* A parent in vfork() sleeps uninterruptibly until its child is gone. */
static void uninterruptible(long number)
{
	(void)number;
	set_name("vfork-parent");
	if (vfork() == 0) {
		set_name("vfork-child");
		ready();
		rest();
	}
}

static void tracer(long number)
{
	pid_t child = fork();

	(void)number;
	if (child == 0) {
		set_name("traced");
		leave_ready();
		rest();
	}
	set_name("tracer");
	usleep(50000);
	REQUIRE(ptrace(PTRACE_ATTACH, child, NULL, NULL) == 0);
	waitpid(child, NULL, __WALL);
	ready();
}

static void on_terminal(long number)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	(void)number;
	set_name("on-a-tty");
	setsid();
	REQUIRE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	REQUIRE(open(ptsname(master), O_RDWR) >= 0);
	ready();
}

static void real_time(long number)
{
	struct sched_param parameters = {.sched_priority = number ? 0 : 50};
	cpu_set_t cpus;

	set_name(number ? "sched-idle" : "sched-fifo");
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	if (sched_setscheduler(0, number ? SCHED_IDLE : SCHED_FIFO, &parameters) < 0)
		complain("sched_setscheduler");
	ready();
}

/* A process whose parent is gone belongs to process 1. */
static void orphan(long number)
{
	(void)number;
	if (fork())
		_exit(0);
	set_name("orphan");
	ready();
}

void start_states(void)
{
	for (int i = 0; i < 3; i++)
		spawn(stopped, i);
	for (long i = 0; i < 6; i++)
		spawn(zombie, i);
	spawn(uninterruptible, 0);
	spawn(tracer, 0);
	spawn(on_terminal, 0);
	spawn(real_time, 0);
	spawn(real_time, 1);
	spawn(orphan, 0);
}

/* Threads */

static pthread_barrier_t barrier;

static void *thread(void *argument)
{
	long number = (long)argument;
	char name[16];

	snprintf(name, sizeof(name), "thread-%ld", number);
	set_name(number < HOSTILE_COUNT && number % 4 == 3 ? hostile[number] : name);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), (int)(number % 20));
	pthread_barrier_wait(&barrier);
	rest();
}

static void threaded(long count)
{
	pthread_attr_t attributes;
	pthread_t handle;

	set_name("threaded");
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	pthread_barrier_init(&barrier, NULL, (unsigned int)count + 1);
	for (long i = 0; i < count; i++)
		REQUIRE(pthread_create(&handle, &attributes, thread, (void *)i) == 0);
	pthread_barrier_wait(&barrier);
	ready();
}

/* The first thread ends, the others go on: a zombie that leads a live process. */
static void headless(long count)
{
	threaded(count);
	set_name("headless");
	syscall(SYS_exit, 0);
}

void start_threads(void)
{
	for (int i = 0; i < 8; i++)
		spawn(threaded, 8);
	spawn(threaded, 100);
	spawn(headless, 3);
}

/* CPU time */

static long used_ms(bool system)
{
	struct rusage usage;
	const struct timeval *time = system ? &usage.ru_stime : &usage.ru_utime;

	getrusage(RUSAGE_SELF, &usage);
	return time->tv_sec * 1000 + time->tv_usec / 1000;
}

static void burn_user(long milliseconds)
{
	set_name("burnt-user");
	while (used_ms(false) < milliseconds)
		for (volatile int i = 0; i < 500000; i++)
			;
	ready();
}

static void burn_system(long milliseconds)
{
	set_name("burnt-system");
	while (used_ms(true) < milliseconds)
		for (int i = 0; i < 200; i++)
			syscall(SYS_getppid);
	ready();
}

void start_times(void)
{
	spawn(burn_user, 150);
	spawn(burn_user, 400);
	spawn(burn_system, 150);
}
