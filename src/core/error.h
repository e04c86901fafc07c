/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Error objects. Fallible functions return `struct nunchi_error *`, NULL meaning success. An error
 * carries a code, a message that is built up as it passes outward, a hint (the next step for the
 * user) and, where there is one, the guest address or errno concerned.
 */
#ifndef NUNCHI_CORE_ERROR_H
#define NUNCHI_CORE_ERROR_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#include <nunchi/nunchi.h>

/* Static errors: for a failed allocation and for "not found", which is no exception. Never freed.
 */
extern struct nunchi_error error_nomem;
extern struct nunchi_error error_not_found;
/* Ends a cursor or an iteration; not a failure. */
extern struct nunchi_error error_stop;

/* Makes an error. The message says what failed, without a final period. */
struct nunchi_error *error_create(enum nunchi_error_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* The same with the text of an errno value appended and its code derived from it. */
struct nunchi_error *error_create_errno(int errnum, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* The same with the guest address the error is about. */
struct nunchi_error *error_create_at(enum nunchi_error_code code, uint64_t address,
				     const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));

/*
 * Puts "context: " before the message; takes err and gives it back (or a static one). NULL stays
 * NULL, so `return error_context(f(), "while ...")` is the idiom. If memory runs out it is
 * error_nomem: what is wrong must not be said without where.
 */
struct nunchi_error *error_context(struct nunchi_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* Sets what the user should do next; takes err and gives it back. The innermost hint stays. */
struct nunchi_error *error_hint(struct nunchi_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/*
 * Marks that it is the set-up of this host that is in the way (see nunchi_error_is_host()); takes
 * err and gives it back.
 */
struct nunchi_error *error_of_host(struct nunchi_error *err) __attribute__((warn_unused_result));

/*
 * Records where in the text that was given the part that failed begins, unless an inner function
 * has done so; takes err and gives it back.
 */
struct nunchi_error *error_at_position(struct nunchi_error *err, size_t position)
    __attribute__((warn_unused_result));

/* Records the errno of an error whose message has its text already; takes err and gives it back. */
struct nunchi_error *error_with_errno(struct nunchi_error *err, int errnum)
    __attribute__((warn_unused_result));

static inline bool error_is(const struct nunchi_error *err, enum nunchi_error_code code)
{
	return err && nunchi_error_code(err) == code;
}

DEFINE_CLEANUP(struct nunchi_error, nunchi_error_destroy)
#define _cleanup_error_ _cleanup_(cleanup_nunchi_error_destroy_p)

#endif
