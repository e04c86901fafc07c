/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/crash.h"
#include "guest/linux/machine.h"
#include "guest/linux/roots.h"

#include <ctype.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Limit of the size of a VMCOREINFO note: VMCOREINFO_NOTE_SIZE is a page. */
#define MAX_NOTE 8192

/*
 * Finds the address in "elfcorehdr=[SIZE@]ADDRESS", where each may end in K, M or G, as memparse()
 * takes them.
 */
static bool find_argument(const char *line, uint64_t *ret)
{
	static const char name[] = "elfcorehdr=";
	const char *at = line, *suffixes = "KMG";

	while ((at = strstr(at, name)) && at != line && !isspace((unsigned char)at[-1]))
		at++;
	if (!at)
		return false;
	at += strlen(name);
	for (;;) {
		char *end;
		uint64_t value = strtoull(at, &end, 0);
		const char *suffix;

		if (end == at)
			return false;
		suffix = *end ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
		if (suffix) {
			value <<= 10 * (suffix - suffixes + 1);
			end++;
		}
		if (*end != '@') {
			*ret = value;
			return true;
		}
		at = end + 1;
	}
}

/* Reads the note in a segment; false if it is not VMCOREINFO. */
static bool read_note(struct memory *memory, const Elf64_Phdr *segment, char text[MAX_NOTE],
		      struct vmcoreinfo *ret)
{
	static const char name[12] = "VMCOREINFO";
	struct {
		Elf64_Nhdr header;
		char name[12];
	} note;

	if (memory_read(memory, gpa(segment->p_offset), &note, sizeof(note), NULL) != MEMORY_OK ||
	    note.header.n_namesz != strlen(name) + 1 || note.header.n_descsz > MAX_NOTE ||
	    memcmp(note.name, name, sizeof(name)) != 0)
		return false;
	return memory_read(memory, gpa(segment->p_offset + sizeof(note)), text,
			   note.header.n_descsz, NULL) == MEMORY_OK &&
	       vmcoreinfo_parse(text, note.header.n_descsz, ret);
}

bool linux_crash_find(struct linux_kernel *kernel, struct linux_image *ret)
{
	struct memory *memory = kernel->guest.memory;
	_cleanup_buffer_ struct buffer line = {0};
	struct linux_roots roots = {0};
	uint64_t address;
	Elf64_Ehdr header;

	if (kernel->scattered || linux_command_line(kernel, &line) != READ_OK ||
	    !find_argument(buffer_string(&line), &address) ||
	    memory_read(memory, gpa(address), &header, sizeof(header), NULL) != MEMORY_OK ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	for (size_t i = 0; i < header.e_phnum && !roots.count; i++) {
		Elf64_Phdr segment;
		struct vmcoreinfo info;
		char text[MAX_NOTE];

		if (memory_read(memory, gpa(address + header.e_phoff + i * sizeof(segment)),
				&segment, sizeof(segment), NULL) != MEMORY_OK)
			return false;
		if (segment.p_type == PT_NOTE && read_note(memory, &segment, text, &info))
			linux_roots_add_note(&roots, memory, &info,
					     "the crash kernel's ELF header");
	}
	if (!roots.count)
		return false;
	*ret = roots.items[0].image;
	return true;
}
