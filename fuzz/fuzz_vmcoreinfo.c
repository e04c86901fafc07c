/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/build_id.h"
#include "symbols/vmcoreinfo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct build_id id = {0}, again;
	struct vmcoreinfo info;
	const char *text;
	uint64_t value;
	int64_t number;
	size_t length;

	/* The kernel's ELF notes are the other thing by which it is identified. */
	if (build_id_from_notes(data, size, &id)) {
		struct build_id_text spelled = build_id_spell(&id);

		if (!id.size || id.size > BUILD_ID_MAX ||
		    !build_id_parse(spelled.text, strlen(spelled.text), &again) ||
		    !build_id_equal(&id, &again))
			abort();
	}
	if (!vmcoreinfo_parse(data, size, &info))
		return 0;
	if (info.text != (const char *)data || info.size > size || !info.size ||
	    info.text[info.size - 1] != '\n' || memchr(info.text, 0, info.size))
		abort();
	if (!vmcoreinfo_get(&info, "OSRELEASE", &text, &length) || !length || text < info.text ||
	    text + length > info.text + info.size)
		abort();
	vmcoreinfo_symbol(&info, "init_uts_ns", &value);
	vmcoreinfo_number(&info, "phys_base", &number);
	return 0;
}
