/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of a guest's integrity: each compares two places that must agree, or a place with what may
 * stand there. A new check takes one file, a line in checks.def and one in meson.build. The view
 * `findings` shows what they report.
 *
 * Each check reports at least one finding: what it compared and that all was well (CHECK_OK), or
 * why it could not be made (CHECK_UNKNOWN), or what it found. On the kernels of the tests no check
 * reports more than a CHECK_NOTE.
 */
#ifndef NUNCHI_CHECK_CHECK_H
#define NUNCHI_CHECK_CHECK_H

#include "core/buffer.h"
#include "core/error.h"
#include "guest/guest.h"

enum check_severity {
	CHECK_OK,
	CHECK_UNKNOWN, /* the check could not be made, or not in full */
	CHECK_NOTE,    /* unusual, with known good reasons */
	CHECK_WARNING, /* there is rarely a good reason */
	CHECK_ALARM,   /* no working kernel does this by itself */
};

struct check_finding {
	enum check_severity severity;
	int64_t pid;          /* of the process concerned; -1: none */
	uint64_t address;     /* in the guest, of what was found; 0: none */
	const char *subject;  /* the process, module, function … concerned */
	const char *expected; /* what one side says, or what may be there; NULL: nothing */
	const char *found;    /* what the other side says, or what is there; NULL: nothing */
	const char *meaning;  /* a sentence for people */
};

/* The findings of one check. Texts are owned by the report. */
struct check_report {
	struct check_finding *findings;
	size_t count, capacity;
	size_t counts[CHECK_ALARM + 1]; /* of each severity, those left out among them */
	uint64_t left_out;              /* findings beyond CHECK_MAX_FINDINGS of their severity */
	bool no_memory;
	/* What could not be read, and why: the check was not made in full. NULL: nothing. */
	char *unread;
};

/*
 * Limit of the findings of each severity: a guest with a thousand hooks is known to be hooked, and
 * notes leave no alarm out.
 */
#define CHECK_MAX_FINDINGS 1000

/* A check for guests of one operating system. */
struct check {
	const char *name;
	const char *description; /* one line */
	const struct guest_system *system;
	/*
	 * Adds findings above CHECK_OK, then a summary. Fails with NUNCHI_ERROR_UNSUPPORTED if this
	 * kernel lacks what the check needs.
	 */
	struct nunchi_error *(*run)(struct guest_kernel *kernel, struct check_report *report);
};

/* All checks in the order of checks.def. */
const struct check *const *check_registry(size_t *ret_count);
/* "ok", "unknown", "note", "warning" or "alarm". */
const char *check_severity_string(enum check_severity severity);

/*
 * Runs a check. On a running guest what differs for a moment only is not reported: the check runs
 * up to three times, and a finding above CHECK_NOTE must be in all of them. What the check could
 * not do is a finding, CHECK_UNKNOWN; fails if memory is short or the query was cancelled.
 */
struct nunchi_error *check_run(const struct check *check, struct guest_kernel *kernel,
			       struct check_report *ret);
void check_report_deinit(struct check_report *report);

/* ---- For checks ------------------------------------------------------------------------------ */

/* The text of a buffer; if it could not be made for want of memory, the check fails. */
const char *check_text(struct check_report *report, const struct buffer *text);
/* Adds a finding; copies its texts. */
void check_add(struct check_report *report, const struct check_finding *finding);
/* Adds what was compared: CHECK_OK, or CHECK_UNKNOWN if something could not be read. */
void check_summary(struct check_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Remembers that something could not be read; nothing if why is READ_OK. The first one counts. */
void check_unread(struct check_report *report, enum read_result why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what is not known for another reason, which the text says. */
void check_unknown(struct check_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
