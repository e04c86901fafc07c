/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading, writing and waiting. What an interrupted call (EINTR) means is decided here and nowhere
 * else: a signal that is caught never ends a wait early and never cuts a transfer short. Whoever
 * wants a signal to end a wait requests the cancel flag from its handler.
 *
 * Functions return 0 or more on success and a negative errno on failure. All but io_read_all() are
 * async-signal-safe. Deadlines are times of clock_us(); CLOCK_NEVER stands for none.
 */
#ifndef NUNCHI_CORE_IO_H
#define NUNCHI_CORE_IO_H

#include "core/buffer.h"
#include "core/cancel.h"
#include "core/clock.h"

#include <sys/types.h>

/*
 * Waits until the descriptor has one of `events` (POLLIN, POLLOUT) or an error or hang-up, which
 * the next transfer will then tell. 1: it has; 0: it has not, and the deadline passed; -ECANCELED:
 * cancelled, noticed within IO_CANCEL_MS. cancel may be NULL. fd -1 waits for the deadline or the
 * cancel alone.
 *
 * A descriptor that is ready gives 1 after the deadline too, so that an answer which came while
 * the process was stopped is not lost. A loop that waits for one particular answer must therefore
 * compare clock_us() with the deadline in each turn, or a peer that talks all the time keeps it.
 */
int io_wait(int fd, short events, uint64_t deadline_us, const struct cancel *cancel);
#define IO_CANCEL_MS 50

/* Sleeps until then: 0, or -ECANCELED. */
int io_sleep_until(uint64_t deadline_us, const struct cancel *cancel);

/*
 * Read until size bytes have come or the file ends: the number of bytes read. Of a descriptor that
 * does not block, -EAGAIN when it has nothing before the first byte, else the bytes so far.
 */
ssize_t io_read_full(int fd, void *buffer, size_t size);
ssize_t io_pread_full(int fd, void *buffer, size_t size, uint64_t offset);
/* Writes all: 0, or a negative errno, of which it is then not known how much was written. */
int io_write_full(int fd, const void *data, size_t size);
/*
 * The same for a pipe or socket whose other end may be gone: -EPIPE then, and no SIGPIPE for this
 * thread, whatever the process does with that signal.
 */
int io_write_quietly(int fd, const void *data, size_t size);

/*
 * Appends all that is left in the file to buf: 0; -EFBIG when that is more than buf has room for
 * within its limit; -ENOMEM.
 */
int io_read_all(int fd, struct buffer *buf);

/*
 * Waits for a child to end and takes its status, as waitpid() gives it: 1; 0: the deadline passed;
 * -ECANCELED. -ECHILD: the child has ended, or ends now, but its status cannot be had, because the
 * program ignores SIGCHLD or another part of it waited for the child.
 */
int io_reap(pid_t pid, uint64_t deadline_us, const struct cancel *cancel, int *ret_status);

#endif
