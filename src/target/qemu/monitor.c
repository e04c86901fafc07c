/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/monitor.h"
#include "target/qemu/scan.h"

#include <inttypes.h>
#include <string.h>

/* The start of what was printed, for a message: one line, nothing that moves a cursor. */
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

/* The number after "NAME=" where NAME starts a word. */
static bool find_register(struct scan text, const char *name, uint64_t *ret)
{
	const char *start = text.at;

	while (scan_find(&text, name)) {
		const char *at = text.at - strlen(name);

		if (at > start && at[-1] != ' ' && at[-1] != '\n' && at[-1] != '\r')
			continue;
		scan_spaces(&text);
		if (scan_hex(&text, ret))
			return true;
	}
	return false;
}

struct nunchi_error *monitor_parse_registers(const char *text, size_t size, unsigned vcpu,
					     struct x86_registers *ret)
{
	struct scan all = {text, text + size}, header = all;
	struct x86_registers registers = {0};
	uint64_t number;

	/* Older QEMUs print no header; one that does must mean the vCPU asked for. */
	if (scan_find(&header, "CPU#") && (!scan_decimal(&header, &number) || number != vcpu))
		return error_create(NUNCHI_ERROR_DATA,
				    "QEMU gives the registers of another vCPU than %u", vcpu);
	if (!find_register(all, "CR0=", &registers.cr0) ||
	    !find_register(all, "CR3=", &registers.cr3) ||
	    !find_register(all, "CR4=", &registers.cr4))
		return unexpected(NUNCHI_ERROR_UNSUPPORTED, "info registers", text, size);
	registers.has_efer = find_register(all, "EFER=", &registers.efer);
	registers.has_idt = find_register(all, "IDT=", &registers.idt_base);
	registers.has_rip = (find_register(all, "RIP=", &registers.rip) &&
			     find_register(all, "RSP=", &registers.rsp)) ||
			    (find_register(all, "EIP=", &registers.rip) &&
			     find_register(all, "ESP=", &registers.rsp));
	*ret = registers;
	return NULL;
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

static void put_le64(uint8_t *to, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (8 * i));
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
			put_le64(to + done, word);
			done += 8;
		}
	}
	if (done == size)
		return NULL;
	return unexpected(NUNCHI_ERROR_FAULT, "xp", line.at, (size_t)(line.end - line.at));
}
