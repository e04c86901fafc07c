/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions of <nunchi/doctor.h>. Inside, errors are made by the doctor's own copy of core; a
 * caller gets them as errors of libnunchi, which is what destroys them.
 */
#include "core/options.h"
#include "doctor/change/apply.h"
#include "doctor/change/trial.h"
#include "doctor/verdict/diagnosis.h"
#include "doctor/words.h"

#include <string.h>
#include <unistd.h>

#include <nunchi/doctor.h>

/* The same error as libnunchi makes it; NULL stays NULL. */
static struct nunchi_error *outward(struct nunchi_error *err)
{
	struct nunchi_error *made;

	if (!err)
		return NULL;
	made = nunchi_error_create(nunchi_error_code(err), nunchi_error_errno(err),
				   nunchi_error_message(err), nunchi_error_hint(err));
	nunchi_error_destroy(err);
	return made;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static struct nunchi_error *take_examine(const struct nunchi_doctor_options *options,
					 struct nunchi_doctor_options *ret)
{
	if (!options)
		return NULL;
	return options_take("nunchi_doctor_options", options, options->size,
			    offsetof(struct nunchi_doctor_options, root), ret, sizeof(*ret));
}

struct nunchi_error *nunchi_doctor_examine(struct nunchi_context *context,
					   const struct nunchi_doctor_options *options,
					   struct nunchi_diagnosis **ret)
{
	struct nunchi_doctor_options taken = {0};
	struct nunchi_error *err = take_examine(options, &taken);

	if (!err)
		err = doctor_examine(taken.root, taken.paths, taken.path_count, context, ret);
	return outward(err);
}

struct nunchi_error *nunchi_doctor_collect(
    struct nunchi_context *context, const struct nunchi_doctor_options *options, const char *path,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	struct nunchi_doctor_options taken = {0};
	struct nunchi_error *err = take_examine(options, &taken);

	if (!err)
		err = doctor_collect(taken.root, taken.anonymous, context, path, took, data);
	return outward(err);
}

/* ---- Changing -------------------------------------------------------------------------------- */

struct work {
	struct root root;
	struct plan_options options;
	struct told told;
};

static void work_deinit(struct work *work)
{
	root_deinit(&work->root);
}
#define _cleanup_work_ _cleanup_(work_deinit)

static struct nunchi_error *work_init(struct nunchi_context *context,
				      const struct nunchi_doctor_change *change,
				      nunchi_doctor_say *say, void *data, struct work *ret)
{
	struct nunchi_doctor_change taken = {0};
	struct nunchi_error *err = NULL;

	if (change)
		err = options_take("nunchi_doctor_change", change, change->size,
				   offsetof(struct nunchi_doctor_change, root), &taken,
				   sizeof(taken));
	if (err)
		return err;
	if (!taken.minutes)
		taken.minutes = TRIAL_MINUTES;
	if (taken.minutes > TRIAL_MINUTES_MAX)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    _("a trial takes 1 to %d minutes, not %u"), TRIAL_MINUTES_MAX,
				    taken.minutes);
	*ret = (struct work){
	    .options = {.trial = taken.trial, .minutes = taken.minutes, .context = context},
	    .told = {.say = say, .data = data},
	};
	return root_init(taken.root ? taken.root : "/", &ret->root);
}

/* What the host's facts ask for. */
static struct nunchi_error *find_remedy(struct work *work)
{
	_cleanup_diagnosis_ struct nunchi_diagnosis *diagnosis = NULL;
	struct nunchi_error *err;

	err = doctor_examine(work->root.is_system ? NULL : work->root.path, NULL, 0,
			     work->options.context, &diagnosis);
	if (!err)
		remedy_of(&diagnosis->facts, &work->options.remedy);
	return err;
}

static void say_lines(const struct told *told, char *text)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		told_say(told, "%s", line);
}

static struct nunchi_error *say_plan(const struct work *work, const struct plan *plan)
{
	const struct told *told = &work->told;
	_cleanup_buffer_ struct buffer diff;
	struct nunchi_error *err;

	buffer_init(&diff, 0);
	err = plan_diff(&work->root, plan, work->options.context, &diff);
	if (err)
		return err;
	if (plan->generated) {
		told_say(told, _("# Boots by default now:    %s"), plan->was_default);
		told_say(told, _("# Boots by default then:   %s"), plan->is_default);
		told_say(told, _("# Native entries:          unchanged"));
		told_say(told, _("# Xen's entry:             %s"), plan->entry);
	} else {
		told_say(told,
			 _("# What grub.cfg becomes, and whether all is well with it, only root "
			   "can see: sudo nunchi doctor plan"));
	}
	if (plan->trial)
		told_say(
		    told,
		    _("# Trial: the next boot, once, is Xen; after %u minutes the logs are "
		      "saved in %s and the machine reboots, unless \"nunchi doctor stay\" is said"),
		    work->options.minutes, TRIAL_LOGS);
	told_say(told, _("# To take it back:         sudo nunchi doctor undo"));
	if (!diff.size)
		told_say(told, _("# Nothing to change: it is applied already."));
	else
		say_lines(told, diff.data);
	return NULL;
}

struct nunchi_error *nunchi_doctor_plan(struct nunchi_context *context,
					const struct nunchi_doctor_change *change,
					nunchi_doctor_say *say, void *data)
{
	_cleanup_work_ struct work work = {0};
	_cleanup_plan_ struct plan plan = {0};
	struct nunchi_error *err;

	err = work_init(context, change, say, data, &work);
	if (!err)
		err = find_remedy(&work);
	if (!err)
		err = plan_make(&work.root, &work.options, !geteuid(), &plan);
	return outward(err ? err : say_plan(&work, &plan));
}

struct nunchi_error *nunchi_doctor_apply(struct nunchi_context *context,
					 const struct nunchi_doctor_change *change,
					 nunchi_doctor_say *say, void *data)
{
	_cleanup_work_ struct work work = {0};
	_cleanup_plan_ struct plan plan = {0};
	struct nunchi_error *err;
	bool undone;

	err = work_init(context, change, say, data, &work);
	if (!err)
		err = apply_rights("apply");
	if (!err)
		err = find_remedy(&work);
	if (!err)
		err = apply_undo(&work.root, &work.told, &undone);
	if (!err)
		err = plan_make(&work.root, &work.options, true, &plan);
	if (!err)
		err = say_plan(&work, &plan);
	if (!err)
		err = apply_plan(&work.root, &plan, work.options.context, &work.told);
	if (err)
		return outward(err);
	told_say(&work.told, work.options.trial ? _("# Done. Reboot to begin the trial.")
						: _("# Done. Xen stands in GRUB's menu; the "
						    "default is native."));
	return NULL;
}

struct nunchi_error *nunchi_doctor_undo(struct nunchi_context *context,
					const struct nunchi_doctor_change *change,
					nunchi_doctor_say *say, void *data)
{
	_cleanup_work_ struct work work = {0};
	struct nunchi_error *err;
	bool undone;

	err = work_init(context, change, say, data, &work);
	if (!err)
		err = apply_undo(&work.root, &work.told, &undone);
	if (!err)
		told_say(&work.told,
			 undone ? _("# Done: all is as it was.") : _("# Nothing to take back."));
	return outward(err);
}

struct nunchi_error *nunchi_doctor_stay(struct nunchi_context *context,
					const struct nunchi_doctor_change *change,
					nunchi_doctor_say *say, void *data)
{
	_cleanup_work_ struct work work = {0};
	struct nunchi_error *err;

	err = work_init(context, change, say, data, &work);
	if (!err)
		err = apply_stay(&work.root);
	if (!err)
		told_say(&work.told,
			 _("# The machine stays in Xen until it is rebooted; then it boots "
			   "its native system."));
	return outward(err);
}
