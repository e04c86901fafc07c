/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target is a way to reach a guest: its memory and, if available, its vCPUs and its state. A
 * target knows nothing of operating systems.
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

/* What the addresses of a target's memory and in its page tables mean. */
enum target_frames {
	/* Guest-physical addresses: the kernel's image is contiguous in them. */
	TARGET_FRAMES_GUEST = 0,
	/*
	 * Machine frames of the host: a running PV guest of Xen, or one saved by dump-core. Memory
	 * that its kernel uses as contiguous is scattered, so that only virtual addresses, through
	 * its page tables, identify memory. (The page tables in a save stream contain guest
	 * frames.)
	 */
	TARGET_FRAMES_MACHINE = 1, /* also the value in nunchi's snapshots */
};

struct target;
struct target_ram;
struct target_arrangement;

/* See arrangement.h. */
typedef struct nunchi_error *target_arrange_fn(struct target *target, const struct target_ram *ram,
					       unsigned n, struct target_arrangement *ret);

/*
 * The functions that control a running guest. Whoever survives undoes what they do
 * (journal/undo.h). target_pause() and target_resume() count, and call these functions for the
 * outermost pause only.
 */
struct target_control {
	struct nunchi_error *(*pause)(struct target *target);
	/*
	 * If it fails, the guard and the undo log have taken over the pause; it is not called
	 * again.
	 */
	struct nunchi_error *(*resume)(struct target *target);
};

/* What a hypervisor says of the size of a guest; each kind of target has a form of its own. */
union target_size {
	uint64_t words[16];
};

struct controller;
struct target_stops_ops;

struct target_ops {
	/* "qemu", "raw", "elf", "kdump", "lime", "avml", "xen-core", "xen-save" … */
	const char *kind;
	/*
	 * Frees the members of this kind of target, not the storage itself. Called when the memory
	 * and its readers are freed and the guest is resumed. May be NULL.
	 */
	void (*destroy)(struct target *target);
	/* NULL for saved guests. */
	const struct target_control *control;
	/*
	 * Stops at addresses; NULL if there are none. See TARGET_EVENTS. Called by target_stops()
	 * (stops.h).
	 */
	const struct target_stops_ops *stops;
	/* NULL if not available. */
	struct nunchi_error *(*get_registers)(struct target *target, unsigned vcpu,
					      struct x86_registers *ret);
	/*
	 * Gets the registers of the first `count` vCPUs by one request, and whether each has any;
	 * NULL if get_registers() is as quick.
	 */
	struct nunchi_error *(*get_all_registers)(struct target *target, unsigned count,
						  struct x86_registers *ret, bool *ret_known);
	struct nunchi_error *(*get_state)(struct target *target, enum target_state *ret);
	target_arrange_fn *arrange; /* for raw files only (arrangement.h); otherwise NULL */
	/*
	 * Asks the hypervisor for the size of the guest, and updates the memory's ranges if that
	 * has changed; both NULL if the guest's pages do not change.
	 */
	struct nunchi_error *(*measure)(struct target *target, union target_size *ret);
	void (*refresh)(struct target *target, const union target_size *size);
	/*
	 * Reads memory that only the process can reach that controls the guest (controller.h); NULL
	 * if the confined process reads all of it.
	 */
	enum memory_fault (*read)(struct target *target, uint64_t address, void *buffer,
				  size_t size);
	/*
	 * Called when there are two processes for this target, one confined and one that controls
	 * the guest: each gives up what the other one is for, and gets what fork() did not copy.
	 * forked() is false if that fails. confined() sets the device of struct target, and is
	 * called without a second process too. Either may be NULL.
	 */
	bool (*forked)(struct target *target);
	struct nunchi_error *(*confined)(struct target *target);
};

/* The first member of each kind of target. */
struct target {
	const struct target_ops *ops;
	struct memory *memory; /* owned */
	/* The process that controls the guest in the place of this one, or NULL. Owned. */
	struct controller *controller;
	/* For a confined process: where it goes on to call ioctl(), and the request; -1: nowhere */
	int device;
	unsigned long device_request;
	bool restricted;     /* the device reaches this guest only */
	char *name;          /* as the user would write it: "qemu:demo", "/path/file"; owned */
	unsigned vcpu_count; /* 0: unknown */
	bool live;
	enum target_frames frames;
	/* in bytes, as reported by the hypervisor; 0: the sum of the memory's ranges */
	uint64_t ram_size;
	/*
	 * "AMD SEV" …: why the host cannot read the guest's memory; NULL: it can, as far as is
	 * known. Static.
	 */
	const char *encryption;
	bool leave_mapped; /* the process ends soon, so leave unmapping to the kernel */
	struct target_support support[TARGET_CAPABILITY_COUNT];
	/* The VMCOREINFO note that the file or hypervisor provides, or NULL. Owned. Untrusted. */
	char *vmcoreinfo;
	size_t vmcoreinfo_size;
	/*
	 * Messages for the user about what is incomplete or uncertain ("12 of 16 MiB missing");
	 * owned.
	 */
	char **notes;
	size_t note_count;
	/* Changes of nunchis that were killed: found and undone, and found and left. */
	unsigned repaired, unrepaired;
	/* Number of resets noticed since the target was opened. */
	unsigned reset_count;
	/*
	 * Used by target_pause() and target_resume(). A kind of target whose pause takes
	 * preparations sets paused_since_us itself when the vCPUs stop (to 0 if they were stopped
	 * already), and when they are resumed adds to paused_us and sets paused_since_us to 0.
	 */
	unsigned pause_depth;
	uint64_t paused_since_us;
	uint64_t paused_us;
	/* Texts of support[].reason made by target_set_support(). */
	char *support_text[TARGET_CAPABILITY_COUNT];
};

struct target_options {
	bool sigbus_guard;
	const struct cancel *cancel; /* tested during waits; may be NULL */
	/*
	 * Called once, when the target has opened all that it will read from, before it reads a
	 * byte of a saved or running guest. The target may have no memory yet. NULL: no call.
	 */
	struct nunchi_error *(*opened)(struct target *target, void *data);
	void *data; /* for opened() */
};

/*
 * Makes a target with this name of zeroed storage from calloc(), whose first member is a struct
 * target. Its capabilities are at first those of a saved guest: reading only. After this call
 * target_close() frees it, even if opening fails later.
 */
struct nunchi_error *target_init(struct target *target, const struct target_ops *ops,
				 const char *name);

/* Sets whether the target has a capability; the text says how, or why not. */
void target_set_support(struct target *target, enum target_capability capability, bool available,
			const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "read", "write" … Static storage. */
const char *target_capability_string(enum target_capability capability);
/* "running", "paused" … Static storage. */
const char *target_state_string(enum target_state state);

/* Opens the target for a word of the user, by the kind of target that the word names (kind.h). */
struct nunchi_error *target_open(const char *word, const struct target_options *options,
				 struct target **ret);
/*
 * Resumes the guest if it is paused by this target, closes everything and frees. NULL is accepted.
 */
void target_close(struct target *target);

/*
 * Stops the vCPUs. Calls are counted, so that they can be nested. target_resume() undoes only
 * pauses made by this function.
 */
struct nunchi_error *target_pause(struct target *target);
/*
 * Undoes a pause. Even if this fails, the guest no longer counts as paused: the next target_pause()
 * stops it again.
 */
struct nunchi_error *target_resume(struct target *target);
/*
 * Gets the registers of a vCPU. Fails with NUNCHI_ERROR_UNSUPPORTED if the target has no registers.
 */
struct nunchi_error *target_get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret);
/*
 * Gets the registers of the first `count` vCPUs, and whether each has any: one that was never
 * started has none.
 */
void target_get_all_registers(struct target *target, unsigned count, struct x86_registers *ret,
			      bool *ret_known);
/* Gets the current state of the guest; TARGET_ENDED if it does not exist any more. */
struct nunchi_error *target_get_state(struct target *target, enum target_state *ret);
/* The total time for which target_pause() stopped the guest, in microseconds. */
uint64_t target_paused_us(const struct target *target);

/* Calls target_ops.measure(), here or in the process that controls the guest. */
struct nunchi_error *target_measure(struct target *target, union target_size *ret);
/* Begins a query on a running guest: calls memory_renew(), and updates the ranges. */
void target_renew(struct target *target);

/*
 * Adds what undo_repair() found, which it owns from then on, as a note, and counts it. NULL is
 * accepted.
 */
void target_note_repair(struct target *target, char *text, bool complete);
/* Adds a note; does nothing if memory is short. */
void target_note(struct target *target, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Called for a guest of this host; returns false if no more are wanted. The strings are valid
 * during the call.
 */
typedef bool target_found_fn(const struct nunchi_found *guest, void *data);
/*
 * Lists the guests for nunchi_list(), from each kind of target that can list its guests. If `ask`
 * is true, connects to the monitors of QEMU's guests to ask for their states; otherwise their state
 * is "unknown", and their access does not mention a monitor. A monitor serves one client at a time.
 */
struct nunchi_error *target_list(bool ask, target_found_fn *found, void *data);

DEFINE_CLEANUP(struct target, target_close)
#define _cleanup_target_ _cleanup_(cleanup_target_close_p)

#endif
