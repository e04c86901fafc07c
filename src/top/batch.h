/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reading as text, or as one JSON object on a line. */
#ifndef NUNCHI_TOP_BATCH_H
#define NUNCHI_TOP_BATCH_H

#include "core/buffer.h"
#include "core/error.h"
#include "top/model.h"

/* width: of the terminal in columns; 0: no limit. */
void top_batch_text(const char *target, const struct top_reading *reading,
		    const struct top_model *model, unsigned width, struct buffer *ret);
struct nunchi_error *top_batch_json(const char *target, const struct top_reading *reading,
				    const struct top_model *model, struct buffer *ret);
/* The same for a guest that cannot be read at present. */
struct nunchi_error *top_batch_json_error(const char *target, const struct nunchi_error *why,
					  struct buffer *ret);

#endif
