/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * src/target/xen/layout.h against Xen's own headers: compiled by tests/xen/headers.py,
 * never run.
 */
/* Names that both have. */
#define xen_domctl our_domctl
#define xen_sysctl our_sysctl
#include "target/xen/layout.h"
#undef xen_domctl
#undef xen_sysctl

#include "target/xen/hypervisor.h"

#define __XEN_TOOLS__ 1
#include <xen/domctl.h>
#include <xen/foreign/x86_32.h>
#include <xen/foreign/x86_64.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>
#include <xen/xen.h>

#include <xen/sys/privcmd.h>

#define SAME(a, b)             _Static_assert((a) == (b), #a " is not " #b)
#define SAME_FIELD(t, f, u, g) SAME(offsetof(t, f), offsetof(u, g))
#define SAME_MEMBER(t, f, u, g)                                                                    \
	SAME_FIELD(t, f, u, g);                                                                    \
	SAME(sizeof(((t *)0)->f), sizeof(((u *)0)->g))

SAME(XEN_HYPERCALL_MEMORY_OP, __HYPERVISOR_memory_op);
SAME(XEN_HYPERCALL_VERSION, __HYPERVISOR_xen_version);
SAME(XEN_HYPERCALL_SYSCTL, __HYPERVISOR_sysctl);
SAME(XEN_HYPERCALL_DOMCTL, __HYPERVISOR_domctl);
SAME(XEN_OP_PAUSE, XEN_DOMCTL_pausedomain);
SAME(XEN_OP_UNPAUSE, XEN_DOMCTL_unpausedomain);
SAME(XEN_OP_DOMAIN_INFO, XEN_DOMCTL_getdomaininfo);
SAME(XEN_OP_MAX_MEMORY, XEN_DOMCTL_max_mem);
SAME(XEN_OP_VCPU_CONTEXT, XEN_DOMCTL_getvcpucontext);
SAME(XEN_OP_ADDRESS_SIZE, XEN_DOMCTL_get_address_size);
SAME(XEN_OP_HVM_CONTEXT, XEN_DOMCTL_gethvmcontext_partial);
SAME(XEN_OP_VM_EVENT, XEN_DOMCTL_vm_event_op);
SAME(XEN_OP_MONITOR, XEN_DOMCTL_monitor_op);
SAME(XEN_HYPERCALL_HVM_OP, __HYPERVISOR_hvm_op);
SAME(XEN_MONITOR_BREAKPOINT, XEN_DOMCTL_MONITOR_EVENT_SOFTWARE_BREAKPOINT);
SAME(XEN_OP_INJECT_EVENT, XEN_DMOP_inject_event);
SAME(XEN_EVENT_SOFTWARE, XEN_DMOP_EVENT_sw_exc);
SAME_FIELD(struct xen_inject_op, vcpu, struct xen_dm_op, u.inject_event.vcpuid);
SAME_FIELD(struct xen_inject_op, vector, struct xen_dm_op, u.inject_event.vector);
SAME_FIELD(struct xen_inject_op, type, struct xen_dm_op, u.inject_event.type);
SAME_FIELD(struct xen_inject_op, length, struct xen_dm_op, u.inject_event.insn_len);
SAME_FIELD(struct xen_inject_op, error, struct xen_dm_op, u.inject_event.error_code);
SAME_FIELD(struct xen_inject_op, cr2, struct xen_dm_op, u.inject_event.cr2);
SAME(sizeof(struct xen_inject_op), 8 + sizeof(struct xen_dm_op_inject_event));
SAME(XEN_OP_DECREASE, XENMEM_decrease_reservation);
SAME(XEN_OP_POPULATE, XENMEM_populate_physmap);
SAME(XEN_OP_GET_PARAM, HVMOP_get_param);
SAME(XEN_PARAM_MONITOR_RING, HVM_PARAM_MONITOR_RING_PFN);
SAME(XEN_RING_ENABLE, XEN_VM_EVENT_ENABLE);
SAME(XEN_RING_DISABLE, XEN_VM_EVENT_DISABLE);
SAME(XEN_RING_RESUME, XEN_VM_EVENT_RESUME);
SAME(XEN_RING_VERSION, XEN_VM_EVENT_GET_VERSION);
SAME(XEN_RING_MONITOR, XEN_DOMCTL_VM_EVENT_OP_MONITOR);
SAME(XEN_MONITOR_ENABLE, XEN_DOMCTL_MONITOR_OP_ENABLE);
SAME(XEN_MONITOR_DISABLE, XEN_DOMCTL_MONITOR_OP_DISABLE);
SAME(XEN_MONITOR_CAPABILITIES, XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES);
SAME(XEN_MONITOR_CONTROL, XEN_DOMCTL_MONITOR_EVENT_WRITE_CTRLREG);
SAME(XEN_MONITOR_MSR, XEN_DOMCTL_MONITOR_EVENT_MOV_TO_MSR);
SAME_MEMBER(struct xen_vm_event_op, op, struct xen_domctl_vm_event_op, op);
SAME_MEMBER(struct xen_vm_event_op, mode, struct xen_domctl_vm_event_op, mode);
SAME_MEMBER(struct xen_vm_event_op, result, struct xen_domctl_vm_event_op, u.enable.port);
SAME_MEMBER(struct xen_vm_event_op, result, struct xen_domctl_vm_event_op, u.version);
SAME_MEMBER(struct xen_monitor_op, op, struct xen_domctl_monitor_op, op);
SAME_MEMBER(struct xen_monitor_op, event, struct xen_domctl_monitor_op, event);
SAME_MEMBER(struct xen_monitor_op, u.control.index, struct xen_domctl_monitor_op,
	    u.mov_to_cr.index);
SAME_MEMBER(struct xen_monitor_op, u.control.sync, struct xen_domctl_monitor_op, u.mov_to_cr.sync);
SAME_MEMBER(struct xen_monitor_op, u.control.on_change, struct xen_domctl_monitor_op,
	    u.mov_to_cr.onchangeonly);
SAME_MEMBER(struct xen_monitor_op, u.control.ignored, struct xen_domctl_monitor_op,
	    u.mov_to_cr.bitmask);
SAME_MEMBER(struct xen_monitor_op, u.msr.index, struct xen_domctl_monitor_op, u.mov_to_msr.msr);
SAME_MEMBER(struct xen_monitor_op, u.msr.on_change, struct xen_domctl_monitor_op,
	    u.mov_to_msr.onchangeonly);
SAME_MEMBER(struct xen_param_op, domain, struct xen_hvm_param, domid);
SAME_MEMBER(struct xen_param_op, index, struct xen_hvm_param, index);
SAME_MEMBER(struct xen_param_op, value, struct xen_hvm_param, value);
SAME_MEMBER(struct xen_reservation, frames, struct xen_memory_reservation, extent_start);
SAME_MEMBER(struct xen_reservation, count, struct xen_memory_reservation, nr_extents);
SAME_MEMBER(struct xen_reservation, order, struct xen_memory_reservation, extent_order);
SAME_MEMBER(struct xen_reservation, flags, struct xen_memory_reservation, mem_flags);
SAME_MEMBER(struct xen_reservation, domain, struct xen_memory_reservation, domid);
SAME(XEN_OP_DOMAIN_LIST, XEN_SYSCTL_getdomaininfolist);
SAME(XEN_OP_MAXIMUM_RAM_PAGE, XENMEM_maximum_ram_page);
SAME(XEN_OP_MAXIMUM_GPFN, XENMEM_maximum_gpfn);
SAME(XEN_OP_GET_POD_TARGET, XENMEM_get_pod_target);
SAME(XEN_OP_VERSION, XENVER_version);
SAME(XEN_INFO_DYING, XEN_DOMINF_dying);
SAME(XEN_INFO_HVM, XEN_DOMINF_hvm_guest);
SAME(XEN_INFO_SHUTDOWN, XEN_DOMINF_shutdown);
SAME(XEN_INFO_PAUSED, XEN_DOMINF_paused);
SAME(XEN_INFO_BLOCKED, XEN_DOMINF_blocked);
SAME(XEN_INFO_RUNNING, XEN_DOMINF_running);
SAME(XEN_INFO_SHUTDOWN_SHIFT, XEN_DOMINF_shutdownshift);
SAME(XEN_INFO_SHUTDOWN_MASK, XEN_DOMINF_shutdownmask);
SAME(XEN_SHUTDOWN_POWEROFF, SHUTDOWN_poweroff);
SAME(XEN_SHUTDOWN_REBOOT, SHUTDOWN_reboot);
SAME(XEN_SHUTDOWN_SUSPEND, SHUTDOWN_suspend);
SAME(XEN_SHUTDOWN_CRASH, SHUTDOWN_crash);
SAME(XEN_EMULATED_LAPIC, XEN_X86_EMU_LAPIC);
SAME(XEN_EMULATED_VPCI, XEN_X86_EMU_VPCI);
SAME(XEN_FIRST_RESERVED, DOMID_FIRST_RESERVED);
SAME(XEN_NO_VCPU, XEN_INVALID_MAX_VCPU_ID);
SAME(XEN_HVM_SAVE_CPU, HVM_SAVE_CODE(CPU));
SAME(XEN_PV_IN_KERNEL, VGCF_in_kernel);

/* The release's versions are among those that are tried, and the entry's size follows from it. */
_Static_assert(XEN_DOMCTL_INTERFACE_VERSION >= XEN_DOMCTL_OLDEST, "domctl");
_Static_assert(XEN_DOMCTL_INTERFACE_VERSION <= XEN_DOMCTL_NEWEST, "domctl");
_Static_assert(XEN_SYSCTL_INTERFACE_VERSION >= XEN_SYSCTL_OLDEST, "sysctl");
_Static_assert(XEN_SYSCTL_INTERFACE_VERSION <= XEN_SYSCTL_NEWEST, "sysctl");
SAME(sizeof(struct xen_domctl_getdomaininfo),
     XEN_DOMCTL_INTERFACE_VERSION >= XEN_DOMCTL_WIDE_INFO ? XEN_INFO_SIZE_NEW : XEN_INFO_SIZE_OLD);
SAME(offsetof(struct xen_domctl_getdomaininfo, arch_config.emulation_flags),
     XEN_DOMCTL_INTERFACE_VERSION >= XEN_DOMCTL_WIDE_INFO
	 ? offsetof(struct xen_domain_info, emulation_new)
	 : offsetof(struct xen_domain_info, emulation_old));

SAME(sizeof(struct our_domctl), sizeof(struct xen_domctl));
SAME_FIELD(struct our_domctl, command, struct xen_domctl, cmd);
SAME_MEMBER(struct our_domctl, version, struct xen_domctl, interface_version);
SAME_MEMBER(struct our_domctl, domain, struct xen_domctl, domain);
SAME_FIELD(struct our_domctl, u, struct xen_domctl, u);
SAME(sizeof(struct our_sysctl), sizeof(struct xen_sysctl));
SAME_MEMBER(struct our_sysctl, version, struct xen_sysctl, interface_version);
SAME_FIELD(struct our_sysctl, u, struct xen_sysctl, u);

#define INFO(ours, theirs)                                                                         \
	SAME_MEMBER(struct xen_domain_info, ours, struct xen_domctl_getdomaininfo, theirs)
INFO(domain, domain);
INFO(flags, flags);
INFO(tot_pages, tot_pages);
INFO(max_pages, max_pages);
INFO(paged_pages, paged_pages);
INFO(shared_info_frame, shared_info_frame);
INFO(max_vcpu_id, max_vcpu_id);
INFO(handle, handle);

SAME(sizeof(struct xen_hvm_context_op), sizeof(struct xen_domctl_hvmcontext_partial));
SAME_MEMBER(struct xen_hvm_context_op, type, struct xen_domctl_hvmcontext_partial, type);
SAME_MEMBER(struct xen_hvm_context_op, instance, struct xen_domctl_hvmcontext_partial, instance);
SAME_MEMBER(struct xen_hvm_context_op, size, struct xen_domctl_hvmcontext_partial, bufsz);
SAME_FIELD(struct xen_hvm_context_op, buffer, struct xen_domctl_hvmcontext_partial, buffer);
SAME(sizeof(struct xen_vcpu_context_op), sizeof(struct xen_domctl_vcpucontext));
SAME_FIELD(struct xen_vcpu_context_op, buffer, struct xen_domctl_vcpucontext, ctxt);
SAME(sizeof(struct xen_domain_list_op), sizeof(struct xen_sysctl_getdomaininfolist));
SAME_MEMBER(struct xen_domain_list_op, first, struct xen_sysctl_getdomaininfolist, first_domain);
SAME_MEMBER(struct xen_domain_list_op, limit, struct xen_sysctl_getdomaininfolist, max_domains);
SAME_FIELD(struct xen_domain_list_op, buffer, struct xen_sysctl_getdomaininfolist, buffer);
SAME_MEMBER(struct xen_domain_list_op, count, struct xen_sysctl_getdomaininfolist, num_domains);
SAME(sizeof(struct xen_pod_op), sizeof(struct xen_pod_target));
SAME_MEMBER(struct xen_pod_op, entries, struct xen_pod_target, pod_entries);
SAME_MEMBER(struct xen_pod_op, domain, struct xen_pod_target, domid);
SAME(sizeof(struct xen_raw_call), sizeof(struct privcmd_hypercall));
SAME_FIELD(struct xen_raw_call, arguments, struct privcmd_hypercall, arg);

SAME(XEN_HVM_CPU_SIZE, sizeof(struct hvm_hw_cpu));
SAME(XEN_HVM_CPU_RSP, offsetof(struct hvm_hw_cpu, rsp));
SAME(XEN_HVM_CPU_RIP, offsetof(struct hvm_hw_cpu, rip));
SAME(XEN_HVM_CPU_CR0, offsetof(struct hvm_hw_cpu, cr0));
SAME(XEN_HVM_CPU_CR2, offsetof(struct hvm_hw_cpu, cr2));
SAME(XEN_HVM_CPU_CR3, offsetof(struct hvm_hw_cpu, cr3));
SAME(XEN_HVM_CPU_CR4, offsetof(struct hvm_hw_cpu, cr4));
SAME(XEN_HVM_CPU_FS_BASE, offsetof(struct hvm_hw_cpu, fs_base));
SAME(XEN_HVM_CPU_GS_BASE, offsetof(struct hvm_hw_cpu, gs_base));
SAME(XEN_HVM_CPU_IDTR_BASE, offsetof(struct hvm_hw_cpu, idtr_base));
SAME(XEN_HVM_CPU_SYSENTER, offsetof(struct hvm_hw_cpu, sysenter_eip));
SAME(XEN_HVM_CPU_CSTAR, offsetof(struct hvm_hw_cpu, msr_cstar));
SAME(XEN_HVM_CPU_SHADOW_GS, offsetof(struct hvm_hw_cpu, shadow_gs));
SAME(XEN_HVM_CPU_LSTAR, offsetof(struct hvm_hw_cpu, msr_lstar));
SAME(XEN_HVM_CPU_EFER, offsetof(struct hvm_hw_cpu, msr_efer));
SAME(XEN_HVM_CPU_LEAST, offsetof(struct hvm_hw_cpu, msr_efer) + 8);
SAME(XEN_HVM_CPU_RAX, offsetof(struct hvm_hw_cpu, rax));
SAME(XEN_HVM_CPU_RBX, offsetof(struct hvm_hw_cpu, rbx));
SAME(XEN_HVM_CPU_RCX, offsetof(struct hvm_hw_cpu, rcx));
SAME(XEN_HVM_CPU_RDX, offsetof(struct hvm_hw_cpu, rdx));
SAME(XEN_HVM_CPU_RBP, offsetof(struct hvm_hw_cpu, rbp));
SAME(XEN_HVM_CPU_RSI, offsetof(struct hvm_hw_cpu, rsi));
SAME(XEN_HVM_CPU_RDI, offsetof(struct hvm_hw_cpu, rdi));
SAME(XEN_HVM_CPU_R8, offsetof(struct hvm_hw_cpu, r8));
SAME(XEN_HVM_CPU_R8 + 7 * 8, offsetof(struct hvm_hw_cpu, r15));
SAME(XEN_HVM_CPU_RFLAGS, offsetof(struct hvm_hw_cpu, rflags));
SAME(XEN_HVM_CPU_DR0, offsetof(struct hvm_hw_cpu, dr0));
SAME(XEN_HVM_CPU_DR0 + 3 * 8, offsetof(struct hvm_hw_cpu, dr3));
SAME(XEN_HVM_CPU_DR6, offsetof(struct hvm_hw_cpu, dr6));
SAME(XEN_HVM_CPU_DR6 + 8, offsetof(struct hvm_hw_cpu, dr7));
SAME(XEN_HVM_CPU_CS, offsetof(struct hvm_hw_cpu, cs_sel));
SAME(XEN_HVM_CPU_DS, offsetof(struct hvm_hw_cpu, ds_sel));
SAME(XEN_HVM_CPU_ES, offsetof(struct hvm_hw_cpu, es_sel));
SAME(XEN_HVM_CPU_FS, offsetof(struct hvm_hw_cpu, fs_sel));
SAME(XEN_HVM_CPU_GS, offsetof(struct hvm_hw_cpu, gs_sel));
SAME(XEN_HVM_CPU_SS, offsetof(struct hvm_hw_cpu, ss_sel));
SAME(XEN_HVM_CPU_STAR, offsetof(struct hvm_hw_cpu, msr_star));
SAME(XEN_HVM_CPU_TR, offsetof(struct hvm_hw_cpu, tr_sel));
SAME(XEN_HVM_CPU_LDTR, offsetof(struct hvm_hw_cpu, ldtr_sel));
SAME(XEN_HVM_CPU_GDTR_BASE, offsetof(struct hvm_hw_cpu, gdtr_base));

#define PV(ours, theirs) SAME(XEN_PV_CPU_##ours, offsetof(struct vcpu_guest_context_x86_64, theirs))
SAME(XEN_PV_CPU_SIZE, sizeof(struct vcpu_guest_context_x86_64));
PV(FLAGS, flags);
PV(RIP, user_regs.rip);
PV(RSP, user_regs.rsp);
PV(CR, ctrlreg);
PV(SYSCALL, syscall_callback_eip);
PV(FS_BASE, fs_base);
SAME(XEN_PV_CPU_FS_BASE + 8, offsetof(struct vcpu_guest_context_x86_64, gs_base_kernel));
SAME(XEN_PV_CPU_FS_BASE + 16, offsetof(struct vcpu_guest_context_x86_64, gs_base_user));
SAME(XEN_PV32_CPU_SIZE, sizeof(struct vcpu_guest_context_x86_32));
SAME(XEN_PV32_CPU_EIP, offsetof(struct vcpu_guest_context_x86_32, user_regs.eip));
SAME(XEN_PV32_CPU_ESP, offsetof(struct vcpu_guest_context_x86_32, user_regs.esp));
PV(R15, user_regs.r15);
PV(RDI, user_regs.rdi);
PV(CS, user_regs.cs);
PV(RFLAGS, user_regs.rflags);
PV(SS, user_regs.ss);
PV(ES, user_regs.es);
PV(DS, user_regs.ds);
PV(FS, user_regs.fs);
PV(GS, user_regs.gs);
PV(DR, debugreg);
#define PV32(ours, theirs)                                                                         \
	SAME(XEN_PV32_CPU_##ours, offsetof(struct vcpu_guest_context_x86_32, theirs))
PV32(EBX, user_regs.ebx);
PV32(EAX, user_regs.eax);
PV32(CS, user_regs.cs);
PV32(EFLAGS, user_regs.eflags);
PV32(SS, user_regs.ss);
PV32(ES, user_regs.es);
PV32(DS, user_regs.ds);
PV32(FS, user_regs.fs);
PV32(GS, user_regs.gs);
PV32(DR, debugreg);
SAME(XEN_PV32_CPU_CR, offsetof(struct vcpu_guest_context_x86_32, ctrlreg));

SAME(XEN_SHARED_MAX_PFN, offsetof(struct shared_info, arch.max_pfn));
SAME(XEN_SHARED_P2M_CR3, offsetof(struct shared_info, arch.p2m_cr3));
SAME(XEN_SHARED_P2M_VADDR, offsetof(struct shared_info, arch.p2m_vaddr));
