/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The structures behind the public header: the context and the guest. */
#ifndef NUNCHI_API_GUEST_H
#define NUNCHI_API_GUEST_H

#include "core/cancel.h"
#include "guest/guest.h"
#include "target/target.h"
#include "view/moment.h"

/* What private_kb of struct nunchi_timing is read from. */
#define GUEST_ROLLUP "/proc/self/smaps_rollup"

struct nunchi_context {
	unsigned flags;
	struct cancel cancel;
	struct event_loop *loop; /* NULL until first needed */
};

/*
 * A member of the guest and not allocated separately, so that nunchi_session_cancel() after
 * nunchi_session_close() is harmless.
 */
struct nunchi_session {
	struct nunchi_guest *guest; /* does not change: who cancels may be another thread */
	bool open;
	bool holds;           /* the guest is paused until the session is closed */
	struct moment moment; /* shared by all its cursors, with NUNCHI_PAUSE_ALWAYS */
	uint64_t serial;      /* number of sessions that the guest has had */
	uint64_t calls;       /* number of calls since the session was opened */
};

struct nunchi_guest {
	struct nunchi_context *context;
	struct cancel cancel; /* of the session; its parent is that of the context */
	struct nunchi_session session;
	struct target *target;
	struct guest_kernel *kernel;    /* NULL until attached */
	const struct guest_name *given; /* by nunchi_names(), which is in give(); or NULL */
	enum nunchi_pause pause;
	bool count_pages, until_exit, remains;
	bool events;             /* opened for traces */
	uint64_t kernel_address; /* chosen by the user, or 0 */
	char *symbols_path, *types_path;
	int symbols_fd, types_fd;        /* of these files, open while confined; -1 otherwise */
	int rollup_fd;                   /* /proc/self/smaps_rollup, likewise */
	struct nunchi_cursor *cursors;   /* that are open, the last first */
	struct confinement *confinement; /* NULL: this process is not confined (confine.c) */
	int (*finish)(bool done, void *data); /* NULL: none, or it was called */
	void *finish_data;
	double attach_ms, query_ms;
};

/* Takes their guest from the cursors that are still open. */
void guest_leave_cursors(struct nunchi_guest *guest);
/* Confines the process if `options` ask for it; called when the target has been opened. */
struct nunchi_error *guest_confine(struct nunchi_guest *guest, struct target *target,
				   const struct nunchi_guest_options *options);
/* Frees what guest_confine() has made. */
void guest_confinement_destroy(struct nunchi_guest *guest);
/* Tells by fact() what holds. */
void guest_confinement_facts(const struct nunchi_guest *guest,
			     void (*fact)(const struct nunchi_fact *fact, void *data), void *data);
/* The file that was made for nunchi_snapshot() of this path, or NULL. */
struct output *guest_confined_output(struct nunchi_guest *guest, const char *path);

/*
 * Gets the kernel, and finds it if that was not done before. For a running guest, also checks that
 * the guest exists (NUNCHI_ERROR_GONE) and runs the same kernel (NUNCHI_ERROR_REBOOTED). In a
 * session, which was checked when it was opened, this fails only if the session was cancelled.
 */
struct nunchi_error *guest_kernel(struct nunchi_guest *guest, struct guest_kernel **ret);
/*
 * Does the same without asking the hypervisor; for calls that may be made thousands of times a
 * second.
 */
struct nunchi_error *guest_kernel_quickly(struct nunchi_guest *guest, struct guest_kernel **ret);

/* Each call on a guest begins with this. NUNCHI_ERROR_CANCELLED if the session was cancelled. */
struct nunchi_error *session_begin(struct nunchi_guest *guest);
/*
 * Runs work on the state of the guest that the session shows, once or several times (see
 * moment_run()). Call it in an open session, after session_begin(). work must not return an error
 * because of a page that cannot be read: that page may only have to be copied first.
 */
struct nunchi_error *session_run(struct nunchi_guest *guest,
				 struct nunchi_error *(*work)(void *data), void *data);

/* Whether reads in the open session use copies of one moment. */
static inline bool session_captures(const struct nunchi_guest *guest)
{
	return guest->target->live && guest->pause == NUNCHI_PAUSE_ALWAYS && !guest->session.holds;
}

/*
 * The first line of a function of the public header: returns NUNCHI_ERROR_ARGUMENT unless all
 * pointers that it needs are given.
 */
#define API_REQUIRE(given)                                                                         \
	do {                                                                                       \
		if (!(given))                                                                      \
			return error_create(NUNCHI_ERROR_ARGUMENT,                                 \
					    "%s() was given NULL; it needs %s", __func__, #given); \
	} while (0)

/* A monotonic clock, in milliseconds. */
double guest_clock_ms(void);

/* Adds the guest's name to an error that is returned to the caller of the library. */
struct nunchi_error *guest_error(const struct nunchi_guest *guest, struct nunchi_error *err);

#endif
