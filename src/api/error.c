/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"

struct nunchi_error *nunchi_error_create(enum nunchi_error_code code, int errnum,
					 const char *message, const char *hint)
{
	struct nunchi_error *err = error_create(code, "%s", message);

	err = error_with_errno(err, errnum);
	return hint ? error_hint(err, "%s", hint) : err;
}
