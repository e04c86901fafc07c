/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdb/core.h"

#include "core/options.h"

#include <elf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT ((uint64_t)16 << 30)

void core_warn(struct core *core, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!core->output->warn || core->warnings++ >= CORE_MOST_WARNINGS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	core->output->warn(text, core->output->data);
}

/* ---- Headers --------------------------------------------------------------------------------- */

static struct nunchi_error *write_at(struct core *core, uint64_t at, const void *bytes, size_t size)
{
	if (core->output->write(at, bytes, size, core->output->data))
		return NULL;
	return error_create(NUNCHI_ERROR_CANCELLED, "writing was ended");
}

/* Writes bytes behind all that there is. */
static struct nunchi_error *append(struct core *core, const void *bytes, size_t size)
{
	struct nunchi_error *err = write_at(core, core->at, bytes, size);

	core->at += size;
	return err;
}

static struct nunchi_error *append_program_header(struct core *core, const Elf64_Phdr *wide)
{
	const Elf32_Phdr narrow = {.p_type = wide->p_type,
				   .p_flags = wide->p_flags,
				   .p_offset = (uint32_t)wide->p_offset,
				   .p_vaddr = (uint32_t)wide->p_vaddr,
				   .p_filesz = (uint32_t)wide->p_filesz,
				   .p_memsz = (uint32_t)wide->p_memsz,
				   .p_align = (uint32_t)wide->p_align};

	return core->is_64 ? append(core, wide, sizeof(*wide))
			   : append(core, &narrow, sizeof(narrow));
}

static struct nunchi_error *append_program_headers(struct core *core, uint64_t notes)
{
	const Elf64_Phdr note = {
	    .p_type = PT_NOTE, .p_offset = notes, .p_filesz = core->notes.size, .p_align = 4};
	struct nunchi_error *err = append_program_header(core, &note);

	for (size_t i = 0; !err && i < core->segment_count; i++) {
		const struct core_segment *segment = &core->segments[i];
		const Elf64_Phdr load = {.p_type = PT_LOAD,
					 .p_flags = segment->flags,
					 .p_offset = segment->at,
					 .p_vaddr = segment->start,
					 .p_filesz = segment->stored ? segment->size : 0,
					 .p_memsz = segment->size,
					 .p_align = CORE_PAGE};

		err = append_program_header(core, &load);
	}
	return err;
}

/* Where there are more program headers than e_phnum can say, the first section header does. */
static struct nunchi_error *append_section_header(struct core *core, uint32_t count)
{
	const Elf64_Shdr wide = {.sh_size = 1, .sh_info = count};
	const Elf32_Shdr narrow = {.sh_size = 1, .sh_info = count};

	return core->is_64 ? append(core, &wide, sizeof(wide))
			   : append(core, &narrow, sizeof(narrow));
}

static struct nunchi_error *write_header(struct core *core, uint64_t headers, uint64_t section)
{
	size_t count = core->segment_count + 1;
	uint16_t number = count < PN_XNUM ? (uint16_t)count : PN_XNUM;
	Elf64_Ehdr wide = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_CORE,
	    .e_machine = EM_X86_64,
	    .e_version = EV_CURRENT,
	    .e_phoff = headers,
	    .e_shoff = section,
	    .e_ehsize = sizeof(Elf64_Ehdr),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = number,
	    .e_shentsize = section ? sizeof(Elf64_Shdr) : 0,
	    .e_shnum = section ? 1 : 0};
	Elf32_Ehdr narrow = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_CORE,
	    .e_machine = EM_386,
	    .e_version = EV_CURRENT,
	    .e_phoff = (uint32_t)headers,
	    .e_shoff = (uint32_t)section,
	    .e_ehsize = sizeof(Elf32_Ehdr),
	    .e_phentsize = sizeof(Elf32_Phdr),
	    .e_phnum = number,
	    .e_shentsize = section ? sizeof(Elf32_Shdr) : 0,
	    .e_shnum = section ? 1 : 0};

	return core->is_64 ? write_at(core, 0, &wide, sizeof(wide))
			   : write_at(core, 0, &narrow, sizeof(narrow));
}

/* ---- The file -------------------------------------------------------------------------------- */

static struct nunchi_error *write_file(struct core *core)
{
	uint64_t notes, headers, section = 0;
	struct nunchi_error *err;

	core->at = CORE_PAGE;
	err = core_write_memory(core);
	if (err)
		return err;
	notes = core->at;
	err = append(core, core->notes.data, core->notes.size);
	/* Headers are aligned to 8 bytes. */
	core->at = (core->at + 7) & ~(uint64_t)7;
	headers = core->at;
	if (!err)
		err = append_program_headers(core, notes);
	if (!err && core->segment_count + 1 >= PN_XNUM) {
		section = core->at;
		err = append_section_header(core, (uint32_t)core->segment_count + 1);
	}
	if (!err && !core->is_64 && core->at > UINT32_MAX)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "the core of a program of 32 bits has more than 4 GiB");
	if (!err)
		err = write_header(core, headers, section);
	core->result.file_size = core->at;
	core->result.is_64 = core->is_64;
	return err;
}

static struct nunchi_error *make(struct core *core, bool hold)
{
	const struct nunchi_gdb_options options = {
	    .size = sizeof(options), .hold = hold, .pid = core->pid};
	struct nunchi_error *err = nunchi_gdb_create(core->guest, &options, &core->gdb);

	if (!err)
		err = core_find_class(core);
	if (!err)
		err = core_list_mappings(core);
	if (!err)
		err = core_make_notes(core);
	/* What concerns all of the guest ended the reading of a register. */
	if (!err && core->gdb->err) {
		err = core->gdb->err;
		core->gdb->err = NULL;
	}
	return err ? err : write_file(core);
}

/* Tells how many warnings were left out. */
static void end_warnings(struct core *core)
{
	uint64_t left = core->warnings - CORE_MOST_WARNINGS;

	if (core->warnings <= CORE_MOST_WARNINGS)
		return;
	core->warnings = 0;
	core_warn(core, "%" PRIu64 " more warnings are left out", left);
}

static struct nunchi_error *take(const struct nunchi_core_options *options,
				 const struct nunchi_core_output *output,
				 struct nunchi_core_options *ret_options,
				 struct nunchi_core_output *ret_output)
{
	struct nunchi_error *err = options_take("nunchi_core_options", options, options->size,
						offsetof(struct nunchi_core_options, pid),
						ret_options, sizeof(*ret_options));

	if (!err)
		err = options_take("nunchi_core_output", output, output->size,
				   offsetof(struct nunchi_core_output, data), ret_output,
				   sizeof(*ret_output));
	if (!err && (!ret_options->pid || !ret_output->write))
		err = error_create(NUNCHI_ERROR_ARGUMENT, "nunchi_core() needs pid and write()");
	return err;
}

struct nunchi_error *nunchi_core(struct nunchi_guest *guest,
				 const struct nunchi_core_options *options,
				 const struct nunchi_core_output *output,
				 struct nunchi_core_result *ret)
{
	struct nunchi_core_options own = {.pid = 0};
	struct nunchi_core_output out = {.data = NULL};
	struct core core = {.output = &out, .guest = guest};
	struct nunchi_error *err, *ended;

	if (!guest || !options || !output || !ret)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "nunchi_core() was given NULL; it needs guest && options && "
				    "output && ret");
	err = take(options, output, &own, &out);
	if (err)
		return err;
	core.pid = own.pid;
	core.limit = own.limit ? own.limit : DEFAULT_LIMIT;
	err = make(&core, own.hold);
	end_warnings(&core);
	ended = nunchi_gdb_destroy(core.gdb);
	free(core.mappings);
	free(core.segments);
	free(core.chunk);
	buffer_deinit(&core.names);
	buffer_deinit(&core.notes);
	/* That the guest stays paused is worse than what came before. */
	if (ended) {
		nunchi_error_destroy(err);
		err = ended;
	}
	if (err)
		return err;
	core.result.size = ret->size;
	memcpy(ret, &core.result, ret->size < sizeof(*ret) ? ret->size : sizeof(*ret));
	return NULL;
}
