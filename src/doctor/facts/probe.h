/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the processor and the kernel of this host say when asked, as text. */
#ifndef NUNCHI_DOCTOR_FACTS_PROBE_H
#define NUNCHI_DOCTOR_FACTS_PROBE_H

#include "core/buffer.h"

/*
 * The probes: "cpuid" (lines of leaf, subleaf, EAX, EBX, ECX, EDX in hexadecimal), "msr-3a"
 * (IA32_FEATURE_CONTROL of the first CPU), "msr-c0010114" (AMD's VM_CR), "kernel-log" (what dmesg
 * shows), "release" (of uname),
 * "open-kvm" (whether we may), "xenstore" (whether xenstored answers) and "xen-libraries" (lines of
 * NAME yes|no: those that nunchi loads). Appends to ret; gives 0 or an errno.
 */
int probe_run(const char *name, struct buffer *ret);

#endif
