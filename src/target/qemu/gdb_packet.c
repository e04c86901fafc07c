/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/gdb_packet.h"

#include "core/digit.h"

#include <string.h>

/* ---- Replies --------------------------------------------------------------------------------- */

enum gdb_reply gdb_reply(const char *data, size_t size)
{
	if (!size)
		return GDB_REPLY_EMPTY;
	if (size == 2 && !memcmp(data, "OK", 2))
		return GDB_REPLY_OK;
	if (data[0] == 'E' && size >= 2 &&
	    (data[1] == '.' ||
	     (size == 3 && digit_value(data[1]) < 16 && digit_value(data[2]) < 16)))
		return GDB_REPLY_ERROR;
	if (strchr("STWX", data[0]) && size >= 3 && digit_value(data[1]) < 16 &&
	    digit_value(data[2]) < 16)
		return GDB_REPLY_STOP;
	return GDB_REPLY_DATA;
}

/* A thread's id: "01", or "p01.01" with the number of a process. */
static bool parse_thread(const char *text, size_t size, uint32_t *ret)
{
	const char *dot = size && text[0] == 'p' ? memchr(text, '.', size) : NULL;
	size_t skip = dot ? (size_t)(dot - text) + 1 : 0;
	uint64_t value = 0;

	if (gdb_parse_hex(text + skip, size - skip, &value) != size - skip || !value ||
	    value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool is_word(const char *text, size_t size, const char *word)
{
	return size == strlen(word) && !memcmp(text, word, size);
}

/* One "NAME:VALUE" of a stop reply. */
static bool take_pair(struct gdb_stop *stop, const char *name, size_t name_size, const char *value,
		      size_t size)
{
	bool watch = is_word(name, name_size, "watch") || is_word(name, name_size, "rwatch") ||
		     is_word(name, name_size, "awatch");

	if (is_word(name, name_size, "thread"))
		return parse_thread(value, size, &stop->thread);
	if (is_word(name, name_size, "swbreak"))
		stop->reason = GDB_STOP_SWBREAK;
	if (is_word(name, name_size, "hwbreak"))
		stop->reason = GDB_STOP_HWBREAK;
	if (!watch)
		return true;
	stop->reason = GDB_STOP_WATCH;
	return size && gdb_parse_hex(value, size, &stop->address) == size;
}

static bool take_pairs(struct gdb_stop *stop, const char *at, size_t size)
{
	while (size) {
		const char *semicolon = memchr(at, ';', size);
		size_t pair = semicolon ? (size_t)(semicolon - at) : size;
		const char *colon = memchr(at, ':', pair);
		size_t name = colon ? (size_t)(colon - at) : 0;

		if (!colon || !take_pair(stop, at, name, colon + 1, pair - name - 1))
			return false;
		pair += semicolon != NULL;
		at += pair;
		size -= pair;
	}
	return true;
}

bool gdb_parse_stop(const char *data, size_t size, struct gdb_stop *ret)
{
	struct gdb_stop stop = {.kind = GDB_STOP_SIGNAL};

	if (gdb_reply(data, size) != GDB_REPLY_STOP)
		return false;
	stop.signal = digit_value(data[1]) << 4 | digit_value(data[2]);
	if (data[0] == 'W' || data[0] == 'X')
		stop.kind = GDB_STOP_ENDED;
	else if (data[0] == 'S' ? size != 3 : !take_pairs(&stop, data + 3, size - 3))
		return false;
	*ret = stop;
	return true;
}

void gdb_parse_features(const char *data, size_t size, struct gdb_features *ret)
{
	*ret = (struct gdb_features){0};
	while (size) {
		const char *semicolon = memchr(data, ';', size);
		size_t word = semicolon ? (size_t)(semicolon - data) : size;
		uint64_t value;

		if (word > 11 && !memcmp(data, "PacketSize=", 11) &&
		    gdb_parse_hex(data + 11, word - 11, &value) == word - 11)
			ret->packet_size = (size_t)value;
		ret->no_ack |= is_word(data, word, "QStartNoAckMode+");
		ret->description |= is_word(data, word, "qXfer:features:read+");
		ret->vcont |= is_word(data, word, "vContSupported+");
		word += semicolon != NULL;
		data += word;
		size -= word;
	}
}

bool gdb_parse_chunk(const char *data, size_t size, const char **ret, size_t *ret_size,
		     bool *ret_last)
{
	if (!size || (data[0] != 'm' && data[0] != 'l'))
		return false;
	/* More is to come, but nothing came. */
	if (data[0] == 'm' && size == 1)
		return false;
	*ret_last = data[0] == 'l';
	*ret = data + 1;
	*ret_size = size - 1;
	return true;
}

int gdb_parse_threads(const char *data, size_t size, uint32_t *ret, size_t most, bool *ret_last)
{
	size_t count = 0;

	*ret_last = is_word(data, size, "l");
	if (*ret_last)
		return 0;
	if (size < 2 || data[0] != 'm')
		return -1;
	for (data++, size--; size;) {
		const char *comma = memchr(data, ',', size);
		size_t id = comma ? (size_t)(comma - data) : size;

		if (count == most || !parse_thread(data, id, &ret[count]))
			return -1;
		count++;
		id += comma != NULL;
		data += id;
		size -= id;
	}
	return (int)count;
}

/* ---- Target description ---------------------------------------------------------------------- */

/* Most documents of a description, and most bytes of all registers. */
#define DOCUMENTS_MAX 16
#define REGISTERS_MAX ((uint32_t)GDB_PACKET_MAX / 2)
#define NAME_MAX_SIZE 64

static const struct {
	const char *name;
	enum gdb_register id;
} names[] = {
    {"rax", GDB_RAX},         {"rbx", GDB_RBX},         {"rcx", GDB_RCX},
    {"rdx", GDB_RDX},         {"rsi", GDB_RSI},         {"rdi", GDB_RDI},
    {"rbp", GDB_RBP},         {"rsp", GDB_RSP},         {"r8", GDB_R8},
    {"r9", GDB_R9},           {"r10", GDB_R10},         {"r11", GDB_R11},
    {"r12", GDB_R12},         {"r13", GDB_R13},         {"r14", GDB_R14},
    {"r15", GDB_R15},         {"rip", GDB_RIP},         {"eflags", GDB_FLAGS},
    {"fs_base", GDB_FS_BASE}, {"gs_base", GDB_GS_BASE}, {"k_gs_base", GDB_KERNEL_GS_BASE},
    {"cr0", GDB_CR0},         {"cr2", GDB_CR2},         {"cr3", GDB_CR3},
    {"cr4", GDB_CR4},         {"efer", GDB_EFER},       {"eax", GDB_RAX},
    {"ebx", GDB_RBX},         {"ecx", GDB_RCX},         {"edx", GDB_RDX},
    {"esi", GDB_RSI},         {"edi", GDB_RDI},         {"ebp", GDB_RBP},
    {"esp", GDB_RSP},         {"eip", GDB_RIP},
};

/* The value of an attribute of a tag, without its quotes; false if there is none. */
static bool attribute(const char *tag, size_t size, const char *name, const char **ret,
		      size_t *ret_size)
{
	size_t length = strlen(name);

	for (size_t i = 1; i + length + 2 < size; i++) {
		const char *value = tag + i + length + 2, *quote;

		if (!strchr(" \t\r\n", tag[i - 1]) || memcmp(tag + i, name, length) != 0 ||
		    tag[i + length] != '=' || !strchr("\"'", value[-1]) || !value[-1])
			continue;
		quote = memchr(value, value[-1], size - (size_t)(value - tag));
		if (!quote)
			return false;
		*ret = value;
		*ret_size = (size_t)(quote - value);
		return true;
	}
	return false;
}

/* An attribute that is a decimal number. False if it is malformed or greater than `most`. */
static bool number(const char *tag, size_t size, const char *name, uint32_t most, bool *ret_there,
		   uint32_t *ret)
{
	const char *text;
	uint64_t value = 0;
	size_t length;

	*ret_there = attribute(tag, size, name, &text, &length);
	if (!*ret_there)
		return true;
	if (!length || length > 9)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (digit_value(text[i]) > 9)
			return false;
		value = value * 10 + digit_value(text[i]);
	}
	*ret = (uint32_t)value;
	return value <= most;
}

static bool add_register(struct gdb_layout *layout, const char *tag, size_t size)
{
	uint32_t bits = 0, at = layout->next;
	const char *name;
	size_t length;
	bool there;

	if (!attribute(tag, size, "name", &name, &length) ||
	    !number(tag, size, "bitsize", REGISTERS_MAX * 8, &there, &bits) || !there || bits % 8 ||
	    !bits || !number(tag, size, "regnum", 65535, &there, &at) || at < layout->next ||
	    at > 65535)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (is_word(name, length, names[i].name) && (bits == 32 || bits == 64)) {
			layout->registers[names[i].id].number = at;
			layout->registers[names[i].id].offset = layout->bytes;
			layout->registers[names[i].id].size = (uint8_t)(bits / 8);
		}
	}
	layout->next = at + 1;
	layout->bytes += bits / 8;
	return layout->bytes <= REGISTERS_MAX;
}

static bool add_included(const char *tag, size_t size, gdb_include_fn *include, void *data)
{
	char name[NAME_MAX_SIZE];
	const char *href;
	size_t length;

	if (!attribute(tag, size, "href", &href, &length) || !length || length >= sizeof(name))
		return false;
	for (size_t i = 0; i < length; i++) {
		name[i] = href[i];
		if (digit_value(href[i]) > 15 && !(href[i] >= 'g' && href[i] <= 'z') &&
		    !(href[i] >= 'G' && href[i] <= 'Z') && (!strchr("-_.", href[i]) || !href[i]))
			return false;
	}
	name[length] = '\0';
	return include(name, data);
}

static bool is_tag(const char *tag, size_t size, const char *name)
{
	size_t length = strlen(name);

	return size >= length && !memcmp(tag, name, length) &&
	       (size == length || (strchr(" \t\r\n/", tag[length]) && tag[length]));
}

/* The end of the tag or comment that begins at text ("<"); NULL if it does not end. */
static const char *end_of_tag(const char *text, size_t size)
{
	const char *found;

	if (size < 4 || memcmp(text, "<!--", 4) != 0)
		return memchr(text, '>', size);
	found = memmem(text + 4, size - 4, "-->", 3);
	return found ? found + 2 : NULL;
}

bool gdb_layout_add(struct gdb_layout *layout, const char *text, size_t size,
		    gdb_include_fn *include, void *data)
{
	const char *at = text, *limit = text + size;

	if (++layout->documents > DOCUMENTS_MAX || size > GDB_DOCUMENT_MAX)
		return false;
	while ((at = memchr(at, '<', (size_t)(limit - at)))) {
		const char *stop = end_of_tag(at, (size_t)(limit - at));
		size_t length;

		if (!stop)
			return false;
		length = (size_t)(stop - at) - 1;
		if (is_tag(at + 1, length, "reg") && !add_register(layout, at + 1, length))
			return false;
		if (is_tag(at + 1, length, "xi:include") &&
		    !add_included(at + 1, length, include, data))
			return false;
		at = stop + 1;
	}
	return true;
}

bool gdb_layout_is_useful(const struct gdb_layout *layout)
{
	static const enum gdb_register needed[] = {GDB_RIP, GDB_RSP, GDB_CR0, GDB_CR3, GDB_CR4};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!layout->registers[needed[i]].size)
			return false;
	}
	return true;
}

struct answer {
	const struct gdb_layout *layout;
	const char *hex;
	size_t size;
};

static bool get(const struct answer *answer, enum gdb_register id, uint64_t *ret)
{
	size_t bytes = answer->layout->registers[id].size;
	size_t offset = answer->layout->registers[id].offset;

	if (!bytes || (offset + bytes) * 2 > answer->size)
		return false;
	return gdb_parse_value(answer->hex + offset * 2, bytes * 2, ret);
}

static void get_general(const struct answer *answer, struct x86_registers *ret)
{
	ret->has_general = get(answer, GDB_RAX, &ret->rax) && get(answer, GDB_RBX, &ret->rbx) &&
			   get(answer, GDB_RCX, &ret->rcx) && get(answer, GDB_RDX, &ret->rdx) &&
			   get(answer, GDB_RSI, &ret->rsi) && get(answer, GDB_RDI, &ret->rdi) &&
			   get(answer, GDB_RBP, &ret->rbp) && get(answer, GDB_FLAGS, &ret->rflags);
	/* A 32-bit QEMU has no more. */
	if (!answer->layout->registers[GDB_R8].size)
		return;
	ret->has_general &= get(answer, GDB_R8, &ret->r8) && get(answer, GDB_R9, &ret->r9) &&
			    get(answer, GDB_R10, &ret->r10) && get(answer, GDB_R11, &ret->r11) &&
			    get(answer, GDB_R12, &ret->r12) && get(answer, GDB_R13, &ret->r13) &&
			    get(answer, GDB_R14, &ret->r14) && get(answer, GDB_R15, &ret->r15);
}

bool gdb_layout_read(const struct gdb_layout *layout, const char *hex, size_t size,
		     struct x86_registers *ret)
{
	const struct answer answer = {layout, hex, size};
	struct x86_registers values = {0};

	values.has_rip = get(&answer, GDB_RIP, &values.rip) && get(&answer, GDB_RSP, &values.rsp);
	if (!values.has_rip || !get(&answer, GDB_CR0, &values.cr0) ||
	    !get(&answer, GDB_CR3, &values.cr3) || !get(&answer, GDB_CR4, &values.cr4))
		return false;
	get_general(&answer, &values);
	values.has_segments = get(&answer, GDB_FS_BASE, &values.fs_base) &&
			      get(&answer, GDB_GS_BASE, &values.gs_base);
	values.has_kernel_gs = get(&answer, GDB_KERNEL_GS_BASE, &values.kernel_gs_base);
	values.has_cr2 = get(&answer, GDB_CR2, &values.cr2);
	values.has_efer = get(&answer, GDB_EFER, &values.efer);
	*ret = values;
	return true;
}
