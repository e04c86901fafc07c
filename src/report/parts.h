/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the page that are no view. */
#ifndef NUNCHI_REPORT_PARTS_H
#define NUNCHI_REPORT_PARTS_H

#include "report/content.h"

/* How many items it has. */
size_t parts_missing(const struct content *content, struct buffer *out);
void parts_timeline(const struct content *content, struct buffer *out);

#endif
