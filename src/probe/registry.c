/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe.h"

#include <string.h>

#define PROBE(name) extern const struct probe probe_##name;
#include "probe/probes.def"
#undef PROBE

static const struct probe *const registry[] = {
#define PROBE(name) &probe_##name,
#include "probe/probes.def"
#undef PROBE
};

const struct probe *const *probe_registry(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(registry);
	return registry;
}

const struct probe *probe_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(registry); i++) {
		if (!strcmp(registry[i]->schema.name, name))
			return registry[i];
	}
	return NULL;
}
