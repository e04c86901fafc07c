/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/record.h"
#include "doctor/words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

#define APPLIED  DOCTOR_STATE "/applied"
#define PREPARED DOCTOR_STATE "/applied.new"
#define REMOVED  DOCTOR_STATE "/applied.old"
#define HEADER   "nunchi doctor record 1\n"

void record_init(struct record *record)
{
	*record = (struct record){0};
	buffer_init(&record->grub_cfg, ROOT_FILE_MAX);
	buffer_init(&record->grub_env, ROOT_FILE_MAX);
}

void record_deinit(struct record *record)
{
	buffer_deinit(&record->grub_cfg);
	buffer_deinit(&record->grub_env);
}

struct nunchi_error *record_lock(const struct root *root, int *ret)
{
	struct nunchi_error *err = root_make_directory(root, DOCTOR_STATE);
	_cleanup_close_ int fd = -1;

	if (err)
		return err;
	fd = root_open(root, DOCTOR_STATE, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return error_create_errno(errno, _("cannot open %s"), DOCTOR_STATE);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return error_create_errno(errno, _("cannot lock %s"), DOCTOR_STATE);
		return error_hint(
		    error_create(NUNCHI_ERROR_BUSY, _("another nunchi doctor changes this system")),
		    _("wait until it is done"));
	}
	*ret = no_cleanup_fd(fd);
	return NULL;
}

bool record_exists(const struct root *root)
{
	struct stat st;

	return root_stat(root, APPLIED, &st);
}

/* The value of a line "name value" of the record; "" if it has none. */
static const char *value_of(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (text) {
		if (!strncmp(text, name, length) && text[length] == ' ')
			return text + length + 1;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return "";
}

static struct nunchi_error *damaged(void)
{
	return error_hint(
	    error_create(NUNCHI_ERROR_DATA, _("the record in %s is damaged"), APPLIED),
	    _("remove the file nunchi.cfg of /etc/default/grub.d, run update-grub, then "
	      "remove %s"),
	    APPLIED);
}

static struct nunchi_error *parse(const char *text, struct record *ret)
{
	const char *inputs = value_of(text, "inputs");
	char *end;

	if (strncmp(text, HEADER, sizeof(HEADER) - 1))
		return damaged();
	errno = 0;
	ret->inputs = strtoull(inputs, &end, 16);
	if (end != inputs + 16 || errno)
		return damaged();
	ret->complete = !strncmp(value_of(text, "state"), "applied\n", 8);
	ret->had_grub_env = !strncmp(value_of(text, "grubenv"), "saved\n", 6);
	return NULL;
}

struct nunchi_error *record_read(const struct root *root, struct record *ret, bool *ret_exists)
{
	_cleanup_buffer_ struct buffer text;
	struct nunchi_error *err;
	bool exists, has_cfg, has_env;

	buffer_init(&text, 0);
	if (!record_exists(root)) {
		*ret_exists = false;
		return NULL;
	}
	err = root_read(root, APPLIED "/record", &text, &exists);
	if (!err)
		err = exists ? parse(buffer_string(&text), ret) : damaged();
	if (!err)
		err = root_read(root, APPLIED "/grub.cfg", &ret->grub_cfg, &has_cfg);
	if (!err)
		err = root_read(root, APPLIED "/grubenv", &ret->grub_env, &has_env);
	if (err)
		return err;
	if (!has_cfg || has_env != ret->had_grub_env)
		return damaged();
	*ret_exists = true;
	return NULL;
}

static struct nunchi_error *write_text(const struct root *root, const char *path,
				       const struct record *record)
{
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, 0);
	buffer_printf(&text, HEADER "state %s\ninputs %016" PRIx64 "\ngrubenv %s\n",
		      record->complete ? "applied" : "applying", record->inputs,
		      record->had_grub_env ? "saved" : "absent");
	if (text.failed)
		return &error_nomem;
	return root_write(root, path, text.data, text.size, 0600);
}

static struct nunchi_error *prepare(const struct root *root, const struct record *record)
{
	struct nunchi_error *err = root_make_directory(root, PREPARED);

	if (!err)
		err = root_write(root, PREPARED "/grub.cfg", buffer_string(&record->grub_cfg),
				 record->grub_cfg.size, 0600);
	if (!err && record->had_grub_env)
		err = root_write(root, PREPARED "/grubenv", buffer_string(&record->grub_env),
				 record->grub_env.size, 0600);
	if (!err)
		err = write_text(root, PREPARED "/record", record);
	if (!err)
		err = root_rename(root, PREPARED, APPLIED);
	return err;
}

struct nunchi_error *record_store(const struct root *root, const struct record *record)
{
	struct nunchi_error *err = root_remove_directory(root, PREPARED);

	if (!err)
		err = prepare(root, record);
	if (err)
		nunchi_error_destroy(root_remove_directory(root, PREPARED));
	return err;
}

struct nunchi_error *record_complete(const struct root *root, struct record *record)
{
	record->complete = true;
	return write_text(root, APPLIED "/record", record);
}

struct nunchi_error *record_remove(const struct root *root)
{
	struct nunchi_error *err = root_remove_directory(root, PREPARED);

	if (!err)
		err = root_remove_directory(root, REMOVED);
	if (!err && record_exists(root))
		err = root_rename(root, APPLIED, REMOVED);
	return err ? err : root_remove_directory(root, REMOVED);
}
