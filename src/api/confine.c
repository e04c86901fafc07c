/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nunchi_guest_options.confine: what is opened before, and what stays with the second process. */
#include "core/confine.h"
#include "api/guest.h"
#include "export/export.h"
#include "target/controller.h"
#include "target/snapshot/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct confinement {
	struct confine_result result;
	struct controller *controller; /* NULL: none is needed */
	struct output output;          /* for nunchi_snapshot(); fd -1: none */
	char *output_path;             /* as given */
	struct nunchi_guest *guest;
	bool restricted;
	bool owns_controller; /* otherwise the target does */
};

/* ---- Before ---------------------------------------------------------------------------------- */

static struct nunchi_error *open_file(const char *path, const char *what, int *ret)
{
	if (!path)
		return NULL;
	*ret = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return *ret >= 0 ? NULL : error_create_errno(errno, "%s: %s", what, path);
}

/* Opens what would be opened later. */
static struct nunchi_error *open_all(struct nunchi_guest *guest,
				     const struct nunchi_guest_options *options)
{
	struct confinement *confinement = guest->confinement;
	struct nunchi_error *err;

	if (options->snapshot_path && guest->finish)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "snapshot_path and finish are two last actions, of which the "
				    "second process of a confined guest has one");
	err = open_file(guest->symbols_path, "symbols file", &guest->symbols_fd);
	if (!err)
		err = open_file(guest->types_path, "types file", &guest->types_fd);
	/* The caller adds the guest's name; guest->target is not set yet. */
	if (err)
		return err;
	if (guest->types_fd >= 0)
		guest_prepare_types(guest->types_fd);
	if (guest->count_pages)
		guest->rollup_fd = open(GUEST_ROLLUP, O_RDONLY | O_CLOEXEC);
	if (!options->snapshot_path)
		return NULL;
	if (export_xz_is(options->snapshot_path))
		export_xz_prepare();
	confinement->output_path = strdup(options->snapshot_path);
	return confinement->output_path
		   ? output_create(options->snapshot_path, &confinement->output)
		   : &error_nomem;
}

/* ---- The last action ------------------------------------------------------------------------- */

static struct nunchi_error *finish_here(struct nunchi_guest *guest, bool done)
{
	int errnum = guest->finish ? guest->finish(done, guest->finish_data) : 0;

	guest->finish = NULL;
	return errnum ? error_create_errno(errnum, "the last action failed") : NULL;
}

/* In the second process. */
static struct nunchi_error *finish(bool done, void *data)
{
	struct confinement *confinement = data;
	struct nunchi_error *err = NULL;

	if (confinement->output.fd >= 0) {
		if (done)
			err = output_commit(&confinement->output);
		output_deinit(&confinement->output);
	}
	return err ? err : finish_here(confinement->guest, done);
}

static struct nunchi_error *commit(void *data)
{
	struct confinement *confinement = data;

	return controller_finish(confinement->controller);
}

struct nunchi_error *nunchi_guest_finish(struct nunchi_guest *guest)
{
	API_REQUIRE(guest);

	struct nunchi_error *err;

	if (!guest->finish)
		return error_create(NUNCHI_ERROR_ARGUMENT, "there is no last action");
	if (!guest->confinement)
		return finish_here(guest, true);
	err = controller_finish(guest->confinement->controller);
	guest->finish = NULL;
	return err;
}

struct output *guest_confined_output(struct nunchi_guest *guest, const char *path)
{
	struct confinement *confinement = guest->confinement;

	if (!confinement || confinement->output.fd < 0 || strcmp(path, confinement->output_path))
		return NULL;
	return &confinement->output;
}

/* ---------------------------------------------------------------------------------------------- */

/*
 * A guest that cannot be paused, whose registers are not known, and whose size is not asked for
 * needs no second process.
 */
static bool is_controlled(const struct target *target)
{
	return target->ops->control &&
	       (target->support[TARGET_PAUSE].available ||
		target->support[TARGET_REGISTERS].available || target->ops->measure);
}

static struct nunchi_error *start_controller(struct nunchi_guest *guest, struct target *target)
{
	struct confinement *confinement = guest->confinement;
	const struct controller_setup setup = {
	    .target = is_controlled(target) ? target : NULL,
	    .watch = guest->events,
	    .cancel = &guest->cancel,
	    .finish = finish,
	    .data = confinement,
	};
	struct nunchi_error *err;

	if (!setup.target && confinement->output.fd < 0 && !guest->finish)
		return NULL;
	err = controller_start(&setup, &confinement->controller);
	if (err)
		return err;
	confinement->owns_controller = !setup.target;
	if (setup.target)
		setup.target->controller = confinement->controller;
	if (confinement->output.fd >= 0) {
		confinement->output.commit = commit;
		confinement->output.data = confinement;
	}
	return NULL;
}

struct nunchi_error *guest_confine(struct nunchi_guest *guest, struct target *target,
				   const struct nunchi_guest_options *options)
{
	struct confinement *confinement = calloc(1, sizeof(*confinement));
	struct confine_options wanted = {.device = -1};
	struct nunchi_error *err;

	if (!confinement)
		return &error_nomem;
	confinement->output = (struct output){.fd = -1, .directory = -1};
	confinement->guest = guest;
	guest->confinement = confinement;
	err = open_all(guest, options);
	if (!err)
		err = start_controller(guest, target);
	if (!err && target->ops->confined)
		err = target->ops->confined(target);
	if (err)
		return err;
	wanted.device = target->device;
	wanted.request = target->device_request;
	wanted.listener = options->accept_fd;
	confinement->restricted = target->restricted;
	return confine_process(&wanted, &confinement->result);
}

void guest_confinement_destroy(struct nunchi_guest *guest)
{
	struct confinement *confinement = guest->confinement;

	if (guest->symbols_fd >= 0)
		close(guest->symbols_fd);
	if (guest->types_fd >= 0)
		close(guest->types_fd);
	if (guest->rollup_fd >= 0)
		close(guest->rollup_fd);
	if (!confinement) {
		nunchi_error_destroy(finish_here(guest, false));
		return;
	}
	if (confinement->owns_controller)
		controller_destroy(confinement->controller);
	output_deinit(&confinement->output);
	free(confinement->output_path);
	free(confinement);
}

void guest_confinement_facts(const struct nunchi_guest *guest,
			     void (*fact)(const struct nunchi_fact *fact, void *data), void *data)
{
	const struct confinement *confinement = guest->confinement;
	struct nunchi_fact filter = {"process", "system calls", "all", "not confined"};
	struct nunchi_fact files = {"process", "files", "all", "not confined"};
	struct nunchi_fact rights = {"process", "privileges", "kept", "not confined"};
	char text[64];

	if (confinement) {
		filter.value = confinement->result.filter ? "filtered" : "all";
		filter.evidence = confinement->result.filter
				      ? "seccomp: no open, socket, exec, fork, ptrace, signal"
				      : "this kernel has no seccomp filters";
		snprintf(text, sizeof(text), "Landlock, version %d", confinement->result.landlock);
		files.value = confinement->result.landlock ? "none but those open" : "all";
		files.evidence = confinement->result.landlock
				     ? text
				     : "this kernel has no Landlock, or it is off";
		rights.value = "dropped";
		rights.evidence = confinement->restricted
				      ? "no capabilities; /dev/xen/privcmd maps this guest only"
				      : "no capabilities";
		if (guest->target->device >= 0 && !confinement->restricted)
			rights.evidence = "no capabilities, but /dev/xen/privcmd reaches every "
					  "guest: this kernel cannot restrict it";
	}
	fact(&filter, data);
	fact(&files, data);
	fact(&rights, data);
}
