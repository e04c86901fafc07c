/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of a Volatility 3 symbol table (isf.c, isf_types.c). */
#ifndef NUNCHI_EXPORT_ISF_H
#define NUNCHI_EXPORT_ISF_H

#include "export/export.h"

struct isf {
	struct export_text text;
	const struct type_index *types;
	const struct symbol_index *symbols;
	bool first; /* no entry of the open object was written yet */
};

/* Appends text of our own. */
void isf_put(struct isf *isf, const char *text);
void isf_number(struct isf *isf, uint64_t number);
/* Begins an object's entry, after a comma if it is not the first: "NAME":. */
void isf_key(struct isf *isf, const char *name);
/* Begins an object that is an entry of the open one, and ends it. */
void isf_open(struct isf *isf, const char *name);
void isf_close(struct isf *isf);
/* The description of a type that something has: {"kind":…}. */
void isf_type(struct isf *isf, type_id id);
/* The sections base_types, enums and user_types. */
void isf_types(struct isf *isf);

#endif
