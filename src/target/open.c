/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the user's word to a kind of target. */
#include "target/file/file.h"
#include "target/qemu/qemu.h"
#include "target/target.h"
#include "target/xen/xen.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool has_prefix(const char *word, const char *prefix)
{
	return !strncmp(word, prefix, strlen(prefix));
}

/* "vmware:x": a word with a scheme before any slash, and no file of that name. */
static bool has_scheme(const char *word)
{
	size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+");

	return length && word[length] == ':';
}

static struct nunchi_error *__attribute__((nonnull)) no_such_file(const char *word)
{
	struct nunchi_error *err;

	if (has_scheme(word))
		return error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND, "%s: no such kind of target", word),
		    "targets are xen:NAME, xen:ID, qemu:NAME, qemu:PID, qemu:SOCKET or the path "
		    "of a saved guest");
	err = error_create(NUNCHI_ERROR_NOT_FOUND, "%s: no such file", word);
	if (!strchr(word, '/') && qemu_has_guest(word))
		return error_hint(err, "did you mean qemu:%s?", word);
	if (!strchr(word, '/') && xen_has_guest(word))
		return error_hint(err, "did you mean xen:%s?", word);
	return error_hint(err, "`nunchi list` shows the guests that run here");
}

struct nunchi_error *target_open(const char *word, const struct target_options *options,
				 struct target **ret)
{
	struct stat st;

	if (has_prefix(word, "qemu:"))
		return qemu_target_open(word, options, ret);
	if (has_prefix(word, "xen:"))
		return xen_target_open(word, options, ret);
	if (stat(word, &st))
		return errno == ENOENT ? no_such_file(word) : error_create_errno(errno, "%s", word);
	if (S_ISSOCK(st.st_mode))
		return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "%s is a socket", word),
				  "if it is the QMP socket of a guest, say qemu:%s", word);
	return file_target_open(word, options, ret);
}

struct nunchi_error *target_list(bool (*found)(const struct nunchi_found *guest, void *data),
				 void *data)
{
	bool stopped;
	struct nunchi_error *err = xen_list(found, data, &stopped), *other;

	if (stopped)
		return err;
	/* What the one cannot list does not hide what the other can. */
	other = qemu_list(found, data, &stopped);
	if (!err)
		return other;
	nunchi_error_destroy(other);
	return err;
}
