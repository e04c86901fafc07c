/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of a diagnosis. */
#include "doctor/diagnosis.h"

#include "doctor/host.h"
#include "doctor/words.h"

struct nunchi_error *doctor_examine(const char *root, const char *const *paths, size_t path_count,
				    const volatile bool *cancel, struct nunchi_diagnosis **ret)
{
	_cleanup_diagnosis_ struct nunchi_diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));
	struct nunchi_error *err;

	(void)paths;
	(void)path_count;
	if (!diagnosis)
		return &error_nomem;
	facts_init(&diagnosis->facts);
	diagnosis->cancel = cancel;
	err = tree_open(root, &diagnosis->tree);
	if (err)
		return err;
	host_collect(diagnosis->tree, &diagnosis->facts);
	diagnosis->verdict = NUNCHI_VERDICT_UNKNOWN;
	diagnosis->reason = _("nothing was judged");
	if (diagnosis->failed || diagnosis->facts.failed)
		return &error_nomem;
	*ret = no_cleanup_ptr(diagnosis);
	return NULL;
}
