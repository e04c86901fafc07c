/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the processor and the kernel of this host say when asked, as text. */
#ifndef NUNCHI_DOCTOR_FACTS_PROBE_H
#define NUNCHI_DOCTOR_FACTS_PROBE_H

#include "core/buffer.h"

/*
 * Runs a probe, appends what it prints to ret, and gives 0 or an errno:
 *
 *  cpuid         lines of leaf, subleaf, EAX, EBX, ECX, EDX in hexadecimal
 *  msr-3a        IA32_FEATURE_CONTROL of the first CPU, in hexadecimal
 *  msr-c0010114  AMD's VM_CR, likewise
 *  kernel-log    what dmesg shows
 *  release       the running kernel's release, as uname -r prints it
 *  open-kvm      "usable" if /dev/kvm can be opened
 *  open-privcmd  "usable" if /dev/xen/privcmd, Xen's device for hypercalls, can be opened
 */
int probe_run(const char *name, struct buffer *ret);

#endif
