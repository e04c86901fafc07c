/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grub-mkconfig always reads /etc/default/grub.d. To find out what it would write if nunchi's file
 * there were another one, it runs in a mount namespace in which that directory is a tmpfs: with
 * copies of all other files, and nunchi's file as it would be.
 */
#include "core/buffer.h"
#include "core/io.h"
#include "doctor/change/grub.h"
#include "doctor/facts/inside.h"
#include "doctor/facts/run.h"
#include "doctor/words.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define GENERATE_SECONDS 300
#define FILES_MAX        256

struct file {
	char *name;
	struct buffer text;
};

struct defaults {
	struct file files[FILES_MAX];
	size_t count;
};

static void defaults_deinit(struct defaults *defaults)
{
	for (size_t i = 0; i < defaults->count; i++) {
		free(defaults->files[i].name);
		buffer_deinit(&defaults->files[i].text);
	}
	defaults->count = 0;
}

static struct nunchi_error *add(struct defaults *defaults, const char *name, struct file **ret)
{
	struct file *file = &defaults->files[defaults->count];

	if (defaults->count == FILES_MAX)
		return error_create(NUNCHI_ERROR_DATA, _("%s has more than %d files"),
				    GRUB_DEFAULTS_D, FILES_MAX);
	*file = (struct file){.name = strdup(name)};
	if (!file->name)
		return &error_nomem;
	buffer_init(&file->text, 0);
	defaults->count++;
	*ret = file;
	return NULL;
}

static struct nunchi_error *gather(const struct root *root, const char *own,
				   struct defaults *defaults)
{
	_cleanup_root_names_ struct root_names names = {0};
	struct nunchi_error *err = root_list(root, GRUB_DEFAULTS_D, &names);
	struct file *file;

	for (size_t i = 0; i < names.count && !err; i++) {
		_cleanup_free_ char *path = NULL;
		bool exists;

		if (names.names[i][0] == '.' || !strcmp(names.names[i], GRUB_OWN_NAME))
			continue;
		if (asprintf(&path, GRUB_DEFAULTS_D "/%s", names.names[i]) < 0) {
			path = NULL;
			return &error_nomem;
		}
		err = add(defaults, names.names[i], &file);
		if (!err)
			err = root_read(root, path, &file->text, &exists);
	}
	if (err || !own)
		return err;
	err = add(defaults, GRUB_OWN_NAME, &file);
	if (!err && !buffer_append_string(&file->text, own))
		err = &error_nomem;
	return err;
}

/* ---- In the child ---------------------------------------------------------------------------- */

static int open_directory(const struct root *root)
{
	/* Of the root as this namespace has it: a descriptor from before stays in the other. */
	int top = root->is_system ? open("/", O_PATH | O_CLOEXEC)
				  : open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return top < 0 ? -1 : open_inside(top, GRUB_DEFAULTS_D, O_PATH | O_DIRECTORY);
}

static int put(int directory, const struct file *file)
{
	_cleanup_close_ int fd =
	    openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? errno : -io_write_full(fd, file->text.data, file->text.size);
}

static int cover(const struct root *root, const void *data)
{
	const struct defaults *defaults = data;
	char path[64];
	int fd;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return errno;
	fd = open_directory(root);
	if (fd < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (mount("nunchi", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64m"))
		return errno;
	fd = open_directory(root);
	if (fd < 0)
		return errno;
	for (size_t i = 0; i < defaults->count; i++) {
		int errnum = put(fd, &defaults->files[i]);

		if (errnum)
			return errnum;
	}
	return 0;
}

/* ---- In the parent --------------------------------------------------------------------------- */

static void trim(struct buffer *messages)
{
	while (messages->size && messages->data[messages->size - 1] == '\n')
		messages->data[--messages->size] = 0;
}

struct nunchi_error *grub_generate(const struct root *root, const char *own,
				   const struct nunchi_context *context, struct buffer *ret)
{
	static const char *const arguments[] = {"grub-mkconfig", NULL};
	_cleanup_free_ struct defaults *defaults = calloc(1, sizeof(*defaults));
	_cleanup_buffer_ struct buffer messages;
	const struct tool tool = {
	    .arguments = arguments,
	    .root = root,
	    .prepare = cover,
	    .prepare_data = defaults,
	    .seconds = GENERATE_SECONDS,
	    .context = context,
	};
	struct nunchi_error *err;
	int status;

	buffer_init(&messages, 0);
	if (!defaults)
		return &error_nomem;
	err = gather(root, own, defaults);
	if (!err)
		err = tool_run(&tool, ret, &messages, &status);
	trim(&messages);
	if (!err && status)
		err = error_hint(error_create(NUNCHI_ERROR_IO, _("grub-mkconfig failed (%d): %s"),
					      status, buffer_string(&messages)),
				 _("see what grub-mkconfig itself says: nothing was changed"));
	defaults_deinit(defaults);
	return err;
}
