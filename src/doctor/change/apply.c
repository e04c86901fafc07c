/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/apply.h"

#include "doctor/change/grub.h"
#include "doctor/change/grub_env.h"
#include "doctor/change/record.h"
#include "doctor/change/trial.h"
#include "doctor/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The files that nunchi itself makes, in the order in which undo removes them. */
static const char *const own_files[] = {GRUB_OWN, TRIAL_UNIT, TRIAL_SCRIPT};

void told_say(const struct told *told, const char *format, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&line, format, args);
	va_end(args);
	if (size < 0)
		line = NULL;
	else if (told->say)
		told->say(line, told->data);
}

/* ---- Undoing --------------------------------------------------------------------------------- */

static bool is_full(const struct nunchi_error *err)
{
	int errnum = err ? nunchi_error_errno(err) : 0;

	return errnum == ENOSPC || errnum == EDQUOT;
}

static struct nunchi_error *advise_room(struct nunchi_error *err)
{
	return is_full(err) ? error_hint(err, _("make room there, then try again")) : err;
}

/* On a full file system it is overwritten, as GRUB itself does. */
static struct nunchi_error *write_env(const struct root *root, const void *data, size_t size)
{
	struct nunchi_error *err = root_write(root, GRUB_ENV, data, size, 0644);

	if (!is_full(err))
		return err;
	nunchi_error_destroy(err);
	return root_overwrite(root, GRUB_ENV, data, size);
}

/*
 * The environment as it was: the saved bytes if nothing but the one-shot differs, else today's
 * without the one-shot.
 */
static struct nunchi_error *restore_env(const struct root *root, const struct record *record)
{
	_cleanup_buffer_ struct buffer now, without;
	struct nunchi_error *err;
	bool exists;

	buffer_init(&now, 0);
	buffer_init(&without, 0);
	err = root_clean(root, GRUB_ENV);
	if (!err)
		err = root_read(root, GRUB_ENV, &now, &exists);
	if (err || !exists || !grub_env_valid(now.data, now.size))
		return err;
	if (record->had_grub_env && now.size == record->grub_env.size &&
	    !memcmp(now.data, record->grub_env.data, now.size))
		return NULL;
	if (record->had_grub_env && grub_env_same_without(now.data, now.size, record->grub_env.data,
							  record->grub_env.size, "next_entry"))
		return write_env(root, record->grub_env.data, record->grub_env.size);
	if (!grub_env_without(now.data, now.size, "next_entry", &without))
		return &error_nomem;
	if (!record->had_grub_env && grub_env_empty(without.data, without.size))
		return root_remove(root, GRUB_ENV);
	return write_env(root, without.data, without.size);
}

static struct nunchi_error *put_config(const struct root *root, const struct buffer *config)
{
	_cleanup_buffer_ struct buffer now;
	struct nunchi_error *err;
	bool exists;

	buffer_init(&now, 0);
	err = root_clean(root, GRUB_CFG);
	if (!err)
		err = root_read(root, GRUB_CFG, &now, &exists);
	if (err)
		return err;
	if (exists && now.size == config->size &&
	    !memcmp(buffer_string(&now), buffer_string(config), now.size))
		return NULL;
	return root_write(root, GRUB_CFG, config->data, config->size, 0444);
}

static struct nunchi_error *restore_config(const struct root *root, const struct record *record,
					   const struct told *told)
{
	_cleanup_buffer_ struct buffer config;
	struct nunchi_error *err;
	uint64_t inputs;

	buffer_init(&config, 0);
	err = grub_inputs(root, &inputs);
	if (err)
		return err;
	if (inputs == record->inputs) {
		told_say(told, _("%s: the saved one is put back"), GRUB_CFG);
		return put_config(root, &record->grub_cfg);
	}
	told_say(told, _("%s: made anew, since what it is made from has changed"), GRUB_CFG);
	err = grub_generate(root, NULL, NULL, &config);
	if (!err)
		err = grub_check(root, &config, NULL);
	return err ? err : put_config(root, &config);
}

static struct nunchi_error *remove_own(const struct root *root, const struct told *told)
{
	struct nunchi_error *err = NULL;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(own_files) && !err; i++) {
		bool there = root_stat(root, own_files[i], &st);

		err = root_remove(root, own_files[i]);
		if (!err && there)
			told_say(told, _("%s: removed"), own_files[i]);
	}
	return err;
}

/*
 * Called with the lock held. Each step may be repeated, so that an undo that was killed can be run
 * again. What needs room on the disks comes last: without the one-shot and our files the next boot
 * is native, and the next grub.cfg that anybody makes has none of ours.
 */
static struct nunchi_error *undo(const struct root *root, const struct told *told, bool *ret_undone)
{
	_cleanup_record_ struct record record;
	struct nunchi_error *err;
	bool exists;

	record_init(&record);
	err = record_read(root, &record, &exists);
	if (!err && exists)
		err = restore_env(root, &record);
	if (!err && exists)
		err = remove_own(root, told);
	if (!err && exists)
		err = restore_config(root, &record, told);
	if (!err)
		err = record_remove(root);
	if (!err)
		*ret_undone = exists;
	return err;
}

struct nunchi_error *apply_rights(const char *command)
{
	if (!geteuid())
		return NULL;
	return error_hint(
	    error_create(NUNCHI_ERROR_PERMISSION, _("only root may change what is booted")),
	    "sudo nunchi doctor %s", command);
}

struct nunchi_error *apply_undo(const struct root *root, const struct told *told, bool *ret_undone)
{
	_cleanup_close_ int lock = -1;
	struct nunchi_error *err = apply_rights("undo");

	if (!err)
		err = record_lock(root, &lock);
	if (!err)
		err = undo(root, told, ret_undone);
	return advise_room(err);
}

/* ---- Applying -------------------------------------------------------------------------------- */

static struct nunchi_error *save_state(const struct root *root, const struct plan *plan,
				       struct record *record)
{
	struct nunchi_error *err;

	record->inputs = plan->inputs;
	if (!buffer_append(&record->grub_cfg, plan->now.data, plan->now.size))
		return &error_nomem;
	err = root_read(root, GRUB_ENV, &record->grub_env, &record->had_grub_env);
	return err ? err : record_store(root, record);
}

static struct nunchi_error *put(const struct root *root, const char *path, const void *data,
				size_t size, const struct told *told)
{
	struct nunchi_error *err = root_write(root, path, data, size, 0644);

	if (!err)
		told_say(told, _("%s: written"), path);
	return err;
}

static struct nunchi_error *write_files(const struct root *root, const struct plan *plan,
					const struct told *told)
{
	const char *unit = trial_unit();
	struct nunchi_error *err = NULL;

	if (plan->trial)
		err = put(root, TRIAL_SCRIPT, plan->script.data, plan->script.size, told);
	if (!err && plan->trial)
		err = put(root, TRIAL_UNIT, unit, strlen(unit), told);
	if (!err)
		err = put(root, GRUB_OWN, plan->own.data, plan->own.size, told);
	return err;
}

static struct nunchi_error *unless_cancelled(const struct nunchi_context *context)
{
	return nunchi_context_cancelled(context)
		   ? error_create(NUNCHI_ERROR_CANCELLED, _("apply was interrupted"))
		   : NULL;
}

/* Whether what the plan was made from is unchanged. */
static struct nunchi_error *check_unchanged(const struct root *root, const struct plan *plan)
{
	_cleanup_buffer_ struct buffer now;
	struct nunchi_error *err;
	uint64_t inputs;
	bool exists;

	buffer_init(&now, 0);
	err = grub_inputs(root, &inputs);
	if (!err)
		err = root_read(root, GRUB_CFG, &now, &exists);
	if (err)
		return err;
	if (inputs != plan->inputs || !exists || now.size != plan->now.size ||
	    memcmp(buffer_string(&now), buffer_string(&plan->now), now.size))
		return error_hint(
		    error_create(NUNCHI_ERROR_BUSY,
				 _("GRUB's configuration has changed since the plan")),
		    _("try again"));
	return NULL;
}

static struct nunchi_error *change(const struct root *root, const struct plan *plan,
				   struct record *record, const struct nunchi_context *context,
				   const struct told *told)
{
	struct nunchi_error *err = write_files(root, plan, told);

	if (!err)
		err = unless_cancelled(context);
	if (!err)
		err = put(root, GRUB_CFG, plan->after.data, plan->after.size, told);
	if (!err)
		err = unless_cancelled(context);
	if (!err && plan->trial)
		err = grub_reboot(root, plan->entry, context);
	if (!err && plan->trial)
		told_say(told, _("%s: the next boot, once, is \"%s\""), GRUB_ENV, plan->entry);
	if (!err)
		err = unless_cancelled(context);
	return err ? err : record_complete(root, record);
}

/* Takes everything back; gives the first error, with word of a second one. */
static struct nunchi_error *roll_back(const struct root *root, const struct told *told,
				      struct nunchi_error *first)
{
	_cleanup_error_ struct nunchi_error *second = NULL;
	bool undone;

	told_say(told, _("taken back:"));
	second = undo(root, told, &undone);
	if (!second)
		return error_context(first, _("nothing is changed"));
	return error_hint(error_context(first, _("and it could not be taken back (%s)"),
					nunchi_error_message(second)),
			  "nunchi doctor undo");
}

struct nunchi_error *apply_plan(const struct root *root, const struct plan *plan,
				const struct nunchi_context *context, const struct told *told)
{
	_cleanup_record_ struct record record;
	_cleanup_close_ int lock = -1;
	struct nunchi_error *err;

	record_init(&record);
	if (!plan->generated)
		return error_create(NUNCHI_ERROR_ARGUMENT, _("a plan that was not proved"));
	err = apply_rights("apply");
	if (!err)
		err = record_lock(root, &lock);
	if (!err && record_exists(root))
		err = error_hint(error_create(NUNCHI_ERROR_BUSY, _("a change is applied already")),
				 "nunchi doctor undo");
	if (!err)
		err = check_unchanged(root, plan);
	if (!err)
		err = save_state(root, plan, &record);
	if (err)
		return advise_room(err);
	err = advise_room(change(root, plan, &record, context, told));
	return err ? roll_back(root, told, err) : NULL;
}

/* ---- Staying --------------------------------------------------------------------------------- */

struct nunchi_error *apply_stay(const struct root *root)
{
	struct nunchi_error *err = apply_rights("stay");
	struct stat st;

	if (err)
		return err;
	if (!root_stat(root, TRIAL_DEADLINE, &st))
		return error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND, _("no trial boot is running")),
		    _("\"nunchi doctor apply --trial\" and a reboot begin one"));
	return root_write(root, TRIAL_STAY, "", 0, 0644);
}
