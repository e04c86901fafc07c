/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build without ncurses: there is batch mode alone. */
#include "core/error.h"
#include "top/run.h"

struct nunchi_error *top_screen_open(struct top *top, struct top_screen **ret)
{
	(void)top;
	(void)ret;
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "this build of nunchi top has batch mode (--batch) alone"),
			  "build nunchi with ncurses (libncurses-dev)");
}

void top_screen_close(struct top_screen *screen)
{
	(void)screen;
}

void top_screen_draw(struct top_screen *screen)
{
	(void)screen;
}

bool top_screen_keys(struct top_screen *screen)
{
	(void)screen;
	return false;
}
