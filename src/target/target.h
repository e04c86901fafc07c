/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A way to reach a guest: its memory, and where there are such, its vCPUs and its state.
 * Knows nothing of operating systems.
 */
#ifndef NUNCHI_TARGET_TARGET_H
#define NUNCHI_TARGET_TARGET_H

#include "arch/x86/registers.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/error.h"
#include "memory/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum target_capability {
	TARGET_READ,
	TARGET_WRITE,
	TARGET_PAUSE,
	TARGET_REGISTERS,
	TARGET_EVENTS,
	TARGET_CAPABILITY_COUNT
};

struct target_support {
	bool available;
	const char *reason; /* how, or why not; owned by the target, never NULL */
};

enum target_state { TARGET_RUNNING, TARGET_PAUSED, TARGET_SAVED, TARGET_ENDED, TARGET_UNKNOWN };

/* What the addresses of a target's memory, and those in its page tables, are. */
enum target_frames {
	/* Guest-physical, as the guest's kernel counts them: its image is contiguous there. */
	TARGET_FRAMES_GUEST = 0,
	/*
	 * The host's machine frames: a PV guest of Xen as it runs, or as dump-core saves it. What
	 * its kernel takes for contiguous is scattered, so that only virtual addresses under its
	 * page tables tell where things are. (A save stream has guest frames in its page tables.)
	 */
	TARGET_FRAMES_MACHINE = 1, /* stands so in our snapshots */
};

struct target;
struct target_ram;
struct target_arrangement;

/* See arrangement.h. */
typedef struct nunchi_error *target_arrange_fn(struct target *target, const struct target_ram *ram,
					       unsigned n, struct target_arrangement *ret);

/*
 * How a guest that runs is controlled. Each is undone by whoever survives (journal/undo.h).
 * target_pause() and target_resume() count, and call these for the outermost pause alone.
 */
struct target_control {
	struct nunchi_error *(*pause)(struct target *target);
	/* One that fails has handed the pause on to the guard and the undo log: it is not repeated.
	 */
	struct nunchi_error *(*resume)(struct target *target);
};

struct target_ops {
	const char
	    *kind; /* "qemu", "raw", "elf", "kdump", "lime", "avml", "xen-core", "xen-save" */
	/*
	 * Releases what the kind added, not the storage itself. Called when the memory, and with it
	 * its readers, are gone already, and everything paused was resumed. May be NULL.
	 */
	void (*destroy)(struct target *target);
	/* What can be done to a guest that runs; NULL for saved ones. */
	const struct target_control *control;
	/* NULL where there are none. */
	struct nunchi_error *(*get_registers)(struct target *target, unsigned vcpu,
					      struct x86_registers *ret);
	struct nunchi_error *(*get_state)(struct target *target, enum target_state *ret);
	target_arrange_fn *arrange; /* of raw files alone (arrangement.h); NULL elsewhere */
	/* Takes note of pages that came or went; NULL where none do. */
	void (*refresh)(struct target *target);
};

/* Embedded as the first member of each kind of target. */
struct target {
	const struct target_ops *ops;
	struct memory *memory; /* owned */
	char *name;          /* as the user would say it again: "qemu:demo", "/path/file"; owned */
	unsigned vcpu_count; /* 0: unknown */
	bool live;
	enum target_frames frames;
	uint64_t ram_size; /* bytes, as the hypervisor says; 0: the sum of the memory's ranges */
	bool leave_mapped; /* the process ends: what unmapping costs can be left to the kernel */
	struct target_support support[TARGET_CAPABILITY_COUNT];
	/* A VMCOREINFO note the file or hypervisor hands over; NULL if none. Owned. Untrusted. */
	char *vmcoreinfo;
	size_t vmcoreinfo_size;
	/* Said to the user: what is incomplete or less sure ("12 of 16 MiB missing"); owned. */
	char **notes;
	size_t note_count;
	/* How often it was reset since it was opened, as far as that was noticed. */
	unsigned reset_count;
	/*
	 * Kept by target_pause() and target_resume(). A kind whose pause needs preparations sets
	 * paused_since_us itself when the vCPUs stop, or to 0 when they stood still already, and
	 * adds to paused_us and zeroes paused_since_us itself when they go on.
	 */
	unsigned pause_depth;
	uint64_t paused_since_us;
	uint64_t paused_us;
	/* Storage behind support[].reason where target_set_support() made it. */
	char *support_text[TARGET_CAPABILITY_COUNT];
};

struct target_options {
	bool sigbus_guard;
	const struct cancel *cancel; /* polled; may be NULL */
};

/*
 * Zeroed storage from calloc(), whose first member is a struct target, becomes a target with that
 * name. Its capabilities start as those of a saved guest: read and nothing else. From then on
 * target_close() releases it, whatever else fails.
 */
struct nunchi_error *target_init(struct target *target, const struct target_ops *ops,
				 const char *name);

/* Says whether the target can do that, and how or why not. */
void target_set_support(struct target *target, enum target_capability capability, bool available,
			const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "read", "write" … Static storage. */
const char *target_capability_string(enum target_capability capability);
/* "running", "paused" … Static storage. */
const char *target_state_string(enum target_state state);

/* Opens by the user's word, by the kind of target that it names (kind.h). */
struct nunchi_error *target_open(const char *word, const struct target_options *options,
				 struct target **ret);
/* Puts back what we paused, closes all, frees. NULL is accepted. */
void target_close(struct target *target);

/* Stops the vCPUs; counts, so that calls nest. Only our own stop is undone by target_resume(). */
struct nunchi_error *target_pause(struct target *target);
/* Even if it fails the pause is over for us: the next target_pause() stops the guest again. */
struct nunchi_error *target_resume(struct target *target);
struct nunchi_error *target_get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret);
/* What the guest is doing now; TARGET_ENDED once it is gone. */
struct nunchi_error *target_get_state(struct target *target, enum target_state *ret);
/* Microseconds for which target_pause() had it stopped, in all. */
uint64_t target_paused_us(const struct target *target);

/* What a query of a running guest begins with: memory_renew(), and the ranges that there are now.
 */
void target_renew(struct target *target);

/* Adds a note; drops it silently if memory is short. */
void target_note(struct target *target, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is told one guest of this host; false when no more are wanted. The strings live for the call. */
typedef bool target_found_fn(const struct nunchi_found *guest, void *data);
/*
 * What nunchi_list() gives, from each kind of target that can enumerate. With `ask` it connects to the
 * monitors of QEMU's guests to ask for their states; without, their state is "unknown" and their
 * access says nothing of a monitor. A monitor serves one client at a time.
 */
struct nunchi_error *target_list(bool ask, target_found_fn *found, void *data);

DEFINE_CLEANUP(struct target, target_close)
#define _cleanup_target_ _cleanup_(cleanup_target_close_p)

#endif
