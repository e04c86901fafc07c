/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hyperscan compiles all patterns into one automaton, and looks for all of them in one pass. */
#include "config.h"

#ifdef HAVE_LIBHS
#include "core/library.h"
#include "doctor/story/match_engines.h"

#include <assert.h>
#include <hs.h>
#include <stdlib.h>

#define HS_FUNCTIONS(FUNCTION)                                                                     \
	FUNCTION(hs_alloc_scratch)                                                                 \
	FUNCTION(hs_compile_multi)                                                                 \
	FUNCTION(hs_free_compile_error)                                                            \
	FUNCTION(hs_free_database)                                                                 \
	FUNCTION(hs_free_scratch)                                                                  \
	FUNCTION(hs_scan)                                                                          \
	FUNCTION(hs_valid_platform)

struct hs_library {
	void *handle;
	HS_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct hs_library, name)
static const struct library_function functions[] = {HS_FUNCTIONS(FUNCTION)};
LIBRARY(libhs, functions, "libhs.so.5", "reading logs",
	"libhyperscan5 (Debian, Ubuntu) or hyperscan (Fedora)");
static_assert(HS_MAJOR == 5, "the SONAME is of another version");

struct hyperscan {
	struct matcher matcher;
	struct hs_library lib;
	hs_database_t *database;
	hs_scratch_t *scratch;
};

static void destroy(struct matcher *matcher)
{
	struct hyperscan *hyperscan = (struct hyperscan *)matcher;

	if (!hyperscan)
		return;
	if (hyperscan->lib.handle) {
		hyperscan->lib.hs_free_scratch(hyperscan->scratch);
		hyperscan->lib.hs_free_database(hyperscan->database);
	}
	library_unload(&hyperscan->lib.handle);
	free(hyperscan);
}

static struct nunchi_error *compile(struct hyperscan *hyperscan, const char *const *patterns,
				    size_t count)
{
	_cleanup_free_ unsigned *flags = calloc(count, sizeof(*flags));
	_cleanup_free_ unsigned *ids = calloc(count, sizeof(*ids));
	hs_compile_error_t *failure = NULL;
	struct nunchi_error *err;

	if (!flags || !ids)
		return &error_nomem;
	for (unsigned i = 0; i < count; i++) {
		/* "^" is a line's start, in a text of many lines too. */
		flags[i] = HS_FLAG_SINGLEMATCH | HS_FLAG_MULTILINE;
		ids[i] = i;
	}
	if (hyperscan->lib.hs_compile_multi(patterns, flags, ids, (unsigned)count, HS_MODE_BLOCK,
					    NULL, &hyperscan->database, &failure) != HS_SUCCESS) {
		err =
		    error_create(NUNCHI_ERROR_UNSUPPORTED, "Hyperscan cannot compile the rules: %s",
				 failure ? failure->message : "it does not say why");
		hyperscan->lib.hs_free_compile_error(failure);
		return err;
	}
	if (hyperscan->lib.hs_alloc_scratch(hyperscan->database, &hyperscan->scratch) != HS_SUCCESS)
		return &error_nomem;
	return NULL;
}

static struct nunchi_error *create(const char *const *patterns, size_t count, struct matcher **ret)
{
	struct hyperscan *hyperscan = calloc(1, sizeof(*hyperscan));
	struct nunchi_error *err;

	if (!hyperscan)
		return &error_nomem;
	hyperscan->matcher.engine = &match_hyperscan;
	err = library_load(&libhs, &hyperscan->lib, &hyperscan->lib.handle);
	/* It needs SSSE3, which every x86-64 CPU that can have guests has. */
	if (!err && hyperscan->lib.hs_valid_platform() != HS_SUCCESS)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "Hyperscan needs SSSE3, which this CPU lacks");
	if (!err)
		err = compile(hyperscan, patterns, count);
	if (err)
		destroy(&hyperscan->matcher);
	else
		*ret = &hyperscan->matcher;
	return err;
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
		    void *matched)
{
	(void)from;
	(void)to;
	(void)flags;
	((bool *)matched)[id] = true;
	return 0;
}

static int on_any(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
		  void *found)
{
	(void)id;
	(void)from;
	(void)to;
	(void)flags;
	*(bool *)found = true;
	return 1;
}

static bool any(struct matcher *matcher, const char *text, size_t size)
{
	struct hyperscan *hyperscan = (struct hyperscan *)matcher;
	bool found = false;

	hyperscan->lib.hs_scan(hyperscan->database, text, (unsigned)size, 0, hyperscan->scratch,
			       on_any, &found);
	return found;
}

static void line(struct matcher *matcher, const char *text, size_t size, bool *matched)
{
	struct hyperscan *hyperscan = (struct hyperscan *)matcher;

	hyperscan->lib.hs_scan(hyperscan->database, text, (unsigned)size, 0, hyperscan->scratch,
			       on_match, matched);
}

const struct match_engine match_hyperscan = {"Hyperscan", create, destroy, any, line};
#endif
