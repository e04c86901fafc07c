/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hypercalls about the event ring of one domain, which the library and the guard program make.
 * Functions that return an int return 0 or an errno.
 *
 * A vCPU that waits for an answer in a ring stays so when the ring is disabled. Since Xen 4.14
 * nothing else is lost by that: hvm_set_cr3() puts the event into the ring and then writes the
 * register, and DISABLE pauses the domain first, which waits until the vCPU has done so. Before,
 * disabling the ring could lose the value, so older releases are refused.
 *
 * Sources: xen/common/vm_event.c, xen/common/monitor.c, xen/arch/x86/hvm/monitor.c.
 */
#ifndef NUNCHI_TARGET_XEN_MONITOR_H
#define NUNCHI_TARGET_XEN_MONITOR_H

#include "journal/undo_log.h"

#include <stdbool.h>
#include <stdint.h>

#define MONITOR_OLDEST 6    /* version of the ring's interface, of Xen 4.14 */
#define MONITOR_PAGE   4096 /* size of what map() maps, and of `argument` */
#define MONITOR_INT3   0xcc /* the instruction of a breakpoint */

struct monitor {
	/* Makes a hypercall: its result, or negative with errno. */
	int (*call)(void *data, uint64_t number, uint64_t one, uint64_t two);
	/* Maps and unmaps a page of the domain for reading and writing; NULL with errno. */
	void *(*map)(void *data, uint64_t frame);
	void (*unmap)(void *data, void *page);
	void *data;
	uint8_t *argument; /* memory for arguments, which the hypervisor can write to */
	uint32_t domctl;   /* version of the control interface */
	uint32_t version;  /* from monitor_version() */
	/*
	 * At most RING_SLOTS, so that no vCPU waits for a slot, unless a nested guest has two
	 * requests of one vCPU in the ring.
	 */
	uint32_t vcpus;
	uint16_t domain;
};

/* Gets the version of the ring's interface. */
int monitor_version(const struct monitor *monitor, uint32_t *ret);
/* Gets the events that Xen has for this domain, a bit for each XEN_MONITOR_*. */
int monitor_capabilities(const struct monitor *monitor, uint32_t *ret);
/*
 * Has Xen read the answers in the ring. ENODEV if the domain has no ring: so this tells, too,
 * whether somebody watches it.
 */
int monitor_resume(const struct monitor *monitor);
/*
 * Makes the ring of a page that is new, maps it, and takes it from the guest for good. Xen trusts
 * what is on that page, so the domain must be paused meanwhile. *ret_port is the event channel by
 * which Xen tells of requests. EBUSY if the domain has a ring. *ret_made is whether there is, or
 * may be, a ring of ours even if it fails.
 */
int monitor_enable(const struct monitor *monitor, uint32_t *ret_port, void **ret_page,
		   bool *ret_made);
/* Pauses the domain once more, or undoes that once. */
int monitor_pause(const struct monitor *monitor, bool on);
/* Switches all events off and removes the ring. EINVAL if the domain has none. */
int monitor_disable(const struct monitor *monitor);
/* Switches an event on or off: XEN_MONITOR_CONTROL of a register, XEN_MONITOR_MSR of an MSR. */
int monitor_set(const struct monitor *monitor, uint32_t event, uint32_t index, bool on);
/*
 * Writes back the bytes that breakpoints replaced, while the domain is paused. A byte that is no
 * breakpoint any more, or whose page the guest has given away or uses for something else, is left
 * as it is. Each is noted in the log, so that nobody takes a breakpoint for nunchi's that the guest
 * sets there later. May be repeated if it is interrupted.
 */
int monitor_restore(const struct monitor *monitor, const struct undo_patch *patches, size_t count,
		    struct undo_log *log);
/*
 * For a domain whose agent was killed: switches all events off, removes the ring, and resumes the
 * vCPUs that wait for an answer. The domain must be paused. May be repeated if it is interrupted.
 */
int monitor_rescue(const struct monitor *monitor);

#endif
