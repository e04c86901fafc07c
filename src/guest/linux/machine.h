/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine and the kernel as a whole: names, command line, CPUs, memory, firmware tables.
 */
#ifndef NUNCHI_GUEST_LINUX_MACHINE_H
#define NUNCHI_GUEST_LINUX_MACHINE_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

/* What uname(2) gives of the first namespace; each is appended. */
enum linux_uname { LINUX_NODENAME, LINUX_RELEASE, LINUX_VERSION, LINUX_MACHINE };
enum read_result linux_uname(struct linux_kernel *kernel, enum linux_uname which,
			     struct buffer *ret);
/* Appends the kernel's command line. */
enum read_result linux_command_line(struct linux_kernel *kernel, struct buffer *ret);
/* Appends the first CPU's name of itself. */
enum read_result linux_cpu_brand(struct linux_kernel *kernel, struct buffer *ret);
/* CPUs online. */
enum read_result linux_cpus_online(struct linux_kernel *kernel, int64_t *ret);
/* Bytes of RAM that the kernel manages (MemTotal). */
enum read_result linux_total_memory(struct linux_kernel *kernel, int64_t *ret);
/* Appends a string of the firmware's, by its enumerator ("DMI_SYS_VENDOR"); READ_NONE: none. */
enum read_result linux_dmi_string(struct linux_kernel *kernel, const char *which,
				  struct buffer *ret);

#endif
