/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build without libfuse. */
#include "core/error.h"
#include "mount/mount.h"

struct nunchi_error *mount_run(const struct mount_options *options, enum mount_end *ret,
			       int *ret_status)
{
	(void)options;
	(void)ret;
	(void)ret_status;
	return error_hint(
	    error_create(NUNCHI_ERROR_UNSUPPORTED, "this build of nunchi cannot mount guests"),
	    "build nunchi with libfuse (libfuse3-dev)");
}
