/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * This is in a file of its own so that a program that defines the variable itself is linked without
 * it.
 */
#include "journal/undo_log.h"

const char *const undo_log_root_directory = "/run/nunchi";
