/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes: what a guest does, as rows. A probe is a schema, as that of a view, and for each guest
 * operating system the functions of the kernel at which something happens. A new probe takes one
 * file, one line in probes.def and one in meson.build.
 *
 * A probe file lists its columns as a view does (view/view.h), behind those that all probes have:
 *
 *	#define COLUMNS(X)                                                                         \
 *		PROBE_COLUMNS(X)                                                                   \
 *		X(path, TEXT, "path of the file")
 *	enum { COLUMNS(VIEW_COLUMN_ENUM) };
 *
 * Columns have the names of osquery's tables process_events, process_file_events and socket_events
 * (schema of release 5.14) where these have the column.
 */
#ifndef NUNCHI_PROBE_PROBE_H
#define NUNCHI_PROBE_PROBE_H

#include "target/stops.h"
#include "view/view.h"

#define PROBE_COLUMNS(X)                                                                           \
	X(time, REAL, "when it was seen: the host's clock, seconds since 1970")                    \
	X(uptime, REAL, "the guest's clock at its last timer tick: seconds since its start")       \
	X(vcpu, INTEGER, "number of the vCPU, from 0")                                             \
	X(pid, INTEGER, "process id of the process that does it, in the first pid namespace")      \
	X(tid, INTEGER, "thread id of the thread that does it")                                    \
	X(name, TEXT, "the kernel's name for the thread (comm)")                                   \
	X(parent, INTEGER, "process id of the parent")                                             \
	X(uid, INTEGER, "real user id")                                                            \
	X(cgroup_path, TEXT, "control group, version 2")                                           \
	X(container, TEXT, "id of the container (Docker, Podman, containerd …) or its name (LXC)")

#define PROBE_MAX_HOOKS 12

/* A moment at which the guest stands still in a function of its kernel, and the row about it. */
struct probe_hit {
	struct guest_kernel *kernel;
	const struct probe *probe;
	const struct probe_hook *hook;
	const struct x86_registers *registers;
	struct view_row *row;
	const struct view_request *request; /* the columns that are wanted */
	void *system;                       /* of struct probe_system, of this hit */
	double time;                        /* host's clock, seconds since 1970 */
	unsigned alternative;               /* which of probe_hook.functions it is */
	const struct target_stop *stop;
	uint64_t kept; /* enter() leaves it to leave() */
};

enum probe_next {
	PROBE_ROW,     /* the row is complete */
	PROBE_RETURNS, /* the row is complete when the function returns: see probe_hook.leave() */
	PROBE_NO_ROW,
};

struct probe_hook {
	/*
	 * names of kernel functions, separated by blanks; the first that exists is taken. NULL: of
	 * an event, if there is enter(), else the end of the list of hooks
	 */
	const char *functions;
	/* At the first instruction of the function. */
	enum probe_next (*enter)(struct probe_hit *hit);
	/* When it has returned. false: no row. NULL: enter() completes the row. */
	bool (*leave)(struct probe_hit *hit);
	/* A call that is not seen to return makes no row. */
	bool needs_result;
	/* The function is that of programs of 32 bits: see hit_call_argument(). */
	bool narrow;
	/* leave() sets the time, of which enter() knows nothing yet: see hit_now(). */
	bool timed_at_return;
	/* Kernels may lack the function, if they have one of another hook. */
	bool optional;
	/* The hook is not set in a kernel that has this function. NULL: always */
	const char *unless;
	/* Of a hook without functions; of TARGET_EVENT_MSR a hook for each of the MSRs. */
	enum target_event event;
	uint32_t index;
};

/* What probes do in a guest of one operating system. */
struct probe_provider {
	const struct guest_system *system; /* NULL: the end of the list of providers */
	struct probe_hook hooks[PROBE_MAX_HOOKS];
};

struct probe {
	struct nunchi_view schema;
	struct probe_provider providers[VIEW_MAX_SYSTEMS];
	/* How many of the last columns are read only if they are named. */
	unsigned on_request;
};

/*
 * What the probes of one operating system have in common: whose doing a hit is, and the columns
 * PROBE_COLUMNS but time and vcpu.
 */
struct probe_system {
	const struct guest_system *system;
	/* Makes the state for hits. request: all columns that any probe may want. */
	struct nunchi_error *(*create)(struct guest_kernel *kernel, void **ret);
	void (*destroy)(void *state);
	/*
	 * Makes a probe that is in no registry, such as "kernel:FUNCTION"; *ret is NULL if the name
	 * is of no such form.
	 */
	struct nunchi_error *(*create_named)(struct guest_kernel *kernel, const char *name,
					     struct probe **ret);
	void (*destroy_named)(struct probe *probe);
	/*
	 * Finds the thread that the vCPU executes. False if it cannot be read; then the cells of
	 * PROBE_COLUMNS say why.
	 */
	bool (*begin)(void *state, struct probe_hit *hit);
	/*
	 * Finds the process with this id and those that descend from it now, for descends().
	 * NUNCHI_ERROR_NOT_FOUND: there is none. The hook must be set before, for each new task.
	 */
	struct nunchi_error *(*find_process)(void *state, int64_t pid);
	struct probe_hook born;
	/*
	 * Whether the thread of the hit belongs to that process, or to one that descends from it. A
	 * process that gets the id later is another one.
	 */
	bool (*descends)(void *state);
	/*
	 * Names of functions of the kernel, separated by blanks, the first of which that exists is
	 * called when the guest is to be saved, or moved to another host. A kernel that cannot be
	 * lacks them. NULL: all do.
	 */
	const char *suspends;
	/*
	 * Whether the kernel changes the instruction at an address by itself, so that nothing must
	 * be written over it. NULL: it changes none.
	 */
	bool (*is_rewritten)(struct guest_kernel *kernel, uint64_t address);
	/*
	 * Why nothing must be written over any instruction of the kernel, or NULL. NULL: nothing
	 * ever forbids it.
	 */
	const char *(*forbids_writing)(struct guest_kernel *kernel);
	/* The address to which the function returns, and the stack pointer behind it. */
	bool (*return_frame)(const struct probe_hit *hit, uint64_t *ret_address,
			     uint64_t *ret_stack);
};

/* The columns that all probes have, by their index in the schema. */
#define PROBE_COLUMN_ENUM(name, type, doc) PROBE_##name,
enum { PROBE_COLUMNS(PROBE_COLUMN_ENUM) PROBE_COLUMN_COUNT };

extern const struct probe_system probe_linux;

/* All probes in the order of probes.def, which is alphabetical. */
const struct probe *const *probe_registry(size_t *ret_count);
/* The probe with this name, or NULL. */
const struct probe *probe_find(const char *name);

#endif
