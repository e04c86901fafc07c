/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest of 64 MiB with a kernel's image made by hand: a symbol table, page tables, a trampoline.
 */
#ifndef NUNCHI_TESTS_ATTACH_GUEST_H
#define NUNCHI_TESTS_ATTACH_GUEST_H

#include "kallsyms_writer.h"

#include "guest/linux/attach.h"

#define MIB (UINT64_C(1) << 20)
#define RAM (64 * MIB)

#define P  UINT64_C(0x1)
#define RW UINT64_C(0x2)
#define PS UINT64_C(0x80)
#define NX (UINT64_C(1) << 63)

/* Where things are in the image. */
#define BANNER    (WRITER_TABLE - 64)
#define NOTES     WRITER_SIZE /* 64 bytes, empty unless a test writes them */
#define DATA      (4 * MIB)   /* a large page; begins with the end-of-stack magic */
#define PHYS_BASE (DATA + 0x800)
#define JIFFIES   (DATA + 0x808)
#define LINE      (DATA + 0x810) /* a pointer to: */
#define LINE_TEXT (DATA + 0x900)
#define TASK      (DATA + 0x4000) /* init_task, empty unless a test writes it */
#define TOP       (DATA + 0x1000) /* the kernel's own page table, and below it: */
#define POINTERS  (DATA + 0x2000)
#define DIRECTORY (DATA + 0x3000)
#define IMAGE     (6 * MIB)

#define MAP_START UINT64_C(0xffffffff80000000)
#define MAGIC     UINT64_C(0x57ac6e9d)

struct guest {
	struct target target;
	struct writer writer;
	uint8_t *ram;
	struct cancel cancel;
	/* What the target says. */
	enum target_state state;
	uint64_t cr3;
	/* One for each vCPU, instead of cr3; one whose cr0 is 0 was never started. */
	const struct x86_registers *vcpus;
	/* Called before registers are given. */
	void (*before_registers)(struct guest *guest);
	unsigned asked; /* how often registers were given */
};

/* What get_registers() gives for cr3. */
#define PAGED(root)                                                                                \
	{                                                                                          \
		.cr0 = 0x80050033, .cr3 = (root), .cr4 = 0x6f0, .efer = 0xd01                      \
	}

static const struct writer_layout layout = {
    "attach",     8, WRITE_OFFSETS, WRITE_SEQS_3, 4, 8, .addresses_last = true, .long_sizes = true,
    .count = 600,
};

static inline enum memory_fault read_ram(void *data, uint64_t offset, void *buffer, size_t size,
					 uint64_t *fault_offset)
{
	struct guest *guest = data;

	(void)fault_offset;
	memcpy(buffer, guest->ram + offset, size);
	return MEMORY_OK;
}

static inline struct nunchi_error *get_state(struct target *target, enum target_state *ret)
{
	*ret = ((struct guest *)target)->state;
	return NULL;
}

static inline struct nunchi_error *get_registers(struct target *target, unsigned vcpu,
						 struct x86_registers *ret)
{
	struct guest *guest = (struct guest *)target;

	if (guest->before_registers)
		guest->before_registers(guest);
	guest->asked++;
	*ret = (struct x86_registers)PAGED(guest->cr3);
	if (guest->vcpus)
		*ret = guest->vcpus[vcpu];
	return ret->cr0 ? NULL : error_create(NUNCHI_ERROR_UNSUPPORTED, "never started");
}

static const struct target_ops ops = {
    .kind = "test", .get_state = get_state, .get_registers = get_registers};

static inline void put(struct guest *guest, uint64_t address, uint64_t value)
{
	memcpy(guest->ram + address, &value, 8);
}

/* The symbol table of the test's kernels. */
static inline void write_symbols(struct writer *w)
{
	_cleanup_free_ struct writer_tokens *tokens = calloc(1, sizeof(*tokens));

	*w = (struct writer){.layout = layout, .base = WRITER_BASE};
	w->symbols = calloc(WRITER_SYMBOLS_MAX, sizeof(*w->symbols));
	w->data = calloc(1, WRITER_SIZE);
	writer_add_symbols(w);
	writer_add(w, 'R', WRITER_BASE + NOTES, "__start_notes");
	writer_add(w, 'R', WRITER_BASE + NOTES + 64, "__stop_notes");
	writer_add(w, 'D', WRITER_BASE + PHYS_BASE, "phys_base");
	writer_add(w, 'D', WRITER_BASE + JIFFIES, "jiffies_64");
	writer_add(w, 'D', WRITER_BASE + LINE, "saved_command_line");
	writer_add(w, 'D', WRITER_BASE + TOP, "init_top_pgt");
	writer_add(w, 'D', WRITER_BASE + TASK, "init_task");
	writer_compress(w, tokens);
	writer_put_again(w, tokens);
	strcpy((char *)w->data + BANNER, "Linux version 6.1.0-test (a) (b) #1 SMP today");
}

static inline void make_memory(struct guest *guest)
{
	assert_null(memory_create(false, &guest->target.memory));
	assert_null(memory_add_reader(guest->target.memory, gpa(0), RAM, read_ram, NULL, guest));
	assert_null(memory_seal(guest->target.memory));
}

static inline int setup(void **state)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	assert_null(target_init(&guest->target, &ops, "test"));
	guest->ram = calloc(1, RAM);
	write_symbols(&guest->writer);
	make_memory(guest);
	*state = guest;
	return 0;
}

static inline int teardown(void **state)
{
	struct guest *guest = *state;

	memory_destroy(guest->target.memory);
	for (size_t i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		free(guest->target.support_text[i]);
	free(guest->target.vmcoreinfo);
	free(guest->target.name);
	writer_deinit(&guest->writer);
	free(guest->ram);
	free(guest);
	return 0;
}

/* Page tables at `top` and the two pages behind it that map an image: text, then data. */
static inline void put_tables(struct guest *guest, uint64_t top, uint64_t physical)
{
	uint64_t index = (WRITER_BASE - MAP_START) / (2 * MIB);

	put(guest, top + 511 * 8, (top + 0x1000) | P | RW);
	put(guest, top + 0x1000 + 510 * 8, (top + 0x2000) | P | RW);
	put(guest, top + 0x2000 + index * 8, physical | P | PS);
	put(guest, top + 0x2000 + (index + 1) * 8, (physical + 2 * MIB) | P | PS);
	put(guest, top + 0x2000 + (index + 2) * 8, (physical + 4 * MIB) | P | PS | RW | NX);
}

/* A whole kernel at a physical address. */
static inline void put_kernel(struct guest *guest, uint64_t physical)
{
	memcpy(guest->ram + physical, guest->writer.data, WRITER_SIZE);
	put(guest, physical + DATA, MAGIC);
	put(guest, physical + PHYS_BASE, physical - (WRITER_BASE - MAP_START));
	put_tables(guest, physical + TOP, physical);
}

/* The page in the first megabyte that leads to the tables at top. */
static inline void put_trampoline(struct guest *guest, uint64_t page, uint64_t top)
{
	put(guest, page + 511 * 8, (top + 0x1000) | P | RW);
}

static inline struct nunchi_error *attach_with(struct guest *guest, const char *symbols,
					       struct linux_kernel **ret)
{
	const struct guest_attach_options options = {.symbols_path = symbols,
						     .cancel = &guest->cancel};

	return linux_kernel_attach(&guest->target, &options, ret);
}

/* The kernel must be found there. */
static inline struct linux_kernel *found_at(struct guest *guest, uint64_t physical)
{
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err = attach_with(guest, NULL, &kernel);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	assert_int_equal(kernel->text_virtual, WRITER_BASE);
	assert_int_equal(kernel->text_physical, physical);
	return kernel;
}

#endif
