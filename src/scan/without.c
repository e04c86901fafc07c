/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build without libyara. */
#include "core/error.h"
#include "scan/scan.h"

struct nunchi_error *scan_rules_compile(char *const *paths, size_t count,
					void (*warn)(const char *text, void *data), void *data,
					struct scan_rules **ret)
{
	(void)paths, (void)count, (void)warn, (void)data, (void)ret;
	return error_hint(
	    error_create(NUNCHI_ERROR_UNSUPPORTED, "this build of nunchi has no rules of YARA"),
	    "build it with libyara's headers (-Dyara=enabled)");
}

/* Without rules none of these is called. */

void scan_rules_destroy(struct scan_rules *rules)
{
	(void)rules;
}

void scan_result_deinit(struct scan_result *result)
{
	(void)result;
}

struct nunchi_error *scanner_start(const struct scan_rules *rules,
				   const struct scan_options *options, struct scanner **ret)
{
	(void)rules, (void)options, (void)ret;
	return &error_nomem;
}

void scanner_destroy(struct scanner *scanner)
{
	(void)scanner;
}

struct nunchi_error *scanner_run(struct scanner *scanner, const struct scan_job *job,
				 struct scan_result *ret)
{
	(void)scanner, (void)job, (void)ret;
	return &error_nomem;
}

struct nunchi_error *scan_rows(const struct scan_rules *rules, const struct scan_result *result,
			       bool (*give)(const struct scan_row *row, void *data), void *data)
{
	(void)rules, (void)result, (void)give, (void)data;
	return NULL;
}

void scan_cut_strings(const struct scan_rules *rules, const struct scan_result *result,
		      void (*give)(const char *rule, const char *string,
				   const struct scan_share *share, void *data),
		      void *data)
{
	(void)rules, (void)result, (void)give, (void)data;
}
