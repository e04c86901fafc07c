/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Libraries that are loaded when they are first needed: most runs need none of them, and the
 * dynamic loader takes longer over them than a list of processes does.
 *
 * What is used of one is listed once, as an X-macro; its table has a pointer for each function, of
 * the type that the library's own header declares:
 *
 *	#define TOY_FUNCTIONS(FUNCTION) FUNCTION(toy_open) FUNCTION(toy_close)
 *	struct toy_library {
 *		void *handle;
 *		TOY_FUNCTIONS(LIBRARY_MEMBER)
 *	};
 *	#define FUNCTION(name) LIBRARY_FUNCTION(struct toy_library, name)
 *	static const struct library_function functions[] = {TOY_FUNCTIONS(FUNCTION)};
 *	LIBRARY(toy, functions, "libtoy.so.1", "toys", "libtoy1 (Debian, Ubuntu) or toy (Fedora)");
 *
 *	err = library_load(&toy, &lib, &lib.handle);
 *	lib.toy_open(...);
 *
 * The table is part of the object that uses it, and goes with it. A SONAME is what the library that
 * the header comes with calls itself (readelf -d): it changes with the interface, so beside each
 * stands an assertion of the header's version where it has one.
 */
#ifndef NUNCHI_CORE_LIBRARY_H
#define NUNCHI_CORE_LIBRARY_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct library_function {
	const char *name;
	size_t offset; /* of its pointer in the table */
};

struct library {
	const char *name;     /* SONAME */
	const char *purpose;  /* "reading logs": what it is needed for */
	const char *packages; /* "libtoy1 (Debian, Ubuntu) or toy (Fedora)" */
	const struct library_function *functions;
	size_t count;
};

#define LIBRARY_MEMBER(function)          __typeof__(function) *function;
#define LIBRARY_FUNCTION(table, function) {#function, offsetof(table, function)},

/*
 * What the program says of itself in its ELF notes, for those who pack it or move it elsewhere:
 * that it loads this library while it runs (https://uapi-group.org/specifications/specs/
 * elf_dlopen_metadata/: owner "FDO", this type, JSON). SONAMES are a list: "\"libtoy.so.1\"".
 */
#define LIBRARY_NOTE_TYPE 0x407c0c0a
#define LIBRARY_NOTE_TEXT(variable, sonames, purpose, priority)                                    \
	"[{\"soname\":[" sonames "],\"feature\":\"" #variable "\",\"description\":\"" purpose      \
	"\",\"priority\":\"" priority "\"}]"
#define LIBRARY_NOTE(variable, sonames, purpose, priority)                                         \
	__attribute__((used, section(".note.dlopen"), aligned(4))) static const struct {           \
		uint32_t owner_size, text_size, type;                                              \
		char owner[4];                                                                     \
		char text[sizeof(LIBRARY_NOTE_TEXT(variable, sonames, purpose, priority))];        \
	} variable##_note = {4, sizeof(variable##_note.text), LIBRARY_NOTE_TYPE, "FDO",            \
			     LIBRARY_NOTE_TEXT(variable, sonames, purpose, priority)}

#define LIBRARY(variable, list, soname, what, from)                                                \
	LIBRARY_NOTE(variable, "\"" soname "\"", what, "recommended");                             \
	static const struct library variable = {.name = soname,                                    \
						.purpose = what,                                   \
						.packages = from,                                  \
						.functions = list,                                 \
						.count = ARRAY_SIZE(list)}

/*
 * Loads the library and fills its functions into table; ret is its handle. NUNCHI_ERROR_UNSUPPORTED
 * with the packages to install if it is not there or lacks a function; then table, too, is as it
 * was.
 */
struct nunchi_error *library_load(const struct library *library, void *table, void **ret);
/* Gives up a handle, which may be NULL and is NULL then; the library stays in memory. */
void library_unload(void **handle);

#endif
