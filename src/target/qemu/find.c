/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/find.h"
#include "target/qemu/libvirt.h"
#include "target/qemu/mounts.h"
#include "target/qemu/names.h"
#include "target/qemu/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Words ----------------------------------------------------------------------------------- */

static bool parse_pid(const char *word, pid_t *ret)
{
	struct scan scan = {word, word + strlen(word)};
	uint64_t pid;

	if (!scan_decimal(&scan, &pid) || scan.at != scan.end || !pid || pid > INT32_MAX)
		return false;
	*ret = (pid_t)pid;
	return true;
}

/*
 * How many processes a name may mean: the guests of the system and of this user, if there are any
 * of that name, else those of other people, else what is not believed. So nobody's guest stands in
 * the way of one of the system. *ret is the index of the first, if there is one.
 */
static size_t count_named(const struct qemu_processes *all, const char *name, unsigned *ret_rank,
			  size_t *ret)
{
	size_t count = 0;
	unsigned best = UINT_MAX;

	for (size_t i = 0; i < all->count; i++) {
		unsigned rank = qemu_trust_rank(&all->entries[i].trust);

		if (strcmp(all->entries[i].cmdline.name, name) != 0 || rank > best)
			continue;
		if (rank < best) {
			best = rank;
			count = 0;
			*ret = i;
		}
		count++;
	}
	*ret_rank = best;
	return count;
}

char *qemu_target_word(const struct qemu_process *process, const struct qemu_processes *all)
{
	const char *name = process->cmdline.name;
	size_t found;
	unsigned rank;
	char *word;
	pid_t pid;
	int size;

	if (qemu_name_is_clear(name) && !parse_pid(name, &pid) &&
	    count_named(all, name, &rank, &found) == 1 && &all->entries[found] == process)
		size = asprintf(&word, "qemu:%s", name);
	else
		size = asprintf(&word, "qemu:%d", process->pid);
	return size < 0 ? NULL : word;
}

size_t qemu_count_named(const struct qemu_processes *all, const char *name)
{
	size_t found;
	unsigned rank;

	return count_named(all, name, &rank, &found);
}

/* Moves entry i out of the list. */
static void take(struct qemu_processes *all, size_t i, struct qemu_process *ret)
{
	*ret = all->entries[i];
	all->count--;
	memmove(&all->entries[i], &all->entries[i + 1], (all->count - i) * sizeof(*all->entries));
}

static struct nunchi_error *hint_guests(struct nunchi_error *err, const struct qemu_processes *all)
{
	_cleanup_buffer_ struct buffer list = {0};

	if (!all->count)
		return error_hint(err, "no QEMU process is visible on this host");
	buffer_init(&list, 4096);
	for (size_t i = 0; i < all->count; i++) {
		_cleanup_free_ char *word = qemu_target_word(&all->entries[i], all);

		buffer_printf(&list, "%s%s", i ? ", " : "", word ? word : "");
	}
	return error_hint(err, "running are: %s", buffer_string(&list));
}

static struct nunchi_error *ambiguous(const struct qemu_processes *all, const char *name,
				      unsigned rank)
{
	_cleanup_buffer_ struct buffer list = {0};
	pid_t first = 0;

	buffer_init(&list, 4096);
	for (size_t i = 0; i < all->count; i++) {
		const struct qemu_process *process = &all->entries[i];

		if (strcmp(process->cmdline.name, name) != 0 ||
		    qemu_trust_rank(&process->trust) != rank)
			continue;
		buffer_printf(&list, "%s%d of %s", list.size ? ", " : "", process->pid,
			      process->trust.user);
		first = first ? first : process->pid;
	}
	return error_hint(error_create(NUNCHI_ERROR_AMBIGUOUS,
				       "several QEMU guests are named \"%s\": processes %s", name,
				       buffer_string(&list)),
			  "name one by its process, as qemu:%d", first);
}

static struct nunchi_error *find_by_name(const char *name, struct qemu_process *ret)
{
	_cleanup_qemu_processes_ struct qemu_processes all = {0};
	struct nunchi_error *err = qemu_processes_find(&all);
	size_t found = 0;
	unsigned rank;

	if (err)
		return err;
	switch (count_named(&all, name, &rank, &found)) {
	case 0:
		return hint_guests(
		    error_create(NUNCHI_ERROR_NOT_FOUND, "no QEMU guest \"%s\" runs here", name),
		    &all);
	case 1:
		take(&all, found, ret);
		return NULL;
	default:
		return ambiguous(&all, name, rank);
	}
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/*
 * Whether a path that stands in the command line of another person's process may be looked at: on a
 * file system of theirs (FUSE) a look alone may take for ever. The path that our user named may.
 */
static struct nunchi_error *check_path(const struct qemu_process *process, const char *path,
				       bool named)
{
	char type[32];

	if (named || !process->trust.is_person || mounts_path_is_local(path, type, sizeof(type)))
		return NULL;
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "its QMP socket %s is not on a local file system, but on %s", path,
			    type);
}

static bool has_socket(const struct qemu_process *process, const char *path)
{
	for (size_t i = 0; i < process->cmdline.socket_count; i++) {
		_cleanup_free_ char *own = qemu_process_socket_path(process, i);
		_cleanup_error_ struct nunchi_error *err =
		    own ? check_path(process, own, false) : NULL;

		if (own && !err && same_file(own, path))
			return true;
	}
	return false;
}

/*
 * Finds the process for a socket: the one that listens; or, if another program (libvirt) created
 * the socket and passed it to QEMU, the one that has the socket on its command line.
 */
static struct nunchi_error *find_by_socket(const char *path, struct qemu_process *ret)
{
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	_cleanup_qemu_processes_ struct qemu_processes all = {0};
	struct nunchi_error *err = qmp_client_create(path, &client);

	if (err)
		return err;
	if (qmp_client_peer(client) > 0) {
		err = qemu_process_load(qmp_client_peer(client), ret);
		if (!err)
			return NULL;
		nunchi_error_destroy(err);
	}
	err = qemu_processes_find(&all);
	if (err)
		return err;
	/* Anybody may name the socket of another in a command line. */
	for (unsigned rank = 0; rank < QEMU_TRUST_RANKS; rank++)
		for (size_t i = 0; i < all.count; i++)
			if (qemu_trust_rank(&all.entries[i].trust) == rank &&
			    has_socket(&all.entries[i], path)) {
				take(&all, i, ret);
				return NULL;
			}
	return error_hint(
	    error_create(NUNCHI_ERROR_NOT_FOUND, "no QEMU process is behind the socket %s", path),
	    "it must be a QMP socket of a QEMU on this host, as given with -qmp unix:%s,server=on",
	    path);
}

static bool is_socket(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISSOCK(st.st_mode);
}

struct nunchi_error *qemu_find(const char *word, struct qemu_process *ret, char **ret_socket)
{
	struct nunchi_error *err;
	char *socket;
	pid_t pid;

	if (!word[0])
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "qemu: is not followed by a name, process or socket");
	if (strchr(word, '/') || is_socket(word)) {
		socket = strdup(word);
		if (!socket)
			return &error_nomem;
		err = find_by_socket(word, ret);
		if (err)
			free(socket);
		else
			*ret_socket = socket;
		return err;
	}
	*ret_socket = NULL;
	if (parse_pid(word, &pid)) {
		err = qemu_process_load(pid, ret);
		if (!err)
			return NULL;
		nunchi_error_destroy(err);
	}
	return find_by_name(word, ret);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

/* The path of the n-th socket: first the one that the user named, then those of the process. */
static char *nth_path(const struct qemu_process *process, const char *socket, size_t n)
{
	if (!socket)
		return qemu_process_socket_path(process, n);
	return n ? qemu_process_socket_path(process, n - 1) : strdup(socket);
}

size_t qemu_connect_all(const struct qemu_process *process, const char *socket,
			struct qmp_client *clients[CMDLINE_SOCKETS_MAX + 1],
			struct nunchi_error **ret_err)
{
	size_t paths = process->cmdline.socket_count + (socket ? 1 : 0), count = 0;

	*ret_err = NULL;
	for (size_t i = 0; i < paths; i++) {
		_cleanup_free_ char *path = nth_path(process, socket, i);
		struct qmp_client *client = NULL;
		struct nunchi_error *err;

		if (!path || (i && socket && same_file(path, socket)))
			continue;
		err = check_path(process, path, socket && !i);
		if (!err)
			err = qmp_client_create(path, &client);
		if (!err)
			clients[count++] = client;
		else if (*ret_err)
			nunchi_error_destroy(err);
		else
			*ret_err = err;
	}
	return count;
}

static struct nunchi_error *no_socket(const struct qemu_process *process)
{
	struct nunchi_error *err;

	if (process->cmdline.has_other_qmp)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "its QMP monitor is not on a Unix socket");
	else if (process->cmdline.socket_count)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "its QMP socket cannot be reached");
	else
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "it was started without a QMP socket");
	return error_hint(err, "start QEMU with -qmp unix:/PATH,server=on,wait=off");
}

/*
 * The error that the socket is busy; it names the process that is connected to the first socket for
 * which this can be found out.
 */
static struct nunchi_error *busy(const struct qemu_process *process, const char *socket)
{
	size_t paths = process->cmdline.socket_count + (socket ? 1 : 0);

	for (size_t i = 0; i < paths; i++) {
		_cleanup_free_ char *path = nth_path(process, socket, i);
		char name[64];
		pid_t holder;

		if (!path || !process_socket_holder(path, &holder))
			continue;
		process_name(holder, name, sizeof(name));
		return error_hint(error_create(NUNCHI_ERROR_BUSY,
					       "its QMP socket %s is in use by %s (pid %d)", path,
					       name, holder),
				  "end that program, or give QEMU a second -qmp socket");
	}
	return error_hint(
	    error_create(NUNCHI_ERROR_BUSY, "its QMP socket is in use by another program"),
	    "end that program, or give QEMU a second -qmp socket");
}

/* Connects to QEMU itself. */
static struct nunchi_error *connect_directly(const struct qemu_process *process, const char *socket,
					     const struct qmp_wait *wait, struct qmp_client **ret)
{
	struct qmp_client *clients[CMDLINE_SOCKETS_MAX + 1];
	struct nunchi_error *err = NULL, *connect_err;
	size_t count = qemu_connect_all(process, socket, clients, &connect_err), chosen = 0;

	if (count) {
		nunchi_error_destroy(connect_err);
		err = qmp_client_negotiate(clients, count, wait, &chosen);
	} else {
		err = connect_err ? connect_err : no_socket(process);
	}
	/* Before anything is asked or ordered of it. */
	if (!err && !qemu_trust_holds(process->pid, qmp_client_fd(clients[chosen])))
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "another process answers on what should be its QMP socket");
	for (size_t i = 0; i < count; i++) {
		if (err || i != chosen)
			qmp_client_destroy(clients[i]);
	}
	if (error_is(err, NUNCHI_ERROR_BUSY)) {
		nunchi_error_destroy(err);
		return busy(process, socket);
	}
	if (!err)
		*ret = clients[chosen];
	return err;
}

struct nunchi_error *qemu_connect(const struct qemu_process *process, const char *socket,
				  const struct qmp_wait *wait, struct qmp_client **ret)
{
	struct nunchi_error *err, *other;
	pid_t holder;

	/* libvirt names the monitor that it holds for as long as the guest runs. */
	if (socket || !process->cmdline.has_libvirt_monitor ||
	    !qemu_libvirt_holds(process, &holder))
		return connect_directly(process, socket, wait, ret);
	err = qemu_libvirt_connect(process, holder, wait, ret);
	if (!err || process->cmdline.socket_count < 2 || error_is(err, NUNCHI_ERROR_CANCELLED))
		return err;
	/* It may have a monitor more, which libvirt does not hold. */
	other = connect_directly(
	    process, NULL, &(struct qmp_wait){clock_us() + CLOCK_US_PER_S, wait->cancel}, ret);
	nunchi_error_destroy(other ? other : err);
	return other ? err : NULL;
}
