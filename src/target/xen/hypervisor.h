/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hypervisor: hypercalls by Xen's stable libraries, with the version of the control interface
 * found by asking. A wrong version is answered with EACCES before anything else is looked at, so
 * that each candidate is tried, newest first, and what a vendor's version string says does not
 * matter. An interface newer than all candidates leaves memory and names to be had.
 *
 * Not thread-safe. A child of fork() must not use it.
 */
#ifndef NUNCHI_TARGET_XEN_HYPERVISOR_H
#define NUNCHI_TARGET_XEN_HYPERVISOR_H

#include "arch/x86/registers.h"
#include "core/error.h"
#include "target/xen/layout.h"
#include "target/xen/library.h"

#include <stdbool.h>
#include <stdint.h>

/* The versions known: Xen 4.11 to 4.22. */
#define XEN_DOMCTL_NEWEST 0x18
#define XEN_DOMCTL_OLDEST 0x10
#define XEN_SYSCTL_NEWEST 0x16
#define XEN_SYSCTL_OLDEST 0x11
/* Since this version (Xen 4.16) an entry of the list of domains has XEN_INFO_SIZE_NEW bytes. */
#define XEN_DOMCTL_WIDE_INFO 0x14

enum xen_type { XEN_TYPE_UNKNOWN, XEN_TYPE_PV, XEN_TYPE_PVH, XEN_TYPE_HVM };

struct xen_hypervisor {
	struct xen_library library;
	bool loaded;           /* the library is ours to unload */
	void *call;            /* libxencall's handle */
	void *memory;          /* libxenforeignmemory's */
	void *store;           /* libxenstore's, once xen_store() was asked for it */
	const char *no_store;  /* why there is none; static */
	uint32_t domctl;       /* interface version; 0: not known, then no_control says why */
	uint32_t sysctl;       /* the same; 0: not asked yet */
	unsigned major, minor; /* of Xen, as it calls itself */
	char *no_control;      /* owned */
};

/* What is known of a domain. */
struct xen_domain {
	uint16_t id;
	enum xen_type type;
	uint32_t flags;      /* XEN_INFO_* */
	uint64_t pages;      /* that it has now */
	uint64_t most_pages; /* that it may have */
	uint64_t paged_out;  /* of which these are on disk */
	uint64_t shared_info_frame;
	uint32_t vcpus;
	uint8_t uuid[16];
};

/* Loads the libraries, opens the handles and asks for the versions. */
struct nunchi_error *xen_hypervisor_open(struct xen_hypervisor *ret);
/* The same with a table of functions that is there already, as tests have. */
struct nunchi_error *xen_hypervisor_open_with(const struct xen_library *library,
					      struct xen_hypervisor *ret);
void xen_hypervisor_close(struct xen_hypervisor *xen);

/* NUNCHI_ERROR_UNSUPPORTED with the reason if the control interface is not known. */
struct nunchi_error *xen_need_control(const struct xen_hypervisor *xen);

/* NUNCHI_ERROR_NOT_FOUND if there is no domain with that id (any more). */
struct nunchi_error *xen_domain_get(struct xen_hypervisor *xen, uint16_t id,
				    struct xen_domain *ret);
/* All domains, in order of their ids, this one among them. The caller frees *ret. */
struct nunchi_error *xen_domains_get(struct xen_hypervisor *xen, struct xen_domain **ret,
				     size_t *ret_count);
/* "PV", "PVH", "HVM" or "?". Static. */
const char *xen_type_string(enum xen_type type);
/* "running", "paused", "crashed" … Static. */
const char *xen_domain_state(const struct xen_domain *domain);

/*
 * Takes one away from the domain's count of pauses: NUNCHI_ERROR_ARGUMENT if it is 0. The guard makes
 * the call that adds one (guard/xen.c).
 */
struct nunchi_error *xen_domain_unpause(struct xen_hypervisor *xen, uint16_t id);
struct nunchi_error *xen_get_registers(struct xen_hypervisor *xen, const struct xen_domain *domain,
				       unsigned vcpu, struct x86_registers *ret);
/*
 * One more than the highest guest frame that was ever in use; 0 if that is not known. Only a hint:
 * a guest can use any frame, and Linux passes on only 32 bits of the number (vfs_ioctl() in
 * fs/ioctl.c), so it can come out too small, or look like an error.
 */
uint64_t xen_frame_hint(struct xen_hypervisor *xen, uint16_t id);
/* One more than the host's last frame of RAM. */
struct nunchi_error *xen_machine_frame_count(struct xen_hypervisor *xen, uint64_t *ret);
/* How many pages are populated on demand and have not been touched yet. */
uint64_t xen_pages_on_demand(struct xen_hypervisor *xen, uint16_t id);

/* libxenstore's handle, opened at the first call; NULL if it is not to be had: no_store says why.
 */
void *xen_store(struct xen_hypervisor *xen);
/*
 * A value of xenstore as text, "" if there is none or it is not one line of printable text. A guest
 * may write to its own part.
 */
void xen_store_read(struct xen_hypervisor *xen, const char *path, char *ret, size_t size);
/* The domain's name as the toolstack gave it, "" if there is none. */
void xen_domain_name(struct xen_hypervisor *xen, uint16_t id, char *ret, size_t size);

#define XEN_NAME_SIZE 256

#endif
