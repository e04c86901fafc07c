/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A second process for a confined one (core/confine.h). It is forked before, keeps the privileges,
 * and does on request the few things that take them: pausing and resuming the guest, asking for
 * its state, its registers and its size, watching it (stops.h) if that was asked for before, and
 * one last action (giving a file its name). It is asked by small requests of fixed form, so that
 * whoever has taken over the confined process can do to the guest and to the host no more than
 * that.
 *
 * It ends with the confined process, and then resumes the guest if that is still paused. The guard
 * (journal/guard.h) watches it as it would watch any process that pauses.
 */
#ifndef NUNCHI_TARGET_CONTROLLER_H
#define NUNCHI_TARGET_CONTROLLER_H

#include "target/target.h"

struct controller;

struct controller_setup {
	struct target *target; /* NULL: none that is controlled */
	bool watch;            /* the guest may be watched (stops.h) */
	struct cancel *cancel; /* of the target's waits; may be NULL */
	/*
	 * The last action; called once, in the second process: with true for controller_finish(),
	 * or with false when that process ends without. NULL: there is none.
	 */
	struct nunchi_error *(*finish)(bool done, void *data);
	void *data;
};

/*
 * Forks the second process and, if there is a target, has it and this process divide the target:
 * all functions of target.h go on working here. The process must have one thread only.
 */
struct nunchi_error *controller_start(const struct controller_setup *setup,
				      struct controller **ret);
/* Ends the second process and waits for it. NULL is accepted. */
void controller_destroy(struct controller *controller);

/* What target.c asks for in the name of the target; see target.h. */
struct nunchi_error *controller_pause(struct controller *controller, struct target *target);
struct nunchi_error *controller_resume(struct controller *controller, struct target *target);
struct nunchi_error *controller_get_state(struct controller *controller, struct target *target,
					  enum target_state *ret);
struct nunchi_error *controller_get_registers(struct controller *controller, struct target *target,
					      unsigned vcpu, struct x86_registers *ret);
struct nunchi_error *controller_get_all_registers(struct controller *controller,
						  struct target *target, unsigned count,
						  struct x86_registers *ret, bool *ret_known);
struct nunchi_error *controller_measure(struct controller *controller, struct target *target,
					union target_size *ret);
/* Reads guest memory that only the second process can reach (target_ops.read). */
enum memory_fault controller_read(struct controller *controller, struct target *target,
				  uint64_t address, void *buffer, size_t size);
/*
 * The stops of a target whose process is confined: the second process executes them, with its own
 * copy of each stop, so that a vCPU goes on at its breakpoint or just behind it and nowhere else.
 */
extern const struct target_stops_ops controller_stops;
/* Calls setup.finish(true) in the second process. */
struct nunchi_error *controller_finish(struct controller *controller);

#endif
