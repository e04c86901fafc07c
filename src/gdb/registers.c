/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registers as gdb numbers them, and the target description that says so. */
#include "gdb/gdb.h"

#include <string.h>

#define NONE UINT16_MAX

/* A register: where its value stands in struct gdb_values, NONE if the value is never known.
 */
struct gdb_register_row {
	const char *name, *type;
	uint16_t bits, at;
};

#define AT(member) ((uint16_t)offsetof(struct gdb_values, registers.member))
#define AT_CALL    ((uint16_t)offsetof(struct gdb_values, orig_ax))
#define WIDE(name)                                                                                 \
	{                                                                                          \
#name, "int64", 64, AT(name)                                                       \
	}
#define SEGMENT(name)                                                                              \
	{                                                                                          \
#name, "int32", 32, AT(name)                                                       \
	}
#define FLOATING(name)                                                                             \
	{                                                                                          \
		name, "i387_ext", 80, NONE                                                         \
	}
#define FLOAT_CONTROL(name)                                                                        \
	{                                                                                          \
		name, "int", 32, NONE                                                              \
	}
#define FLOATING_POINT                                                                             \
	FLOATING("st0"), FLOATING("st1"), FLOATING("st2"), FLOATING("st3"), FLOATING("st4"),       \
	    FLOATING("st5"), FLOATING("st6"), FLOATING("st7"), FLOAT_CONTROL("fctrl"),             \
	    FLOAT_CONTROL("fstat"), FLOAT_CONTROL("ftag"), FLOAT_CONTROL("fiseg"),                 \
	    FLOAT_CONTROL("fioff"), FLOAT_CONTROL("foseg"), FLOAT_CONTROL("fooff"),                \
	    FLOAT_CONTROL("fop")
#define SEGMENTS SEGMENT(cs), SEGMENT(ss), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs)

static const struct gdb_register_row amd64[] = {
    WIDE(rax),
    WIDE(rbx),
    WIDE(rcx),
    WIDE(rdx),
    WIDE(rsi),
    WIDE(rdi),
    {"rbp", "data_ptr", 64, AT(rbp)},
    {"rsp", "data_ptr", 64, AT(rsp)},
    WIDE(r8),
    WIDE(r9),
    WIDE(r10),
    WIDE(r11),
    WIDE(r12),
    WIDE(r13),
    WIDE(r14),
    WIDE(r15),
    {"rip", "code_ptr", 64, AT(rip)},
    {"eflags", "i386_eflags", 32, AT(rflags)},
    SEGMENTS,
    FLOATING_POINT,
    {"fs_base", "int64", 64, AT(fs_base)},
    {"gs_base", "int64", 64, AT(gs_base)},
    WIDE(cr0),
    WIDE(cr2),
    WIDE(cr3),
    WIDE(cr4),
    WIDE(efer),
    {"orig_rax", "int64", 64, AT_CALL},
};

static const struct gdb_register_row i386[] = {
    {"eax", "int32", 32, AT(rax)},
    {"ecx", "int32", 32, AT(rcx)},
    {"edx", "int32", 32, AT(rdx)},
    {"ebx", "int32", 32, AT(rbx)},
    {"esp", "data_ptr", 32, AT(rsp)},
    {"ebp", "data_ptr", 32, AT(rbp)},
    {"esi", "int32", 32, AT(rsi)},
    {"edi", "int32", 32, AT(rdi)},
    {"eip", "code_ptr", 32, AT(rip)},
    {"eflags", "i386_eflags", 32, AT(rflags)},
    SEGMENTS,
    FLOATING_POINT,
    WIDE(cr0),
    WIDE(cr2),
    WIDE(cr3),
    WIDE(cr4),
    WIDE(efer),
    {"orig_eax", "int32", 32, AT_CALL},
};

#define CONTROL_FEATURE "nunchi.control"

static const struct gdb_register_row *table(const struct nunchi_gdb *gdb, size_t *ret_count)
{
	/* The last one is of processes alone. */
	*ret_count = (gdb->is_64 ? ARRAY_SIZE(amd64) : ARRAY_SIZE(i386)) - !gdb->pid;
	return gdb->is_64 ? amd64 : i386;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void know(const struct nunchi_gdb *gdb, struct gdb_values *values, uint16_t at, bool known)
{
	size_t count;
	const struct gdb_register_row *rows = table(gdb, &count);

	for (size_t i = 0; known && i < count; i++) {
		if (rows[i].at == at)
			values->known |= (uint64_t)1 << i;
	}
}

/* What a vCPU has; struct nunchi_registers says of groups whether they are known. */
static struct nunchi_error *read_vcpu(struct nunchi_gdb *gdb, uint32_t vcpu, struct gdb_values *ret)
{
	static const uint16_t general[] = {AT(rax), AT(rbx), AT(rcx), AT(rdx),   AT(rsi), AT(rdi),
					   AT(rbp), AT(r8),  AT(r9),  AT(r10),   AT(r11), AT(r12),
					   AT(r13), AT(r14), AT(r15), AT(rflags)};
	static const uint16_t selectors[] = {AT(cs), AT(ss), AT(ds), AT(es), AT(fs), AT(gs)};
	struct nunchi_registers *registers = &ret->registers;
	struct nunchi_error *err;

	registers->size = sizeof(*registers);
	err = nunchi_registers(gdb->guest, vcpu, registers);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(general); i++)
		know(gdb, ret, general[i], registers->has_general);
	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
		know(gdb, ret, selectors[i], registers->has_selectors);
	know(gdb, ret, AT(rip), registers->has_rip);
	know(gdb, ret, AT(rsp), registers->has_rip);
	know(gdb, ret, AT(fs_base), registers->has_segments);
	know(gdb, ret, AT(gs_base), registers->has_segments);
	know(gdb, ret, AT(cr0), true);
	know(gdb, ret, AT(cr2), registers->has_cr2);
	know(gdb, ret, AT(cr3), true);
	know(gdb, ret, AT(cr4), true);
	know(gdb, ret, AT(efer), registers->has_efer);
	return NULL;
}

/* A member of a structure and the register whose value it has. */
struct saved {
	uint32_t offset;
	uint16_t at;
};

/* Takes a register out of a structure of `size` bytes that was read. */
static void take_saved(const struct nunchi_gdb *gdb, struct gdb_values *values,
		       const uint8_t *bytes, uint32_t size, const struct saved *saved)
{
	uint32_t word = gdb->is_64 ? 8 : 4;
	uint64_t value = 0;

	if (saved->offset == GDB_UNKNOWN || word > size || saved->offset > size - word)
		return;
	memcpy(&value, bytes + saved->offset, word);
	memcpy((char *)values + saved->at, &value, sizeof(value));
	know(gdb, values, saved->at, true);
}

/* Whether a task runs on a CPU, so that what it saved is of an earlier time. */
static bool runs(struct nunchi_gdb *gdb, const struct gdb_thread *thread)
{
	const struct gdb_offsets *offsets = &gdb->offsets;
	uint64_t current;
	uint32_t on_cpu = 0;

	if (offsets->on_cpu != GDB_UNKNOWN)
		return offsets->on_cpu_size > sizeof(on_cpu) ||
		       !gdb_read(gdb, thread->task + offsets->on_cpu, &on_cpu,
				 offsets->on_cpu_size) ||
		       on_cpu;
	/* A kernel for a single CPU has no such member. */
	return offsets->distances || !offsets->current ||
	       !gdb_read_word(gdb, offsets->current, &current) || current == thread->task;
}

/* The stack of a task that has ended was given to somebody else. */
static bool is_dead(const struct gdb_thread *thread)
{
	return thread->state == 'Z' || thread->state == 'X';
}

/*
 * What a task left on its stack when another one was switched to. A running guest may switch to it
 * in the meantime: then nothing is known.
 */
static void read_task(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
		      struct gdb_values *ret)
{
	const struct gdb_offsets *offsets = &gdb->offsets;
	const struct saved members[] = {
	    {offsets->r15, AT(r15)}, {offsets->r14, AT(r14)}, {offsets->r13, AT(r13)},
	    {offsets->r12, AT(r12)}, {offsets->si, AT(rsi)},  {offsets->di, AT(rdi)},
	    {offsets->bx, AT(rbx)},  {offsets->bp, AT(rbp)},  {offsets->ret_addr, AT(rip)},
	};
	uint64_t sp, again;
	uint8_t frame[256];

	if (!thread->task || is_dead(thread) || offsets->sp == GDB_UNKNOWN || runs(gdb, thread) ||
	    !gdb_read_word(gdb, thread->task + offsets->sp, &sp))
		return;
	if (!offsets->frame_size || !gdb_read(gdb, sp, frame, offsets->frame_size) ||
	    !gdb_read_word(gdb, thread->task + offsets->sp, &again) || again != sp ||
	    runs(gdb, thread))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		take_saved(gdb, ret, frame, offsets->frame_size, &members[i]);
	ret->registers.rsp = sp + offsets->frame_size;
	know(gdb, ret, AT(rsp), true);
}

/* Whether it is a program's that entered the kernel; a thread of the kernel has none. */
static bool is_user(const struct nunchi_gdb *gdb, const uint8_t *regs)
{
	const struct gdb_user_offsets *user = &gdb->offsets.user;
	uint64_t ip = 0;
	uint32_t flags;
	uint16_t cs;

	if (user->cs > user->size - 8 || user->ip > user->size - 8 || user->flags > user->size - 4)
		return false;
	memcpy(&cs, regs + user->cs, sizeof(cs));
	memcpy(&flags, regs + user->flags, sizeof(flags));
	memcpy(&ip, regs + user->ip, gdb->is_64 ? 8 : 4);
	/* Ring 3; the bit of the flags that is always set. */
	return (cs & 3) == 3 && flags & 2 && !(gdb->is_64 && ip >> 57);
}

static void take_user(struct nunchi_gdb *gdb, const uint8_t *regs, struct gdb_values *ret)
{
	const struct gdb_user_offsets *user = &gdb->offsets.user;
	const struct saved members[] = {
	    {user->r15, AT(r15)},     {user->r14, AT(r14)}, {user->r13, AT(r13)},
	    {user->r12, AT(r12)},     {user->bp, AT(rbp)},  {user->bx, AT(rbx)},
	    {user->r11, AT(r11)},     {user->r10, AT(r10)}, {user->r9, AT(r9)},
	    {user->r8, AT(r8)},       {user->ax, AT(rax)},  {user->cx, AT(rcx)},
	    {user->dx, AT(rdx)},      {user->si, AT(rsi)},  {user->di, AT(rdi)},
	    {user->ip, AT(rip)},      {user->sp, AT(rsp)},  {user->flags, AT(rflags)},
	    {user->orig_ax, AT_CALL},
	};
	uint16_t selector;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		take_saved(gdb, ret, regs, user->size, &members[i]);
	memcpy(&selector, regs + user->cs, sizeof(selector));
	ret->registers.cs = selector;
	know(gdb, ret, AT(cs), true);
	if (user->ss > user->size - 4)
		return;
	memcpy(&selector, regs + user->ss, sizeof(selector));
	ret->registers.ss = selector;
	know(gdb, ret, AT(ss), true);
}

/*
 * What the program had in its registers when it entered the kernel: they are at the top of its
 * stack there, below a padding that depends on the kernel's configuration. A running guest may
 * write them in the meantime: then nothing is known.
 */
static void read_user(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
		      struct gdb_values *ret)
{
	static const uint32_t paddings[] = {0, 16, 8};
	uint32_t size = gdb->offsets.user.size;
	uint64_t stack, top;
	uint8_t regs[256], again[256];

	if (!thread->task || is_dead(thread) || gdb->offsets.stack == GDB_UNKNOWN || size < 32 ||
	    !gdb_read_word(gdb, thread->task + gdb->offsets.stack, &stack))
		return;
	top = stack + gdb->offsets.stack_size - size;
	for (size_t i = 0; i < ARRAY_SIZE(paddings); i++) {
		if (!gdb_read(gdb, top - paddings[i], regs, size) || !is_user(gdb, regs))
			continue;
		if (gdb_read(gdb, top - paddings[i], again, size) && !memcmp(regs, again, size))
			take_user(gdb, regs, ret);
		return;
	}
}

/* The bases of a thread that does not run: only then the kernel has them in its structure. */
static void read_bases(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
		       struct gdb_values *ret)
{
	const struct gdb_offsets *offsets = &gdb->offsets;

	if (!gdb->is_64 || !thread->task || offsets->fsbase == GDB_UNKNOWN ||
	    offsets->gsbase == GDB_UNKNOWN || runs(gdb, thread))
		return;
	know(gdb, ret, AT(fs_base),
	     gdb_read_word(gdb, thread->task + offsets->fsbase, &ret->registers.fs_base));
	know(gdb, ret, AT(gs_base),
	     gdb_read_word(gdb, thread->task + offsets->gsbase, &ret->registers.gs_base));
}

/*
 * The registers of the vCPU on which a thread was when the threads were listed. On a running guest
 * another one may be there now: false unless the thread is there, in user mode, before and after.
 */
static bool read_executing(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
			   struct gdb_values *ret, struct nunchi_error **ret_err)
{
	/* Of registers that are not known none is looked at: in user mode none says the task. */
	const struct nunchi_registers none = {.size = sizeof(none)};
	uint32_t vcpu = (uint32_t)thread->vcpu;
	struct gdb_values values = {.known = 0};

	if (thread->vcpu < 0 || gdb_current_task(gdb, &none, vcpu) != thread->task)
		return false;
	*ret_err = read_vcpu(gdb, vcpu, &values);
	if (*ret_err || !values.registers.has_selectors || (values.registers.cs & 3) != 3 ||
	    gdb_current_task(gdb, &none, vcpu) != thread->task)
		return false;
	*ret = values;
	return true;
}

/* A vCPU's where it executes the program, or else those with which it entered the kernel. */
static struct nunchi_error *read_program(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
					 struct gdb_values *ret)
{
	struct nunchi_error *err = NULL;

	if (!read_executing(gdb, thread, ret, &err)) {
		read_user(gdb, thread, ret);
		read_bases(gdb, thread, ret);
	}
	return err;
}

static struct nunchi_error *read_thread(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
					struct gdb_values *ret)
{
	if (gdb->pid && thread->id != GDB_NOWHERE)
		return read_program(gdb, thread, ret);
	if (thread->vcpu >= 0)
		return read_vcpu(gdb, (uint32_t)thread->vcpu, ret);
	read_task(gdb, thread, ret);
	know(gdb, ret, AT(rip), thread->id == GDB_NOWHERE);
	return NULL;
}

bool gdb_program_registers(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
			   struct gdb_values *ret)
{
	static const uint16_t needed[] = {AT(rip), AT(rsp), AT(rax), AT(cs)};
	struct gdb_values values = {.orig_ax = UINT64_MAX}, wanted = {.known = 0};
	struct nunchi_error *err = read_program(gdb, thread, &values);

	if (err) {
		gdb_refuse_error(gdb, err);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		know(gdb, &wanted, needed[i], true);
	if (wanted.known & ~values.known)
		return false;
	*ret = values;
	return true;
}

bool gdb_knows_place(struct nunchi_gdb *gdb, const struct gdb_thread *thread)
{
	struct gdb_values values = {.known = 0}, place = {.known = 0};
	_cleanup_error_ struct nunchi_error *err = read_thread(gdb, thread, &values);

	know(gdb, &place, AT(rip), true);
	return !err && values.known & place.known;
}

/* False if the reply is an error already. */
static bool read_values(struct nunchi_gdb *gdb, const struct gdb_thread *thread,
			struct gdb_values *ret)
{
	struct nunchi_error *err = read_thread(gdb, thread, ret);

	if (err)
		gdb_refuse_error(gdb, err);
	return !err && !gdb->err;
}

static void put_value(struct nunchi_gdb *gdb, const struct gdb_values *values, size_t number)
{
	size_t count;
	const struct gdb_register_row *row = &table(gdb, &count)[number];
	uint64_t value;

	if (!(values->known >> number & 1)) {
		for (unsigned i = 0; i < row->bits / 4u; i++)
			buffer_append_char(&gdb->text, 'x');
		return;
	}
	memcpy(&value, (const char *)values + row->at, sizeof(value));
	gdb_write_value(&gdb->text, value, row->bits / 8u);
}

bool gdb_put_registers(struct nunchi_gdb *gdb, const struct gdb_thread *thread)
{
	struct gdb_values values = {.known = 0};
	size_t count;

	table(gdb, &count);
	if (!read_values(gdb, thread, &values))
		return false;
	for (size_t i = 0; i < count; i++)
		put_value(gdb, &values, i);
	return true;
}

bool gdb_put_register(struct nunchi_gdb *gdb, const struct gdb_thread *thread, uint64_t number)
{
	struct gdb_values values = {.known = 0};
	size_t count;

	table(gdb, &count);
	if (number >= count || !read_values(gdb, thread, &values))
		return false;
	put_value(gdb, &values, number);
	return true;
}

/* ---- Description ----------------------------------------------------------------------------- */

/* The type of eflags, by which gdb prints the names of the flags. */
static const char flags_type[] =
    "<flags id=\"i386_eflags\" size=\"4\">"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
    "<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
    "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>";

void gdb_describe(const struct nunchi_gdb *gdb, struct buffer *out)
{
	size_t count;
	const struct gdb_register_row *rows = table(gdb, &count);

	buffer_printf(out,
		      "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
		      "<target version=\"1.0\"><architecture>%s</architecture>"
		      "<osabi>%s</osabi>"
		      "<feature name=\"org.gnu.gdb.i386.core\">%s",
		      gdb->is_64 ? "i386:x86-64" : "i386", gdb->pid ? "GNU/Linux" : "none",
		      flags_type);
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(rows[i].name, "fs_base"))
			buffer_append_string(out, "</feature><feature "
						  "name=\"org.gnu.gdb.i386.segments\">");
		if (!strcmp(rows[i].name, "cr0"))
			buffer_append_string(out,
					     "</feature><feature name=\"" CONTROL_FEATURE "\">");
		if (rows[i].at == AT_CALL)
			buffer_append_string(out,
					     "</feature><feature name=\"org.gnu.gdb.i386.linux\">");
		buffer_printf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", rows[i].name,
			      rows[i].bits, rows[i].type);
	}
	buffer_append_string(out, "</feature></target>");
}
