/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/given.h"
#include "core/buffer.h"
#include "symbols/vmcoreinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Limit of the size of a System.map; real ones have 5 – 10 MB. */
#define MAX_MAP_FILE ((off_t)256 << 20)
/* Limit of the kernel's notes in memory; real ones have less than 1 KiB. */
#define MAX_NOTES ((uint64_t)64 << 10)
/* Bytes of init_task that are searched for its name; task_struct has 2 to 10 KiB. */
#define MAX_TASK 16384

/* The name of the first task: INIT_TASK_COMM of include/linux/init_task.h, and init_idle(). */
static const char swapper[] = "swapper";

/* ---- Reading the files ----------------------------------------------------------------------- */

/* Opens a file, or duplicates the descriptor that is open already. */
static struct nunchi_error *open_file(const char *path, const int *open_fd, int *ret)
{
	*ret = open_fd ? fcntl(*open_fd, F_DUPFD_CLOEXEC, 0)
		       : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return *ret >= 0 ? NULL : error_create_errno(errno, "%s", path);
}

static struct nunchi_error *read_map(int fd, const char *path, struct symbol_index **ret)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st))
		return error_create_errno(errno, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_MAP_FILE)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s is not a System.map (a text of %d MiB at most)", path,
				    (int)(MAX_MAP_FILE >> 20));
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return &error_nomem;
	got = pread(fd, text, (size_t)st.st_size, 0);
	if (got != st.st_size)
		return error_create_errno(got < 0 ? errno : EIO, "%s", path);
	return error_context(symbol_index_parse_map(text, (size_t)st.st_size, ret), "%s", path);
}

static bool find_start(const struct symbol_index *map, uint64_t *ret)
{
	size_t at;

	if (!symbol_index_find(map, "_text", &at) && !symbol_index_find(map, "_stext", &at))
		return false;
	*ret = symbol_index_get(map, at).address;
	return true;
}

static struct nunchi_error *load_map(struct linux_given *given)
{
	struct nunchi_error *err = read_map(given->symbols_fd, given->symbols_path, &given->map);
	uint64_t start;

	if (err)
		return err;
	if (!find_start(given->map, &start))
		return error_create(NUNCHI_ERROR_DATA, "%s has neither _text nor _stext",
				    given->symbols_path);
	if (!start)
		return error_hint(error_create(NUNCHI_ERROR_DATA, "all addresses in %s are zero",
					       given->symbols_path),
				  "/proc/kallsyms shows addresses to root only: read it as root, "
				  "with the sysctl kernel.kptr_restrict at 0 or 1");
	return NULL;
}

struct nunchi_error *linux_given_init(struct linux_given *given,
				      const struct guest_attach_options *options)
{
	struct nunchi_error *err = NULL;

	*given = (struct linux_given){.symbols_path = options->symbols_path,
				      .types_path = options->types_path,
				      .symbols_fd = -1,
				      .types_fd = -1};
	if (given->symbols_path) {
		err = open_file(given->symbols_path, options->symbols_fd, &given->symbols_fd);
		err = error_context(err ? err : load_map(given), "symbols file");
	}
	if (!err && given->types_path) {
		err =
		    error_context(open_file(given->types_path, options->types_fd, &given->types_fd),
				  "types file");
		if (!err)
			type_index_file_build_id(given->types_fd, &given->types_id);
	}
	return err;
}

void linux_given_deinit(struct linux_given *given)
{
	symbol_index_unref(given->map);
	type_index_unref(given->types);
	if (given->symbols_fd >= 0)
		close(given->symbols_fd);
	if (given->types_fd >= 0)
		close(given->types_fd);
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* Adds to the addresses of the file the offset at which this guest's kernel runs. */
static struct nunchi_error *relocate(const struct linux_kernel *kernel,
				     const struct symbol_index *map, struct symbol_index **ret)
{
	struct symbol_index *moved = NULL;
	struct nunchi_error *err;
	uint64_t text = 0, slide;

	find_start(map, &text);
	slide = kernel->text_virtual - text;
	err = symbol_index_create(&moved);
	for (size_t i = 0; !err && i < symbol_index_count(map); i++) {
		struct symbol symbol = symbol_index_get(map, i);

		/* Per-CPU offsets and absolute values lie below the image and are not relocated. */
		if (symbol.address >= text)
			symbol.address += slide;
		err = symbol_index_add(moved, symbol.name, strlen(symbol.name), symbol.address,
				       symbol.type);
	}
	if (!err)
		err = symbol_index_seal(moved);
	if (err) {
		symbol_index_unref(moved);
		return err;
	}
	*ret = moved;
	return NULL;
}

/* Global symbols that nearly every kernel has, once. */
static const char *const compared[] = {"_stext",   "_etext",  "linux_banner", "init_task",
				       "schedule", "do_exit", "init_uts_ns",  "panic",
				       "vfs_read", "kfree",   "vsnprintf"};

static struct nunchi_error *symbols_misfit(const struct linux_given *given, const char *name,
					   uint64_t by_file, uint64_t by_kernel, const char *source)
{
	return error_create(NUNCHI_ERROR_DATA,
			    "the symbols of %s do not fit this kernel: %s is at 0x%llx by the "
			    "file, but at 0x%llx by %s",
			    given->symbols_path, name, (unsigned long long)by_file,
			    (unsigned long long)by_kernel, source);
}

/*
 * Compares the symbols with the kernel's own symbol table, if it has one and its _text proves that
 * it is of this image.
 */
static struct nunchi_error *compare_symbols(const struct linux_given *given,
					    const struct linux_kernel *kernel,
					    const struct kallsyms *own)
{
	uint64_t addresses[ARRAY_SIZE(compared)], text = 0;
	const char *const start = "_text";
	struct nunchi_error *err = kallsyms_lookup(own, &start, 1, &text);

	if (!err && text != kernel->text_virtual)
		return NULL;
	if (!err)
		err = kallsyms_lookup(own, compared, ARRAY_SIZE(compared), addresses);
	for (size_t i = 0; !err && i < ARRAY_SIZE(compared); i++) {
		uint64_t address;
		size_t at;

		if (!addresses[i] || !symbol_index_find(kernel->symbols, compared[i], &at))
			continue;
		address = symbol_index_get(kernel->symbols, at).address;
		if (address != addresses[i])
			return error_hint(
			    symbols_misfit(given, compared[i], address, addresses[i],
					   "the kernel's own symbol table"),
			    "leave --symbols out: this kernel has symbols of its own");
	}
	return err;
}

/* Compares the place of the banner for a kernel that has no symbol table. */
static struct nunchi_error *compare_banner(const struct linux_given *given,
					   const struct linux_kernel *kernel,
					   const struct linux_banner *banner)
{
	uint64_t address;
	size_t at;

	if (!banner->address || !symbol_index_find(kernel->symbols, "linux_banner", &at))
		return NULL;
	address = symbol_index_get(kernel->symbols, at).address;
	if (address == banner->address)
		return NULL;
	return error_hint(
	    symbols_misfit(given, "linux_banner", address, banner->address, "its text in memory"),
	    "give the System.map of exactly this build: %s", banner->text);
}

struct nunchi_error *linux_given_symbols(struct linux_given *given, struct linux_kernel *kernel,
					 const struct kernel_image *rodata,
					 const struct linux_banner *banner)
{
	struct kallsyms *own = NULL;
	struct nunchi_error *err = relocate(kernel, given->map, &kernel->symbols);

	if (err)
		return err;
	err = kallsyms_find(rodata, &own);
	if (!err)
		err = compare_symbols(given, kernel, own);
	else if (!error_is(err, NUNCHI_ERROR_NOMEM)) {
		nunchi_error_destroy(err);
		err = compare_banner(given, kernel, banner);
	}
	kallsyms_destroy(own);
	return err;
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* Gets the build id of the kernel: from its notes, or from a VMCOREINFO note that fits it. */
static bool kernel_build_id(const struct linux_kernel *kernel, const struct kernel_image *rodata,
			    const struct target *target, struct build_id *ret)
{
	uint64_t start = kernel->symbol[LINUX_start_notes], end = kernel->symbol[LINUX_stop_notes];
	struct vmcoreinfo info;
	uint64_t stext;
	const char *text;
	size_t size;

	if (start && end > start && end - start <= MAX_NOTES && start >= rodata->address.v &&
	    end - rodata->address.v <= rodata->size &&
	    build_id_from_notes(rodata->data + (start - rodata->address.v), end - start, ret))
		return true;
	return target->vmcoreinfo &&
	       vmcoreinfo_parse(target->vmcoreinfo, target->vmcoreinfo_size, &info) &&
	       vmcoreinfo_symbol(&info, "_stext", &stext) && stext == kernel->symbol[LINUX_stext] &&
	       vmcoreinfo_get(&info, "BUILD-ID", &text, &size) && build_id_parse(text, size, ret);
}

/* The state of a comparison of types with a kernel. */
struct fit {
	const struct linux_given *given;
	struct linux_kernel *kernel;
	struct build_id id; /* the kernel's; size 0: unknown */
};

/* Adds the next step to the error. */
static struct nunchi_error *misfit_hint(const struct fit *fit, struct nunchi_error *err)
{
	const struct build_id *id = &fit->id;

	if (fit->kernel->symbol[LINUX_start_btf])
		return error_hint(err, "leave --types out: this kernel has types of its own (BTF)");
	if (id->size && build_id_equal(id, &fit->given->types_id))
		return error_hint(err,
				  "the build id is the kernel's: gcc's RANDSTRUCT shuffles fields "
				  "and leaves DWARF as it was, so that this kernel's types cannot "
				  "be known");
	if (id->size)
		return error_hint(err,
				  "give the types of exactly this build: debuginfod-find debuginfo "
				  "%s, or the distribution's package of debugging symbols",
				  build_id_spell(id).text);
	return error_hint(err, "give the types of exactly this build: %s", fit->kernel->banner);
}

static struct nunchi_error *misfit(const struct fit *fit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static struct nunchi_error *misfit(const struct fit *fit, const char *format, ...)
{
	_cleanup_buffer_ struct buffer why = {.limit = 1024};
	va_list args;

	va_start(args, format);
	buffer_vprintf(&why, format, args);
	va_end(args);
	return misfit_hint(fit, error_create(NUNCHI_ERROR_DATA,
					     "the types of %s do not fit this kernel: %s",
					     fit->given->types_path, buffer_string(&why)));
}

static struct nunchi_error *compare_build_ids(const struct fit *fit)
{
	const struct build_id *id = &fit->given->types_id;

	if (!fit->id.size || !id->size || build_id_equal(&fit->id, id))
		return NULL;
	return misfit(fit, "the build id of the file is %s, the kernel's is %s",
		      build_id_spell(id).text, build_id_spell(&fit->id).text);
}

/*
 * Looks for the name of the first task where these types do not have it. Only that proves that the
 * types are wrong: memory of a kernel that runs no more may be overwritten.
 */
static struct nunchi_error *find_name_elsewhere(const struct fit *fit, uint64_t task)
{
	unsigned offset = (unsigned)linux_layout(fit->kernel, LAYOUT_GROUP_task)->task_comm.offset;
	_cleanup_free_ uint8_t *bytes = malloc(MAX_TASK);
	const uint8_t *found;

	if (!bytes)
		return &error_nomem;
	if (linux_read(fit->kernel, task, bytes, MAX_TASK) != READ_OK)
		return NULL;
	found = memmem(bytes, MAX_TASK, swapper, sizeof(swapper) - 1);
	if (!found)
		return NULL;
	return misfit(fit,
		      "init_task.comm is not \"%s\" at offset %u, where the file has it; this "
		      "kernel has it at offset %u",
		      swapper, offset, (unsigned)(found - bytes));
}

/* Checks what holds for the first task of every kernel at any time. */
static struct nunchi_error *compare_init_task(const struct fit *fit)
{
	struct linux_kernel *kernel = fit->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_task);
	const struct {
		const char *name;
		const struct field *field;
		bool is_self;
	} fields[] = {
	    {"real_parent", &layout->task_real_parent, true},
	    {"group_leader", &layout->task_group_leader, true},
	    {"pid", &layout->task_pid, false},
	};
	uint64_t address = kernel->symbol[LINUX_init_task], value;
	char name[sizeof(swapper) - 1];

	if (!address)
		return NULL;
	if (!layout->task_comm.present)
		return misfit(fit, "it has no task_struct.comm");
	if (linux_read(kernel, address + layout->task_comm.offset, name, sizeof(name)) != READ_OK)
		return NULL;
	if (memcmp(name, swapper, sizeof(name)))
		return find_name_elsewhere(fit, address);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].field->present &&
		    linux_read_field(kernel, address, fields[i].field, &value) == READ_OK &&
		    value != (fields[i].is_self ? address : 0))
			return misfit(fit, "init_task.%s is 0x%llx by these types, which is not %s",
				      fields[i].name, (unsigned long long)value,
				      fields[i].is_self ? "init_task itself" : "0");
	}
	return NULL;
}

/* Loads the types once. */
static struct nunchi_error *load_types(struct linux_given *given)
{
	return given->types ? NULL
			    : error_context(type_index_from_fd(given->types_fd, given->types_path,
							       &given->types),
					    "types file");
}

struct nunchi_error *linux_given_types(struct linux_given *given, struct linux_kernel *kernel,
				       const struct kernel_image *rodata,
				       const struct target *target)
{
	struct fit fit = {.given = given, .kernel = kernel};
	struct nunchi_error *err;

	if (!kernel_build_id(kernel, rodata, target, &fit.id))
		fit.id.size = 0;
	err = compare_build_ids(&fit);
	if (!err)
		err = load_types(given);
	if (err)
		return err;
	kernel->types = type_index_ref(given->types);
	if (type_index_word_size(kernel->types) != kernel->word_size)
		return misfit(&fit, "its pointers have %u bytes, the kernel's have %u",
			      type_index_word_size(kernel->types), kernel->word_size);
	return compare_init_task(&fit);
}
