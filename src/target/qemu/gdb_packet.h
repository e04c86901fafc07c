/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of the gdb remote protocol, as QEMU's stub speaks it: parses replies. Packets as such
 * are in remote/packet.h. Pure functions; the connection is in gdb_client.h. Source: the appendix
 * "gdb Remote Serial Protocol" of the manual of gdb, and gdbstub.c of QEMU 5.2 to 11.
 */
#ifndef NUNCHI_TARGET_QEMU_GDB_PACKET_H
#define NUNCHI_TARGET_QEMU_GDB_PACKET_H

#include "arch/x86/registers.h"
#include "core/buffer.h"
#include "remote/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes of one document of a target description; QEMU's largest for x86 has 9 KiB. */
#define GDB_DOCUMENT_MAX ((size_t)256 << 10)

#define GDB_PLUS_16 "++++++++++++++++"
#define GDB_PLUS_256                                                                               \
	GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16        \
	    GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16 GDB_PLUS_16    \
		GDB_PLUS_16 GDB_PLUS_16
#define GDB_PLUS_4096                                                                              \
	GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 \
	    GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256          \
		GDB_PLUS_256 GDB_PLUS_256 GDB_PLUS_256

/*
 * These bytes end debugging in whatever state the stub is: they stop the guest, and end a packet
 * that was sent in part ("#00" is a wrong checksum). They make the stub attach once more, for
 * QEMU crashes at a D without it when D was sent before. D removes all breakpoints and resumes the
 * guest. Packet "~" is unknown to all versions, so its empty reply, followed by the OK of D, cannot
 * be the end of an earlier exchange. In front of each packet stands the acknowledgement without
 * which the stub would take nothing but a packet; none may come after D, for the guest runs then,
 * and any byte would stop it.
 *
 * The first byte is 0x03, because QEMU since 8.1 ends a single step only where it reports the stop,
 * and it reports one only when it was asked by 0x03.
 *
 * QEMU reads 4096 bytes at once, so the plus signs, which mean nothing, have D come in a later turn
 * of its main loop than the stop. In between it looks whether another vCPU has met a breakpoint
 * while all were being stopped. If it did so after D, it would stop the guest again, for good.
 */
#define GDB_DETACH   "\x03+#00\x03" GDB_PLUS_4096 "$vAttach;1#37+$~#7e+$D#44"
#define GDB_DETACHED "$#00+$OK#9a"
/*
 * The same for the guard, with another answer: if its owner was killed at the end of an exchange
 * that detached, the answer to that still comes, and is not to be taken for that to the guard.
 */
#define GDB_UNDO   "\x03+#00\x03" GDB_PLUS_4096 "$vAttach;1#37+$~#7e+$~#7e+$D#44"
#define GDB_UNDONE "$#00+$#00+$OK#9a"

/* ---- Replies --------------------------------------------------------------------------------- */

enum gdb_reply {
	GDB_REPLY_OK,
	GDB_REPLY_EMPTY, /* the request is unknown */
	GDB_REPLY_ERROR, /* "E22", "E.text" */
	GDB_REPLY_STOP,  /* why the guest has stopped, or that it has ended */
	GDB_REPLY_DATA,
};

enum gdb_reply gdb_reply(const char *data, size_t size);

enum gdb_stop_kind {
	GDB_STOP_SIGNAL,
	GDB_STOP_ENDED, /* the guest exited or was terminated: QEMU ends */
};

enum gdb_stop_reason { GDB_STOP_UNSAID, GDB_STOP_SWBREAK, GDB_STOP_HWBREAK, GDB_STOP_WATCH };

/* gdb's numbers of signals, as QEMU uses them. */
#define GDB_SIGNAL_INT  2 /* paused by the monitor or by 0x03 */
#define GDB_SIGNAL_QUIT 3 /* the guest has shut down, and QEMU was told to stay */
#define GDB_SIGNAL_TRAP 5 /* a breakpoint, or the end of a single step */

struct gdb_stop {
	enum gdb_stop_kind kind;
	enum gdb_stop_reason reason;
	unsigned signal;  /* or the exit status */
	uint32_t thread;  /* 0: not said */
	uint64_t address; /* for GDB_STOP_WATCH */
};

/* False if it is not a well-formed stop reply ("S05", "T05thread:01;", "W00", "X09"). */
bool gdb_parse_stop(const char *data, size_t size, struct gdb_stop *ret);

/* What the stub supports, from its answer to qSupported. */
struct gdb_features {
	size_t packet_size; /* most bytes of a packet that it takes; 0: not said */
	bool no_ack;        /* QStartNoAckMode */
	bool description;   /* qXfer:features:read */
	bool vcont;
};

void gdb_parse_features(const char *data, size_t size, struct gdb_features *ret);

/* A part of what qXfer reads. False if the reply is none. */
bool gdb_parse_chunk(const char *data, size_t size, const char **ret, size_t *ret_size,
		     bool *ret_last);

/*
 * The threads of an answer to qfThreadInfo or qsThreadInfo. *ret_last: it says that there are no
 * more. Returns how many were stored, at most `most`; -1 if the reply is none, or has more.
 */
int gdb_parse_threads(const char *data, size_t size, uint32_t *ret, size_t most, bool *ret_last);

/* ---- Registers ------------------------------------------------------------------------------- */

/* The registers that are used. */
enum gdb_register {
	GDB_RAX,
	GDB_RBX,
	GDB_RCX,
	GDB_RDX,
	GDB_RSI,
	GDB_RDI,
	GDB_RBP,
	GDB_RSP,
	GDB_R8,
	GDB_R9,
	GDB_R10,
	GDB_R11,
	GDB_R12,
	GDB_R13,
	GDB_R14,
	GDB_R15,
	GDB_RIP,
	GDB_FLAGS,
	GDB_FS_BASE,
	GDB_GS_BASE,
	GDB_KERNEL_GS_BASE,
	GDB_CR0,
	GDB_CR2,
	GDB_CR3,
	GDB_CR4,
	GDB_EFER,
	GDB_REGISTER_COUNT
};

/* Where registers lie in the answer to "g", in bytes. Zeroed storage knows none yet. */
struct gdb_layout {
	uint32_t next;  /* number for the next register that gives none */
	uint32_t bytes; /* of all registers so far */
	unsigned documents;
	struct {
		uint32_t number, offset;
		uint8_t size; /* 4 or 8; 0: the description does not have it */
	} registers[GDB_REGISTER_COUNT];
};

/*
 * Called for a document that another one includes (xi:include); the name has letters, digits, '-',
 * '_' and '.' only. Returns false if it cannot be had.
 */
typedef bool gdb_include_fn(const char *name, void *data);

/*
 * Adds the registers of a document, in their order. False if it is malformed, if one of its
 * registers has a number that is smaller than the one before, or if include() fails.
 */
bool gdb_layout_add(struct gdb_layout *layout, const char *text, size_t size,
		    gdb_include_fn *include, void *data);
/* Whether rip, rsp, cr0, cr3 and cr4 are in it, without which no address can be translated. */
bool gdb_layout_is_useful(const struct gdb_layout *layout);

/*
 * Gets the registers from an answer to "g". A register that the stub does not know ("xx…") is
 * missing. False if one is missing that gdb_layout_is_useful() asks for.
 */
bool gdb_layout_read(const struct gdb_layout *layout, const char *hex, size_t size,
		     struct x86_registers *ret);

#endif
