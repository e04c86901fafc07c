/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "doctor/apply.h"
#include "doctor/diagnosis.h"
#include "doctor/trial.h"
#include "doctor/words.h"

#include <string.h>
#include <unistd.h>

struct session {
	struct root root;
	struct plan_options options;
	struct told told;
};

static void session_deinit(struct session *session)
{
	root_deinit(&session->root);
}
#define _cleanup_session_ _cleanup_(session_deinit)

static struct nunchi_error *session_init(struct nunchi_context *context,
					 const struct nunchi_doctor_change *change,
					 nunchi_doctor_say *say, void *data, struct session *ret)
{
	struct nunchi_doctor_change taken = {0};

	if (change &&
	    !guest_take_options(change, change->size, offsetof(struct nunchi_doctor_change, root),
				&taken, sizeof(taken)))
		return error_create(NUNCHI_ERROR_ARGUMENT, _("the change does not say its size"));
	if (!taken.minutes)
		taken.minutes = TRIAL_MINUTES;
	if (taken.minutes > TRIAL_MINUTES_MAX)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    _("a trial takes 1 to %d minutes, not %u"), TRIAL_MINUTES_MAX,
				    taken.minutes);
	*ret = (struct session){
	    .options = {.trial = taken.trial,
			.minutes = taken.minutes,
			.cancel = &context->cancel},
	    .told = {.say = say, .data = data},
	};
	return root_init(taken.root ? taken.root : "/", &ret->root);
}

/* What the host's facts ask for. */
static struct nunchi_error *find_remedy(struct session *session)
{
	_cleanup_diagnosis_ struct nunchi_diagnosis *diagnosis = NULL;
	struct nunchi_error *err;

	err = doctor_examine(session->root.is_system ? NULL : session->root.path, NULL, 0,
			     session->options.cancel, &diagnosis);
	if (!err)
		remedy_of(&diagnosis->facts, &session->options.remedy);
	return err;
}

static void say_lines(const struct told *told, char *text)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		told_say(told, "%s", line);
}

static struct nunchi_error *say_plan(const struct session *session, const struct plan *plan)
{
	const struct told *told = &session->told;
	_cleanup_buffer_ struct buffer diff;
	struct nunchi_error *err;

	buffer_init(&diff, 0);
	err = plan_diff(&session->root, plan, session->options.cancel, &diff);
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
		    session->options.minutes, TRIAL_LOGS);
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
	_cleanup_session_ struct session session = {0};
	_cleanup_plan_ struct plan plan = {0};
	struct nunchi_error *err;

	err = session_init(context, change, say, data, &session);
	if (!err)
		err = find_remedy(&session);
	if (!err)
		err = plan_make(&session.root, &session.options, !geteuid(), &plan);
	return err ? err : say_plan(&session, &plan);
}

struct nunchi_error *nunchi_doctor_apply(struct nunchi_context *context,
					 const struct nunchi_doctor_change *change,
					 nunchi_doctor_say *say, void *data)
{
	_cleanup_session_ struct session session = {0};
	_cleanup_plan_ struct plan plan = {0};
	struct nunchi_error *err;
	bool undone;

	err = session_init(context, change, say, data, &session);
	if (!err)
		err = apply_rights("apply");
	if (!err)
		err = find_remedy(&session);
	if (!err)
		err = apply_undo(&session.root, &session.told, &undone);
	if (!err)
		err = plan_make(&session.root, &session.options, true, &plan);
	if (!err)
		err = say_plan(&session, &plan);
	if (!err)
		err = apply_plan(&session.root, &plan, session.options.cancel, &session.told);
	if (err)
		return err;
	told_say(&session.told, session.options.trial ? _("# Done. Reboot to begin the trial.")
						      : _("# Done. Xen stands in GRUB's menu; the "
							  "default is native."));
	return NULL;
}

struct nunchi_error *nunchi_doctor_undo(struct nunchi_context *context,
					const struct nunchi_doctor_change *change,
					nunchi_doctor_say *say, void *data)
{
	_cleanup_session_ struct session session = {0};
	struct nunchi_error *err;
	bool undone;

	err = session_init(context, change, say, data, &session);
	if (!err)
		err = apply_undo(&session.root, &session.told, &undone);
	if (!err)
		told_say(&session.told,
			 undone ? _("# Done: all is as it was.") : _("# Nothing to take back."));
	return err;
}

struct nunchi_error *nunchi_doctor_stay(struct nunchi_context *context,
					const struct nunchi_doctor_change *change,
					nunchi_doctor_say *say, void *data)
{
	_cleanup_session_ struct session session = {0};
	struct nunchi_error *err;

	err = session_init(context, change, say, data, &session);
	if (!err)
		err = apply_stay(&session.root);
	if (!err)
		told_say(&session.told,
			 _("# The machine stays in Xen until it is rebooted; then it boots "
			   "its native system."));
	return err;
}
