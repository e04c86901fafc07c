/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/view.h"

#include <string.h>

#define VIEW(name) extern const struct view view_##name;
#include "view/views.def"
#undef VIEW

static const struct view *const registry[] = {
#define VIEW(name) &view_##name,
#include "view/views.def"
#undef VIEW
};

const struct view *const *view_registry(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(registry);
	return registry;
}

const struct view *view_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(registry); i++) {
		if (!strcmp(registry[i]->schema.name, name))
			return registry[i];
	}
	return NULL;
}
