/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"
#include "symbols/symbol_index.h"

#include <stdlib.h>
#include <string.h>

DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(cleanup_symbol_index_unref_p) struct symbol_index *index = NULL;
	_cleanup_error_ struct nunchi_error *err =
	    symbol_index_parse_map((const char *)data, size, &index);
	size_t at;

	if (err) {
		if (!nunchi_error_hint(err) && !error_is(err, NUNCHI_ERROR_NOMEM))
			abort();
		return 0;
	}
	for (size_t i = 0; i < symbol_index_count(index); i++) {
		struct symbol symbol = symbol_index_get(index, i);

		if (i && symbol_index_get(index, i - 1).address > symbol.address)
			abort();
		if (!symbol_index_find(index, symbol.name, &at) || at > i ||
		    strcmp(symbol_index_get(index, at).name, symbol.name))
			abort();
		if (!symbol_index_at(index, symbol.address, &at) || at < i)
			abort();
	}
	symbol_index_suggest(index, "init_taks");
	return 0;
}
