/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/cleanup.h"

#include <nunchi/nunchi.h>

static const char *const words[] = {
    [NUNCHI_ABSENT_NOT_COMPUTED] = "not computed",
    [NUNCHI_ABSENT_NOT_APPLICABLE] = "not applicable",
    [NUNCHI_ABSENT_PAGED_OUT] = "paged out",
    [NUNCHI_ABSENT_NOT_MAPPED] = "not mapped",
    [NUNCHI_ABSENT_NOT_SAVED] = "not saved",
    [NUNCHI_ABSENT_NO_LAYOUT] = "no layout",
    [NUNCHI_ABSENT_BAD_DATA] = "bad data",
    [NUNCHI_ABSENT_LIMIT] = "too long",
    [NUNCHI_ABSENT_NO_SYMBOL] = "no symbol",
    [NUNCHI_ABSENT_IO] = "read error",
    [NUNCHI_ABSENT_NULL] = "null",
};

const char *nunchi_absence_string(enum nunchi_absence absence)
{
	return (unsigned)absence < ARRAY_SIZE(words) ? words[absence] : "unknown";
}
