/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/unpack.h"

#include "core/archive_library.h"
#include "core/clock.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE   65536
#define WAIT_US 100000

struct unpack {
	int fd;
	const char *path;
	const struct nunchi_context *context;
	unsigned char start[PIECE]; /* read ahead to see what it is; then what libarchive reads */
	size_t size, used;          /* of start, while it holds what was read ahead */
	bool is_packed;
#ifdef HAVE_LIBARCHIVE
	struct archive_library lib;
	struct archive *archive;
#endif
};

static const struct {
	const char *name, *magic;
	size_t size;
	bool known;
} packings[] = {
    {"gzip", "\x1f\x8b", 2, true},
    {"xz",
     "\xfd"
     "7zXZ",
     5, true},
    {"zstd", "\x28\xb5\x2f\xfd", 4, true},
    {"bzip2", "BZh", 3, true},
    {"lz4", "\x04\x22\x4d\x18", 4, true},
    {"zip", "PK\x03\x04", 4, false},
    {"7z", "7z\xbc\xaf", 4, false},
    {"rar", "Rar!\x1a", 5, false},
    {"compress (.Z)", "\x1f\x9d", 2, false},
    {"lzip", "LZIP", 4, false},
    {"PDF", "%PDF-", 5, false},
    {"PNG", "\x89PNG", 4, false},
    {"JPEG", "\xff\xd8\xff", 3, false},
};

void unpack_destroy(struct unpack *unpack)
{
	if (!unpack)
		return;
#ifdef HAVE_LIBARCHIVE
	if (unpack->archive)
		unpack->lib.archive_read_free(unpack->archive);
	archive_library_unload(&unpack->lib);
#endif
	free(unpack);
}

/* As io_read_full(), but cancellable: who writes into a pipe may take any time. */
static ssize_t read_full(const struct unpack *unpack, void *buffer, size_t size)
{
	size_t at = 0;

	while (at < size) {
		int ready = io_wait(unpack->fd, POLLIN, clock_us() + WAIT_US, NULL);
		ssize_t got;

		if (nunchi_context_cancelled(unpack->context))
			return -ECANCELED;
		if (ready < 0)
			return ready;
		if (!ready)
			continue;
		got = read(unpack->fd, (char *)buffer + at, size - at);
		if (!got)
			break;
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		at += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)at;
}

static struct nunchi_error *read_failed(const struct unpack *unpack, ssize_t got)
{
	if (got == -ECANCELED)
		return error_create(NUNCHI_ERROR_CANCELLED, "stopped");
	return error_create_errno((int)-got, "cannot read %s", unpack->path);
}

/* ---- Packed ---- */

#ifdef HAVE_LIBARCHIVE
static ssize_t on_read(struct archive *archive, void *data, const void **ret)
{
	struct unpack *unpack = data;
	ssize_t got;

	*ret = unpack->start;
	if (!unpack->used) {
		unpack->used = unpack->size;
		return (ssize_t)unpack->size;
	}
	got = read_full(unpack, unpack->start, sizeof(unpack->start));
	if (got < 0)
		unpack->lib.archive_set_error(archive, (int)-got, "it cannot be read");
	return got < 0 ? -1 : got;
}

static struct nunchi_error *open_packed(struct unpack *unpack)
{
	const struct archive_library *lib = &unpack->lib;
	struct nunchi_error *err = archive_library_load(&unpack->lib);
	struct archive_entry *entry;

	if (err)
		return err;
	unpack->archive = lib->archive_read_new();
	if (!unpack->archive)
		return &error_nomem;
	if (lib->archive_read_support_filter_gzip(unpack->archive) != ARCHIVE_OK ||
	    lib->archive_read_support_filter_bzip2(unpack->archive) != ARCHIVE_OK ||
	    lib->archive_read_support_filter_xz(unpack->archive) != ARCHIVE_OK ||
	    lib->archive_read_support_filter_zstd(unpack->archive) != ARCHIVE_OK ||
	    lib->archive_read_support_filter_lz4(unpack->archive) != ARCHIVE_OK ||
	    lib->archive_read_support_format_raw(unpack->archive) != ARCHIVE_OK ||
	    lib->archive_read_open(unpack->archive, unpack, NULL, on_read, NULL) != ARCHIVE_OK ||
	    lib->archive_read_next_header(unpack->archive, &entry) != ARCHIVE_OK)
		return error_create(NUNCHI_ERROR_DATA, "%s cannot be unpacked: %s", unpack->path,
				    lib->archive_error_string(unpack->archive));
	return NULL;
}

static struct nunchi_error *read_packed(struct unpack *unpack, char *buffer, size_t size,
					size_t *ret)
{
	const struct archive_library *lib = &unpack->lib;
	size_t at = 0;

	while (at < size) {
		ssize_t got = lib->archive_read_data(unpack->archive, buffer + at, size - at);

		if (got < 0 && nunchi_context_cancelled(unpack->context))
			return error_create(NUNCHI_ERROR_CANCELLED, "stopped");
		if (got < 0)
			return error_create(NUNCHI_ERROR_DATA, "%s cannot be unpacked: %s",
					    unpack->path,
					    lib->archive_error_string(unpack->archive));
		if (!got)
			break;
		at += (size_t)got;
	}
	*ret = at;
	return NULL;
}
#else
static struct nunchi_error *open_packed(struct unpack *unpack)
{
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "%s is compressed, and nunchi was built without libarchive",
			    unpack->path);
}

static struct nunchi_error *read_packed(struct unpack *unpack, char *buffer, size_t size,
					size_t *ret)
{
	(void)unpack;
	(void)buffer;
	(void)size;
	*ret = 0;
	return NULL;
}
#endif

/* ---- */

static struct nunchi_error *look_at_start(struct unpack *unpack)
{
	for (size_t i = 0; i < ARRAY_SIZE(packings); i++) {
		if (unpack->size < packings[i].size ||
		    memcmp(unpack->start, packings[i].magic, packings[i].size) != 0)
			continue;
		if (!packings[i].known)
			return error_create(NUNCHI_ERROR_UNSUPPORTED,
					    "%s is no text but %s, which nunchi does not read",
					    unpack->path, packings[i].name);
		unpack->is_packed = true;
		return open_packed(unpack);
	}
	return NULL;
}

struct nunchi_error *unpack_open(int fd, const char *path, const struct nunchi_context *context,
				 struct unpack **ret)
{
	_cleanup_unpack_ struct unpack *unpack = calloc(1, sizeof(*unpack));
	struct nunchi_error *err;
	ssize_t got;

	if (!unpack)
		return &error_nomem;
	unpack->fd = fd;
	unpack->path = path;
	unpack->context = context;
	got = read_full(unpack, unpack->start, sizeof(unpack->start));
	if (got < 0)
		return read_failed(unpack, got);
	unpack->size = (size_t)got;
	err = look_at_start(unpack);
	if (!err)
		*ret = no_cleanup_ptr(unpack);
	return err;
}

struct nunchi_error *unpack_read(struct unpack *unpack, void *buffer, size_t size, size_t *ret)
{
	size_t ahead = unpack->size - unpack->used;
	ssize_t got;

	if (unpack->is_packed)
		return read_packed(unpack, buffer, size, ret);
	ahead = ahead < size ? ahead : size;
	memcpy(buffer, unpack->start + unpack->used, ahead);
	unpack->used += ahead;
	got = read_full(unpack, (char *)buffer + ahead, size - ahead);
	if (got < 0)
		return read_failed(unpack, got);
	*ret = ahead + (size_t)got;
	return NULL;
}

bool unpack_is_text(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_unpack_ struct unpack *unpack = NULL;
	struct nunchi_error *err;
	unsigned char start[512];
	size_t size = 0, odd = 0;

	if (fd < 0)
		return false;
	err = unpack_open(fd, path, NULL, &unpack);
	if (!err)
		err = unpack_read(unpack, start, sizeof(start), &size);
	if (err) {
		nunchi_error_destroy(err);
		return false;
	}
	for (size_t i = 0; i < size; i++)
		odd += start[i] < ' ' && !(start[i] && strchr("\t\n\r\a\b\x1b", start[i]));
	/* In UTF-16 every other byte is none. */
	return !odd || (size >= 2 && ((start[0] == 0xff && start[1] == 0xfe) ||
				      (start[0] == 0xfe && start[1] == 0xff)));
}
