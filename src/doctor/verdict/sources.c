/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/verdict/sources.h"

#include "core/buffer.h"
#include "doctor/facts/unpack.h"
#include "doctor/story/paste.h"
#include "doctor/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1u << 20)
/* The most bytes of one file that are looked at, unpacked. */
#define MOST_BYTES ((uint64_t)1 << 30)

static bool cancelled(const struct nunchi_diagnosis *diagnosis)
{
	return nunchi_context_cancelled(diagnosis->context);
}

/*
 * Gives the lines of a piece to the story, which keeps what it needs of lines cut apart. Ends early
 * when the call is cancelled, which the caller asks as well.
 */
static void tell(struct nunchi_diagnosis *diagnosis, const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end && !cancelled(diagnosis)) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		story_line(&diagnosis->story, &diagnosis->facts, text, (size_t)(stop - text));
		text = stop + 1;
	}
}

/* Text on its way: as it comes, in UTF-8 from a line's beginning on, and as the log's own lines. */
struct intake {
	struct paste paste;
	char *raw;
	size_t raw_size;
	struct buffer text, clean;
	size_t told; /* bytes given to the story */
	bool begun;
};

static void intake_deinit(struct intake *intake)
{
	free(intake->raw);
	buffer_deinit(&intake->text);
	buffer_deinit(&intake->clean);
}
#define _cleanup_intake_ _cleanup_(intake_deinit)

/* Gives lines to the rules and, up to a limit, to the story. */
static void give(struct nunchi_diagnosis *diagnosis, struct intake *intake, const char *text,
		 size_t size)
{
	scan_lines(&diagnosis->scan, text, size, true);
	if (intake->told < STORY_BYTES)
		tell(diagnosis, text, size);
	intake->told += size;
}

/* Takes whole lines out of the text that has come so far; all of it at the end. */
static struct nunchi_error *take_lines(struct nunchi_diagnosis *diagnosis, struct intake *intake,
				       bool end)
{
	struct buffer *text = &intake->text;
	const char *newline = text->size ? memrchr(text->data, '\n', text->size) : NULL;
	size_t whole = end ? text->size : newline ? (size_t)(newline - text->data) + 1 : 0;

	buffer_clear(&intake->clean);
	if (whole)
		paste_lines(&intake->paste, text->data, whole, &intake->clean);
	if (text->failed || intake->clean.failed)
		return &error_nomem;
	if (whole)
		give(diagnosis, intake, intake->clean.data, intake->clean.size);
	if (!whole && text->size >= PIECE) {
		/* A line without an end is looked at piece by piece. */
		whole = scan_lines(&diagnosis->scan, text->data, text->size, false);
		intake->told += whole;
	}
	memmove(text->data, text->data + whole, text->size - whole);
	text->size -= whole;
	return NULL;
}

/* What has come into raw, in UTF-8, to the text. */
static void decode(struct nunchi_diagnosis *diagnosis, struct intake *intake, const char *path)
{
	size_t used = intake->raw_size, skip = 0;

	if (!intake->begun) {
		paste_begin(&intake->paste, intake->raw, intake->raw_size);
		if (intake->raw_size >= 3 && !memcmp(intake->raw, "\xef\xbb\xbf", 3))
			skip = 3;
		if (intake->paste.binary)
			diagnosis_warn(diagnosis,
				       diagnosis_format(diagnosis,
							_("%s is no text of a kind that is known "
							  "here: what is in it may not be seen"),
							path));
	}
	intake->begun = true;
	if (intake->paste.encoding == PASTE_UTF8)
		buffer_append(&intake->text, intake->raw + skip, intake->raw_size - skip);
	else
		paste_decode(&intake->paste, intake->raw, intake->raw_size, &intake->text, &used);
	memmove(intake->raw, intake->raw + used, intake->raw_size - used);
	intake->raw_size -= used;
}

/* All of the file, piece by piece. */
static struct nunchi_error *read_pieces(struct nunchi_diagnosis *diagnosis, const char *path,
					struct unpack *unpack)
{
	_cleanup_intake_ struct intake intake = {.raw = malloc(PIECE)};
	uint64_t bytes = 0;
	bool end = false;

	if (!intake.raw)
		return &error_nomem;
	while (!end) {
		struct nunchi_error *err;
		size_t got;

		if (cancelled(diagnosis))
			return error_create(NUNCHI_ERROR_CANCELLED, "stopped");
		err = unpack_read(unpack, intake.raw + intake.raw_size, PIECE - intake.raw_size,
				  &got);
		if (err)
			return err;
		end = got < PIECE - intake.raw_size;
		bytes += got;
		if (!end && bytes >= MOST_BYTES) {
			diagnosis_warn(diagnosis,
				       diagnosis_format(diagnosis,
							_("%s: only its first 1024 MiB were looked "
							  "at: give the doctor the last boots "
							  "alone"),
							path));
			end = true;
		}
		intake.raw_size += got;
		decode(diagnosis, &intake, path);
		err = take_lines(diagnosis, &intake, end);
		if (err)
			return err;
	}
	return NULL;
}

/* "-" is the standard input; a pipe has a name too where a shell gives it one ("<(xl dmesg)"). */
static struct nunchi_error *open_source(const char *path, int *ret)
{
	_cleanup_close_ int fd = !strcmp(path, "-")
				     ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
				     : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	int flags;

	if (fd < 0 || fstat(fd, &status))
		return error_create_errno(errno, "cannot open %s", path);
	if (strcmp(path, "-") != 0) {
		if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
			return error_create(NUNCHI_ERROR_ARGUMENT, "%s is not a file", path);
		flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
			return error_create_errno(errno, "cannot open %s", path);
	}
	*ret = no_cleanup_fd(fd);
	return NULL;
}

struct nunchi_error *sources_file(struct nunchi_diagnosis *diagnosis, const char *path)
{
	const char *name = strcmp(path, "-") != 0 ? diagnosis_keep(diagnosis, path, strlen(path))
						  : _("standard input");
	_cleanup_unpack_ struct unpack *unpack = NULL;
	_cleanup_close_ int fd = -1;
	struct nunchi_error *err = open_source(path, &fd);

	if (!err)
		err = unpack_open(fd, name, diagnosis->context, &unpack);
	if (err)
		return err;
	scan_begin(&diagnosis->scan, name, SCAN_ANY);
	story_begin(&diagnosis->story, name);
	err = read_pieces(diagnosis, name, unpack);
	story_end(&diagnosis->story, &diagnosis->facts);
	return err;
}

struct nunchi_error *sources_text(struct nunchi_diagnosis *diagnosis, const char *name,
				  const char *text, size_t size)
{
	_cleanup_intake_ struct intake intake = {.raw = malloc(size + 1), .raw_size = size};
	struct nunchi_error *err;

	if (!intake.raw)
		return &error_nomem;
	memcpy(intake.raw, text, size);
	scan_begin(&diagnosis->scan, name, SCAN_ANY);
	story_begin(&diagnosis->story, name);
	decode(diagnosis, &intake, name);
	err = take_lines(diagnosis, &intake, true);
	story_end(&diagnosis->story, &diagnosis->facts);
	if (!err && cancelled(diagnosis))
		err = error_create(NUNCHI_ERROR_CANCELLED, "stopped");
	return err;
}

/* A log that the tree has; false if it has not. */
static bool take_log(struct nunchi_diagnosis *diagnosis, enum tree_kind tree_kind, const char *name,
		     enum scan_kind kind, enum fact_key key)
{
	const struct tree_entry *entry = tree_get(diagnosis->tree, tree_kind, name);

	if (!entry->text || !entry->size) {
		facts_add_unknown(&diagnosis->facts, key, name, "%s",
				  entry->text ? "it is empty" : tree_why(entry));
		return false;
	}
	facts_add(&diagnosis->facts, key, name, 0, "%zu", entry->size);
	if (entry->cut)
		diagnosis_warn(
		    diagnosis,
		    diagnosis_format(diagnosis, _("%s: only its first part was read"), name));
	scan_begin(&diagnosis->scan, entry->name, kind);
	scan_lines(&diagnosis->scan, entry->text, entry->size, true);
	return true;
}

/* All boots that the journal keeps, else this one's buffer, else what syslog wrote. */
#define JOURNAL "journalctl --no-pager -q -o short-monotonic -n 200000 _TRANSPORT=kernel"

struct nunchi_error *sources_host(struct nunchi_diagnosis *diagnosis)
{
	if (!take_log(diagnosis, TREE_COMMAND, JOURNAL, SCAN_KERNEL, FACT_KERNEL_LOG) &&
	    !take_log(diagnosis, TREE_PROBE, "kernel-log", SCAN_KERNEL, FACT_KERNEL_LOG))
		take_log(diagnosis, TREE_FILE, "/var/log/kern.log", SCAN_KERNEL, FACT_KERNEL_LOG);
	if (facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0") ||
	    !facts_value(&diagnosis->facts, FACT_HYPERVISOR))
		take_log(diagnosis, TREE_COMMAND, "xl dmesg", SCAN_XEN, FACT_XEN_LOG);
	return NULL;
}
