/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that reads one guest, seen from the one that asks it. The process is confined by the
 * library when it opens the guest. It answers on a socket; the asking side bounds what it takes,
 * and believes none of it.
 */
#ifndef NUNCHI_WORKER_WORKER_H
#define NUNCHI_WORKER_WORKER_H

#include <nunchi/nunchi.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct worker {
	pid_t pid;     /* 0: there is none */
	int fd;        /* -1: there is none */
	uint8_t *data; /* of the answer, as far as it has come */
	size_t size, capacity;
};

struct worker_start {
	/* In the new process, whose end of the pair is fd; the process ends when it returns. */
	void (*run)(const void *data, int fd);
	const void *data;
	/* Descriptors that the process must not keep; -1 is passed over. */
	const int *others;
	size_t other_count;
};

/*
 * Starts the process. It ignores the keys of the terminal and prints nothing. The worker may have
 * had a process before, which was ended.
 */
struct nunchi_error *worker_start(struct worker *worker, const struct worker_start *start);

/*
 * The size of the answer that begins with these bytes; 0 if there are too few of them to tell,
 * SIZE_MAX if they are none.
 */
typedef size_t worker_size(const void *data, size_t size);

enum worker_taken {
	WORKER_NOTHING, /* no more has come */
	WORKER_ANSWER,  /* `data` and `size` are a whole answer, until the next call */
	WORKER_ENDED,   /* the process ended, or sent what is no answer */
	WORKER_NOMEM
};

/* Takes what has come, without waiting. */
enum worker_taken worker_take(struct worker *worker, worker_size *size_of);
/* Ends the process: at once if it waits for a question, else it is killed after 0.3 seconds. */
void worker_end(struct worker *worker);
/* The same, and frees what it had sent. */
void worker_deinit(struct worker *worker);

#endif
