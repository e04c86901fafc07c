/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The filter is a list of permitted calls, made here and not by libseccomp: loading that library
 * and compiling its rules takes longer than all the rest of this file.
 */
#include "core/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* ---- The filter ------------------------------------------------------------------------------ */

#ifdef OWN_ARCH

/* cachestat() of Linux 6.5, which older headers lack: which pages of an open file are in memory. */
#define SYS_CACHESTAT 451

/* Calls that are permitted whatever their arguments are. */
static const int permitted[] = {
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_preadv,
    SYS_write,
    SYS_pwrite64,
    SYS_writev,
    SYS_lseek,
    SYS_close,
    SYS_fstat,
    SYS_fstatfs,
    SYS_ftruncate,
    SYS_fsync,
#ifdef SYS_poll
    SYS_poll,
#endif
    SYS_ppoll,
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_getrandom,
    SYS_sysinfo,
    SYS_wait4,
    SYS_exit,
    SYS_exit_group,
    SYS_CACHESTAT,
};

#define PROGRAM_SIZE 128

struct program {
	struct sock_filter code[PROGRAM_SIZE];
	unsigned short size;
};

static void add(struct program *program, struct sock_filter instruction)
{
	if (program->size < PROGRAM_SIZE)
		program->code[program->size++] = instruction;
}

static void load(struct program *program, size_t offset)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset));
}

/* The low 32 bits of an argument: descriptors, requests and flags have no more. */
static void load_argument(struct program *program, unsigned n)
{
	load(program, offsetof(struct seccomp_data, args) + n * sizeof(uint64_t));
}

static void give(struct program *program, unsigned int verdict)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

/* Goes on behind the next `skip` instructions unless the accumulator has this value. */
static void expect(struct program *program, unsigned int value, unsigned char skip)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
}

#define DENY (SECCOMP_RET_ERRNO | EPERM)

/*
 * mmap(): nothing executable, and nothing that is written to a file or to a guest's memory. So of
 * PROT_EXEC and PROT_WRITE neither, or PROT_WRITE with a private mapping.
 */
static void add_mmap(struct program *program)
{
	expect(program, SYS_mmap, 9);
	load_argument(program, 2);
	add(program,
	    (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC));
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0));
	expect(program, PROT_WRITE, 4);
	load_argument(program, 3);
	add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MAP_TYPE));
	expect(program, MAP_PRIVATE, 1);
	give(program, SECCOMP_RET_ALLOW);
	give(program, DENY);
}

/* A call of which one argument has to have a value, or one of two. */
static void add_checked(struct program *program, int call, unsigned argument, unsigned int one,
			unsigned int other)
{
	expect(program, (unsigned int)call, 5);
	load_argument(program, argument);
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one, 1, 0));
	expect(program, other, 1);
	give(program, SECCOMP_RET_ALLOW);
	give(program, DENY);
}

/* ioctl(): questions about a terminal, and the one request on the one device. */
static void add_ioctl(struct program *program, const struct confine_options *options)
{
	if (options->device >= 0) {
		expect(program, SYS_ioctl, 6);
		load_argument(program, 0);
		expect(program, (unsigned int)options->device, 3);
		load_argument(program, 1);
		expect(program, (unsigned int)options->request, 1);
		give(program, SECCOMP_RET_ALLOW);
		load(program, offsetof(struct seccomp_data, nr));
	}
	add_checked(program, SYS_ioctl, 1, TCGETS, TIOCGWINSZ);
}

/* *ret is false where the kernel has no filters. */
static struct nunchi_error *set_filter(const struct confine_options *options, bool *ret)
{
	struct program program = {.size = 0};
	struct sock_fprog filter;

	load(&program, offsetof(struct seccomp_data, arch));
	expect(&program, OWN_ARCH, 1);
	add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
	give(&program, DENY);
	load(&program, offsetof(struct seccomp_data, nr));
	/* Each comparison jumps to the verdict behind the last of them. */
	for (unsigned char left = sizeof(permitted) / sizeof(permitted[0]); left; left--)
		add(&program,
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						 (unsigned int)permitted[left - 1], left, 0));
	add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
	give(&program, SECCOMP_RET_ALLOW);
	add_mmap(&program);
	add_ioctl(&program, options);
	/* fstat() of newer C libraries. */
	add_checked(&program, SYS_newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
	add_checked(&program, SYS_fcntl, 1, F_GETFL, F_DUPFD_CLOEXEC);
	if (options->listener > 0)
		add_checked(&program, SYS_accept4, 0, (unsigned int)options->listener,
			    (unsigned int)options->listener);
	/* abort(), which signals the process itself. */
	add_checked(&program, SYS_tgkill, 0, (unsigned int)getpid(), (unsigned int)getpid());
	give(&program, DENY);
	filter = (struct sock_fprog){program.size, program.code};
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter)) {
		*ret = true;
		return NULL;
	}
	/* A kernel without seccomp, or without its filters. */
	if (errno == ENOSYS || errno == EINVAL)
		return NULL;
	return error_create_errno(errno, "cannot set the filter of system calls");
}

#else

static struct nunchi_error *set_filter(const struct confine_options *options, bool *ret)
{
	(void)options;
	(void)ret;
	return NULL;
}

#endif

/* ---- Landlock -------------------------------------------------------------------------------- */

/* Not by <linux/landlock.h>, which systems with older headers lack. */
#define SYS_LANDLOCK_CREATE_RULESET 444
#define SYS_LANDLOCK_RESTRICT_SELF  446
#define LANDLOCK_ASK_VERSION        1
/* struct landlock_ruleset_attr: what is forbidden unless a rule permits it. */
struct landlock_rights {
	uint64_t files;
	uint64_t network; /* from version 4 on */
	uint64_t scope;   /* from version 6 on */
};

/* Number of the rights on files that a version knows. */
static unsigned file_rights(int version)
{
	if (version >= 5)
		return 16;
	return version >= 3 ? 15 : 12 + (unsigned)version;
}

/* Forbids everything; returns the version, or 0. */
static int set_landlock(void)
{
	int version = (int)syscall(SYS_LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_ASK_VERSION);
	struct landlock_rights rights = {.network = 3, .scope = 3};
	size_t size = sizeof(rights);
	int fd;

	if (version <= 0)
		return 0;
	if (version < 6)
		size = version < 4 ? offsetof(struct landlock_rights, network)
				   : offsetof(struct landlock_rights, scope);
	rights.files = ((uint64_t)1 << file_rights(version)) - 1;
	fd = (int)syscall(SYS_LANDLOCK_CREATE_RULESET, &rights, size, 0);
	if (fd < 0)
		return 0;
	if (syscall(SYS_LANDLOCK_RESTRICT_SELF, fd, 0))
		version = 0;
	close(fd);
	return version;
}

/* ---------------------------------------------------------------------------------------------- */

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return !syscall(SYS_capset, &header, none);
}

struct nunchi_error *confine_process(const struct confine_options *options,
				     struct confine_result *ret)
{
	struct confine_result result = {.landlock = 0};
	struct nunchi_error *err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_create_errno(errno, "cannot set no_new_privs");
	result.landlock = set_landlock();
	result.capabilities = drop_capabilities();
	if (!result.capabilities)
		return error_create_errno(errno, "cannot drop the capabilities");
	err = set_filter(options, &result.filter);
	*ret = result;
	return err;
}
