/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands behind the public header: the context and the guest.
 */
#ifndef NUNCHI_API_GUEST_H
#define NUNCHI_API_GUEST_H

#include "core/cancel.h"
#include "guest/guest.h"
#include "target/target.h"
#include "view/moment.h"

struct nunchi_context {
	unsigned flags;
	struct cancel cancel;
	struct event_loop *loop; /* NULL until it is needed */
};

/* Lives in its guest, so that a cancel that comes too late does no harm. */
struct nunchi_session {
	struct nunchi_guest *guest; /* does not change: who cancels may be another thread */
	bool open;
	bool holds;           /* the guest is paused until the session is closed */
	struct moment moment; /* that all its cursors see, with NUNCHI_PAUSE_ALWAYS */
	uint64_t serial;      /* counts the guest's sessions */
	uint64_t calls;       /* on the guest, since the session was opened */
};

struct nunchi_guest {
	struct nunchi_context *context;
	struct cancel cancel; /* of a session; its parent is the context's */
	struct nunchi_session session;
	struct target *target;
	struct guest_kernel *kernel; /* NULL until attached */
	enum nunchi_pause pause;
	bool count_pages, until_exit;
	char *symbols_path, *types_path;
	double attach_ms, query_ms;
};

/*
 * Attaches if that was not done; on a live guest also checks that it is there (NUNCHI_ERROR_GONE)
 * and that the same kernel still runs (NUNCHI_ERROR_REBOOTED). In a session that was checked when
 * it was opened: this fails then only if the session was cancelled.
 */
struct nunchi_error *guest_kernel(struct nunchi_guest *guest, struct guest_kernel **ret);
/* The same without asking the hypervisor, for what may be called thousands of times a second. */
struct nunchi_error *guest_kernel_quickly(struct nunchi_guest *guest, struct guest_kernel **ret);

/* What each call on a guest begins with; NUNCHI_ERROR_CANCELLED once its session was cancelled. */
struct nunchi_error *session_begin(struct nunchi_guest *guest);
/*
 * Runs work, once or several times (see moment_run()), on what the session shows of the guest. For
 * use in an open session, after session_begin(). Faults for which work reads too little must not
 * be its error.
 */
struct nunchi_error *session_run(struct nunchi_guest *guest,
				 struct nunchi_error *(*work)(void *data), void *data);

/* Whether what is read in the open session comes from copies of one moment. */
static inline bool session_captures(const struct nunchi_guest *guest)
{
	return guest->target->live && guest->pause == NUNCHI_PAUSE_ALWAYS && !guest->session.holds;
}

/*
 * Copies a structure of options of a caller that was built with a header of another version, whose
 * structure may be shorter or longer: what it does not have stays as it is in ret. `first` is the
 * offset of the first option behind its size. NUNCHI_ERROR_ARGUMENT, with the structure's name, if
 * size does not reach beyond that, and if an option that this library does not know is set: bytes
 * behind ret_size must be zeros.
 */
struct nunchi_error *guest_take_options(const char *name, const void *from, size_t size,
					size_t first, void *ret, size_t ret_size);

/* Milliseconds of a clock that only goes forward. */
double guest_clock_ms(void);

/* Names the guest in an error that leaves the library. */
struct nunchi_error *guest_error(const struct nunchi_guest *guest, struct nunchi_error *err);

#endif
