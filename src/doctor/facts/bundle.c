/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/bundle.h"

#include "config.h"
#include "core/archive_library.h"
#include "core/buffer.h"
#include "core/hash.h"
#include "doctor/facts/new_file.h"
#include "doctor/facts/redact.h"
#include "doctor/facts/redact_people.h"

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

#define MARK          "nunchi-bundle"
#define MARK_TEXT     "1\n"
#define REMOVED       "removed.txt"
#define SUFFIX        ".txt"
#define MOST_MEMBER   (32u << 20)
#define MOST_UNPACKED (1ull << 30)
#define MOST_MEMBERS  16384

/* One that is written or read. */
struct bundle {
	struct archive_library lib;
	struct archive *archive;
	const char *path; /* for messages */

	/* Of one that is written. */
	struct redaction redaction;
	struct redact_people *people; /* NULL unless their names are taken out */
	struct hash_map members;      /* hashes of names that were written */
	struct buffer removed;        /* the member REMOVED */
};

static void bundle_deinit(struct bundle *bundle)
{
	if (bundle->archive)
		bundle->lib.archive_free(bundle->archive);
	archive_library_unload(&bundle->lib);
	redact_people_destroy(bundle->people);
	hash_map_deinit(&bundle->members);
	buffer_deinit(&bundle->removed);
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

static struct nunchi_error *cancelled(const struct bundle *bundle)
{
	return error_create(NUNCHI_ERROR_CANCELLED, "%s was not written", bundle->path);
}

/*
 * The member's name, with secrets taken out of it as out of the list of its directory. Where two
 * names became one, a number stands behind the second.
 */
static struct nunchi_error *member_name(struct bundle *bundle, const struct tree_entry *entry,
					struct buffer *ret)
{
	_cleanup_buffer_ struct buffer name = {0};

	if (!redact(&bundle->redaction, entry->name, strlen(entry->name), &name))
		return cancelled(bundle);
	for (unsigned number = 1;; number++) {
		const char *text = buffer_string(&name);
		enum hash_result result;

		buffer_clear(ret);
		buffer_printf(ret, "%s%s/%s", entry->text ? "" : "absent/",
			      tree_kind_name(entry->kind), text[0] == '/' ? text + 1 : text);
		if (number > 1)
			buffer_printf(ret, ".%u", number);
		if (has_suffix(entry->text != NULL, entry->kind))
			buffer_append_string(ret, SUFFIX);
		if (name.failed || ret->failed)
			return &error_nomem;
		result = hash_map_insert(&bundle->members, hash_bytes(ret->data, ret->size), 0);
		if (result != HASH_EXISTS)
			return result == HASH_NOMEM ? &error_nomem : NULL;
	}
}

/* Adds to the list of what was taken out; before is the count of each kind before this entry. */
static void note_removed(struct bundle *bundle, const char *name, const uint64_t *before)
{
	const char *between = "";
	size_t size = bundle->removed.size;

	for (int i = 0; i < REDACT_KINDS; i++) {
		uint64_t count = bundle->redaction.counts[i] - before[i];

		if (!count)
			continue;
		if (bundle->removed.size == size)
			buffer_printf(&bundle->removed, "  %s: ", name);
		buffer_printf(&bundle->removed, "%s%ju %s", between, (uintmax_t)count,
			      redact_kind_mark((enum redact_kind)i));
		between = ", ";
	}
	if (bundle->removed.size > size)
		buffer_append_char(&bundle->removed, '\n');
}

/* One entry, with secrets taken out of it. */
static struct nunchi_error *write_entry(struct bundle *bundle, const struct tree_entry *entry,
					uint64_t *ret_size)
{
	_cleanup_buffer_ struct buffer name = {0}, text = {0};
	uint64_t before[REDACT_KINDS];
	struct nunchi_error *err;

	memcpy(before, bundle->redaction.counts, sizeof(before));
	err = member_name(bundle, entry, &name);
	if (err)
		return err;
	/* A variable of the firmware is bytes, not text, and what it holds is no secret. */
	if (entry->text && strstr(entry->name, "/efivars/"))
		buffer_append(&text, entry->text, entry->size);
	else if (entry->text && !redact(&bundle->redaction, entry->text, entry->size, &text))
		return cancelled(bundle);
	else if (!entry->text)
		buffer_printf(&text, "%d\n", entry->errnum);
	if (text.failed)
		return &error_nomem;
	note_removed(bundle, buffer_string(&name), before);
	*ret_size = text.size;
	return write_member(bundle, buffer_string(&name), buffer_string(&text), text.size);
}

/* The member that says what was taken out, and what may still be there. */
static struct nunchi_error *write_removed(struct bundle *bundle)
{
	_cleanup_buffer_ struct buffer text = {0};
	bool anonymous = bundle->people;

	buffer_printf(
	    &text,
	    "What nunchi doctor --collect%s took out of this bundle, by file. A mark such as\n"
	    "[secret] stands in place of each.\n\n%s\n"
	    "Taken out: values whose names speak of passwords, keys, tokens, serial numbers or\n"
	    "UUIDs, in the forms that configuration files, logs and command lines have; keys from\n"
	    "BEGIN to END; tokens and password hashes of known forms; credentials in URLs; UUIDs,\n"
	    "MAC addresses, EUI-64, WWNs; mail addresses%s.\n\n"
	    "Not promised: a secret that is written without a name and without a known form, such\n"
	    "as a password in the middle of a sentence or as the name of a file%s.\n"
	    "Read the files before you give them away.\n",
	    anonymous ? " --anonymous" : "",
	    bundle->removed.size ? buffer_string(&bundle->removed) : "  nothing\n",
	    anonymous ? "; names of this host, of its users,\nand IP addresses" : "",
	    anonymous ? "; names of\nguests, of networks, of disks and of people who have no "
			"account on this host"
		      : ". Names of hosts\nand users and IP addresses stay: --anonymous takes "
			"them out");
	if (text.failed || bundle->removed.failed)
		return &error_nomem;
	return write_member(bundle, REMOVED, buffer_string(&text), text.size);
}

static struct nunchi_error *
write_all(const struct tree *tree, struct bundle *bundle,
	  void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	struct nunchi_error *err = write_member(bundle, MARK, MARK_TEXT, strlen(MARK_TEXT));
	const struct tree_entry *entry;

	for (size_t i = 0; !err && (entry = tree_entry(tree, i)); i++) {
		uint64_t size = 0;

		err = write_entry(bundle, entry, &size);
		if (!err && took)
			took(entry->name, entry->text ? size : 0,
			     entry->text ? NULL : tree_why(entry), data);
	}
	return err ? err : write_removed(bundle);
}

static struct nunchi_error *write_archive(const struct tree *tree, struct bundle *bundle, int fd,
					  void (*took)(const char *name, uint64_t size,
						       const char *why, void *data),
					  void *data)
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
	err = write_all(tree, bundle, took, data);
	if (!err && lib->archive_write_close(bundle->archive) != ARCHIVE_OK)
		err = failed(bundle);
	return err;
}

struct nunchi_error *
bundle_write(const struct tree *tree, const char *path, bool anonymous,
	     const struct nunchi_context *context,
	     void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	_cleanup_new_file_ struct new_file file = {.fd = -1};
	_cleanup_(bundle_deinit) struct bundle bundle = {.path = path,
							 .redaction = {.context = context}};
	struct nunchi_error *err = archive_library_load(&bundle.lib);

	if (!err && anonymous)
		err = redact_people_read(tree_root(tree) ? tree_root(tree) : "/",
					 tree_is_live(tree), &bundle.people);
	if (err)
		return err;
	bundle.redaction.people = bundle.people;
	/* What is in it is the user's to show. */
	err = new_file_create(path, &file);
	if (!err)
		err = write_archive(tree, &bundle, file.fd, took, data);
	return err ? err : new_file_finish(&file);
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
bundle_write(const struct tree *tree, const char *path, bool anonymous,
	     const struct nunchi_context *context,
	     void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	(void)tree;
	(void)path;
	(void)anonymous;
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
