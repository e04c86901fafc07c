/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arguments and results of the hypercalls that nunchi uses: the parts whose layout is the same in
 * Xen 4.11 to 4.22. Numbers and offsets are those of Xen's public headers (xen/include/public:
 * domctl.h, sysctl.h, memory.h, arch-x86/xen.h, arch-x86/hvm/save.h); tests/xen/headers.py compares
 * this file with these headers. For x86-64 hosts only.
 */
#ifndef NUNCHI_TARGET_XEN_LAYOUT_H
#define NUNCHI_TARGET_XEN_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* Hypercall numbers: xen.h. */
#define XEN_HYPERCALL_MEMORY_OP 12
#define XEN_HYPERCALL_VERSION   17
#define XEN_HYPERCALL_HVM_OP    34
#define XEN_HYPERCALL_SYSCTL    35
#define XEN_HYPERCALL_DOMCTL    36

/* domctl.h. */
#define XEN_OP_PAUSE            3
#define XEN_OP_UNPAUSE          4
#define XEN_OP_DOMAIN_INFO      5
#define XEN_OP_MAX_MEMORY       11
#define XEN_OP_VCPU_CONTEXT     13
#define XEN_OP_ADDRESS_SIZE     36
#define XEN_OP_HVM_CONTEXT      55
#define XEN_OP_VM_EVENT         56
#define XEN_OP_MONITOR          77
#define XEN_OP_DOMAIN_LIST      6 /* sysctl.h */
#define XEN_OP_MAXIMUM_RAM_PAGE 2 /* memory.h */
#define XEN_OP_MAXIMUM_GPFN     14
#define XEN_OP_GET_POD_TARGET   17
#define XEN_OP_DECREASE         1
#define XEN_OP_POPULATE         6
#define XEN_OP_VERSION          0 /* version.h */
#define XEN_OP_GET_PARAM        1 /* hvm/hvm_op.h */

/* XEN_DOMINF_*. */
#define XEN_INFO_DYING          (1U << 0)
#define XEN_INFO_HVM            (1U << 1)
#define XEN_INFO_SHUTDOWN       (1U << 2)
#define XEN_INFO_PAUSED         (1U << 3)
#define XEN_INFO_BLOCKED        (1U << 4)
#define XEN_INFO_RUNNING        (1U << 5)
#define XEN_INFO_SHUTDOWN_SHIFT 16
#define XEN_INFO_SHUTDOWN_MASK  255
/* sched.h. */
#define XEN_SHUTDOWN_POWEROFF 0
#define XEN_SHUTDOWN_REBOOT   1
#define XEN_SHUTDOWN_SUSPEND  2
#define XEN_SHUTDOWN_CRASH    3

/* XEN_X86_EMU_*: the emulated hardware that a PVH guest may have. */
#define XEN_EMULATED_LAPIC (1U << 0)
#define XEN_EMULATED_VPCI  (1U << 10)

/* Ids from this one on are not ids of domains. */
#define XEN_FIRST_RESERVED 0x7ff0
#define XEN_NO_VCPU        UINT32_MAX /* XEN_INVALID_MAX_VCPU_ID */

/*
 * XEN_DOMCTL_getdomaininfo. Up to Xen 4.15 it has XEN_INFO_SIZE_OLD bytes, without the size of the
 * address space, so that the emulation flags are at `emulation_old`.
 */
struct xen_domain_info {
	uint16_t domain;
	uint16_t pad1;
	uint32_t flags;
	uint64_t tot_pages;
	uint64_t max_pages;
	uint64_t outstanding_pages;
	uint64_t shr_pages;
	uint64_t paged_pages;
	uint64_t shared_info_frame; /* for a PV guest: a machine frame */
	uint64_t cpu_time;          /* in nanoseconds */
	uint32_t nr_online_vcpus;
	uint32_t max_vcpu_id;
	uint32_t ssidref;
	uint8_t handle[16]; /* the UUID */
	uint32_t cpupool;
	uint8_t emulation_old[8]; /* the first four bytes are the flags */
	uint8_t emulation_new[8];
};
#define XEN_INFO_SIZE_OLD 104
#define XEN_INFO_SIZE_NEW 112

/* XEN_DOMCTL_gethvmcontext_partial. */
struct xen_hvm_context_op {
	uint32_t type;
	uint32_t instance;
	uint64_t size;
	uint64_t buffer;
};
#define XEN_HVM_SAVE_CPU 2

/* XEN_DOMCTL_getvcpucontext. */
struct xen_vcpu_context_op {
	uint32_t vcpu;
	uint32_t pad;
	uint64_t buffer;
};

/* XEN_DOMCTL_vm_event_op. */
struct xen_vm_event_op {
	uint32_t op; /* XEN_RING_* */
	uint32_t mode;
	uint32_t result; /* of XEN_RING_ENABLE the event channel, of XEN_RING_VERSION the version */
};
#define XEN_RING_ENABLE  0
#define XEN_RING_DISABLE 1
#define XEN_RING_RESUME  2 /* Xen reads the answers in the ring */
#define XEN_RING_VERSION 3
#define XEN_RING_MONITOR 2 /* the mode */

/* XEN_DOMCTL_monitor_op. */
struct xen_monitor_op {
	uint32_t op;
	uint32_t event; /* XEN_MONITOR_*; of XEN_MONITOR_CAPABILITIES the result, a bit for each */
	union {
		struct {
			uint8_t index, sync, on_change, pad1;
			uint32_t pad2;
			uint64_t ignored; /* bits whose changes make no event */
		} control;
		struct {
			uint32_t index;
			uint8_t on_change;
		} msr;
	} u;
};
#define XEN_MONITOR_ENABLE       0
#define XEN_MONITOR_DISABLE      1
#define XEN_MONITOR_CAPABILITIES 2
#define XEN_MONITOR_CONTROL      0
#define XEN_MONITOR_MSR          1
#define XEN_MONITOR_BREAKPOINT   3

/* HVMOP_get_param. */
struct xen_param_op {
	uint16_t domain;
	uint16_t pad;
	uint32_t index;
	uint64_t value;
};
#define XEN_PARAM_MONITOR_RING 28

/* XEN_DMOP_inject_event, of hvm/dm_op.h. */
struct xen_inject_op {
	uint32_t op;
	uint32_t pad;
	uint32_t vcpu;
	uint8_t vector, type, length, pad0;
	uint32_t error;
	uint32_t pad1;
	uint64_t cr2;
};
#define XEN_OP_INJECT_EVENT 13
#define XEN_EVENT_SOFTWARE  6 /* XEN_DMOP_EVENT_sw_exc */
#define XEN_EVENT_NO_ERROR  UINT32_MAX

/* XENMEM_populate_physmap and XENMEM_decrease_reservation. */
struct xen_reservation {
	uint64_t frames; /* address of an array */
	uint64_t count;
	uint32_t order;
	uint32_t flags;
	uint16_t domain;
	uint16_t pad[3];
};

struct xen_domctl {
	uint32_t command;
	uint32_t version;
	uint16_t domain;
	uint16_t pad[3];
	union {
		struct xen_domain_info info;
		struct xen_hvm_context_op hvm_context;
		struct xen_vcpu_context_op vcpu_context;
		struct xen_vm_event_op vm_event;
		struct xen_monitor_op monitor;
		uint32_t address_size;
		uint64_t max_memory; /* in KiB */
		uint8_t bytes[128];
	} u;
};

/* XEN_SYSCTL_getdomaininfolist. */
struct xen_domain_list_op {
	uint16_t first;
	uint16_t pad;
	uint32_t limit;
	uint64_t buffer;
	uint32_t count;
	uint32_t pad2;
};

struct xen_sysctl {
	uint32_t command;
	uint32_t version;
	union {
		struct xen_domain_list_op list;
		uint8_t bytes[128];
	} u;
};

/* XENMEM_get_pod_target. */
struct xen_pod_op {
	uint64_t target_pages;
	uint64_t tot_pages;
	uint64_t cache_pages;
	uint64_t entries; /* pages populated on demand that have not been used yet */
	uint16_t domain;
	uint16_t pad[3];
};

/* Offsets in struct hvm_hw_cpu, the registers of a PVH or HVM vCPU. */
#define XEN_HVM_CPU_SIZE 1032
/* number of bytes that every version since Xen 4.6 writes: up to EFER */
#define XEN_HVM_CPU_LEAST     1000
#define XEN_HVM_CPU_RAX       512
#define XEN_HVM_CPU_RBX       520
#define XEN_HVM_CPU_RCX       528
#define XEN_HVM_CPU_RDX       536
#define XEN_HVM_CPU_RBP       544
#define XEN_HVM_CPU_RSI       552
#define XEN_HVM_CPU_RDI       560
#define XEN_HVM_CPU_RSP       568
#define XEN_HVM_CPU_R8        576 /* to R15 */
#define XEN_HVM_CPU_RIP       640
#define XEN_HVM_CPU_RFLAGS    648
#define XEN_HVM_CPU_CR0       656
#define XEN_HVM_CPU_CR2       664
#define XEN_HVM_CPU_CR3       672
#define XEN_HVM_CPU_CR4       680
#define XEN_HVM_CPU_DR0       688 /* to DR3 */
#define XEN_HVM_CPU_DR6       720 /* and DR7 */
#define XEN_HVM_CPU_CS        736 /* selectors */
#define XEN_HVM_CPU_DS        740
#define XEN_HVM_CPU_ES        744
#define XEN_HVM_CPU_FS        748
#define XEN_HVM_CPU_GS        752
#define XEN_HVM_CPU_SS        756
#define XEN_HVM_CPU_TR        760
#define XEN_HVM_CPU_LDTR      764
#define XEN_HVM_CPU_FS_BASE   832
#define XEN_HVM_CPU_GS_BASE   840
#define XEN_HVM_CPU_IDTR_BASE 872
#define XEN_HVM_CPU_GDTR_BASE 880
#define XEN_HVM_CPU_SYSENTER  936 /* EIP */
#define XEN_HVM_CPU_SHADOW_GS 944
#define XEN_HVM_CPU_LSTAR     960
#define XEN_HVM_CPU_STAR      968
#define XEN_HVM_CPU_CSTAR     976
#define XEN_HVM_CPU_EFER      992

/* Offsets in struct vcpu_guest_context, the registers of a PV vCPU. */
#define XEN_PV_CPU_SIZE    5168
#define XEN_PV_CPU_FLAGS   512
#define XEN_PV_IN_KERNEL   ((uint64_t)1 << 2) /* VGCF_in_kernel, a bit of the flags */
#define XEN_PV_CPU_R15     520 /* R14 to R12, RBP, RBX, R11 to R8, RAX, RCX, RDX, RSI, RDI */
#define XEN_PV_CPU_RDI     632
#define XEN_PV_CPU_RIP     648
#define XEN_PV_CPU_CS      656
#define XEN_PV_CPU_RFLAGS  664
#define XEN_PV_CPU_RSP     672
#define XEN_PV_CPU_SS      680
#define XEN_PV_CPU_ES      688
#define XEN_PV_CPU_DS      696
#define XEN_PV_CPU_FS      704
#define XEN_PV_CPU_GS      712
#define XEN_PV_CPU_CR      4984 /* ctrlreg[8]; ctrlreg[3] contains the kernel's page table */
#define XEN_PV_CPU_DR      5048 /* debugreg[8] */
#define XEN_PV_CPU_SYSCALL 5128
#define XEN_PV_CPU_FS_BASE 5144 /* followed by the GS bases of the kernel and of user space */
/* Offsets for a 32-bit PV guest (struct vcpu_guest_context_x86_32). */
#define XEN_PV32_CPU_SIZE   2800
#define XEN_PV32_CPU_EBX    516 /* ECX, EDX, ESI, EDI, EBP, EAX */
#define XEN_PV32_CPU_EAX    540
#define XEN_PV32_CPU_EIP    548
#define XEN_PV32_CPU_CS     552
#define XEN_PV32_CPU_EFLAGS 556
#define XEN_PV32_CPU_ESP    560
#define XEN_PV32_CPU_SS     564
#define XEN_PV32_CPU_ES     568
#define XEN_PV32_CPU_DS     572
#define XEN_PV32_CPU_FS     576
#define XEN_PV32_CPU_GS     580
#define XEN_PV32_CPU_CR     2716
#define XEN_PV32_CPU_DR     2748

/* Offsets in the arch part of struct shared_info of a 64-bit PV guest. */
#define XEN_SHARED_MAX_PFN   3088
#define XEN_SHARED_P2M_CR3   3112
#define XEN_SHARED_P2M_VADDR 3120
/*
 * Marks of entries in the list of machine frames that are not frames of the guest itself (Linux,
 * asm/xen/page.h).
 */
#define XEN_P2M_FOREIGN  ((uint64_t)1 << 63)
#define XEN_P2M_IDENTITY ((uint64_t)1 << 62)

_Static_assert(sizeof(struct xen_domctl) == 144, "xen_domctl");
_Static_assert(offsetof(struct xen_domctl, u) == 16, "xen_domctl.u");
_Static_assert(sizeof(struct xen_sysctl) == 136, "xen_sysctl");
_Static_assert(offsetof(struct xen_sysctl, u) == 8, "xen_sysctl.u");
_Static_assert(sizeof(struct xen_domain_info) == XEN_INFO_SIZE_NEW, "getdomaininfo");
_Static_assert(offsetof(struct xen_domain_info, tot_pages) == 8, "tot_pages");
_Static_assert(offsetof(struct xen_domain_info, shared_info_frame) == 48, "shared_info_frame");
_Static_assert(offsetof(struct xen_domain_info, max_vcpu_id) == 68, "max_vcpu_id");
_Static_assert(offsetof(struct xen_domain_info, handle) == 76, "handle");
_Static_assert(offsetof(struct xen_domain_info, emulation_old) == 96, "old emulation_flags");
_Static_assert(offsetof(struct xen_domain_info, emulation_new) == 104, "emulation_flags");
_Static_assert(sizeof(struct xen_hvm_context_op) == 24, "hvmcontext_partial");
_Static_assert(offsetof(struct xen_vcpu_context_op, buffer) == 8, "vcpucontext");
_Static_assert(offsetof(struct xen_domain_list_op, buffer) == 8, "getdomaininfolist.buffer");
_Static_assert(offsetof(struct xen_domain_list_op, count) == 16, "getdomaininfolist.num_domains");
_Static_assert(sizeof(struct xen_pod_op) == 40, "pod_target");
_Static_assert(sizeof(struct xen_vm_event_op) == 12, "vm_event_op");
_Static_assert(offsetof(struct xen_monitor_op, u.control.ignored) == 16, "monitor_op.mov_to_cr");
_Static_assert(sizeof(struct xen_param_op) == 16, "get_param");
_Static_assert(sizeof(struct xen_reservation) == 32, "memory_reservation");
_Static_assert(sizeof(struct xen_inject_op) == 32, "inject_event");

#endif
