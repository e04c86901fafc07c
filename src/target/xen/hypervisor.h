/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes hypercalls. The version of the control interface is found by
 * trying: Xen answers a wrong version with EACCES before it looks at anything else. Candidates are
 * tried from the newest on, and the version string, which vendors change, has no influence. If the
 * interface is newer than all candidates, memory and names can still be read.
 *
 * Not thread-safe. A child of fork() calls xen_hypervisor_forked() before anything else.
 */
#ifndef NUNCHI_TARGET_XEN_HYPERVISOR_H
#define NUNCHI_TARGET_XEN_HYPERVISOR_H

#include "arch/x86/registers.h"
#include "core/error.h"
#include "target/xen/calls.h"
#include "target/xen/layout.h"

#include <stdbool.h>
#include <stdint.h>

/* The interface versions of Xen 4.11 to 4.22. */
#define XEN_DOMCTL_NEWEST 0x18
#define XEN_DOMCTL_OLDEST 0x10
#define XEN_SYSCTL_NEWEST 0x16
#define XEN_SYSCTL_OLDEST 0x11
/* From this version on (Xen 4.16), an entry of the list of domains has XEN_INFO_SIZE_NEW bytes. */
#define XEN_DOMCTL_WIDE_INFO 0x14

enum xen_type { XEN_TYPE_UNKNOWN, XEN_TYPE_PV, XEN_TYPE_PVH, XEN_TYPE_HVM };

struct xen_hypervisor {
	struct xen_calls calls;
	int driver;              /* from calls.open() */
	uint8_t *argument;       /* memory for the argument of a call, from calls.alloc() */
	uint8_t *data;           /* after it: memory for what an argument points to */
	struct xen_store *store; /* NULL before the first request */
	const char *no_store;    /* why there is none, once that is known; static storage */
	uint32_t domctl;         /* interface version; 0: unknown, no_control says why */
	uint32_t sysctl;         /* interface version; 0: not asked for yet */
	unsigned major, minor;   /* version that Xen reports */
	char *no_control;        /* owned */
};

/* The properties of a domain. */
struct xen_domain {
	uint16_t id;
	enum xen_type type;
	uint32_t flags;      /* XEN_INFO_* */
	uint64_t pages;      /* pages that it has now */
	uint64_t most_pages; /* greatest number of pages that it may have */
	uint64_t paged_out;  /* of `pages`, those that are on disk */
	uint64_t shared_info_frame;
	uint64_t cpu_time; /* in nanoseconds */
	uint32_t vcpus;
	uint8_t uuid[16];
};

/* Opens the driver and asks for the versions. */
struct nunchi_error *xen_hypervisor_open(struct xen_hypervisor *ret);
/* Does the same with a given table of functions; for tests. */
struct nunchi_error *xen_hypervisor_open_with(const struct xen_calls *calls,
					      struct xen_hypervisor *ret);
void xen_hypervisor_close(struct xen_hypervisor *xen);
/*
 * Gives a child of fork() memory for its hypercalls, which fork() does not copy. From then on only
 * one of the two processes may use xenstore. False if memory is short.
 */
bool xen_hypervisor_forked(struct xen_hypervisor *xen);
/*
 * Gives up xenstore and all hypercalls but those that map memory of this domain; what the driver
 * does not permit to give up is kept. Returns whether it could be given up.
 */
bool xen_hypervisor_confine(struct xen_hypervisor *xen, uint16_t domain);

/*
 * Fails with NUNCHI_ERROR_UNSUPPORTED and the reason if the version of the control interface is
 * unknown.
 */
struct nunchi_error *xen_need_control(const struct xen_hypervisor *xen);

/*
 * Gets the properties of a domain. NUNCHI_ERROR_NOT_FOUND if there is no domain with this id (any
 * more).
 */
struct nunchi_error *xen_domain_get(struct xen_hypervisor *xen, uint16_t id,
				    struct xen_domain *ret);
/*
 * Lists all domains in ascending order of id, including the one in which nunchi runs. The caller
 * frees *ret.
 */
struct nunchi_error *xen_domains_get(struct xen_hypervisor *xen, struct xen_domain **ret,
				     size_t *ret_count);
/* "PV", "PVH", "HVM" or "?". Static storage. */
const char *xen_type_string(enum xen_type type);
/* "running", "paused", "crashed" … Static storage. */
const char *xen_domain_state(const struct xen_domain *domain);

/*
 * Decrements the domain's count of pauses. NUNCHI_ERROR_ARGUMENT if the count is 0. The guard makes
 * the call that increments it (guard/xen.c).
 */
struct nunchi_error *xen_domain_unpause(struct xen_hypervisor *xen, uint16_t id);
/*
 * Gets the registers of a vCPU. Fails with NUNCHI_ERROR_UNSUPPORTED if the vCPU was never started.
 */
struct nunchi_error *xen_get_registers(struct xen_hypervisor *xen, const struct xen_domain *domain,
				       unsigned vcpu, struct x86_registers *ret);
/*
 * Gets the highest guest frame ever used, plus 1; 0 if unknown. Only a hint: a guest can use any
 * frame, and Linux returns only 32 bits of the number (vfs_ioctl() in fs/ioctl.c), so that it may
 * be too small or look like an error.
 */
uint64_t xen_frame_hint(struct xen_hypervisor *xen, uint16_t id);
/* Gets the host's last frame of RAM, plus 1. */
struct nunchi_error *xen_machine_frame_count(struct xen_hypervisor *xen, uint64_t *ret);
/*
 * The number of pages that Xen allocates when they are first used (populate on demand) and that
 * have not been used.
 */
uint64_t xen_pages_on_demand(struct xen_hypervisor *xen, uint16_t id);

/*
 * Reads a value from xenstore as text; "" if there is none, or if it is not one line of printable
 * text. A guest can write to its own part of xenstore.
 */
void xen_store_read(struct xen_hypervisor *xen, const char *path, char *ret, size_t size);
/* Reads the names below a path, as xen_store_get_names() does. After a failure no_store says why.
 */
char *xen_store_names(struct xen_hypervisor *xen, const char *path, size_t *ret_size);
/* Reads the name that the toolstack gave to the domain; "" if there is none. */
void xen_domain_name(struct xen_hypervisor *xen, uint16_t id, char *ret, size_t size);

#define XEN_NAME_SIZE 256

#endif
