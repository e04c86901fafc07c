/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the confined process (controller.c) and the second one (controller_serve.c) say. */
#ifndef NUNCHI_TARGET_CONTROLLER_PROTOCOL_H
#define NUNCHI_TARGET_CONTROLLER_PROTOCOL_H

#include "target/controller.h"
#include "target/stops.h"

#include <stdatomic.h>

/* Limit of the vCPUs and of the bytes of one request, and of a text. */
#define CONTROLLER_VCPUS_MAX 1024
#define CONTROLLER_READ_MAX  ((size_t)16384)
#define CONTROLLER_TEXT_MAX  1024

enum controller_op {
	OP_PAUSE,
	OP_RESUME,
	OP_STATE,
	OP_REGISTERS,
	OP_ALL_REGISTERS,
	OP_MEASURE,
	OP_READ,
	/* target_stops_ops */
	OP_WATCH,
	OP_UNWATCH,
	OP_NEXT,
	OP_GO,
	OP_HOLD,
	OP_RELEASE,
	OP_INSERT,
	OP_REMOVE,
	OP_OBSERVE,
	OP_FINISH,
};

struct controller_request {
	enum controller_op op;
	uint32_t vcpu;    /* OP_REGISTERS; OP_OBSERVE: the index */
	uint32_t count;   /* OP_ALL_REGISTERS: of vCPUs; OP_READ: of bytes; OP_OBSERVE: the event */
	uint64_t address; /* OP_READ, OP_INSERT, OP_REMOVE; OP_GO: where the vCPU goes on */
};

struct controller_registers {
	struct x86_registers values;
	bool known;
};

struct controller_answer {
	/* An error, if `failed`. */
	bool failed, of_host, has_address;
	enum nunchi_error_code code;
	int errnum;
	uint64_t address;
	char message[CONTROLLER_TEXT_MAX], hint[CONTROLLER_TEXT_MAX];
	/* A note that the target got meanwhile, or "". */
	char note[CONTROLLER_TEXT_MAX];
	/* What the target has counted. */
	uint64_t paused_us, paused_since_us;
	unsigned reset_count;
	enum target_state state;
	enum memory_fault fault;
	uint32_t size; /* bytes of the result that follow the answer */
};

union controller_result {
	struct controller_registers registers[CONTROLLER_VCPUS_MAX];
	union target_size size;
	struct target_stop stop;
	uint8_t bytes[CONTROLLER_READ_MAX];
};

/* The second process: answers until the confined one has ended. */
_Noreturn void controller_serve(const struct controller_setup *setup, atomic_bool *cancel,
				int socket, int bell);

#endif
