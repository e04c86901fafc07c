/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define RECORD_MAX 256
#define HEADER     "nunchi journal 1\ncookie "
#define COOKIE_END (sizeof(HEADER) - 1 + 16)
#define STEP       "\nstep "
#define STEP_AT    (COOKIE_END + sizeof(STEP) - 1)
/* Each try loses to an owner that removed its record in between; it cannot go on for ever. */
#define LOCK_TRIES 64

struct journal {
	int fd;
	char *path;
	uint64_t cookie;
};

/* ---- Directories ----------------------------------------------------------------------------- */

/* The n-th place for records, best first: false when there are no more. *ret is NULL if unset. */
static bool candidate(unsigned n, char **ret)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");

	*ret = NULL;
	switch (n) {
	case 0:
		if (runtime && runtime[0] == '/' && asprintf(ret, "%s/nunchi", runtime) < 0)
			*ret = NULL;
		return true;
	case 1:
		if (geteuid() == 0)
			*ret = strdup("/run/nunchi");
		return true;
	case 2:
		if (asprintf(ret, "/tmp/nunchi-%u", (unsigned)geteuid()) < 0)
			*ret = NULL;
		return true;
	default:
		return false;
	}
}

/* In a place others can write to, only a directory of our own, closed to others, is trusted. */
static struct nunchi_error *check_directory(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return error_create_errno(errno, "%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
					       "%s is not a directory of ours alone", path),
				  "remove it, or set XDG_RUNTIME_DIR to a directory of your own");
	return NULL;
}

/* The first directory that can be used, made if need be. */
static struct nunchi_error *open_directory(char **ret)
{
	struct nunchi_error *err = NULL;
	char *path;

	for (unsigned n = 0; candidate(n, &path); n++) {
		struct nunchi_error *one;

		if (!path)
			continue;
		if (mkdir(path, 0700) && errno != EEXIST)
			one = error_create_errno(errno, "cannot make %s", path);
		else
			one = check_directory(path);
		if (!one) {
			nunchi_error_destroy(err);
			*ret = path;
			return NULL;
		}
		free(path);
		if (err)
			nunchi_error_destroy(one);
		else
			err = one;
	}
	return err ? err : &error_nomem;
}

static bool valid_key(const char *guest)
{
	return guest[0] && strlen(guest) <= 100 &&
	       strspn(guest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
		   strlen(guest);
}

/* ---- Locking --------------------------------------------------------------------------------- */

static int lock(int fd)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &range);
}

/* Whether path still names the file behind fd: an owner may have removed it before we locked. */
static bool still_named(int fd, const char *path)
{
	struct stat opened, named;

	return !fstat(fd, &opened) && !lstat(path, &named) && opened.st_ino == named.st_ino &&
	       opened.st_dev == named.st_dev;
}

/*
 * Opens and locks the record at path: *ret is its descriptor, or -1 if there is none (without
 * O_CREAT in flags).
 */
static struct nunchi_error *open_locked(const char *path, int flags, int *ret)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		_cleanup_close_ int fd =
		    open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);

		if (fd < 0 && errno == ENOENT && !(flags & O_CREAT)) {
			*ret = -1;
			return NULL;
		}
		if (fd < 0)
			return error_create_errno(errno, "journal %s", path);
		if (lock(fd)) {
			if (errno != EAGAIN && errno != EACCES)
				return error_create_errno(errno, "cannot lock the journal %s",
							  path);
			return error_hint(error_create(NUNCHI_ERROR_BUSY,
						       "another nunchi holds this guest (%s)",
						       path),
					  "wait until it is done");
		}
		if (still_named(fd, path)) {
			*ret = no_cleanup_fd(fd);
			return NULL;
		}
	}
	return error_create(NUNCHI_ERROR_BUSY, "others come and go too fast at the journal %s",
			    path);
}

/* ---- Records --------------------------------------------------------------------------------- */

/* The cookie of the record behind fd; false if it is not a whole record. Async-signal-safe. */
static bool read_cookie(int fd, uint64_t *ret)
{
	char text[RECORD_MAX];
	ssize_t size = pread(fd, text, sizeof(text), 0);
	uint64_t cookie = 0;

	if (size < (ssize_t)COOKIE_END || memcmp(text, HEADER, sizeof(HEADER) - 1))
		return false;
	for (size_t i = sizeof(HEADER) - 1; i < COOKIE_END; i++) {
		const char c = text[i];

		if (c >= '0' && c <= '9')
			cookie = cookie << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			cookie = cookie << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = cookie;
	return true;
}

static uint64_t new_cookie(void)
{
	struct timespec now;
	uint64_t cookie;

	if (getrandom(&cookie, sizeof(cookie), GRND_NONBLOCK) == sizeof(cookie))
		return cookie;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Takes path and fd. */
static struct nunchi_error *make(char *path, int fd, uint64_t cookie, struct journal **ret)
{
	struct journal *journal = malloc(sizeof(*journal));

	if (!journal) {
		close(fd);
		free(path);
		return &error_nomem;
	}
	*journal = (struct journal){.fd = fd, .path = path, .cookie = cookie};
	*ret = journal;
	return NULL;
}

struct nunchi_error *journal_write(const char *guest, const char *action, struct journal **ret,
				   bool *ret_left)
{
	_cleanup_free_ char *directory = NULL, *path = NULL;
	uint64_t old, cookie = new_cookie();
	struct nunchi_error *err;
	char text[RECORD_MAX];
	int fd, size;
	bool left;

	if (!valid_key(guest))
		return error_create(NUNCHI_ERROR_ARGUMENT, "journal: bad key \"%s\"", guest);
	err = open_directory(&directory);
	if (err)
		return error_context(err, "no place for the journal");
	if (asprintf(&path, "%s/%s", directory, guest) < 0) {
		path = NULL;
		return &error_nomem;
	}
	err = open_locked(path, O_CREAT, &fd);
	if (err)
		return err;
	left = read_cookie(fd, &old);
	size = snprintf(text, sizeof(text), HEADER "%016" PRIx64 STEP "%c\nguest %s\naction %s\n",
			cookie, JOURNAL_STEP_NONE, guest, action);
	if (size >= (int)sizeof(text) || pwrite(fd, text, (size_t)size, 0) != size ||
	    ftruncate(fd, size)) {
		err = error_create_errno(errno, "cannot write the journal %s", path);
		/* An old record is worth more than none: keep it unless the file is new. */
		if (!left)
			unlink(path);
		close(fd);
		return err;
	}
	err = make(no_cleanup_ptr(path), fd, cookie, ret);
	if (!err)
		*ret_left = left;
	return err;
}

static struct nunchi_error *take_at(const char *path, struct journal **ret)
{
	struct nunchi_error *err;
	uint64_t cookie;
	char *copy;
	int fd;

	err = open_locked(path, 0, &fd);
	if (err || fd < 0)
		return err;
	if (!read_cookie(fd, &cookie)) {
		/* Its owner died before it had written it, hence before it did anything. */
		unlink(path);
		close(fd);
		return NULL;
	}
	copy = strdup(path);
	if (!copy) {
		close(fd);
		return &error_nomem;
	}
	return make(copy, fd, cookie, ret);
}

struct nunchi_error *journal_take(const char *guest, struct journal **ret)
{
	struct journal *journal = NULL;
	char *directory;

	if (!valid_key(guest))
		return error_create(NUNCHI_ERROR_ARGUMENT, "journal: bad key \"%s\"", guest);
	for (unsigned n = 0; !journal && candidate(n, &directory); n++) {
		_cleanup_free_ char *owned = directory, *path = NULL;
		_cleanup_error_ struct nunchi_error *untrusted =
		    directory ? check_directory(directory) : &error_not_found;
		struct nunchi_error *err;

		if (untrusted)
			continue;
		if (asprintf(&path, "%s/%s", owned, guest) < 0) {
			path = NULL;
			return &error_nomem;
		}
		err = take_at(path, &journal);
		if (err)
			return err;
	}
	*ret = journal;
	return NULL;
}

static enum journal_state look_at(const char *path)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint64_t cookie;

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &range))
		return JOURNAL_NONE;
	if (range.l_type != F_UNLCK)
		return JOURNAL_HELD;
	return read_cookie(fd, &cookie) ? JOURNAL_LEFT : JOURNAL_NONE;
}

enum journal_state journal_look(const char *guest)
{
	enum journal_state found = JOURNAL_NONE;
	char *directory;

	if (!valid_key(guest))
		return JOURNAL_NONE;
	for (unsigned n = 0; found == JOURNAL_NONE && candidate(n, &directory); n++) {
		_cleanup_free_ char *owned = directory, *path = NULL;
		_cleanup_error_ struct nunchi_error *untrusted =
		    directory ? check_directory(directory) : &error_not_found;

		if (untrusted)
			continue;
		if (asprintf(&path, "%s/%s", owned, guest) < 0)
			path = NULL;
		else
			found = look_at(path);
	}
	return found;
}

const char *journal_path(const struct journal *journal)
{
	return journal->path;
}

uint64_t journal_cookie(const struct journal *journal)
{
	return journal->cookie;
}

void journal_abandon(struct journal *journal)
{
	if (!journal)
		return;
	close(journal->fd);
	free(journal->path);
	free(journal);
}

void journal_erase(struct journal *journal)
{
	if (!journal)
		return;
	/* While the lock is held, so that nobody sees it without its owner. */
	unlink(journal->path);
	journal_abandon(journal);
}

enum journal_step journal_step(const struct journal *journal)
{
	char step;

	if (pread(journal->fd, &step, 1, (off_t)STEP_AT) != 1)
		return JOURNAL_STEP_NONE;
	switch (step) {
	case JOURNAL_STEP_DOING:
	case JOURNAL_STEP_DONE:
	case JOURNAL_STEP_UNDOING:
		return (enum journal_step)step;
	default:
		return JOURNAL_STEP_NONE;
	}
}

/* ---- For the guard: async-signal-safe -------------------------------------------------------- */

static bool has_cookie(int fd, uint64_t cookie)
{
	uint64_t found;

	return read_cookie(fd, &found) && found == cookie;
}

int journal_take_left(const char *path, uint64_t cookie, bool *ret_busy)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	*ret_busy = false;
	if (fd < 0)
		return -1;
	if (has_cookie(fd, cookie) && still_named(fd, path)) {
		if (!lock(fd) && has_cookie(fd, cookie) && still_named(fd, path))
			return fd;
		*ret_busy = true;
	}
	close(fd);
	return -1;
}

void journal_end_left(int fd, const char *path, bool undone)
{
	if (undone)
		unlink(path);
	close(fd);
}

void journal_remove_left(const char *path, uint64_t cookie)
{
	bool busy;
	int fd = journal_take_left(path, cookie, &busy);

	if (fd >= 0)
		journal_end_left(fd, path, true);
}

bool journal_mark(const char *path, uint64_t cookie, enum journal_step step)
{
	const char mark = (char)step;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool marked;

	if (fd < 0)
		return false;
	marked = has_cookie(fd, cookie) && pwrite(fd, &mark, 1, (off_t)STEP_AT) == 1 &&
		 still_named(fd, path);
	close(fd);
	return marked;
}
