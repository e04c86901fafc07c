/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/guard.h"

#include "core/io.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* How long the hypervisor may take to answer. */
#define ANSWER_US (10 * CLOCK_US_PER_S)

static bool send_all(const struct guard_setup *setup, uint64_t deadline)
{
	size_t sent = 0;

	while (sent < setup->undo_size && clock_us() < deadline) {
		ssize_t n = send(GUARD_FD_HANDLE, setup->undo + sent, setup->undo_size - sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		else if (io_wait(GUARD_FD_HANDLE, POLLOUT, deadline, NULL) != 1)
			return false;
	}
	return sent == setup->undo_size;
}

/*
 * Reads until the answer has arrived, which may come in several pieces and between other data. The
 * connection must not be closed before, because the hypervisor may drop requests of a client that
 * has disconnected.
 */
static bool await_done(const struct guard_setup *setup, uint64_t deadline)
{
	size_t length = strlen(setup->done), kept = 0;
	char buffer[GUARD_DONE_MAX + 4096];

	while (clock_us() < deadline && io_wait(GUARD_FD_HANDLE, POLLIN, deadline, NULL) == 1) {
		ssize_t n = recv(GUARD_FD_HANDLE, buffer + kept, 4096, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n < 0)
			continue;
		kept += (size_t)n;
		if (memmem(buffer, kept, setup->done, length))
			return true;
		if (kept >= length) {
			memmove(buffer, buffer + kept - (length - 1), length - 1);
			kept = length - 1;
		}
	}
	return false;
}

struct nunchi_error *send_undo(void *data)
{
	const struct guard_setup *setup = data;
	uint64_t deadline = clock_us() + ANSWER_US;

	if (send_all(setup, deadline) && await_done(setup, deadline))
		return NULL;
	return error_create(NUNCHI_ERROR_GONE, "the hypervisor does not answer");
}

struct nunchi_error *send_look(void *data, enum undo_seen *ret)
{
	const struct guard_setup *setup = data;

	*ret = undo_threads_are_gone(&setup->threads) ? UNDO_SEEN_GONE : UNDO_SEEN_UNKNOWN;
	return NULL;
}

bool send_ran(void *data, struct undo_ran *ret)
{
	const struct guard_setup *setup = data;

	return undo_threads_ran(&setup->threads, ret);
}
