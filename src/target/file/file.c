/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/file.h"

#include "core/clock.h"
#include "target/file/foreign.h"
#include "target/file/format.h"
#include "target/file/packed.h"
#include "target/file/unpack.h"
#include "target/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct file_format *const formats[] = {
#define FORMAT(name) &name##_format,
#include "target/file/formats.def"
#undef FORMAT
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
	if (file->beside_fd >= 0)
		close(file->beside_fd);
	if (file->destroy_own)
		file->destroy_own(file->own);
	free(file->vcpus);
}

static struct nunchi_error *file_get_registers(struct target *target, unsigned vcpu,
					       struct x86_registers *ret)
{
	/* target_get_registers() has checked that this vCPU exists. */
	const struct x86_registers *registers = &file_of(target)->vcpus[vcpu];

	if (!registers->has_rip && !registers->cr0)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the file has no registers of this vCPU, which was offline");
	*ret = *registers;
	return NULL;
}

static struct nunchi_error *file_get_state(struct target *target, enum target_state *ret)
{
	(void)target;
	*ret = TARGET_SAVED;
	return NULL;
}

struct amount amount(uint64_t bytes)
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

struct nunchi_error *file_make_memory(struct file_target *file, struct extents *extents,
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

void file_take_notes(struct file_target *file, struct notes *notes)
{
	struct target *target = &file->target;

	if (notes->damaged)
		target_note(target, "the file's notes (registers, VMCOREINFO) are damaged or cut "
				    "off; what could be read of them is used");
	if (notes->machine_frames)
		target->frames = TARGET_FRAMES_MACHINE;
	target->vmcoreinfo = no_cleanup_ptr(notes->vmcoreinfo);
	target->vmcoreinfo_size = notes->vmcoreinfo_size;
	file_take_vcpus(file, &notes->vcpus, notes->vcpu_count,
			notes->has_control ? "from QEMU's notes in the file"
					   : "from the file's notes, without control registers");
}

void file_take_vcpus(struct file_target *file, struct x86_registers **vcpus, size_t count,
		     const char *where)
{
	if (!count)
		return;
	file->vcpus = no_cleanup_ptr(*vcpus);
	file->target.vcpu_count = (unsigned)count;
	target_set_support(&file->target, TARGET_REGISTERS, true, "%s", where);
}

void file_note_missing(struct file_target *file, uint64_t missing, uint64_t total)
{
	if (missing)
		target_note(&file->target,
			    "the memory file ends at 0x%" PRIx64 ": %s of %s of guest memory are "
			    "missing",
			    file->size, amount(missing).text, amount(total).text);
}

struct file_start {
	uint8_t bytes[FILE_START_SIZE];
	size_t size;
};

static struct nunchi_error *read_start(const struct source *source, struct file_start *ret)
{
	ret->size = source->size < FILE_START_SIZE ? (size_t)source->size : FILE_START_SIZE;
	return source_read(source, 0, ret->bytes, ret->size, "the start of the file");
}

/* The format that the first bytes show; loads the libraries that it needs. */
static const struct file_format *find_format(const struct file_start *start)
{
	size_t i = 0;

	/* The last format, raw, matches every file. */
	while (i + 1 < ARRAY_SIZE(formats) && !formats[i]->matches(start->bytes, start->size))
		i++;
	if (formats[i]->load)
		formats[i]->load(start->bytes, start->size);
	return formats[i];
}

struct nunchi_error *file_open_source(struct file_target *file, struct source *source)
{
	const struct file_format *format;
	struct file_start start;
	struct nunchi_error *err = read_start(source, &start);

	if (err)
		return err;
	format = find_format(&start);
	file->ops.kind = format->format.name;
	return format->open(file, source);
}

static struct nunchi_error *open_regular(const char *path, int *ret_fd, uint64_t *ret_size)
{
	/* O_NONBLOCK: otherwise opening a FIFO would wait for a writer. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct nunchi_error *err;
	struct stat st;

	if (fd < 0 && errno == ENXIO && !stat(path, &st) && S_ISSOCK(st.st_mode))
		return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "it is a socket"),
				  "if it is the QMP socket of a guest, use qemu:%s", path);
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

/* Opens the second file of the format, if it has one and that is there. */
static struct nunchi_error *open_beside(struct file_target *file, const struct file_format *format,
					const char *path)
{
	char beside[PATH_MAX];
	struct nunchi_error *err;

	if (!format->name_beside || !format->name_beside(path, beside, sizeof(beside)) ||
	    (access(beside, F_OK) && errno == ENOENT))
		return NULL;
	err = open_regular(beside, &file->beside_fd, &file->beside_size);
	return error_context(err, "%s", beside);
}

/*
 * Adds a hint to an error of a format's parser: whatever the parser rejects, the file is damaged or
 * unknown.
 */
static struct nunchi_error *hint_damaged(struct nunchi_error *err)
{
	if (nunchi_error_hint(err) ||
	    (!error_is(err, NUNCHI_ERROR_DATA) && !error_is(err, NUNCHI_ERROR_TRUNCATED) &&
	     !error_is(err, NUNCHI_ERROR_UNSUPPORTED)))
		return err;
	return error_hint(err, "the file is damaged, or of a kind that nunchi does not read: copy "
			       "it again, or dump the guest again");
}

/* ---- Packed files ---------------------------------------------------------------------------- */

/* Opens what is needed to unpack the file, if it is packed; otherwise *ret stays NULL. */
static struct nunchi_error *prepare_packed(struct file_target *file, const struct file_start *start,
					   const struct cancel *cancel, struct packed **ret)
{
	const struct packed_options options = {.most = PACKED_MOST, .cancel = cancel};
	const struct packing *packing = packing_find(start->bytes, start->size);

	if (!packing)
		return NULL;
	/* Which of them what is in the file will need is not known yet. */
	unpacker_preload(unpacker_supports());
	return packed_prepare(packing, file->fd, file->size, file->target.name, &options, ret);
}

static void note_unpacked(struct file_target *file, const struct packing *packing,
			  const struct packed_result *result, uint64_t us)
{
	struct target *target = &file->target;

	target_note(target,
		    "it is %s: unpacked to a temporary file of %s in %.1f s, which each command "
		    "does anew",
		    packing->what, amount(result->size).text, (double)us / CLOCK_US_PER_S);
	if (result->cut)
		target_note(target,
			    "the packed file is cut off: the %s that could be unpacked are used",
			    amount(result->size).text);
	if (result->behind)
		target_note(target, "at least %s behind the end of what is packed are not read",
			    amount(result->behind).text);
}

/* Puts what is packed in the place of the file. */
static struct nunchi_error *unpack_file(struct file_target *file, struct packed *packed,
					struct file_start *start, struct source *source)
{
	const struct packing *packing = packing_find(start->bytes, start->size);
	_cleanup_error_ struct nunchi_error *foreign = NULL;
	uint64_t begin = clock_us();
	struct packed_result result;
	struct nunchi_error *err = packed_run(packed, &result);

	if (err)
		return err;
	close(file->fd);
	file->fd = result.fd;
	file->size = result.size;
	file->incomplete = result.cut;
	/* Without a name: the commands of hints are for what is in it. */
	*source = source_of_fd(file->fd, file->size);
	note_unpacked(file, packing, &result, clock_us() - begin);
	err = read_start(source, start);
	if (err || find_format(start) != &raw_format)
		return err;
	foreign = foreign_file_error(NULL, start->bytes, start->size);
	return foreign ? packing_refuse_content(packing, file->target.name, foreign) : NULL;
}

/* ---------------------------------------------------------------------------------------------- */

static void cleanup_target(struct file_target **file)
{
	if (*file)
		target_close(&(*file)->target);
}

/* Opens all that will be read, then has the caller confine the process, then unpacks. */
static struct nunchi_error *open_content(struct file_target *file, const char *path,
					 const struct target_options *options,
					 struct source *source)
{
	_cleanup_packed_ struct packed *packed = NULL;
	struct file_start start;
	struct nunchi_error *err;

	err = open_regular(path, &file->fd, &file->size);
	if (err)
		return err;
	*source = source_of_fd(file->fd, file->size);
	source->name = file->target.name;
	err = read_start(source, &start);
	if (!err)
		err = open_beside(file, find_format(&start), path);
	if (!err)
		err = prepare_packed(file, &start, options->cancel, &packed);
	if (!err && options->opened)
		err = options->opened(&file->target, options->data);
	return !err && packed ? unpack_file(file, packed, &start, source) : err;
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
	file->beside_fd = -1;
	file->sigbus_guard = options->sigbus_guard;
	file->ops = (struct target_ops){
	    .kind = "file",
	    .destroy = file_destroy,
	    .get_registers = file_get_registers,
	    .get_state = file_get_state,
	};
	err = target_init(&file->target, &file->ops, path);
	if (err)
		return err;
	err = open_content(file, path, options, &source);
	if (err)
		return error_context(err, "%s", path);
	err = file_open_source(file, &source);
	if (err)
		return error_context(hint_damaged(err), "%s", path);
	*ret = &no_cleanup_ptr(file)->target;
	return NULL;
}

static struct nunchi_error *open_word(const char *word, const struct target_options *options,
				      struct target **ret)
{
	return access(word, F_OK) && errno == ENOENT ? target_no_such_file(word)
						     : file_target_open(word, options, ret);
}

static const struct nunchi_target_form forms[] = {
    {"PATH", "a saved guest; its format is told by its content", false},
};

const struct target_kind file_kind = {
    .prefix = "",
    .forms = forms,
    .form_count = ARRAY_SIZE(forms),
    .open = open_word,
};

const struct nunchi_file_format *nunchi_file_format(size_t n)
{
	return n < ARRAY_SIZE(formats) ? &formats[n]->format : NULL;
}
