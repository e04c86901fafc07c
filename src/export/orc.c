/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's own table for unwinding (ORC, CONFIG_UNWINDER_ORC) as .debug_frame, by which gdb
 * unwinds code that keeps no frame pointers. Sources: arch/x86/include/asm/orc_types.h and
 * arch/x86/kernel/unwind_orc.c of Linux 5.10 to 7.2, and DWARF 4, 6.4. The table is the guest's.
 */
#include "core/bytes.h"
#include "export/export.h"

#include <string.h>

/* Linux 7.2 with everything built in has less than a million. */
#define ENTRIES_MAX  ((uint64_t)4 << 20)
#define ENTRY_SIZE   6
#define FDE_ROWS_MAX 256

/* What an entry says of the code from its address on. */
enum kind {
	KIND_END,     /* nothing is known, or there is no caller */
	KIND_CALL,    /* the return address stands below CFA */
	KIND_REGS,    /* CFA is a whole struct pt_regs */
	KIND_PARTIAL, /* CFA is the end of one: ip, cs, flags, sp, ss */
};

struct row {
	uint64_t address;
	enum kind kind;
	uint8_t reg; /* DWARF's number: CFA is this register and `offset` */
	int16_t offset;
	enum { BP_SAME, BP_AT_CFA, BP_AT_BP } bp;
	int16_t bp_offset;
};

struct orc {
	unsigned type_bits;
	const struct numbering *numbers;
	struct buffer *out;
	size_t fde;    /* where the open FDE begins; 0: none is open */
	unsigned rows; /* of the open FDE */
	struct row last;
};

/* ---- DWARF ----------------------------------------------------------------------------------- */

enum {
	DW_CFA_ADVANCE_LOC1 = 0x02,
	DW_CFA_ADVANCE_LOC2 = 0x03,
	DW_CFA_ADVANCE_LOC4 = 0x04,
	DW_CFA_UNDEFINED = 0x07,
	DW_CFA_SAME_VALUE = 0x08,
	DW_CFA_DEF_CFA = 0x0c,
	DW_CFA_EXPRESSION = 0x10,
	DW_CFA_OFFSET_EXTENDED_SF = 0x11,
	DW_CFA_DEF_CFA_SF = 0x12,
	DW_CFA_ADVANCE_LOC = 0x40,
	DW_OP_BREG6 = 0x76,
};

enum { RBP = 6, RSP = 7, RIP = 16 };

static void put(struct buffer *out, uint64_t value, unsigned size)
{
	uint8_t bytes[8];

	store_le64(bytes, value);
	buffer_append(out, bytes, size);
}

static void put_signed(struct buffer *out, int64_t value)
{
	bool more = true;

	while (more) {
		uint8_t byte = value & 0x7f;

		value >>= 7;
		more = !((value == 0 && !(byte & 0x40)) || (value == -1 && byte & 0x40));
		put(out, byte | (more ? 0x80 : 0), 1);
	}
}

static void put_unsigned(struct buffer *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		put(out, (value & 0x7f) | 0x80, 1);
	put(out, value, 1);
}

/* The register is saved at CFA + offset, a multiple of 8. */
static void put_saved(struct buffer *out, unsigned reg, int offset)
{
	put(out, DW_CFA_OFFSET_EXTENDED_SF, 1);
	put(out, reg, 1);
	put_signed(out, offset / -8);
}

/* All that the rows of an FDE begin with: CFA is rsp + 8, as after a call. */
static void put_cie(struct buffer *out)
{
	/* What a function may change is not known in its callers, and ORC does not say where it is.
	 */
	static const uint8_t lost[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};
	size_t start = out->size;

	put(out, 0, 4);
	put(out, 0xffffffff, 4);
	put(out, 1, 1);    /* version */
	put(out, 0, 1);    /* no augmentation */
	put(out, 1, 1);    /* code is counted in bytes */
	put(out, 0x78, 1); /* data in -8 */
	put(out, RIP, 1);
	put(out, DW_CFA_DEF_CFA, 1);
	put(out, RSP, 1);
	put(out, 8, 1);
	put_saved(out, RIP, -8);
	for (size_t i = 0; i < sizeof(lost); i++) {
		put(out, DW_CFA_UNDEFINED, 1);
		put(out, lost[i], 1);
	}
	while (!out->failed && (out->size - start) % 8)
		put(out, 0, 1);
	if (!out->failed)
		store_le32(out->data + start, (uint32_t)(out->size - start - 4));
}

static void put_registers(struct buffer *out)
{
	/* struct pt_regs: DWARF's numbers of the registers from its start on. */
	static const uint8_t order[] = {15, 14, 13, 12, RBP, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5};

	for (size_t i = 0; i < sizeof(order); i++)
		put_saved(out, order[i], (int)i * 8);
	put_saved(out, RIP, 16 * 8);
	put_saved(out, RSP, 19 * 8);
}

static void put_cfa(struct buffer *out, const struct row *row)
{
	put(out, row->offset < 0 ? DW_CFA_DEF_CFA_SF : DW_CFA_DEF_CFA, 1);
	put(out, row->reg, 1);
	if (row->offset < 0)
		put_signed(out, row->offset / -8);
	else
		put_unsigned(out, (uint64_t)row->offset);
}

static void put_frame_pointer(struct buffer *out, const struct row *row)
{
	struct buffer expression = {.size = 0};

	if (row->bp == BP_SAME) {
		put(out, DW_CFA_SAME_VALUE, 1);
		put(out, RBP, 1);
	} else if (row->bp == BP_AT_CFA) {
		put_saved(out, RBP, row->bp_offset);
	} else {
		put(&expression, DW_OP_BREG6, 1);
		put_signed(&expression, row->bp_offset);
		put(out, DW_CFA_EXPRESSION, 1);
		put(out, RBP, 1);
		put(out, expression.size, 1);
		buffer_append(out, expression.data, expression.size);
		buffer_deinit(&expression);
	}
}

static void put_row(struct buffer *out, const struct row *row)
{
	if (row->kind == KIND_END) {
		put(out, DW_CFA_UNDEFINED, 1);
		put(out, RIP, 1);
		return;
	}
	put_cfa(out, row);
	if (row->kind == KIND_REGS) {
		put_registers(out);
		return;
	}
	if (row->kind == KIND_PARTIAL) {
		put_saved(out, RIP, 0);
		put_saved(out, RSP, 3 * 8);
	}
	put_frame_pointer(out, row);
}

static void put_advance(struct buffer *out, uint64_t distance)
{
	if (distance < 0x40) {
		put(out, DW_CFA_ADVANCE_LOC | distance, 1);
	} else if (distance < 0x100) {
		put(out, DW_CFA_ADVANCE_LOC1, 1);
		put(out, distance, 1);
	} else {
		put(out, distance < 0x10000 ? DW_CFA_ADVANCE_LOC2 : DW_CFA_ADVANCE_LOC4, 1);
		put(out, distance, distance < 0x10000 ? 2 : 4);
	}
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static void close_fde(struct orc *orc, uint64_t end)
{
	struct buffer *out = orc->out;

	if (!orc->fde)
		return;
	while (!out->failed && (out->size - orc->fde) % 8)
		put(out, 0, 1);
	if (!out->failed) {
		uint64_t start = load_le64(out->data + orc->fde + 8);

		store_le32(out->data + orc->fde, (uint32_t)(out->size - orc->fde - 4));
		store_le64(out->data + orc->fde + 16, end - start);
	}
	orc->fde = 0;
}

static void open_fde(struct orc *orc, uint64_t start)
{
	orc->fde = orc->out->size;
	orc->rows = 0;
	put(orc->out, 0, 4);
	put(orc->out, 0, 4); /* the CIE is the first thing */
	put(orc->out, start, 8);
	put(orc->out, 0, 8);
}

/* Whether a row is the one that the CIE has, as at the start of a function. */
static bool is_first(const struct row *row)
{
	return row->kind == KIND_CALL && row->reg == RSP && row->offset == 8 && row->bp == BP_SAME;
}

static void add_row(struct orc *orc, const struct row *row)
{
	bool distant = orc->fde && row->address - orc->last.address > UINT32_MAX;

	/* Rows of one kind set the same registers, so that none is left of an earlier row. */
	if (is_first(row) || row->kind != orc->last.kind || orc->rows == FDE_ROWS_MAX || distant)
		close_fde(orc, row->address);
	if (!orc->fde)
		open_fde(orc, row->address);
	else
		put_advance(orc->out, row->address - orc->last.address);
	if (!is_first(row))
		put_row(orc->out, row);
	orc->rows++;
	orc->last = *row;
}

/* ---- ORC ------------------------------------------------------------------------------------- */

/*
 * How a kernel numbers registers in its table: DWARF's numbers, 0 of those that are not known here
 * and of places from which the stack pointer is loaded; and the number that means CFA itself.
 */
struct numbering {
	uint8_t registers[8];
	uint8_t previous_sp;
};

/* 5.10 to 6.12; and 7.2, by what its tables hold. The numbers of rsp differ, 5 and 3. */
static const struct numbering old_numbers = {{0, 0, 1, 5, RBP, RSP, 10, 13}, 1};
static const struct numbering new_numbers = {{0, 0, 1, RSP, RBP, 0, 10, 13}, 8};
#define OLD_SP 5
#define NEW_SP 3
#define ORC_BP 4

/* Of nearly all code CFA is found by rsp, so the more frequent of the two is its number. */
static const struct numbering *find_numbering(const struct export_orc *table)
{
	uint64_t old = 0, new = 0;

	for (uint64_t i = 0; i < table->count; i++) {
		unsigned reg = table->entries[i * ENTRY_SIZE + 4] & 15;

		old += reg == OLD_SP;
		new += reg == NEW_SP;
	}
	return new > old ? &new_numbers : &old_numbers;
}

static enum kind decode_kind(const struct orc *orc, unsigned type)
{
	/* Until 6.3: call, regs, partial. Since 6.4 undefined and "end of stack" come first. */
	unsigned first = orc->type_bits == 3 ? 2 : 0;

	return type < first || type - first > 2 ? KIND_END
						: (enum kind)(KIND_CALL + (type - first));
}

static struct row decode(const struct orc *orc, uint64_t address, const uint8_t *entry)
{
	struct row row = {.address = address,
			  .offset = (int16_t)load_le16(entry),
			  .bp_offset = (int16_t)load_le16(entry + 2)};
	unsigned bits = load_le16(entry + 4);
	unsigned sp = bits & 15, bp = bits >> 4 & 15;

	row.kind = decode_kind(orc, bits >> 8 & ((1u << orc->type_bits) - 1));
	row.reg = sp < sizeof(orc->numbers->registers) ? orc->numbers->registers[sp] : 0;
	if (!row.reg)
		row.kind = KIND_END;
	row.bp = bp == orc->numbers->previous_sp ? BP_AT_CFA : bp == ORC_BP ? BP_AT_BP : BP_SAME;
	/* CFA and what is saved lie at multiples of 8. */
	if (row.offset % 8 || (row.bp == BP_AT_CFA && row.bp_offset % 8))
		row.kind = KIND_END;
	return row;
}

/* The kernel's structure has to be one that is known: of its members only `type` changed its size.
 */
static bool find_layout(const struct linux_kernel *kernel, struct export_orc *table)
{
	struct type_member member;
	struct type type;
	uint64_t size;
	type_id id;

	if (!kernel->types || !type_index_find(kernel->types, "orc_entry", &id) ||
	    !type_index_get(kernel->types, id, &type) ||
	    !type_index_size(kernel->types, id, &size) || size != ENTRY_SIZE)
		return false;
	for (uint32_t i = 0; i < type.count; i++) {
		if (type_index_member(kernel->types, id, i, &member) &&
		    !strcmp(member.name, "type") && member.bit_offset == 40)
			table->type_bits = member.bit_size;
	}
	return table->type_bits == 2 || table->type_bits == 3;
}

static uint64_t address_of(const struct symbol_index *symbols, const char *name)
{
	size_t i;

	return symbol_index_find(symbols, name, &i) ? symbol_index_get(symbols, i).address : 0;
}

void export_frames_convert(const struct export_orc *table, struct buffer *out)
{
	struct orc orc = {
	    .type_bits = table->type_bits, .numbers = find_numbering(table), .out = out};

	put_cie(out);
	for (uint64_t i = 0; i < table->count && !out->failed; i++) {
		const uint8_t *place = table->places + i * 4;
		uint64_t address =
		    table->places_at + i * 4 + (uint64_t)(int64_t)(int32_t)load_le32(place);
		struct row row = decode(&orc, address, table->entries + i * ENTRY_SIZE);

		if (cancel_requested(table->cancel))
			break;
		/* The kernel searches it by halves: what is not in order is not found there either.
		 */
		if (address < table->end && (!orc.fde || address > orc.last.address))
			add_row(&orc, &row);
	}
	close_fde(&orc, table->end);
}

void export_frames(struct linux_kernel *kernel, const struct symbol_index *symbols, uint64_t end,
		   struct buffer *out)
{
	uint64_t places_end = address_of(symbols, "__stop_orc_unwind_ip");
	uint64_t entries_at = address_of(symbols, "__start_orc_unwind");
	_cleanup_free_ uint8_t *places = NULL, *entries = NULL;
	struct export_orc table = {.places_at = address_of(symbols, "__start_orc_unwind_ip"),
				   .end = end,
				   .cancel = kernel->guest.cancel};

	table.count = (places_end - table.places_at) / 4;
	if (kernel->word_size != 8 || !table.places_at || !entries_at ||
	    places_end <= table.places_at || table.count > ENTRIES_MAX ||
	    !find_layout(kernel, &table))
		return;
	table.places = places = malloc(table.count * 4 + 1);
	table.entries = entries = malloc(table.count * ENTRY_SIZE + 1);
	if (!places || !entries) {
		out->failed = out->no_memory = true;
		return;
	}
	if (linux_read(kernel, table.places_at, places, table.count * 4) == READ_OK &&
	    linux_read(kernel, entries_at, entries, table.count * ENTRY_SIZE) == READ_OK)
		export_frames_convert(&table, out);
}
