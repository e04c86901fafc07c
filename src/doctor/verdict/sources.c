/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/verdict/sources.h"

#include "core/io.h"
#include "doctor/words.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE (1u << 20)

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

/* Reads on; *size is what the buffer holds. False at the end. */
static struct nunchi_error *fill(int fd, const char *path, char *buffer, size_t *size,
				 bool *ret_end)
{
	ssize_t got = io_read_full(fd, buffer + *size, PIECE - *size);

	if (got < 0)
		return error_create_errno((int)-got, "cannot read %s", path);
	*ret_end = (size_t)got < PIECE - *size;
	*size += (size_t)got;
	return NULL;
}

/* All of the file, piece by piece; what the story does not take is not given to it. */
static struct nunchi_error *read_pieces(struct nunchi_diagnosis *diagnosis, const char *path,
					int fd, char *buffer)
{
	size_t size = 0, told = 0;
	bool end = false;

	while (!end || size) {
		struct nunchi_error *err = end ? NULL : fill(fd, path, buffer, &size, &end);
		size_t used;

		if (err)
			return err;
		if (cancelled(diagnosis))
			return error_create(NUNCHI_ERROR_CANCELLED, "stopped");
		used = scan_lines(&diagnosis->scan, buffer, size, end);
		if (told < STORY_BYTES)
			tell(diagnosis, buffer, used);
		told += used;
		memmove(buffer, buffer + used, size - used);
		size -= used;
	}
	return NULL;
}

struct nunchi_error *sources_file(struct nunchi_diagnosis *diagnosis, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *buffer = malloc(PIECE);
	const char *name = diagnosis_keep(diagnosis, path, strlen(path));
	struct nunchi_error *err;
	struct stat status;

	if (!buffer)
		return &error_nomem;
	if (fd < 0 || fstat(fd, &status))
		return error_create_errno(errno, "cannot open %s", path);
	if (!S_ISREG(status.st_mode))
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s is not a file", path);
	scan_begin(&diagnosis->scan, name, SCAN_ANY);
	story_begin(&diagnosis->story, name);
	err = read_pieces(diagnosis, path, fd, buffer);
	story_end(&diagnosis->story, &diagnosis->facts);
	return err;
}

struct nunchi_error *sources_text(struct nunchi_diagnosis *diagnosis, const char *name,
				  const char *text, size_t size)
{
	scan_begin(&diagnosis->scan, name, SCAN_ANY);
	story_begin(&diagnosis->story, name);
	scan_lines(&diagnosis->scan, text, size, true);
	tell(diagnosis, text, size);
	story_end(&diagnosis->story, &diagnosis->facts);
	return cancelled(diagnosis) ? error_create(NUNCHI_ERROR_CANCELLED, "stopped") : NULL;
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
