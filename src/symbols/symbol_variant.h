/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbol names that the compiler has changed. In the symbol table, NAME of the source may be
 * NAME.llvm.123 (clang with LTO, for static objects), or NAME.isra.0 or NAME.constprop.0 (gcc, for
 * a specialised copy of a function). NAME.part.0 and NAME.cold are parts that the compiler split
 * off from a function.
 */
#ifndef NUNCHI_SYMBOLS_SYMBOL_VARIANT_H
#define NUNCHI_SYMBOLS_SYMBOL_VARIANT_H

enum symbol_variant {
	SYMBOL_UNRELATED,
	SYMBOL_PIECE,   /* a part of a function; its address is not the function's entry */
	SYMBOL_VARIANT, /* the whole variable or function under a changed name */
};

/*
 * Says whether `name` is a variant or piece of `wanted`. A name equal to `wanted` counts as
 * unrelated.
 */
enum symbol_variant symbol_variant_of(const char *name, const char *wanted);

#endif
