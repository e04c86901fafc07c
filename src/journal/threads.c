/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/threads.h"

#include "core/cleanup.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

/*
 * A vCPU thread that stands still uses nothing, but for the first reading of its registers under
 * KVM. Where the host itself is a guest, the time that is taken from it may count as the thread's,
 * and the kernel adds up a running thread's time at its ticks alone. A BIOS that waits for its next
 * try to boot uses 540 us in a second (QEMU 7.2 without KVM).
 */
#define NOISE_NS ((uint64_t)1000 * 1000)
#define DOUBT_NS ((uint64_t)10 * 1000 * 1000)

static int open_schedstat(const struct undo_threads *threads, unsigned i)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", threads->pid, threads->ids[i]);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool undo_threads_ran(const struct undo_threads *threads, struct undo_ran *ret)
{
	*ret = (struct undo_ran){0, threads->count * NOISE_NS, threads->count * DOUBT_NS};
	for (unsigned i = 0; i < threads->count; i++) {
		_cleanup_close_ int fd = open_schedstat(threads, i);
		char text[64];
		ssize_t size = fd >= 0 ? io_read_full(fd, text, sizeof(text) - 1) : -1;
		uint64_t ns;

		text[size > 0 ? size : 0] = '\0';
		if (sscanf(text, "%" SCNu64, &ns) != 1)
			return false;
		ret->ns += ns;
	}
	/* Linux before 5.14 may have the file and count nothing. */
	return ret->ns > 0;
}

bool undo_threads_are_gone(const struct undo_threads *threads)
{
	for (unsigned i = 0; i < threads->count; i++) {
		char path[64];
		_cleanup_close_ int fd = -1;

		snprintf(path, sizeof(path), "/proc/%d/task/%d", threads->pid, threads->ids[i]);
		fd = open(path, O_PATH | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			return false;
	}
	return threads->count > 0;
}
