/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to a gdb stub over a connected socket. Every wait has a time limit and can be cancelled.
 * After an error, gdb_client_detach() is all that is certain to work.
 *
 * The stub reads requests while the guest stands still only: while it runs, any byte stops it. So
 * all functions but gdb_client_interrupt(), gdb_client_poll() and gdb_client_detach() may be called
 * only after a stop was received. Nothing is sent after gdb_client_detach(), and "k", which ends
 * QEMU, never.
 */
#ifndef NUNCHI_TARGET_QEMU_GDB_CLIENT_H
#define NUNCHI_TARGET_QEMU_GDB_CLIENT_H

#include "core/cancel.h"
#include "core/clock.h"
#include "core/error.h"
#include "target/qemu/gdb_packet.h"

#define GDB_THREADS_MAX 1024

/* What is known of a stub. */
struct gdb_stub {
	/*
	 * Set by the caller: the stub tells a stop only after "c", a step and 0x03 (QEMU since
	 * 8.1). Each request stops a guest that somebody has resumed; here it begins with 0x03,
	 * which a stub of a guest that stands still ignores.
	 */
	bool mute;
	bool no_ack; /* packets are not acknowledged */
	/* see gdb_client_has_stopped_it(); true also between attaching and gdb_client_continue() */
	bool has_stopped_it;
	struct gdb_layout layout;
	size_t thread_count;
	uint32_t threads[GDB_THREADS_MAX]; /* QEMU numbers them from 1, in the order of vCPUs */
};

struct gdb_client;

struct gdb_wait {
	uint64_t deadline_us;        /* time of clock_us() */
	const struct cancel *cancel; /* may be NULL */
};

/* Makes a client of a connected socket (SOCK_NONBLOCK); both are borrowed. */
struct nunchi_error *gdb_client_create(int fd, struct gdb_stub *stub, struct gdb_client **ret);
/* Frees, and sends nothing. NULL is accepted. */
void gdb_client_destroy(struct gdb_client *client);

/* Asks what the stub supports, for its registers and its threads, and fills in the stub. */
struct nunchi_error *gdb_client_start(struct gdb_client *client, const struct gdb_wait *wait);

struct nunchi_error *gdb_client_read(struct gdb_client *client, unsigned vcpu,
				     const struct gdb_wait *wait, struct x86_registers *ret);
struct nunchi_error *gdb_client_read_rip(struct gdb_client *client, unsigned vcpu,
					 const struct gdb_wait *wait, uint64_t *ret);
struct nunchi_error *gdb_client_write_rip(struct gdb_client *client, unsigned vcpu, uint64_t rip,
					  const struct gdb_wait *wait);

/*
 * Sets and removes a breakpoint of the processor. NUNCHI_ERROR_BUSY if the stub refuses to set it:
 * KVM has four of them.
 */
struct nunchi_error *gdb_client_insert(struct gdb_client *client, uint64_t address,
				       const struct gdb_wait *wait);
struct nunchi_error *gdb_client_remove(struct gdb_client *client, uint64_t address,
				       const struct gdb_wait *wait);

/* Removes all breakpoints, whoever set them; needs no gdb_client_start(). */
struct nunchi_error *gdb_client_remove_all(struct gdb_client *client, const struct gdb_wait *wait);

/* Has a vCPU execute one instruction, while the others stand still, and waits for its stop. */
struct nunchi_error *gdb_client_step(struct gdb_client *client, unsigned vcpu,
				     const struct gdb_wait *wait, struct gdb_stop *ret);
/*
 * Resumes the guest. Reads no byte of a stop that follows, so the socket is readable when there is
 * one.
 */
struct nunchi_error *gdb_client_continue(struct gdb_client *client, const struct gdb_wait *wait);
/* Stops the guest and waits for the stop, which may have another reason that came first. */
struct nunchi_error *gdb_client_interrupt(struct gdb_client *client, const struct gdb_wait *wait,
					  struct gdb_stop *ret);
/*
 * Takes a stop that has arrived, without waiting; *ret_stopped tells whether there was one. The end
 * of the connection is a stop too (GDB_STOP_ENDED). If very much has arrived, some of it is left,
 * so that the socket is readable. cancel may be NULL.
 */
struct nunchi_error *gdb_client_poll(struct gdb_client *client, const struct cancel *cancel,
				     bool *ret_stopped, struct gdb_stop *ret);
/*
 * Whether the guest stands still because of the stub, or may: it met a breakpoint, or a request
 * stopped it, which a request also does if somebody had resumed the guest before.
 */
bool gdb_client_has_stopped_it(const struct gdb_client *client);
/* The vCPU of a stop; false if it names none. */
bool gdb_client_vcpu(const struct gdb_client *client, const struct gdb_stop *stop, unsigned *ret);

/*
 * Begins anew while the guest stands still, whatever exchange was broken off, by whatever client.
 */
struct nunchi_error *gdb_client_renew(struct gdb_client *client, const struct gdb_wait *wait);

/*
 * Removes all breakpoints and resumes the guest, in whatever state the stub is; nothing can be
 * asked afterwards.
 */
struct nunchi_error *gdb_client_detach(struct gdb_client *client, const struct gdb_wait *wait);

DEFINE_CLEANUP(struct gdb_client, gdb_client_destroy)
#define _cleanup_gdb_client_ _cleanup_(cleanup_gdb_client_destroy_p)

#endif
