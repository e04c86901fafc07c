/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/bundle.h"

#include "config.h"
#include "core/buffer.h"
#include "doctor/facts/redact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

bool bundle_is(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char start[2];

	return fd >= 0 && read(fd, start, 2) == 2 && start[0] == 0x1f && start[1] == 0x8b;
}

#ifdef HAVE_LIBARCHIVE
#include "doctor/facts/archive_library.h"

#define MARK          "nunchi-bundle"
#define MARK_TEXT     "1\n"
#define SUFFIX        ".txt"
#define MOST_MEMBER   (32u << 20)
#define MOST_UNPACKED (1ull << 30)
#define MOST_MEMBERS  16384

/* One that is written or read. */
struct bundle {
	struct archive_library lib;
	struct archive *archive;
	const char *path; /* for messages */
};

static void bundle_deinit(struct bundle *bundle)
{
	if (bundle->archive)
		bundle->lib.archive_free(bundle->archive);
	archive_library_unload(&bundle->lib);
}

/*
 * Only a file of the host is stored under its own path. All else gets a suffix: the list of a
 * directory, for one, would otherwise have the name of a directory in which other members lie, and
 * the bundle could not be unpacked.
 */
static bool has_suffix(bool present, enum tree_kind kind)
{
	return !present || kind != TREE_FILE;
}

/* ---- Writing ---- */

static struct nunchi_error *failed(struct bundle *bundle)
{
	const char *text = bundle->lib.archive_error_string(bundle->archive);

	return error_create(NUNCHI_ERROR_IO, "cannot write %s: %s", bundle->path,
			    text ? text : "it fails");
}

static struct nunchi_error *write_member(struct bundle *bundle, const char *name, const char *text,
					 size_t size)
{
	struct archive_entry *entry = bundle->lib.archive_entry_new();
	bool well;

	if (!entry)
		return &error_nomem;
	bundle->lib.archive_entry_set_pathname(entry, name);
	bundle->lib.archive_entry_set_size(entry, (int64_t)size);
	bundle->lib.archive_entry_set_filetype(entry, AE_IFREG);
	bundle->lib.archive_entry_set_perm(entry, 0644);
	well = bundle->lib.archive_write_header(bundle->archive, entry) == ARCHIVE_OK &&
	       bundle->lib.archive_write_data(bundle->archive, text, size) == (ssize_t)size;
	bundle->lib.archive_entry_free(entry);
	return well ? NULL : failed(bundle);
}

/* One entry, with secrets taken out of it. */
static struct nunchi_error *write_entry(struct bundle *bundle, const struct tree_entry *entry,
					const struct nunchi_context *context, uint64_t *ret_size)
{
	_cleanup_buffer_ struct buffer name = {0}, text = {0};

	buffer_printf(&name, "%s%s/%s%s", entry->text ? "" : "absent/", tree_kind_name(entry->kind),
		      entry->name[0] == '/' ? entry->name + 1 : entry->name,
		      has_suffix(entry->text != NULL, entry->kind) ? SUFFIX : "");
	/* A variable of the firmware is bytes, not text, and what it holds is no secret. */
	if (entry->text && strstr(entry->name, "/efivars/"))
		buffer_append(&text, entry->text, entry->size);
	else if (entry->text && !redact(&text, entry->text, entry->size, context))
		return error_create(NUNCHI_ERROR_CANCELLED, "%s was not written", bundle->path);
	else if (!entry->text)
		buffer_printf(&text, "%d\n", entry->errnum);
	if (name.failed || text.failed)
		return &error_nomem;
	*ret_size = text.size;
	return write_member(bundle, buffer_string(&name), buffer_string(&text), text.size);
}

static struct nunchi_error *
write_all(const struct tree *tree, struct bundle *bundle, const struct nunchi_context *context,
	  void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	struct nunchi_error *err = write_member(bundle, MARK, MARK_TEXT, strlen(MARK_TEXT));
	const struct tree_entry *entry;

	for (size_t i = 0; !err && (entry = tree_entry(tree, i)); i++) {
		uint64_t size = 0;

		err = write_entry(bundle, entry, context, &size);
		if (!err && took)
			took(entry->name, entry->text ? size : 0,
			     entry->text ? NULL : tree_why(entry), data);
	}
	return err;
}

static struct nunchi_error *write_archive(
    const struct tree *tree, struct bundle *bundle, int fd, const struct nunchi_context *context,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	const struct archive_library *lib = &bundle->lib;
	struct nunchi_error *err;

	bundle->archive = lib->archive_write_new();
	if (!bundle->archive)
		return &error_nomem;
	if (lib->archive_write_add_filter_gzip(bundle->archive) != ARCHIVE_OK ||
	    lib->archive_write_set_format_pax_restricted(bundle->archive) != ARCHIVE_OK ||
	    lib->archive_write_open_fd(bundle->archive, fd) != ARCHIVE_OK)
		return failed(bundle);
	err = write_all(tree, bundle, context, took, data);
	if (!err && lib->archive_write_close(bundle->archive) != ARCHIVE_OK)
		err = failed(bundle);
	return err;
}

struct nunchi_error *
bundle_write(const struct tree *tree, const char *path, const struct nunchi_context *context,
	     void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	_cleanup_(bundle_deinit) struct bundle bundle = {.path = path};
	struct nunchi_error *err = archive_library_load(&bundle.lib);

	if (err)
		return err;
	if (asprintf(&temporary, "%s.part", path) < 0) {
		temporary = NULL;
		return &error_nomem;
	}
	/* What is in it is the user's to show. */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_create_errno(errno, "cannot make %s", temporary);
	err = write_archive(tree, &bundle, fd, context, took, data);
	if (!err && fsync(fd))
		err = error_create_errno(errno, "cannot write %s", path);
	if (!err && link(temporary, path))
		err = error_create_errno(errno, "cannot make %s", path);
	unlink(temporary);
	return err;
}

/* ---- Reading ---- */

static bool kind_of(const char **name, enum tree_kind *ret)
{
	for (unsigned i = 0; i < TREE_KINDS; i++) {
		const char *kind = tree_kind_name((enum tree_kind)i);
		size_t length = strlen(kind);

		if (!strncmp(*name, kind, length) && (*name)[length] == '/') {
			*name += length + 1;
			*ret = (enum tree_kind)i;
			return true;
		}
	}
	return false;
}

static struct nunchi_error *put(struct tree *tree, const char *name, const struct buffer *text)
{
	bool absent = !strncmp(name, "absent/", 7);
	_cleanup_free_ char *path = NULL;
	enum tree_kind kind;
	size_t length;
	long errnum;

	if (absent)
		name += 7;
	if (!kind_of(&name, &kind))
		return NULL;
	length = strlen(name);
	if (has_suffix(!absent, kind) && length > strlen(SUFFIX) &&
	    !strcmp(name + length - strlen(SUFFIX), SUFFIX))
		length -= strlen(SUFFIX);
	/* Commands and probes are no paths. */
	if (asprintf(&path, "%s%.*s", kind == TREE_COMMAND || kind == TREE_PROBE ? "" : "/",
		     (int)length, name) < 0) {
		path = NULL;
		return &error_nomem;
	}
	if (!absent)
		return tree_put(tree, kind, path, buffer_string(text), text->size, 0);
	errnum = strtol(buffer_string(text), NULL, 10);
	return tree_put(tree, kind, path, NULL, 0, errnum > 0 && errnum < 4096 ? (int)errnum : EIO);
}

static struct nunchi_error *broken(struct bundle *bundle)
{
	const char *text = bundle->lib.archive_error_string(bundle->archive);

	return error_hint(error_create(NUNCHI_ERROR_DATA, "%s is no bundle: %s", bundle->path,
				       text ? text : "it cannot be read"),
			  "nunchi doctor --collect FILE makes one");
}

/* A member's bytes; *unpacked counts all. */
static struct nunchi_error *read_member(struct bundle *bundle, struct buffer *text,
					uint64_t *unpacked)
{
	char piece[16384];
	ssize_t size;

	while ((size = bundle->lib.archive_read_data(bundle->archive, piece, sizeof(piece))) > 0) {
		*unpacked += (uint64_t)size;
		buffer_append(text, piece, (size_t)size);
		if (text->no_memory)
			return &error_nomem;
		if (*unpacked > MOST_UNPACKED || text->failed)
			return error_create(NUNCHI_ERROR_DATA,
					    "%s unpacks to more than a bundle has", bundle->path);
	}
	return size < 0 ? broken(bundle) : NULL;
}

static struct nunchi_error *read_next(struct bundle *bundle, struct archive_entry *entry,
				      struct tree *tree, bool first, uint64_t *unpacked)
{
	_cleanup_buffer_ struct buffer text = {.limit = MOST_MEMBER};
	const char *name = bundle->lib.archive_entry_pathname(entry);
	struct nunchi_error *err;

	if (first && (!name || strcmp(name, MARK)))
		return error_hint(
		    error_create(NUNCHI_ERROR_DATA, "%s is no bundle of nunchi's", bundle->path),
		    "unpack it and give the directory or the logs in it");
	if (!name || bundle->lib.archive_entry_filetype(entry) != AE_IFREG)
		return NULL;
	err = read_member(bundle, &text, unpacked);
	return err ? err : put(tree, name, &text);
}

static struct nunchi_error *read_archive(struct bundle *bundle, struct tree **ret)
{
	_cleanup_tree_ struct tree *tree = NULL;
	struct nunchi_error *err = tree_create_empty(&tree);
	uint64_t unpacked = 0;
	unsigned count = 0;
	int result = ARCHIVE_OK;

	while (!err && result == ARCHIVE_OK) {
		struct archive_entry *entry;

		result = bundle->lib.archive_read_next_header(bundle->archive, &entry);
		if (result == ARCHIVE_WARN)
			result = ARCHIVE_OK;
		if (result == ARCHIVE_OK)
			err = count == MOST_MEMBERS
				  ? error_create(NUNCHI_ERROR_DATA, "%s has too many files",
						 bundle->path)
				  : read_next(bundle, entry, tree, !count, &unpacked);
		count++;
	}
	if (!err && (result != ARCHIVE_EOF || count == 1))
		err = broken(bundle);
	if (!err)
		*ret = no_cleanup_ptr(tree);
	return err;
}

static struct nunchi_error *start_reading(struct bundle *bundle)
{
	const struct archive_library *lib = &bundle->lib;
	struct nunchi_error *err = archive_library_load(&bundle->lib);

	if (err)
		return err;
	bundle->archive = lib->archive_read_new();
	if (!bundle->archive ||
	    lib->archive_read_support_filter_gzip(bundle->archive) != ARCHIVE_OK ||
	    lib->archive_read_support_format_tar(bundle->archive) != ARCHIVE_OK)
		return &error_nomem;
	return NULL;
}

struct nunchi_error *bundle_read(const char *path, struct tree **ret)
{
	_cleanup_(bundle_deinit) struct bundle bundle = {.path = path};
	struct nunchi_error *err = start_reading(&bundle);

	if (err)
		return err;
	if (bundle.lib.archive_read_open_filename(bundle.archive, path, 65536) != ARCHIVE_OK)
		return broken(&bundle);
	return read_archive(&bundle, ret);
}

struct nunchi_error *bundle_parse(const void *data, size_t size, const char *path,
				  struct tree **ret)
{
	_cleanup_(bundle_deinit) struct bundle bundle = {.path = path};
	struct nunchi_error *err = start_reading(&bundle);

	if (err)
		return err;
	if (bundle.lib.archive_read_open_memory(bundle.archive, data, size) != ARCHIVE_OK)
		return broken(&bundle);
	return read_archive(&bundle, ret);
}
#else
static struct nunchi_error *missing(void)
{
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "nunchi was built without libarchive: it makes and reads no bundles");
}

struct nunchi_error *
bundle_write(const struct tree *tree, const char *path, const struct nunchi_context *context,
	     void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	(void)tree;
	(void)path;
	(void)context;
	(void)took;
	(void)data;
	return missing();
}

struct nunchi_error *bundle_read(const char *path, struct tree **ret)
{
	(void)path;
	(void)ret;
	return missing();
}

struct nunchi_error *bundle_parse(const void *data, size_t size, const char *path,
				  struct tree **ret)
{
	(void)data;
	(void)size;
	(void)path;
	(void)ret;
	return missing();
}
#endif
