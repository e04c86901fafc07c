/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * First instructions of the kernel's functions: a jump or call there to code outside of the image,
 * which neither ftrace nor BPF nor kprobes have made, is a hook. Looked at are those forms that
 * hooking libraries write: JMP and CALL with a 32-bit distance, an address loaded into a register
 * or pushed and jumped to. Source: Intel SDM volume 2.
 */
#include "arch/x86/idle.h"
#include "check/check.h"
#include "guest/linux/code.h"

#include <inttypes.h>
#include <string.h>

/* The longest form that is looked at, with ENDBR or its NOP before it. */
#define LOOKED_AT 20
/* Text is read in blocks of this size, and some bytes of the next one. */
#define BLOCK ((size_t)256 << 10)

struct search {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct linux_code code;
	const struct linux_code_area *text;
	uint8_t bytes[BLOCK + LOOKED_AT];
	uint64_t start; /* address of bytes[0] */
	size_t size;    /* bytes that are there */
	uint64_t functions;
};

/* Gets 64 bits of code of a 64-bit kernel, 32 bits of a 32-bit one. */
static uint64_t immediate(const uint8_t *code, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, code, size);
	return value;
}

/* Gets the address in memory by which JMP or CALL (FF 25, FF 15) leads on; 0 if it cannot be read.
 */
static uint64_t through_memory(struct linux_kernel *kernel, const uint8_t *code, uint64_t address)
{
	int32_t distance;
	uint64_t place, to;

	memcpy(&distance, code + 2, sizeof(distance));
	place =
	    kernel->word_size == 8 ? address + 6 + (uint64_t)(int64_t)distance : (uint32_t)distance;
	return linux_read_word(kernel, place, &to) == READ_OK ? to : 0;
}

/* Where the first instructions lead if they leave the function at once; 0 if they do not. */
static uint64_t leads_to(struct linux_kernel *kernel, const uint8_t *code, uint64_t address)
{
	unsigned word_size = kernel->word_size, mark = x86_mark_size(code);
	int32_t distance;
	uint64_t to;

	code += mark;
	address += mark;
	if (code[0] == 0xe8 || code[0] == 0xe9) { /* CALL or JMP distance */
		memcpy(&distance, code + 1, sizeof(distance));
		to = address + 5 + (uint64_t)(int64_t)distance;
		return word_size == 4 ? to & UINT32_MAX : to;
	}
	if (code[0] == 0xff && (code[1] == 0x25 || code[1] == 0x15))
		return through_memory(kernel, code, address);
	/* MOV RAX, address; PUSH RAX; RET */
	if (word_size == 8 && code[0] == 0x48 && code[1] == 0xb8 && code[10] == 0x50 &&
	    code[11] == 0xc3)
		return immediate(code + 2, 8);
	/* MOV RAX…RDI, address; JMP register; or the same with R8 … R15 */
	if (word_size == 8 && code[0] == 0x48 && (code[1] & 0xf8) == 0xb8 && code[10] == 0xff &&
	    code[11] == (0xe0 | (code[1] & 7)))
		return immediate(code + 2, 8);
	if (word_size == 8 && code[0] == 0x49 && (code[1] & 0xf8) == 0xb8 && code[10] == 0x41 &&
	    code[11] == 0xff && code[12] == (0xe0 | (code[1] & 7)))
		return immediate(code + 2, 8);
	/* The same in 32 bits */
	if (word_size == 4 && (code[0] & 0xf8) == 0xb8 && code[5] == 0xff &&
	    code[6] == (0xe0 | (code[0] & 7)))
		return immediate(code + 1, 4);
	if (code[0] == 0x68 && code[5] == 0xc3) { /* PUSH address; RET */
		to = immediate(code + 1, 4);
		return word_size == 8 ? (uint64_t)(int64_t)(int32_t)to : to;
	}
	return 0;
}

/* Makes the bytes from an address on available; NULL if they cannot be read. */
static const uint8_t *code_of(struct search *search, uint64_t address)
{
	uint64_t left = search->text->end - address;
	size_t size = left < sizeof(search->bytes) ? (size_t)left : sizeof(search->bytes);
	enum read_result result;

	if (address - search->start + LOOKED_AT <= search->size && address >= search->start)
		return search->bytes + (address - search->start);
	if (left < LOOKED_AT)
		return NULL;
	search->size = 0;
	result = linux_read(search->kernel, address, search->bytes, size);
	if (result != READ_OK && size > LOOKED_AT) {
		/* A page of the block is missing, perhaps not the one with this function. */
		size = LOOKED_AT;
		result = linux_read(search->kernel, address, search->bytes, size);
	}
	check_unread(search->report, result, "the code at 0x%" PRIx64, address);
	if (result != READ_OK)
		return NULL;
	search->start = address;
	search->size = size;
	return search->bytes;
}

/*
 * Whether a thunk is there that only jumps to where a register leads. Against Indirect Target
 * Selection the kernel puts such thunks into pages that belong to no module, and has its own
 * indirect jumps lead there (its_init_thunk() of arch/x86/kernel/alternative.c).
 */
static bool is_thunk(struct linux_kernel *kernel, uint64_t address)
{
	static const uint8_t jne[] = {0x75, 0xfd};
	uint8_t code[5];
	size_t at = 0;

	if (linux_read(kernel, address, code, sizeof(code)) != READ_OK)
		return false;
	if (!memcmp(code, jne, sizeof(jne)))
		at += sizeof(jne);
	at += code[at] == 0x41;
	return code[at] == 0xff && (code[at + 1] & 0xf8) == 0xe0;
}

/* Whether a function may lead to this code at once; `area` is NULL if nobody is known to own it. */
static bool is_permitted(const struct search *search, const struct symbol *symbol,
			 const struct linux_code_area *area)
{
	if (!area)
		return search->code.broken;
	/* A static call leads where the kernel set it, which may be in a module (kvm, tracing). */
	return (area->owner != LINUX_CODE_MODULE && area->owner != LINUX_CODE_HYPERCALLS) ||
	       !strncmp(symbol->name, "__SCT__", 7);
}

static void look(struct search *search, const struct symbol *symbol)
{
	const uint8_t *code = code_of(search, symbol->address);
	const struct linux_code_area *area;
	_cleanup_buffer_ struct buffer found = {0};
	bool of_module;
	uint64_t to;

	if (!code)
		return;
	search->functions++;
	to = leads_to(search->kernel, code, symbol->address);
	area = to ? linux_code_at(&search->code, to) : NULL;
	if (!to || is_permitted(search, symbol, area) || is_thunk(search->kernel, to))
		return;
	of_module = area && area->owner == LINUX_CODE_MODULE;
	linux_code_describe(search->kernel, &search->code, to, &found);
	check_add(search->report,
		  &(struct check_finding){
		      .severity = of_module ? CHECK_WARNING : CHECK_ALARM,
		      .pid = -1,
		      .address = symbol->address,
		      .subject = symbol->name,
		      .expected = "code of the kernel, or a trampoline of ftrace, BPF or kprobes",
		      .found = check_text(search->report, &found),
		      .meaning = of_module
				     ? "The first instruction of a function of the kernel leads "
				       "to a module: the function is hooked, or a live patch of "
				       "Ksplice or KernelCare replaced it."
				     : "The first instruction of a function of the kernel leads "
				       "to other code: the function is hooked.",
		  });
}

static bool is_function(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

static void look_at_all(struct search *search, const struct symbol_index *symbols)
{
	uint64_t before = 0;
	size_t at = 0;

	symbol_index_at(symbols, search->text->start, &at);
	for (; at < symbol_index_count(symbols); at++) {
		struct symbol symbol = symbol_index_get(symbols, at);

		if (symbol.address >= search->text->end ||
		    (search->functions % 4096 == 0 &&
		     cancel_requested(search->kernel->guest.cancel)))
			return;
		if (symbol.address < search->text->start || symbol.address == before ||
		    !is_function(symbol.type))
			continue;
		before = symbol.address;
		look(search, &symbol);
	}
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct symbol_index *symbols;
	struct nunchi_error *err = linux_symbols(kernel, &symbols);
	_cleanup_free_ struct search *search = NULL;

	if (err)
		return err;
	search = calloc(1, sizeof(*search));
	if (!search)
		return &error_nomem;
	search->kernel = kernel;
	search->report = report;
	err = linux_code_collect(kernel, &search->code);
	if (err)
		return err;
	check_unread(report, search->code.broken, "%s", search->code.incomplete);
	search->text = linux_code_at(&search->code, kernel->symbol[LINUX_stext]);
	look_at_all(search, symbols);
	check_summary(report, "first instructions of %" PRIu64 " functions", search->functions);
	linux_code_deinit(&search->code);
	return NULL;
}

const struct check check_functions = {
    "functions", "functions of the kernel whose first instruction leads to other code",
    &guest_linux, run};
