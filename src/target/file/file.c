/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/file.h"

#include "target/file/format.h"
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

/* The format that the first bytes show; loads the libraries that it needs. */
static struct nunchi_error *find_format(const struct source *source, const struct file_format **ret)
{
	size_t size = source->size < FILE_START_SIZE ? (size_t)source->size : FILE_START_SIZE;
	uint8_t start[FILE_START_SIZE];
	struct nunchi_error *err = source_read(source, 0, start, size, "the start of the file");
	size_t i = 0;

	if (err)
		return err;
	/* The last format, raw, matches every file. */
	while (i + 1 < ARRAY_SIZE(formats) && !formats[i]->matches(start, size))
		i++;
	if (formats[i]->load)
		formats[i]->load(start, size);
	*ret = formats[i];
	return NULL;
}

struct nunchi_error *file_open_source(struct file_target *file, struct source *source)
{
	const struct file_format *format;
	struct nunchi_error *err = find_format(source, &format);

	if (err)
		return err;
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
	const struct file_format *format;
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
	err = open_regular(path, &file->fd, &file->size);
	if (err)
		return error_context(err, "%s", path);
	source = source_of_fd(file->fd, file->size);
	source.name = file->target.name;
	err = find_format(&source, &format);
	if (!err)
		err = open_beside(file, format, path);
	if (!err && options->opened)
		err = options->opened(&file->target, options->data);
	if (err)
		return error_context(err, "%s", path);
	file->ops.kind = format->format.name;
	err = format->open(file, &source);
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
