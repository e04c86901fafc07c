/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/match.h"

#include "config.h"
#include "doctor/story/match_engines.h"

const struct match_engine *const match_engines[] = {
#ifdef HAVE_LIBHS
    &match_hyperscan,
#endif
#ifdef HAVE_PCRE2
    &match_pcre2,
#endif
    NULL,
};

struct nunchi_error *match_create(const char *const *patterns, size_t count, struct matcher **ret)
{
	struct nunchi_error *err = NULL;

	if (!match_engines[0])
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "nunchi was built without Hyperscan and PCRE2");
	for (size_t i = 0; match_engines[i]; i++) {
		_cleanup_error_ struct nunchi_error *first = err;

		err = match_engines[i]->create(patterns, count, ret);
		if (!error_is(err, NUNCHI_ERROR_UNSUPPORTED))
			return err;
		if (first)
			err = error_context(err, "%s", nunchi_error_message(first));
	}
	return err;
}

void match_destroy(struct matcher *matcher)
{
	if (matcher)
		matcher->engine->destroy(matcher);
}
