/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file that node_exporter's textfile collector reads. */
#ifndef NUNCHI_METRICS_TEXTFILE_H
#define NUNCHI_METRICS_TEXTFILE_H

#include <nunchi/nunchi.h>

#include <stddef.h>

/*
 * Replaces the file, or makes it, with mode 0644: whoever reads it has the old one in full or the
 * new one in full. Whatever else is there under that name, such as a symbolic link, is refused.
 */
struct nunchi_error *textfile_write(const char *path, const char *data, size_t size);

#endif
