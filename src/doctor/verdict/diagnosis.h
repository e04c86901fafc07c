/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A diagnosis under way and its result. Strings of findings and so on live in one arena.
 */
#ifndef NUNCHI_DOCTOR_VERDICT_DIAGNOSIS_H
#define NUNCHI_DOCTOR_VERDICT_DIAGNOSIS_H

#include "core/error.h"
#include "doctor/facts/facts.h"
#include "doctor/facts/settings.h"
#include "doctor/facts/tree.h"
#include "doctor/story/scan.h"
#include "doctor/story/story.h"

#include <stdarg.h>
#include <stdint.h>

#include <nunchi/doctor.h>

/* More findings, changes, steps or warnings than these are not kept, but counted in a warning. */
#define DIAGNOSIS_MOST 512
/* Evidence kept of one finding. */
#define EVIDENCE_MOST 3

struct nunchi_diagnosis {
	struct tree *tree;
	struct facts facts;
	struct settings settings; /* the host's */
	struct scan scan;
	struct story story;
	const struct nunchi_context *context; /* polled; may be NULL */
	bool host;                            /* a host was looked at, not just logs */

	enum nunchi_verdict verdict;
	const char *reason;
	struct nunchi_finding *findings;
	size_t finding_count;
	struct nunchi_change *changes;
	size_t change_count;
	struct nunchi_step *steps;
	size_t step_count;
	const char **warnings;
	size_t warning_count;

	char **strings; /* what the others point to */
	size_t string_count, string_capacity;
	unsigned dropped; /* what was beyond DIAGNOSIS_MOST */
	bool failed;      /* out of memory; tested once at the end */
};

/* Looks; options' paths and root as in nunchi.h. */
struct nunchi_error *doctor_examine(const char *root, const char *const *paths, size_t path_count,
				    const struct nunchi_context *context,
				    struct nunchi_diagnosis **ret);

/* Looks at the host, and writes what it asked for to a bundle (doctor/facts/bundle.h). */
struct nunchi_error *doctor_collect(
    const char *root, bool anonymous, const struct nunchi_context *context, const char *path,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data);

/* A copy or a formatted text owned by the diagnosis; "" when there is no memory. */
const char *diagnosis_keep(struct nunchi_diagnosis *diagnosis, const char *text, size_t size);
const char *diagnosis_format(struct nunchi_diagnosis *diagnosis, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The text with the commands of the host's distribution; the text itself if that is Debian's. */
const char *diagnosis_for_family(struct nunchi_diagnosis *diagnosis, const char *text);

/* What follows copies nothing but the structures; texts are static or kept. */
void diagnosis_add_finding(struct nunchi_diagnosis *diagnosis, struct nunchi_finding finding,
			   const struct nunchi_evidence *evidence, size_t evidence_count);
void diagnosis_add_step(struct nunchi_diagnosis *diagnosis, struct nunchi_step step);
void diagnosis_add_change(struct nunchi_diagnosis *diagnosis, struct nunchi_change change);
void diagnosis_warn(struct nunchi_diagnosis *diagnosis, const char *text);
/* Evidence of a fact; quote NULL takes its value. */
struct nunchi_evidence diagnosis_evidence(const struct fact *fact);

DEFINE_CLEANUP(struct nunchi_diagnosis, nunchi_diagnosis_destroy)
#define _cleanup_diagnosis_ _cleanup_(cleanup_nunchi_diagnosis_destroy_p)

#endif
