/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake hypervisor's state and its control interface: what fake_xen.h and the guard program of
 * the unit tests share. */
#ifndef NUNCHI_TESTS_FAKE_CONTROL_H
#define NUNCHI_TESTS_FAKE_CONTROL_H

#include "arch/address.h"
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
	/* Of the event ring. */
	bool has_ring;
	uint32_t waiting;     /* vCPUs that wait for an answer, a bit each */
	uint32_t twice;       /* those that wait for two */
	uint32_t answered;    /* index of the next answer that Xen reads */
	uint32_t controls;    /* control registers that are watched, a bit each */
	size_t msrs;          /* number of MSRs that are watched */
	bool traps;           /* INT3 is told of */
	int trap_error;       /* errno of giving it one */
	uint32_t trapped;     /* vCPUs that have got one, a bit each */
	uint32_t trap_length; /* of the last one's instruction */
	bool exits;           /* writes of CR3 are slow still */
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
	/* The event ring, of one domain at a time. */
	uint32_t ring_version;
	uint32_t capabilities;
	bool ring_populated;  /* the guest has the page at FAKE_RING_FRAME */
	bool ring_fresh;      /* and it has been Xen's own until now */
	bool ring_full;       /* the guest has all pages that it may have */
	bool ring_busy;       /* disabling says EBUSY, once */
	bool ring_stolen;     /* somebody else makes a ring before us, once */
	bool ring_fault;      /* the answer to making one cannot be written, once */
	unsigned ring_unsafe; /* how often the guest could have written to what Xen trusts */
	unsigned ring_strays; /* answers to vCPUs that do not wait */
	int channels;         /* readable when an event waits */
	const char *no_breakpoints;
	bool ignores_length;      /* of the instruction, if a trap is given */
	uint8_t last_answer[400]; /* that Xen has read */
	_Alignas(PAGE_SIZE) uint8_t ring[PAGE_SIZE];
	uint8_t text[PAGE_SIZE]; /* a page of code, at FAKE_TEXT_FRAME */
	int text_error;          /* errno of mapping that, instead */
	int text_slow;           /* milliseconds until it is mapped */
	/* how often it was mapped for writing while the guest ran, or had INT3 of which Xen did not
	 * tell */
	unsigned text_unsafe;
};
#define FAKE_RING_FRAME 0xfeff9
#define FAKE_TEXT_FRAME 0xabc
/* struct vm_event_sring, and the size of a slot in version 7. */
#define FAKE_SLOT(index) (fake->ring + 64 + (size_t)((index) % 8) * 400)

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

static inline int fake_answer(int errnum)
{
	errno = errnum;
	return errnum ? -1 : 0;
}

/*
 * Where a page is that may be mapped for writing, as an offset in the file of `fake`; 0 with errno
 * if there is none.
 */
static inline off_t fake_page_at(uint16_t id, uint64_t frame)
{
	const struct fake_domain *domain = fake_find(id, false);

	errno = domain ? EINVAL : ESRCH;
	if (domain && frame == FAKE_RING_FRAME && fake->ring_populated)
		return (off_t)offsetof(struct fake_xen, ring);
	if (!domain || frame != FAKE_TEXT_FRAME)
		return 0;
	fake->text_unsafe += !domain->pauses;
	poll(NULL, 0, fake->text_slow);
	if (!fake->text_error)
		return (off_t)offsetof(struct fake_xen, text);
	errno = fake->text_error;
	return 0;
}

/* XENMEM_populate_physmap and XENMEM_decrease_reservation of the ring's page. */
static inline int fake_reserve(uint64_t op, const struct xen_reservation *reservation)
{
	uint64_t frame = *(const uint64_t *)(uintptr_t)reservation->frames;
	struct fake_domain *domain = fake_find(reservation->domain, false);

	if (!domain || reservation->count != 1 || frame != FAKE_RING_FRAME)
		return 0;
	if (fake->ring_populated == (op == XEN_OP_POPULATE))
		return 0;
	if (op == XEN_OP_POPULATE && fake->ring_full &&
	    domain->info.max_pages <= domain->info.tot_pages)
		return 0;
	fake->ring_populated = fake->ring_fresh = op == XEN_OP_POPULATE;
	if (fake->ring_fresh)
		memset(fake->ring, 0, sizeof(fake->ring));
	return 1;
}

static inline int fake_get_param(struct xen_param_op *op)
{
	op->value = op->index == XEN_PARAM_MONITOR_RING ? FAKE_RING_FRAME : 0;
	return fake_answer(fake_find(op->domain, false) ? 0 : ESRCH);
}

/* As vm_event_resume(). */
static inline void fake_read_answers(struct fake_domain *domain)
{
	while (load_le32(fake->ring + 8) != domain->answered) {
		const uint8_t *answer = FAKE_SLOT(domain->answered++);
		uint32_t vcpu = load_le32(answer + 12);

		memcpy(fake->last_answer, answer, sizeof(fake->last_answer));

		if (load_le32(answer) != fake->ring_version || vcpu > domain->info.max_vcpu_id)
			continue;
		if (domain->twice >> vcpu & 1)
			domain->twice ^= (load_le32(answer + 4) & 1) << vcpu;
		else if (domain->waiting >> vcpu & 1)
			domain->waiting ^= (load_le32(answer + 4) & 1) << vcpu;
		else
			fake->ring_strays++;
	}
}

static inline int fake_ring_op(struct fake_domain *domain, struct xen_vm_event_op *op)
{
	if (op->op == XEN_RING_VERSION) {
		op->result = fake->ring_version;
		return 0;
	}
	if (op->mode != XEN_RING_MONITOR)
		return ENOSYS;
	/* "Ignoring memory event op on dying domain". */
	if (domain->info.flags & XEN_INFO_DYING)
		return 0;
	switch (op->op) {
	case XEN_RING_ENABLE:
		if (fake->ring_stolen) {
			fake->ring_stolen = false;
			domain->has_ring = true;
			domain->controls = 8;
		}
		if (domain->has_ring)
			return EBUSY;
		if (!fake->ring_populated)
			return EINVAL;
		domain->has_ring = true;
		domain->answered = 0;
		fake->ring_unsafe += !fake->ring_fresh || !domain->pauses;
		op->result = 7;
		if (fake->ring_fault) {
			fake->ring_fault = false;
			return EFAULT;
		}
		return 0;
	case XEN_RING_DISABLE:
		if (!domain->has_ring)
			return EINVAL;
		if (fake->ring_busy) {
			fake->ring_busy = false;
			return EBUSY;
		}
		domain->has_ring = false;
		domain->controls = 0;
		domain->msrs = 0;
		domain->traps = false;
		return 0;
	case XEN_RING_RESUME:
		if (!domain->has_ring)
			return ENODEV;
		fake_read_answers(domain);
		return 0;
	default:
		return ENOSYS;
	}
}

static inline int fake_monitor_op(struct fake_domain *domain, struct xen_monitor_op *op)
{
	bool on = op->op == XEN_MONITOR_ENABLE;
	uint32_t bit;

	if (op->op == XEN_MONITOR_CAPABILITIES) {
		op->event = fake->capabilities;
		return 0;
	}
	if (op->event == XEN_MONITOR_BREAKPOINT) {
		fake->text_unsafe += !on && memchr(fake->text, 0xcc, sizeof(fake->text)) != NULL;
		if (domain->traps == on)
			return EEXIST;
		domain->traps = on;
		return 0;
	}
	if (op->event == XEN_MONITOR_MSR) {
		domain->msrs += on ? 1 : (size_t)-1;
		return 0;
	}
	if (op->event != XEN_MONITOR_CONTROL || op->u.control.index > 31)
		return EOPNOTSUPP;
	bit = 1U << op->u.control.index;
	if (on == (domain->controls >> op->u.control.index & 1))
		return EEXIST;
	assert_int_equal(op->u.control.sync, 1);
	domain->controls ^= bit;
	if (op->u.control.index == 3)
		domain->exits = on;
	return 0;
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
		__atomic_add_fetch(&fake->ring_unsafe, domain->has_ring && fake->ring_populated,
				   __ATOMIC_RELAXED);
		return 0;
	case XEN_OP_MAX_MEMORY:
		domain->info.max_pages = op->u.max_memory / 4;
		return 0;
	case XEN_OP_VM_EVENT:
		return fake_ring_op(domain, &op->u.vm_event);
	case XEN_OP_MONITOR:
		return fake_monitor_op(domain, &op->u.monitor);
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

#endif
