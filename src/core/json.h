/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What jansson does not say plainly. */
#ifndef NUNCHI_CORE_JSON_H
#define NUNCHI_CORE_JSON_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Whether json_load…() failed for want of memory. Where jansson notices that itself it gives an
 * error without a text.
 */
static inline bool json_no_memory(const json_error_t *error)
{
	return !error->text[0] || json_error_code(error) == json_error_out_of_memory;
}

#endif
