/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/undo_log_internal.h"

#include "core/clock.h"
#include "core/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/*
 * Limit of the tries to lock a log. A try fails if the owner removes its log between open() and the
 * lock.
 */
#define LOCK_TRIES 64
/* How many files of a directory are looked at when logs of dead guests are removed. */
#define SWEEP_MAX 4096
/* How long to wait for a guard that is undoing what its owner left. */
#define GUARD_US (2 * CLOCK_US_PER_S)

enum { OWNER_LOCK, GUARD_LOCK };

static const char *const type_names[] = {
    [UNDO_PAUSE] = "pause", [UNDO_STUB] = "stub", [UNDO_EVENTS] = "ring"};
static const char *const state_names[] = {
    [UNDO_LOGGED] = "logged",   [UNDO_DOING] = "doing",   [UNDO_DONE] = "done",
    [UNDO_UNDOING] = "undoing", [UNDO_UNDONE] = "undone",
};

/* ---- Directories ----------------------------------------------------------------------------- */

/*
 * Gets the n-th directory for logs, the best first; false if there are no more. Root has one
 * directory, which does not depend on the environment, so that each run as root finds what another
 * run left. *ret is NULL if memory is short or the directory cannot be used.
 */
static bool candidate(unsigned n, char **ret)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");

	*ret = NULL;
	if (geteuid() == 0) {
		if (n == 0)
			*ret = strdup(undo_log_root_directory);
		return n == 0;
	}
	if (n == 0 && runtime && runtime[0] == '/' && asprintf(ret, "%s/nunchi", runtime) < 0)
		*ret = NULL;
	if (n == 1 && asprintf(ret, "/tmp/nunchi-%u", (unsigned)geteuid()) < 0)
		*ret = NULL;
	return n < 2;
}

/* Opens a directory, which must belong to the user and be closed to everybody else. */
static struct nunchi_error *open_trusted(const char *path, int *ret)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_create_errno(errno, "%s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return error_hint(
		    error_create(NUNCHI_ERROR_PERMISSION,
				 "%s does not belong to user %u alone, so the undo log is not "
				 "safe there",
				 path, (unsigned)geteuid()),
		    st.st_uid == geteuid()
			? "remove the directory; nunchi creates it again with the right mode"
			: "ask root to remove the directory, or set XDG_RUNTIME_DIR to a directory "
			  "of yours");
	*ret = no_cleanup_fd(fd);
	return NULL;
}

/*
 * Opens the directory of a log's path, as open_trusted() does. Only the descriptor is used from
 * then on, whatever the path is made to lead to.
 */
static struct nunchi_error *open_folder(const char *path, int *ret)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;

	if (!slash)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s is no path of an undo log", path);
	return folder ? open_trusted(folder, ret) : &error_nomem;
}

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Opens the first directory that can be used; creates it if necessary. */
static struct nunchi_error *open_directory(char **ret_path, int *ret)
{
	struct nunchi_error *first = NULL;
	char *path;

	for (unsigned n = 0; candidate(n, &path); n++) {
		struct nunchi_error *err;

		if (!path)
			continue;
		if (mkdir(path, 0700) && errno != EEXIST)
			err = error_create_errno(errno, "cannot make %s", path);
		else
			err = open_trusted(path, ret);
		if (!err) {
			nunchi_error_destroy(first);
			*ret_path = path;
			return NULL;
		}
		free(path);
		if (first)
			nunchi_error_destroy(err);
		else
			first = err;
	}
	return first ? first : &error_nomem;
}

static bool valid_key(const char *guest)
{
	return guest[0] && strlen(guest) <= 100 &&
	       strspn(guest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
		   strlen(guest);
}

/* ---- Locks ----------------------------------------------------------------------------------- */

static int lock(int fd, off_t which)
{
	struct flock range = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = which, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &range) ? errno : 0;
}

/* Whether another process holds one of `count` locks, counted from lock `which`. */
static bool is_locked(int fd, off_t which, off_t count)
{
	struct flock range = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = which, .l_len = count};

	return !fcntl(fd, F_OFD_GETLK, &range) && range.l_type != F_UNLCK;
}

/* Whether the name in the directory is still that of the file of fd. */
static bool still_named(int fd, int directory, const char *name)
{
	struct stat opened, named;

	return !fstat(fd, &opened) && !fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/* Whether the file is one that only the user can have written. */
static bool is_own_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

/* ---- Entries --------------------------------------------------------------------------------- */

static enum undo_type parse_type(const char *name)
{
	for (size_t i = 0; i < UNDO_UNKNOWN_TYPE; i++) {
		if (!strcmp(name, type_names[i]))
			return (enum undo_type)i;
	}
	/*
	 * Before there were breakpoints. The name was changed so that a nunchi of that time, which
	 * would leave them in the guest, does not undo it.
	 */
	return strcmp(name, "events") == 0 ? UNDO_EVENTS : UNDO_UNKNOWN_TYPE;
}

/*
 * Parses an entry. An unknown state counts as UNDO_DONE with an unknown type: there is something to
 * undo, but not known what.
 */
static struct undo_entry parse_entry(unsigned number, const char *type, const char *state)
{
	struct undo_entry entry = {.number = number, .type = parse_type(type), .state = UNDO_DONE};
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
		if (!strcmp(state, state_names[i])) {
			entry.state = (enum undo_state)i;
			known = true;
		}
	}
	if (!known)
		entry.type = UNDO_UNKNOWN_TYPE;
	return entry;
}

/* Stores the newest state of an entry, or appends the entry if it is new. */
static int put_entry(struct undo_entries *entries, struct undo_entry entry)
{
	size_t at = 0;

	if (entry.number >= entries->next)
		entries->next = entry.number + 1;
	while (at < entries->count && entries->entries[at].number != entry.number)
		at++;
	if (entry.state == UNDO_UNDONE) {
		if (at == entries->count)
			return 0;
		entries->count--;
		memmove(entries->entries + at, entries->entries + at + 1,
			(entries->count - at) * sizeof(entries->entries[0]));
		return 0;
	}
	if (at == UNDO_LOG_ENTRIES_MAX)
		return EFBIG;
	/* The time of a guest that was about to be stopped is not that of its stop. */
	if (at < entries->count && !entry.has_ran && entries->entries[at].state != UNDO_DOING) {
		entry.has_ran = entries->entries[at].has_ran;
		entry.ran = entries->entries[at].ran;
	}
	entries->entries[at] = entry;
	entries->count += at == entries->count;
	return 0;
}

static int parse(const struct undo_text *text, struct undo_entries *ret, uint64_t *ret_owner)
{
	const char *at = text->data;

	*ret = (struct undo_entries){.next = 1};
	*ret_owner = 0;
	if (!undo_text_has_header(text))
		return EBADMSG;
	while (*at) {
		const char *end = strchr(at, '\n');
		char line[UNDO_LINE_MAX], type[32], state[32];
		size_t size = (size_t)(end - at);
		unsigned number;
		uint64_t owner, ran;
		int errnum, fields;

		if (size >= sizeof(line))
			return EBADMSG;
		memcpy(line, at, size);
		line[size] = '\0';
		at = end + 1;
		if (sscanf(line, "owner %16" SCNx64, &owner) == 1) {
			*ret_owner = owner;
			continue;
		}
		fields = sscanf(line, "%9u %31s %31s ran %" SCNu64, &number, type, state, &ran);
		if (fields >= 3) {
			struct undo_entry entry = parse_entry(number, type, state);

			entry.has_ran = fields == 4;
			entry.ran = fields == 4 ? ran : 0;
			errnum = put_entry(ret, entry);
			if (errnum)
				return errnum;
		}
	}
	return 0;
}

static int read_log(int fd, struct undo_entries *ret, uint64_t *ret_owner)
{
	_cleanup_free_ struct undo_text *text = malloc(sizeof(*text));
	int errnum = text ? undo_text_read(fd, text) : ENOMEM;

	return errnum ? errnum : parse(text, ret, ret_owner);
}

/* ---- Taking ---------------------------------------------------------------------------------- */

static uint64_t draw_number(void)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) == sizeof(number))
		return number;
	return clock_us();
}

/*
 * Opens and locks the log at path: *ret is its descriptor, or -1 if there is no log (and flags has
 * no O_CREAT).
 */
static struct nunchi_error *open_locked(int directory, const char *path, int flags, int *ret)
{
	const char *name = name_of(path);
	uint64_t deadline = clock_us() + GUARD_US;
	unsigned tries = 0;

	while (tries < LOCK_TRIES) {
		_cleanup_close_ int fd =
		    openat(directory, name,
			   O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
		int errnum;

		if (fd < 0 && errno == ENOENT && !(flags & O_CREAT)) {
			*ret = -1;
			return NULL;
		}
		if (fd < 0)
			return error_create_errno(errno, "undo log %s", path);
		if (!is_own_file(fd))
			return error_hint(
			    error_create(NUNCHI_ERROR_PERMISSION,
					 "the undo log %s was not written by user %u alone", path,
					 (unsigned)geteuid()),
			    "find out who put it there, and remove it");
		errnum = lock(fd, OWNER_LOCK);
		if (errnum && errnum != EAGAIN && errnum != EACCES)
			return error_create_errno(errnum, "cannot lock the undo log %s", path);
		if (errnum || (is_locked(fd, GUARD_LOCK, 1) && clock_us() >= deadline))
			return error_hint(error_create(NUNCHI_ERROR_BUSY,
						       "another nunchi is using this guest (%s)",
						       path),
					  "wait until it is done");
		if (is_locked(fd, GUARD_LOCK, 1)) {
			/*
			 * The guard of an owner that is gone is undoing the entries, and then
			 * removes the log.
			 */
			io_sleep_until(clock_us() + 5 * CLOCK_US_PER_MS, NULL);
			continue;
		}
		if (still_named(fd, directory, name)) {
			*ret = no_cleanup_fd(fd);
			return NULL;
		}
		tries++;
	}
	return error_create(NUNCHI_ERROR_BUSY,
			    "the undo log %s was removed %u times while it was being locked: other "
			    "nunchis pause this guest again and again",
			    path, LOCK_TRIES);
}

/* Makes the object for a log; takes over fd and path, and has its own copy of directory. */
static struct nunchi_error *make(int fd, int directory, char *path, uint64_t owner, off_t before,
				 struct undo_log **ret)
{
	struct undo_log *log = malloc(sizeof(*log));
	int copy = log ? fcntl(directory, F_DUPFD_CLOEXEC, 0) : -1;

	if (copy < 0) {
		struct nunchi_error *err =
		    log ? error_create_errno(errno, "undo log %s", path) : &error_nomem;

		free(log);
		close(fd);
		free(path);
		return err;
	}
	*log = (struct undo_log){fd, copy, path, owner, before, false};
	*ret = log;
	return NULL;
}

/*
 * Writes the first lines of a new log, or the new owner into a log that was left behind. Returns 0
 * or an errno.
 */
static int write_owner(int fd, const char *guest, bool is_new, uint64_t owner)
{
	char text[UNDO_LINE_MAX];

	if (is_new && ftruncate(fd, 0))
		return errno;
	/* The empty line ends a line that a killed owner may have left incomplete. */
	snprintf(text, sizeof(text), "%s%s%s%sowner %016" PRIx64 "\n",
		 is_new ? UNDO_TEXT_HEADER : "\n", is_new ? "guest " : "", is_new ? guest : "",
		 is_new ? "\n" : "", owner);
	return undo_text_append(fd, text);
}

static struct nunchi_error *take_in(int directory, const char *path, const char *guest, bool create,
				    struct undo_log **ret)
{
	struct undo_entries entries;
	uint64_t before, owner = draw_number();
	struct nunchi_error *err;
	struct stat st = {0};
	bool is_new;
	char *copy;
	int errnum, fd = -1;

	err = open_locked(directory, path, create ? O_CREAT : 0, &fd);
	if (err || fd < 0)
		return err;
	is_new = undo_text_is_fragment(fd);
	errnum = is_new ? 0 : read_log(fd, &entries, &before);
	if (!errnum && !is_new && fstat(fd, &st))
		errnum = errno;
	if (errnum) {
		close(fd);
		return error_hint(
		    error_create_errno(errnum, "undo log %s", path),
		    "another version of nunchi wrote this file, or it is damaged: read in it what "
		    "was done to the guest, undo that by hand, and remove the file");
	}
	if (is_new && !create) {
		unlinkat(directory, name_of(path), 0);
		close(fd);
		return NULL;
	}
	errnum = write_owner(fd, guest, is_new, owner);
	copy = errnum ? NULL : strdup(path);
	if (copy)
		return make(fd, directory, copy, owner, st.st_size, ret);
	if (is_new)
		unlinkat(directory, name_of(path), 0);
	close(fd);
	return errnum ? error_create_errno(errnum, "cannot write the undo log %s", path)
		      : &error_nomem;
}

struct nunchi_error *undo_log_take(const char *guest, bool create, struct undo_log **ret)
{
	struct undo_log *log = NULL;
	struct nunchi_error *err;
	char *directory;

	if (!valid_key(guest))
		return error_create(NUNCHI_ERROR_ARGUMENT, "undo log: bad key \"%s\"", guest);
	/* A log that was left in any of the directories is taken first. */
	for (unsigned n = 0; !log && candidate(n, &directory); n++) {
		_cleanup_free_ char *owned = directory, *path = NULL;
		_cleanup_close_ int fd = -1;
		_cleanup_error_ struct nunchi_error *untrusted =
		    owned ? open_trusted(owned, &fd) : &error_not_found;

		if (untrusted)
			continue;
		if (asprintf(&path, "%s/%s", owned, guest) < 0) {
			path = NULL;
			return &error_nomem;
		}
		err = take_in(fd, path, guest, false, &log);
		if (err)
			return err;
	}
	if (!log && create) {
		_cleanup_free_ char *owned = NULL, *path = NULL;
		_cleanup_close_ int fd = -1;

		err = open_directory(&owned, &fd);
		if (err)
			return error_context(err, "no directory for the undo log");
		if (asprintf(&path, "%s/%s", owned, guest) < 0) {
			path = NULL;
			return &error_nomem;
		}
		err = take_in(fd, path, guest, true, &log);
		if (err)
			return err;
	}
	*ret = log;
	return NULL;
}

struct nunchi_error *undo_log_take_beside(const struct undo_log *other, const char *guest,
					  struct undo_log **ret)
{
	_cleanup_free_ char *path = NULL;
	size_t folder = (size_t)(name_of(other->path) - other->path);

	if (!valid_key(guest))
		return error_create(NUNCHI_ERROR_ARGUMENT, "undo log: bad key \"%s\"", guest);
	if (asprintf(&path, "%.*s%s", (int)folder, other->path, guest) < 0) {
		path = NULL;
		return &error_nomem;
	}
	return take_in(other->directory, path, guest, true, ret);
}

int undo_log_take_as_guard(const char *path, uint64_t owner, struct undo_log **ret)
{
	_cleanup_close_ int fd = -1, directory = -1;
	_cleanup_error_ struct nunchi_error *err = open_folder(path, &directory);
	_cleanup_free_ char *copy = NULL;
	struct undo_entries entries;
	uint64_t found;
	int errnum;

	if (err)
		return nunchi_error_errno(err) ? nunchi_error_errno(err) : EACCES;
	fd = openat(directory, name_of(path),
		    O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno;
	errnum = is_own_file(fd) ? lock(fd, GUARD_LOCK) : EACCES;
	if (!errnum)
		errnum = read_log(fd, &entries, &found);
	if (!errnum && (found != owner || !still_named(fd, directory, name_of(path))))
		errnum = ESTALE;
	if (errnum)
		return errnum;
	copy = strdup(path);
	if (!copy)
		return ENOMEM;
	err = make(no_cleanup_fd(fd), directory, no_cleanup_ptr(copy), owner, 0, ret);
	return err ? ENOMEM : 0;
}

static enum undo_log_owner look_at(int directory, const char *name)
{
	_cleanup_close_ int fd =
	    openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return UNDO_LOG_NONE;
	if (is_locked(fd, OWNER_LOCK, 2))
		return UNDO_LOG_HELD;
	return undo_text_is_fragment(fd) ? UNDO_LOG_NONE : UNDO_LOG_LEFT;
}

enum undo_log_owner undo_log_look(const char *guest)
{
	enum undo_log_owner found = UNDO_LOG_NONE;
	char *directory;

	if (!valid_key(guest))
		return UNDO_LOG_NONE;
	for (unsigned n = 0; found == UNDO_LOG_NONE && candidate(n, &directory); n++) {
		_cleanup_free_ char *owned = directory;
		_cleanup_close_ int fd = -1;
		_cleanup_error_ struct nunchi_error *untrusted =
		    owned ? open_trusted(owned, &fd) : &error_not_found;

		if (!untrusted)
			found = look_at(fd, guest);
	}
	return found;
}

/* ---- A log that is held ---------------------------------------------------------------------- */

const char *undo_log_path(const struct undo_log *log)
{
	return log->path;
}

uint64_t undo_log_owner_number(const struct undo_log *log)
{
	return log->owner;
}

bool undo_log_is_there(const struct undo_log *log)
{
	return still_named(log->fd, log->directory, name_of(log->path));
}

int undo_log_read(const struct undo_log *log, struct undo_entries *ret)
{
	uint64_t owner;

	return read_log(log->fd, ret, &owner);
}

struct undo_entry undo_log_entry(const struct undo_log *log, unsigned number)
{
	struct undo_entries entries;

	if (undo_log_read(log, &entries))
		return (struct undo_entry){.number = number, .state = UNDO_DOING};
	for (size_t i = 0; i < entries.count; i++) {
		if (entries.entries[i].number == number)
			return entries.entries[i];
	}
	return (struct undo_entry){.number = number, .state = UNDO_UNDONE};
}

enum undo_state undo_log_state(const struct undo_log *log, unsigned number)
{
	return undo_log_entry(log, number).state;
}

int undo_log_append(struct undo_log *log, unsigned number, enum undo_type type,
		    enum undo_state state)
{
	return undo_log_append_ran(log, number, type, state, NULL);
}

int undo_log_append_ran(struct undo_log *log, unsigned number, enum undo_type type,
			enum undo_state state, const uint64_t *ran)
{
	char line[UNDO_LINE_MAX], argument[32] = "";

	if (ran)
		snprintf(argument, sizeof(argument), " ran %" PRIu64, *ran);
	snprintf(line, sizeof(line), "%u %s %s%s\n", number, type_names[type], state_names[state],
		 argument);
	return undo_text_append(log->fd, line);
}

void undo_log_leave(struct undo_log *log)
{
	if (!log)
		return;
	close(log->fd);
	close(log->directory);
	free(log->path);
	free(log);
}

void undo_log_leave_older(struct undo_log *log)
{
	/*
	 * If truncating fails, the lines stay, which say that everything of this owner is undone.
	 * They stay too if one says that a byte is back, which an older line may tell of.
	 */
	if (log && log->before && !log->restored && ftruncate(log->fd, log->before))
		errno = 0;
	undo_log_leave(log);
}

void undo_log_erase(struct undo_log *log)
{
	if (!log)
		return;
	/* Remove the file while it is locked, so that nobody sees it without an owner. */
	if (undo_log_is_there(log))
		unlinkat(log->directory, name_of(log->path), 0);
	undo_log_leave(log);
}

/* ---- Logs of dead guests --------------------------------------------------------------------- */

/* Removes a log, unless somebody looks after it or it is not one of ours. */
static void remove_left(int directory, const char *name)
{
	_cleanup_close_ int fd =
	    openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && is_own_file(fd) && !lock(fd, OWNER_LOCK) && !is_locked(fd, GUARD_LOCK, 1) &&
	    still_named(fd, directory, name))
		unlinkat(directory, name, 0);
}

static void sweep_in(int directory, bool (*is_dead)(void *data, const char *guest), void *data)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned n = 0; n < SWEEP_MAX && (entry = readdir(dir)); n++) {
		if (valid_key(entry->d_name) && is_dead(data, entry->d_name))
			remove_left(directory, entry->d_name);
	}
	closedir(dir);
}

void undo_log_sweep(bool (*is_dead)(void *data, const char *guest), void *data)
{
	char *directory;

	for (unsigned n = 0; candidate(n, &directory); n++) {
		_cleanup_free_ char *owned = directory;
		_cleanup_close_ int fd = -1;
		_cleanup_error_ struct nunchi_error *untrusted =
		    owned ? open_trusted(owned, &fd) : &error_not_found;

		if (!untrusted)
			sweep_in(fd, is_dead, data);
	}
}
