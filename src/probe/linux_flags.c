/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_flags.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ALL_BITS UINT64_MAX
#define INT_BITS UINT32_MAX

/* include/uapi/asm-generic/fcntl.h; the same for programs of 32 and of 64 bits */
static const struct flag_name open_modes[] = {
    {0, "O_RDONLY"},
    {1, "O_WRONLY"},
    {2, "O_RDWR"},
    {3, "3"},
};
static const struct flag_name open_bits[] = {
    {0100, "O_CREAT"},        {0200, "O_EXCL"},         {0400, "O_NOCTTY"},
    {01000, "O_TRUNC"},       {02000, "O_APPEND"},      {04000, "O_NONBLOCK"},
    {04010000, "O_SYNC"},     {010000, "O_DSYNC"},      {020000, "O_ASYNC"},
    {040000, "O_DIRECT"},     {0100000, "O_LARGEFILE"}, {020200000, "O_TMPFILE"},
    {0200000, "O_DIRECTORY"}, {0400000, "O_NOFOLLOW"},  {01000000, "O_NOATIME"},
    {02000000, "O_CLOEXEC"},  {010000000, "O_PATH"},
};
const struct flag_set flags_open = {.number_mask = 3,
				    .numbers = open_modes,
				    .number_count = ARRAY_SIZE(open_modes),
				    .bits = open_bits,
				    .bit_count = ARRAY_SIZE(open_bits)};

/* pipe2(), dup3(), and other calls that make a descriptor: their own names have these numbers */
static const struct flag_name descriptor_bits[] = {
    {04000, "O_NONBLOCK"},
    {040000, "O_DIRECT"},
    {02000000, "O_CLOEXEC"},
};
static const struct flag_set flags_descriptor = {.bits = descriptor_bits,
						 .bit_count = ARRAY_SIZE(descriptor_bits)};

/* include/uapi/asm-generic/mman-common.h, mman.h */
static const struct flag_name no_protection[] = {
    {0, "PROT_NONE"},
};
static const struct flag_name protection_bits[] = {
    {0x1, "PROT_READ"},          {0x2, "PROT_WRITE"},
    {0x4, "PROT_EXEC"},          {0x1000000, "PROT_GROWSDOWN"},
    {0x2000000, "PROT_GROWSUP"},
};
const struct flag_set flags_protection = {.number_mask = ALL_BITS,
					  .numbers = no_protection,
					  .number_count = ARRAY_SIZE(no_protection),
					  .bits = protection_bits,
					  .bit_count = ARRAY_SIZE(protection_bits)};

static const struct flag_name map_types[] = {
    {1, "MAP_SHARED"},
    {2, "MAP_PRIVATE"},
    {3, "MAP_SHARED_VALIDATE"},
};
static const struct flag_name map_bits[] = {
    {0x10, "MAP_FIXED"},      {0x20, "MAP_ANONYMOUS"},
    {0x40, "MAP_32BIT"},      {0x100, "MAP_GROWSDOWN"},
    {0x800, "MAP_DENYWRITE"}, {0x1000, "MAP_EXECUTABLE"},
    {0x2000, "MAP_LOCKED"},   {0x4000, "MAP_NORESERVE"},
    {0x8000, "MAP_POPULATE"}, {0x10000, "MAP_NONBLOCK"},
    {0x20000, "MAP_STACK"},   {0x40000, "MAP_HUGETLB"},
    {0x80000, "MAP_SYNC"},    {0x100000, "MAP_FIXED_NOREPLACE"},
};
static const struct flag_set flags_map = {.number_mask = 0xf,
					  .numbers = map_types,
					  .number_count = ARRAY_SIZE(map_types),
					  .bits = map_bits,
					  .bit_count = ARRAY_SIZE(map_bits)};

static const struct flag_name remap_bits[] = {
    {1, "MREMAP_MAYMOVE"},
    {2, "MREMAP_FIXED"},
    {4, "MREMAP_DONTUNMAP"},
};
static const struct flag_set flags_remap = {.bits = remap_bits,
					    .bit_count = ARRAY_SIZE(remap_bits)};

static const struct flag_name advices[] = {
    {0, "MADV_NORMAL"},      {1, "MADV_RANDOM"},         {2, "MADV_SEQUENTIAL"},
    {3, "MADV_WILLNEED"},    {4, "MADV_DONTNEED"},       {8, "MADV_FREE"},
    {9, "MADV_REMOVE"},      {10, "MADV_DONTFORK"},      {11, "MADV_DOFORK"},
    {12, "MADV_MERGEABLE"},  {13, "MADV_UNMERGEABLE"},   {14, "MADV_HUGEPAGE"},
    {15, "MADV_NOHUGEPAGE"}, {16, "MADV_DONTDUMP"},      {17, "MADV_DODUMP"},
    {18, "MADV_WIPEONFORK"}, {19, "MADV_KEEPONFORK"},    {20, "MADV_COLD"},
    {21, "MADV_PAGEOUT"},    {22, "MADV_POPULATE_READ"}, {23, "MADV_POPULATE_WRITE"},
    {25, "MADV_COLLAPSE"},
};
static const struct flag_set flags_advice = {
    .number_mask = INT_BITS,
    .numbers = advices,
    .number_count = ARRAY_SIZE(advices),
};

/* include/uapi/linux/memfd.h */
static const struct flag_name memfd_bits[] = {
    {0x1, "MFD_CLOEXEC"},     {0x2, "MFD_ALLOW_SEALING"}, {0x4, "MFD_HUGETLB"},
    {0x8, "MFD_NOEXEC_SEAL"}, {0x10, "MFD_EXEC"},
};
const struct flag_set flags_memfd = {.bits = memfd_bits, .bit_count = ARRAY_SIZE(memfd_bits)};

/* include/uapi/linux/sched.h */
static const struct flag_name namespace_bits[] = {
    {0x80, "CLONE_NEWTIME"},      {0x100, "CLONE_VM"},          {0x200, "CLONE_FS"},
    {0x400, "CLONE_FILES"},       {0x800, "CLONE_SIGHAND"},     {0x10000, "CLONE_THREAD"},
    {0x20000, "CLONE_NEWNS"},     {0x40000, "CLONE_SYSVSEM"},   {0x2000000, "CLONE_NEWCGROUP"},
    {0x4000000, "CLONE_NEWUTS"},  {0x8000000, "CLONE_NEWIPC"},  {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"}, {0x40000000, "CLONE_NEWNET"},
};
const struct flag_set flags_namespace = {.bits = namespace_bits,
					 .bit_count = ARRAY_SIZE(namespace_bits)};

/* arch/x86/include/uapi/asm/signal.h */
static const struct flag_name signals[] = {
    {1, "SIGHUP"},     {2, "SIGINT"},   {3, "SIGQUIT"},   {4, "SIGILL"},   {5, "SIGTRAP"},
    {6, "SIGABRT"},    {7, "SIGBUS"},   {8, "SIGFPE"},    {9, "SIGKILL"},  {10, "SIGUSR1"},
    {11, "SIGSEGV"},   {12, "SIGUSR2"}, {13, "SIGPIPE"},  {14, "SIGALRM"}, {15, "SIGTERM"},
    {16, "SIGSTKFLT"}, {17, "SIGCHLD"}, {18, "SIGCONT"},  {19, "SIGSTOP"}, {20, "SIGTSTP"},
    {21, "SIGTTIN"},   {22, "SIGTTOU"}, {23, "SIGURG"},   {24, "SIGXCPU"}, {25, "SIGXFSZ"},
    {26, "SIGVTALRM"}, {27, "SIGPROF"}, {28, "SIGWINCH"}, {29, "SIGIO"},   {30, "SIGPWR"},
    {31, "SIGSYS"},
};
static const struct flag_set flags_signal = {
    .number_mask = INT_BITS,
    .numbers = signals,
    .number_count = ARRAY_SIZE(signals),
};

/* The lowest byte is the signal that the parent gets. */
static const struct flag_name clone_bits[] = {
    {0x100, "CLONE_VM"},
    {0x200, "CLONE_FS"},
    {0x400, "CLONE_FILES"},
    {0x800, "CLONE_SIGHAND"},
    {0x1000, "CLONE_PIDFD"},
    {0x2000, "CLONE_PTRACE"},
    {0x4000, "CLONE_VFORK"},
    {0x8000, "CLONE_PARENT"},
    {0x10000, "CLONE_THREAD"},
    {0x20000, "CLONE_NEWNS"},
    {0x40000, "CLONE_SYSVSEM"},
    {0x80000, "CLONE_SETTLS"},
    {0x100000, "CLONE_PARENT_SETTID"},
    {0x200000, "CLONE_CHILD_CLEARTID"},
    {0x400000, "CLONE_DETACHED"},
    {0x800000, "CLONE_UNTRACED"},
    {0x1000000, "CLONE_CHILD_SETTID"},
    {0x2000000, "CLONE_NEWCGROUP"},
    {0x4000000, "CLONE_NEWUTS"},
    {0x8000000, "CLONE_NEWIPC"},
    {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"},
    {0x40000000, "CLONE_NEWNET"},
    {0x80000000, "CLONE_IO"},
};
static const struct flag_set flags_clone = {.number_mask = 0xff,
					    .numbers = signals,
					    .number_count = ARRAY_SIZE(signals),
					    .bits = clone_bits,
					    .bit_count = ARRAY_SIZE(clone_bits)};

/* include/linux/socket.h, include/linux/net.h */
static const struct flag_name address_families[] = {
    {0, "AF_UNSPEC"},   {1, "AF_UNIX"},    {2, "AF_INET"}, {10, "AF_INET6"}, {15, "AF_KEY"},
    {16, "AF_NETLINK"}, {17, "AF_PACKET"}, {29, "AF_CAN"}, {30, "AF_TIPC"},  {31, "AF_BLUETOOTH"},
    {38, "AF_ALG"},     {40, "AF_VSOCK"},  {44, "AF_XDP"},
};
static const struct flag_set flags_family = {
    .number_mask = INT_BITS,
    .numbers = address_families,
    .number_count = ARRAY_SIZE(address_families),
};

static const struct flag_name socket_types[] = {
    {1, "SOCK_STREAM"},    {2, "SOCK_DGRAM"}, {3, "SOCK_RAW"},     {4, "SOCK_RDM"},
    {5, "SOCK_SEQPACKET"}, {6, "SOCK_DCCP"},  {10, "SOCK_PACKET"},
};
static const struct flag_name socket_bits[] = {
    {04000, "SOCK_NONBLOCK"},
    {02000000, "SOCK_CLOEXEC"},
};
static const struct flag_set flags_socket = {.number_mask = 0xf,
					     .numbers = socket_types,
					     .number_count = ARRAY_SIZE(socket_types),
					     .bits = socket_bits,
					     .bit_count = ARRAY_SIZE(socket_bits)};

static const struct flag_name message_bits[] = {
    {0x1, "MSG_OOB"},
    {0x2, "MSG_PEEK"},
    {0x4, "MSG_DONTROUTE"},
    {0x20, "MSG_TRUNC"},
    {0x40, "MSG_DONTWAIT"},
    {0x80, "MSG_EOR"},
    {0x100, "MSG_WAITALL"},
    {0x800, "MSG_CONFIRM"},
    {0x2000, "MSG_ERRQUEUE"},
    {0x4000, "MSG_NOSIGNAL"},
    {0x8000, "MSG_MORE"},
    {0x10000, "MSG_WAITFORONE"},
    {0x4000000, "MSG_ZEROCOPY"},
    {0x20000000, "MSG_FASTOPEN"},
    {0x40000000, "MSG_CMSG_CLOEXEC"},
};
const struct flag_set flags_send = {.bits = message_bits, .bit_count = ARRAY_SIZE(message_bits)};

static const struct flag_name how[] = {
    {0, "SHUT_RD"},
    {1, "SHUT_WR"},
    {2, "SHUT_RDWR"},
};
static const struct flag_set flags_how = {
    .number_mask = INT_BITS,
    .numbers = how,
    .number_count = ARRAY_SIZE(how),
};

/* include/uapi/linux/fcntl.h; -100 as a number of 32 bits */
static const struct flag_name no_directory[] = {
    {4294967196, "AT_FDCWD"},
};
static const struct flag_set flags_directory = {
    .number_mask = INT_BITS,
    .numbers = no_directory,
    .number_count = ARRAY_SIZE(no_directory),
};

static const struct flag_name at_bits[] = {
    {0x100, "AT_SYMLINK_NOFOLLOW"}, {0x400, "AT_SYMLINK_FOLLOW"},    {0x800, "AT_NO_AUTOMOUNT"},
    {0x1000, "AT_EMPTY_PATH"},      {0x2000, "AT_STATX_FORCE_SYNC"}, {0x4000, "AT_STATX_DONT_SYNC"},
};
static const struct flag_set flags_at = {.bits = at_bits, .bit_count = ARRAY_SIZE(at_bits)};

static const struct flag_name unlink_bits[] = {
    {0x200, "AT_REMOVEDIR"},
};
static const struct flag_set flags_unlink = {.bits = unlink_bits,
					     .bit_count = ARRAY_SIZE(unlink_bits)};

/* access(2), lseek(2), wait4(2), rename(2) */
static const struct flag_name existence[] = {
    {0, "F_OK"},
};
static const struct flag_name access_bits[] = {
    {4, "R_OK"},
    {2, "W_OK"},
    {1, "X_OK"},
};
static const struct flag_set flags_access = {.number_mask = INT_BITS,
					     .numbers = existence,
					     .number_count = ARRAY_SIZE(existence),
					     .bits = access_bits,
					     .bit_count = ARRAY_SIZE(access_bits)};

static const struct flag_name whences[] = {
    {0, "SEEK_SET"}, {1, "SEEK_CUR"}, {2, "SEEK_END"}, {3, "SEEK_DATA"}, {4, "SEEK_HOLE"},
};
static const struct flag_set flags_whence = {
    .number_mask = INT_BITS,
    .numbers = whences,
    .number_count = ARRAY_SIZE(whences),
};

static const struct flag_name wait_bits[] = {
    {0x1, "WNOHANG"},       {0x2, "WUNTRACED"},       {0x4, "WEXITED"},
    {0x8, "WCONTINUED"},    {0x1000000, "WNOWAIT"},   {0x20000000, "__WNOTHREAD"},
    {0x40000000, "__WALL"}, {0x80000000, "__WCLONE"},
};
static const struct flag_set flags_wait = {.bits = wait_bits, .bit_count = ARRAY_SIZE(wait_bits)};

static const struct flag_name rename_bits[] = {
    {1, "RENAME_NOREPLACE"},
    {2, "RENAME_EXCHANGE"},
    {4, "RENAME_WHITEOUT"},
};
static const struct flag_set flags_rename = {.bits = rename_bits,
					     .bit_count = ARRAY_SIZE(rename_bits)};

static const struct flag_name fcntl_commands[] = {
    {0, "F_DUPFD"},
    {1, "F_GETFD"},
    {2, "F_SETFD"},
    {3, "F_GETFL"},
    {4, "F_SETFL"},
    {5, "F_GETLK"},
    {6, "F_SETLK"},
    {7, "F_SETLKW"},
    {8, "F_SETOWN"},
    {9, "F_GETOWN"},
    {36, "F_OFD_GETLK"},
    {37, "F_OFD_SETLK"},
    {38, "F_OFD_SETLKW"},
    {1024, "F_SETLEASE"},
    {1025, "F_GETLEASE"},
    {1026, "F_NOTIFY"},
    {1030, "F_DUPFD_CLOEXEC"},
    {1031, "F_SETPIPE_SZ"},
    {1032, "F_GETPIPE_SZ"},
    {1033, "F_ADD_SEALS"},
    {1034, "F_GET_SEALS"},
};
static const struct flag_set flags_fcntl = {
    .number_mask = INT_BITS,
    .numbers = fcntl_commands,
    .number_count = ARRAY_SIZE(fcntl_commands),
};

static const struct flag_name epoll_operations[] = {
    {1, "EPOLL_CTL_ADD"},
    {2, "EPOLL_CTL_DEL"},
    {3, "EPOLL_CTL_MOD"},
};
static const struct flag_set flags_epoll = {
    .number_mask = INT_BITS,
    .numbers = epoll_operations,
    .number_count = ARRAY_SIZE(epoll_operations),
};

/* include/uapi/linux/prctl.h */
static const struct flag_name prctl_options[] = {
    {1, "PR_SET_PDEATHSIG"},
    {2, "PR_GET_PDEATHSIG"},
    {3, "PR_GET_DUMPABLE"},
    {4, "PR_SET_DUMPABLE"},
    {7, "PR_GET_KEEPCAPS"},
    {8, "PR_SET_KEEPCAPS"},
    {13, "PR_GET_TIMING"},
    {14, "PR_SET_TIMING"},
    {15, "PR_SET_NAME"},
    {16, "PR_GET_NAME"},
    {21, "PR_GET_SECCOMP"},
    {22, "PR_SET_SECCOMP"},
    {23, "PR_CAPBSET_READ"},
    {24, "PR_CAPBSET_DROP"},
    {25, "PR_GET_TSC"},
    {26, "PR_SET_TSC"},
    {27, "PR_GET_SECUREBITS"},
    {28, "PR_SET_SECUREBITS"},
    {29, "PR_SET_TIMERSLACK"},
    {30, "PR_GET_TIMERSLACK"},
    {31, "PR_TASK_PERF_EVENTS_DISABLE"},
    {32, "PR_TASK_PERF_EVENTS_ENABLE"},
    {33, "PR_MCE_KILL"},
    {34, "PR_MCE_KILL_GET"},
    {35, "PR_SET_MM"},
    {36, "PR_SET_CHILD_SUBREAPER"},
    {37, "PR_GET_CHILD_SUBREAPER"},
    {38, "PR_SET_NO_NEW_PRIVS"},
    {39, "PR_GET_NO_NEW_PRIVS"},
    {40, "PR_GET_TID_ADDRESS"},
    {41, "PR_SET_THP_DISABLE"},
    {42, "PR_GET_THP_DISABLE"},
    {47, "PR_CAP_AMBIENT"},
    {52, "PR_GET_SPECULATION_CTRL"},
    {53, "PR_SET_SPECULATION_CTRL"},
    {57, "PR_SET_IO_FLUSHER"},
    {58, "PR_GET_IO_FLUSHER"},
    {59, "PR_SET_SYSCALL_USER_DISPATCH"},
    {62, "PR_SCHED_CORE"},
    {0x53564d41, "PR_SET_VMA"},
    {0x59616d61, "PR_SET_PTRACER"},
    {65, "PR_SET_MDWE"},
    {66, "PR_GET_MDWE"},
    {67, "PR_SET_MEMORY_MERGE"},
    {68, "PR_GET_MEMORY_MERGE"},
};
const struct flag_set flags_prctl = {
    .number_mask = INT_BITS,
    .numbers = prctl_options,
    .number_count = ARRAY_SIZE(prctl_options),
};

/* By the names that the kernel's own descriptions of its system calls have for them. */
static const struct {
	const char *call, *argument; /* call NULL: of any */
	const struct flag_set *set;
} arguments[] = {
    {NULL, "dfd", &flags_directory},
    {NULL, "olddfd", &flags_directory},
    {NULL, "newdfd", &flags_directory},
    {"accept4", "flags", &flags_socket},
    {"access", "mode", &flags_access},
    {"clone", "clone_flags", &flags_clone},
    {"dup3", "flags", &flags_descriptor},
    {"epoll_create1", "flags", &flags_descriptor},
    {"epoll_ctl", "op", &flags_epoll},
    {"eventfd2", "flags", &flags_descriptor},
    {"execveat", "flags", &flags_at},
    {"faccessat", "mode", &flags_access},
    {"faccessat2", "mode", &flags_access},
    {"fchmodat2", "flags", &flags_at},
    {"fchownat", "flag", &flags_at},
    {"fcntl", "cmd", &flags_fcntl},
    {"inotify_init1", "flags", &flags_descriptor},
    {"kill", "sig", &flags_signal},
    {"linkat", "flags", &flags_at},
    {"lseek", "whence", &flags_whence},
    {"madvise", "behavior", &flags_advice},
    {"memfd_create", "flags", &flags_memfd},
    {"mmap", "flags", &flags_map},
    {"mmap", "prot", &flags_protection},
    {"mmap_pgoff", "flags", &flags_map},
    {"mmap_pgoff", "prot", &flags_protection},
    {"mprotect", "prot", &flags_protection},
    {"mremap", "flags", &flags_remap},
    {"newfstatat", "flag", &flags_at},
    {"open", "flags", &flags_open},
    {"openat", "flags", &flags_open},
    {"pipe2", "flags", &flags_descriptor},
    {"pkey_mprotect", "prot", &flags_protection},
    {"prctl", "option", &flags_prctl},
    {"recvfrom", "flags", &flags_send},
    {"recvmsg", "flags", &flags_send},
    {"renameat2", "flags", &flags_rename},
    {"rt_sigaction", "sig", &flags_signal},
    {"sendmmsg", "flags", &flags_send},
    {"sendmsg", "flags", &flags_send},
    {"sendto", "flags", &flags_send},
    {"setns", "flags", &flags_namespace},
    {"shutdown", "how", &flags_how},
    {"socket", "family", &flags_family},
    {"socket", "type", &flags_socket},
    {"socketpair", "family", &flags_family},
    {"socketpair", "type", &flags_socket},
    {"statx", "flags", &flags_at},
    {"tgkill", "sig", &flags_signal},
    {"tkill", "sig", &flags_signal},
    {"unlinkat", "flag", &flags_unlink},
    {"unshare", "unshare_flags", &flags_namespace},
    {"wait4", "options", &flags_wait},
    {"waitid", "options", &flags_wait},
};

static void append_name(const char *name, size_t start, struct buffer *ret)
{
	buffer_printf(ret, "%s%s", ret->size > start ? "|" : "", name);
}

void flag_set_append(const struct flag_set *set, uint64_t value, struct buffer *ret)
{
	size_t start = ret->size;

	for (size_t i = 0; i < set->number_count; i++) {
		if ((value & set->number_mask) == set->numbers[i].value) {
			append_name(set->numbers[i].name, start, ret);
			value &= ~set->number_mask;
			break;
		}
	}
	for (size_t i = 0; i < set->bit_count; i++) {
		if ((value & set->bits[i].value) != set->bits[i].value)
			continue;
		append_name(set->bits[i].name, start, ret);
		value &= ~set->bits[i].value;
	}
	if (value || ret->size == start)
		buffer_printf(ret, "%s0x%" PRIx64, ret->size > start ? "|" : "", value);
}

const struct flag_set *flag_set_find(const char *call, const char *argument)
{
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		if (!strcmp(arguments[i].argument, argument) &&
		    (!arguments[i].call || !strcmp(arguments[i].call, call)))
			return arguments[i].set;
	}
	return NULL;
}

/* The numbers of this host: those of x86 and of ARM64 are the same. */
static const char *const errors[] = {
#define NAME(error) [error] = #error,
    NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(E2BIG) NAME(ENOEXEC)
	NAME(EBADF) NAME(ECHILD) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES) NAME(EFAULT) NAME(
	    ENOTBLK) NAME(EBUSY) NAME(EEXIST) NAME(EXDEV) NAME(ENODEV) NAME(ENOTDIR) NAME(EISDIR)
	    NAME(EINVAL) NAME(ENFILE) NAME(EMFILE) NAME(ENOTTY) NAME(ETXTBSY) NAME(EFBIG) NAME(
		ENOSPC) NAME(ESPIPE) NAME(EROFS) NAME(EMLINK) NAME(EPIPE) NAME(EDOM) NAME(ERANGE)
		NAME(EDEADLK) NAME(ENAMETOOLONG) NAME(ENOLCK) NAME(ENOSYS) NAME(ENOTEMPTY) NAME(
		    ELOOP) NAME(ENOMSG) NAME(EIDRM) NAME(ECHRNG) NAME(EL2NSYNC) NAME(EL3HLT)
		    NAME(EL3RST) NAME(ELNRNG) NAME(EUNATCH) NAME(ENOCSI) NAME(EL2HLT) NAME(EBADE)
			NAME(EBADR) NAME(EXFULL) NAME(ENOANO) NAME(EBADRQC) NAME(EBADSLT) NAME(
			    EBFONT) NAME(ENOSTR) NAME(ENODATA) NAME(ETIME) NAME(ENOSR) NAME(ENONET)
			    NAME(ENOPKG) NAME(EREMOTE) NAME(ENOLINK) NAME(EADV) NAME(ESRMNT) NAME(
				ECOMM) NAME(EPROTO) NAME(EMULTIHOP) NAME(EDOTDOT)
				NAME(EBADMSG) NAME(EOVERFLOW) NAME(ENOTUNIQ) NAME(
				    EBADFD) NAME(EREMCHG) NAME(ELIBACC) NAME(ELIBBAD) NAME(ELIBSCN)
				    NAME(ELIBMAX) NAME(ELIBEXEC) NAME(EILSEQ) NAME(ERESTART) NAME(
					ESTRPIPE) NAME(EUSERS) NAME(ENOTSOCK)
					NAME(EDESTADDRREQ) NAME(EMSGSIZE) NAME(EPROTOTYPE) NAME(
					    ENOPROTOOPT) NAME(EPROTONOSUPPORT) NAME(ESOCKTNOSUPPORT)
					    NAME(EOPNOTSUPP) NAME(EPFNOSUPPORT) NAME(
						EAFNOSUPPORT) NAME(EADDRINUSE) NAME(EADDRNOTAVAIL)
						NAME(ENETDOWN) NAME(ENETUNREACH) NAME(ENETRESET) NAME(
						    ECONNABORTED) NAME(ECONNRESET) NAME(ENOBUFS)
						    NAME(EISCONN) NAME(ENOTCONN) NAME(ESHUTDOWN) NAME(
							ETOOMANYREFS) NAME(ETIMEDOUT)
							NAME(ECONNREFUSED) NAME(EHOSTDOWN) NAME(
							    EHOSTUNREACH) NAME(EALREADY)
							    NAME(EINPROGRESS) NAME(ESTALE) NAME(
								EUCLEAN) NAME(ENOTNAM) NAME(ENAVAIL)
								NAME(EISNAM) NAME(EREMOTEIO) NAME(
								    EDQUOT) NAME(ENOMEDIUM)
								    NAME(EMEDIUMTYPE) NAME(
									ECANCELED) NAME(ENOKEY)
									NAME(EKEYEXPIRED) NAME(
									    EKEYREVOKED)
									    NAME(EKEYREJECTED) NAME(
										EOWNERDEAD)
										NAME(
										    ENOTRECOVERABLE)
										    NAME(ERFKILL)
#undef NAME
};

/* include/linux/errno.h: what a program never sees, since the kernel repeats the call. */
static const struct flag_name internal_errors[] = {
    {512, "ERESTARTSYS"}, {513, "ERESTARTNOINTR"},        {514, "ERESTARTNOHAND"},
    {515, "ENOIOCTLCMD"}, {516, "ERESTART_RESTARTBLOCK"},
};

const char *error_name(uint64_t error)
{
	if (error < ARRAY_SIZE(errors))
		return errors[error];
	for (size_t i = 0; i < ARRAY_SIZE(internal_errors); i++) {
		if (internal_errors[i].value == error)
			return internal_errors[i].name;
	}
	return NULL;
}
