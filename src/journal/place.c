/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file of its own: a program that defines this name itself is linked without this one. */
#include "journal/undo_log.h"

const char *const undo_log_root_directory = "/run/nunchi";
