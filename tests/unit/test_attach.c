/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding a kernel in a guest made by hand: an image with a symbol table, page tables, a
 * trampoline; and decoys of every degree beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attach_guest.h"
#include "guest/linux/identify.h"
#include "target/arrangement.h"

#include <elf.h>
#include <sys/mman.h>

static void check_found(struct guest *guest, uint64_t physical, const char *how)
{
	struct linux_kernel *kernel = found_at(guest, physical);
	bool said = false;

	for (size_t i = 0; i < kernel->fact_count; i++)
		said |= strstr(kernel->facts[i].value, how) != NULL;
	if (!said)
		fail_msg("not found by %s", how);
	linux_kernel_destroy(kernel);
}

static void refused(struct guest *guest, enum nunchi_error_code code, const char *words)
{
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err = attach_with(guest, NULL, &kernel);

	assert_non_null(err);
	assert_null(kernel);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

#define TRAMPOLINE "trampoline"
#define BOUNDARY   "the start of .data"

static void test_trampoline(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;

	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	kernel = found_at(guest, 16 * MIB);
	assert_string_equal(kernel->banner, "Linux version 6.1.0-test (a) (b) #1 SMP today");
	/* Not the trampoline's page table: the kernel's own. */
	assert_int_equal(address_space_paging(kernel->guest.space)->root.v, 16 * MIB + TOP);
	assert_int_equal(kernel->symbol[LINUX_phys_base], WRITER_BASE + PHYS_BASE);
	assert_int_equal(kernel->image_end, WRITER_BASE + IMAGE);
	assert_null(kernel->symbols_missing);
	/* There are no types in it, and that is no error. */
	assert_non_null(kernel->types_missing);
	linux_kernel_destroy(kernel);
	check_found(guest, 16 * MIB, TRAMPOLINE);
}

static void test_nothing(void **state)
{
	refused(*state, NUNCHI_ERROR_NO_KERNEL, "no Linux kernel found");
}

static void test_two_kernels(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put_trampoline(guest, 0x90000, 32 * MIB + TOP);
	refused(guest, NUNCHI_ERROR_AMBIGUOUS, "two kernels that fit equally well");
}

/* Page tables that map something large, with nothing in it. */
static void test_forged_tables(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put_tables(guest, 0x10000, 32 * MIB);
	check_found(guest, 16 * MIB, TRAMPOLINE);
	/* Nor when it is all there is. */
	memset(guest->ram + 0x98000, 0, 4096);
	memset(guest->ram + 16 * MIB + DATA, 0, 8);
	refused(guest, NUNCHI_ERROR_NO_KERNEL, "banner");
}

/* The same with a banner, as any process can have in its memory. */
/* One that maps the kernel's own image, but says that its read-only data is elsewhere. */
static void test_forged_sections(void **state)
{
	struct guest *guest = *state;
	uint64_t index = (WRITER_BASE - MAP_START) / (2 * MIB);

	put_kernel(guest, 16 * MIB);
	put(guest, 16 * MIB + DATA, 0);
	put_tables(guest, 0x10000, 16 * MIB);
	put(guest, 0x12000 + (index + 1) * 8, (18 * MIB) | P | PS | NX);
	refused(guest, NUNCHI_ERROR_NO_KERNEL, "no Linux kernel found");
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	check_found(guest, 16 * MIB, TRAMPOLINE);
	/* The kernel twice is not two kernels. */
	put(guest, 0x12000 + (index + 1) * 8, (18 * MIB) | P | PS);
	put(guest, 0x12000 + (index + 3) * 8, (22 * MIB) | P | PS | RW | NX);
	check_found(guest, 16 * MIB, TRAMPOLINE);
}

static void test_forged_banner(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put_tables(guest, 0x10000, 32 * MIB);
	strcpy((char *)guest->ram + 33 * MIB, "Linux version 9.9 (a) (b) #1 SMP never");
	check_found(guest, 16 * MIB, TRAMPOLINE);
	memset(guest->ram + 0x98000, 0, 4096);
	memset(guest->ram + 16 * MIB + DATA, 0, 8);
	refused(guest, NUNCHI_ERROR_NO_KERNEL,
		"one agrees: the image's sections in the page table");
}

/*
 * A page that any process can have, and a banner: what the page table of a 32-bit kernel says of
 * itself agrees with itself, however often it is asked.
 */
static void test_forged_32_bits(void **state)
{
	struct guest *guest = *state;

	put(guest, 0x200000 + 3 * 8, 0x201000 | P);
	for (uint64_t i = 0; i < RAM / (2 * MIB); i++)
		put(guest, 0x201000 + i * 8, (i * 2 * MIB) | P | PS | (i >= 8 && i < 12 ? 0 : RW));
	strcpy((char *)guest->ram + 18 * MIB, "Linux version 9.9 (a) (b) #1 SMP never");
	refused(guest, NUNCHI_ERROR_NO_KERNEL,
		"one agrees: the linear map, the image's sections in the page table");
}

static void *map_pages(void *data, const uint64_t *pages, size_t count, uint8_t *faults)
{
	struct guest *guest = data;
	uint8_t *map = mmap(NULL, count << PAGE_SHIFT, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < count; i++) {
		faults[i] = MEMORY_OK;
		memcpy(map + (i << PAGE_SHIFT), guest->ram + (pages[i] << PAGE_SHIFT), PAGE_SIZE);
	}
	return map;
}

static void unmap_pages(void *data, void *map, size_t count)
{
	(void)data;
	/* Nothing else comes to lie there. */
	assert_true(mmap(map, count << PAGE_SHIFT, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == map);
}

/*
 * A kernel of 32 bits with less read-only data than one window of a mapper has, as no real one:
 * what is kept of it must not be a pointer into a window, which makes room for others.
 */
static void test_small_mapped_image(void **state)
{
	static const struct memory_mapper_ops mapper_ops = {map_pages, unmap_pages, NULL};
	static const uint64_t base = 0xc1000000, rodata = 20 * MIB;
	struct guest *guest = *state;
	_cleanup_free_ struct writer_tokens *tokens = calloc(1, sizeof(*tokens));
	struct writer w = {
	    .layout = {"small", 4, WRITE_ADDRESSES, WRITE_NO_SEQS, 4, 4, .count = 600},
	    .base = base + 4 * MIB - WRITER_TABLE};
	struct linux_kernel *kernel = NULL;
	struct memory_mapper *mapper;
	struct symbol_index *symbols;
	struct nunchi_error *err;
	uint64_t value;

	w.symbols = calloc(WRITER_SYMBOLS_MAX, sizeof(*w.symbols));
	w.data = calloc(1, WRITER_SIZE);
	writer_add_symbols(&w);
	/* startup, _stext and _text. */
	for (size_t i = 0; i < 3; i++)
		w.symbols[i].address = base;
	writer_compress(&w, tokens);
	writer_put_again(&w, tokens);
	assert_true(w.end - WRITER_TABLE < 39 << PAGE_SHIFT);
	memcpy(guest->ram + rodata, w.data + WRITER_TABLE, w.end - WRITER_TABLE);
	strcpy((char *)guest->ram + rodata - 64, "Linux version 6.1.0-i686 (a) (b) #1 SMP x");
	writer_deinit(&w);
	put(guest, 0x200000 + 3 * 8, 0x201000 | P);
	for (uint64_t i = 0; i < RAM / (2 * MIB); i++)
		put(guest, 0x201000 + i * 8, (i * 2 * MIB) | P | PS | (i == 8 || i == 9 ? 0 : RW));
	put(guest, 0x201000 + 10 * 8, 0x202000 | P);
	for (uint64_t i = 0; i < 512; i++)
		put(guest, 0x202000 + i * 8,
		    (rodata + (i << PAGE_SHIFT)) | P | NX | (i < 40 ? 0 : RW));
	memory_destroy(guest->target.memory);
	assert_null(memory_create(false, &guest->target.memory));
	assert_null(memory_add_mapper(guest->target.memory, &mapper_ops, guest, &mapper));
	assert_null(memory_add_mapped(guest->target.memory, gpa(0), RAM, mapper));
	assert_null(memory_seal(guest->target.memory));
	err = attach_with(guest, NULL, &kernel);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
	memory_renew(guest->target.memory);
	for (uint64_t at = 0; at < RAM; at += MIB / 4)
		assert_int_equal(memory_read(guest->target.memory, gpa(at), &value, 8, NULL),
				 MEMORY_OK);
	assert_null(linux_symbols(kernel, &symbols));
	linux_kernel_destroy(kernel);
}

/* Where a 32-bit kernel without PAE is put: text, then data with its page directory. */
#define NARROW_TEXT (16 * MIB)
#define NARROW_DATA (24 * MIB)
#define NARROW_TOP  (NARROW_DATA + 0x1000)
#define NARROW_BASE UINT64_C(0xc0000000)

static void put_narrow(struct guest *guest, uint64_t address, uint32_t value)
{
	memcpy(guest->ram + address, &value, 4);
}

static void put_narrow_kernel(struct guest *guest)
{
	_cleanup_free_ struct writer_tokens *tokens = calloc(1, sizeof(*tokens));
	_cleanup_writer_ struct writer w = {
	    .layout = {"narrow", 4, WRITE_ADDRESSES, WRITE_NO_SEQS, 4, 4, .count = 600},
	    .base = NARROW_BASE + NARROW_TEXT};

	w.symbols = calloc(WRITER_SYMBOLS_MAX, sizeof(*w.symbols));
	w.data = calloc(1, WRITER_SIZE);
	writer_add_symbols(&w);
	writer_add(&w, 'D', NARROW_BASE + NARROW_TOP, "swapper_pg_dir");
	writer_compress(&w, tokens);
	writer_put_again(&w, tokens);
	strcpy((char *)w.data + BANNER, "Linux version 6.1.0-686 (a) (b) #1 SMP today");
	memcpy(guest->ram + NARROW_TEXT, w.data, WRITER_SIZE);
	/* The linear map, by pages of 4 MiB. */
	for (uint32_t at = 0; at < RAM; at += 4 * MIB)
		put_narrow(guest, NARROW_TOP + ((NARROW_BASE + at) >> 22) * 4,
			   at | P | PS | (at >= NARROW_TEXT && at < NARROW_DATA ? 0 : RW));
}

/* Found by a vCPU without CR4.PAE, by the note, and by its page directory alone. */
static void test_without_pae(void **state)
{
	static const struct x86_registers vcpu = {
	    .cr0 = 0x80050033, .cr3 = NARROW_TOP, .cr4 = 0x690};
	struct guest *guest = *state;
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;

	for (unsigned i = 0; i < 3; i++) {
		put_narrow_kernel(guest);
		guest->vcpus = &vcpu;
		target_set_support(&guest->target, TARGET_REGISTERS, i == 0, "test");
		if (i == 1) {
			guest->target.vmcoreinfo = calloc(1, 512);
			snprintf(
			    guest->target.vmcoreinfo, 512,
			    "OSRELEASE=6.1.0-686\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=%llx\n",
			    (unsigned long long)(NARROW_BASE + NARROW_TOP));
			guest->target.vmcoreinfo_size = strlen(guest->target.vmcoreinfo);
		} else {
			guest->target.vmcoreinfo_size = 0;
		}
		err = attach_with(guest, NULL, &kernel);
		if (err)
			fail_msg("%u: %s", i, nunchi_error_message(err));
		assert_int_equal(kernel->word_size, 4);
		assert_int_equal(kernel->text_virtual, NARROW_BASE + NARROW_TEXT);
		assert_int_equal(kernel->text_physical, NARROW_TEXT);
		assert_int_equal(address_space_paging(kernel->guest.space)->mode, X86_MODE_32BIT);
		linux_kernel_destroy(kernel);
	}
}

/* A kernel's image copied elsewhere with its variables, but tables of its own. */
static void test_copied_image(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	memcpy(guest->ram + 32 * MIB, guest->ram + 16 * MIB, IMAGE);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put_tables(guest, 0x10000, 32 * MIB);
	check_found(guest, 16 * MIB, TRAMPOLINE);
	memset(guest->ram + 0x98000, 0, 4096);
	memset(guest->ram + 16 * MIB + DATA, 0, 8);
	memset(guest->ram + 32 * MIB + DATA, 0, 8);
	refused(guest, NUNCHI_ERROR_NO_KERNEL, "these contradict it: the variable phys_base");
}

/* The page before .data, which the kernel freed: makedumpfile -d 31 leaves it out. */
#define FREED (16 * MIB + DATA - PAGE_SIZE)

static enum memory_fault read_above_freed(void *data, uint64_t offset, void *buffer, size_t size,
					  uint64_t *fault_offset)
{
	return read_ram(data, FREED + PAGE_SIZE + offset, buffer, size, fault_offset);
}

static void test_freed_page_not_saved(void **state)
{
	struct guest *guest = *state;
	struct symbol_index *symbols;
	struct linux_kernel *kernel;
	struct memory *memory;

	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	memory_destroy(guest->target.memory);
	assert_null(memory_create(false, &guest->target.memory));
	memory = guest->target.memory;
	assert_null(memory_add_reader(memory, gpa(0), FREED, read_ram, NULL, guest));
	assert_null(memory_add_missing(memory, gpa(FREED), PAGE_SIZE));
	assert_null(memory_add_reader(memory, gpa(FREED + PAGE_SIZE), RAM - FREED - PAGE_SIZE,
				      read_above_freed, NULL, guest));
	assert_null(memory_seal(memory));
	kernel = found_at(guest, 16 * MIB);
	assert_null(linux_symbols(kernel, &symbols));
	linux_kernel_destroy(kernel);
}

static void test_boundary(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	check_found(guest, 16 * MIB, BOUNDARY);
}

static unsigned maps_searched;

/* A raw file whose size suggests one arrangement; for others it would be searched for maps. */
static struct nunchi_error *arrange_sole(struct target *target, const struct target_ram *ram,
					 unsigned n, struct target_arrangement *ret)
{
	(void)target, (void)ram;
	*ret = (struct target_arrangement){.name = "flat", .sole = !n};
	maps_searched += n > 0;
	return n ? &error_not_found : NULL;
}

/* All of the memory is looked through before the file is searched for maps of RAM. */
static void test_sole_arrangement(void **state)
{
	static const struct target_ops raw_ops = {
	    .kind = "test", .get_state = get_state, .arrange = arrange_sole};
	struct guest *guest = *state;

	guest->target.ops = &raw_ops;
	put_kernel(guest, 16 * MIB);
	maps_searched = 0;
	check_found(guest, 16 * MIB, BOUNDARY);
	assert_int_equal(maps_searched, 0);
	/* Where there is none, they are what is left. */
	memset(guest->ram, 0, RAM);
	refused(guest, NUNCHI_ERROR_NO_KERNEL, "no Linux kernel found");
	assert_int_not_equal(maps_searched, 0);
}

/* Below the kernel a page of anybody's that looks like the start of .data, with tables in it. */
static void test_forged_boundary_below(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 32 * MIB);
	put(guest, 8 * MIB, MAGIC);
	put_tables(guest, 8 * MIB + 0x1000, 12 * MIB);
	check_found(guest, 32 * MIB, BOUNDARY);
}

/* A complete one is as good as the real one: an error, not a guess. */
static void test_two_boundaries(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	refused(guest, NUNCHI_ERROR_AMBIGUOUS, "two kernels that fit equally well");
}

/* What one candidate makes impossible says nothing of the others. */
static void test_huge_image(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put(guest, 0x10000 + 511 * 8, 0x11000 | P | RW);
	put(guest, 0x11000 + 510 * 8, 0x12000 | P | RW);
	for (uint64_t i = 0; i < 512; i++)
		put(guest, 0x12000 + i * 8, (i * 2 * MIB) | P | PS);
	check_found(guest, 16 * MIB, TRAMPOLINE);
}

/* Things like the start of BTF, as many as fit: each of them could cost a copy of all the rest. */
static void test_endless_types(void **state)
{
	static const uint32_t header[] = {0x0001eb9f, 24, 0, 0, 0, 0x200000};
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	for (uint64_t at = WRITER_SIZE; at + sizeof(header) <= DATA; at += sizeof(header))
		memcpy(guest->ram + 16 * MIB + at, header, sizeof(header));
	check_found(guest, 16 * MIB, TRAMPOLINE);
}

/* What a kernel says of itself in its VMCOREINFO, were it at that physical address. */
static char *note_of(uint64_t physical)
{
	char *note = calloc(1, 4096);

	snprintf(note, 4096,
		 "OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(init_top_pgt)=%llx\n"
		 "NUMBER(phys_base)=%lld\nSYMBOL(_stext)=%llx\n",
		 (unsigned long long)(WRITER_BASE + TOP),
		 (long long)(physical - (WRITER_BASE - MAP_START)),
		 (unsigned long long)WRITER_BASE);
	return note;
}

/* A kernel that neither the trampoline nor the magic leads to. */
static void put_hidden_kernel(struct guest *guest, uint64_t physical)
{
	put_kernel(guest, physical);
	put(guest, physical + DATA, 0);
}

static void test_note_handed_over(void **state)
{
	struct guest *guest = *state;

	put_hidden_kernel(guest, 16 * MIB);
	guest->target.vmcoreinfo = note_of(16 * MIB);
	guest->target.vmcoreinfo_size = strlen(guest->target.vmcoreinfo);
	check_found(guest, 16 * MIB, "the VMCOREINFO note from the file or hypervisor");
}

static void hand_over(struct guest *guest, uint64_t physical)
{
	free(guest->target.vmcoreinfo);
	guest->target.vmcoreinfo = note_of(physical);
	guest->target.vmcoreinfo_size = strlen(guest->target.vmcoreinfo);
}

/* The kernel is found there, and one note is given, which begins and ends so. */
static void check_told(struct guest *guest, uint64_t chosen, uint64_t physical, const char *note)
{
	const struct guest_attach_options options = {.cancel = &guest->cancel, .kernel = chosen};
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err = linux_kernel_attach(&guest->target, &options, &kernel);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	assert_int_equal(kernel->text_physical, physical);
	assert_int_equal(guest->target.note_count, note ? 1 : 0);
	if (note)
		assert_string_equal(guest->target.notes[0], note);
	linux_kernel_destroy(kernel);
	if (note)
		free(guest->target.notes[0]);
	free(guest->target.notes);
	guest->target.notes = NULL;
	guest->target.note_count = 0;
}

#define OTHER(place, how, own)                                                                     \
	"the memory has another kernel, at physical " place " (" how "); shown is the one at " own \
	"; --kernel " place " shows the other"
#define NOTED "the VMCOREINFO note from the file or hypervisor names it"

/* A note of another kernel refuses none, and is told. */
static void test_note_of_another(void **state)
{
	struct guest *guest = *state;

	/* One that is not there. */
	put_kernel(guest, 16 * MIB);
	hand_over(guest, 24 * MIB);
	check_told(guest, 0, 16 * MIB,
		   "the VMCOREINFO note from the file or hypervisor does not fit the kernel that "
		   "was found, at physical 0x1000000, and is left aside");
	/* One that is: without registers the note decides against the trampoline. */
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	check_told(guest, 0, 16 * MIB,
		   "the VMCOREINFO note from the file or hypervisor does not fit the kernel that "
		   "was found, at physical 0x1000000, and is left aside");
	put_hidden_kernel(guest, 32 * MIB);
	hand_over(guest, 32 * MIB);
	check_told(guest, 0, 32 * MIB,
		   OTHER("0x1000000", "the real-mode trampoline leads to it", "0x2000000"));
	/* And the vCPU against the note. */
	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
	guest->cr3 = 16 * MIB + TOP;
	check_told(guest, 0, 16 * MIB, OTHER("0x2000000", NOTED, "0x1000000"));
	hand_over(guest, 16 * MIB);
	check_told(guest, 0, 16 * MIB, NULL);
}

static void test_note_in_memory(void **state)
{
	struct guest *guest = *state;
	_cleanup_free_ char *real = note_of(16 * MIB), *forged = note_of(40 * MIB);

	put_hidden_kernel(guest, 16 * MIB);
	/* Any process can have pages that look like it. */
	for (uint64_t page = 0x400000; page < 0x500000; page += PAGE_SIZE)
		memcpy(guest->ram + page, forged, 4096);
	memcpy(guest->ram + 8 * MIB, real, 4096);
	check_found(guest, 16 * MIB, "a VMCOREINFO page found in memory");
	/* In the middle of a page it is none. */
	memset(guest->ram + 8 * MIB, 0, 4096);
	memcpy(guest->ram + 8 * MIB + 512, real, 2048);
	refused(guest, NUNCHI_ERROR_NO_KERNEL, "no Linux kernel found");
}

/*
 * A made-up note leads to the page table of a process, which maps the kernel as the kernel's own
 * does, before the real note does: what it says wrongly else is nothing against the kernel.
 */
static void test_forged_note_and_process(void **state)
{
	struct guest *guest = *state;
	_cleanup_free_ char *real = note_of(16 * MIB), *forged = note_of(40 * MIB);
	char *stext = strstr(forged, "SYMBOL(_stext)=") + strlen("SYMBOL(_stext)=");

	put_hidden_kernel(guest, 16 * MIB);
	memcpy(guest->ram + 40 * MIB + TOP, guest->ram + 16 * MIB + TOP, 4096);
	stext[strlen(stext) - 3] ^= 1;
	memcpy(guest->ram + 4 * MIB, forged, 4096);
	memcpy(guest->ram + 8 * MIB, real, 4096);
	check_found(guest, 16 * MIB, "a VMCOREINFO page found in memory");
}

/* Five levels: one table more at the top. */
static void test_five_levels(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;

	put_kernel(guest, 16 * MIB);
	/* The kernel's own is the fifth level's: the symbol leads there. */
	memcpy(guest->ram + 16 * MIB + TOP + 0x8000, guest->ram + 16 * MIB + TOP, 4096);
	put(guest, 16 * MIB + TOP + 511 * 8, (16 * MIB + TOP + 0x8000) | P | RW);
	put(guest, 0x98000 + 511 * 8, (16 * MIB + TOP + 0x8000) | P | RW);
	kernel = found_at(guest, 16 * MIB);
	assert_int_equal(address_space_paging(kernel->guest.space)->mode, X86_MODE_5LEVEL);
	linux_kernel_destroy(kernel);
}

static void test_registers(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put_trampoline(guest, 0x90000, 32 * MIB + TOP);
	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
	/* The vCPU says which of them runs. */
	guest->cr3 = 32 * MIB + TOP;
	check_found(guest, 32 * MIB, "CR3");
	/* In user mode with page-table isolation: CR3 has the page next to the kernel's half. */
	put_tables(guest, 48 * MIB, 32 * MIB);
	guest->cr3 = 48 * MIB + 0x1000;
	check_found(guest, 32 * MIB, "kernel half");
}

/* Without kallsyms there is not enough to go by; with the symbols in a file there is. */
static void test_symbols_from_file(void **state)
{
	struct guest *guest = *state;
	char path[] = "/tmp/nunchi-test-map-XXXXXX";
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;
	FILE *file;
	int fd;

	put_kernel(guest, 16 * MIB);
	memset(guest->ram + 16 * MIB + WRITER_TABLE, 0, WRITER_SIZE - WRITER_TABLE);
	refused(guest, NUNCHI_ERROR_NO_KERNEL,
		"one agrees: the image's sections in the page table");
	fd = mkstemp(path);
	file = fdopen(fd, "w");
	/* As it was linked. */
	fprintf(file,
		"0000000000000010 A percpu_variable\n"
		"ffffffff81000000 T _text\n"
		"ffffffff81000000 T _stext\n"
		"%llx D linux_banner\n%llx D phys_base\n%llx D init_top_pgt\n",
		0xffffffff81000000ull + BANNER, 0xffffffff81000000ull + PHYS_BASE,
		0xffffffff81000000ull + TOP);
	fclose(file);
	err = attach_with(guest, path, &kernel);
	unlink(path);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
	assert_int_equal(kernel->text_physical, 16 * MIB);
	assert_int_equal(kernel->symbol[LINUX_phys_base], WRITER_BASE + PHYS_BASE);
	linux_kernel_destroy(kernel);
}

/* A System.map of another kernel agrees with nothing. */
static void test_wrong_symbols(void **state)
{
	struct guest *guest = *state;
	char path[] = "/tmp/nunchi-test-map-XXXXXX";
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;
	FILE *file;

	put_kernel(guest, 16 * MIB);
	file = fdopen(mkstemp(path), "w");
	fprintf(file, "ffffffff81000000 T _text\n%llx D phys_base\n%llx D init_top_pgt\n",
		0xffffffff81000000ull + PHYS_BASE + 0x100, 0xffffffff81000000ull + TOP + 0x1000);
	fclose(file);
	err = attach_with(guest, path, &kernel);
	unlink(path);
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_NO_KERNEL);
	nunchi_error_destroy(err);
}

/* A dump of a part of the RAM: the vCPU's page table is not in it. */
static void test_root_outside(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel = NULL;

	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
	guest->target.vcpu_count = 1;
	guest->cr3 = RAM + 0x5000;
	_cleanup_error_ struct nunchi_error *err = attach_with(guest, NULL, &kernel);
	assert_true(error_is(err, NUNCHI_ERROR_NO_KERNEL));
	assert_non_null(strstr(nunchi_error_hint(err), "0x4005000 (CR3), is not in the file"));
	nunchi_error_destroy(err);
	/* The first table is there, the next is not. */
	guest->cr3 = 0x5000;
	put(guest, 0x5000 + 511 * 8, (RAM + 0x7000) | P | RW);
	err = attach_with(guest, NULL, &kernel);
	assert_non_null(strstr(nunchi_error_hint(err), "0x4007000, is not in the file"));
}

/* Sets AMD's C-bit in all entries of a kernel's tables, as SME and a dump of its host have it. */
static void encrypt(struct guest *guest, uint64_t table, uint64_t bit)
{
	for (uint64_t at = table; at < table + 0x3000; at += 8) {
		uint64_t entry;

		memcpy(&entry, guest->ram + at, 8);
		if (entry & P)
			put(guest, at, entry | bit);
	}
}

static void test_encryption_bit(void **state)
{
	struct guest *guest = *state;

	for (unsigned shift = 43; shift <= 51; shift += 4) {
		uint64_t bit = UINT64_C(1) << shift;

		memset(guest->ram, 0, RAM);
		put_kernel(guest, 16 * MIB);
		encrypt(guest, 16 * MIB + TOP, bit);
		check_found(guest, 16 * MIB, BOUNDARY);
		put_trampoline(guest, 0x98000, 16 * MIB + TOP);
		encrypt(guest, 0x98000, bit);
		check_found(guest, 16 * MIB, TRAMPOLINE);
		target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
		guest->cr3 = (16 * MIB + TOP) | bit;
		check_found(guest, 16 * MIB, "CR3");
		target_set_support(&guest->target, TARGET_REGISTERS, false, "test");
	}
}

/* ---- A kernel that no vCPU runs -------------------------------------------------------------- */

/* As a vCPU is after a reset. */
#define RESET                                                                                      \
	{                                                                                          \
		.cr0 = 0x60000010, .rip = 0xfff0, .has_rip = true                                  \
	}

static void set_vcpus(struct guest *guest, const struct x86_registers *vcpus, unsigned count)
{
	guest->vcpus = vcpus;
	guest->target.vcpu_count = count;
	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
}

/* A kernel at 16 MiB that is found without the vCPUs. */
static void put_findable_kernel(struct guest *guest)
{
	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
}

/* It is refused, with where the vCPU is; and shown where remains are asked for, with a note. */
static void denied(struct guest *guest, const char *where)
{
	struct guest_attach_options options = {.cancel = &guest->cancel};
	struct linux_kernel *kernel = NULL;
	_cleanup_error_ struct nunchi_error *err =
	    linux_kernel_attach(&guest->target, &options, &kernel);

	assert_true(error_is(err, NUNCHI_ERROR_NO_KERNEL));
	assert_string_equal(nunchi_error_message(err), where);
	assert_non_null(strstr(nunchi_error_hint(err), "at physical 0x1000000: --remains shows"));
	assert_int_equal(guest->target.note_count, 0);
	options.remains = true;
	assert_null(linux_kernel_attach(&guest->target, &options, &kernel));
	assert_int_equal(kernel->text_physical, 16 * MIB);
	assert_true(kernel->guest.remains);
	assert_int_equal(guest->target.note_count, 1);
	assert_int_equal(strncmp(guest->target.notes[0], where, strlen(where)), 0);
	linux_kernel_destroy(kernel);
	free(guest->target.notes[0]);
	free(guest->target.notes);
	guest->target.notes = NULL;
	guest->target.note_count = 0;
}

/* It is shown, and nothing is said of it: with or without the option. */
static void not_denied(struct guest *guest, const char *how)
{
	struct guest_attach_options options = {.cancel = &guest->cancel, .remains = true};
	struct linux_kernel *kernel = NULL;

	check_found(guest, 16 * MIB, how);
	assert_null(linux_kernel_attach(&guest->target, &options, &kernel));
	assert_false(kernel->guest.remains);
	assert_int_equal(guest->target.note_count, 0);
	linux_kernel_destroy(kernel);
}

static void test_reset_vcpus(void **state)
{
	static const struct x86_registers vcpus[] = {RESET, RESET, RESET};
	struct guest *guest = *state;

	put_findable_kernel(guest);
	set_vcpus(guest, vcpus, 1);
	denied(guest, "no kernel runs: vCPU 0 is at 0xfff0, paging off");
	set_vcpus(guest, vcpus, 3);
	denied(guest, "no kernel runs: vCPU 0 is at 0xfff0, paging off; no other of the 3 vCPUs "
		      "runs one");
	/* Without registers nothing is known. */
	target_set_support(&guest->target, TARGET_REGISTERS, false, "test");
	not_denied(guest, TRAMPOLINE);
}

/* In a firmware with page tables; and in a kernel that is only beginning. */
static void test_vcpu_elsewhere(void **state)
{
	struct x86_registers vcpus[] = {RESET, PAGED(0x5000)};
	struct guest *guest = *state;

	put_findable_kernel(guest);
	set_vcpus(guest, vcpus, 2);
	denied(guest, "no kernel runs: vCPU 1 is under the page table at physical 0x5000, which is "
		      "not Linux's; no other of the 2 vCPUs runs one");
	put_tables(guest, 0x10000, 32 * MIB);
	vcpus[1].cr3 = 0x10000;
	vcpus[1].rip = WRITER_BASE + 0x10;
	vcpus[1].has_rip = true;
	denied(guest, "no kernel runs: vCPU 1 is at 0xffffffff9a600010, in an image at physical "
		      "0x2000000 that is not confirmed as a kernel; no other of the 2 vCPUs runs "
		      "one");
}

/* vCPUs that are parked, as after their INIT, beside one that runs the kernel. */
static void test_parked_vcpus(void **state)
{
	static const struct x86_registers vcpus[] = {RESET, {0}, PAGED(16 * MIB + TOP)};
	struct guest *guest = *state;

	put_findable_kernel(guest);
	set_vcpus(guest, vcpus, 3);
	not_denied(guest, "CR3");
	/* One that was never started tells nothing, and the others tell enough. */
	set_vcpus(guest, vcpus, 2);
	denied(guest, "no kernel runs: vCPU 0 is at 0xfff0, paging off");
	set_vcpus(guest, &vcpus[1], 1);
	not_denied(guest, TRAMPOLINE);
}

/* The registers of system management mode, or of which the page table is not in the file. */
static void test_unclear_vcpus(void **state)
{
	struct x86_registers vcpus[] = {RESET, RESET};
	struct guest *guest = *state;

	put_findable_kernel(guest);
	set_vcpus(guest, vcpus, 2);
	vcpus[1].in_smm = true;
	not_denied(guest, TRAMPOLINE);
	vcpus[1] = (struct x86_registers)PAGED(RAM + 0x5000);
	not_denied(guest, TRAMPOLINE);
}

static void tick(struct guest *guest)
{
	guest->ram[16 * MIB + JIFFIES]++;
}

/* A vCPU of a running guest that is elsewhere only for a moment. */
static void test_looked_at_again(void **state)
{
	struct x86_registers vcpus[] = {RESET};
	struct guest *guest = *state;

	put_findable_kernel(guest);
	guest->target.live = true;
	guest->state = TARGET_RUNNING;
	set_vcpus(guest, vcpus, 1);
	denied(guest, "no kernel runs: vCPU 0 is at 0xfff0, paging off");
	assert_true(guest->asked > 4);
	/* The kernel's clock goes on, so that it runs, whatever the registers are. */
	guest->before_registers = tick;
	not_denied(guest, TRAMPOLINE);
	/* A guest that stands still is not waited for. */
	guest->state = TARGET_PAUSED;
	guest->asked = 0;
	denied(guest, "no kernel runs: vCPU 0 is at 0xfff0, paging off");
	assert_int_equal(guest->asked, 4);
}

static void back_in_kernel(struct guest *guest)
{
	static const struct x86_registers running = PAGED(16 * MIB + TOP);

	if (guest->asked == 3)
		guest->vcpus = &running;
}

static void test_back_in_kernel(void **state)
{
	struct x86_registers vcpus[] = {RESET};
	struct guest *guest = *state;

	put_findable_kernel(guest);
	guest->target.live = true;
	guest->state = TARGET_RUNNING;
	set_vcpus(guest, vcpus, 1);
	guest->before_registers = back_in_kernel;
	not_denied(guest, TRAMPOLINE);
}

/* Remains are shown on: until they are overwritten, and not until another kernel has begun. */
static void test_remains_stay(void **state)
{
	struct x86_registers vcpus[] = {RESET};
	struct guest *guest = *state;
	const struct guest_attach_options options = {.cancel = &guest->cancel, .remains = true};
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;

	put_findable_kernel(guest);
	set_vcpus(guest, vcpus, 1);
	assert_null(linux_kernel_attach(&guest->target, &options, &kernel));
	put_tables(guest, 0x10000, 32 * MIB);
	vcpus[0] = (struct x86_registers)PAGED(0x10000);
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	memset(guest->ram + 16 * MIB + TOP, 0, 0x3000);
	memory_new_generation(guest->target.memory);
	err = linux_kernel_check(kernel, &guest->target, true);
	assert_true(error_is(err, NUNCHI_ERROR_REBOOTED));
	nunchi_error_destroy(err);
	linux_kernel_destroy(kernel);
	free(guest->target.notes[0]);
	free(guest->target.notes);
}

#define CODE 0x1000 /* in the image: HLT, where a parked vCPU stands */

/* A vCPU halted in the kernel at that address, with interrupts off. */
static struct x86_registers parked_in(struct guest *guest, uint64_t physical)
{
	guest->ram[physical + CODE] = 0xf4;
	return (struct x86_registers){.has_rip = true,
				      .has_general = true,
				      .rip = WRITER_BASE + CODE + 1,
				      .rflags = 0x46,
				      .cr0 = 0x80050033,
				      .cr3 = physical + TOP,
				      .cr4 = 0x6f0,
				      .efer = 0xd01};
}

#define HALTED "its vCPUs are halted with interrupts off"

/* The vCPUs are in two kernels, as while a crash kernel runs. */
static void test_vcpus_in_two_kernels(void **state)
{
	struct guest *guest = *state;
	struct x86_registers vcpus[3];

	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	vcpus[0] = vcpus[2] = parked_in(guest, 16 * MIB);
	vcpus[1] = (struct x86_registers)PAGED(32 * MIB + TOP);
	set_vcpus(guest, vcpus, 3);
	check_told(guest, 0, 32 * MIB, OTHER("0x1000000", HALTED, "0x2000000"));
	/* The user may choose the other, which then is no remains. */
	check_told(guest, 16 * MIB, 16 * MIB, OTHER("0x2000000", "vCPU 1 is in it", "0x1000000"));
	check_told(guest, 32 * MIB, 32 * MIB, OTHER("0x1000000", "vCPU 0 is in it", "0x2000000"));
	/* In any order. */
	vcpus[0] = vcpus[1];
	vcpus[1] = vcpus[2];
	check_told(guest, 0, 32 * MIB, OTHER("0x1000000", HALTED, "0x2000000"));
	/* One that waits for an interrupt, or is not halted, runs. */
	vcpus[1].rflags |= 0x200;
	refused(guest, NUNCHI_ERROR_AMBIGUOUS, "at physical 0x2000000 in one and at 0x1000000");
	vcpus[1].rflags = 0x46;
	guest->ram[16 * MIB + CODE] = 0x90;
	refused(guest, NUNCHI_ERROR_AMBIGUOUS, "two kernels that fit equally well");
	check_told(guest, 16 * MIB, 16 * MIB, OTHER("0x2000000", "vCPU 0 is in it", "0x1000000"));
	/* One of several in a kernel is enough. */
	vcpus[0] = parked_in(guest, 16 * MIB);
	vcpus[1] = parked_in(guest, 32 * MIB);
	vcpus[2] = (struct x86_registers)PAGED(16 * MIB + TOP);
	check_told(guest, 0, 16 * MIB, OTHER("0x2000000", HALTED, "0x1000000"));
	/* If all are parked, none is preferred. */
	vcpus[0] = parked_in(guest, 32 * MIB);
	vcpus[1] = vcpus[2] = parked_in(guest, 16 * MIB);
	refused(guest, NUNCHI_ERROR_AMBIGUOUS, "two kernels that fit equally well");
	set_vcpus(guest, vcpus, 1);
	check_told(guest, 0, 32 * MIB, NULL);
}

/* All vCPUs of a kernel are parked, and one is on the way to another kernel, after a kexec. */
static void test_parked_only(void **state)
{
	struct guest *guest = *state;
	struct x86_registers vcpus[2];

	put_kernel(guest, 16 * MIB);
	vcpus[0] = vcpus[1] = parked_in(guest, 16 * MIB);
	set_vcpus(guest, vcpus, 2);
	/* A kernel that halted, also beside a vCPU that was not started. */
	not_denied(guest, "CR3");
	vcpus[0] = (struct x86_registers)RESET;
	not_denied(guest, "CR3");
	vcpus[0].rip = 0x9000;
	denied(guest, "no kernel runs: vCPU 0 is at 0x9000, paging off");
	put_tables(guest, 0x10000, 32 * MIB);
	vcpus[0] = (struct x86_registers)PAGED(0x10000);
	denied(guest, "no kernel runs: vCPU 0 is in an image at physical 0x2000000 that is not "
		      "confirmed as a kernel");
	vcpus[1].rflags |= 0x200;
	not_denied(guest, "CR3");
}

/* The crash kernel of a large guest, on the last of its vCPUs. */
static void test_many_vcpus(void **state)
{
	enum { COUNT = 200 };
	struct guest *guest = *state;
	struct x86_registers *vcpus = calloc(COUNT, sizeof(*vcpus));

	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	for (size_t i = 0; i < COUNT; i++)
		vcpus[i] = parked_in(guest, 16 * MIB);
	vcpus[COUNT - 1] = (struct x86_registers)PAGED(32 * MIB + TOP);
	set_vcpus(guest, vcpus, COUNT);
	check_told(guest, 0, 32 * MIB, OTHER("0x1000000", HALTED, "0x2000000"));
	free(vcpus);
}

/* The kernel that the user chose is shown on, though a vCPU runs another. */
static void test_chosen_stays(void **state)
{
	struct guest *guest = *state;
	const struct guest_attach_options options = {.cancel = &guest->cancel, .kernel = 16 * MIB};
	struct linux_kernel *kernel = NULL;
	struct x86_registers vcpus[2];

	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	vcpus[0] = parked_in(guest, 16 * MIB);
	vcpus[1] = (struct x86_registers)PAGED(32 * MIB + TOP);
	set_vcpus(guest, vcpus, 2);
	assert_null(linux_kernel_attach(&guest->target, &options, &kernel));
	assert_int_equal(kernel->text_physical, 16 * MIB);
	assert_false(kernel->guest.remains);
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	linux_kernel_destroy(kernel);
	free(guest->target.notes[0]);
	free(guest->target.notes);
}

/* Another is chosen than the one that a vCPU runs. */
static void test_chosen_kernel(void **state)
{
	struct guest_attach_options options = {.kernel = 16 * MIB};
	struct guest *guest = *state;
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;

	options.cancel = &guest->cancel;
	put_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
	guest->cr3 = 32 * MIB + TOP;
	assert_null(linux_kernel_attach(&guest->target, &options, &kernel));
	assert_int_equal(kernel->text_physical, 16 * MIB);
	assert_true(kernel->guest.remains);
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	linux_kernel_destroy(kernel);
	assert_int_equal(guest->target.note_count, 2);
	for (size_t i = 0; i < 2; i++)
		free(guest->target.notes[i]);
	free(guest->target.notes);
	options.kernel = 24 * MIB;
	err = linux_kernel_attach(&guest->target, &options, &kernel);
	assert_true(error_is(err, NUNCHI_ERROR_NO_KERNEL));
	assert_non_null(
	    strstr(nunchi_error_message(err), "no Linux kernel is at physical 0x1800000"));
	nunchi_error_destroy(err);
	/* Without registers it is found as the other is. */
	target_set_support(&guest->target, TARGET_REGISTERS, false, "test");
	guest->target.notes = NULL;
	guest->target.note_count = 0;
	refused(guest, NUNCHI_ERROR_AMBIGUOUS, "two kernels that fit equally well");
	check_told(guest, 16 * MIB, 16 * MIB, NULL);
	check_told(guest, 32 * MIB, 32 * MIB, NULL);
}

#define CORE_HEADER (3 * MIB)

/* What /proc/vmcore of a crash kernel begins with: notes of a CPU, and the crashed kernel's note.
 */
static void put_core_header(struct guest *guest, uint64_t crashed)
{
	_cleanup_free_ char *text = note_of(crashed);
	const Elf64_Ehdr header = {.e_ident = ELFMAG, .e_phoff = sizeof(header), .e_phnum = 3};
	const Elf64_Phdr segments[] = {
	    {.p_type = PT_LOAD, .p_offset = 16 * MIB},
	    {.p_type = PT_NOTE, .p_offset = CORE_HEADER + 0x1000},
	    {.p_type = PT_NOTE, .p_offset = CORE_HEADER + 0x2000},
	};
	const Elf64_Nhdr note = {.n_namesz = 11, .n_descsz = (uint32_t)strlen(text)};
	uint8_t *at = guest->ram + CORE_HEADER;

	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), segments, sizeof(segments));
	memcpy(at + 0x1000, "\5\0\0\0\0\0\0\0\1\0\0\0CORE", 16);
	memcpy(at + 0x2000, &note, sizeof(note));
	memcpy(at + 0x2000 + sizeof(note), "VMCOREINFO\0", 12);
	memcpy(at + 0x2000 + sizeof(note) + 12, text, strlen(text));
}

/* A crash kernel says by its arguments which kernel crashed. */
static void test_crash_kernel(void **state)
{
	static const char crashed[] =
	    OTHER("0x1000000", "it crashed, and the one shown is its crash kernel", "0x2000000");
	static const struct {
		const char *line, *note;
	} cases[] = {
	    {"root=/dev/vda elfcorehdr=0x300000 nr_cpus=1", crashed},
	    {"elfcorehdr=3072K", crashed},
	    {"elfcorehdr=4K@3M quiet", crashed},
	    {"noelfcorehdr=0x300000", NULL},
	    {"noelfcorehdr=9 elfcorehdr=0x300000", crashed},
	    {"elfcorehdr=", NULL},
	    {"elfcorehdr=0x400000", NULL},
	    {"elfcorehdr=0xffffffffffffff00", NULL},
	    {"quiet", NULL},
	};
	struct guest *guest = *state;

	put_hidden_kernel(guest, 16 * MIB);
	put_kernel(guest, 32 * MIB);
	put_trampoline(guest, 0x98000, 32 * MIB + TOP);
	put_core_header(guest, 16 * MIB);
	put(guest, 32 * MIB + LINE, WRITER_BASE + LINE_TEXT);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcpy((char *)guest->ram + 32 * MIB + LINE_TEXT, cases[i].line);
		check_told(guest, 0, 32 * MIB, cases[i].note);
	}
	/* Where the header leads to nothing, and where it is of this kernel. */
	strcpy((char *)guest->ram + 32 * MIB + LINE_TEXT, cases[0].line);
	put_core_header(guest, 24 * MIB);
	check_told(guest, 0, 32 * MIB, NULL);
	put_core_header(guest, 32 * MIB);
	check_told(guest, 0, 32 * MIB, NULL);
}

/* Nothing is in the memory: where the vCPU is, is said as well. */
static void test_nothing_yet(void **state)
{
	static const struct x86_registers vcpus[] = {RESET};
	struct guest *guest = *state;
	struct linux_kernel *kernel = NULL;

	guest->target.live = true;
	guest->state = TARGET_RUNNING;
	set_vcpus(guest, vcpus, 1);
	_cleanup_error_ struct nunchi_error *err = attach_with(guest, NULL, &kernel);
	assert_true(error_is(err, NUNCHI_ERROR_NO_KERNEL));
	assert_non_null(strstr(nunchi_error_hint(err),
			       "vCPU 0 is at 0xfff0, paging off: a guest that is still in its "
			       "firmware"));
}

static void test_cancel(void **state)
{
	struct guest *guest = *state;

	cancel_request(&guest->cancel);
	refused(guest, NUNCHI_ERROR_CANCELLED, "cancelled");
}

/* ---- A running guest that is no longer what it was ------------------------------------------- */

static struct linux_kernel *attach_live(struct guest *guest)
{
	guest->target.live = true;
	guest->state = TARGET_RUNNING;
	guest->cr3 = 16 * MIB + TOP;
	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
	put_kernel(guest, 16 * MIB);
	return found_at(guest, 16 * MIB);
}

static void changed(struct guest *guest, struct linux_kernel *kernel, bool thorough,
		    enum nunchi_error_code code, const char *words)
{
	struct nunchi_error *err;

	memory_new_generation(guest->target.memory);
	err = linux_kernel_check(kernel, &guest->target, thorough);
	assert_non_null(err);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static void test_still_the_same(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel = attach_live(guest);

	assert_null(linux_kernel_check(kernel, &guest->target, true));
	assert_null(linux_kernel_check(kernel, &guest->target, false));
	/* In its firmware, in a guest of its own: nothing is said against it. */
	guest->cr3 = 0x2000;
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	linux_kernel_destroy(kernel);
}

static void test_ended(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel = attach_live(guest);

	/* Its memory can still be read. */
	guest->state = TARGET_ENDED;
	changed(guest, kernel, true, NUNCHI_ERROR_GONE, "ended");
	linux_kernel_destroy(kernel);
}

static void test_reset(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;

	guest->target.reset_count = 3; /* before */
	kernel = attach_live(guest);
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	guest->target.reset_count++;
	changed(guest, kernel, true, NUNCHI_ERROR_REBOOTED, "reset");
	linux_kernel_destroy(kernel);
}

/* After kexec the old image is still there, whole. */
static void test_kexec(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel = attach_live(guest);

	put_kernel(guest, 40 * MIB);
	guest->cr3 = 40 * MIB + TOP;
	changed(guest, kernel, true, NUNCHI_ERROR_REBOOTED, "another kernel");
	linux_kernel_destroy(kernel);
}

/* The kernel panicked, and its crash kernel runs: one vCPU is left behind, halted. */
static void test_crashed(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel = attach_live(guest);
	struct x86_registers vcpus[2];

	vcpus[0] = vcpus[1] = parked_in(guest, 16 * MIB);
	set_vcpus(guest, vcpus, 2);
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	put_kernel(guest, 40 * MIB);
	vcpus[1] = parked_in(guest, 40 * MIB);
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	vcpus[1] = (struct x86_registers)PAGED(40 * MIB + TOP);
	changed(guest, kernel, true, NUNCHI_ERROR_REBOOTED, "another kernel");
	linux_kernel_destroy(kernel);
}

static void test_overwritten(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel = attach_live(guest);

	strcpy((char *)guest->ram + 16 * MIB + BANNER, "Linux version 6.1.0-tess");
	changed(guest, kernel, false, NUNCHI_ERROR_REBOOTED, "other contents");
	memset(guest->ram + 16 * MIB + TOP, 0, 0x3000);
	changed(guest, kernel, false, NUNCHI_ERROR_REBOOTED, "other contents");
	linux_kernel_destroy(kernel);
}

/* ---- Machine frames -------------------------------------------------------------------------- */

#define PAGES (IMAGE / PAGE_SIZE)
#define SMALL (DATA + 0x4000) /* its three page tables */

/* Where a byte of the image is: its pages are 16 MiB and more up, each somewhere else. */
static uint64_t scattered_at(uint64_t offset)
{
	uint64_t page = offset / PAGE_SIZE * 1021 % PAGES;

	return 16 * MIB + page * PAGE_SIZE + offset % PAGE_SIZE;
}

/* A kernel as a PV guest's: small pages alone, whose tables hold the frames of the host. */
static void put_scattered(struct guest *guest, uint64_t rodata)
{
	uint64_t index = (WRITER_BASE - MAP_START) / (2 * MIB);

	for (uint64_t at = 0; at < WRITER_SIZE; at += PAGE_SIZE)
		memcpy(guest->ram + scattered_at(at), guest->writer.data + at, PAGE_SIZE);
	put(guest, scattered_at(DATA), MAGIC);
	/* As such a kernel has it, and which says nothing of machine addresses. */
	put(guest, scattered_at(PHYS_BASE), 0);
	put(guest, scattered_at(TOP) + 511 * 8, scattered_at(POINTERS) | P | RW);
	put(guest, scattered_at(POINTERS) + 510 * 8, scattered_at(DIRECTORY) | P | RW);
	for (uint64_t i = 0; i < 3; i++)
		put(guest, scattered_at(DIRECTORY) + (index + i) * 8,
		    scattered_at(SMALL + i * PAGE_SIZE) | P | RW);
	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t at = i * PAGE_SIZE;
		uint64_t flags = at < rodata ? 0 : at < DATA ? NX : NX | RW;

		/* A table that is in use is read-only to the guest. */
		if (at >= TOP && at < TOP + 6 * PAGE_SIZE)
			flags = NX;
		/* A gap that was freed. */
		if (at >= DATA - 2 * PAGE_SIZE && at < DATA)
			continue;
		put(guest, scattered_at(SMALL + i / 512 * PAGE_SIZE) + i % 512 * 8,
		    scattered_at(at) | P | flags);
	}
	guest->target.frames = TARGET_FRAMES_MACHINE;
	target_set_support(&guest->target, TARGET_REGISTERS, true, "test");
	guest->target.vcpu_count = 1;
	guest->cr3 = scattered_at(TOP);
}

static void test_scattered(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;
	char text[64];
	uint64_t end;

	put_scattered(guest, PAGE_SIZE);
	kernel = found_at(guest, scattered_at(0));
	assert_true(kernel->scattered);
	assert_string_equal(kernel->banner, "Linux version 6.1.0-test (a) (b) #1 SMP today");
	assert_int_equal(kernel->image_end, WRITER_BASE + IMAGE);
	assert_int_equal(address_space_paging(kernel->guest.space)->root.v, scattered_at(TOP));
	assert_int_equal(linux_read(kernel, WRITER_BASE + BANNER, text, sizeof(text)), MEMORY_OK);
	assert_string_equal(text, kernel->banner);
	guest->target.live = true;
	guest->state = TARGET_RUNNING;
	assert_null(linux_kernel_check(kernel, &guest->target, true));
	/* What is taken for contiguous is wrong here. */
	assert_true(linux_image_physical(kernel, WRITER_BASE + DATA, &end));
	assert_int_equal(end, scattered_at(DATA));
	put(guest, scattered_at(TOP) + 511 * 8, 0);
	changed(guest, kernel, false, NUNCHI_ERROR_REBOOTED, "other contents");
	linux_kernel_destroy(kernel);
}

/* By the flags of small pages alone: where the read-only data and the data begin. */
static void test_scattered_sections(void **state)
{
	struct guest *guest = *state;
	const struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = gpa(scattered_at(TOP))};
	struct linux_image image;

	put_scattered(guest, 2 * MIB);
	assert_true(linux_image_find(guest->target.memory, &paging, true, &image));
	assert_int_equal(image.rodata_start, WRITER_BASE + 2 * MIB);
	assert_int_equal(image.rodata_end, WRITER_BASE + DATA);
	assert_int_equal(image.data_start, WRITER_BASE + DATA);
	/* Nothing goes on where a contiguous image would. */
	assert_false(linux_image_find(guest->target.memory, &paging, false, &image));
}

/* Machine frames say nothing where they are taken for the guest's own, and the other way round. */
static void test_scattered_without_registers(void **state)
{
	struct guest *guest = *state;

	put_scattered(guest, 2 * MIB);
	put_trampoline(guest, 0x98000, scattered_at(TOP));
	target_set_support(&guest->target, TARGET_REGISTERS, false, "test");
	refused(guest, NUNCHI_ERROR_NO_KERNEL, "no Linux kernel found");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(trampoline),
	    TEST(nothing),
	    TEST(two_kernels),
	    TEST(forged_tables),
	    TEST(forged_sections),
	    TEST(forged_banner),
	    TEST(forged_32_bits),
	    TEST(small_mapped_image),
	    TEST(without_pae),
	    TEST(copied_image),
	    TEST(freed_page_not_saved),
	    TEST(boundary),
	    TEST(sole_arrangement),
	    TEST(forged_boundary_below),
	    TEST(two_boundaries),
	    TEST(huge_image),
	    TEST(endless_types),
	    TEST(note_handed_over),
	    TEST(note_of_another),
	    TEST(note_in_memory),
	    TEST(forged_note_and_process),
	    TEST(five_levels),
	    TEST(registers),
	    TEST(symbols_from_file),
	    TEST(wrong_symbols),
	    TEST(root_outside),
	    TEST(encryption_bit),
	    TEST(reset_vcpus),
	    TEST(vcpu_elsewhere),
	    TEST(parked_vcpus),
	    TEST(unclear_vcpus),
	    TEST(looked_at_again),
	    TEST(back_in_kernel),
	    TEST(remains_stay),
	    TEST(vcpus_in_two_kernels),
	    TEST(parked_only),
	    TEST(many_vcpus),
	    TEST(chosen_stays),
	    TEST(chosen_kernel),
	    TEST(crash_kernel),
	    TEST(nothing_yet),
	    TEST(cancel),
	    TEST(still_the_same),
	    TEST(ended),
	    TEST(reset),
	    TEST(kexec),
	    TEST(crashed),
	    TEST(overwritten),
	    TEST(scattered),
	    TEST(scattered_sections),
	    TEST(scattered_without_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
