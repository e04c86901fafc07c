/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "doctor/diagnosis.h"

static struct nunchi_error *take(const struct nunchi_doctor_options *options,
				 struct nunchi_doctor_options *ret)
{
	if (options &&
	    !guest_take_options(options, options->size,
				offsetof(struct nunchi_doctor_options, root), ret, sizeof(*ret)))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "the doctor's options do not say their size");
	return NULL;
}

struct nunchi_error *nunchi_doctor_examine(struct nunchi_context *context,
					   const struct nunchi_doctor_options *options,
					   struct nunchi_diagnosis **ret)
{
	struct nunchi_doctor_options taken = {0};
	struct nunchi_error *err = take(options, &taken);

	if (err)
		return err;
	return doctor_examine(taken.root, taken.paths, taken.path_count, &context->cancel, ret);
}

struct nunchi_error *nunchi_doctor_collect(
    struct nunchi_context *context, const struct nunchi_doctor_options *options, const char *path,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	struct nunchi_doctor_options taken = {0};
	struct nunchi_error *err = take(options, &taken);

	if (err)
		return err;
	return doctor_collect(taken.root, &context->cancel, path, took, data);
}
