/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "event/loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

_Static_assert(EPOLLIN == POLLIN && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP,
	       "events of epoll are those of poll");

struct event_source {
	struct event_loop *loop;
	int fd;
	event_ready_fn *ready;
	void *data;
	bool removed; /* freed at the end of the current dispatch */
	struct event_source *next;
};

struct event_loop {
	int fd;
	struct event_source *sources;
	bool dispatching;
};

struct nunchi_error *event_loop_create(struct event_loop **ret)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return &error_nomem;
	loop->fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->fd < 0) {
		int errnum = errno;

		free(loop);
		return error_create_errno(errnum, "cannot make an event loop");
	}
	*ret = loop;
	return NULL;
}

void event_loop_destroy(struct event_loop *loop)
{
	if (!loop)
		return;
	close(loop->fd);
	free(loop);
}

int event_loop_fd(const struct event_loop *loop)
{
	return loop->fd;
}

struct nunchi_error *event_loop_add(struct event_loop *loop, int fd, event_ready_fn *ready,
				    void *data, struct event_source **ret)
{
	struct event_source *source = malloc(sizeof(*source));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

	if (!source)
		return &error_nomem;
	*source = (struct event_source){
	    .loop = loop, .fd = fd, .ready = ready, .data = data, .next = loop->sources};
	if (epoll_ctl(loop->fd, EPOLL_CTL_ADD, fd, &event)) {
		int errnum = errno;

		free(source);
		return error_create_errno(errnum, "cannot wait for descriptor %d", fd);
	}
	loop->sources = source;
	*ret = source;
	return NULL;
}

/* Frees the sources that were removed. */
static void sweep(struct event_loop *loop)
{
	struct event_source **at = &loop->sources;

	while (*at) {
		struct event_source *source = *at;

		if (source->removed) {
			*at = source->next;
			free(source);
		} else {
			at = &source->next;
		}
	}
}

void event_source_remove(struct event_source *source)
{
	struct event_loop *loop;

	if (!source)
		return;
	loop = source->loop;
	epoll_ctl(loop->fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->removed = true;
	/* During a dispatch, the events that epoll returned may still refer to the source. */
	if (!loop->dispatching)
		sweep(loop);
}

struct nunchi_error *event_loop_dispatch(struct event_loop *loop)
{
	struct epoll_event events[16];
	struct nunchi_error *err = NULL;
	int count;

	if (loop->dispatching)
		return error_create(NUNCHI_ERROR_BUSY, "the event loop is being dispatched: one of "
						       "its callbacks cannot dispatch it");
	/* epoll_wait() with a timeout of 0 is not interrupted by signals. */
	count = epoll_wait(loop->fd, events, ARRAY_SIZE(events), 0);
	if (count < 0)
		return error_create_errno(errno, "event loop");
	loop->dispatching = true;
	for (int i = 0; i < count && !err; i++) {
		struct event_source *source = events[i].data.ptr;

		if (!source->removed)
			err = source->ready(source->data, (short)events[i].events);
	}
	loop->dispatching = false;
	sweep(loop);
	return err;
}
