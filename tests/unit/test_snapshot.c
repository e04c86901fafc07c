/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/snapshot/snapshot.h"
#include "xen_writers.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A directory for one test, and the file in it. */
struct place {
	char directory[64];
	char path[80];
};

static struct place make_place(void)
{
	struct place place;

	snprintf(place.directory, sizeof(place.directory), "%s/nunchi-test-XXXXXX",
		 writer_directory());
	assert_non_null(mkdtemp(place.directory));
	snprintf(place.path, sizeof(place.path), "%s/snapshot", place.directory);
	return place;
}

/* How many files there are, hidden ones too. */
static unsigned files_in(const struct place *place)
{
	DIR *directory = opendir(place->directory);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)))
		count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(directory);
	return count;
}

static void remove_place(const struct place *place)
{
	unlink(place->path);
	assert_int_equal(rmdir(place->directory), 0);
}

static struct target *open_path(const char *path)
{
	struct target_options options = {.sigbus_guard = true};
	struct target *target;
	struct nunchi_error *err = file_target_open(path, &options, &target);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return target;
}

static void write_ok(struct target *target, const char *path, enum nunchi_format format)
{
	struct nunchi_error *err = snapshot_write(target, path, format, NULL, NULL, NULL);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

static uint64_t blocks_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t blocks_of_path(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static const enum nunchi_format formats[] = {NUNCHI_FORMAT_ELF, NUNCHI_FORMAT_LIME,
					     NUNCHI_FORMAT_RAW};
static const char *const kinds[] = {"elf", "lime", "raw"};

/* ---- A running guest: memory in a shared file with holes ------------------------------------- */

struct live {
	struct target target;
	int fd;
};

static void live_destroy(struct target *target)
{
	close(((struct live *)target)->fd);
}

static struct nunchi_error *live_registers(struct target *target, unsigned vcpu,
					   struct x86_registers *ret)
{
	(void)target;
	*ret = (struct x86_registers){.cr0 = 0x80050033,
				      .cr3 = 0x1000 * (vcpu + 1),
				      .cr4 = 0x6f0,
				      .efer = 0xd01,
				      .has_efer = true,
				      .rip = 0xffffffff81000000 + vcpu,
				      .rsp = 0xffffffff82000000 + vcpu,
				      .has_rip = true,
				      .idt_base = 0xfffffe0000000000,
				      .has_idt = true};
	return NULL;
}

static const struct target_ops live_ops = {
    .kind = "qemu", .destroy = live_destroy, .get_registers = live_registers};

#define LIVE_SIZE  (64 * MIB)
#define LIVE_SPLIT (48 * MIB) /* the rest is RAM from 4 GiB on */
#define FOUR_GIB   (4096 * MIB)

static uint64_t live_address(uint64_t offset)
{
	return offset < LIVE_SPLIT ? offset : FOUR_GIB + offset - LIVE_SPLIT;
}

/* Some pages are written, most were never touched. */
static bool is_written(uint64_t offset)
{
	uint64_t page = offset / WRITER_PAGE;

	return page % 977 < 3 || (page > 5000 && page < 5200) ||
	       page == LIVE_SIZE / WRITER_PAGE - 1;
}

static struct target *make_live(void)
{
	struct live *live = calloc(1, sizeof(*live));
	uint8_t page[WRITER_PAGE];

	live->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(live->fd >= 0);
	assert_int_equal(ftruncate(live->fd, LIVE_SIZE), 0);
	for (uint64_t at = 0; at < LIVE_SIZE; at += WRITER_PAGE) {
		writer_fill(live_address(at), page, sizeof(page));
		if (is_written(at))
			assert_int_equal(pwrite(live->fd, page, sizeof(page), (off_t)at),
					 sizeof(page));
	}
	assert_null(target_init(&live->target, &live_ops, "qemu:test"));
	live->target.live = true;
	live->target.vcpu_count = 3;
	target_set_support(&live->target, TARGET_REGISTERS, true, "for the test");
	assert_null(memory_create(true, &live->target.memory));
	assert_null(memory_add_window(live->target.memory, gpa(0), LIVE_SPLIT, live->fd, 0,
				      MEMORY_WINDOW_LIVE));
	assert_null(memory_add_window(live->target.memory, gpa(FOUR_GIB), LIVE_SIZE - LIVE_SPLIT,
				      live->fd, LIVE_SPLIT, MEMORY_WINDOW_LIVE));
	assert_null(memory_seal(live->target.memory));
	return &live->target;
}

static void check_live_copy(struct target *copy)
{
	uint8_t page[WRITER_PAGE];
	static const uint8_t zeros[WRITER_PAGE];

	for (uint64_t at = 0; at < LIVE_SIZE; at += WRITER_PAGE) {
		if (is_written(at)) {
			saved_has(copy, live_address(at), WRITER_PAGE);
			continue;
		}
		assert_int_equal(
		    memory_read(copy->memory, gpa(live_address(at)), page, sizeof(page), NULL),
		    MEMORY_OK);
		assert_memory_equal(page, zeros, sizeof(page));
	}
}

static void test_live(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct target *live = make_live(), *copy;
		int fd = ((struct live *)live)->fd;
		uint64_t before = blocks_of(fd);
		struct place place = make_place();

		write_ok(live, place.path, formats[i]);
		/* The guest's memory has not grown, and the copy is as sparse. */
		assert_int_equal(blocks_of(fd), before);
		assert_true(blocks_of_path(place.path) < before + MIB);
		assert_int_equal(live->note_count, 0);
		assert_int_equal(files_in(&place), 1);
		copy = open_path(place.path);
		assert_string_equal(copy->ops->kind, kinds[i]);
		check_live_copy(copy);
		if (formats[i] != NUNCHI_FORMAT_RAW)
			assert_int_equal(memory_total(copy->memory), LIVE_SIZE);
		saved_lacks(copy, FOUR_GIB + LIVE_SIZE - LIVE_SPLIT, 1, MEMORY_NO_RAM);
		target_close(copy);
		target_close(live);
		remove_place(&place);
	}
}

static void test_registers(void **state)
{
	struct target *live = make_live(), *copy;
	struct place place = make_place();
	struct x86_registers registers;
	struct stat st;

	(void)state;
	live->vmcoreinfo = strdup("OSRELEASE=7.2\n");
	live->vmcoreinfo_size = 14;
	write_ok(live, place.path, NUNCHI_FORMAT_ELF);
	assert_int_equal(stat(place.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	copy = open_path(place.path);
	assert_int_equal(copy->vcpu_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_null(target_get_registers(copy, i, &registers));
		assert_int_equal(registers.cr0, 0x80050033);
		assert_int_equal(registers.cr3, 0x1000 * (i + 1));
		assert_int_equal(registers.cr4, 0x6f0);
		assert_int_equal(registers.efer, 0x500);
		assert_int_equal(registers.rip, 0xffffffff81000000 + i);
		assert_int_equal(registers.rsp, 0xffffffff82000000 + i);
		assert_int_equal(registers.idt_base, 0xfffffe0000000000);
	}
	assert_string_equal(copy->vmcoreinfo, "OSRELEASE=7.2\n");
	target_close(copy);
	target_close(live);
	remove_place(&place);
}

/* A guest in 32-bit mode stays one. */
static void test_registers_32(void **state)
{
	const struct writer_segment segment = {.address = 0x100000, .filesz = 0x1000};
	struct blob notes = {0}, blob;
	struct place place = make_place();
	struct x86_registers registers;
	struct target *source, *copy;
	uint16_t machine;
	int fd;

	(void)state;
	write_prstatus(&notes, 0, true);
	write_qemu_state(&notes, 0, 0x80050033, 0x1234000, 0x6b0);
	blob = write_elf(&(struct writer_elf){
	    .is_32 = true, .machine = EM_386, .segments = &segment, .count = 1, .notes = &notes});
	source = saved_open(&blob);
	write_ok(source, place.path, NUNCHI_FORMAT_ELF);
	fd = open(place.path, O_RDONLY);
	assert_int_equal(pread(fd, &machine, 2, offsetof(Elf64_Ehdr, e_machine)), 2);
	close(fd);
	assert_int_equal(machine, EM_386);
	copy = open_path(place.path);
	assert_null(target_get_registers(copy, 0, &registers));
	assert_int_equal(registers.cr3, 0x1234000);
	assert_int_equal(registers.efer, 0);
	assert_true(registers.has_efer);
	saved_has(copy, 0x100000, 0x1000);
	target_close(copy);
	target_close(source);
	remove_place(&place);
	blob_free(&notes);
	blob_free(&blob);
}

/* ---- Saved guests that lack something -------------------------------------------------------- */

static bool in_pairs(uint64_t pfn)
{
	return pfn < 12000;
}

static bool every_other(uint64_t pfn)
{
	return in_pairs(pfn) && pfn % 2;
}

static bool few_gaps(uint64_t pfn)
{
	return in_pairs(pfn) && pfn % 100 > 2;
}

static void check_gaps(bool (*saved)(uint64_t pfn), enum nunchi_format format, bool gaps_kept)
{
	struct blob blob =
	    write_kdump(&(struct writer_kdump){.pages = 13000, .ram = in_pairs, .saved = saved});
	struct target *source = saved_open(&blob), *copy;
	struct place place = make_place();

	write_ok(source, place.path, format);
	assert_true(saved_notes(source, place.path));
	copy = open_path(place.path);
	for (uint64_t pfn = 0; pfn < 12000; pfn++) {
		uint8_t byte = 1;

		enum memory_fault fault;

		if (saved(pfn)) {
			saved_has(copy, pfn * WRITER_PAGE, WRITER_PAGE);
			continue;
		}
		fault = memory_read(copy->memory, gpa(pfn * WRITER_PAGE), &byte, 1, NULL);
		if (gaps_kept)
			assert_int_not_equal(fault, MEMORY_OK);
		else
			assert_true(fault != MEMORY_OK || !byte);
	}
	target_close(copy);
	target_close(source);
	blob_free(&blob);
	remove_place(&place);
}

static void test_gaps(void **state)
{
	(void)state;
	check_gaps(few_gaps, NUNCHI_FORMAT_ELF, true);
	check_gaps(few_gaps, NUNCHI_FORMAT_LIME, true);
	check_gaps(few_gaps, NUNCHI_FORMAT_RAW, false);
	/* More gaps than an ELF core has room for: the later ones become zeros. */
	check_gaps(every_other, NUNCHI_FORMAT_ELF, false);
	check_gaps(every_other, NUNCHI_FORMAT_LIME, true);
}

/* RAM that ends within a page; a truncated core; a page that cannot be unpacked. */
static void test_partial(void **state)
{
	const struct writer_segment segments[] = {{.address = 0x100000, .filesz = MIB},
						  {.address = 0x300000, .filesz = MIB}};
	struct blob lime = {0},
		    elf = write_elf(&(struct writer_elf){.segments = segments, .count = 2});
	struct place place = make_place();
	struct target *source, *copy;

	(void)state;
	write_lime(&lime, 0x1000, 0x9ec00);
	source = saved_open(&lime);
	write_ok(source, place.path, NUNCHI_FORMAT_ELF);
	copy = open_path(place.path);
	saved_has(copy, 0x1000, 0x9ec00);
	target_close(copy);
	target_close(source);
	unlink(place.path);

	elf.size -= MIB / 2;
	source = saved_open(&elf);
	write_ok(source, place.path, NUNCHI_FORMAT_LIME);
	assert_true(saved_notes(source, "512 KiB are missing"));
	copy = open_path(place.path);
	saved_has(copy, 0x100000, MIB);
	saved_has(copy, 0x300000, MIB / 2);
	saved_lacks(copy, 0x300000 + MIB / 2, MIB / 2, MEMORY_NO_RAM);
	target_close(copy);
	target_close(source);
	remove_place(&place);
	blob_free(&lime);
	blob_free(&elf);
}

static void test_damaged(void **state)
{
	struct blob blob = {0};
	struct place place = make_place();
	struct target *source, *copy;

	(void)state;
	write_avml(&blob, 0x100000, 0x40000, false);
	blob.data[32 + 10 + 65536 + 8 + 100] ^= 1; /* in the second frame */
	source = saved_open(&blob);
	write_ok(source, place.path, NUNCHI_FORMAT_ELF);
	assert_true(saved_notes(source, "64 KiB of these are there, but damaged"));
	copy = open_path(place.path);
	saved_has(copy, 0x100000, 0x10000);
	saved_lacks(copy, 0x110000, 0x10000, MEMORY_NO_RAM);
	saved_has(copy, 0x120000, 0x20000);
	target_close(copy);
	target_close(source);
	remove_place(&place);
	blob_free(&blob);
}

/* ---- Failures: nothing under the final name, nothing left over ------------------------------- */

struct progress {
	unsigned calls;
	uint64_t last, total;
	bool go_on;
	bool not_whole; /* refuse the last call, when all is written */
};

static bool on_progress(uint64_t done, uint64_t total, void *data)
{
	struct progress *progress = data;

	assert_true(done >= progress->last && done <= total);
	progress->calls++;
	progress->last = done;
	progress->total = total;
	return progress->go_on && !(progress->not_whole && done == total);
}

static void test_exists(void **state)
{
	struct target *live = make_live();
	struct place place = make_place();
	FILE *file = fopen(place.path, "w");
	struct progress progress = {.go_on = true};
	struct nunchi_error *err;
	char text[8] = "";

	(void)state;
	fputs("mine", file);
	fclose(file);
	/* Said before anything is read. */
	err = snapshot_write(live, place.path, NUNCHI_FORMAT_ELF, on_progress, &progress, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	assert_non_null(strstr(nunchi_error_hint(err), "remove it"));
	assert_int_equal(progress.calls, 0);
	nunchi_error_destroy(err);
	/* Nobody is told to remove a device. */
	err = snapshot_write(live, "/dev/null", NUNCHI_FORMAT_ELF, on_progress, &progress, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	assert_null(strstr(nunchi_error_hint(err), "remove"));
	nunchi_error_destroy(err);
	file = fopen(place.path, "r");
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "mine");
	assert_int_equal(files_in(&place), 1);
	/* A link that leads nowhere is there as well. */
	unlink(place.path);
	assert_int_equal(symlink("nowhere", place.path), 0);
	err = snapshot_write(live, place.path, NUNCHI_FORMAT_RAW, NULL, NULL, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	target_close(live);
	remove_place(&place);
}

static void test_bad_places(void **state)
{
	struct target *live = make_live();
	struct nunchi_error *err;

	(void)state;
	err = snapshot_write(live, "/tmp/no/such/directory/file", NUNCHI_FORMAT_ELF, NULL, NULL,
			     NULL);
	assert_true(error_is(err, NUNCHI_ERROR_NOT_FOUND));
	assert_non_null(nunchi_error_hint(err));
	nunchi_error_destroy(err);
	err = snapshot_write(live, "/tmp/", NUNCHI_FORMAT_ELF, NULL, NULL, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	err = snapshot_write(live, "/tmp/x", (enum nunchi_format)77, NULL, NULL, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	target_close(live);
}

static void test_progress_and_cancel(void **state)
{
	struct target *live = make_live();
	struct place place = make_place();
	struct progress progress = {.go_on = true};
	struct cancel cancel = {.requested = true};
	struct nunchi_error *err;

	(void)state;
	assert_null(
	    snapshot_write(live, place.path, NUNCHI_FORMAT_RAW, on_progress, &progress, NULL));
	assert_true(progress.calls >= 1);
	assert_int_equal(progress.last, LIVE_SIZE);
	assert_int_equal(progress.total, LIVE_SIZE);
	unlink(place.path);

	progress = (struct progress){.go_on = false};
	err = snapshot_write(live, place.path, NUNCHI_FORMAT_ELF, on_progress, &progress, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	assert_int_equal(progress.calls, 1);
	assert_int_equal(files_in(&place), 0);

	progress = (struct progress){.go_on = true, .not_whole = true};
	err = snapshot_write(live, place.path, NUNCHI_FORMAT_RAW, on_progress, &progress, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	assert_int_equal(progress.last, LIVE_SIZE);
	assert_int_equal(files_in(&place), 0);
	err = snapshot_write(live, place.path, NUNCHI_FORMAT_ELF, NULL, NULL, &cancel);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	assert_int_equal(files_in(&place), 0);
	target_close(live);
	remove_place(&place);
}

/* Runs in a child, which may limit itself; gives its exit code. */
static int in_child(int (*run)(const struct place *place), const struct place *place)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(run(place));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

enum child_result { CHILD_OK, CHILD_WRONG, CHILD_LEFTOVER, CHILD_CANNOT = 77 };

/* The error must be of that errno, with a hint, and nothing may be left. */
static int expect_failure(struct target *live, const struct place *place, int errnum)
{
	struct nunchi_error *err =
	    snapshot_write(live, place->path, NUNCHI_FORMAT_RAW, NULL, NULL, NULL);
	bool right = err && nunchi_error_errno(err) == errnum && nunchi_error_hint(err) &&
		     strstr(nunchi_error_hint(err), "write elsewhere");

	nunchi_error_destroy(err);
	target_close(live);
	if (!right)
		return CHILD_WRONG;
	return files_in(place) ? CHILD_LEFTOVER : CHILD_OK;
}

static int run_limited(const struct place *place)
{
	struct rlimit limit = {MIB, MIB};
	/* Made before the limit, as its own file is larger. */
	struct target *live = make_live();

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return CHILD_CANNOT;
	return expect_failure(live, place, EFBIG);
}

static int run_full_disk(const struct place *place)
{
	if ((unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS)) ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, "") ||
	    mount("none", place->directory, "tmpfs", 0, "size=512k"))
		return CHILD_CANNOT;
	return expect_failure(make_live(), place, ENOSPC);
}

static void test_full_disk(void **state)
{
	struct place place = make_place();
	int result;

	(void)state;
	assert_int_equal(in_child(run_limited, &place), CHILD_OK);
	assert_int_equal(files_in(&place), 0);
	result = in_child(run_full_disk, &place);
	remove_place(&place);
	if (result == CHILD_CANNOT)
		skip();
	assert_int_equal(result, CHILD_OK);
}

/* Makes file systems look as if they knew no O_TMPFILE and no RENAME_NOREPLACE. */
static bool forbid_modern_calls(void)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 5, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Tries to write; true if it ends with that code (0: success) and with so many files. */
static bool ends_with(struct target *live, const struct place *place, const struct cancel *cancel,
		      int code, unsigned files)
{
	struct nunchi_error *err =
	    snapshot_write(live, place->path, NUNCHI_FORMAT_ELF, NULL, NULL, cancel);
	int got = err ? (int)nunchi_error_code(err) : 0;

	nunchi_error_destroy(err);
	return got == code && files_in(place) == files;
}

static int run_old_file_system(const struct place *place)
{
	const struct cancel cancel = {.requested = true};
	struct target *live = make_live(), *copy;
	bool right;

	if (!forbid_modern_calls())
		return CHILD_CANNOT;
	right = ends_with(live, place, &cancel, NUNCHI_ERROR_CANCELLED, 0) &&
		ends_with(live, place, NULL, 0, 1);
	if (right) {
		copy = open_path(place->path);
		check_live_copy(copy);
		target_close(copy);
		right = ends_with(live, place, NULL, NUNCHI_ERROR_ARGUMENT, 1);
	}
	target_close(live);
	return right ? CHILD_OK : CHILD_WRONG;
}

static void test_old_file_system(void **state)
{
	struct place place = make_place();
	int result = in_child(run_old_file_system, &place);

	(void)state;
	remove_place(&place);
	if (result == CHILD_CANNOT)
		skip();
	assert_int_equal(result, CHILD_OK);
}

/* ---- Guests saved by Xen --------------------------------------------------------------------- */

static uint64_t machine_frame(uint64_t i)
{
	return 0x80000 - (i / 16) * 0x100 + i % 16;
}

/* The frames stay machine frames; a format that cannot say so is refused. */
static void test_machine_frames(void **state)
{
	struct blob blob = write_xen_core(
	    &(struct writer_xen_core){.pv = true, .pages = 64, .frame = machine_frame, .vcpus = 2});
	struct target *target = saved_open(&blob), *again;
	struct place place = make_place();
	struct x86_registers registers;

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(formats); i++) {
		_cleanup_error_ struct nunchi_error *err =
		    snapshot_write(target, place.path, formats[i], NULL, NULL, NULL);

		assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
		assert_non_null(strstr(nunchi_error_hint(err), "--format elf"));
		assert_int_equal(files_in(&place), 0);
	}
	write_ok(target, place.path, NUNCHI_FORMAT_ELF);
	again = open_path(place.path);
	assert_int_equal(again->frames, TARGET_FRAMES_MACHINE);
	for (uint64_t i = 0; i < 64; i += 16)
		saved_has(again, machine_frame(i) * WRITER_PAGE, 16 * WRITER_PAGE);
	assert_int_equal(memory_total(again->memory), 64 * WRITER_PAGE);
	assert_int_equal(again->vcpu_count, 2);
	assert_null(target_get_registers(again, 1, &registers));
	assert_int_equal(registers.cr3, 0x7001000);
	assert_int_equal(registers.efer, 0x500);
	target_close(again);
	target_close(target);
	blob_free(&blob);
	remove_place(&place);
}

/* Frames of the guest's own: any format, and none of them says otherwise. */
static void test_xen_stream(void **state)
{
	struct blob blob = {0};
	struct target *target, *again;

	(void)state;
	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 16, 100, true);
	write_xen_run(&blob, 16, 100, false);
	write_hvm_context(&blob, 0, 1);
	write_xen_record(&blob, 0, NULL, 0);
	target = saved_open(&blob);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct place place = make_place();

		write_ok(target, place.path, formats[i]);
		again = open_path(place.path);
		assert_string_equal(again->ops->kind, kinds[i]);
		assert_int_equal(again->frames, TARGET_FRAMES_GUEST);
		saved_has(again, 16 * WRITER_PAGE, 100 * WRITER_PAGE);
		target_close(again);
		remove_place(&place);
	}
	target_close(target);
	blob_free(&blob);
}

/* A vCPU that is offline hides none behind it. */
static void test_offline(void **state)
{
	struct place place = make_place();
	struct x86_registers registers;
	struct target *target, *again;
	struct blob blob = {0};

	(void)state;
	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 16, 100, false);
	write_hvm_context(&blob, 2, 1);
	write_xen_record(&blob, 0, NULL, 0);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 3);
	write_ok(target, place.path, NUNCHI_FORMAT_ELF);
	again = open_path(place.path);
	assert_int_equal(again->vcpu_count, 1);
	assert_null(target_get_registers(again, 0, &registers));
	target_close(again);
	target_close(target);
	blob_free(&blob);
	remove_place(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_machine_frames), cmocka_unit_test(test_xen_stream),
	    cmocka_unit_test(test_offline),        cmocka_unit_test(test_live),
	    cmocka_unit_test(test_registers),      cmocka_unit_test(test_registers_32),
	    cmocka_unit_test(test_gaps),           cmocka_unit_test(test_partial),
	    cmocka_unit_test(test_damaged),        cmocka_unit_test(test_exists),
	    cmocka_unit_test(test_bad_places),     cmocka_unit_test(test_progress_and_cancel),
	    cmocka_unit_test(test_full_disk),      cmocka_unit_test(test_old_file_system),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
