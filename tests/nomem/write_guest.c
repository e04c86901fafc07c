/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the saved guest of tests/unit/api_guest.h to a new file, and prints its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unit/api_guest.h"

int main(void)
{
	char path[64];

	api_guest_save(path);
	puts(path);
	return 0;
}
