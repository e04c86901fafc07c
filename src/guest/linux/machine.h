/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine and the kernel as a whole: names, command line, CPUs, memory, firmware tables.
 */
#ifndef NUNCHI_GUEST_LINUX_MACHINE_H
#define NUNCHI_GUEST_LINUX_MACHINE_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

/* The strings of uname(2) in the first UTS namespace. Each function below appends to ret. */
enum linux_uname { LINUX_NODENAME, LINUX_RELEASE, LINUX_VERSION, LINUX_MACHINE };
enum read_result linux_uname(struct linux_kernel *kernel, enum linux_uname which,
			     struct buffer *ret);
/* Appends the kernel's command line. */
enum read_result linux_command_line(struct linux_kernel *kernel, struct buffer *ret);
/* Appends the brand string of the first CPU. */
enum read_result linux_cpu_brand(struct linux_kernel *kernel, struct buffer *ret);
/* CONFIG_SMP, which the version after the number of the build names: "#1 SMP PREEMPT_DYNAMIC". */
bool linux_is_smp(const struct linux_kernel *kernel);
/* Whether a CPU is online. *ret is false if that cannot be read. */
enum read_result linux_cpu_is_online(struct linux_kernel *kernel, unsigned cpu, bool *ret);
/* The number of CPUs that are online. */
enum read_result linux_cpus_online(struct linux_kernel *kernel, int64_t *ret);
/* The RAM that the kernel manages, in bytes (MemTotal). */
enum read_result linux_total_memory(struct linux_kernel *kernel, int64_t *ret);
/*
 * Appends a string of the firmware, chosen by its enumerator ("DMI_SYS_VENDOR"); READ_NONE if there
 * is none.
 */
enum read_result linux_dmi_string(struct linux_kernel *kernel, const char *which,
				  struct buffer *ret);

#endif
