/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake hypervisor's state and its control interface: what fake_xen.h and the guard program of
 * the unit tests share. */
#ifndef NUNCHI_TESTS_FAKE_CONTROL_H
#define NUNCHI_TESTS_FAKE_CONTROL_H

#include "core/bytes.h"
#include "target/xen/hypervisor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#define FAKE_DOMAINS 12
#define FAKE_VALUES  16
#define FAKE_FRAMES  ((uint64_t)4096)

struct fake_domain {
	bool there;
	struct xen_domain_info info;
	uint32_t emulation;
	int pauses; /* as Xen counts them */
	uint64_t frames;
	uint32_t address_size;
	uint64_t on_demand;
};

struct fake_xen {
	uint32_t domctl, sysctl; /* the versions it takes; 0: none */
	int version;
	bool next_domain;  /* gives the next domain in place of one that is not there */
	unsigned again;    /* calls to answer with EAGAIN first */
	int refuse;        /* errno of every control call, after the version was looked at */
	int refuse_pauses; /* the same of pauses alone */
	int slow_pauses;   /* milliseconds until the answer to one */
	unsigned most;     /* domains in one answer to a list; 0: as many as asked for */
	int vanish;        /* this domain goes while the list is made; -1: none */
	uint32_t false_count;
	bool backwards; /* the list does not ascend */
	struct fake_domain domains[FAKE_DOMAINS];
	uint8_t cpu[XEN_PV_CPU_SIZE]; /* what is said of each vCPU */
	int cpu_error;
	uint64_t machine_frames;
	/* Guest memory: frame f is page f of a file; errors[f] is why it cannot be mapped. */
	int memory_fd;
	int errors[FAKE_FRAMES];
	int map_error; /* errno of every mapping */
	size_t maps, mapped;
	struct {
		char path[64];
		char value[64];
		unsigned length;
	} values[FAKE_VALUES];
	char names[64]; /* below /local/domain, each with a NUL byte after it */
	size_t names_size;
	unsigned open; /* handles */
	/* Events of xenstore that wait, and which are watched. */
	int events[2];
	char watched[64];
	bool no_watch;
	enum xen_store_state store_state;
};

static struct fake_xen *fake;

static inline struct fake_domain *fake_find(uint16_t id, bool or_next)
{
	for (size_t i = 0; i < FAKE_DOMAINS; i++) {
		struct fake_domain *domain = &fake->domains[i];

		if (domain->there &&
		    (domain->info.domain == id || (or_next && domain->info.domain > id)))
			return domain;
	}
	return NULL;
}

static inline void fake_info(const struct fake_domain *domain, bool wide, uint8_t *to)
{
	struct xen_domain_info info = domain->info;

	if (__atomic_load_n(&domain->pauses, __ATOMIC_RELAXED))
		info.flags |= XEN_INFO_PAUSED;
	memset(info.emulation_old, 0, 8);
	memset(info.emulation_new, 0, 8);
	store_le32(wide ? info.emulation_new : info.emulation_old, domain->emulation);
	memcpy(to, &info, wide ? XEN_INFO_SIZE_NEW : XEN_INFO_SIZE_OLD);
}

static inline int fake_control(struct xen_domctl *op)
{
	struct fake_domain *domain = fake_find(op->domain, false);

	if (op->version != fake->domctl)
		return EACCES;
	if (fake->again && fake->again--)
		return EAGAIN;
	if (fake->refuse)
		return fake->refuse;
	if (op->command == XEN_OP_DOMAIN_INFO && fake->next_domain)
		domain = fake_find(op->domain, true);
	if (!domain)
		return ESRCH;
	switch (op->command) {
	case XEN_OP_DOMAIN_INFO:
		fake_info(domain, fake->domctl >= 0x14, (uint8_t *)&op->u);
		op->domain = domain->info.domain;
		return 0;
	case XEN_OP_PAUSE:
		__atomic_add_fetch(&domain->pauses, !fake->refuse_pauses, __ATOMIC_RELAXED);
		poll(NULL, 0, fake->slow_pauses);
		return fake->refuse_pauses;
	case XEN_OP_UNPAUSE:
		if (!domain->pauses)
			return EINVAL;
		__atomic_sub_fetch(&domain->pauses, 1, __ATOMIC_RELAXED);
		return 0;
	case XEN_OP_ADDRESS_SIZE:
		op->u.address_size = domain->address_size;
		return 0;
	case XEN_OP_VCPU_CONTEXT:
		memcpy((void *)(uintptr_t)op->u.vcpu_context.buffer, fake->cpu, XEN_PV_CPU_SIZE);
		return fake->cpu_error;
	case XEN_OP_HVM_CONTEXT:
		if (op->u.hvm_context.type != 2 || op->u.hvm_context.size != XEN_HVM_CPU_SIZE)
			return EINVAL;
		memcpy((void *)(uintptr_t)op->u.hvm_context.buffer, fake->cpu, XEN_HVM_CPU_SIZE);
		return fake->cpu_error;
	default:
		return ENOSYS;
	}
}

static inline int fake_list(struct xen_sysctl *op)
{
	uint8_t *to = (uint8_t *)(uintptr_t)op->u.list.buffer;
	size_t stride = fake->domctl >= 0x14 ? XEN_INFO_SIZE_NEW : XEN_INFO_SIZE_OLD;
	uint32_t n = 0, limit = op->u.list.limit;

	if (op->version != fake->sysctl)
		return EACCES;
	if (fake->again && fake->again--)
		return EAGAIN;
	if (fake->most && fake->most < limit)
		limit = fake->most;
	for (size_t i = 0; i < FAKE_DOMAINS && n < limit; i++) {
		size_t at = fake->backwards ? FAKE_DOMAINS - 1 - i : i;

		if (fake->domains[at].there && fake->domains[at].info.domain >= op->u.list.first)
			fake_info(&fake->domains[at], stride == XEN_INFO_SIZE_NEW,
				  to + n++ * stride);
	}
	if (fake->vanish >= 0 && n) {
		fake->domains[fake->vanish].there = false;
		fake->vanish = -1;
	}
	op->u.list.count = fake->false_count ? fake->false_count : n;
	return 0;
}

static inline int fake_answer(int errnum)
{
	errno = errnum;
	return errnum ? -1 : 0;
}

#endif
