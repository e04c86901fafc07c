/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "doctor/diagnosis.h"

struct nunchi_error *nunchi_doctor_examine(struct nunchi_context *context,
					   const struct nunchi_doctor_options *options,
					   struct nunchi_diagnosis **ret)
{
	struct nunchi_doctor_options taken = {0};

	if (options && !guest_take_options(options, options->size,
					   offsetof(struct nunchi_doctor_options, root), &taken,
					   sizeof(taken)))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "the doctor's options do not say their size");
	return doctor_examine(taken.root, taken.paths, taken.path_count, &context->cancelled, ret);
}
