/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/file.h"

#include "target/file/avml.h"
#include "target/file/elf_core.h"
#include "target/file/flattened.h"
#include "target/file/foreign.h"
#include "target/file/kdump.h"
#include "target/file/lime.h"
#include "target/file/raw.h"
#include "target/file/xen_core.h"
#include "target/file/xen_save.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Enough of the start to tell any format. */
#define START_SIZE 4096

struct file_target {
	struct target target;
	int fd;
	uint64_t size;
	bool sigbus_guard;
	bool incomplete; /* what it ends before, or is damaged, may be more memory */
	struct x86_registers *vcpus;
};

static struct file_target *file_of(struct target *target)
{
	return (struct file_target *)target;
}

static void file_destroy(struct target *target)
{
	struct file_target *file = file_of(target);

	if (file->fd >= 0)
		close(file->fd);
	free(file->vcpus);
}

static struct nunchi_error *file_get_registers(struct target *target, unsigned vcpu,
					       struct x86_registers *ret)
{
	/* target_get_registers() checked that there is such a vCPU. */
	const struct x86_registers *registers = &file_of(target)->vcpus[vcpu];

	if (!registers->has_rip && !registers->cr0)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the file has none of its registers: it was offline");
	*ret = *registers;
	return NULL;
}

static struct nunchi_error *file_get_state(struct target *target, enum target_state *ret)
{
	(void)target;
	*ret = TARGET_SAVED;
	return NULL;
}

static struct nunchi_error *raw_set_layout(struct target *target, unsigned n);

#define SAVED_OPS(name)                                                                            \
	{                                                                                          \
		.kind = name, .destroy = file_destroy, .get_registers = file_get_registers,        \
		.get_state = file_get_state,                                                       \
	}

static const struct target_ops elf_ops = SAVED_OPS("elf");
static const struct target_ops kdump_ops = SAVED_OPS("kdump");
static const struct target_ops lime_ops = SAVED_OPS("lime");
static const struct target_ops avml_ops = SAVED_OPS("avml");
static const struct target_ops xen_core_ops = SAVED_OPS("xen-core");
static const struct target_ops xen_save_ops = SAVED_OPS("xen-save");
static const struct target_ops raw_ops = {
    .kind = "raw",
    .destroy = file_destroy,
    .get_state = file_get_state,
    .set_layout = raw_set_layout,
};

/* Bytes in the unit that shows most of them. */
struct amount {
	char text[32];
};

static struct amount amount(uint64_t bytes)
{
	struct amount amount;

	if (bytes >= (uint64_t)10 << 20)
		snprintf(amount.text, sizeof(amount.text), "%" PRIu64 " MiB", bytes >> 20);
	else if (bytes >= (uint64_t)10 << 10)
		snprintf(amount.text, sizeof(amount.text), "%" PRIu64 " KiB", bytes >> 10);
	else
		snprintf(amount.text, sizeof(amount.text), "%" PRIu64 " bytes", bytes);
	return amount;
}

/* Makes the memory out of extents of a source; takes over both. */
static struct nunchi_error *make_memory(struct file_target *file, struct extents *extents,
					struct source *source)
{
	struct memory *memory;
	struct nunchi_error *err = memory_create(file->sigbus_guard, &memory);

	if (err) {
		extents_deinit(extents);
		source_deinit(source);
		return err;
	}
	if (file->incomplete)
		memory_set_incomplete(memory);
	err = extents_apply(extents, source, memory);
	if (err) {
		memory_destroy(memory);
		return err;
	}
	memory_destroy(file->target.memory);
	file->target.memory = memory;
	return NULL;
}

/* Takes what the notes hold. */
static void take_notes(struct file_target *file, struct notes *notes)
{
	struct target *target = &file->target;

	if (notes->damaged)
		target_note(target, "the file's notes (registers, VMCOREINFO) are damaged or cut "
				    "off; what could be read of them is used");
	if (notes->machine_frames)
		target->frames = TARGET_FRAMES_MACHINE;
	target->vmcoreinfo = no_cleanup_ptr(notes->vmcoreinfo);
	target->vmcoreinfo_size = notes->vmcoreinfo_size;
	if (!notes->vcpu_count)
		return;
	file->vcpus = no_cleanup_ptr(notes->vcpus);
	target->vcpu_count = (unsigned)notes->vcpu_count;
	target_set_support(target, TARGET_REGISTERS, true, "%s",
			   notes->has_control ? "from QEMU's notes in the file"
					      : "from the file's notes, without control registers");
}

static void note_missing(struct file_target *file, uint64_t missing, uint64_t total)
{
	if (missing)
		target_note(&file->target,
			    "the memory file ends at 0x%" PRIx64 ": %s of %s of guest memory are "
			    "missing",
			    file->size, amount(missing).text, amount(total).text);
}

/* ---- One function a format; each takes the source over --------------------------------------- */

static struct nunchi_error *open_elf(struct file_target *file, struct source *source)
{
	_cleanup_elf_core_ struct elf_core core = {0};
	struct nunchi_error *err;
	uint64_t missing;

	file->target.ops = &elf_ops;
	err = elf_core_parse(source, &core);
	if (err)
		return err;
	missing = extents_missing(&core.extents);
	if (core.cut_off)
		note_missing(file, missing, extents_total(&core.extents));
	else if (missing)
		target_note(&file->target,
			    "%s of %s of guest memory were left out when the core was written",
			    amount(missing).text, amount(extents_total(&core.extents)).text);
	take_notes(file, &core.notes);
	return make_memory(file, &core.extents, source);
}

static void note_kdump(struct file_target *file, const struct kdump_info *info)
{
	uint64_t left_out = info->ram_pages - info->saved_pages;

	if (info->cut_off_pages)
		note_missing(file, info->cut_off_pages * PAGE_SIZE, info->saved_pages * PAGE_SIZE);
	if (left_out)
		target_note(&file->target,
			    "%s of %s of guest memory were left out when the dump was written "
			    "(dump level %" PRIu32 ")",
			    amount(left_out * PAGE_SIZE).text,
			    amount(info->ram_pages * PAGE_SIZE).text, info->dump_level);
}

static struct nunchi_error *open_kdump(struct file_target *file, struct source *source)
{
	_cleanup_extents_ struct extents extents = {0};
	_cleanup_notes_ struct notes notes = {0};
	_cleanup_source_ struct source pages = {0};
	struct kdump_info info;
	struct nunchi_error *err;

	file->target.ops = &kdump_ops;
	err = kdump_parse(source, &pages, &extents, &notes, &info);
	if (err)
		return err;
	note_kdump(file, &info);
	target_set_support(&file->target, TARGET_READ, true, "from the file, compressed with %s",
			   kdump_compression_string(info.compression));
	take_notes(file, &notes);
	return make_memory(file, &extents, &pages);
}

static struct nunchi_error *open_lime(struct file_target *file, struct source *source)
{
	_cleanup_lime_ struct lime lime = {0};
	struct nunchi_error *err;

	file->target.ops = &lime_ops;
	err = lime_parse(source, &lime);
	if (err)
		return err;
	file->incomplete = lime.cut_off || lime.garbage;
	if (lime.cut_off)
		note_missing(file, extents_missing(&lime.extents), extents_total(&lime.extents));
	if (lime.garbage)
		target_note(&file->target,
			    "no LiME header at offset 0x%" PRIx64 " after %zu segments: what "
			    "follows (%s) is left out",
			    lime.garbage, lime.segment_count,
			    amount(file->size - lime.garbage).text);
	return make_memory(file, &lime.extents, source);
}

static struct nunchi_error *open_avml(struct file_target *file, struct source *source)
{
	_cleanup_extents_ struct extents extents = {0};
	_cleanup_source_ struct source unpacked = {0};
	struct avml_info info;
	struct nunchi_error *err;

	file->target.ops = &avml_ops;
	err = avml_parse(source, &unpacked, &extents, &info);
	if (err)
		return err;
	file->incomplete = info.ending;
	if (info.ending)
		target_note(&file->target,
			    "%s at offset 0x%" PRIx64
			    " after %zu blocks, of which the last lacks %s: "
			    "what follows is left out",
			    info.ending, info.end, info.block_count, amount(info.cut_off).text);
	if (info.zero)
		target_note(&file->target,
			    "%s between blocks are taken for zeros (AVML leaves such blocks out)",
			    amount(info.zero).text);
	return make_memory(file, &extents, &unpacked);
}

/* "a PV", "an HVM" … The file does not tell a PVH guest from an HVM one. */
static const char *xen_kind(enum xen_guest_kind kind)
{
	return kind == XEN_GUEST_PV     ? "a PV"
	       : kind == XEN_GUEST_PV32 ? "a 32-bit PV"
					: "an HVM or PVH";
}

static void take_vcpus(struct file_target *file, struct xen_vcpus *vcpus, const char *where)
{
	if (!vcpus->count)
		return;
	file->target.vcpu_count = (unsigned)vcpus->count;
	file->vcpus = no_cleanup_ptr(vcpus->items);
	vcpus->count = 0;
	target_set_support(&file->target, TARGET_REGISTERS, true, "%s", where);
}

static void note_xen_core(struct file_target *file, const struct xen_core *core)
{
	note_missing(file, extents_missing(&core->extents), core->pages * PAGE_SIZE);
	if (core->unplaced)
		target_note(&file->target,
			    "the file ends at 0x%" PRIx64 ", within its table of page numbers: %s "
			    "of %s of guest memory cannot be placed",
			    file->size, amount(core->unplaced * PAGE_SIZE).text,
			    amount(core->pages * PAGE_SIZE).text);
	if (core->nonsense)
		target_note(&file->target,
			    "the table of page numbers is damaged: %s of %s of guest memory cannot "
			    "be placed",
			    amount(core->nonsense * PAGE_SIZE).text,
			    amount(core->pages * PAGE_SIZE).text);
	if (core->registers_cut_off)
		target_note(&file->target, "the vCPUs' registers are cut off");
}

static struct nunchi_error *open_xen_core(struct file_target *file, struct source *source)
{
	_cleanup_xen_core_ struct xen_core core = {0};
	struct nunchi_error *err;

	file->target.ops = &xen_core_ops;
	err = xen_core_parse(source, &core);
	if (err)
		return err;
	file->incomplete = core.unplaced || core.nonsense;
	note_xen_core(file, &core);
	target_set_support(&file->target, TARGET_READ, true,
			   "from the file: dump-core of %s guest by Xen %u.%u", xen_kind(core.kind),
			   core.xen_major, core.xen_minor);
	if (core.kind != XEN_GUEST_HVM)
		file->target.frames = TARGET_FRAMES_MACHINE;
	take_vcpus(file, &core.vcpus,
		   "from .xen_prstatus in the file; EFER, which it lacks, is concluded");
	return make_memory(file, &core.extents, source);
}

static void note_xen_save(struct file_target *file, const struct xen_save *save)
{
	struct target *target = &file->target;
	uint64_t total = extents_total(&save->extents);
	uint64_t missing = extents_missing(&save->extents) - save->without;

	if (save->ending)
		target_note(target, "%s at offset 0x%" PRIx64 ": what follows is left out",
			    save->ending, save->end);
	note_missing(file, missing, total);
	if (save->without)
		target_note(target, "%s of %s of guest memory were not saved by Xen",
			    amount(save->without).text, amount(total).text);
	if (save->unknown_record)
		target_note(target,
			    "a record at offset 0x%" PRIx64 " is of a type that nunchi does not "
			    "know: the file may be of a newer Xen",
			    save->unknown_record);
	if (save->context_damaged)
		target_note(target, "the HVM context is damaged: registers may be missing");
}

static struct nunchi_error *open_xen_save(struct file_target *file, struct source *source)
{
	_cleanup_xen_save_ struct xen_save save = {0};
	struct nunchi_error *err;

	file->target.ops = &xen_save_ops;
	err = xen_save_parse(source, &save);
	if (err)
		return err;
	file->incomplete = !save.whole;
	note_xen_save(file, &save);
	target_set_support(&file->target, TARGET_READ, true,
			   "from the file: %s guest saved by Xen %u.%u (stream version %u)%s%s",
			   xen_kind(save.kind), save.xen_major, save.xen_minor, save.stream_version,
			   save.repeated ? "; it ran meanwhile, pages replaced by later copies: "
					 : "",
			   save.repeated ? amount(save.repeated).text : "");
	take_vcpus(file, &save.vcpus,
		   save.kind == XEN_GUEST_HVM
		       ? "from the HVM context in the file"
		       : "from the vCPUs' records in the file; EFER, which they lack, is "
			 "concluded");
	return make_memory(file, &save.extents, source);
}

static struct nunchi_error *raw_set_layout(struct target *target, unsigned n)
{
	struct file_target *file = file_of(target);
	_cleanup_source_ struct source source = source_of_fd(file->fd, file->size);
	_cleanup_extents_ struct extents extents = {0};
	struct nunchi_error *err = raw_extents(file->size, n, &extents);

	if (!err)
		err = make_memory(file, &extents, &source);
	if (!err)
		target->layout = n;
	return err;
}

static struct nunchi_error *open_raw(struct file_target *file, struct source *source)
{
	(void)source;
	file->target.ops = &raw_ops;
	if (file->size < PAGE_SIZE)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%" PRIu64
					       " bytes in no known format: too small for "
					       "raw memory",
					       file->size),
				  "give the dump of a guest");
	if (file->size & PAGE_MASK)
		target_note(&file->target,
			    "the size of the raw file is no multiple of the page size: its last "
			    "%" PRIu64 " bytes are left out",
			    file->size & PAGE_MASK);
	file->target.layout_count = raw_layout_count(file->size);
	return raw_set_layout(&file->target, 0);
}

static struct nunchi_error *open_source(struct file_target *file, struct source *source);

static struct nunchi_error *open_flattened(struct file_target *file, struct source *source)
{
	_cleanup_source_ struct source inner = {0};
	struct flattened_info info;
	struct nunchi_error *err;
	uint8_t start[16] = {0};

	err = flattened_parse(source, &inner, &info);
	if (!err)
		err = source_read(&inner, 0, start, sizeof(start), "what was flattened");
	if (err)
		return err;
	if (info.cut_off)
		target_note(&file->target,
			    "the flattened file ends at 0x%" PRIx64 " without its end record: it "
			    "was cut off",
			    file->size);
	if (!kdump_matches(start, sizeof(start)) && !elf_core_matches(start, sizeof(start)))
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "the flattened file holds neither a kdump file nor an ELF core");
	return open_source(file, &inner);
}

/* ---- Telling the format ---------------------------------------------------------------------- */

typedef struct nunchi_error *open_fn(struct file_target *file, struct source *source);

static const struct {
	bool (*matches)(const void *start, size_t size);
	open_fn *open;
} formats[] = {
    {xen_core_matches, open_xen_core},   {xen_save_matches, open_xen_save},
    {elf_core_matches, open_elf},        {kdump_matches, open_kdump},
    {flattened_matches, open_flattened}, {lime_matches, open_lime},
    {avml_matches, open_avml},
};

static struct nunchi_error *open_source(struct file_target *file, struct source *source)
{
	size_t size = source->size < START_SIZE ? (size_t)source->size : START_SIZE;
	uint8_t start[START_SIZE];
	struct nunchi_error *err;

	err = source_read(source, 0, start, size, "the start of the file");
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (formats[i].matches(start, size))
			return formats[i].open(file, source);
	}
	err = foreign_file_error(start, size);
	return err ? err : open_raw(file, source);
}

static struct nunchi_error *open_regular(const char *path, int *ret_fd, uint64_t *ret_size)
{
	/* O_NONBLOCK: a FIFO must not make us wait for a writer. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct nunchi_error *err;
	struct stat st;

	if (fd < 0 && errno == ENXIO)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "it is a socket or a "
									 "device without a driver"),
				  "for a QEMU monitor socket say qemu:PATH");
	if (fd < 0) {
		int errnum = errno;

		err = error_create_errno(errnum, "it cannot be opened");
		return errnum == EACCES || errnum == EPERM
			   ? error_hint(err, "run as a user who may read it")
			   : error_hint(err, "give qemu:NAME for a running guest, or the path of "
					     "a saved one");
	}
	if (fstat(fd, &st))
		return error_create_errno(errno, "it cannot be examined");
	if (!S_ISREG(st.st_mode))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "it is a %s, not a file",
					       S_ISDIR(st.st_mode)    ? "directory"
					       : S_ISFIFO(st.st_mode) ? "pipe"
					       : S_ISCHR(st.st_mode)  ? "character device"
					       : S_ISBLK(st.st_mode)  ? "block device"
								      : "special file"),
				  "give the path of a saved guest");
	if (!st.st_size)
		return error_hint(error_create(NUNCHI_ERROR_TRUNCATED, "the file is empty"),
				  "the dump did not succeed: check the disk's free space, and dump "
				  "again");
	*ret_size = (uint64_t)st.st_size;
	*ret_fd = no_cleanup_fd(fd);
	return NULL;
}

/* What a format's reader objects to is the file's fault, whatever it is. */
static struct nunchi_error *hint_damaged(struct nunchi_error *err)
{
	if (nunchi_error_hint(err) ||
	    (!error_is(err, NUNCHI_ERROR_DATA) && !error_is(err, NUNCHI_ERROR_TRUNCATED) &&
	     !error_is(err, NUNCHI_ERROR_UNSUPPORTED)))
		return err;
	return error_hint(err, "the file is damaged, or of a kind that nunchi does not read: copy "
			       "it again, or dump the guest again");
}

static void cleanup_target(struct file_target **file)
{
	if (*file)
		target_close(&(*file)->target);
}

struct nunchi_error *file_target_open(const char *path, const struct target_options *options,
				      struct target **ret)
{
	_cleanup_(cleanup_target) struct file_target *file = calloc(1, sizeof(*file));
	_cleanup_source_ struct source source = {0};
	struct nunchi_error *err;

	if (!file)
		return &error_nomem;
	file->fd = -1;
	file->sigbus_guard = options->sigbus_guard;
	err = target_init(&file->target, &raw_ops, path);
	if (err)
		return err;
	err = open_regular(path, &file->fd, &file->size);
	if (err)
		return error_context(err, "%s", path);
	source = source_of_fd(file->fd, file->size);
	err = open_source(file, &source);
	if (err)
		return error_context(hint_damaged(err), "%s", path);
	*ret = &no_cleanup_ptr(file)->target;
	return NULL;
}
