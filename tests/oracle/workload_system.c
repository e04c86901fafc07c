/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workload: mounts, executables on them, control groups, containers, log lines. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define SELF "/bin/workload"

static char *const plain_environment[] = {"PATH=/bin", NULL};

static void try_mount(const char *source, const char *target, const char *type, unsigned long flags,
		      const char *data)
{
	if (!make_directory(target) || mount(source, target, type, flags, data) < 0)
		complain(target);
}

/* Run a shell command, which a static program has no better way for. */
static void shell(const char *command)
{
	if (system(command) != 0)
		complain(command);
}

static void mount_hostile(void)
{
	char path[256], again[300];

	make_directory("/run/hostile");
	for (int i = 0; i < HOSTILE_COUNT; i++) {
		snprintf(path, sizeof(path), "/run/hostile/%s", hostile[i]);
		try_mount(hostile[i], path, "tmpfs", MS_NOSUID, "size=64k,mode=700");
		if (i % 4)
			continue;
		snprintf(again, sizeof(again), "/run/bind-%d", i);
		try_mount(path, again, NULL, MS_BIND, NULL);
	}
}

static void mount_overlay(void)
{
	make_directory("/run/overlay");
	make_directory("/run/overlay/lower");
	make_directory("/run/overlay/upper");
	make_directory("/run/overlay/work");
	copy_file(SELF, "/run/overlay/lower/from-below");
	copy_file("/etc/lab", "/run/overlay/lower/changed");
	try_mount("overlay", "/run/overlay/merged", "overlay", 0,
		  "lowerdir=/run/overlay/lower,upperdir=/run/overlay/upper,"
		  "workdir=/run/overlay/work");
	shell("echo more >>/run/overlay/merged/changed");
}

void start_mounts(void)
{
	try_mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	try_mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	try_mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	try_mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
	try_mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL);
	try_mount("hugetlbfs", "/dev/hugepages", "hugetlbfs", 0, "pagesize=2M");
	try_mount("ramfs", "/run/ramfs", "ramfs", MS_NOATIME, NULL);
	try_mount("none", "/run/named", "cgroup", 0, "none,name=nunchi");
	try_mount("none", "/run/freezer", "cgroup", 0, "freezer");
	try_mount("tmpfs", "/run/options", "tmpfs", MS_RDONLY | MS_NODEV | MS_NOEXEC | MS_NOATIME,
		  "size=1m,nr_inodes=100,mode=1750,uid=7,gid=8");
	try_mount("/bin", "/run/bound", NULL, MS_BIND, NULL);
	mount(NULL, "/run/bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL);
	try_mount("tmpfs", "/run/shared", "tmpfs", 0, NULL);
	mount(NULL, "/run/shared", NULL, MS_SHARED, NULL);
	try_mount("/run/shared", "/run/slave", NULL, MS_BIND, NULL);
	mount(NULL, "/run/slave", NULL, MS_SLAVE, NULL);
	try_mount("tmpfs", "/run/covered", "tmpfs", 0, NULL);
	try_mount("tmpfs", "/run/covered", "tmpfs", 0, "mode=711");
	mount_hostile();
	mount_overlay();
	/* A disk: a file, a loop device, ext4. */
	shell("dd if=/dev/zero of=/tmp/disk bs=1M count=0 seek=8 2>/dev/null && "
	      "mke2fs -F /tmp/disk >/dev/null && mkdir -p /run/disk && "
	      "mount -o loop,noatime -t ext4 /tmp/disk /run/disk && "
	      "mkdir /run/disk/inside && cp " SELF " /run/disk/inside/on-a-disk");
}

/* Executables */

static pid_t run_copy(const char *path)
{
	if (!copy_file(SELF, path)) {
		complain(path);
		return -1;
	}
	return spawn_program(path, (char *[]){"copied", NULL}, plain_environment, "rest");
}

void start_executables(void)
{
	char path[256];

	for (int i = 0; i < HOSTILE_COUNT; i++) {
		snprintf(path, sizeof(path), "/tmp/program-%s", hostile[i]);
		run_copy(path);
		if (i % 3 == 0)
			unlink(path);
	}
	run_copy("/tmp/plainly-deleted");
	unlink("/tmp/plainly-deleted");
	run_copy("/tmp/still-there (deleted)");
	run_copy("/tmp/renamed-before");
	rename("/tmp/renamed-before", "/tmp/renamed-after");
	run_copy("/tmp/linked-one");
	if (link("/tmp/linked-one", "/tmp/linked-two") < 0 || unlink("/tmp/linked-one") < 0)
		complain("a second link");
	/* The name is taken again, by another file. */
	run_copy("/tmp/replaced");
	unlink("/tmp/replaced");
	copy_file(SELF, "/tmp/replaced");
	make_directory("/tmp/gone-directory");
	run_copy("/tmp/gone-directory/program");
	unlink("/tmp/gone-directory/program");
	rmdir("/tmp/gone-directory");
	spawn_program("/run/overlay/merged/from-below", (char *[]){"lower", NULL},
		      plain_environment, "rest");
	run_copy("/run/overlay/merged/from-above");
	spawn_program("/run/disk/inside/on-a-disk", (char *[]){"disk", NULL}, plain_environment,
		      "rest");
	spawn_program("/run/bound/workload", (char *[]){"bound", NULL}, plain_environment, "rest");
}

/* Control groups */

static void join_group(const char *group, pid_t pid)
{
	char path[512], text[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(text, sizeof(text), "%d", pid);
	if (!write_text(path, text))
		complain(path);
}

static void in_group(long number)
{
	char group[256];

	set_name("in-a-group");
	switch (number) {
	case -1:
		snprintf(group, sizeof(group), "/sys/fs/cgroup/nunchi.slice");
		break;
	case -2:
		snprintf(group, sizeof(group), "/sys/fs/cgroup/nunchi.slice/one/two/three/four");
		break;
	case -3:
		snprintf(group, sizeof(group), "/run/named/elsewhere");
		break;
	default:
		snprintf(group, sizeof(group), "/sys/fs/cgroup/nunchi.slice/%s", hostile[number]);
	}
	join_group(group, getpid());
	ready();
}

void start_cgroups(void)
{
	char path[256];

	make_directory("/sys/fs/cgroup/nunchi.slice");
	make_directory("/sys/fs/cgroup/nunchi.slice/one");
	make_directory("/sys/fs/cgroup/nunchi.slice/one/two");
	make_directory("/sys/fs/cgroup/nunchi.slice/one/two/three");
	make_directory("/sys/fs/cgroup/nunchi.slice/one/two/three/four");
	make_directory("/run/named/elsewhere");
	for (long i = -3; i < 0; i++)
		spawn(in_group, i);
	for (int i = 0; i < HOSTILE_COUNT; i += 2) {
		/* The kernel refuses a newline here. */
		if (strchr(hostile[i], '\n'))
			continue;
		snprintf(path, sizeof(path), "/sys/fs/cgroup/nunchi.slice/%s", hostile[i]);
		if (!make_directory(path))
			complain(path);
		else
			spawn(in_group, i);
	}
}

/* Containers */

enum {
	ALL_NAMESPACES = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
			 CLONE_NEWCGROUP,
};

/* Another process, still outside, gives the new user namespace its ids. */
static void map_ids(const char *kind, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s_map", pid, kind);
	if (!write_text(path, "0 100000 65536"))
		complain(path);
}

static void enter_user_namespace(void)
{
	pid_t self = getpid(), helper;
	int pipes[2];
	char byte;

	REQUIRE(pipe(pipes) == 0);
	helper = fork();
	if (helper == 0) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) == 1) {
			map_ids("uid", self);
			map_ids("gid", self);
		}
		_exit(0);
	}
	close(pipes[0]);
	REQUIRE(unshare(CLONE_NEWUSER) == 0 && write(pipes[1], "g", 1) == 1);
	close(pipes[1]);
	waitpid(helper, NULL, 0);
	REQUIRE(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
}

static void change_root(long number)
{
	char root[64], path[128];

	REQUIRE(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	snprintf(root, sizeof(root), "/tmp/container-%ld", number);
	REQUIRE(make_directory(root) && mount("container", root, "tmpfs", 0, "mode=755") == 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"bin", "proc", "old", "tmp"};

		snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		REQUIRE(make_directory(path));
	}
	snprintf(path, sizeof(path), "%s/bin", root);
	REQUIRE(mount("/bin", path, NULL, MS_BIND, NULL) == 0);
	snprintf(path, sizeof(path), "%s/proc", root);
	if (mount("proc", path, "proc", 0, NULL) < 0)
		complain("a container's proc");
	snprintf(path, sizeof(path), "%s/old", root);
	REQUIRE(chdir(root) == 0);
	REQUIRE(syscall(SYS_pivot_root, ".", "old") == 0);
	REQUIRE(chdir("/") == 0 && umount2("/old", MNT_DETACH) == 0);
}

static void contained(long number)
{
	static const uid_t users[] = {0, 33, 1000};

	set_name("contained");
	if (number > 0)
		REQUIRE(setresgid(users[number], users[number], users[number]) == 0 &&
			setresuid(users[number], users[number], users[number]) == 0);
	REQUIRE(chdir("/tmp") == 0);
	ready();
}

/* Process 1 of a container; number 2 holds another container. */
static void container_init(long number)
{
	char name[64];

	change_root(number);
	snprintf(name, sizeof(name), "container-%ld", number);
	REQUIRE(sethostname(name, strlen(name)) == 0);
	set_name("container-init");
	for (long i = 0; i < 3; i++)
		spawn(contained, i);
	spawn_program("/bin/workload", (char *[]){"inside", "눈치", NULL}, plain_environment,
		      "rest");
	ready();
}

static void nested_init(long number)
{
	(void)number;
	set_name("nested-init");
	spawn(contained, 0);
	ready();
}

static void nested(long number)
{
	change_root(number);
	set_name("nesting");
	REQUIRE(unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS) == 0);
	REQUIRE(sethostname("nested", 6) == 0);
	spawn(nested_init, 0);
	ready();
}

/*
 * The cgroups that runtimes make, here without a runtime: docker and Kubernetes with systemd,
 * docker with version 1. The second one has none.
 */
static void join_container(long number)
{
	static const char *const paths[][5] = {
	    {"/sys/fs/cgroup", "system.slice",
	     "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"},
	    {"/sys/fs/cgroup", "kubepods.slice", "kubepods-burstable.slice",
	     "kubepods-burstable-pod2fc932ce_fdcc_454b_97bd_aadfdeb4c340.slice",
	     "cri-containerd-fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	     ".scope"},
	    {NULL},
	    {"/run/freezer", "docker",
	     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
	};
	char path[512] = "";

	for (size_t i = 0; i < 5 && paths[number][i]; i++) {
		size_t size = strlen(path);

		snprintf(path + size, sizeof(path) - size, "%s%s", i ? "/" : "", paths[number][i]);
		if (i && !make_directory(path))
			complain(path);
	}
	if (path[0])
		join_group(path, getpid());
}

static void container(long number)
{
	set_name("container");
	join_container(number);
	if (number % 2)
		enter_user_namespace();
	REQUIRE(unshare(ALL_NAMESPACES) == 0);
	spawn(number == 2 ? nested : container_init, number);
	ready();
}

static void chrooted(long number)
{
	static const char *const roots[] = {"/tmp/jail", "/tmp/jail\n\033[1m"};
	char path[64];

	set_name("chrooted");
	REQUIRE(make_directory(roots[number]));
	snprintf(path, sizeof(path), "%s/inside", roots[number]);
	REQUIRE(make_directory(path));
	REQUIRE(chroot(roots[number]) == 0 && chdir(number ? "/" : "/inside") == 0);
	ready();
}

void start_containers(void)
{
	for (long i = 0; i < 4; i++)
		spawn(container, i);
	spawn(chrooted, 0);
	spawn(chrooted, 1);
}

/* The kernel's log */

void write_log(void)
{
	static char text[2048];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < HOSTILE_COUNT; i++) {
		/* Facilities 1 (user) to 23, every level. */
		int size = snprintf(text, sizeof(text), "<%d>nunchi: %s end",
				    (1 + i) << 3 | (i & 7), hostile[i]);

		if (write(fd, text, (size_t)size) != size)
			complain("/dev/kmsg");
	}
	memset(text, 'L', 900);
	memcpy(text, "<14>nunchi: long ", 17);
	if (fd < 0 || write(fd, text, 900) != 900 || write(fd, "no priority\n", 12) != 12 ||
	    write(fd, "<15>", 4) != 4)
		complain("/dev/kmsg");
	if (fd >= 0)
		close(fd);
}
