/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is used of libfuse, which is loaded when it is first needed. */
#ifndef NUNCHI_MOUNT_LIBFUSE_H
#define NUNCHI_MOUNT_LIBFUSE_H

#include "core/library.h"

#define FUSE_USE_VERSION 31
#include <fuse.h>
#include <fuse_lowlevel.h>

#define LIBFUSE_FUNCTIONS(FUNCTION)                                                                \
	FUNCTION(fuse_destroy)                                                                     \
	FUNCTION(fuse_get_session)                                                                 \
	FUNCTION(fuse_mount)                                                                       \
	FUNCTION(fuse_new)                                                                         \
	FUNCTION(fuse_opt_free_args)                                                               \
	FUNCTION(fuse_session_loop)                                                                \
	FUNCTION(fuse_set_log_func)                                                                \
	FUNCTION(fuse_unmount)

struct libfuse {
	void *handle;
	LIBFUSE_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *libfuse_load(struct libfuse *ret);

#endif
