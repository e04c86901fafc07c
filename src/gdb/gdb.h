/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server of gdb's remote protocol over a guest, on the public header alone. All that comes from
 * gdb is untrusted, and so is all that comes from the guest.
 */
#ifndef NUNCHI_GDB_GDB_H
#define NUNCHI_GDB_GDB_H

#include "core/buffer.h"
#include "core/error.h"
#include "remote/packet.h"

#include <nunchi/gdb.h>

/* The thread of vCPU n has the number GDB_VCPU_THREAD + n; a task's thread has the task's own. */
#define GDB_VCPU_THREAD 1000000000u
/*
 * Where no thread's program counter is known there is one more, at address 0: without one gdb ends
 * the connection.
 */
#define GDB_NOWHERE 0x7fffffffu
/* gdb takes a minute for so many. */
#define GDB_TASKS_MAX 16384
/* Bytes of a reply before they are escaped, which may double them. */
#define GDB_REPLY_MAX ((size_t)GDB_PACKET_MAX / 2 - 64)
/* Bytes of one document that gdb reads in parts. */
#define GDB_DOCUMENT_LIMIT ((size_t)32 << 20)
/* An offset that is not known. */
#define GDB_UNKNOWN UINT32_MAX

struct gdb_thread {
	uint32_t id;
	int vcpu;      /* whose registers it has; -1: those that the kernel saved */
	int64_t cpu;   /* on which it runs or ran last; -1: not known */
	uint64_t task; /* address of its task_struct; 0: not known */
	char state;    /* as the view threads has it; 0: not known */
	char name[64]; /* escaped */
};

/* What a program had in its registers when it entered the kernel, in the kernel's struct pt_regs.
 */
struct gdb_user_offsets {
	uint32_t size;
	uint32_t r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	uint32_t orig_ax, ip, cs, flags, sp, ss;
};

/* Where members of the kernel's structures lie, in bytes. GDB_UNKNOWN: not known. */
struct gdb_offsets {
	uint32_t on_cpu, comm, sp, stack, mm; /* in task_struct; sp in its thread_struct */
	uint32_t on_cpu_size;                 /* 4, or 1 in Linux 7.2  */
	uint32_t fsbase, gsbase;              /* likewise */
	uint32_t auxv, auxv_size;             /* mm_struct.saved_auxv */
	uint32_t stack_size;                  /* of each task */
	/* struct inactive_task_frame: what a task that does not run left on its stack */
	uint32_t frame_size;
	uint32_t r15, r14, r13, r12, si, di, bx, bp, ret_addr;
	struct gdb_user_offsets user; /* in struct pt_regs */
	uint64_t current; /* the per-CPU variable that points to the task that runs; 0: not known */
	uint64_t distances; /* __per_cpu_offset; 0: the kernel is one for a single CPU */
};

struct gdb_values {
	struct nunchi_registers registers;
	uint64_t
	    orig_ax;    /* the number of the system call that a program is in; ~0: it is in none */
	uint64_t known; /* a bit for each register of gdb_registers() */
};

struct nunchi_gdb {
	struct nunchi_guest *guest;
	struct nunchi_session *session; /* that holds the guest, or NULL */
	uint64_t pid;                   /* of the process that is shown; 0: the kernel */
	bool is_64, no_ack, ended;
	struct gdb_offsets offsets;
	struct gdb_thread *threads;
	size_t thread_count, thread_capacity;
	size_t listed;      /* how many threads the last answers to q*ThreadInfo had */
	uint32_t first;     /* a thread whose program counter is known */
	uint32_t chosen;    /* the thread that `g` is about; 0: the first */
	struct buffer text; /* of the reply that is being made */
	struct buffer out;  /* packets that are ready */
	struct buffer document;
	char document_name[128];  /* "threads:", of the document that is there */
	struct nunchi_error *err; /* that ends the connection */
	struct gdb_parser parser;
};

/* ---- server.c ---- */

/* Makes the reply an error whose text gdb prints. */
void gdb_refuse(struct nunchi_gdb *gdb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for an error of the guest, which it takes; one that concerns all ends the connection. */
void gdb_refuse_error(struct nunchi_gdb *gdb, struct nunchi_error *err);
/* Reads the kernel's memory; false if it cannot be read. An error that concerns all ends the
 * connection. */
bool gdb_read(struct nunchi_gdb *gdb, uint64_t address, void *buffer, size_t size);
/* Reads a pointer or long of the guest. */
bool gdb_read_word(struct nunchi_gdb *gdb, uint64_t address, uint64_t *ret);

/* ---- threads.c ---- */

/* Looks up the offsets, once. */
void gdb_learn_layout(struct nunchi_gdb *gdb);
/*
 * Lists the threads anew. There is always one, of which is known where it is, also after a failure.
 * An error that concerns all stays in gdb->err.
 */
struct nunchi_error *gdb_list_threads(struct nunchi_gdb *gdb);
/* The task that a vCPU runs, which has these registers; 0 if that cannot be read. */
uint64_t gdb_current_task(struct nunchi_gdb *gdb, const struct nunchi_registers *registers,
			  uint32_t vcpu);
/* The thread with this number, or NULL. */
const struct gdb_thread *gdb_find_thread(const struct nunchi_gdb *gdb, uint64_t id);

/* ---- registers.c ---- */

/* Whether a thread's program counter is known. */
bool gdb_knows_place(struct nunchi_gdb *gdb, const struct gdb_thread *thread);
/* Gets the registers that a program's thread has in user mode; false if they are not known. */
bool gdb_program_registers(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
			   struct gdb_values *ret);
/* Appends the answer to `g`, or to `p` for one register. False if there is no such register. */
bool gdb_put_registers(struct nunchi_gdb *gdb, const struct gdb_thread *thread);
bool gdb_put_register(struct nunchi_gdb *gdb, const struct gdb_thread *thread, uint64_t number);
/* Appends the target description. */
void gdb_describe(const struct nunchi_gdb *gdb, struct buffer *out);

/* ---- documents.c ---- */

/* Answers "qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH", given from OBJECT on. */
void gdb_transfer(struct nunchi_gdb *gdb, const char *text, size_t size);
/* Appends the names of the objects to an answer to qSupported. */
void gdb_put_objects(const struct nunchi_gdb *gdb, struct buffer *out);

#endif
