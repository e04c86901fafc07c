/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names that compilers change: what is called NAME in the source may be NAME.llvm.123 (clang with
 * LTO, for what was static), NAME.isra.0 or NAME.constprop.0 (gcc, for a specialised copy of a
 * function) in the symbol table; NAME.part.0 and NAME.cold are pieces cut out of a function.
 */
#ifndef NUNCHI_SYMBOLS_SYMBOL_VARIANT_H
#define NUNCHI_SYMBOLS_SYMBOL_VARIANT_H

enum symbol_variant {
	SYMBOL_UNRELATED,
	SYMBOL_PIECE,   /* of a function: its address is not where the function begins */
	SYMBOL_VARIANT, /* the whole variable or function, under a changed name */
};

/* What name is of the variable or function wanted. The name itself is unrelated. */
enum symbol_variant symbol_variant_of(const char *name, const char *wanted);

#endif
