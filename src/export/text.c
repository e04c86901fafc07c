/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export/export.h"

#define PIECE 65536

/* Passes on what there is. */
static void pass_on(struct export_text *text)
{
	if (text->err)
		return;
	if (text->buffer.failed)
		text->err = &error_nomem;
	else if (cancel_requested(text->cancel))
		text->err = error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	else if (text->buffer.size)
		text->err = text->write(text->buffer.data, text->buffer.size, text->data);
	buffer_clear(&text->buffer);
}

bool export_text_step(struct export_text *text)
{
	if (text->buffer.size >= PIECE || text->buffer.failed)
		pass_on(text);
	return !text->err;
}

struct nunchi_error *export_text_end(struct export_text *text)
{
	pass_on(text);
	buffer_deinit(&text->buffer);
	return text->err;
}
