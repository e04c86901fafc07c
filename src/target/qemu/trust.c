/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/trust.h"

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "target/qemu/mounts.h"
#include "target/qemu/process.h"
#include "target/qemu/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- Who owns it ----------------------------------------------------------------------------- */

/*
 * User ids of people (login.defs(5) UID_MIN; systemd's docs/UIDS-GIDS): from 1000; of
 * systemd-homed; nobody, and those of user namespaces. Those between are of services: Debian has
 * libvirt-qemu at 64055, systemd its dynamic users from 61184.
 */
static bool is_person(uid_t uid)
{
	return (uid >= 1000 && uid < 60578) || uid >= 65534;
}

/* The name without NSS, whose modules may ask a network. */
static void name_user(uid_t uid, char *ret, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd entry, *found;
	char text[1024];

	snprintf(ret, size, "%u", (unsigned)uid);
	while (file && !fgetpwent_r(file, &entry, text, sizeof(text), &found)) {
		if (found->pw_uid != uid)
			continue;
		snprintf(ret, size, "%s", found->pw_name);
		break;
	}
	if (file)
		fclose(file);
}

/* The line "Uid:" of /proc/PID/status: real, effective, saved, of file systems. */
static bool read_uids(pid_t pid, uid_t *ret, bool *ret_same)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct scan scan;
	uint64_t uids[4];

	buffer_init(&text, 65536);
	nunchi_error_destroy(process_read(pid, "status", &text));
	scan = (struct scan){buffer_string(&text), buffer_string(&text) + text.size};
	if (!scan_find(&scan, "\nUid:"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		scan_spaces(&scan);
		if (!scan_decimal(&scan, &uids[i]))
			return false;
	}
	*ret = (uid_t)uids[0];
	*ret_same = uids[0] == uids[1] && uids[1] == uids[2] && uids[2] == uids[3];
	return true;
}

/* ---- Whether its program is an emulator that was installed ----------------------------------- */

/* Where programs are installed: only root writes there. */
static bool is_installed_path(const char *path)
{
	static const char *const folders[] = {"/usr/", "/bin/",       "/opt/",       "/snap/",
					      "/app/", "/nix/store/", "/gnu/store/", "/lib/"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (!strncmp(path, folders[i], strlen(folders[i])))
			return true;
	return false;
}

/*
 * What statx(2) knows of the file without asking a server of its file system: the program may lie
 * on FUSE.
 */
static bool look_at(int fd, const char *path, int flags, struct statx *ret)
{
	return !statx(fd, path, AT_STATX_DONT_SYNC | flags,
		      STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID | STATX_INO | STATX_NLINK,
		      ret);
}

static bool is_same_file(const struct statx *one, const struct statx *other)
{
	return one->stx_ino == other->stx_ino && one->stx_dev_major == other->stx_dev_major &&
	       one->stx_dev_minor == other->stx_dev_minor;
}

/*
 * A name such as /usr/bin/qemu-system-x86_64 proves nothing by itself: in a mount namespace of
 * their own users can put any file under it. So the file must be the one that this process sees
 * there; or one that was deleted, by an update, and that root owned.
 */
static const char *judge_file(const struct statx *file, const char *path, bool deleted)
{
	uid_t own = geteuid();
	struct statx here;

	if (file->stx_uid != 0 && file->stx_uid != own)
		return "does not belong to root";
	if (file->stx_mode & S_IWOTH || (file->stx_mode & S_IWGRP && file->stx_gid != 0))
		return "may be written by others";
	if (file->stx_uid == own && own != 0)
		return NULL;
	if (!is_installed_path(path))
		return "is not where programs are installed";
	if (deleted)
		return file->stx_nlink == 0 ? NULL : "is no program of this host's";
	if (!look_at(AT_FDCWD, path, 0, &here) || !is_same_file(file, &here))
		return "is no program of this host's";
	return NULL;
}

static void judge_program(pid_t pid, struct qemu_trust *trust)
{
	static const char suffix[] = " (deleted)";
	char link[64], path[4096], type[32];
	_cleanup_close_ int fd = -1;
	struct statx file;
	const char *why = NULL;
	bool deleted;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0) {
		/* Its program is hidden from this user, and so is its memory. */
		return;
	}
	path[n] = '\0';
	deleted = (size_t)n > sizeof(suffix) && !strcmp(path + n - (sizeof(suffix) - 1), suffix);
	if (deleted)
		path[n - (ssize_t)(sizeof(suffix) - 1)] = '\0';
	fd = open(link, O_PATH | O_CLOEXEC);
	if (fd < 0 || !look_at(fd, "", AT_EMPTY_PATH, &file))
		why = "cannot be looked at";
	else if (!mounts_device_is_local(
		     pid, (struct mounts_device){file.stx_dev_major, file.stx_dev_minor}, type,
		     sizeof(type)))
		why = "is not on a local file system";
	else
		why = judge_file(&file, path, deleted);
	if (why)
		snprintf(trust->why_not, sizeof(trust->why_not), "its program %.120s %s", path,
			 why);
}

bool qemu_trust_read(pid_t pid, struct qemu_trust *ret)
{
	struct qemu_trust trust = {0};
	bool same;

	if (!read_uids(pid, &trust.uid, &same))
		return false;
	name_user(trust.uid, trust.user, sizeof(trust.user));
	trust.is_person = is_person(trust.uid) && trust.uid != geteuid();
	judge_program(pid, &trust);
	if (!trust.why_not[0] && !same)
		snprintf(trust.why_not, sizeof(trust.why_not),
			 "it runs with the rights of more than one user");
	*ret = trust;
	return true;
}

unsigned qemu_trust_rank(const struct qemu_trust *trust)
{
	if (trust->why_not[0] && geteuid() == 0)
		return QEMU_TRUST_NOT;
	return trust->is_person;
}

/* ---- Whether it is at the other end ---------------------------------------------------------- */

bool qemu_trust_holds(pid_t pid, int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	switch (process_holds_peer(pid, fd)) {
	case PROCESS_HOLDS:
		return true;
	case PROCESS_HOLDS_NOT:
		return false;
	case PROCESS_HOLDS_UNKNOWN:
		break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	return peer.pid == pid || peer.uid == 0;
}

/* ---- Whether its arguments may be read ------------------------------------------------------- */

/* Fields 48 and 49 of /proc/PID/stat: arg_start and arg_end (proc_pid_stat(5)). */
static bool read_arguments_place(pid_t pid, uint64_t *ret_start, uint64_t *ret_end)
{
	_cleanup_buffer_ struct buffer text = {0};
	const char *close;
	struct scan scan, word;

	buffer_init(&text, 65536);
	nunchi_error_destroy(process_read(pid, "stat", &text));
	close = text.size ? memrchr(text.data, ')', text.size) : NULL;
	if (!close)
		return false;
	scan = (struct scan){close + 1, text.data + text.size};
	for (int i = 3; i < 48; i++) {
		scan_spaces(&scan);
		if (!scan_word(&scan, &word))
			return false;
	}
	scan_spaces(&scan);
	if (!scan_decimal(&scan, ret_start))
		return false;
	scan_spaces(&scan);
	return scan_decimal(&scan, ret_end);
}

bool qemu_trust_arguments(pid_t pid)
{
	_cleanup_maps_ struct maps maps = {0};
	struct nunchi_error *err = process_maps(pid, &maps);
	const struct mapping *mapping;
	uint64_t start, end;

	if (err) {
		nunchi_error_destroy(err);
		return false;
	}
	if (!read_arguments_place(pid, &start, &end) || end <= start)
		return false;
	mapping = maps_find(&maps, start, end - start);
	return mapping && !mapping->inode;
}
