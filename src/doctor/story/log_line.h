/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who wrote a line of a log, told by what stands before the message. People mix logs with their own
 * words; a sentence that mentions a message is not that message.
 */
#ifndef NUNCHI_DOCTOR_STORY_LOG_LINE_H
#define NUNCHI_DOCTOR_STORY_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_writer { LOG_NOBODY, LOG_KERNEL, LOG_XEN };

/*
 * Known are the kernel's time ("[    1.234567] ", "[Sat Nov 22 10:00:00 2025] "), what syslog and
 * journalctl put ("Nov 22 10:00:00 host kernel: ", RFC 5424's "host kernel - - - ", "MESSAGE=" of
 * verbose and export, JSON), what dmesg -x, -r and --time-format=iso and /dev/kmsg put, Xen's
 * "(XEN) ", and lines without any of that (dmesg -t, journalctl -o cat) that begin as a driver's
 * message about a device does. Takes time linear in the size.
 */
enum log_writer log_line_writer(const char *line, size_t size);

/*
 * A hash of the host's name where syslog or journalctl put it before the message of any program
 * ("Nov 22 10:00:00 host kernel: ", "2025-11-22T10:00:00+0900 host systemd[1]: "), else 0.
 */
uint64_t log_line_host(const char *line, size_t size);

/* Whether it is the first line of a kernel's log, without anything before it. */
bool log_line_is_banner(const char *line, size_t size);

#endif
