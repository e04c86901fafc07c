/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A crash kernel, and the kernel that crashed before it. */
#ifndef NUNCHI_GUEST_LINUX_CRASH_H
#define NUNCHI_GUEST_LINUX_CRASH_H

#include "guest/linux/image.h"
#include "guest/linux/linux.h"

/*
 * Finds the kernel that crashed before this one: the argument elfcorehdr= of a crash kernel gives
 * the ELF header of /proc/vmcore, which contains the VMCOREINFO note of the crashed kernel. False
 * if this one is no crash kernel, or there is no image where the note says. Source:
 * setup_elfcorehdr() of kernel/crash_dump.c, crash_prepare_elf64_headers() of kernel/crash_core.c
 * (kernel/kexec_file.c before 6.6), kexec-tools' kexec/crashdump-elf.c.
 */
bool linux_crash_find(struct linux_kernel *kernel, struct linux_image *ret);

#endif
