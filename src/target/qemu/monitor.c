/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/monitor.h"
#include "core/bytes.h"
#include "target/qemu/scan.h"

#include <string.h>

/*
 * The error for an answer that is not understood, with the start of the answer as one line without
 * control characters.
 */
static struct nunchi_error *unexpected(enum nunchi_error_code code, const char *command,
				       const char *text, size_t size)
{
	char shown[81];
	size_t length = 0;

	while (length < size && length < sizeof(shown) - 1 && text[length] >= ' ' &&
	       text[length] <= '~') {
		shown[length] = text[length];
		length++;
	}
	shown[length] = '\0';
	return error_create(code, "QEMU answers \"%s\" to %s", shown, command);
}

/*
 * Finds the number after "NAME=", where NAME is at the start of a word; moves text after the
 * number.
 */
static bool find_number(struct scan *text, const char *name, uint64_t *ret)
{
	const char *start = text->at;

	while (scan_find(text, name)) {
		const char *at = text->at - strlen(name);

		if (at > start && at[-1] != ' ' && at[-1] != '\n' && at[-1] != '\r')
			continue;
		scan_spaces(text);
		if (scan_hex(text, ret))
			return true;
	}
	return false;
}

static bool find_register(struct scan text, const char *name, uint64_t *ret)
{
	return find_number(&text, name, ret);
}

/*
 * Finds a line such as "CS =0010 0000000000000000 ffffffff 00af9b00 …", and stores the selector and
 * the base.
 */
static bool find_segment(struct scan text, const char *name, uint16_t *ret_selector,
			 uint64_t *ret_base)
{
	uint64_t selector;

	if (!find_number(&text, name, &selector))
		return false;
	scan_spaces(&text);
	*ret_selector = (uint16_t)selector;
	return scan_hex(&text, ret_base);
}

struct name {
	const char *name;
	uint64_t *value;
};

static bool find_all(struct scan text, const struct name *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!find_register(text, names[i].name, names[i].value))
			return false;
	}
	return true;
}

/* Finds the general registers. QEMU prints those of 64-bit mode only for a vCPU in 64-bit mode. */
static bool find_general(struct scan text, struct x86_registers *ret)
{
	const struct name names[] = {
	    {"RAX=", &ret->rax}, {"RBX=", &ret->rbx}, {"RCX=", &ret->rcx}, {"RDX=", &ret->rdx},
	    {"RSI=", &ret->rsi}, {"RDI=", &ret->rdi}, {"RBP=", &ret->rbp}, {"R8 =", &ret->r8},
	    {"R9 =", &ret->r9},  {"R10=", &ret->r10}, {"R11=", &ret->r11}, {"R12=", &ret->r12},
	    {"R13=", &ret->r13}, {"R14=", &ret->r14}, {"R15=", &ret->r15}, {"RFL=", &ret->rflags},
	};
	const struct name narrow[] = {
	    {"EAX=", &ret->rax}, {"EBX=", &ret->rbx}, {"ECX=", &ret->rcx}, {"EDX=", &ret->rdx},
	    {"ESI=", &ret->rsi}, {"EDI=", &ret->rdi}, {"EBP=", &ret->rbp}, {"EFL=", &ret->rflags},
	};

	return find_all(text, names, ARRAY_SIZE(names)) ||
	       find_all(text, narrow, ARRAY_SIZE(narrow));
}

static bool find_segments(struct scan text, struct x86_registers *ret)
{
	uint64_t base;

	return find_segment(text, "CS =", &ret->cs, &base) &&
	       find_segment(text, "SS =", &ret->ss, &base) &&
	       find_segment(text, "DS =", &ret->ds, &base) &&
	       find_segment(text, "ES =", &ret->es, &base) &&
	       find_segment(text, "FS =", &ret->fs, &ret->fs_base) &&
	       find_segment(text, "GS =", &ret->gs, &ret->gs_base) &&
	       find_segment(text, "TR =", &ret->tr, &base) &&
	       find_segment(text, "LDT=", &ret->ldtr, &base);
}

static bool find_debug(struct scan text, struct x86_registers *ret)
{
	const struct name names[] = {
	    {"DR0=", &ret->dr[0]}, {"DR1=", &ret->dr[1]}, {"DR2=", &ret->dr[2]},
	    {"DR3=", &ret->dr[3]}, {"DR6=", &ret->dr[6]}, {"DR7=", &ret->dr[7]},
	};

	return find_all(text, names, ARRAY_SIZE(names));
}

struct nunchi_error *monitor_parse_registers(const char *text, size_t size, unsigned vcpu,
					     struct x86_registers *ret)
{
	struct scan all = {text, text + size}, header = all;
	struct x86_registers registers = {0};
	uint64_t number;

	/*
	 * Old versions of QEMU print no header; if there is one, it must name the requested vCPU.
	 */
	if (scan_find(&header, "CPU#") && (!scan_decimal(&header, &number) || number != vcpu))
		return error_create(NUNCHI_ERROR_DATA,
				    "QEMU gives the registers of another vCPU than %u", vcpu);
	if (!find_register(all, "CR0=", &registers.cr0) ||
	    !find_register(all, "CR3=", &registers.cr3) ||
	    !find_register(all, "CR4=", &registers.cr4))
		return unexpected(NUNCHI_ERROR_UNSUPPORTED, "info registers", text, size);
	registers.in_smm = find_register(all, "SMM=", &number) && number;
	registers.has_efer = find_register(all, "EFER=", &registers.efer);
	registers.has_idt = find_register(all, "IDT=", &registers.idt_base);
	registers.has_gdt = find_register(all, "GDT=", &registers.gdt_base);
	registers.has_cr2 = find_register(all, "CR2=", &registers.cr2);
	registers.has_general = find_general(all, &registers);
	registers.has_selectors = registers.has_segments = find_segments(all, &registers);
	registers.has_debug = find_debug(all, &registers);
	registers.has_rip = (find_register(all, "RIP=", &registers.rip) &&
			     find_register(all, "RSP=", &registers.rsp)) ||
			    (find_register(all, "EIP=", &registers.rip) &&
			     find_register(all, "ESP=", &registers.rsp));
	*ret = registers;
	return NULL;
}

void monitor_parse_all_registers(const char *text, size_t size, unsigned count,
				 struct x86_registers *ret, bool *ret_known)
{
	static const char header[] = "CPU#";
	struct scan rest = {text, text + size};
	uint64_t number = 0;
	bool found = scan_find(&rest, header);

	memset(ret_known, 0, count * sizeof(*ret_known));
	while (found) {
		const char *start = rest.at - strlen(header);
		bool has_number = scan_decimal(&rest, &number);
		struct nunchi_error *err;

		found = scan_find(&rest, header);
		if (!has_number || number >= count)
			continue;
		err = monitor_parse_registers(
		    start, (size_t)((found ? rest.at - strlen(header) : text + size) - start),
		    (unsigned)number, &ret[number]);
		ret_known[number] = !err;
		nunchi_error_destroy(err);
	}
}

struct nunchi_error *monitor_parse_gpa2hva(const char *text, size_t size, uint64_t address,
					   uint64_t *ret)
{
	struct scan scan = {text, text + size};
	uint64_t asked, found;

	if (!scan_literal(&scan, "Host virtual address for 0x") || !scan_hex(&scan, &asked) ||
	    asked != address || !scan_find(&scan, ") is 0x") || !scan_hex(&scan, &found))
		return unexpected(NUNCHI_ERROR_FAULT, "gpa2hva", text, size);
	*ret = found;
	return NULL;
}

struct nunchi_error *monitor_parse_xp(const char *text, size_t text_size, uint64_t address,
				      void *buffer, size_t size)
{
	struct scan rest = {text, text + text_size}, line = rest;
	uint8_t *to = buffer;
	size_t done = 0;

	if (size % 8)
		return error_create(NUNCHI_ERROR_ARGUMENT, "xp: %zu is no multiple of 8", size);
	while (done < size && scan_line(&rest, &line)) {
		uint64_t start, word;

		if (!scan_hex(&line, &start) || start != address + done ||
		    !scan_literal(&line, ":"))
			break;
		while (done < size && scan_literal(&line, " 0x") && scan_hex(&line, &word)) {
			store_le64(to + done, word);
			done += 8;
		}
	}
	if (done == size)
		return NULL;
	return unexpected(NUNCHI_ERROR_FAULT, "xp", line.at, (size_t)(line.end - line.at));
}
