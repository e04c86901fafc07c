/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Linux as one of the operating systems of guest/guest.h. */
#include "guest/linux/attach.h"
#include "guest/linux/cache.h"
#include "guest/linux/container.h"
#include "guest/linux/files.h"
#include "guest/linux/image.h"
#include "guest/linux/lookup.h"
#include "guest/linux/machine.h"
#include "guest/linux/mm.h"
#include "guest/linux/namei.h"
#include "guest/linux/names.h"
#include "guest/linux/overlay.h"
#include "guest/linux/task.h"
#include "guest/linux/vma.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct nunchi_error *
attach(struct target *target, const struct guest_attach_options *options, struct guest_kernel **ret)
{
	struct linux_kernel *kernel;
	struct nunchi_error *err = linux_kernel_attach(target, options, &kernel);

	if (!err)
		*ret = &kernel->guest;
	return err;
}

static void destroy(struct guest_kernel *guest)
{
	linux_kernel_destroy(linux_kernel_of(guest));
}

static struct nunchi_error *check(struct guest_kernel *guest, struct target *target, bool thorough)
{
	return linux_kernel_check(linux_kernel_of(guest), target, thorough);
}

/* ---- Facts ----------------------------------------------------------------------------------- */

struct facts {
	void (*fact)(const struct nunchi_fact *fact, void *data);
	void *data;
};

static void give(const struct facts *facts, const char *topic, const char *name, const char *value,
		 const char *evidence)
{
	struct nunchi_fact fact = {topic, name, value, evidence};

	facts->fact(&fact, facts->data);
}

static void give_kaslr(const struct facts *facts, const struct linux_kernel *kernel)
{
	char value[128];

	if (kernel->scattered) {
		snprintf(value, sizeof(value), "virtual +0x%llx",
			 (unsigned long long)(kernel->text_virtual - LINUX_KERNEL_MAP - 0x1000000));
		give(facts, "kernel", "kaslr", value, "shift from where it is linked to run");
	} else if (kernel->word_size == 8) {
		/* CONFIG_PHYSICAL_START of every distribution's x86-64 kernel is 16 MiB. */
		snprintf(value, sizeof(value), "virtual +0x%llx, physical %+lld MiB",
			 (unsigned long long)(kernel->text_virtual - LINUX_KERNEL_MAP - 0x1000000),
			 ((long long)kernel->text_physical - 0x1000000) / (1 << 20));
		give(facts, "kernel", "kaslr", value, "shifts from where it is linked to run");
	}
}

static void give_facts(struct guest_kernel *guest,
		       void (*fact)(const struct nunchi_fact *fact, void *data), void *data)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct x86_paging *paging = address_space_paging(guest->space);
	const struct facts facts = {fact, data};
	char value[128];

	linux_kernel_note_missing(kernel);
	for (size_t i = 0; i < kernel->fact_count; i++)
		give(&facts, kernel->facts[i].topic, kernel->facts[i].name, kernel->facts[i].value,
		     kernel->facts[i].evidence);
	if (kernel->facts_lost)
		give(&facts, "missing", "facts", "some, as memory ran out", NULL);
	snprintf(value, sizeof(value), "%s, root 0x%llx", x86_mode_string(paging->mode),
		 (unsigned long long)paging->root.v);
	give(&facts, "kernel", "paging", value, NULL);
	snprintf(value, sizeof(value), "virtual 0x%llx, %s 0x%llx",
		 (unsigned long long)kernel->text_virtual,
		 kernel->scattered ? "its first page at machine address" : "physical",
		 (unsigned long long)kernel->text_physical);
	give(&facts, "kernel", "image", value,
	     kernel->scattered ? "scattered over machine frames, as a PV guest's memory is" : NULL);
	give_kaslr(&facts, kernel);
	if (kernel->symbols_missing)
		give(&facts, "missing", "symbols", kernel->symbols_missing,
		     "give the kernel's System.map with --symbols");
	if (kernel->types_missing)
		give(&facts, "missing", "types", kernel->types_missing,
		     "give a BTF file, vmlinux or ISF with --types");
}

/* ---- Symbols and types ----------------------------------------------------------------------- */

static struct nunchi_error *symbols(struct guest_kernel *guest, struct symbol_index **ret)
{
	return linux_symbols(linux_kernel_of(guest), ret);
}

static struct nunchi_error *symbol_find(struct guest_kernel *guest, const char *name,
					struct guest_symbol *ret)
{
	return linux_symbol_find(linux_kernel_of(guest), name, ret);
}

static struct nunchi_error *symbol_at(struct guest_kernel *guest, uint64_t address,
				      struct guest_symbol *ret)
{
	return linux_symbol_at(linux_kernel_of(guest), address, ret);
}

static struct nunchi_error *type_find(struct guest_kernel *guest, const char *name,
				      struct guest_type *ret)
{
	return linux_type_find(linux_kernel_of(guest), name, ret);
}

/* ---- Processes ------------------------------------------------------------------------------- */

static struct nunchi_error *no_process(uint64_t pid, bool broken)
{
	return error_hint(
	    error_create(NUNCHI_ERROR_NOT_FOUND, "no process %llu%s", (unsigned long long)pid,
			 broken ? " in the list of processes, which cannot be read to its end"
				: ""),
	    "nunchi ps TARGET shows the processes");
}

/* Whether kernel->chosen is still the process pid, so that no search is needed. */
static bool is_chosen(struct linux_kernel *kernel, uint64_t pid)
{
	const struct layout *layout = &kernel->layout;
	const struct object *task = &kernel->chosen;

	return task->size && object_u64(task, &layout->task_pid) == pid &&
	       linux_task_is_same(kernel, task) &&
	       linux_list_holds(kernel, task->address + layout->task_tasks.offset);
}

/* Finds the process with this id and copies its task_struct into kernel->chosen. */
static struct nunchi_error *find_process(struct linux_kernel *kernel, uint64_t pid)
{
	const struct number_filter wanted = NUMBER_FILTER_EQUAL((int64_t)pid);
	struct linux_tasks walk;
	struct nunchi_error *err;
	bool found, broken;

	if (pid > INT32_MAX)
		return no_process(pid, false);
	if (is_chosen(kernel, pid))
		return NULL;
	err = linux_tasks_init(&walk, kernel, &wanted);
	if (err)
		return err;
	found = linux_tasks_next(&walk, &kernel->chosen);
	broken = walk.list.broken;
	linux_tasks_deinit(&walk);
	if (!found && cancel_requested(kernel->guest.cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	return found ? NULL : no_process(pid, broken);
}

static struct nunchi_error *process_space(struct guest_kernel *guest, uint64_t pid,
					  struct address_space **ret)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = find_process(kernel, pid);
	uint64_t mm, pgd;

	if (err)
		return err;
	mm = object_u64(&kernel->chosen, &kernel->layout.task_mm);
	if (kernel->layout.task_mm.present && !mm)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "process %llu has no memory of its own (a kernel thread, or "
				    "its first thread has ended)",
				    (unsigned long long)pid);
	if (linux_read_field(kernel, mm, &kernel->layout.mm_pgd, &pgd) != READ_OK ||
	    linux_mm_space(kernel, pgd, ret) != READ_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, mm,
				       "the page table of process %llu cannot be reached",
				       (unsigned long long)pid);
	return NULL;
}

static struct nunchi_error *process_piece(struct guest_kernel *guest, uint64_t pid,
					  uint64_t address, void *buffer, size_t size,
					  uint64_t *ret_size, enum read_result *ret)
{
	struct address_space *space;
	struct nunchi_error *err = process_space(guest, pid, &space);

	if (!err)
		*ret = linux_process_piece(space, address, buffer, size, ret_size);
	return err;
}

static struct nunchi_error *process_find(struct guest_kernel *guest, uint64_t pid, uint64_t *ret)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = NULL;

	/* The idle task is in no list. */
	if (!pid && !kernel->symbol[LINUX_init_task])
		return no_process(pid, false);
	if (!pid) {
		*ret = kernel->symbol[LINUX_init_task];
		return NULL;
	}
	err = find_process(kernel, pid);
	if (!err)
		*ret = kernel->chosen.address;
	return err;
}

static struct nunchi_error *per_cpu(struct guest_kernel *guest, uint64_t variable, uint64_t cpu,
				    uint64_t *ret)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	enum read_result result;
	unsigned count = 1;

	/* A kernel for one CPU has each variable once. */
	result = linux_is_smp(kernel) ? linux_cpu_count(kernel, &count) : READ_OK;
	if (result == READ_OK && cpu >= count)
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "there is no CPU %llu: the kernel has room for %u",
				    (unsigned long long)cpu, count);
	*ret = variable;
	if (result == READ_OK && linux_is_smp(kernel))
		result = linux_per_cpu(kernel, variable, (unsigned)cpu, ret);
	if (result == READ_OK)
		return NULL;
	return error_create(result == READ_NO_SYMBOL ? NUNCHI_ERROR_UNSUPPORTED
						     : NUNCHI_ERROR_FAULT,
			    "where CPU %llu has its variables cannot be read: %s",
			    (unsigned long long)cpu, read_result_string(result));
}

static bool process_stays(struct guest_kernel *guest)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);

	return linux_task_is_same(kernel, &kernel->chosen);
}

/* ---- Files ----------------------------------------------------------------------------------- */

struct linux_file {
	struct guest_file file; /* first */
	struct linux_cache cache;
};

static void file_close(struct guest_file *file)
{
	struct linux_file *own = (struct linux_file *)file;

	linux_cache_deinit(&own->cache);
	free(own);
}

/* Finds the struct file of a descriptor of the process that was chosen. */
static struct nunchi_error *find_descriptor(struct linux_kernel *kernel, uint64_t fd, uint64_t *ret)
{
	_cleanup_object_ struct object file = {0};
	struct linux_open_file found = {0};
	struct linux_files walk;
	struct nunchi_error *err = linux_files_check(kernel);
	enum read_result result;
	bool open = false;

	if (err)
		return err;
	result = linux_task_files(&walk, kernel, &kernel->chosen);
	if (result == READ_OK) {
		open = fd < walk.count && linux_files_get(&walk, fd, &file, &found);
		result = found.result;
	}
	linux_files_deinit(&walk);
	if (result != READ_OK && result != READ_NONE)
		return error_create(NUNCHI_ERROR_FAULT,
				    "the open files of the process cannot be read: %s",
				    read_result_string(result));
	if (result == READ_NONE && !open && linux_task_has_other_threads(kernel, &kernel->chosen))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "the first thread of the process has ended, and gave up its "
				    "open files; those of its other threads are not looked at");
	if (!open)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "the process has no descriptor %llu",
				    (unsigned long long)fd);
	*ret = found.file;
	return NULL;
}

/* Opens the file with this inode, or the one below it. */
static struct nunchi_error *open_inode(struct linux_kernel *kernel, uint64_t inode,
				       struct guest_file **ret)
{
	struct nunchi_error *err = linux_real_inode(kernel, inode, &inode);
	struct linux_file *own;

	if (err)
		return err;
	own = calloc(1, sizeof(*own));
	if (!own)
		return &error_nomem;
	err = linux_cache_init(&own->cache, kernel, inode, S_IFREG);
	if (err) {
		file_close(&own->file);
		return err;
	}
	own->file.size = own->cache.size;
	*ret = &own->file;
	return NULL;
}

/* Opens the file of a struct file. */
static struct nunchi_error *open_opened(struct linux_kernel *kernel, uint64_t file,
					struct guest_file **ret)
{
	enum read_result result;
	uint64_t inode;

	result = linux_read_field(kernel, file, &kernel->layout.file_inode, &inode);
	if (result != READ_OK)
		return error_create(NUNCHI_ERROR_FAULT, "the open file cannot be read: %s",
				    read_result_string(result));
	return open_inode(kernel, inode, ret);
}

static struct nunchi_error *file_open(struct guest_kernel *guest, uint64_t pid, uint64_t fd,
				      struct guest_file **ret)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = find_process(kernel, pid);
	uint64_t file;

	if (!err)
		err = find_descriptor(kernel, fd, &file);
	return err ? err : open_opened(kernel, file, ret);
}

static struct nunchi_error *mapped_open(struct guest_kernel *guest, uint64_t pid, uint64_t address,
					struct guest_file **ret)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = find_process(kernel, pid);
	enum read_result result;
	uint64_t file = 0;

	if (!err)
		err = linux_mappings_check(kernel);
	if (err)
		return err;
	result = linux_vma_file(kernel, object_u64(&kernel->chosen, &kernel->layout.task_mm),
				address, &file);
	if (result == READ_NONE || (result == READ_OK && !file))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "process %llu has no file mapped at 0x%llx",
				    (unsigned long long)pid, (unsigned long long)address);
	if (result != READ_OK)
		return error_create(NUNCHI_ERROR_FAULT,
				    "the mappings of process %llu cannot be read: %s",
				    (unsigned long long)pid, read_result_string(result));
	return open_opened(kernel, file, ret);
}

/* Finds the root directory of a process. */
static struct nunchi_error *find_root(struct linux_kernel *kernel, uint64_t pid,
				      struct linux_path *ret)
{
	struct nunchi_error *err = find_process(kernel, pid);
	enum read_result result;
	uint64_t fs;

	if (err)
		return err;
	fs = object_u64(&kernel->chosen, &kernel->layout.task_fs);
	if (kernel->layout.task_fs.present && !fs)
		return error_create(
		    NUNCHI_ERROR_NOT_FOUND, "%sprocess %llu has ended and has no root directory",
		    linux_task_has_other_threads(kernel, &kernel->chosen) ? "the first thread of "
									  : "",
		    (unsigned long long)pid);
	result = linux_fs_root(kernel, fs, ret);
	if (result != READ_OK)
		return error_create(NUNCHI_ERROR_FAULT,
				    "the root directory of process %llu cannot be read: %s",
				    (unsigned long long)pid, read_result_string(result));
	return NULL;
}

static struct nunchi_error *path_open(struct guest_kernel *guest, uint64_t pid, const char *path,
				      struct guest_file **ret)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct linux_path root;
	struct linux_found found;
	struct nunchi_error *err = find_root(kernel, pid, &root);

	if (!err)
		err = linux_find_file(kernel, &root, path, true, &found);
	return err ? err : open_inode(kernel, found.inode, ret);
}

static struct nunchi_error *name_open(struct guest_kernel *guest, const struct guest_name *name,
				      struct guest_file **ret)
{
	return open_inode(linux_kernel_of(guest), name->file, ret);
}

static struct nunchi_error *names(struct guest_kernel *guest, uint64_t pid, const char *path,
				  unsigned depth,
				  bool (*each)(const struct guest_name *name, void *data),
				  void *data)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct linux_path root;
	struct nunchi_error *err = find_root(kernel, pid, &root);

	return err ? err : linux_names(kernel, &root, path, depth, each, data);
}

static enum read_result file_page(struct guest_file *file, uint64_t number, gpa_t *ret)
{
	return linux_cache_page(&((struct linux_file *)file)->cache, number, ret);
}

const struct guest_system guest_linux = {
    .name = "Linux",
    .attach = attach,
    .destroy = destroy,
    .check = check,
    .facts = give_facts,
    .symbols = symbols,
    .symbol_find = symbol_find,
    .symbol_at = symbol_at,
    .type_find = type_find,
    .process_space = process_space,
    .process_piece = process_piece,
    .process_find = process_find,
    .container = linux_container,
    .per_cpu = per_cpu,
    .process_stays = process_stays,
    .file_open = file_open,
    .mapped_open = mapped_open,
    .path_open = path_open,
    .file_page = file_page,
    .file_close = file_close,
    .names = names,
    .name_open = name_open,
};
